//! The broker is killed in the middle of a thousand negotiations, and started again; and clients that are killed or sleep.

use super::fleet::{Board, MqttJs, Ours, Seat};
use super::support::client::{Client, V5};
use super::support::{Broker, PATIENCE, promise};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Pairs of peers over rumqttc, over mqtt.js, and with one of each. Unoptimised, everything takes ten times as long.
const PAIRS: [usize; 3] = if cfg!(debug_assertions) { [120, 40, 40] } else { [600, 200, 200] };

/// The rooms, with who is in them by make.
fn seats() -> (Vec<Seat>, Vec<Seat>, BTreeMap<String, BTreeSet<String>>) {
    let (mut ours, mut others, mut rooms) = (Vec::new(), Vec::new(), BTreeMap::new());
    for room in 0..PAIRS.iter().sum() {
        let name = format!("room-{room}");
        let [a, b] = ["a", "b"].map(|side| format!("{side}{room}"));
        rooms.insert(name.clone(), BTreeSet::from([a.clone(), b.clone()]));
        let [a, b] = [a, b].map(|peer| (name.clone(), peer));
        match room {
            room if room < PAIRS[0] => ours.extend([a, b]),
            room if room < PAIRS[0] + PAIRS[1] => others.extend([a, b]),
            _ => {
                ours.push(a);
                others.push(b);
            }
        }
    }
    (ours, others, rooms)
}

#[test]
fn a_broker_that_is_killed_in_a_thousand_negotiations_has_all_pairs_connected_again() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut broker = Broker::with(&["--log=warn"], "");
    let board = Arc::new(Board::default());
    let (ours, others, rooms) = seats();
    let all = ours.len() + others.len();
    let _ours = Ours::start(broker.mqtt, ours, &board);
    let _others = MqttJs::start(&broker, 20, &others, &board);
    board.through(all, PATIENCE);

    broker.kill();
    board.all_lost(PATIENCE);
    let begin = Instant::now();
    broker.restart();
    board.through(all, PATIENCE);
    promise::kept("broker-killed", begin.elapsed());
    // Not sooner: an operator that does not read while thousands come in is ended for it.
    let mut operator = Client::operator(&broker, V5, "rooms/+");

    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    operator.ping();
    while !operator.is_quiet() || seen.len() < rooms.len() {
        let state = operator.message().json();
        let peers = state["peers"].as_array().unwrap();
        assert!(peers.len() <= 2, "three in a room: {state}");
        let name = |peer: &Value| peer["id"].as_str().unwrap().to_owned();
        seen.insert(state["room"].as_str().unwrap().to_owned(), peers.iter().map(name).collect());
    }
    assert_eq!(seen, rooms, "no pair is split");
    assert!(!broker.logged().contains("panicked"));
}

/// One peer over mqtt.js, which says something at least every second, and another to talk to.
fn couple(broker: &Broker) -> (Client, MqttJs) {
    let board = Arc::new(Board::default());
    let mut alice = Client::peer(broker, V5, "alice");
    alice.join("lobby");
    let bob = MqttJs::start(broker, 1, &[("lobby".into(), "bob".into())], &board);
    alice.expect(&["arrived"]);
    alice.expect(&["ready"]);
    (alice, bob)
}

#[test]
fn a_client_that_is_killed_is_away_at_once_and_gone_after_the_grace_time() {
    let broker = Broker::with(&["--grace=1s"], "");
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let (mut alice, bob) = couple(&broker);
    while watcher.message().json()["type"] != "arrived" {}
    let killed = Instant::now();
    bob.signal("KILL");
    assert_eq!(watcher.message().json()["type"], "away");
    promise::kept("client-killed", killed.elapsed());
    let left = alice.expect(&["left"]);
    assert_eq!(left["reason"], "lost");
    promise::kept("client-killed-for-good", killed.elapsed());
}

#[test]
fn a_client_that_sleeps_is_missed_and_has_its_seat_when_it_wakes_up_in_time() {
    let broker = Broker::start();
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let (mut alice, bob) = couple(&broker);
    while watcher.message().json()["type"] != "arrived" {}
    bob.signal("STOP");
    let asleep = Instant::now();
    assert_eq!(watcher.message().json()["type"], "away");
    promise::kept("client-asleep", asleep.elapsed());
    bob.signal("CONT");
    let awake = Instant::now();
    assert_eq!(watcher.message().json()["type"], "resumed");
    alice.expect(&["ready"]);
    promise::kept("client-awake", awake.elapsed());
}

#[test]
fn a_client_that_sleeps_longer_than_the_grace_time_comes_in_anew() {
    let broker = Broker::with(&["--grace=500ms"], "");
    let (mut alice, bob) = couple(&broker);
    bob.signal("STOP");
    assert_eq!(alice.expect(&["left"])["reason"], "lost");
    bob.signal("CONT");
    let awake = Instant::now();
    assert_eq!(alice.expect(&["arrived"])["peer"]["id"], "bob");
    alice.expect(&["ready"]);
    promise::kept("client-awake-late", awake.elapsed());
}
