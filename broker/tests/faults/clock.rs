//! A clock that is set back while the broker runs, by libfaketime (Debian's `faketime`).

use super::support::client::{Client, V3, V5};
use super::support::{Broker, Way, promise, scratch_folder};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.exists()).expect("this test needs Debian's faketime installed")
}

#[test]
fn a_clock_that_is_set_back_keeps_no_seat_and_rev_grows_all_the_same() {
    let folder = scratch_folder();
    let clock = folder.join("clock");
    std::fs::write(&clock, "+0s").unwrap();
    let library = libfaketime();
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        // What measures intervals is never set.
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let broker = Broker::launch(folder, Way { variables, ..Way::flags(&["--grace=2s"]) });
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let mut alice = Client::peer(&broker, V5, "alice");
    let mut bob = Client::peer(&broker, V3, "bob");
    let first = alice.join("lobby")["rev"].as_u64().unwrap();
    bob.join("lobby");
    alice.expect(&["arrived"]);
    bob.lose();
    let before = loop {
        let event = watcher.message().json();
        if event["type"] == "away" {
            break event;
        }
    };
    std::fs::write(&clock, "-1h").unwrap();
    let set = Instant::now();
    let left = alice.expect(&["left"]);
    promise::kept("clock-set-back", set.elapsed());
    assert!(set.elapsed() > Duration::from_secs(1), "nor is the grace time cut short: {:?}", set.elapsed());
    let after = watcher.message().json();
    assert!(after["time"].as_str() < before["time"].as_str(), "the clock was set: {before}, {after}");
    assert!(left["rev"].as_u64() > Some(first));
    alice.say("lobby", &json!({"type": "leave"}));
    let again = alice.join("lobby");
    assert!(again["rev"].as_u64() > left["rev"].as_u64(), "{again} after {left}");
}
