//! Nothing is lost without being counted: whatever the broker has accepted it has delivered, refused or dropped,
//! or it waits.

mod support;

use mqtt_protocol_core::mqtt::packet::{
    MaximumPacketSize, MessageExpiryInterval, Property, ReceiveMaximum, SessionExpiryInterval,
};
use serde_json::json;
use support::Broker;
use support::client::{BOTH, Client, Hello, V3, V5};
use support::ledger::Ledger;

const OPEN: &str = "[[access.topics]]\nfilter = \"#\"\n";

#[test]
fn an_exchange_between_two_is_counted_message_by_message() {
    let broker = Broker::start();
    let mut alice = Client::peer(&broker, V5, "alice");
    let mut bob = Client::peer(&broker, V5, "bob");
    alice.join("lobby"); // 1 to the agent, 1 answer
    bob.join("lobby"); // 1 to the agent, 1 arrived, 1 answer
    alice.expect(&["arrived"]);
    for _ in 0..10 {
        alice.signal("lobby", "bob", &json!({"type": "ring"})); // 1
        bob.expect(&["ring"]);
    }
    assert_eq!(alice.signal("lobby", "carol", &json!({"type": "ring"})), Some(0x87)); // 1 refused, 1 error
    alice.expect(&["error"]);
    assert_eq!(broker.settled(), Ledger { accepted: 17, delivered: 16, refused: 1, dropped: 0, waiting: 0 });
}

#[test]
fn whatever_happens_to_messages_is_counted() {
    let broker = Broker::with(&["--queue-messages", "50"], OPEN);
    // An operator that reads nothing: its queue is full soon.
    let _watcher = Client::operator(&broker, V5, "#");
    let mut sender = Client::connect(&broker, V5, "sender");
    for version in BOTH {
        // Fan-out, retained, and nobody who listens.
        let mut readers: Vec<Client> =
            (0..5).map(|n| Client::connect(&broker, version, &format!("reader-{n}"))).collect();
        readers.iter_mut().for_each(|reader| assert_eq!(reader.subscribe("a/+", 1), 1));
        for qos in 0..=2 {
            sender.publish_with("a/b", "x", qos, true, vec![]);
            sender.publish("nobody", "x", qos);
            readers.iter_mut().for_each(|reader| assert_eq!(reader.message().payload, b"x"));
        }
        broker.ledger();
        // One that acknowledges nothing, and is lost; one that reads nothing; one that was lost before.
        readers[0].acknowledges = false;
        for _ in 0..20 {
            sender.publish("a/b", "x", 1);
        }
        readers.into_iter().for_each(Client::lose);
        broker.ledger();
    }
    // Larger than its receiver takes, expired, and more than a queue or a session keeps.
    let mut small = Hello::new(V5, "small");
    small.properties = vec![
        Property::MaximumPacketSize(MaximumPacketSize::new(50).unwrap()),
        Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap()),
    ];
    let (mut small, _) = Client::hello(&broker, &small);
    small.subscribe("a/b", 1);
    small.acknowledges = false;
    let mut sleeper = Hello::new(V5, "sleeper");
    sleeper.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
    let (mut sleeps, _) = Client::hello(&broker, &sleeper);
    sleeps.subscribe("a/b", 1);
    sleeps.disconnect();
    let soon = vec![Property::MessageExpiryInterval(MessageExpiryInterval::new(1).unwrap())];
    for number in 0..150 {
        sender.publish_with("a/b", "x".repeat(number), (number % 2) as u8, false, soon.clone());
    }
    sender.nothing();
    assert!(broker.ledger().waiting > 0, "a session waits with its messages");
    // A session that nobody comes back to; it has run out when the account is settled.
    let mut forgetful = Hello::new(V5, "forgetful");
    forgetful.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(1).unwrap())];
    let (mut forgets, _) = Client::hello(&broker, &forgetful);
    forgets.subscribe("a/b", 1);
    forgets.lose();
    sender.publish("a/b", "for nobody", 1);
    sleeper.clean = true;
    Client::hello(&broker, &sleeper).0.disconnect();
    small.lose();
    // A room: signals to one who is away, to one who never comes back, and refused ones; and a will.
    let mut alice = Client::peer(&broker, V3, "alice");
    let mut bob = Client::peer(&broker, V5, "bob");
    alice.join("lobby");
    bob.join("lobby");
    let mut mortal = Hello::new(V3, "mortal");
    mortal.will = Some(("a/b".into(), "bye".into()));
    Client::hello(&broker, &mortal).0.lose();
    bob.lose();
    for _ in 0..120 {
        alice.signal("lobby", "bob", &json!({"type": "ring"}));
    }
    alice.publish("rooms/lobby/bob/mallory", "{}", 1);
    alice.expect(&["arrived"]);
    alice.expect(&["error"]);
    broker.ledger();
    alice.disconnect();
    let ledger = broker.settled();
    assert!(ledger.refused > 0 && ledger.dropped > 150, "{ledger:?}");
}
