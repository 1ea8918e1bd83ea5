//! Passwords out of a payload: what proves who somebody is must not lie in files. Everything else stays as it is, to
//! the byte, and the length too, so that a replay shows what was seen.

use std::borrow::Cow;
use std::ops::Range;

/// What the keys of secrets have in them, in lower case.
const SECRETS: [&str; 6] = ["credential", "password", "passwd", "pwd", "token", "secret"];
/// In SDP, what precedes the ICE password (RFC 8839 §5.4).
const ICE_PWD: &[u8] = b"ice-pwd:";

/// The payload with every password overwritten. It need not be valid JSON, nor even text.
pub(super) fn passwords(payload: &[u8]) -> Cow<'_, [u8]> {
    let mut masked = Cow::Borrowed(payload);
    for range in secrets(payload).into_iter().chain(ice_passwords(payload)) {
        // Letters and digits, which an ICE password is made of: a description stays a valid one, JSON stays JSON.
        let mask = if payload[range.clone()].first().is_some_and(u8::is_ascii_digit) { b'1' } else { b'x' };
        masked.to_mut()[range].fill(mask);
    }
    masked
}

/// Values of secret keys: strings and numbers, also within arrays and objects.
fn secrets(payload: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    // Depth at which an array or object began that is a secret as a whole.
    let mut within: Option<usize> = None;
    // Whether the value that comes next is one.
    let mut next = false;
    let mut at = 0;
    while let Some(&byte) = payload.get(at) {
        let mut end = at + 1;
        match byte {
            b'"' => {
                let content = at + 1..string_end(payload, at + 1);
                end = content.end + 1;
                let after = payload.get(end..).unwrap_or_default();
                if after.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':') {
                    next = names_secret(&payload[content]);
                } else {
                    if next || within.is_some() || hides_secret(&payload[content.clone()]) {
                        found.push(content);
                    }
                    next = false;
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if next && within.is_none() {
                    within = Some(depth);
                }
                next = false;
            }
            b'}' | b']' => {
                if within == Some(depth) {
                    within = None;
                }
                depth = depth.saturating_sub(1);
                next = false;
            }
            b',' => next = false,
            b'0'..=b'9' => {
                end = (at..payload.len()).find(|&i| !payload[i].is_ascii_digit()).unwrap_or(payload.len());
                if next || within.is_some() {
                    found.push(at..end);
                }
            }
            _ => {}
        }
        at = end;
    }
    found
}

/// Where the string ends that begins at `from`: at its quote, or with the payload.
fn string_end(payload: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&byte) = payload.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    payload.len()
}

fn names_secret(key: &[u8]) -> bool {
    let key = unescaped(key).to_lowercase();
    SECRETS.iter().any(|secret| key.contains(secret))
}

/// Whether a string holds, once it is unescaped, a secret that does not show before: JSON within it, or letters
/// written as `\u0061`. Such a string goes as a whole.
fn hides_secret(content: &[u8]) -> bool {
    if !content.contains(&b'\\') {
        return false;
    }
    let text = unescaped(content);
    ice_passwords(text.as_bytes()).len() > ice_passwords(content).len() || !secrets(text.as_bytes()).is_empty()
}

/// A JSON string without its escapes; as it is, if it is none.
fn unescaped(content: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(content);
    match serde_json::from_str(&format!("\"{text}\"")) {
        Ok(unescaped) => Cow::Owned(unescaped),
        Err(_) => text,
    }
}

/// Values of `a=ice-pwd:`, in SDP or in a JSON string of it.
fn ice_passwords(payload: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = payload.get(at..).and_then(|rest| rest.windows(ICE_PWD.len()).position(|w| w == ICE_PWD)) {
        let begin = at + next + ICE_PWD.len();
        let ends = |b: &u8| matches!(b, b'\\' | b'\r' | b'\n' | b'"');
        let end = payload[begin..].iter().position(ends).map_or(payload.len(), |length| begin + length);
        if begin < end {
            found.push(begin..end);
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(payload: &str) -> String {
        String::from_utf8(passwords(payload.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn secrets_are_overwritten_and_nothing_else_is() {
        for (payload, is) in [
            (r#"{"type":"ready"}"#, r#"{"type":"ready"}"#),
            (
                r#"{"username":"9:bob", "credential" : "s3c\"ret"}"#,
                r#"{"username":"9:bob", "credential" : "xxxxxxxx"}"#,
            ),
            (
                r#"{"sdp":"v=0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P+1/z\r\n"}"#,
                r#"{"sdp":"v=0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:xxxxx\r\n"}"#,
            ),
            ("a=ice-pwd:P1\na=ice-pwd:P2", "a=ice-pwd:xx\na=ice-pwd:xx"),
            (r#"{"authToken":12345,"n":12345}"#, r#"{"authToken":11111,"n":12345}"#),
            (r#"{"token":{"a":["b",7],"c":"d"},"e":"f"}"#, r#"{"token":{"a":["x",1],"c":"x"},"e":"f"}"#),
            (r#"{"\u0050assword":"geheim"}"#, r#"{"\u0050assword":"xxxxxx"}"#),
            (r#"{"password":"cut of"#, r#"{"password":"xxxxxx"#),
            (r#"{"password":null,"type":"join"}"#, r#"{"password":null,"type":"join"}"#),
            (r#"{"type":"password"}"#, r#"{"type":"password"}"#),
        ] {
            assert_eq!(masked(payload), is, "{payload}");
        }
    }

    #[test]
    fn escapes_and_json_within_json_are_no_way_around() {
        for payload in [
            r#"{"sdp":"a=\u0069ce-pwd:geheim\r\n"}"#,
            r#"{"data":"{\"password\":\"geheim\"}"}"#,
            r#"{"data":"{\"a\":\"{\\\"token\\\":\\\"geheim\\\"}\"}"}"#,
        ] {
            let masked = masked(payload);
            assert!(!masked.contains("geheim"), "{masked}");
            assert_eq!(masked.len(), payload.len());
        }
    }

    proptest! {
        #[test]
        fn lengths_stay_and_what_is_json_stays_json(payload in prop_oneof![
            any::<Vec<u8>>(),
            "\\{(\"(credential|a|token|sdp)\":[\\[{]?(\"(\\\\\\\\|\\\\n|\\\\u0069|ice-pwd:|é|x){0,4}\"|[0-9]{1,3}|null)[\\]}]?,?){0,4}\\}".prop_map(String::into_bytes),
        ]) {
            let masked = passwords(&payload);
            prop_assert_eq!(masked.len(), payload.len());
            prop_assert_eq!(std::str::from_utf8(&payload).is_ok(), std::str::from_utf8(&masked).is_ok() );
            if serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_ok() {
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&masked).is_ok());
            }
            prop_assert_eq!(&passwords(&masked), &masked);
        }
    }
}
