//! What peers, the agent and operators say: the first byte chooses whose words the rest is.

use protocol::message::{AgentMessage, Control, Info, PeerMessage};
use protocol::{RoomEvent, RoomState};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// See the module and the crate.
pub fn run(data: &[u8]) {
    let Some((who, words)) = data.split_first() else { return };
    match who {
        b'p' => peer(words),
        b'a' => again::<AgentMessage>(words),
        b'o' => operator(words),
        b'e' => again::<RoomEvent>(words),
        b's' => again::<RoomState>(words),
        _ => {}
    }
}

/// What is understood is what any other reader of JSON finds there, within the limits of the contract.
fn peer(words: &[u8]) {
    let found = match PeerMessage::decode(words) {
        Ok(found) => found,
        Err(error) => {
            let _ = (error.to_string(), error.code());
            return;
        }
    };
    assert!(std::str::from_utf8(words).is_ok(), "JSON is text");
    // What is passed over may be too deep, or a number too large, for others.
    let Ok(json) = serde_json::from_slice::<Value>(words) else { return };
    match found {
        PeerMessage::Join { info } => {
            assert_eq!(json["type"], "join");
            let info = info.map(|info| Value::Object(info.as_map().clone()));
            assert_eq!(info.unwrap_or_default(), json["info"]);
            if let Value::Object(info) = &json["info"] {
                assert!(Info::new(info.clone()).is_ok() && json["info"].to_string().len() <= 1024);
            }
        }
        PeerMessage::Leave { lost } => {
            assert_eq!((&json["type"], lost), (&"leave".into(), json["reason"] == "lost"));
        }
        PeerMessage::State { connection, detail } => {
            assert_eq!(json["type"], "state");
            assert_eq!(serde_json::to_value(connection).ok().as_ref(), Some(&json["connection"]));
            if let Some(detail) = detail {
                assert!(detail.len() <= PeerMessage::MAX_DETAIL);
                assert!(json["detail"].as_str().is_some_and(|whole| whole.starts_with(&detail)));
            }
        }
    }
}

fn operator(words: &[u8]) {
    if let Ok(order) = Control::decode(words) {
        let text = serde_json::to_vec(&order).expect("an order is JSON");
        assert_eq!(Control::decode(&text).ok(), Some(order));
    }
}

/// What is understood is written so that it is understood again as the same.
fn again<T: DeserializeOwned + Serialize + PartialEq + Debug>(words: &[u8]) {
    if let Ok(found) = serde_json::from_slice::<T>(words) {
        let text = serde_json::to_vec(&found).expect("what is said is JSON");
        let back: T = serde_json::from_slice(&text).expect("our own words are understood");
        assert_eq!(back, found);
    }
}
