//! What was measured and what it means: as JSON, as CSV, as a table, as a picture, and in a document.

use crate::chart;
use crate::common::marks;
use crate::sample::{Figure, Sample};
use crate::verdict::Line;
use crate::world::Seen;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Everything of one run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub what: String,
    pub date: String,
    pub minutes: f64,
    pub samples: Vec<Sample>,
    pub lines: Vec<Line>,
    pub deeds: BTreeMap<String, u64>,
    /// What ought not to have happened.
    pub surprises: BTreeMap<String, (u64, String)>,
    /// Lines of the broker's log that tell of a panic.
    pub panics: Vec<String>,
}

impl Report {
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report of this program", file.display()))
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        write(file, &serde_json::to_string(self)?)
    }

    pub fn csv(&self, file: &Path) -> Result<()> {
        let names: Vec<_> = Figure::ALL.iter().map(|figure| format!("\"{}\"", figure.name())).collect();
        let mut text = format!("\"seconds\",{}\n", names.join(","));
        for sample in &self.samples {
            let values: Vec<_> = sample.values.iter().map(|value| format!("{value:.3}")).collect();
            let _ = writeln!(text, "{:.1},{}", sample.at, values.join(","));
        }
        write(file, &text)
    }

    pub fn svg(&self, file: &Path) -> Result<()> {
        write(file, &chart::draw(&self.samples))
    }

    pub fn saw(&mut self, seen: &Seen) {
        self.deeds = seen.deeds.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
        self.surprises = seen.surprises.iter().map(|(what, first)| ((*what).to_owned(), first.clone())).collect();
    }

    /// Everything that is wrong, one a line.
    pub fn complaints(&self) -> Vec<String> {
        let surprises =
            self.surprises.iter().map(|(what, (count, first))| format!("{what}: {count} failed, first: {first}"));
        let panics = self.panics.first().map(|line| format!("the broker panicked: {line}"));
        self.lines.iter().filter_map(Line::complaint).chain(surprises).chain(panics).collect()
    }

    pub fn table(&self) -> String {
        let mut text = "| | nobody yet | trend, from | to | bound | everybody gone | bound |\n".to_owned();
        text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
        for line in &self.lines {
            let bound = match line.bounds {
                (Some(least), Some(most)) => format!("{} to {}", number(least), number(most)),
                (Some(least), None) => format!("≥ {}", number(least)),
                (None, Some(most)) => format!("≤ {}", number(most)),
                (None, None) => String::new(),
            };
            let (after, after_bound) = match line.after_bound {
                Some(most) => (number(line.after), format!("≤ {}", number(most))),
                None => Default::default(),
            };
            let (before, first, last) = (number(line.before), number(line.first), number(line.last));
            let before = if line.after_bound.is_some() { before } else { String::new() };
            let _ =
                writeln!(text, "| {} | {before} | {first} | {last} | {bound} | {after} | {after_bound} |", line.name);
        }
        text
    }

    pub fn deeds(&self) -> String {
        let each: Vec<_> = self.deeds.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        each.join(", ")
    }

    /// Writes the table into a file with marks, and the picture beside it.
    pub fn document(&self, file: &Path, picture: &Path) -> Result<()> {
        self.svg(picture)?;
        marks::fill(file, |name| if name == "soak" { self.section() } else { String::new() })
    }

    fn section(&self) -> String {
        let verdict = match &self.complaints()[..] {
            [] => "Everything is flat, and nothing is left.".to_owned(),
            complaints => format!("Broken:\n\n- {}", complaints.join("\n- ")),
        };
        format!(
            "{}; {:.0} minutes, {}.\n\n![Each figure over the time](docs/soak.svg)\n\n{verdict}\n\n{}\nWhat was done: {}.",
            self.what,
            self.minutes,
            self.date,
            self.table(),
            self.deeds()
        )
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// Three digits, or the whole number.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
