//! A machine that is gone: its sockets are never closed, and nothing that is sent to it is acknowledged.

use super::support::client::{Client, Hello, V3, V5};
use super::support::isolated::Isolated;
use super::support::{Broker, PATIENCE, promise, scratch_folder};
use mqtt_protocol_core::mqtt::Version;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Where the machine is that goes away.
const MACHINE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn on_that_machine(broker: &Broker, version: Version, id: &str, keep_alive: u16) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((MACHINE, 0)).into()).unwrap();
    socket.connect(&broker.mqtt.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    let (mut client, code) = Client::over(stream, &Hello { keep_alive, ..Hello::new(version, id) });
    assert_eq!(code, Some(0));
    assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
    client
}

/// The timers of the broker's sockets to that machine (proc_net_tcp, `tr` and `tm->when`): which, and what is left of it.
fn timers(broker: &Broker) -> Vec<(String, Duration)> {
    let [near, far] = [(Ipv4Addr::LOCALHOST, broker.mqtt.port()), (MACHINE, 0)];
    let hex = |address: Ipv4Addr| format!("{:08X}", u32::from_ne_bytes(address.octets()));
    let (near, far) = (format!("{}:{:04X}", hex(near.0), near.1), hex(far.0));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 5 && row[1] == near && row[2].starts_with(&far))
        .map(|row| {
            let (timer, left) = row[5].split_once(':').unwrap();
            // In hundredths of a second (USER_HZ).
            (timer.to_owned(), Duration::from_millis(u64::from_str_radix(left, 16).unwrap() * 10))
        })
        .collect()
}

#[test]
fn who_vanished_with_its_machine_is_missed_and_gets_everything_when_it_is_back_elsewhere() {
    let name = "half_open::who_vanished_with_its_machine_is_missed_and_gets_everything_when_it_is_back_elsewhere";
    let Some(isolated) = Isolated::enter(name, &scratch_folder()) else { return };
    let broker = Broker::start();
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let mut alice = Client::peer(&broker, V5, "alice");
    let mut bob = on_that_machine(&broker, V3, "bob", 1);
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    isolated.drop_address("127.0.0.2");
    let gone = Instant::now();
    for number in 0..20 {
        alice.signal("lobby", "bob", &json!({"type": "candidate", "number": number}));
    }
    while watcher.message().json()["type"] != "away" {}
    promise::kept("half-open", gone.elapsed());
    for number in 20..40 {
        alice.signal("lobby", "bob", &json!({"type": "candidate", "number": number}));
    }
    let back = Instant::now();
    let mut again = Client::peer(&broker, V3, "bob");
    assert_eq!(again.join("lobby")["resumed"], true);
    for number in 0..40 {
        assert_eq!(again.expect(&["candidate"])["number"], number);
    }
    promise::kept("half-open-back", back.elapsed());
    alice.nothing();
}

#[test]
fn who_promised_no_sign_of_life_is_asked_for_one_by_tcp() {
    let name = "half_open::who_promised_no_sign_of_life_is_asked_for_one_by_tcp";
    let Some(isolated) = Isolated::enter(name, &scratch_folder()) else { return };
    let broker = Broker::start();
    let mut watcher = Client::operator(&broker, V5, "rooms/+/events");
    let mut bob = on_that_machine(&broker, V5, "bob", 0);
    bob.join("lobby");
    bob.ping();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let [(timer, left)] = &timers(&broker)[..] else { panic!("{:?}", timers(&broker)) };
        if timer == "02" {
            assert!(*left <= Duration::from_secs(60), "it asks after {left:?}");
            break;
        }
        assert!(Instant::now() < deadline, "what was sent is acknowledged, and it never asks: {timer}");
    }
    // It takes over a minute, which only `make faults` has.
    if std::env::var_os("DUET_FAULTS").is_some() {
        isolated.drop_address("127.0.0.2");
        let gone = Instant::now();
        watcher.patience = Duration::from_secs(120);
        while watcher.message().json()["type"] != "away" {}
        promise::kept("half-open-without-keep-alive", gone.elapsed());
    }
}
