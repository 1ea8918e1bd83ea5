//! Everything that somebody may try who wants to hear others, to reach them, or to be taken for them: over every
//! door, with both versions, against every way of letting people in. Attempts and successes are counted.

mod impostor;
mod reach;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use mqtt_protocol_core::mqtt::packet::{Property, SessionExpiryInterval};
use reach::Standing;
use scene::{CANARY, Policy, Scene, Tally};
use serde_json::json;
use support::Broker;
use support::client::{BOTH, Client, Hello, V5};

const LEAST: usize = 500;

#[test]
fn nobody_hears_or_reaches_those_to_whom_it_does_not_belong() {
    let mut tally = Tally::default();
    for policy in [Policy::Anonymous, Policy::Open, Policy::Guarded] {
        for is_encrypted in [false, true] {
            let mut scene = Scene::new(policy, is_encrypted);
            for door in scene.site.doors() {
                for version in BOTH {
                    for standing in Standing::ALL {
                        reach::attack(&mut scene, door, version, standing, &mut tally);
                    }
                    reach::ids(&mut scene, door, version, &mut tally);
                }
            }
            tally.canaries("anybody", scene.find_things_again());
        }
    }
    let (attempts, successes) = tally.print();
    assert!(attempts >= LEAST && successes == 0, "{successes} of {attempts} succeed");
}

#[test]
fn nobody_is_taken_for_another() {
    let mut tally = Tally::default();
    for is_encrypted in [false, true] {
        let mut scene = Scene::new(Policy::Guarded, is_encrypted);
        for door in scene.site.doors() {
            for version in BOTH {
                impostor::attack(&mut scene, door, version, &mut tally);
            }
        }
        impostor::over_http(&scene, &mut tally);
        tally.canaries("anybody", scene.find_things_again());
    }
    let (attempts, successes) = tally.print();
    assert!(attempts >= LEAST && successes == 0, "{successes} of {attempts} succeed");
}

struct Room {
    alice: Client,
    bob: Client,
}

impl Room {
    fn new(broker: &Broker) -> Self {
        let mut alice = Client::peer(broker, V5, "alice");
        let mut bob = Client::peer(broker, V5, "bob");
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);
        Self { alice, bob }
    }

    /// They talk in secret; both hear each other and nothing else.
    fn talk(&mut self) {
        let secret = json!({"type": "candidate", "candidate": {"candidate": CANARY}});
        self.alice.signal("lobby", "bob", &secret);
        self.bob.signal("lobby", "alice", &secret);
        assert_eq!(self.bob.message().json(), secret);
        assert_eq!(self.alice.message().json(), secret);
        self.alice.say("lobby", &json!({"type": "state", "connection": "connected", "detail": CANARY}));
        self.alice.nothing();
        self.bob.nothing();
    }
}

#[test]
fn an_operators_session_is_not_inherited() {
    for version in BOTH {
        let broker = Broker::start();
        let mut room = Room::new(&broker);
        let mut hello = Hello::new(version, "watcher");
        hello.user = Some(("operator".into(), broker.token()));
        hello.clean = false;
        if version == V5 {
            hello.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
        }
        let (mut operator, _) = Client::hello(&broker, &hello);
        assert!(operator.subscribe("rooms/#", 1) <= 2);
        let mut thief = hello.clone();
        thief.user = None;
        let (_, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }), "not while the operator is there");
        operator.ping();
        operator.disconnect();
        let (_, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }), "nor while the session waits");
        let (operator, _) = Client::hello(&broker, &Hello { clean: true, properties: vec![], ..hello });
        operator.disconnect();
        let (mut thief, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(0), "the id is free when nothing is left");
        room.talk();
        thief.nothing();
        thief.disconnect();
    }
}

#[test]
fn a_signal_is_never_kept_by_its_retain_flag() {
    let broker = Broker::start();
    let mut room = Room::new(&broker);
    room.alice.publish_with("rooms/lobby/bob/alice", r#"{"type":"ring"}"#, 1, true, vec![]);
    let live = room.bob.message();
    assert!(!live.retain);
    room.bob.subscribe("rooms/lobby/bob/+", 1);
    room.bob.nothing();
    let mut operator = Client::operator(&broker, V5, "rooms/+/bob/+");
    operator.ping();
    assert!(operator.is_quiet());
}
