//! From a payload to what was said: leniently, since peers and brokers may be older, newer or foreign. What cannot be
//! read is said so, with the reason; it is never passed over.

use super::entry::Said;
use crate::sdp::{Candidate, Description, Trickled};
use protocol::{AgentMessage, Control, MessageError, PeerMessage};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Longest type that is shown, in bytes; a name of a type has a dozen.
const MAX_KIND: usize = 64;
/// Longest reason that is kept, in bytes.
const MAX_WHY: usize = 256;

/// A peer to another peer.
pub(super) fn signal(payload: &[u8]) -> Said {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        sdp: Option<Text<'a>>,
        candidate: Option<Value>,
    }

    let kind = match kind(payload) {
        Ok(kind) => kind,
        Err(said) => return said,
    };
    let fields = || serde_json::from_slice::<Fields>(payload).map_err(|e| malformed(Some(&kind), &e.to_string()));
    let description = |make: fn(Arc<Description>) -> Said| match fields() {
        Ok(Fields { sdp: Some(Text(sdp)), .. }) => make(Arc::new(Description::read(&sdp))),
        Ok(_) => {
            malformed(Some(&kind), &format!("the {kind} has no sdp; right is {{\"type\":\"{kind}\",\"sdp\":\"v=0…\"}}"))
        }
        Err(said) => said,
    };
    match &*kind {
        "offer" => description(Said::Offer),
        "answer" => description(Said::Answer),
        "candidate" => match fields() {
            // `null` and an absent field are the same to serde; both end the candidates.
            Ok(fields) => match Candidate::trickled(&fields.candidate.unwrap_or(Value::Null)) {
                Ok(Trickled::Candidate(candidate)) => Said::Candidate(Box::new(candidate)),
                Ok(Trickled::End) => Said::EndOfCandidates,
                Err(error) => malformed(Some(&kind), &error.to_string()),
            },
            Err(said) => said,
        },
        "ready" => Said::Ready,
        "bye" => Said::Bye,
        other => Said::Other(cut(other, MAX_KIND).into()),
    }
}

/// A peer to the agent.
pub(super) fn to_agent(payload: &[u8]) -> Said {
    match PeerMessage::decode(payload) {
        Ok(PeerMessage::Join { info }) => Said::Join { info },
        Ok(PeerMessage::Leave { lost }) => Said::Leave { lost },
        Ok(PeerMessage::State { connection, detail }) => Said::State { connection, detail: detail.map(Into::into) },
        Err(MessageError::Bad(why)) => malformed(kind(payload).ok().as_deref(), &why),
        Err(error @ MessageError::Version(_)) => malformed(Some("join"), &error.to_string()),
    }
}

/// The agent to a peer; with `rev`, if it has one.
pub(super) fn from_agent(payload: &[u8]) -> (Said, Option<u64>) {
    match serde_json::from_slice::<AgentMessage>(payload) {
        Ok(AgentMessage { said, rev }) => (Said::FromAgent(Box::new(said)), Some(rev)),
        Err(error) => {
            const KNOWN: [&str; 8] = ["created", "joined", "full", "arrived", "left", "closed", "ice-servers", "error"];
            let said = match kind(payload) {
                Ok(kind) if KNOWN.contains(&&*kind) => malformed(Some(&kind), &error.to_string()),
                Ok(kind) => Said::Other(cut(&kind, MAX_KIND).into()),
                Err(said) => said,
            };
            (said, None)
        }
    }
}

/// An operator to the agent.
pub(super) fn order(payload: &[u8]) -> Said {
    match Control::decode(payload) {
        Ok(order) => Said::Order(order),
        Err(error) => malformed(kind(payload).ok().as_deref(), &error.to_string()),
    }
}

/// Something that cannot be read.
pub(super) fn malformed(kind: Option<&str>, why: &str) -> Said {
    Said::Malformed { kind: kind.map(|kind| cut(kind, MAX_KIND).into()), why: cut(why, MAX_WHY).into() }
}

/// A string of JSON: borrowed where it has no escapes, which serde does not do for `Option<Cow<str>>` by itself.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
        Borrowed::deserialize(deserializer).map(|text| Self(text.0))
    }
}

fn kind(payload: &[u8]) -> Result<Cow<'_, str>, Said> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    match serde_json::from_slice::<Fields>(payload) {
        Ok(fields) => Ok(fields.kind),
        Err(_) if payload.is_empty() => Err(malformed(None, "the message is empty; right is {\"type\":…}")),
        Err(error) => Err(malformed(None, &format!("no JSON object with a type like {{\"type\":\"ready\"}}: {error}"))),
    }
}

/// At most `max` bytes of `text`, at a character's boundary.
pub(super) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_and_why(said: &Said) -> (&str, Option<&str>, &str) {
        match said {
            Said::Malformed { kind, why } => ("malformed", kind.as_deref(), why),
            other => (other.kind(), None, ""),
        }
    }

    #[test]
    fn signals_are_read_and_unknown_types_named() {
        for (payload, is) in [
            (r#"{"type":"offer","sdp":"v=0\r\n"}"#, "offer"),
            (r#"{"sdp":"v=0","type":"answer","x":[1]}"#, "answer"),
            (
                r#"{"type":"candidate","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.1 1 typ host"}}"#,
                "candidate",
            ),
            (r#"{"type":"ready"}"#, "ready"),
            (r#"{"type":"bye"}"#, "bye"),
            (r#"{"type":"ring"}"#, "ring"),
        ] {
            assert_eq!(signal(payload.as_bytes()).kind(), is, "{payload}");
        }
        assert_eq!(signal(br#"{"type":"candidate","candidate":null}"#), Said::EndOfCandidates);
        assert!(matches!(
            signal(br#"{"type":"candidate","candidate":"candidate:1 1 udp 1 192.0.2.1 1 typ relay"}"#),
            Said::Candidate(_)
        ));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (payload, kind, says) in [
            (&b""[..], None, "empty"),
            (b"\xff\xfe", None, "no JSON object with a type"),
            (b"{\"type\":1}", None, "no JSON object with a type"),
            (b"{\"type\":\"offer\"}", Some("offer"), "no sdp"),
            (b"{\"type\":\"offer\",\"sdp\":7}", Some("offer"), "invalid type"),
            (b"{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"x\"}}", Some("candidate"), "8 fields"),
        ] {
            let said = signal(payload);
            let (is, claimed, why) = kind_and_why(&said);
            assert_eq!((is, claimed), ("malformed", kind), "{payload:?}");
            assert!(why.contains(says), "{payload:?}: {why}");
        }
        let said = to_agent(br#"{"type":"offer","sdp":"v=0"}"#);
        assert_eq!(kind_and_why(&said).1, Some("offer"));
        assert!(kind_and_why(&to_agent(br#"{"type":"join","v":2}"#)).2.contains("version 2"));
    }

    #[test]
    fn an_agent_of_another_version_is_understood_as_far_as_it_goes() {
        let (said, rev) = from_agent(br#"{"type":"full","room":"lobby","rev":7,"new":1}"#);
        assert_eq!((said.kind(), rev), ("full", Some(7)));
        assert_eq!(from_agent(br#"{"type":"moved","rev":7}"#).0, Said::Other("moved".into()));
        assert_eq!(kind_and_why(&from_agent(br#"{"type":"full","rev":7}"#).0).1, Some("full"));
    }

    #[test]
    fn reasons_and_types_are_short_whatever_came() {
        let long = "é".repeat(40_000);
        let Said::Other(kind) = signal(format!(r#"{{"type":"{long}"}}"#).as_bytes()) else { panic!() };
        assert_eq!(kind.len(), MAX_KIND);
        let Said::Malformed { why, .. } = to_agent(format!(r#"{{"type":"{long}"}}"#).as_bytes()) else { panic!() };
        assert!(why.len() <= MAX_WHY);
    }
}
