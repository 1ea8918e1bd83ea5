//! What changed between two messages, line by line: two descriptions, or two JSON texts.

use serde_json::Value;
use similar::{Algorithm, ChangeTag, capture_diff_slices};

/// Most lines that are compared of each side; a 64 KiB message of Chromium has some thousand.
pub const MAX_LINES: usize = 4_000;

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// In both.
    Same(String),
    /// Only in the older one.
    Removed(String),
    /// Only in the newer one.
    Added(String),
}

/// The lines that a message is compared and shown by: of an offer or answer those of its SDP, of any other JSON the
/// indented text, of anything else its lines as they are.
pub fn lines_of(payload: &[u8]) -> Vec<String> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    let Ok(value) = serde_json::from_slice::<Value>(payload) else { return lines(&String::from_utf8_lossy(payload)) };
    match value.get("sdp").and_then(Value::as_str) {
        Some(sdp) => lines(sdp),
        None => lines(&serde_json::to_string_pretty(&value).unwrap_or_default()),
    }
}

/// What changed from `older` to `newer`. Lines after the first [`MAX_LINES`] are left out.
pub fn diff(older: &[String], newer: &[String]) -> Vec<Change> {
    let (older, newer) = (&older[..older.len().min(MAX_LINES)], &newer[..newer.len().min(MAX_LINES)]);
    capture_diff_slices(Algorithm::Myers, older, newer)
        .iter()
        .flat_map(|op| op.iter_changes(older, newer))
        .map(|change| {
            let line = change.value();
            match change.tag() {
                ChangeTag::Equal => Change::Same(line),
                ChangeTag::Delete => Change::Removed(line),
                ChangeTag::Insert => Change::Added(line),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn two_descriptions_are_compared_by_their_lines() {
        let offer =
            |version: u8| format!(r#"{{"type":"offer","sdp":"v=0\r\no=- 1 {version} IN IP4 0.0.0.0\r\ns=-\r\n"}}"#);
        let changes = diff(&lines_of(offer(1).as_bytes()), &lines_of(offer(2).as_bytes()));
        assert_eq!(
            changes,
            [
                Change::Same("v=0".into()),
                Change::Removed("o=- 1 1 IN IP4 0.0.0.0".into()),
                Change::Added("o=- 1 2 IN IP4 0.0.0.0".into()),
                Change::Same("s=-".into()),
            ]
        );
    }

    #[test]
    fn json_is_compared_field_by_field_and_anything_else_as_it_is() {
        let changes = diff(&lines_of(br#"{"type":"ring","n":1}"#), &lines_of(br#"{ "type":"ring", "n":2 }"#));
        let changed: Vec<&Change> = changes.iter().filter(|change| !matches!(change, Change::Same(_))).collect();
        assert_eq!(changed, [&Change::Removed("  \"n\": 1,".into()), &Change::Added("  \"n\": 2,".into())]);
        assert_eq!(lines_of(b"no\njson \xff"), ["no", "json \u{fffd}"]);
    }

    proptest! {
        #[test]
        fn both_sides_can_be_read_back(older in "([abc]\n){0,30}", newer in "([abc]\n){0,30}") {
            let (older, newer) = (lines(&older), lines(&newer));
            let changes = diff(&older, &newer);
            let side = |added: bool| -> Vec<String> {
                changes.iter().filter_map(|change| match change {
                    Change::Same(line) => Some(line.clone()),
                    Change::Added(line) if added => Some(line.clone()),
                    Change::Removed(line) if !added => Some(line.clone()),
                    _ => None,
                }).collect()
            };
            prop_assert_eq!(side(false), older);
            prop_assert_eq!(side(true), newer);
        }
    }
}
