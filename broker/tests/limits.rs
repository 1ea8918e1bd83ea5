//! What the broker refuses and where it ends its patience: each limit through the front door, with
//! the answer that the client gets and what operators read of it.

mod support;

use serde_json::Value;
use support::Broker;
use support::client::{BOTH, Client, Hello, V3, V5};

/// An operator who reads what was refused.
fn auditor(broker: &Broker) -> Client {
    Client::operator(broker, V5, "$SYS/broker/audit")
}

/// The next refusal of this kind.
fn refused(auditor: &mut Client, what: &str) -> Value {
    loop {
        let message = auditor.message();
        assert!(!message.retain, "an event is not retained: {message:?}");
        let event = message.json();
        if event["what"] == what {
            return event;
        }
    }
}

/// How many refusals of this kind there have been.
fn count(broker: &Broker, what: &str) -> u64 {
    let metrics = broker.operator_get("/metrics");
    let line = format!("duet_refused_total{{what=\"{what}\"}} ");
    let value = metrics.lines().find_map(|text| text.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{line} in {metrics}")).parse().unwrap()
}

#[test]
fn every_refusal_is_counted_logged_and_told_to_operators() {
    let broker = Broker::start();
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut mallory = Client::peer(&broker, version, "mallory");
        mallory.publish("rooms/lobby/bob/alice", "{}", 1);
        assert_eq!(mallory.expect(&["error"])["code"], "forbidden");
        let event = refused(&mut auditor, "publish");
        assert_eq!(event["client"], "mallory", "{event}");
        assert!(event["why"].as_str().unwrap().contains("must be your own id"), "{event}");
        assert!(event["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{event}");
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["user"].is_null(), "{event}");
        assert!(mallory.subscribe("rooms/#", 0) >= 0x80);
        assert!(refused(&mut auditor, "subscribe")["why"].as_str().unwrap().contains("rooms/#"));
        mallory.publish("rooms/lobby/agent/mallory", vec![b' '; 70_000], 1);
        assert_eq!(refused(&mut auditor, "too-large")["client"], "mallory");

        let mut hello = Hello::new(version, "eve");
        hello.user = Some(("operator".into(), "a guessed password".into()));
        let (_, code) = Client::hello(&broker, &hello);
        assert!(code.is_some_and(|code| code != 0));
        let event = refused(&mut auditor, "connect");
        assert_eq!((&event["client"], &event["user"]), (&"eve".into(), &"operator".into()));
        assert!(!event.to_string().contains("guessed"), "{event}");

        let mut hello = Hello::new(version, "eve");
        hello.will = Some(("rooms/lobby/alice/eve".into(), "gone".into()));
        let (_, code) = Client::hello(&broker, &hello);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }));
        assert_eq!(refused(&mut auditor, "will")["client"], "eve");

        let mut noise = Client::connect(&broker, version, "noise");
        noise.raw(&[0xFF, 0xFF]);
        noise.ends();
        assert_eq!(refused(&mut auditor, "malformed")["client"], "noise");
        mallory.disconnect();
    }
    for (what, expected) in
        [("publish", 2), ("subscribe", 2), ("too-large", 2), ("connect", 2), ("will", 2), ("malformed", 2), ("rate", 0)]
    {
        assert_eq!(count(&broker, what), expected, "{what}");
    }
    let log = broker.logged();
    assert!(log.contains("audit: refused what=\"publish\"") && !log.contains("guessed"), "{log}");
}

#[test]
fn a_flood_of_refusals_is_told_in_part_and_counted_whole() {
    let broker = Broker::with(&["--message-burst=2000"], "");
    let mut auditor = auditor(&broker);
    let mut mallory = Client::connect(&broker, V3, "mallory");
    for _ in 0..1000 {
        mallory.publish("rooms/lobby/bob/alice", "{}", 0);
    }
    mallory.ping();
    assert_eq!(count(&broker, "publish"), 1000);
    let mut told = 0;
    auditor.ping();
    while !auditor.is_quiet() {
        auditor.message();
        told += 1;
    }
    assert!((100..=500).contains(&told), "{told} events");
}
