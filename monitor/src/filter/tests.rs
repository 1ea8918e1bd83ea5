//! The grammar, and what it finds.

use super::*;
use crate::model::{Bounds, Model};
use crate::wire::{Input, Message};
use proptest::prelude::*;
use protocol::Timestamp;

fn model() -> Model {
    let mut model = Model::new(Bounds::default());
    let state =
        r#"{"room":"Lobby","peers":[{"id":"cam-1","role":"created","info":{"kind":"camera"}},{"id":"bob"}],"rev":1}"#;
    let messages: [(&str, &[u8]); 6] = [
        ("rooms/Lobby", state.as_bytes()),
        ("rooms/Lobby/cam-1/bob", br#"{"type":"ready"}"#),
        ("rooms/Lobby/bob/cam-1", "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\nm=video 9 UDP/TLS/RTP/SAVPF 96\\r\\na=rtpmap:96 H264/90000 현관 ÄÖ\"}".as_bytes()),
        ("rooms/Lobby/events", br#"{"time":"2026-09-21T14:13:20.006Z","rev":9,"type":"refused","peer":"mallory","why":"not a member"}"#),
        ("rooms/Lobby/cam-1/bob", b"{\"type\":\"answer\"} \xff"),
        ("rooms/hall/agent/carol", br#"{"type":"join"}"#),
    ];
    for (topic, payload) in messages {
        let payload = bytes::Bytes::copy_from_slice(payload);
        model.take(Input::Message(Message {
            at: Timestamp::from_millis(1),
            topic: topic.into(),
            payload,
            qos: 0,
            retain: false,
        }));
    }
    model
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn rooms_pass_by_what_is_in_them() {
    let model = model();
    for (text, passing) in [
        ("", "Lobby hall"),
        ("room:lobby", "Lobby"),
        ("room:lob", ""),
        ("room:*O*b*", "Lobby"),
        ("room:\"l*y\"", ""),
        ("peer:cam*", "Lobby"),
        ("peer:mallory", "Lobby"),
        ("peer:carol,bob", "Lobby hall"),
        ("kind:camera", "Lobby"),
        ("!kind:camera", "hall"),
        ("type:offer", "Lobby"),
        ("type:offer,join", "Lobby hall"),
        ("type:offer type:join", ""),
        ("type:malformed", "Lobby"),
        ("text:h264", "Lobby"),
        ("text:sdp*H264", "Lobby"),
        ("text:H264*sdp", ""),
        ("text:현관", "Lobby"),
        ("text:äö", "Lobby"),
        ("!text:H264", "hall"),
        ("phase:waiting", "hall"),
        ("phase:*ing", "Lobby hall"),
        ("refused", "Lobby"),
        ("!refused", "hall"),
        ("!refused room:lobby", ""),
        ("\"not a member\"", "Lobby"),
        ("camera", "Lobby"),
        ("nothing-of-the-kind", ""),
        ("!nothing-of-the-kind", "Lobby hall"),
    ] {
        let filter = filter(text);
        let names: Vec<&str> = model.rooms().filter(|room| filter.room(room)).map(Room::name).collect();
        assert_eq!(names.join(" "), passing, "{text}");
    }
}

#[test]
fn messages_pass_by_themselves_and_by_their_room() {
    let model = model();
    let room = model.room("Lobby").unwrap();
    for (text, passing) in [
        ("", "ready offer refused malformed"),
        ("type:offer", "offer"),
        ("!type:offer,ready", "refused malformed"),
        ("peer:mallory", "refused"),
        ("kind:camera", "ready offer malformed"),
        ("room:lobby phase:negotiating type:ready", "ready"),
        ("room:hall", ""),
        ("phase:failed", ""),
        ("!refused", "ready offer malformed"),
        ("text:H264", "offer"),
    ] {
        let filter = filter(text);
        let kinds: Vec<&str> =
            room.ladder().iter().filter(|entry| filter.entry(room, entry)).map(|entry| entry.what.kind()).collect();
        assert_eq!(kinds.join(" "), passing, "{text}");
    }
}

#[test]
fn events_pass_by_themselves_and_by_their_room() {
    let model = model();
    let line = model.events().lines().front().unwrap();
    let room = model.room("Lobby");
    for text in
        ["", "room:lobby", "peer:mallory", "type:refused", "text:member", "member phase:negotiating", "!type:left"]
    {
        assert!(filter(text).event(line, room), "{text}");
    }
    for text in ["room:hall", "peer:bob", "type:left", "!refused", "phase:failed"] {
        assert!(!filter(text).event(line, room), "{text}");
    }
}

#[test]
fn errors_say_where_and_what_would_be_right() {
    for (text, at, says) in [
        ("rom:lobby", 1, "no key \"rom\"; keys are room, peer, kind, type, text, phase, finding"),
        ("room:lobby  web:7f3a", 13, "in quotes"),
        ("room:", 6, "like room:lobby"),
        ("type:offer, peer:bob", 12, "like type:offer"),
        ("peer:bob !", 10, "like !refused"),
        ("현관 \"two words", 4, "not closed"),
        ("phase:conected", 7, "failed, negotiating, waiting, connected, idle, ended"),
        (",", 1, "comma"),
        ("!phase:\"*\"", 8, "no phase"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    assert!(Filter::parse(&"x".repeat(Filter::MAX_BYTES + 1)).unwrap_err().what.contains("1024"));
}

#[test]
fn letters_that_depend_on_their_neighbours_are_found() {
    assert!(filter("text:\"ΟΔΟΣ\"").terms[0].patterns[0].matches("ΟΔΟΣΑ".as_bytes()));
}

#[test]
fn text_with_a_colon_stands_in_quotes() {
    assert!(Filter::parse("\"a=setup:active\"").is_ok());
    assert!(Filter::parse("text:a=setup:active").is_ok(), "after a key, colons are text");
    assert!(Filter::parse("peer:web:7f3a").is_ok());
}

proptest! {
    #[test]
    fn nothing_panics_and_errors_lie_within(text in "\\PC{0,40}", likely in "((!|)(room|type|phase|x|):?[\"*a,\\\\]{0,3} ?){0,5}") {
        let model = model();
        for text in [text, likely] {
            match Filter::parse(&text) {
                Ok(filter) => {
                    for room in model.rooms() {
                        filter.room(room);
                        room.ladder().iter().for_each(|entry| { filter.entry(room, entry); });
                    }
                    prop_assert_eq!(filter.to_string(), text);
                }
                Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.at), "{}: {}", text, error),
            }
        }
    }

    #[test]
    fn whatever_is_quoted_finds_itself(word in "[^\\pC]{1,12}") {
        let quoted = format!("text:\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
        let pattern = &filter(&quoted).terms[0].patterns[0];
        let around = format!("before{word}after");
        prop_assert!(pattern.matches(around.as_bytes()), "{}", quoted);
    }

    #[test]
    fn globs_agree_with_the_plain_definition(pattern in "[ab*]{1,8}", text in "[abAB]{0,12}") {
        fn plain(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|at| plain(rest, &text[at..])),
                Some((c, rest)) => text.first().is_some_and(|t| t.eq_ignore_ascii_case(c)) && plain(rest, &text[1..]),
            }
        }
        let parsed = filter(&format!("room:{pattern}"));
        prop_assert_eq!(parsed.terms[0].patterns[0].matches(text.as_bytes()), plain(pattern.as_bytes(), text.as_bytes()));
    }
}
