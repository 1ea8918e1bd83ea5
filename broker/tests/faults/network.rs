//! A network that is cut without a word (no FIN, no RST): for a moment, for good, and with another one beside it.

use super::support::client::{BOTH, Client, Hello, V3, V5};
use super::support::network::Network;
use super::support::{Broker, promise};
use mqtt_protocol_core::mqtt::Version;
use serde_json::json;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A peer whose packets go over this network, and who has to say something every so many seconds.
fn peer(network: &Network, version: Version, id: &str, keep_alive: u16) -> Client {
    let stream = TcpStream::connect(network.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut client, code) = Client::over(stream, &Hello { keep_alive, ..Hello::new(version, id) });
    assert_eq!(code, Some(0));
    assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
    client
}

/// Waits for something to happen in the room.
fn happens(watcher: &mut Client, what: &str) {
    while watcher.message().json()["type"] != what {}
}

#[test]
fn a_network_that_stalls_for_less_than_one_and_a_half_keep_alives_costs_nothing_but_time() {
    const KEEP_ALIVE: u16 = 3;
    // Longer than the keep-alive itself; nothing is said meanwhile.
    let stall = Duration::from_secs(KEEP_ALIVE.into()).mul_f64(1.25);
    let broker = Broker::start();
    let network = Network::to(broker.mqtt);
    let mut pairs = BOTH.map(|version| {
        let room = format!("lobby-{version:?}").to_lowercase();
        let (alice, bob) = (format!("alice-{room}"), format!("bob-{room}"));
        let mut alice = Client::peer(&broker, version, &alice);
        alice.join(&room);
        let mut bob = peer(&network, version, &bob, KEEP_ALIVE);
        bob.join(&room);
        alice.expect(&["arrived"]);
        (room, alice, bob)
    });
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    network.cut();
    let cut = Instant::now();
    for (room, alice, bob) in &mut pairs {
        for number in 0..50 {
            alice.signal(room, &bob.id, &json!({"type": "candidate", "number": number}));
            bob.publish(
                &format!("rooms/{room}/{}/{}", alice.id, bob.id),
                json!({"type": "candidate", "number": number}).to_string(),
                0,
            );
        }
        alice.nothing();
    }
    std::thread::sleep(stall.saturating_sub(cut.elapsed()));
    network.mend();
    let mended = Instant::now();
    for (_, alice, bob) in &mut pairs {
        for number in 0..50 {
            assert_eq!(bob.expect(&["candidate"])["number"], number);
            assert_eq!(alice.expect(&["candidate"])["number"], number);
        }
    }
    promise::kept("network-stalls", mended.elapsed());
    watcher.ping();
    assert!(watcher.is_quiet(), "nothing has happened: {:?}", watcher.message());
}

#[test]
fn who_comes_back_over_another_network_has_its_seat_and_all_that_was_said_meanwhile() {
    let broker = Broker::start();
    for version in BOTH {
        let network = Network::to(broker.mqtt);
        let mut alice = Client::peer(&broker, V5, "alice");
        let mut bob = peer(&network, version, "bob", 60);
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);
        network.forget();
        for number in 0..50 {
            alice.signal("lobby", "bob", &json!({"type": "candidate", "number": number}));
        }
        let back = Instant::now();
        let mut again = peer(&network, version, "bob", 60);
        assert_eq!(again.join("lobby")["resumed"], true);
        for number in 0..50 {
            assert_eq!(again.expect(&["candidate"])["number"], number);
        }
        promise::kept("network-changes", back.elapsed());
        alice.nothing();
        again.signal("lobby", "alice", &json!({"type": "ready"}));
        alice.expect(&["ready"]);
        alice.disconnect();
        again.disconnect();
    }
}

#[test]
fn who_is_cut_off_for_good_is_missed_after_one_and_a_half_keep_alives_and_the_grace_time() {
    let grace = Duration::from_secs(1);
    let broker = Broker::with(&["--grace=1s"], "");
    let network = Network::to(broker.mqtt);
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let mut alice = Client::peer(&broker, V5, "alice");
    let mut bob = peer(&network, V3, "bob", 1);
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    happens(&mut watcher, "arrived");
    network.cut();
    let cut = Instant::now();
    happens(&mut watcher, "away");
    let noticed = cut.elapsed();
    promise::kept("network-gone", noticed);
    let left = alice.expect(&["left"]);
    assert_eq!((&left["peer"], &left["reason"]), (&json!("bob"), &json!("lost")));
    assert!(cut.elapsed() >= noticed + grace - Duration::from_millis(50), "not before: {:?}", cut.elapsed());
    promise::kept("network-gone-for-good", cut.elapsed());
}
