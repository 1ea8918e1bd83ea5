//! What a member finds when it comes back: every signal that it has not acknowledged, after its answer, and
//! nothing of somebody who has gone meanwhile.

mod support;

use serde_json::json;
use support::Broker;
use support::client::{BOTH, Client, V5};

/// A member whose session ends with its connection.
fn member(broker: &Broker, version: mqtt_protocol_core::mqtt::Version, id: &str) -> Client {
    let mut client = Client::peer(broker, version, id);
    client.join("lobby");
    client
}

#[test]
fn signals_under_way_when_a_connection_dies_follow_the_resumed_answer() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in [1, 2] {
            let mut alice = member(&broker, version, "alice");
            let mut bob = Client::connect(&broker, version, "bob");
            bob.subscribe("rooms/+/bob/+", qos);
            bob.join("lobby");
            alice.expect(&["arrived"]);
            bob.acknowledges = false;
            // More than may be under way to one client: some are sent and not acknowledged, others wait.
            for number in 0..90 {
                alice.publish("rooms/lobby/bob/alice", json!({"type": "candidate", "number": number}).to_string(), qos);
            }
            bob.expect(&["candidate"]);
            bob.lose();
            let mut bob = Client::connect(&broker, version, "bob");
            bob.subscribe("rooms/+/bob/+", qos);
            assert_eq!(bob.join("lobby")["resumed"], true, "what comes first is the answer");
            for number in 0..90 {
                assert_eq!(bob.expect(&["candidate"])["number"], number);
            }
            bob.nothing();
            alice.say("lobby", &json!({"type": "leave"}));
            bob.expect(&["left"]);
            alice.disconnect();
            bob.disconnect();
        }
    }
}

#[test]
fn signals_that_a_client_has_acknowledged_do_not_come_again() {
    let broker = Broker::start();
    let mut alice = member(&broker, V5, "alice");
    let mut bob = member(&broker, V5, "bob");
    alice.expect(&["arrived"]);
    alice.signal("lobby", "bob", &json!({"type": "offer", "sdp": "v=0"}));
    bob.expect(&["offer"]);
    bob.ping(); // the acknowledgement has been read
    bob.lose();
    let mut bob = Client::peer(&broker, V5, "bob");
    assert_eq!(bob.join("lobby")["resumed"], true);
    bob.nothing();
}

#[test]
fn a_normal_end_leaves_nothing_behind() {
    let broker = Broker::start();
    let mut alice = member(&broker, V5, "alice");
    let mut bob = member(&broker, V5, "bob");
    alice.expect(&["arrived"]);
    bob.acknowledges = false;
    alice.signal("lobby", "bob", &json!({"type": "offer", "sdp": "v=0"}));
    bob.expect(&["offer"]);
    bob.disconnect();
    alice.expect(&["left"]);
    let mut bob = Client::peer(&broker, V5, "bob");
    assert_eq!(bob.join("lobby")["type"], "joined");
    bob.nothing();
    broker.settled(); // nor is it kept for nobody
}

#[test]
fn signals_of_somebody_who_has_gone_are_not_kept() {
    let broker = Broker::start();
    let mut alice = member(&broker, V5, "alice");
    let bob = member(&broker, V5, "bob");
    alice.expect(&["arrived"]);
    let mut watcher = Client::operator(&broker, V5, "rooms/lobby/events");
    bob.lose();
    assert_eq!(watcher.message().json()["type"], "away");
    alice.signal("lobby", "bob", &json!({"type": "offer", "sdp": "v=0"}));
    alice.disconnect();
    assert_eq!(watcher.message().json()["type"], "left");
    let mut carol = member(&broker, V5, "carol");
    let mut bob = Client::peer(&broker, V5, "bob");
    let answer = bob.join("lobby");
    assert_eq!((&answer["peer"]["id"], &answer["resumed"]), (&json!("carol"), &json!(true)));
    bob.nothing();
    carol.signal("lobby", "bob", &json!({"type": "offer", "sdp": "v=1"}));
    assert_eq!(bob.expect(&["offer"])["sdp"], "v=1");
}
