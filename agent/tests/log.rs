//! What a program says last is written, whatever ends it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use agent::log::Log;
use std::process::{Command, Stdio};
use tracing::info;
use tracing_subscriber::EnvFilter;

const LINES: usize = 2000;

/// A program that ends at once, this test being played again as a process of its own; none for whoever is that.
fn program(test: &str) -> Option<(String, bool)> {
    if std::env::var_os("DUET_TEST_ENDS").is_some() {
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("DUET_TEST_ENDS", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some((String::from_utf8(output.stderr).unwrap(), output.status.success()))
}

fn logs_much() {
    for number in 0..LINES {
        info!(number, "one of many");
    }
}

#[test]
fn the_last_lines_are_written() {
    let Some((stderr, _)) = program("the_last_lines_are_written") else {
        let log = Log::begin(EnvFilter::new("info")).unwrap();
        logs_much();
        log.lines().complain("error: this is the end");
        drop(log);
        std::process::exit(1);
    };
    assert_eq!(stderr.matches("one of many").count(), LINES, "{stderr}");
    assert!(stderr.ends_with("\nerror: this is the end\n"), "{stderr}");
}

#[test]
fn a_panic_is_written_after_what_came_before_it() {
    let Some((stderr, is_success)) = program("a_panic_is_written_after_what_came_before_it") else {
        let _log = Log::begin(EnvFilter::new("info")).unwrap();
        logs_much();
        panic!("nobody has thought of this");
    };
    assert!(!is_success);
    let (before, panic) = stderr.split_once("thread '").unwrap_or_else(|| panic!("no panic in {stderr}"));
    assert_eq!(before.matches("one of many").count(), LINES, "{stderr}");
    assert!(panic.contains(" panicked at agent/tests/log.rs:"), "{panic}");
    assert!(panic.contains("nobody has thought of this"), "{panic}");
}
