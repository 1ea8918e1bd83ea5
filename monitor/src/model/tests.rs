//! The model's rules, input by input, and that its bounds hold. What whole recordings come to is tested in
//! `tests/model.rs`.

use super::*;
use proptest::prelude::*;

const START: u64 = 1_790_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn message(millis: u64, topic: &str, payload: impl AsRef<[u8]>) -> Input {
    let payload = Bytes::copy_from_slice(payload.as_ref());
    Input::Message(Message { at: at(millis), topic: topic.into(), payload, qos: 1, retain: false })
}

fn connected(bounds: Bounds) -> Model {
    let mut model = Model::new(bounds);
    model.take(Input::Link { at: at(0), link: Link::Connected });
    model
}

/// A model that took these messages, the first at zero, each a millisecond after the one before.
fn after(messages: &[(&str, &str)]) -> Model {
    let mut model = connected(Bounds::default());
    for (millis, (topic, payload)) in (0..).zip(messages) {
        model.take(message(millis, topic, payload));
    }
    model.rooms.check();
    model
}

fn phase(model: &Model) -> Phase {
    model.room("lobby").unwrap().phase()
}

const TWO: (&str, &str) = (
    "rooms/lobby",
    r#"{"room":"lobby","created_at":"2026-09-21T14:13:20.000Z","peers":[
    {"id":"alice","role":"created","since":"2026-09-21T14:13:20.000Z","away":false,"info":{"kind":"camera"}},
    {"id":"bob","role":"joined","since":"2026-09-21T14:13:20.000Z","away":false}],"messages":0,"refused":0,"rev":5}"#,
);
const READY: (&str, &str) = ("rooms/lobby/alice/bob", r#"{"type":"ready"}"#);
const OFFER: (&str, &str) = ("rooms/lobby/bob/alice", r#"{"type":"offer","sdp":"v=0"}"#);
const ANSWER: (&str, &str) = ("rooms/lobby/alice/bob", r#"{"type":"answer","sdp":"v=0"}"#);
const JOIN: (&str, &str) = ("rooms/lobby/agent/alice", r#"{"type":"join"}"#);

#[test]
fn an_answer_after_which_it_is_quiet_counts_as_connected_and_is_marked_as_inferred() {
    let mut model = after(&[TWO, READY, OFFER, ANSWER]);
    assert_eq!(phase(&model), Phase::Negotiating);
    model.take(Input::Tick(at(2000)));
    assert_eq!(phase(&model), Phase::Negotiating);
    model.take(Input::Tick(at(2003)));
    assert_eq!(phase(&model), Phase::Connected { said: false });
    assert!(phase(&model).inferred());
    assert_eq!(model.room("lobby").unwrap().answer_time(), Some(Duration::from_millis(1)));
}

#[test]
fn an_offer_that_nobody_answers_is_given_up() {
    let mut model = after(&[TWO, READY, OFFER]);
    model.take(Input::Tick(at(2).plus(GIVEN_UP).plus(Duration::from_millis(1))));
    assert_eq!(phase(&model), Phase::Idle);
}

#[test]
fn what_peers_say_counts_more_than_the_flow() {
    let say = |who: &'static str, connection: &str| {
        (format!("rooms/lobby/agent/{who}"), format!(r#"{{"type":"state","connection":"{connection}"}}"#))
    };
    let mut model = after(&[TWO, READY, OFFER, ANSWER]);
    let mut told = |who, connection| {
        let (topic, payload) = say(who, connection);
        model.take(message(10, &topic, payload));
        phase(&model)
    };
    assert_eq!(told("alice", "connecting"), Phase::Negotiating);
    assert_eq!(told("alice", "connected"), Phase::Connected { said: true });
    assert_eq!(told("bob", "connecting"), Phase::Negotiating);
    assert_eq!(told("bob", "connected"), Phase::Connected { said: true });
    assert_eq!(told("bob", "failed"), Phase::Failed);
    model.take(message(20, OFFER.0, OFFER.1));
    assert_eq!(phase(&model), Phase::Connected { said: true }, "alice still is; the failure is of before the restart");
    model.take(message(30, READY.0, r#"{"type":"bye"}"#));
    assert_eq!(phase(&model), Phase::Idle);
}

#[test]
fn with_glare_the_answer_is_to_the_other_ones_offer() {
    let glare = ("rooms/lobby/alice/bob", OFFER.1);
    let model = after(&[TWO, READY, OFFER, glare, ANSWER]);
    assert_eq!(model.room("lobby").unwrap().answer_time(), Some(Duration::from_millis(2)));
}

#[test]
fn where_no_agent_is_seen_the_first_two_who_signal_are_taken_to_be_inside() {
    let mut model = after(&[READY, OFFER, ("rooms/lobby/alice/carol", OFFER.1), ANSWER]);
    let peers: Vec<&str> = model.room("lobby").unwrap().seats().iter().map(|seat| seat.peer.as_str()).collect();
    assert_eq!((peers, phase(&model)), (vec!["bob", "alice"], Phase::Negotiating));
    model.take(message(10, "rooms/lobby/agent/bob", r#"{"type":"leave"}"#));
    assert_eq!(phase(&model), Phase::Waiting);
}

#[test]
fn outsiders_whom_a_foreign_broker_lets_through_change_no_phase() {
    let model = after(&[TWO, ("rooms/lobby/alice/carol", OFFER.1)]);
    let room = model.room("lobby").unwrap();
    assert_eq!((room.phase(), room.messages(), room.ladder().len()), (Phase::Idle, 0, 1));
}

#[test]
fn who_knocks_at_a_room_that_is_none_leaves_an_ended_one() {
    let error = r#"{"type":"error","code":"not-a-member","message":"no","rev":1}"#;
    let model = after(&[("rooms/ghost/mallory/agent", error)]);
    assert_eq!(model.room("ghost").unwrap().phase(), Phase::Ended);
    assert_eq!(phase(&after(&[JOIN])), Phase::Waiting, "a join that nobody answers waits");
}

#[test]
fn what_is_older_than_what_is_known_changes_nothing() {
    let left = |rev: u64| format!(r#"{{"type":"left","peer":"bob","reason":"left","rev":{rev}}}"#);
    let mut model = after(&[TWO]);
    model.take(message(1, "rooms/lobby/alice/agent", left(4)));
    assert_eq!(model.room("lobby").unwrap().seats().len(), 2);
    model.take(message(2, "rooms/lobby/alice/agent", left(5)));
    assert_eq!(model.room("lobby").unwrap().seats().len(), 1);
}

#[test]
fn after_the_connection_came_back_rooms_that_are_not_heard_of_are_gone() {
    let mut model = after(&[TWO, ("rooms/hall", r#"{"peers":[{"id":"carol"}]}"#)]);
    assert!(!model.stale(model.room("lobby").unwrap()));
    model.take(Input::Link { at: at(10), link: Link::Lost { why: "reset".into() } });
    assert!(model.stale(model.room("lobby").unwrap()));
    model.take(Input::Link { at: at(20), link: Link::Connected });
    model.take(message(30, TWO.0, TWO.1));
    assert!(!model.stale(model.room("lobby").unwrap()) && model.stale(model.room("hall").unwrap()));
    model.take(Input::Tick(at(3021)));
    assert_eq!(model.room("hall").unwrap().phase(), Phase::Ended);
    assert_eq!(phase(&model), Phase::Idle);
    let kinds: Vec<&str> = model.events().lines().iter().map(Happening::kind).collect();
    assert_eq!(kinds, ["connected", "disconnected", "connected", "gone"]);
}

#[test]
fn the_audit_is_shown_and_a_restart_noticed() {
    let audit = r#"{"time":"2026-11-22T10:00:00.000Z","what":"login-refused","why":"wrong password","client":"cam-1","user":"cam","address":"192.0.2.1:4711","new":1}"#;
    let model = after(&[
        ("$SYS/broker/audit", audit),
        ("$SYS/broker/uptime", "100 seconds"),
        ("$SYS/broker/uptime", "1 seconds"),
        ("$SYS/broker/audit", "none"),
    ]);
    let kinds: Vec<&str> = model.events().lines().iter().map(Happening::kind).collect();
    assert_eq!(kinds, ["connected", "login-refused", "restarted", "unread"]);
    assert_eq!(model.events().lines()[1].peer(), Some("cam-1"));
    assert_eq!(model.figures().malformed, 1);
}

#[test]
fn what_cannot_be_read_is_counted_and_said() {
    let model = after(&[
        ("rooms/lobby", "{}"),
        ("rooms/lobby/events", "[]"),
        ("rooms/\u{1b}[31m/agent/x", "{}"),
        ("rooms/a/b/c/d", "{}"),
        ("telemetry/x", "{}"),
        ("rooms/lobby/bob/alice", "ring"),
    ]);
    assert_eq!(model.figures().malformed, 5);
    assert_eq!(model.events().lines().iter().filter(|line| line.kind() == "unread").count(), 4);
    let words = model.events().lines()[3].words().unwrap();
    assert!(words.contains("must not contain '\\u{1b}'"), "{words}");
}

#[test]
fn after_a_gap_nothing_is_said_that_needs_all_of_a_call_to_be_seen() {
    let late = Input::Tick(at(40_000));
    let created = r#"{"type":"created","v":1,"room":"lobby","you":"alice","ice_servers":[],"resumed":false,"rev":1}"#;
    let joined = r#"{"type":"joined","v":1,"room":"lobby","you":"bob","peer":{"id":"alice"},"ice_servers":[],"resumed":false,"rev":2}"#;
    let flow = [("rooms/lobby/alice/agent", created), ("rooms/lobby/bob/agent", joined), READY, OFFER];
    let names = |model: &Model| model.room("lobby").unwrap().findings().iter().map(|f| f.rule).collect::<Vec<_>>();
    let mut whole = after(&flow);
    whole.take(late.clone());
    assert!(names(&whole).contains(&"offer-without-answer"), "{:?}", names(&whole));
    let mut gap = after(&flow);
    gap.take(Input::Lost { at: at(5), messages: 1 });
    gap.take(late);
    assert!(names(&gap).is_empty(), "{:?}", names(&gap));
}

#[test]
fn findings_come_when_their_time_has_come_and_not_message_by_message() {
    let mut model = after(&[TWO, READY, OFFER]);
    model.take(Input::Tick(at(3)));
    assert!(model.rooms.due(at(4)).is_none(), "not yet");
    assert!(model.rooms.due(at(100_000)).is_some(), "but later");
    model.take(Input::Tick(at(100_000)));
    for millis in 0..50 {
        model.take(message(200_000, OFFER.0, OFFER.1));
        assert!(model.judged_at == at(200_000), "{millis}");
    }
    assert_eq!(model.dirty.len(), 1, "fifty messages at one time make one look");
}

#[test]
fn time_alone_is_visible_once_a_second() {
    let mut model = after(&[TWO]);
    model.take(Input::Tick(at(100)));
    let generation = model.generation();
    model.take(Input::Tick(at(500)));
    assert_eq!(model.generation(), generation);
    model.take(Input::Tick(at(1000)));
    assert!(model.generation() > generation);
}

fn small() -> Bounds {
    Bounds { messages_per_room: 20, rooms: 8, events: 16, bytes: 64 << 10 }
}

fn check(model: &Model) {
    let (bounds, figures) = (model.bounds(), model.figures());
    model.rooms.check();
    assert!(figures.held <= bounds.bytes, "{} bytes held", figures.held);
    assert_eq!(figures.held, model.rooms().map(Room::bytes).sum::<usize>() + model.events().bytes());
    assert!(model.rooms().len() <= bounds.rooms);
    assert!(model.events().lines().len() <= bounds.events && model.events().bytes() <= bounds.bytes / 8);
    assert!(model.rooms().all(|room| room.ladder().len() <= bounds.messages_per_room));
    assert!(model.dirty.len() <= bounds.rooms + 1);
}

#[test]
fn ended_rooms_go_first_then_the_biggest_rooms_oldest_messages() {
    let mut model = connected(Bounds { rooms: 3, ..small() });
    for room in ["one", "two", "three"] {
        model.take(message(0, &format!("rooms/{room}"), TWO.1));
    }
    model.take(message(1, "rooms/two", ""));
    model.take(message(2, "rooms/four", TWO.1));
    let names: Vec<&str> = model.rooms().map(Room::name).collect();
    assert_eq!(names, ["four", "one", "three"], "the ended one went, not the quietest");
    assert_eq!((model.figures().evicted.rooms, model.figures().open), (1, 3));
    let ring = format!(r#"{{"type":"ring","x":"{}"}}"#, "x".repeat(4000));
    model.take(message(3, "rooms/one/bob/alice", r#"{"type":"small"}"#));
    for millis in 4..40 {
        model.take(message(millis, "rooms/three/bob/alice", &ring));
        check(&model);
    }
    assert_eq!(model.room("one").unwrap().ladder().len(), 1, "the small room kept what it had");
    let three = model.room("three").unwrap();
    assert_eq!(three.evicted() + three.ladder().len() as u64, 36);
    assert_eq!(model.figures().evicted.messages, three.evicted());
    assert_eq!(three.ladder().back().unwrap().at, at(39), "the newest are there");
}

#[test]
fn a_room_holds_its_newest_messages() {
    let mut model = connected(small());
    for millis in 0..50 {
        model.take(message(millis, READY.0, READY.1));
    }
    let room = model.room("lobby").unwrap();
    assert_eq!((room.ladder().len(), room.evicted()), (20, 30));
    assert_eq!(room.ladder().front().unwrap().at, at(30));
    let first = room.ladder().front().unwrap().seq;
    assert!(room.entry(first).is_some() && room.entry(first - 1).is_none());
}

#[test]
fn the_events_have_an_eighth_of_the_bytes() {
    let mut model = connected(Bounds { events: 100, ..small() });
    for millis in 0..40 {
        model.take(message(millis, &format!("rooms/x/{}", "x".repeat(300)), ""));
        check(&model);
    }
    assert!(model.events().evicted() > 0);
    assert_eq!(model.figures().evicted.events, model.events().evicted());
}

#[test]
fn a_payload_of_any_size_is_cut_and_said_to_be_too_large() {
    let model = after(&[("rooms/lobby/bob/alice", &"x".repeat(1 << 20))]);
    let entry = model.room("lobby").unwrap().ladder().back().unwrap();
    assert_eq!((entry.payload.len(), entry.size), (Entry::KEPT, 1 << 20));
    assert!(matches!(&entry.what, Said::Malformed { why, .. } if why.contains("1048576 bytes")));
}

/// Topics and payloads that mean something, pieces of them, and noise.
fn any_message() -> impl Strategy<Value = (String, Vec<u8>, bool)> {
    let level = prop_oneof![
        4 => prop::sample::select(vec!["lobby", "hall", "a", "b", "c", "d", "e", "f", "g", "agent", "alice", "bob", "events"])
            .prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    let topic = prop_oneof![
        6 => prop::collection::vec(level, 0..4).prop_map(|levels| format!("rooms/{}", levels.join("/"))),
        1 => "(\\$SYS/broker/(uptime|audit|messages/sent|version)|control/lobby|x)",
    ];
    let words = prop::sample::select(vec![
        READY.1,
        OFFER.1,
        ANSWER.1,
        JOIN.1,
        TWO.1,
        "",
        "7 seconds",
        r#"{"type":"leave"}"#,
        r#"{"type":"bye"}"#,
        r#"{"type":"state","connection":"failed"}"#,
        r#"{"type":"candidate","candidate":null}"#,
        r#"{"type":"created","v":1,"room":"a","you":"alice","ice_servers":[{"urls":["turn:x"],"credential":"y"}],"resumed":false,"rev":3}"#,
        r#"{"type":"left","peer":"bob","reason":"lost","rev":9}"#,
        r#"{"type":"closed","reason":"room-closed","rev":8}"#,
        r#"{"time":"2026-09-21T14:13:20.006Z","rev":9,"type":"refused","peer":"mallory","why":"no"}"#,
        r#"{"time":"2026-09-21T14:13:20.006Z","rev":2,"type":"joined","peer":"bob"}"#,
        r#"{"time":"2026-09-21T14:13:20.006Z","rev":7,"type":"closed"}"#,
        r#"{"time":"2026-09-21T14:13:20.006Z","what":"x","why":"y"}"#,
        r#"{"peers":[{"id":"x"},{"id":"y","connection":"?"},{"id":"z"},{"id":"x"},{"id":"v"},{"id":"w"}],"rev":1,"created_at":"2026-09-21T14:13:20.006Z"}"#,
    ]);
    let payload = prop_oneof![
        6 => words.prop_map(|words| words.as_bytes().to_vec()),
        1 => any::<Vec<u8>>(),
        1 => (0..1500_usize).prop_map(|length| format!(r#"{{"type":"offer","sdp":"{}"}}"#, "m=\\n".repeat(length)).into_bytes()),
    ];
    (topic, payload, any::<bool>())
}

fn any_input() -> impl Strategy<Value = Input> {
    let millis = prop_oneof![0..5000_u64, Just(u64::MAX / 2), Just(60_000)];
    let link =
        prop_oneof![Just(Link::Connected), Just(Link::Connecting), "x{0,600}".prop_map(|why| Link::Lost { why }),];
    prop_oneof![
        12 => (millis.clone(), any_message()).prop_map(|(millis, (topic, payload, retain))| {
            Input::Message(Message { at: at(millis), topic: topic.into(), payload: payload.into(), qos: 1, retain })
        }),
        1 => (millis.clone(), link).prop_map(|(millis, link)| Input::Link { at: at(millis), link }),
        1 => (millis.clone(), any::<u64>()).prop_map(|(millis, messages)| Input::Lost { at: at(millis), messages }),
        1 => (millis.clone(), 0..100_u64, "x{0,600}").prop_map(|(millis, url, why)| {
            Input::Agent { at: at(millis), url: url.to_string().into(), said: Box::new(Err(why)) }
        }),
        2 => millis.prop_map(|millis| Input::Tick(at(millis))),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_the_bounds_hold_after_every_input(inputs in prop::collection::vec(any_input(), 0..120)) {
        let mut model = Model::new(small());
        for input in inputs {
            model.take(input);
            check(&model);
        }
        let again = model.now().plus(Duration::from_secs(600));
        model.take(Input::Tick(again));
        check(&model);
        for a in model.rooms() {
            for column in Column::ALL {
                prop_assert_eq!(column.compare(a, a), std::cmp::Ordering::Equal);
                for b in model.rooms() {
                    prop_assert_eq!(column.compare(a, b), column.compare(b, a).reverse());
                }
            }
        }
    }
}
