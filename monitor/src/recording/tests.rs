//! What is written is read; what is none is said in words.

use super::*;
use crate::wire::{Input, Link, Message};
use agent::service::status::{Status, StoreStatus};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;

const HEADER: &str =
    r#"{"duet_recording":1,"started":"2026-11-22T10:00:00.000Z","broker":"mqtt://127.0.0.1","version":"0.1.0"}"#;

fn header() -> Header {
    Header::new(Timestamp::from_millis(1_790_000_000_000), "mqtt://127.0.0.1:1883")
}

fn status(count: u64, text: &str) -> Status {
    let store = StoreStatus { kind: text.into(), answers: true, requests: count, failures: 1, micros: count };
    let (agent, version) = (text.into(), text.into());
    Status { agent, version, uptime: count, connected: true, heard: count, allowed: 2, denied: 3, store }
}

fn written(inputs: &[Input], reveal: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, &header(), reveal).unwrap();
    inputs.iter().for_each(|input| writer.write(input).unwrap());
    out
}

fn read(text: &str) -> Vec<Result<Input, BadLine>> {
    Reader::new(text.as_bytes()).unwrap().collect()
}

fn error(text: &[u8]) -> String {
    Reader::new(text).unwrap_err().to_string()
}

fn message(payload: &[u8]) -> Input {
    let payload = bytes::Bytes::copy_from_slice(payload);
    Input::Message(Message {
        at: Timestamp::from_millis(1_790_000_000_001),
        topic: "rooms/a/b/c".into(),
        payload,
        qos: 2,
        retain: true,
    })
}

#[test]
fn a_file_that_is_no_recording_is_refused_in_words() {
    for (text, says) in [
        (&b""[..], "the recording is empty"),
        (b"\n", "line 1 is not like"),
        (b"\x7fELF\xff\x00", "no recording of the monitor"),
        (b"{\"at\":\"2026-11-22T10:00:00.000Z\"}\n", "duet_recording is missing"),
        (b"{\"duet_recording\":1}", "missing field `started`"),
        (
            b"{\"duet_recording\":2,\"beginning\":7}\n",
            "has version 2, this monitor reads version 1; use a newer monitor",
        ),
        (b"{\"duet_recording\":0}\n", "versions begin with 1"),
        (b"{\"duet_recording\":\"1\"}\n", "duet_recording is missing"),
    ] {
        let error = error(text);
        assert!(error.contains(says), "{text:?}: {error}");
    }
    let endless = std::io::BufReader::new(std::io::Read::take(std::io::repeat(b'x'), 40 << 20));
    assert!(Reader::new(endless).unwrap_err().to_string().contains("too long"));
    let missing = Reader::open(std::path::Path::new("no/such/file.ndjson")).unwrap_err().to_string();
    assert!(missing.starts_with("the recording no/such/file.ndjson: "), "{missing}");
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_rest_is_read() {
    let lines = [
        HEADER,
        r#"{"at":"2026-11-22T10:00:01.000Z","topic":"rooms/a/b/c","json":{"type":"ready"},"unknown":{"x":1}}"#,
        "no JSON",
        r#"{"at":"yesterday","topic":"x"}"#,
        r#"{"at":"2026-11-22T10:00:02.000Z"}"#,
        r#"{"at":"2026-11-22T10:00:02.000Z","topic":"x","text":"a","base64":"YQ=="}"#,
        r#"{"at":"2026-11-22T10:00:02.000Z","topic":"x","base64":"?"}"#,
        r#"{"at":"2026-11-22T10:00:02.000Z","topic":"x","qos":3}"#,
        r#"{"at":"2026-11-22T10:00:02.000Z","link":"broken"}"#,
        "",
        r#"{"at":"2026-11-22T10:00:03.000Z","link":"lost","why":"reset"}"#,
        r#"{"at":"2026-11-22T10:00:04.000Z","topic":"rooms/a/b/c","json":{"type":"rea"#,
    ];
    let read = read(&lines.join("\n"));
    let told: Vec<String> = read.iter().filter_map(|line| line.as_ref().err()).map(ToString::to_string).collect();
    for (error, says) in told.iter().zip([
        "line 3 of the recording: no object like",
        "line 4 of the recording: no object like {\"at\":…,\"topic\":…}: \"yesterday\" is no RFC 3339 time",
        "line 5 of the recording: nothing in it that happened",
        "line 6 of the recording: only one of json, text and base64",
        "line 7 of the recording: base64 is none",
        "line 8 of the recording: qos is 0, 1 or 2, not 3",
        "line 9 of the recording: link is connecting, connected, lost or refused, not \"broken\"",
        "line 12 of the recording: the recording ends in the middle of it",
    ]) {
        assert!(error.starts_with(says), "{error}");
    }
    assert_eq!((told.len(), read.len()), (8, 10));
    let bad = read.into_iter().find_map(Result::err).unwrap();
    assert_eq!(bad.at, "2026-11-22T10:00:01.000Z".parse_time(), "the time is that of the line before");
    assert!(matches!(Input::from(bad), Input::Unread { why, .. } if why.starts_with("line 3")));
}

trait ParseTime {
    fn parse_time(&self) -> Timestamp;
}

impl ParseTime for str {
    fn parse_time(&self) -> Timestamp {
        serde_json::from_str(&format!("{self:?}")).unwrap()
    }
}

#[test]
fn a_line_without_end_costs_no_memory_and_the_next_is_read() {
    let text =
        format!("{HEADER}\n\"{}\"\n{{\"at\":\"2026-11-22T10:00:01.000Z\",\"lost\":3}}\r\n", "x".repeat(17 << 20));
    let read = read(&text);
    assert!(read[0].as_ref().unwrap_err().why.contains("longer than"));
    assert!(matches!(read[1], Ok(Input::Lost { messages: 3, .. })));
}

#[test]
fn json_on_one_line_stands_as_it_came_and_all_else_is_kept_to_the_byte() {
    for (payload, as_what) in [
        (
            &b"{\"b\":1.0,\"a\":{\"type\" : \"x\"},\"a\":2e0}"[..],
            "\"json\":{\"b\":1.0,\"a\":{\"type\" : \"x\"},\"a\":2e0}",
        ),
        (b" {}", "\"text\":\" {}\""),
        (b"{\n}", "\"text\""),
        (b"ring", "\"text\":\"ring\""),
        (b"", "\"text\":\"\""),
        (b"\xff\xfe", "\"base64\":\"//4=\""),
        (b"null", "\"text\":\"null\""),
    ] {
        let text = String::from_utf8(written(&[message(payload)], true)).unwrap();
        assert!(text.contains(as_what), "{text}");
        assert_eq!(read(&text), [Ok(message(payload))], "{text}");
    }
}

#[test]
fn passwords_are_written_only_when_they_are_asked_for() {
    let input = message(br#"{"type":"joined","ice_servers":[{"username":"1:bob","credential":"geheim"}]}"#);
    let masked = String::from_utf8(written(std::slice::from_ref(&input), false)).unwrap();
    assert!(!masked.contains("geheim") && masked.contains("1:bob"), "{masked}");
    assert!(String::from_utf8(written(&[input], true)).unwrap().contains("geheim"));
    for url in ["mqtts://operator:geheim@example.org:8883", "operator:geheim@example.org"] {
        assert!(!Header::new(Timestamp::default(), url).broker.contains("geheim"), "{url}");
    }
}

#[test]
fn the_file_is_its_owners_alone_and_never_overwrites_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    let mut writer = Writer::create(&path, &header(), false).unwrap();
    writer.write(&Input::Link { at: Timestamp::default(), link: Link::Connected }).unwrap();
    writer.flush().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.header(), &header());
    assert_eq!(reader.count(), 1);
    let error = Writer::create(&path, &header(), false).unwrap_err().to_string();
    assert!(error.ends_with("is there already; give another name or remove it"), "{error}");
}

proptest! {
    #[test]
    fn reads_what_it_writes(
        millis in 0..4_000_000_000_000_u64,
        topic in "\\PC{0,20}",
        payload in prop_oneof![any::<Vec<u8>>(), "(\\{\"[a-z\\\\n]{0,3}\": ?[0-9]{1,20}\\}|\\PC{0,20})".prop_map(String::into_bytes)],
        qos in 0..3_u8,
        retain in any::<bool>(),
        why in "\\PC{0,20}",
    ) {
        let at = Timestamp::from_millis(millis);
        let inputs = [
            Input::Message(Message { at, topic: topic.into(), payload: payload.into(), qos, retain }),
            Input::Link { at, link: Link::Lost { why: why.clone() } },
            Input::Link { at, link: Link::Refused { why: why.clone() } },
            Input::Link { at, link: Link::Connecting },
            Input::Link { at, link: Link::Connected },
            Input::Lost { at, messages: millis },
            Input::Agent { at, url: why.as_str().into(), said: Box::new(Err(why.clone())) },
            Input::Agent { at, url: "http://127.0.0.1:8090".into(), said: Box::new(Ok(status(millis, &why))) },
            Input::Unread { at, why },
        ];
        let text = String::from_utf8(written(&inputs, true)).unwrap();
        prop_assert_eq!(text.lines().count(), inputs.len() + 1);
        let read: Vec<Input> = read(&text).into_iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, inputs);
        prop_assert_eq!(written(&[Input::Tick(at)], true), written(&[], true));
    }

    #[test]
    fn nothing_that_is_read_panics(lines in prop::collection::vec("(\\PC{0,30}|\\{(\"(at|topic|json|text|qos|link|lost)\":(\"\\PC{0,5}\"|[0-9]{1,4}|\\{\\}),?){0,4}\\})", 0..8)) {
        let text = format!("{HEADER}\n{}", lines.join("\n"));
        prop_assert!(read(&text).len() <= lines.len());
    }
}
