//! A payload as lines for people: SDP line by line, JSON indented, private details hidden; and what differs between
//! two of them.

use crate::redact::Redaction;
use crate::sdp::{self, Change};
use serde_json::Value;

/// The lines of a payload as they are shown.
pub fn shown(payload: &[u8], redaction: Redaction) -> Vec<String> {
    let hide = |line: String| redaction.text(&line).into_owned();
    match serde_json::from_slice::<Value>(payload) {
        // Fields that carry secrets are known by their names, which only JSON as a whole has.
        Ok(value) if value.get("sdp").and_then(Value::as_str).is_none() => {
            let pretty = serde_json::to_string_pretty(&redaction.json(&value)).unwrap_or_default();
            pretty.lines().map(str::to_owned).collect()
        }
        _ => sdp::lines_of(payload).into_iter().map(hide).collect(),
    }
}

/// What changed between two payloads: compared as they are, so that a new password is seen as new, and shown with
/// private details hidden.
pub fn compare(older: &[u8], newer: &[u8], redaction: Redaction) -> Vec<Change> {
    let side = |payload: &[u8]| {
        let (real, shown) = (sdp::lines_of(payload), shown(payload, redaction));
        // Hiding may take lines away (a secret that is a list); then only what is left can be compared.
        if real.len() == shown.len() { (real, shown) } else { (shown.clone(), shown) }
    };
    let ((older, older_shown), (newer, newer_shown)) = (side(older), side(newer));
    let mut older_shown = older_shown.into_iter();
    let mut newer_shown = newer_shown.into_iter();
    sdp::diff(&older, &newer)
        .into_iter()
        .filter_map(|change| match change {
            Change::Same(_) => {
                older_shown.next();
                newer_shown.next().map(Change::Same)
            }
            Change::Removed(_) => older_shown.next().map(Change::Removed),
            Change::Added(_) => newer_shown.next().map(Change::Added),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HIDE: Redaction = Redaction { reveal: false };

    fn offer(ufrag: &str, pwd: &str) -> Vec<u8> {
        let sdp = format!("v=0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nc=IN IP4 10.0.7.9\r\n");
        json!({"type": "offer", "sdp": sdp}).to_string().into_bytes()
    }

    #[test]
    fn a_new_password_is_a_change_although_neither_is_shown() {
        let changes = compare(&offer("EsAw", "first-password"), &offer("EsAw", "second-password"), HIDE);
        let text = format!("{changes:?}");
        assert!(!text.contains("first-password") && !text.contains("second-password"), "{text}");
        assert_eq!(changes.iter().filter(|change| !matches!(change, Change::Same(_))).count(), 2, "{text}");
    }

    #[test]
    fn secrets_in_json_are_hidden_by_their_names() {
        let payload =
            json!({"type": "created", "ice_servers": [{"credential": "c2VjcmV0", "pwd": "x-y-z"}]}).to_string();
        let text = shown(payload.as_bytes(), HIDE).join("\n");
        assert!(!text.contains("c2VjcmV0") && !text.contains("x-y-z"), "{text}");
        let text = format!("{:?}", compare(payload.as_bytes(), b"{}", HIDE));
        assert!(!text.contains("c2VjcmV0") && !text.contains("x-y-z"), "{text}");
        let revealed = shown(payload.as_bytes(), Redaction { reveal: true }).join("\n");
        assert!(revealed.contains("c2VjcmV0"), "whoever asks for it sees it");
    }

    #[test]
    fn what_is_no_json_is_shown_as_text() {
        assert_eq!(shown(b"hello\nworld", HIDE), ["hello", "world"]);
    }
}
