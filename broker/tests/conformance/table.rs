//! docs/conformance.md says nothing that is not so: each test that it names exists, and each clause is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Clauses of each version in the table.
const CLAUSES: [(&str, usize); 2] = [("3.1.1", 142), ("5.0", 251)];

/// The names of all tests of the broker, with the file that they are in.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut tests = BTreeSet::new();
    for prefix in ["", "conformance/", "hostile/"] {
        let folder = folder.join(prefix);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Some(file) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) else { continue };
            let text = std::fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines() {
                if let Some(name) = line.strip_prefix("fn ").filter(|_| is_test) {
                    tests.insert(format!("{prefix}{file}::{}", name.split('(').next().unwrap()));
                }
                is_test = line.trim() == "#[test]";
            }
        }
    }
    tests
}

#[test]
fn every_clause_is_there_once_with_tests_that_exist_or_a_reason() {
    let tests = tests();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let text = std::fs::read_to_string(table).unwrap();
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut version = String::new();
    let mut named = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## MQTT ") {
            version = heading.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, clause, meaning, proof, _] = cells[..] else { continue };
        if !clause.starts_with("MQTT-") {
            continue;
        }
        assert!(sections.entry(version.clone()).or_default().insert(clause.to_owned()), "{clause} of {version} twice");
        assert!(!meaning.is_empty() && !proof.is_empty(), "{clause} of {version} says nothing");
        for test in proof.split('`').skip(1).step_by(2) {
            assert!(tests.contains(test), "{clause} of {version}: there is no test {test}");
            named.insert(test.to_owned());
        }
    }
    for (version, number) in CLAUSES {
        assert_eq!(sections[version].len(), number, "clauses of {version}");
    }
    let unnamed: Vec<_> = tests
        .iter()
        .filter(|test| test.starts_with("conformance/") && !test.starts_with("conformance/table::"))
        .filter(|test| !named.contains(*test))
        .collect();
    assert!(unnamed.is_empty(), "tests of clauses that the table does not name: {unnamed:?}");
}
