//! A log that cannot be written, its file system being full.

use super::support::client::{Client, V3, V5};
use super::support::{Broker, Way, promise, scratch_folder};
use serde_json::json;
use std::time::Instant;

fn lost(broker: &Broker) -> u64 {
    let metrics = broker.operator_get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("duet_log_lines_lost_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    let way = Way { log: Some("/dev/full".into()), ..Way::flags(&["--log=trace"]) };
    let mut broker = Broker::launch(scratch_folder(), way);
    let mut alice = Client::peer(&broker, V3, "alice");
    let mut bob = Client::peer(&broker, V5, "bob");
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
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
