//! Figures in documents: what stands between two marks is made from what was measured; everything else there is
//! written by hand, and stays.
//!
//! ```text
//! <!-- figures: W1 -->
//! …
//! <!-- /figures -->
//! ```

use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- /figures -->";

/// Writes into a file that has marks what `made` gives for the name of each. Where that is nothing, what was there stays.
pub fn fill(file: &Path, made: impl Fn(&str) -> String) -> Result<()> {
    let at = || file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", at()))?;
    let text = filled(&text, made).with_context(|| at().to_string())?;
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", at()))
}

fn filled(text: &str, made: impl Fn(&str) -> String) -> Result<String> {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(name) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let mut earlier = String::new();
        loop {
            match lines.next() {
                Some(END) => break,
                Some(line) => earlier.extend([line, "\n"]),
                None => bail!("no {END} after the mark {name:?}"),
            }
        }
        match made(name).trim() {
            "" => out.push_str(&earlier),
            made => {
                let _ = writeln!(out, "\n{made}\n");
            }
        }
        let _ = writeln!(out, "{END}");
    }
    Ok(out)
}
