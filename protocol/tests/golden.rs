//! The golden messages: what the fixtures hold is read, and written back, unchanged.

use proptest::prelude::*;
use protocol::{AgentMessage, Control, Info, PeerMessage, RoomEvent, RoomState};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn unchanged<T: Serialize + DeserializeOwned>(golden: &Value) {
    let read: T = serde_json::from_value(golden.clone()).unwrap_or_else(|e| panic!("{golden}: {e}"));
    assert_eq!(&serde_json::to_value(read).unwrap(), golden);
}

#[test]
fn what_the_agent_says() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("../fixtures/from-agent.json")).unwrap();
    golden.iter().for_each(unchanged::<AgentMessage>);
}

#[test]
fn what_operators_read_and_order() {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/operators.json")).unwrap();
    golden["states"].as_array().unwrap().iter().for_each(unchanged::<RoomState>);
    golden["events"].as_array().unwrap().iter().for_each(unchanged::<RoomEvent>);
    golden["orders"].as_array().unwrap().iter().for_each(unchanged::<Control>);
    assert!(Control::decode(br#"{"type":"remove"}"#).is_err());
}

#[test]
fn what_peers_say_to_the_agent() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("../fixtures/to-agent.json")).unwrap();
    for case in &golden {
        let payload = case["payload"].as_str().unwrap();
        let is = match PeerMessage::decode(payload.as_bytes()) {
            Ok(PeerMessage::Join { .. }) => json!("join"),
            Ok(PeerMessage::Leave { lost: false }) => json!("leave"),
            Ok(PeerMessage::Leave { lost: true }) => json!("lost"),
            Ok(PeerMessage::State { .. }) => json!("state"),
            Err(e) => json!(e.code()),
        };
        assert_eq!(is, case["is"], "{payload}");
    }
}

#[test]
fn errors_say_what_would_be_right() {
    let error = |payload: &str| PeerMessage::decode(payload.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("{}"), "the message has no `type`; known are join, leave and state");
    assert_eq!(
        error(r#"{"type":"dance"}"#),
        "the type \"dance\" is unknown to the agent; known are join, leave and state"
    );
    assert!(error(r#"{"type":"join","type":"join"}"#).ends_with("duplicate field `type` at line 1 column 21"));
    assert_eq!(error(r#"{"type":"join","v":7}"#), "version 7 is not spoken here; this agent speaks version 1");
}

#[test]
fn info_has_bounds() {
    let join = |info: String| PeerMessage::decode(format!(r#"{{"type":"join","info":{info}}}"#).as_bytes());
    let of = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
    assert!(join(of(Info::MAX_BYTES)).is_ok());
    assert!(join(of(Info::MAX_BYTES + 1)).unwrap_err().to_string().contains("1025 bytes"));
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(join(nested(Info::MAX_DEPTH)).is_ok());
    assert!(join(nested(Info::MAX_DEPTH + 1)).is_err());
    assert!(join(nested(5000)).is_err(), "and the stack is safe");
}

#[test]
fn details_are_cut_at_a_character() {
    let payload = json!({"type": "state", "connection": "failed", "detail": "가".repeat(100)}).to_string();
    let Ok(PeerMessage::State { detail: Some(detail), .. }) = PeerMessage::decode(payload.as_bytes()) else {
        panic!("no state");
    };
    assert_eq!(detail, "가".repeat(85));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), text in r#"\{"type":"(join|leave|state)",\PC{0,40}\}"#) {
        let _ = PeerMessage::decode(&bytes);
        let _ = PeerMessage::decode(text.as_bytes());
        let _ = Control::decode(&bytes);
    }
}
