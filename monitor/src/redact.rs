//! What is kept from people who look over a shoulder, at a screenshot or at an export: addresses, ICE user fragments and
//! passwords, TURN credentials, tokens.
//!
//! What is left still serves diagnosis: equal values look equal, private networks stay recognisable (`10.0.x.x`), a
//! TURN user name keeps the time at which it expires.

use crate::sdp::{Address, Candidate};
use serde_json::Value;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether private details are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Everything is shown as it came.
    pub reveal: bool,
}

/// What stands for something that is not shown at all.
const HIDDEN: &str = "…";

/// Fields whose value is hidden, in lower case.
const SECRET_FIELDS: &[&str] = &["credential", "password", "token", "pwd", "icepwd", "secret", "authorization"];

impl Redaction {
    /// An address: its network. `10.0.x.x`, `2001:db8:x…`, `4f5b9c3e….local`.
    pub fn address(self, address: &Address) -> String {
        match address {
            _ if self.reveal => address.to_string(),
            Address::Ip(ip) => network(*ip),
            Address::Mdns(name) => mdns(name),
            Address::Name(name) => name.to_string(),
        }
    }

    /// A user fragment: its first two characters, which tell one generation of candidates from the next.
    pub fn ufrag(self, ufrag: &str) -> String {
        if self.reveal { ufrag.to_owned() } else { fragment(ufrag) }
    }

    /// A candidate in short: `relay udp 203.0.x.x:49152`.
    pub fn candidate(self, candidate: &Candidate) -> String {
        let address = self.address(&candidate.address);
        let colon = if address.contains(':') { format!("[{address}]") } else { address };
        let tcp = candidate.tcp.map(|tcp| format!(" {tcp}")).unwrap_or_default();
        format!("{} {}{tcp} {colon}:{}", candidate.kind, candidate.transport, candidate.port)
    }

    /// Any text: SDP, a candidate line, JSON as it came, a message of an error.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        if self.reveal {
            return Cow::Borrowed(text);
        }
        let hidden = after_names(text);
        match addresses(&hidden) {
            Cow::Owned(masked) => Cow::Owned(masked),
            Cow::Borrowed(_) => hidden,
        }
    }

    /// JSON: every string in it, and what stands in fields that carry secrets.
    pub fn json(self, value: &Value) -> Value {
        if self.reveal { value.clone() } else { self.masked(value, 0) }
    }

    fn masked(self, value: &Value, depth: usize) -> Value {
        match value {
            // serde_json reads 128 levels at most; what was made otherwise ends here.
            _ if depth > 128 => Value::from(HIDDEN),
            Value::String(text) => Value::from(self.text(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.masked(item, depth + 1)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| {
                    let masked = match value {
                        Value::String(text) => self.field(name, text).map(Value::from),
                        _ if is_secret(name) && !value.is_null() => Some(Value::from(HIDDEN)),
                        _ => None,
                    };
                    (self.text(name).into_owned(), masked.unwrap_or_else(|| self.masked(value, depth + 1)))
                })
                .collect(),
            other => other.clone(),
        }
    }

    /// A payload as text: JSON stays JSON, compact; anything else is text. Not escaped.
    pub fn payload(self, payload: &[u8]) -> String {
        match serde_json::from_slice::<Value>(payload) {
            Ok(value) if !self.reveal => self.masked(&value, 0).to_string(),
            _ => self.text(&String::from_utf8_lossy(payload)).into_owned(),
        }
    }

    /// What a field of this name shows instead of `text`; `None` if its name says nothing.
    fn field(self, name: &str, text: &str) -> Option<String> {
        if is_secret(name) {
            return Some(HIDDEN.into());
        }
        match name {
            "username" | "user" => Some(turn_user(text)),
            "usernameFragment" | "ufrag" => Some(fragment(text)),
            _ => None,
        }
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_FIELDS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// A name of the TURN REST form, `<expiry>:<user>`, keeps its expiry, which is what an operator needs of it.
fn turn_user(name: &str) -> String {
    match name.split_once(':') {
        Some((expiry, _)) if !expiry.is_empty() && expiry.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{expiry}:{HIDDEN}")
        }
        _ => HIDDEN.into(),
    }
}

fn fragment(ufrag: &str) -> String {
    let shown: String = if ufrag.chars().count() < 4 { String::new() } else { ufrag.chars().take(2).collect() };
    format!("{shown}{HIDDEN}")
}

fn mdns(name: &str) -> String {
    let end = name.len() - ".local".len();
    let start: String = name.get(..end).unwrap_or(name).chars().take(8).collect();
    // A name that has been masked before is not masked again.
    if start.ends_with('…') || start.chars().count() < 8 { name.to_owned() } else { format!("{start}….local") }
}

/// The network that an address lies in; addresses that are the same for everybody are shown.
fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() || v4.is_broadcast() => v4.to_string(),
        IpAddr::V4(v4) => network_v4(v4),
        IpAddr::V6(v6) if v6.is_unspecified() || v6.is_loopback() => v6.to_string(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => format!("::ffff:{}", network_v4(v4)),
            None => network_v6(v6),
        },
    }
}

fn network_v4(v4: Ipv4Addr) -> String {
    let [a, b, ..] = v4.octets();
    format!("{a}.{b}.x.x")
}

fn network_v6(v6: Ipv6Addr) -> String {
    let [a, b, ..] = v6.segments();
    if b == 0 { format!("{a:x}:x…") } else { format!("{a:x}:{b:x}:x…") }
}

/// Masks what follows a name that announces a secret, in SDP, in candidates, and in JSON that is read as mere text.
fn after_names(text: &str) -> Cow<'_, str> {
    type Mask = fn(&str) -> String;
    /// How a value is announced and what becomes of it.
    const NAMES: &[(&str, Mask)] = &[
        ("ice-pwd:", |_| HIDDEN.into()),
        ("ice-ufrag:", fragment),
        (" ufrag ", fragment),
        ("\"usernameFragment\":", fragment),
        ("\"ufrag\":", fragment),
        ("\"username\":", turn_user),
        ("\"credential\":", |_| HIDDEN.into()),
        ("\"password\":", |_| HIDDEN.into()),
        ("\"token\":", |_| HIDDEN.into()),
        ("a=crypto:", |_| HIDDEN.into()),
        ("inline:", |_| HIDDEN.into()),
    ];
    if !NAMES.iter().any(|(name, _)| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = NAMES
            .iter()
            .filter_map(|(name, mask)| rest.find(name).map(|at| (at, name.len(), mask)))
            .min_by_key(|n| n.0);
        let Some((at, length, mask)) = next else { break };
        let (before, value) = rest.split_at(at + length);
        out.push_str(before);
        let space = value.len() - value.trim_start_matches(' ').len();
        let (space, value) = value.split_at(space);
        out.push_str(space);
        let quoted = value.strip_prefix('"');
        let value = quoted.unwrap_or(value);
        if quoted.is_some() {
            out.push('"');
        }
        let ends = |c: char| match quoted {
            Some(_) => c == '"',
            // A backslash begins the \r\n of SDP within JSON.
            None => c.is_whitespace() || matches!(c, '"' | '\\' | ','),
        };
        let end = value.find(ends).unwrap_or(value.len());
        out.push_str(&mask(&value[..end]));
        rest = &value[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Masks every IP address and every `.local` name.
fn addresses(text: &str) -> Cow<'_, str> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-');
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let Some(begin) = text[at..].find(part).map(|offset| at + offset) else { break };
        let end = text[begin..].find(|c| !part(c)).map_or(text.len(), |offset| begin + offset);
        at = end;
        for (from, to, masked) in word(&text[begin..end]) {
            out.push_str(&text[copied..begin + from]);
            out.push_str(&masked);
            copied = begin + to;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The addresses in a run of characters without spaces: where they are, and what stands for them.
fn word(word: &str) -> Vec<(usize, usize, String)> {
    if !word.contains('.') && word.matches(':').count() < 2 {
        return Vec::new();
    }
    let end = word.len() - ".local".len().min(word.len());
    if word.get(end..).is_some_and(|suffix| suffix.eq_ignore_ascii_case(".local")) {
        let masked = mdns(word);
        return if masked == word { Vec::new() } else { vec![(0, word.len(), masked)] };
    }
    // An IPv6 address may follow a word and a colon (`turn:`, `IP6:`) and be followed by punctuation.
    let hex = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(begin) = word[from..].find(hex).map(|offset| from + offset) {
        let end = word[begin..].find(|c| !hex(c)).map_or(word.len(), |offset| begin + offset);
        from = end;
        let run = &word[begin..end];
        let trimmed = run.trim_end_matches('.');
        let candidates = [trimmed, trimmed.trim_end_matches(':'), trimmed.strip_prefix(':').unwrap_or(trimmed)];
        if let Some(v6) = candidates.iter().find(|text| text.parse::<Ipv6Addr>().is_ok()) {
            let start = begin + run.find(*v6).unwrap_or_default();
            if let Ok(ip) = v6.parse::<Ipv6Addr>()
                && (network(ip.into()) != **v6)
            {
                found.push((start, start + v6.len(), network(ip.into())));
            }
            continue;
        }
        let mut offset = begin;
        for piece in run.split(':') {
            let bare = piece.trim_matches('.');
            if let Ok(v4) = bare.parse::<Ipv4Addr>() {
                let start = offset + piece.find(bare).unwrap_or_default();
                found.push((start, start + bare.len(), network(v4.into())));
            }
            offset += piece.len() + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const HIDE: Redaction = Redaction { reveal: false };
    const SHOW: Redaction = Redaction { reveal: true };

    #[test]
    fn addresses_become_their_networks() {
        for (address, shown) in [
            ("10.0.3.4", "10.0.x.x"),
            ("192.168.178.20", "192.168.x.x"),
            ("127.0.0.1", "127.0.x.x"),
            ("203.0.113.9", "203.0.x.x"),
            ("0.0.0.0", "0.0.0.0"),
            ("2001:db8:1:2::7", "2001:db8:x…"),
            ("fe80::1c2d:3e4f", "fe80:x…"),
            ("::1", "::1"),
            ("::ffff:192.0.2.9", "::ffff:192.0.x.x"),
            ("4f5b9c3e-1d2c-4e5f-8a9b-0c1d2e3f4a5b.local", "4f5b9c3e….local"),
        ] {
            assert_eq!(HIDE.address(&Address::read(address)), shown);
            assert_eq!(SHOW.address(&Address::read(address)), address);
        }
    }

    #[test]
    fn a_candidate_in_short_keeps_kind_transport_and_port() {
        let short = |line| HIDE.candidate(&Candidate::parse(line).unwrap());
        assert_eq!(short("1 1 udp 1 203.0.113.9 49152 typ relay raddr 192.0.2.1 rport 5"), "relay udp 203.0.x.x:49152");
        assert_eq!(short("1 1 tcp 1 2001:db8::7 9 typ host tcptype active"), "host tcp active [2001:db8:x…]:9");
    }

    #[test]
    fn sdp_is_masked_where_addresses_and_secrets_stand() {
        let sdp = "o=- 46117 2 IN IP4 192.0.2.5\r\nc=IN IP6 2001:db8::5\r\na=rtcp:9 IN IP4 192.0.2.6\r\n\
            a=candidate:1 1 udp 2122260223 192.0.2.5 61000 typ srflx raddr 10.1.2.3 rport 61000 ufrag EsAw\r\n\
            a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=fingerprint:sha-256 49:66:12:17\r\n";
        let masked = "o=- 46117 2 IN IP4 192.0.x.x\r\nc=IN IP6 2001:db8:x…\r\na=rtcp:9 IN IP4 192.0.x.x\r\n\
            a=candidate:1 1 udp 2122260223 192.0.x.x 61000 typ srflx raddr 10.1.x.x rport 61000 ufrag Es…\r\n\
            a=ice-ufrag:Es…\r\na=ice-pwd:…\r\na=fingerprint:sha-256 49:66:12:17\r\n";
        assert_eq!(HIDE.text(sdp), masked);
        assert_eq!(SHOW.text(sdp), sdp);
        let as_json = json!({ "type": "offer", "sdp": sdp });
        assert_eq!(HIDE.json(&as_json), json!({ "type": "offer", "sdp": masked }));
        assert_eq!(HIDE.payload(as_json.to_string().as_bytes()), HIDE.json(&as_json).to_string());
    }

    #[test]
    fn json_that_is_cut_off_is_masked_as_text() {
        let cut = r#"{"type":"offer","sdp":"c=IN IP4 192.0.2.5\r\na=ice-pwd:bP+XJMM09aR8\r\na=x","username": "17:bob","credential":"s3c"#;
        assert_eq!(
            HIDE.payload(cut.as_bytes()),
            r#"{"type":"offer","sdp":"c=IN IP4 192.0.x.x\r\na=ice-pwd:…\r\na=x","username": "17:…","credential":"…"#
        );
    }

    #[test]
    fn turn_credentials_keep_only_their_expiry() {
        let servers = json!({"ice_servers": [{
            "urls": ["turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3478", "stun:stun.example.org"],
            "username": "1790000000:alice", "credential": "q1w2e3"
        }, { "username": "alice", "credential": {"secret": [1, 2]} }]});
        assert_eq!(
            HIDE.json(&servers),
            json!({"ice_servers": [{
                "urls": ["turn:192.0.x.x:3478?transport=udp", "turn:[2001:db8:x…]:3478", "stun:stun.example.org"],
                "username": "1790000000:…", "credential": "…"
            }, { "username": "…", "credential": "…" }]})
        );
    }

    #[test]
    fn what_only_looks_like_an_address_stays() {
        for text in [
            "10:46:19",
            "2026-11-22T10:46:19.000Z",
            "sha-256 AA:BB:CC",
            "H264/90000",
            "a::b is fine? no",
            "1.2.3",
            "v0.25.1",
        ] {
            if text.parse::<IpAddr>().is_err() && !text.contains("::") {
                assert!(matches!(HIDE.text(text), Cow::Borrowed(_)), "{text}: {}", HIDE.text(text));
            }
        }
        assert_eq!(HIDE.text("(192.0.2.1), 192.0.2.2."), "(192.0.x.x), 192.0.x.x.");
    }

    proptest! {
        #[test]
        fn no_address_survives_wherever_it_stands(v4 in any::<[u8; 4]>(), v6 in any::<[u16; 8]>(), port in any::<u16>()) {
            let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6));
            prop_assume!(network(v4.into()) != v4.to_string() && network(v6.into()) != v6.to_string());
            for (text, address) in [
                (format!("c=IN IP4 {v4}\r\n"), v4.to_string()), (format!("turn:{v4}:{port}?x"), v4.to_string()),
                (format!("[{v6}]:{port}"), v6.to_string()), (format!("IN IP6 {v6}\\r\\n"), v6.to_string()),
                (format!("\"{v6}\""), v6.to_string()), (format!("{v4},{v6}"), v4.to_string()), (format!("turn:{v6}"), v6.to_string()),
            ] {
                let masked = HIDE.text(&text).into_owned();
                prop_assert!(!masked.contains(&address), "{} in {}", address, masked);
                prop_assert_eq!(HIDE.text(&masked), masked.as_str(), "masking again changes nothing");
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}|[0-9a-f:. \"\\\\]{0,60}|(ice-pwd:|\"credential\":|ufrag |10\\.0\\.0\\.1|::1|\\PC){0,20}") {
            HIDE.text(&text);
            HIDE.payload(text.as_bytes());
        }
    }
}
