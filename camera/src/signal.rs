//! What two peers say to each other: the messages that make a call. What is in an SDP is not read here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A message from peer to peer. `Debug` shows no description and no address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Signal {
    /// "You may offer": whoever receives it makes the offer.
    Ready,
    /// An offer (RFC 3264).
    Offer {
        /// As `RTCSessionDescription.sdp`.
        sdp: String,
    },
    /// An answer to it.
    Answer {
        /// As `RTCSessionDescription.sdp`.
        sdp: String,
    },
    /// One more address to try (RFC 8838), or the end of them.
    Candidate {
        /// Nothing at the end.
        candidate: Option<IceCandidate>,
    },
    /// The call is over; both stay.
    Bye,
    /// Anything else, which peers may say as they like.
    #[serde(other)]
    Other,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Ready => "ready",
            Signal::Offer { .. } => "offer",
            Signal::Answer { .. } => "answer",
            Signal::Candidate { .. } => "candidate",
            Signal::Bye => "bye",
            Signal::Other => "other",
        })
    }
}

/// An address at which one may be reached (W3C WebRTC, RTCIceCandidateInit).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    /// The attribute, as `candidate:1 1 udp …`; empty at the end of candidates.
    pub candidate: String,
    /// Which media section it belongs to, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp_mid: Option<String>,
    /// Which media section it belongs to, by its number.
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    pub sdp_m_line_index: Option<u16>,
    /// Which gathering it belongs to (RFC 8839, 5.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_fragment: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_those_of_the_protocol() {
        for (json, name) in [
            (r#"{"type":"ready"}"#, "ready"),
            (r#"{"type":"offer","sdp":"v=0"}"#, "offer"),
            (r#"{"type":"answer","sdp":"v=0"}"#, "answer"),
            (
                r#"{"type":"candidate","candidate":{"candidate":"c","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"u"}}"#,
                "candidate",
            ),
            (r#"{"type":"candidate","candidate":null}"#, "candidate"),
            (r#"{"type":"bye"}"#, "bye"),
        ] {
            let signal: Signal = serde_json::from_str(json).unwrap();
            assert_eq!(format!("{signal:?}"), name);
            assert_eq!(serde_json::to_string(&signal).unwrap(), json);
        }
        for json in [r#"{"type":"ring"}"#, r#"{"type":"ring","tone":3}"#] {
            assert_eq!(serde_json::from_str::<Signal>(json).unwrap(), Signal::Other, "{json}");
        }
    }

    #[test]
    fn a_description_is_shown_to_nobody() {
        let offer = Signal::Offer { sdp: "a=ice-pwd:s3cret".into() };
        assert!(!format!("{offer:?}").contains("s3cret"));
    }
}
