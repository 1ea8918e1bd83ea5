//! The model's rules, input by input. What whole recordings come to is tested in `tests/`.

use super::*;

const START: u64 = 1_790_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

fn message(millis: u64, topic: &str, payload: impl AsRef<[u8]>) -> Input {
    let payload = Bytes::copy_from_slice(payload.as_ref());
    Input::Message(Message { at: at(millis), topic: topic.into(), payload, qos: 1, retain: false })
}

/// A model that took these messages, the first at zero, each a millisecond after the one before.
fn after(messages: &[(&str, &str)]) -> Model {
    let mut model = Model::new(Bounds::default());
    model.take(Input::Link { at: at(0), link: Link::Connected });
    for (millis, (topic, payload)) in (0..).zip(messages) {
        model.take(message(millis, topic, payload));
    }
    model.rooms.check();
    model
}

fn phase(model: &Model) -> Phase {
    model.room("lobby").unwrap().phase()
}

const TWO: &str = r#"{"room":"lobby","created_at":"2026-09-21T14:13:20.000Z","peers":[
    {"id":"alice","role":"created","since":"2026-09-21T14:13:20.000Z","away":false,"info":{"kind":"camera"}},
    {"id":"bob","role":"joined","since":"2026-09-21T14:13:20.000Z","away":false}],"messages":0,"refused":0,"rev":5}"#;
const OFFER: (&str, &str) = ("rooms/lobby/bob/alice", r#"{"type":"offer","sdp":"v=0"}"#);
const ANSWER: (&str, &str) = ("rooms/lobby/alice/bob", r#"{"type":"answer","sdp":"v=0"}"#);

#[test]
fn an_answer_after_which_it_is_quiet_counts_as_connected_and_is_marked_as_inferred() {
    let mut model = after(&[("rooms/lobby", TWO), ("rooms/lobby/alice/bob", r#"{"type":"ready"}"#), OFFER, ANSWER]);
    assert_eq!(phase(&model), Phase::Negotiating);
    model.take(Input::Tick(at(2000)));
    assert_eq!(phase(&model), Phase::Negotiating);
    model.take(Input::Tick(at(2003)));
    assert_eq!(phase(&model), Phase::Connected { said: false });
    assert!(phase(&model).inferred());
    assert_eq!(model.room("lobby").unwrap().answer_time(), Some(Duration::from_millis(1)));
}
