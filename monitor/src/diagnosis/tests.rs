//! Scenarios as data: what is said when, and which rules fire. Recordings of real runs are in `fixtures/`.

use super::{Finding, Severity};
use crate::model::{Bounds, Model};
use crate::wire::{Input, Link, Message};
use protocol::Timestamp;
use serde_json::{Value, json};

const ROOM: &str = "lobby";

/// A description of one m-line of video.
fn sdp(ufrag: &str, more: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{more}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:********************22\r\na=fingerprint:sha-256 49:66\r\na=rtcp-mux\r\n\
         a=rtpmap:96 VP8/90000\r\n"
    )
}

fn offer(ufrag: &str) -> Value {
    json!({"type": "offer", "sdp": sdp(ufrag, "a=setup:actpass\r\n")})
}

fn answer(ufrag: &str) -> Value {
    json!({"type": "answer", "sdp": sdp(ufrag, "a=setup:active\r\n")})
}

fn candidate(ufrag: &str, address: &str, kind: &str) -> Value {
    let line = format!("candidate:1 1 udp 1 {address} 50000 typ {kind} ufrag {ufrag}");
    json!({"type": "candidate", "candidate": {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}})
}

fn state(connection: &str) -> Value {
    json!({"type": "state", "connection": connection})
}

/// A room that is watched; time is in milliseconds since its beginning.
struct Scene {
    model: Model,
    at: u64,
}

impl Scene {
    fn new() -> Self {
        let mut model = Model::new(Bounds::default());
        model.take(Input::Link { at: Timestamp::default(), link: Link::Connected });
        Self { model, at: 1_790_000_000_000 }
    }

    /// `to/from` and what is said.
    fn say(mut self, ends: &str, message: Value) -> Self {
        self.at += 10;
        let topic = format!("rooms/{ROOM}/{ends}").into();
        let payload = message.to_string().into();
        let at = Timestamp::from_millis(self.at);
        self.model.take(Input::Message(Message { at, topic, payload, qos: 1, retain: false }));
        self
    }

    fn after(mut self, millis: u64) -> Self {
        self.at += millis;
        self.model.take(Input::Tick(Timestamp::from_millis(self.at)));
        self
    }

    /// The connection to the broker is lost and comes back: something may have been missed.
    fn gap(mut self) -> Self {
        let at = Timestamp::from_millis(self.at);
        self.model.take(Input::Link { at, link: Link::Lost { why: "gone".into() } });
        self.model.take(Input::Link { at, link: Link::Connected });
        self
    }

    /// alice creates, bob joins.
    fn two() -> Self {
        Self::two_with(json!([]))
    }

    fn two_with(servers: Value) -> Self {
        let alice = json!({"type": "created", "v": 1, "room": ROOM, "you": "alice", "ice_servers": servers, "resumed": false, "rev": 1});
        let bob = json!({"type": "joined", "v": 1, "room": ROOM, "you": "bob", "peer": {"id": "alice"}, "ice_servers": servers, "resumed": false, "rev": 2});
        Self::new()
            .say("agent/alice", json!({"type": "join"}))
            .say("alice/agent", alice)
            .say("agent/bob", json!({"type": "join"}))
            .say("bob/agent", bob)
            .say("alice/agent", json!({"type": "arrived", "peer": {"id": "bob"}, "rev": 2}))
    }

    /// They agree; each has one candidate.
    fn agreed(self, hers: (&str, &str), his: (&str, &str)) -> Self {
        self.say("alice/bob", json!({"type": "ready"}))
            .say("bob/alice", offer("aaaa"))
            .say("bob/alice", candidate("aaaa", hers.0, hers.1))
            .say("alice/bob", answer("bbbb"))
            .say("alice/bob", candidate("bbbb", his.0, his.1))
    }

    fn findings(mut self) -> Vec<Finding> {
        self.model.take(Input::Tick(Timestamp::from_millis(self.at)));
        self.model.room(ROOM).map(|room| room.findings().to_vec()).unwrap_or_default()
    }

    #[track_caller]
    fn says(self, expected: &[(&str, Severity)]) {
        let findings = self.findings();
        let said: Vec<(&str, Severity)> = findings.iter().map(|finding| (finding.rule, finding.severity)).collect();
        assert_eq!(said, expected, "{findings:#?}");
    }
}

use Severity::{Error, Note, Warning};
const HOST: (&str, &str) = ("127.0.0.1", "host");

#[test]
fn a_call_that_began_before_the_monitor_is_not_judged_by_what_was_missed() {
    Scene::new().say("alice/bob", answer("bbbb")).say("alice/bob", candidate("cccc", "127.0.0.1", "host")).says(&[]);
    Scene::new().say("alice/bob", candidate("bbbb", "127.0.0.1", "host")).after(60_000).says(&[]);
    Scene::two().say("bob/alice", offer("aaaa")).gap().say("alice/bob", answer("bbbb")).after(60_000).says(&[]);
    Scene::two().gap().after(60_000).says(&[]);
}

#[test]
fn time_that_passes_after_a_call_is_over_accuses_nobody() {
    let left = json!({"type": "left", "peer": "bob", "reason": "left", "rev": 3});
    Scene::two().say("bob/alice", offer("aaaa")).say("alice/agent", left).after(60_000).says(&[]);
    Scene::two().agreed(HOST, HOST).say("bob/alice", json!({"type": "bye"})).after(60_000).says(&[]);
}

#[test]
fn an_offer_waits_five_seconds_from_when_it_was_first_made() {
    Scene::two().say("bob/alice", offer("aaaa")).after(4_980).says(&[]);
    Scene::two().say("bob/alice", offer("aaaa")).after(5_000).says(&[("offer-without-answer", Error)]);
    let again = Scene::two().say("bob/alice", offer("aaaa")).after(3_000).say("bob/alice", offer("aaaa"));
    again.after(2_000).says(&[("offer-without-answer", Error)]);
}

#[test]
fn one_that_is_away_is_not_to_blame() {
    let away = json!({"type": "away", "peer": "bob", "time": "2026-09-21T14:13:21.000Z", "rev": 3});
    let scene = Scene::two().say("bob/alice", offer("aaaa")).say("events", away).after(5_000);
    let findings = scene.findings();
    let offer = findings.iter().find(|finding| finding.rule == "offer-without-answer").unwrap();
    assert_eq!(offer.severity, Warning);
    assert!(offer.means.contains("lost its connection"), "{}", offer.means);
}

#[test]
fn an_answer_said_twice_is_no_second_answer_but_another_one_is() {
    let twice = || Scene::two().agreed(HOST, HOST);
    twice().say("alice/bob", answer("bbbb")).says(&[]);
    twice().say("alice/bob", answer("cccc")).says(&[("answer-without-offer", Error)]);
}

#[test]
fn glare_names_who_yields_and_notices_who_did_not() {
    let both = || Scene::two().say("bob/alice", offer("aaaa")).say("alice/bob", offer("bbbb"));
    let findings = both().say("alice/bob", answer("cccc")).findings();
    assert_eq!((findings[0].rule, findings[0].severity), ("glare", Note));
    assert!(findings[0].seen.contains("bob joined, so it yields and answers; bob answered"), "{}", findings[0].seen);
    let findings = both().say("bob/alice", answer("cccc")).findings();
    assert_eq!((findings[0].rule, findings[0].severity), ("glare", Warning), "the one that created yielded");
    let findings = both().say("alice/bob", answer("cccc")).say("bob/alice", answer("dddd")).findings();
    assert!(findings.iter().any(|f| f.rule == "glare" && f.severity == Error && f.seen.contains("both answered")));
    // What comes long after the glare is another exchange.
    let later = both().say("alice/bob", answer("cccc")).after(6_000).say("alice/bob", offer("eeee"));
    later.say("bob/alice", answer("ffff")).says(&[("glare", Note)]);
}

#[test]
fn nothing_is_said_of_networks_while_a_call_is_connected() {
    for pair in [
        (("192.168.1.7", "host"), ("192.168.178.7", "host")),
        (("4f5b9c3e-1.local", "host"), HOST),
        (("203.0.113.1", "host"), ("2001:db8::1", "host")),
    ] {
        let scene = || Scene::two().agreed(pair.0, pair.1);
        scene().say("agent/bob", state("connected")).after(60_000).says(&[]);
        assert!(!scene().say("agent/bob", state("failed")).findings().is_empty(), "{pair:?}");
        scene().after(9_900).says(&[]);
    }
}

#[test]
fn addresses_that_everybody_reaches_or_that_share_a_network_are_no_trouble() {
    for pair in [
        (("192.168.1.7", "host"), ("8.8.4.4", "host")),
        (("192.168.1.7", "host"), ("192.168.1.9", "host")),
        (("192.168.1.7", "host"), ("203.0.113.9", "srflx")),
    ] {
        let findings = Scene::two().agreed(pair.0, pair.1).say("agent/bob", state("failed")).findings();
        let rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["failed-never-connected"], "{pair:?}");
    }
}

#[test]
fn a_relay_is_missed_only_when_there_is_one_and_time_was_given() {
    let turn = || json!([{"urls": ["turn:192.0.2.1:3478"], "username": "1999999999:x", "credential": "y"}]);
    Scene::two_with(turn()).agreed(HOST, HOST).after(9_000).says(&[]);
    let relays = (("192.0.2.1", "relay"), ("192.0.2.1", "relay"));
    Scene::two_with(turn()).agreed(relays.0, relays.1).say("agent/bob", state("connected")).after(60_000).says(&[]);
    let late = Scene::two_with(turn()).agreed(HOST, relays.1).say("agent/bob", state("connected")).after(60_000);
    late.says(&[("no-relay-although-turn", Note)]);
    Scene::two().agreed(HOST, HOST).say("agent/bob", state("connected")).after(60_000).says(&[]);
}

#[test]
fn credentials_are_judged_by_the_clock_that_hands_them_out() {
    // The room begins at second 1,790,000,000.
    let turn =
        |expiry: &str| json!([{"urls": ["turns:t.example.org"], "username": format!("{expiry}:x"), "credential": "y"}]);
    Scene::two_with(turn("1789999990"))
        .says(&[("turn-credentials-expired", Error), ("turn-credentials-expired", Error)]);
    Scene::two_with(turn("1790000010")).says(&[]);
    let late = Scene::two_with(turn("1790000010")).after(11_000).say("bob/alice", offer("aaaa"));
    late.says(&[("turn-credentials-expired", Warning)]);
    let fresh = json!({"type": "ice-servers", "ice_servers": turn("1790009999"), "rev": 3});
    Scene::two_with(turn("1790000010"))
        .after(5_000)
        .say("alice/agent", fresh)
        .after(11_000)
        .say("bob/alice", offer("aaaa"))
        .says(&[]);
    Scene::two_with(turn("static-name")).says(&[]);
}

#[test]
fn two_lite_sides_and_a_passive_lite_side_are_told_apart() {
    let lite = |kind: &str, setup: &str| json!({"type": kind, "sdp": sdp("aaaa", &format!("a=ice-lite\r\na=setup:{setup}\r\n"))});
    let findings =
        Scene::two().say("bob/alice", lite("offer", "actpass")).say("alice/bob", lite("answer", "passive")).findings();
    assert_eq!((findings[0].rule, findings[0].severity), ("ice-lite-role", Error));
    Scene::two().say("bob/alice", lite("offer", "actpass")).say("alice/bob", answer("bbbb")).says(&[]);
    Scene::two().say("bob/alice", offer("aaaa")).say("alice/bob", lite("answer", "passive")).says(&[]);
    Scene::two()
        .say("bob/alice", offer("aaaa"))
        .say("alice/bob", lite("answer", "active"))
        .says(&[("ice-lite-role", Warning)]);
}

#[test]
fn media_without_dtls_is_told_and_a_refused_m_line_needs_nothing() {
    let changed = |from: &str, to: &str| {
        let text = sdp("bbbb", "a=setup:active\r\n").replace(from, to);
        Scene::two().say("bob/alice", offer("aaaa")).say("alice/bob", json!({"type": "answer", "sdp": text}))
    };
    changed("UDP/TLS/RTP/SAVPF", "RTP/AVP").says(&[("fingerprint-missing", Error)]);
    changed("a=mid:0", "a=mid:video").says(&[("m-line-mismatch", Error)]);
    changed("m=video 9 UDP/TLS/RTP/SAVPF 96", "m=video 0 UDP/TLS/RTP/SAVPF 0").says(&[("media-refused", Warning)]);
    changed("a=rtpmap:96 VP8", "a=rtpmap:96 H265").says(&[("no-codec-in-common", Error)]);
    changed("a=setup:active", "a=setup:passive").says(&[]);
}

#[test]
fn a_reloaded_page_begins_anew() {
    let created = json!({"type": "joined", "v": 1, "room": ROOM, "you": "bob", "peer": {"id": "alice"}, "ice_servers": [], "resumed": true, "rev": 4});
    let scene = Scene::two().agreed(HOST, HOST).say("agent/bob", state("connected")).after(5_000);
    let scene =
        scene.say("bob/agent", created).say("alice/bob", json!({"type": "ready"})).say("bob/alice", offer("cccc"));
    scene.say("alice/bob", answer("dddd")).say("alice/bob", candidate("dddd", "127.0.0.1", "host")).says(&[]);
}

#[test]
fn a_signal_that_crossed_with_leaving_is_no_trespass_and_a_later_one_is() {
    let left = || json!({"type": "left", "peer": "bob", "reason": "left", "rev": 3});
    let error =
        || json!({"type": "error", "code": "not-a-member", "message": "bob is not in lobby with you", "rev": 4});
    let event = || json!({"type": "refused", "peer": "alice", "why": "not-a-member: bob is not in lobby", "time": "2026-09-21T14:13:21.000Z", "rev": 4});
    Scene::two().say("alice/agent", left()).say("alice/agent", error()).say("events", event()).says(&[]);
    let late = Scene::two().say("alice/agent", left()).after(4_000);
    let findings = late.say("alice/agent", error()).say("events", event()).say("events", event()).findings();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].seen.contains("refused twice"), "{}", findings[0].seen);
}

#[test]
fn clocks_may_be_corrected_a_little_and_events_may_overtake() {
    let event = |rev: u64, time: &str| json!({"type": "created", "peer": "alice", "time": format!("2026-09-21T14:13:{time}Z"), "rev": rev});
    Scene::new().say("events", event(1, "20.400")).say("events", event(2, "20.000")).says(&[]);
    Scene::new().say("events", event(2, "20.000")).say("events", event(1, "10.000")).says(&[]);
    Scene::new()
        .say("events", event(1, "20.000"))
        .say("events", event(2, "10.000"))
        .says(&[("clock-backwards", Warning)]);
}

#[test]
fn words_of_peers_are_harmless_in_findings() {
    let why = json!({"type": "error", "code": "forbidden", "message": "\u{1b}[31m of 192.0.2.77", "rev": 3});
    let findings = Scene::two().say("bob/agent", why).findings();
    assert!(findings[0].seen.ends_with("␛[31m of 192.0.x.x"), "{}", findings[0].seen);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut scene = Scene::two();
    for n in 0..2_000 {
        let ufrag = format!("u{n:03}");
        scene = scene.say("alice/bob", candidate(&ufrag, "127.0.0.1", "host")).say("bob/alice", offer(&ufrag));
        scene = scene.say("events", json!({"type": "refused", "peer": format!("p{n}"), "why": "forbidden: x", "time": "2026-09-21T14:13:21.000Z", "rev": n + 10}));
    }
    let bytes = scene.model.room(ROOM).unwrap().case.bytes();
    assert!(bytes < 64 * 1024, "{bytes}");
    let findings = scene.findings();
    assert!(findings.len() < 40 && findings.iter().all(|finding| finding.entries.len() <= 40));
}
