//! What EMQX, and RMQTT with its plugin rmqtt-sys-topic, say over MQTT of connections that have ended:
//! `$SYS/brokers/NODE/clients/CLIENT/disconnected`, with the reason in JSON.

use super::ended;
use protocol::PeerId;
use serde::Deserialize;

/// Where they say it.
pub const DISCONNECTED: &str = "$SYS/brokers/+/clients/+/disconnected";

/// Somebody who has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Who.
    pub peer: PeerId,
    /// Without a DISCONNECT.
    pub lost: bool,
}

#[derive(Deserialize)]
struct Happened {
    reason: String,
}

/// What follows from a message, if this is where they say it: somebody has gone, or nothing, since another connection has
/// the client id by now.
///
/// # Errors
/// What is not as it should be.
pub fn read(topic: &str, payload: &[u8]) -> Option<Result<Option<Gone>, String>> {
    let (_node, rest) = topic.strip_prefix("$SYS/brokers/")?.split_once("/clients/")?;
    let client = rest.strip_suffix("/disconnected")?;
    let gone = || {
        let peer: PeerId = client.parse().map_err(|error| format!("{client:?} is no peer: {error}"))?;
        let Happened { reason } = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        Ok(ended(&reason).map(|lost| Gone { peer, lost }))
    };
    Some(gone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_say_who_has_gone_and_how() {
        let read = |reason: &str| {
            let payload = serde_json::json!({ "clientid": "bob", "username": null, "reason": reason }).to_string();
            read("$SYS/brokers/emqx@10.0.0.1/clients/bob/disconnected", payload.as_bytes()).unwrap().unwrap()
        };
        let bob = |lost| Some(Gone { peer: "bob".parse().unwrap(), lost });
        for reason in ["tcp_closed", "keepalive_timeout", "RemoteClose", "KeepaliveTimeout", "whatever", ""] {
            assert_eq!(read(reason), bob(true), "{reason}");
        }
        for reason in ["normal", "Disconnect", "Disconnect(NormalDisconnection)"] {
            assert_eq!(read(reason), bob(false), "{reason}");
        }
        for reason in ["takenover", "discarded", "Kicked"] {
            assert_eq!(read(reason), None, "{reason}");
        }
    }

    #[test]
    fn nothing_follows_from_anything_else() {
        for topic in ["rooms/lobby/agent/bob", "$SYS/brokers/1/clients/bob/connected", "$SYS/brokers/1/disconnected"] {
            assert_eq!(read(topic, b"{}"), None, "{topic}");
        }
        let topic = "$SYS/brokers/1/clients/bob/disconnected";
        for payload in [&b""[..], b"{}", b"[]", br#"{"reason":1}"#, b"\xff"] {
            assert!(read(topic, payload).unwrap().is_err(), "{payload:?}");
        }
        let of_nobody = "$SYS/brokers/1/clients/a/b+/disconnected";
        assert!(read(of_nobody, br#"{"reason":"normal"}"#).unwrap().is_err());
    }
}
