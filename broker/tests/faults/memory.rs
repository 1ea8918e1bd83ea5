//! A broker that has little memory: nobody comes in any more, those inside go on, and all is well when others have gone.

use super::support::client::{Client, Hello, V3, V5};
use super::support::{Broker, PATIENCE, Way, promise, scratch_folder};
use mqtt_protocol_core::mqtt::packet::{Property, ReceiveMaximum};
use serde_json::json;
use std::time::Instant;

/// Each client takes this much, for its will.
const WILL: usize = 30_000;
const LARGE_WILLS: [&str; 2] = ["--max-will=32KiB", "--max-connect=64KiB"];

fn crowd(number: usize) -> Hello {
    let mut hello = Hello::new(if number.is_multiple_of(2) { V3 } else { V5 }, &format!("crowd-{number}"));
    hello.will = Some((format!("rooms/lobby/agent/crowd-{number}"), "x".repeat(WILL)));
    hello
}

/// Kilobytes that the broker has had resident at most (proc(5)).
fn most_resident(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Fills it until nobody comes in, and has those inside go on; then lets the crowd go, and others come in.
fn refuses_newcomers_and_recovers(broker: &mut Broker) {
    let mut alice = Client::peer(broker, V3, "alice");
    let mut bob = Client::peer(broker, V5, "bob");
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    let mut inside = Vec::new();
    loop {
        assert!(inside.len() < 100_000, "it takes everybody");
        let hello = crowd(inside.len());
        let is_3 = hello.version == V3;
        match Client::hello(broker, &hello) {
            (client, Some(0)) => inside.push(client),
            (_, code) => {
                assert_eq!(code, Some(if is_3 { 3 } else { 0x89 }), "server unavailable, or busy");
                break;
            }
        }
    }
    assert!(inside.len() > 20, "only {} came in", inside.len());
    // However many knock.
    for number in 0..200 {
        let (_, code) = Client::hello(broker, &crowd(100_000 + number));
        assert!(matches!(code, Some(3 | 0x89)), "{code:?}");
    }
    assert!(broker.get("/readyz").contains("503"), "others are to be sent elsewhere");
    let mut operator = Client::operator(broker, V5, "rooms/+");
    assert_eq!(operator.message().json()["peers"].as_array().unwrap().len(), 2, "operators see what is going on");
    for number in 0..100 {
        alice.signal("lobby", "bob", &json!({"type": "candidate", "number": number}));
        assert_eq!(bob.expect(&["candidate"])["number"], number);
    }
    let metrics = broker.operator_get("/metrics");
    assert!(metrics.contains("\nduet_memory_short 1\n") || metrics.contains("\nduet_memory_short 2\n"), "{metrics}");

    drop(inside);
    let gone = Instant::now();
    while Client::hello(broker, &crowd(0)).1 != Some(0) {
        assert!(gone.elapsed() < PATIENCE, "nobody comes in any more");
    }
    promise::kept("memory-short", gone.elapsed());
    alice.nothing();
    assert!(broker.is_alive());
    broker.logs("memory is "); // short, or all but used up
    broker.logs("there is memory again");
}

#[test]
fn with_little_memory_nobody_comes_in_and_those_inside_go_on() {
    let flags = [&LARGE_WILLS[..], &["--max-memory=80MiB", "--log=info"]].concat();
    let mut broker = Broker::with(&flags, "");
    refuses_newcomers_and_recovers(&mut broker);
    assert!(most_resident(&broker) < 80 << 10, "{} KiB", most_resident(&broker));
}

#[test]
fn under_ulimit_v_nobody_comes_in_in_place_of_an_end() {
    // 128 MiB of these addresses glibc sets aside for the two threads beside the first one, and hardly uses.
    let limit = r#"ulimit -v 300000 && exec "$0" "$@""#;
    let within = ["sh", "-c", limit].map(str::to_owned).into();
    let way = Way { within, ..Way::flags(&[&LARGE_WILLS[..], &["--log=info"]].concat()) };
    refuses_newcomers_and_recovers(&mut Broker::launch(scratch_folder(), way));
}

#[test]
fn what_waits_for_many_who_do_not_read_is_bounded_in_all() {
    const SLOW: usize = 40;
    let flags = ["--max-waiting-bytes=4MiB", "--message-burst=10000", "--byte-burst=100MiB", "--log=warn"];
    let broker = Broker::with(&flags, "");
    // Each has told that it takes no second message before it has acknowledged the first, which it never does.
    let mut pairs: Vec<_> = (0..SLOW)
        .map(|number| {
            let (room, names) = (format!("room-{number}"), [format!("fast-{number}"), format!("slow-{number}")]);
            let mut fast = Client::peer(&broker, V5, &names[0]);
            let one = vec![Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap())];
            let (mut slow, _) = Client::hello(&broker, &Hello { properties: one, ..Hello::new(V5, &names[1]) });
            slow.subscribe(&format!("rooms/+/{}/+", names[1]), 1);
            fast.join(&room);
            slow.join(&room);
            fast.expect(&["arrived"]);
            slow.acknowledges = false;
            (room, fast, slow)
        })
        .collect();
    let waiting = || -> usize {
        let metrics = broker.operator_get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("duet_waiting_bytes "));
        line.unwrap().parse().unwrap()
    };
    let large = json!({"type": "offer", "sdp": "x".repeat(8000)}).to_string();
    let mut most = 0;
    for _ in 0..60 {
        for (room, fast, slow) in &mut pairs {
            fast.publish(&format!("rooms/{room}/{}/{}", slow.id, fast.id), &large, 1);
        }
        most = most.max(waiting());
    }
    assert!(most > 2 << 20, "much waits: {most}");
    assert!(most <= 4 << 20, "{most} bytes wait");
    // Somebody who reads is not hurt by it.
    let (mut alice, mut bob) = (Client::peer(&broker, V3, "alice"), Client::peer(&broker, V5, "bob"));
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    for number in 0..100 {
        alice.signal("lobby", "bob", &json!({"type": "candidate", "number": number, "text": "x".repeat(8000)}));
        assert_eq!(bob.expect(&["candidate"])["number"], number);
    }
    broker.ledger();
    drop(pairs);
}
