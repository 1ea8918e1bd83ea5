//! Topic names and filters.

use super::open;
use crate::support::client::{BOTH, Client, V5};

#[test]
fn filters_match_by_levels() {
    let broker = open();
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        for (filter, topic, matches) in [
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "/", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("+/b/#", "a/b", true),
            ("a/+/c", "a//c", true),
            ("a", "A", false),
            ("a", "a ", false),
            ("a/", "a", false),
            // No normalisation: e with an accent, composed and not.
            ("\u{E9}", "e\u{301}", false),
            ("\u{FEFF}a", "a", false),
            ("\u{FEFF}a", "\u{FEFF}a", true),
            ("현관/+", "현관/😀", true),
        ] {
            let mut reader = Client::connect(&broker, version, "reader");
            assert_eq!(reader.subscribe(filter, 0), 0, "{filter}");
            sender.publish(topic, "x", 0);
            sender.nothing();
            if matches {
                assert_eq!(reader.message().topic, topic, "{filter}");
            }
            reader.nothing();
            reader.disconnect();
        }
        sender.disconnect();
    }
}

#[test]
fn filters_that_are_none_are_refused() {
    let broker = open();
    for version in BOTH {
        let mut client = Client::connect(&broker, version, "client");
        for filter in ["a/#/b", "#/a", "a#", "a/b#", "a+", "+a/b", "a/+b", "##", "++"] {
            assert_eq!(client.subscribe(filter, 0), if version == V5 { 0x8F } else { 0x80 }, "{filter}");
        }
        client.disconnect();
    }
}

#[test]
fn topics_with_a_dollar_are_hidden_from_wildcards_in_front() {
    let broker = open();
    for version in BOTH {
        let mut watcher = Client::operator(&broker, version, "#");
        watcher.subscribe("+/broker/uptime", 0);
        let mut client = Client::connect(&broker, version, "client");
        client.subscribe("#", 0);
        client.subscribe("+/broker/uptime", 0);
        client.publish("a", "x", 0);
        // A figure is published every second; what comes is what was published, and nothing of those.
        assert_eq!((watcher.message().topic.as_str(), client.message().topic.as_str()), ("a", "a"));
        watcher.subscribe("$SYS/broker/uptime", 0);
        assert_eq!(watcher.message().topic, "$SYS/broker/uptime");
        client.ping();
        assert!(client.is_quiet());
        client.disconnect();
        watcher.disconnect();
    }
}

#[test]
fn topics_may_be_as_long_as_they_can_be() {
    let broker = open();
    for version in BOTH {
        let mut reader = Client::connect(&broker, version, "reader");
        let topic = "x".repeat(65_535);
        assert_eq!(reader.subscribe(&topic, 0), 0);
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish(&topic, "x", 0);
        assert_eq!(reader.message().topic, topic);
        reader.disconnect();
        sender.disconnect();
    }
}

#[test]
fn an_alias_is_its_connections_own() {
    let broker = open();
    let mut reader = Client::connect(&broker, V5, "reader");
    reader.subscribe("#", 0);
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.raw(b"\x30\x08\x00\x01a\x03\x23\x00\x011");
    sender.raw(b"\x30\x07\x00\x00\x03\x23\x00\x012");
    // Another topic takes the alias over.
    sender.raw(b"\x30\x08\x00\x01b\x03\x23\x00\x013");
    sender.raw(b"\x30\x07\x00\x00\x03\x23\x00\x014");
    let found: Vec<_> = (0..4).map(|_| reader.message()).map(|m| (m.topic, m.payload, m.properties.len())).collect();
    let expected = [("a", b"1"), ("a", b"2"), ("b", b"3"), ("b", b"4")];
    assert_eq!(found, expected.map(|(topic, payload)| (topic.to_owned(), payload.to_vec(), 0)));
    sender.disconnect();
    let mut again = Client::connect(&broker, V5, "sender");
    again.raw(b"\x30\x07\x00\x00\x03\x23\x00\x015");
    assert!(again.ends().is_some_and(|code| code >= 0x80), "the next connection has none");
    reader.nothing();
}
