//! What is promised of faults, and how long it took: `faults.json` has a row for each, a test measures it, and the line
//! that it prints goes into RELIABILITY.md.

use serde::Deserialize;
use std::time::Duration;

/// A row of the table; what the others see, and the rest, are for its readers.
#[derive(Deserialize)]
struct Fault {
    name: String,
    /// Milliseconds.
    promise: u64,
}

/// Prints how long it took, and fails where that is longer than what is promised.
pub fn kept(name: &str, took: Duration) {
    let faults: Vec<Fault> = serde_json::from_str(include_str!("../faults/faults.json")).unwrap();
    let fault = faults.iter().find(|fault| fault.name == name);
    let promise = Duration::from_millis(fault.unwrap_or_else(|| panic!("faults.json has no {name}")).promise);
    println!("measured {}", serde_json::json!({"fault": name, "ms": took.as_secs_f64() * 1000.0}));
    assert!(took <= promise, "{name}: {took:?}, and {promise:?} are promised");
}
