//! A log that cannot be written, its file system being full, and one that nobody reads any more.

use super::support::client::{Client, Hello, V3, V5};
use super::support::stuck::Pipe;
use super::support::{Broker, PATIENCE, Way, promise, scratch_folder};
use serde_json::json;
use std::time::{Duration, Instant};

fn lost(broker: &Broker) -> u64 {
    let metrics = broker.operator_get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("duet_log_lines_lost_total "));
    line.unwrap().parse().unwrap()
}

/// Two in a room.
fn pair(broker: &Broker) -> (Client, Client) {
    let (mut alice, mut bob) = (Client::peer(broker, V3, "alice"), Client::peer(broker, V5, "bob"));
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    (alice, bob)
}

#[test]
fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    let way = Way { log: Some("/dev/full".into()), ..Way::flags(&["--log=trace"]) };
    let mut broker = Broker::launch(scratch_folder(), way);
    let (mut alice, mut bob) = pair(&broker);
    alice.publish("rooms/hall/carol/alice", "{}", 1);
    alice.expect(&["error"]);
    let begin = Instant::now();
    alice.signal("lobby", "bob", &json!({"type": "ready"}));
    bob.expect(&["ready"]);
    promise::kept("log-full", begin.elapsed());
    assert!(lost(&broker) > 0, "and it says how many");
    bob.lose();
    Client::peer(&broker, V5, "bob").join("lobby");
    let (status, _) = broker.signal("TERM");
    assert!(status.success(), "{status}");
}

#[test]
fn a_log_whose_reader_is_stuck_costs_its_lines_and_nothing_else() {
    let pipe = Pipe::full(&scratch_folder());
    let way = Way { log: Some(pipe.path.clone()), ..Way::flags(&["--log=debug"]) };
    let mut broker = Broker::launch(scratch_folder(), way);
    let (mut alice, mut bob) = pair(&broker);
    let mut relay = || {
        let begin = Instant::now();
        alice.signal("lobby", "bob", &json!({"type": "ready"}));
        bob.expect(&["ready"]);
        begin.elapsed()
    };
    let mut until_lost = |broker: &Broker, before: u64| {
        let begin = Instant::now();
        while lost(broker) == before {
            assert!(begin.elapsed() < PATIENCE, "nothing is lost, though nothing is taken");
            // Each is worth two lines, its coming and its going.
            for number in 0..200 {
                drop(Client::hello(broker, &Hello::new(V3, &format!("{number:0>60}"))));
            }
            relay();
        }
        promise::kept("log-stuck", relay());
    };
    until_lost(&broker, 0);
    // What waited comes first, with all that was lost after it.
    let told = pipe.read_until("lines were lost");
    assert!(told.contains(" WARN ") && told.contains("lines="), "{told}");
    // It is stuck again, and nobody waits for it at the end either.
    let before = lost(&broker);
    until_lost(&broker, before);
    let (status, took) = broker.signal("TERM");
    assert!(status.success() && took < Duration::from_secs(5), "{status}, {took:?}");
}
