//! What the documentation says of keys, filters, rules and flags is what the program has.
//!
//! `DUET_UPDATE_DOCS=1 cargo test -p monitor --test docs` writes the tables anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use monitor::app::keys::{Group, TABLE};
use monitor::{diagnosis, filter};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitor.md")
}

/// Checks what stands between the marks of `name`, or writes it.
fn check(name: &str, table: &str) {
    let text = std::fs::read_to_string(page()).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let from = text.find(&begin).unwrap() + begin.len();
    let to = text.find(&end).unwrap();
    if std::env::var_os("DUET_UPDATE_DOCS").is_some() {
        std::fs::write(page(), format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
    } else {
        assert_eq!(&text[from..to], table, "write it anew with DUET_UPDATE_DOCS=1");
    }
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// One test, since all of them write the same file.
#[test]
fn the_tables_of_the_documentation_are_those_of_the_program() {
    let mut keys = String::from("\n| key | |\n|---|---|\n");
    for group in Group::ALL {
        writeln!(keys, "| **{}** | |", group.name()).unwrap();
        for binding in TABLE.iter().filter(|binding| binding.group == group) {
            let names: Vec<_> = binding.keys.iter().map(|key| code(&key.name())).collect();
            writeln!(keys, "| {} | {} |", names.join(" "), binding.words).unwrap();
        }
    }
    check("keys", &(keys + "\n"));

    let terms: Vec<_> = filter::Key::ALL.iter().map(|key| code(&format!("{}:", key.name()))).collect();
    check("filter", &format!("\nKeys: {}.\n\n", terms.join(" ")));

    let mut rules = String::from("\n| finding | what was seen |\n|---|---|\n");
    for rule in diagnosis::rules() {
        writeln!(rules, "| {} | {} |", code(rule.name), rule.sees).unwrap();
    }
    check("rules", &(rules + "\n"));
}

#[test]
fn every_flag_that_the_documentation_names_exists() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_monitor")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let text = std::fs::read_to_string(page()).unwrap();
    let own = text.lines().filter(|line| !line.contains("cargo run --release -p monitor ") || line.contains(" -- "));
    let flags = own.flat_map(|line| {
        let line = line.rsplit(" -- ").next().unwrap_or(line).to_owned();
        let parts: Vec<_> = line.split([' ', '`', '(', ')', ',', '|']).map(str::to_owned).collect();
        parts.into_iter().filter(|part| part.starts_with("--") && part.len() > 3 && !part.starts_with("-->"))
    });
    let mut checked = 0;
    for flag in flags.filter(|flag| !["--release", "---"].iter().any(|other| flag.starts_with(other))) {
        let flag = flag.trim_end_matches(['.', ':', ';']);
        assert!(
            help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
            "{flag} is no flag:\n{help}"
        );
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}
