//! SUBSCRIBE and UNSUBSCRIBE, and what follows from them.

use super::wire::Wire;
use super::{lasting_client, open, options};
use crate::support::client::{BOTH, Client, V3, V5};
use mqtt_protocol_core::mqtt::packet::{Property, RetainHandling, SubscriptionIdentifier};

#[test]
fn each_filter_has_its_code_in_its_place() {
    let broker = open();
    for version in BOTH {
        let mut client = Wire::new(&broker, version, "client");
        let (no, wrong) = if version == V5 { (0x87, 0x8F) } else { (0x80, 0x80) };
        let filters = [("a", 2), ("rooms/#", 1), ("b/#/c", 0), ("c", 0), ("d/+", 1), ("a", 0)];
        assert_eq!(client.ask(0x82, 77, &filters), [2, no, wrong, 0, 1, 0]);
        let mut sender = Client::connect(&broker, version, "sender");
        for (topic, flags) in [("a", 0x30), ("c", 0x30), ("d/e", 0x32)] {
            sender.publish(topic, "x", 2);
            let publish = client.packet().unwrap();
            assert_eq!((publish[0], &publish[4..4 + topic.len()]), (flags, topic.as_bytes()), "the last of two counts");
        }
    }
}

#[test]
fn subscribing_again_replaces_and_interrupts_nothing() {
    let broker = open();
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish_with("a", "kept", 1, true, vec![]);
        sender.nothing();
        let mut client = Client::connect(&broker, version, "client");
        for qos in [1, 0, 2] {
            assert_eq!(client.subscribe("a", qos), qos);
            let kept = client.message();
            assert!(kept.retain && kept.payload == b"kept", "{kept:?}");
            sender.publish("a", "live", 2);
            assert_eq!(client.message().qos, qos);
            client.nothing();
        }
        client.unsubscribe("a");
        sender.publish("a", "x", 1);
        client.nothing();
        sender.publish_with("a", "", 1, true, vec![]);
        client.disconnect();
        sender.disconnect();
    }
}

#[test]
fn overlapping_subscriptions_deliver_once_with_the_highest_qos() {
    let broker = open();
    for version in BOTH {
        let mut client = Client::connect(&broker, version, "client");
        for (filter, qos) in [("a/+", 0), ("a/#", 2), ("#", 1), ("a/b", 0)] {
            client.subscribe(filter, qos);
        }
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish("a/b", "x", 2);
        assert_eq!(client.message().qos, 2);
        client.nothing();
        client.disconnect();
    }
}

#[test]
fn subscription_identifiers_come_with_what_they_answer() {
    let broker = open();
    let id = |number| Property::SubscriptionIdentifier(SubscriptionIdentifier::new(number).unwrap());
    let mut client = Client::connect(&broker, V5, "client");
    client.subscribe_with("a/+", options(0), vec![id(1)]);
    client.subscribe_with("a/#", options(1), vec![id(268_435_455)]);
    client.subscribe_with("#", options(1), vec![]);
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish("a/b", "x", 1);
    let found = client.message().properties;
    assert!(found.len() == 2 && found.contains(&id(1)) && found.contains(&id(268_435_455)), "{found:?}");
    sender.publish("b", "x", 1);
    assert_eq!(client.message().properties, []);
    client.subscribe_with("a/+", options(0), vec![id(2)]);
    client.unsubscribe("a/#");
    sender.publish("a/b", "x", 0);
    assert_eq!(client.message().properties, [id(2)], "a new one replaces it, and none is left of one that is gone");
}

#[test]
fn no_local_is_about_the_client_and_not_the_connection() {
    let broker = open();
    let mut client = lasting_client(&broker, V5, "client");
    client.subscribe_with("a", options(1).set_nl(true), vec![]);
    client.subscribe_with("b", options(1).set_nl(false), vec![]);
    client.disconnect();
    let (mut client, _) = Client::hello(&broker, &super::lasting(V5, "client"));
    client.publish("a", "mine", 1);
    client.publish("b", "mine", 1);
    assert_eq!(client.message().topic, "b");
    client.nothing();
    client.disconnect();
}

#[test]
fn retain_handling_decides_what_a_subscription_is_greeted_with() {
    let broker = open();
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish_with("a/1", "x", 1, true, vec![]);
    sender.nothing();
    let mut client = Client::connect(&broker, V5, "client");
    for (handling, is_new, greets) in [
        (RetainHandling::SendRetained, true, true),
        (RetainHandling::SendRetained, false, true),
        (RetainHandling::SendRetainedIfNotExists, true, true),
        (RetainHandling::SendRetainedIfNotExists, false, false),
        (RetainHandling::DoNotSendRetained, true, false),
        (RetainHandling::DoNotSendRetained, false, false),
    ] {
        if is_new {
            client.unsubscribe("a/+");
        }
        client.subscribe_with("a/+", options(1).set_rh(handling), vec![]);
        if greets {
            assert!(client.message().retain);
        }
        client.nothing();
    }
}

#[test]
fn the_retain_flag_goes_on_only_as_published_and_asked_for() {
    let broker = open();
    let mut plain = Client::connect(&broker, V5, "plain");
    plain.subscribe("a", 1);
    let mut old = Client::connect(&broker, V3, "old");
    old.subscribe("a", 1);
    let mut exact = Client::connect(&broker, V5, "exact");
    exact.subscribe_with("a", options(1).set_rap(true), vec![]);
    let mut sender = Client::connect(&broker, V5, "sender");
    for retain in [true, false] {
        sender.publish_with("a", "x", 1, retain, vec![]);
        let flags = [plain.message().retain, old.message().retain, exact.message().retain];
        assert_eq!(flags, [false, false, retain]);
    }
}

#[test]
fn retained_messages_are_replaced_removed_and_left_alone() {
    let broker = open();
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        let kept = |sender: &mut Client| {
            sender.nothing();
            let mut late = Client::connect(&broker, version, "late");
            late.subscribe("a", 2);
            let mut kept = Vec::new();
            late.ping();
            while !late.is_quiet() {
                let message = late.message();
                assert!(message.retain);
                kept.push((message.payload, message.qos));
                late.ping();
            }
            late.disconnect();
            kept
        };
        sender.publish_with("a", "1", 1, true, vec![]);
        sender.publish("a", "not kept", 1);
        assert_eq!(kept(&mut sender), [(b"1".to_vec(), 1)]);
        sender.publish_with("a", "2", 0, true, vec![]);
        assert_eq!(kept(&mut sender), [(b"2".to_vec(), 0)]);
        sender.publish_with("a", "3", 2, true, vec![]);
        assert_eq!(kept(&mut sender), [(b"3".to_vec(), 2)]);
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe_with("a", options(1), vec![]);
        reader.message();
        sender.publish_with("a", "", 1, true, vec![]);
        assert_eq!(reader.message().payload, b"", "an empty one is a message like any other");
        assert_eq!(kept(&mut sender), []);
        reader.disconnect();
        sender.disconnect();
    }
}

#[test]
fn unsubscribing_ends_exactly_what_it_names() {
    let broker = open();
    for version in BOTH {
        let mut client = Client::connect(&broker, version, "client");
        client.subscribe("a/+", 1);
        client.subscribe("a/b", 1);
        let gone = |code| (version == V5).then_some(code);
        assert_eq!(client.unsubscribe("a/#"), gone(0x11), "it matches, and is another");
        assert_eq!(client.unsubscribe("a/+"), gone(0));
        assert_eq!(client.unsubscribe("a/+"), gone(0x11));
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish("a/c", "x", 1);
        sender.publish("a/b", "y", 1);
        assert_eq!(client.message().payload, b"y");
        client.disconnect();
        // Several at once: one answer, a code for each in its place.
        let mut client = Wire::new(&broker, version, "client");
        client.ask(0x82, 8, &[("a/b", 1)]);
        let codes = client.ask(0xA2, 9, &[("x", 0), ("a/b", 0), ("y", 0)]);
        assert_eq!(codes, if version == V5 { vec![0x11, 0, 0x11] } else { vec![] });
        sender.publish("a/b", "x", 1);
        sender.nothing();
        assert!(client.is_quiet());
        sender.disconnect();
    }
}

#[test]
fn what_is_under_way_is_finished_after_unsubscribing() {
    let broker = open();
    for version in BOTH {
        let mut client = Wire::new(&broker, version, "client");
        client.ask(0x82, 1, &[("a", 2)]);
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish("a", "x", 2);
        let publish = client.packet().unwrap();
        let id = u16::from_be_bytes([publish[5], publish[6]]);
        client.ask(0xA2, 2, &[("a", 0)]);
        client.acknowledge(0x50, id);
        client.expect(0x62, id);
        client.acknowledge(0x70, id);
        assert!(client.is_quiet());
        sender.disconnect();
    }
}

#[test]
fn an_offline_session_keeps_what_matches_and_no_qos_0() {
    let broker = open();
    for version in BOTH {
        let mut client = lasting_client(&broker, version, "sleeper");
        client.subscribe("a/#", 2);
        client.disconnect();
        let mut sender = Client::connect(&broker, version, "sender");
        for (topic, qos) in [("a/0", 0), ("a/1", 1), ("b", 1), ("a/2", 2)] {
            sender.publish(topic, "x", qos);
        }
        sender.nothing();
        let (mut client, _) = Client::hello(&broker, &super::lasting(version, "sleeper"));
        let found = [client.message(), client.message()].map(|message| (message.topic, message.qos, message.dup));
        assert_eq!(found, [("a/1".to_owned(), 1, false), ("a/2".to_owned(), 2, false)]);
        client.nothing();
        client.disconnect();
    }
}
