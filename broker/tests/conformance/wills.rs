//! Wills.

use super::{lasting, open};
use crate::support::client::{BOTH, Client, Hello, V5};
use mqtt_protocol_core::mqtt::packet::{ContentType, Property, Qos, UserProperty, WillDelayInterval};

fn hello(version: mqtt_protocol_core::mqtt::Version) -> Hello {
    let mut hello = Hello::new(version, "mortal");
    hello.will = Some(("gone".into(), "bye".into()));
    hello
}

#[test]
fn a_will_has_its_qos_and_is_kept_only_if_it_says_so() {
    let broker = open();
    for version in BOTH {
        for qos in 0..=2 {
            for retain in [false, true] {
                let mut heir = Client::connect(&broker, version, "heir");
                heir.subscribe("gone", 2);
                let mut hello = hello(version);
                (hello.will_qos, hello.will_retain) = (Qos::try_from(qos).unwrap(), retain);
                let (mut mortal, _) = Client::hello(&broker, &hello);
                mortal.ping();
                mortal.lose();
                let message = heir.message();
                assert_eq!((message.qos, message.retain, &*message.payload), (qos, false, &b"bye"[..]));
                let mut late = Client::connect(&broker, version, "late");
                late.subscribe("gone", 2);
                if retain {
                    assert!(late.message().retain);
                }
                late.nothing();
                late.publish_with("gone", "", 1, true, vec![]);
                assert_eq!(late.message().payload, b"", "nothing is kept any more");
                late.disconnect();
                heir.disconnect();
            }
        }
    }
}

#[test]
fn a_will_is_sent_once_and_not_by_who_has_none() {
    let broker = open();
    for version in BOTH {
        let mut heir = Client::connect(&broker, version, "heir");
        heir.subscribe("gone", 1);
        Client::hello(&broker, &hello(version)).0.lose();
        heir.message();
        // The next connection has none, and nothing is left of the earlier one.
        Client::connect(&broker, version, "mortal").lose();
        heir.nothing();
        Client::hello(&broker, &hello(version)).0.disconnect();
        heir.nothing();
        // A violation is a loss too.
        let (mut mortal, _) = Client::hello(&broker, &hello(version));
        mortal.raw(&[0xC1, 0]);
        mortal.ends();
        assert_eq!(heir.message().payload, b"bye");
        heir.nothing();
        heir.disconnect();
    }
}

#[test]
fn a_delayed_will_is_not_sent_when_its_client_is_back_in_its_session() {
    let broker = open();
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone", 1);
    let mut mortal = hello(V5);
    (mortal.clean, mortal.properties) = (false, lasting(V5, "mortal").properties);
    mortal.will_properties = vec![Property::WillDelayInterval(WillDelayInterval::new(30).unwrap())];
    let (first, _) = Client::hello(&broker, &mortal);
    // A take-over, in the same session.
    let (second, _) = Client::hello(&broker, &mortal);
    drop(first);
    heir.nothing();
    second.lose();
    // One that begins another session ends the earlier one, and with it the delay.
    mortal.clean = true;
    let (third, _) = Client::hello(&broker, &mortal);
    assert_eq!(heir.message().payload, b"bye");
    third.disconnect();
    heir.nothing();
}

#[test]
fn a_will_has_its_properties_in_their_order() {
    let broker = open();
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone", 1);
    let user = |value: &str| Property::UserProperty(UserProperty::new("k", value).unwrap());
    let properties =
        vec![user("2"), user("1"), Property::ContentType(ContentType::new("text/plain").unwrap()), user("2")];
    let mut mortal = hello(V5);
    mortal.will_properties = properties.clone();
    Client::hello(&broker, &mortal).0.lose();
    assert_eq!(heir.message().properties, properties);
}
