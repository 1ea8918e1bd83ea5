//! A JSON object a line for every message and finding, for programs (NDJSON).
//!
//! Escapes do not change what a program reads, so here they are JSON's own: a terminal sees only characters that
//! do nothing to it.

use super::Item;
use crate::diagnosis::Finding;
use crate::model::{Entry, Party, Room};
use crate::redact::Redaction;
use crate::text::escape;
use crate::wire::Link;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes an item as one line.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut impl Write, item: &Item<'_>, redaction: Redaction) -> io::Result<()> {
    let value = match item {
        Item::Entry { room, entry } => message(room, entry, redaction),
        Item::Found { at, room, finding } => {
            let mut value = self::finding(finding);
            value["event"] = json!("finding");
            value["at"] = json!(at);
            value["room"] = json!(room.name());
            value
        }
        Item::Gone { at, room, rule } => json!({"event": "finding-gone", "at": at, "room": room.name(), "rule": rule}),
        Item::Link { at, link } => {
            let (state, why) = match link {
                Link::Connecting => ("connecting", None),
                Link::Connected => ("connected", None),
                Link::Lost { why } => ("lost", Some(why)),
                Link::Refused { why } => ("refused", Some(why)),
            };
            json!({"event": "link", "at": at, "link": state, "why": why})
        }
        Item::Agent { at, agent } => json!({
            "event": "agent",
            "at": at,
            "url": agent.url,
            "agent": agent.status.as_ref().map(|status| &status.agent),
            "state": agent.state.word(),
            "why": agent.state.words(),
            "status": agent.status,
        }),
        Item::Lost { at, messages } => json!({"event": "lost", "at": at, "messages": messages}),
        Item::Unread { at, why } => json!({"event": "unread", "at": at, "why": why}),
    };
    writeln!(out, "{}", plain(&value.to_string()))
}

/// A message, as programs read it.
pub(super) fn message(room: &Room, entry: &Entry, redaction: Redaction) -> Value {
    let payload = match serde_json::from_slice::<Value>(&entry.payload) {
        Ok(value) => redaction.json(&value),
        Err(_) => Value::from(redaction.payload(&entry.payload)),
    };
    json!({
        "event": "message",
        "at": entry.at,
        "room": room.name(),
        "from": entry.from.name(),
        "to": entry.to.name(),
        "by": match entry.from { Party::Peer(_) => "peer", Party::Agent => "agent", Party::Operator => "operator" },
        "type": entry.what.kind(),
        "essence": crate::essence::essence(&entry.what, redaction),
        "size": entry.size,
        "qos": entry.qos,
        "retain": entry.retain,
        "payload": payload,
    })
}

/// What a rule says, as programs read it.
pub(super) fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule,
        "severity": finding.severity.to_string(),
        "seen": finding.seen,
        "means": finding.means,
        "try": finding.try_this,
        "about": finding.about,
    })
}

/// JSON in which every character that would do something to a terminal is written as `\uXXXX` (RFC 8259, 7). Such
/// characters can only stand within strings.
pub(super) fn plain(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut buffer = [0; 4];
    for c in json.chars() {
        match c {
            ' '..='~' => text.push(c),
            _ if escape(c.encode_utf8(&mut buffer)) == *c.encode_utf8(&mut [0; 4]) => text.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_terminals_is_escaped_and_still_the_same_to_programs() {
        let hostile = "방\u{1f3a5} \u{9b}31m \u{202e}abc\u{200b}\u{7f}\u{1b}]0;x\u{7}\u{e0041}";
        let line = plain(&json!({ "room": hostile }).to_string());
        assert!(line.contains("방\u{1f3a5}"), "{line}");
        assert!(!line.chars().any(|c| c.is_control() || "\u{202e}\u{200b}\u{e0041}".contains(c)), "{line:?}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["room"], hostile);
    }
}
