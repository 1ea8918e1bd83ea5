//! ICE candidates as they are trickled and as they stand in SDP (RFC 8839 §5.1, RFC 8838, RFC 6544 for TCP).
//!
//! Reading is lenient where browsers are: the `a=` and `candidate:` before it may be missing, extensions that are
//! unknown are passed over. What is left must be a candidate.

use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// Longest candidate that is read, in bytes. A real one has about two hundred.
pub const MAX_BYTES: usize = 2048;

/// Why a line is no candidate; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// It ends before the eighth field.
    #[error(
        "a candidate has at least 8 fields (foundation, component, transport, priority, address, port, typ, type), this one has {0}"
    )]
    Fields(usize),
    /// A number that is none, or too large.
    #[error("the {field} of the candidate must be a number from {least} to {most}, not {found:?}")]
    Number {
        /// Which field.
        field: &'static str,
        /// Smallest value.
        least: u32,
        /// Largest value.
        most: u32,
        /// What stands there.
        found: String,
    },
    /// The seventh field.
    #[error("the seventh field of a candidate is the word typ, not {0:?}")]
    Typ(String),
    /// The eighth field.
    #[error("the type of a candidate is host, srflx, prflx or relay, not {0:?}")]
    Kind(String),
    /// Longer than any candidate that is read.
    #[error("the candidate has {0} bytes; read are {MAX_BYTES} at most")]
    TooLong(usize),
    /// The JSON around it has another shape.
    #[error("candidate must be an object like {{\"candidate\":\"candidate:…\",\"sdpMid\":\"0\"}} or null, not {0}")]
    Shape(&'static str),
}

/// Where a candidate can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address.
    Ip(IpAddr),
    /// A name under `.local` that stands for an address only within its network (multicast DNS).
    Mdns(Box<str>),
    /// Any other name.
    Name(Box<str>),
}

impl Address {
    /// Reads an address or a name; anything is a name.
    pub fn read(text: &str) -> Self {
        // RFC 8839 has no brackets around IPv6; some devices write them.
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Address::Ip(ip);
        }
        let ends = text.len().checked_sub(".local".len()).and_then(|at| text.get(at..));
        if ends.is_some_and(|end| end.eq_ignore_ascii_case(".local")) {
            Address::Mdns(text.into())
        } else {
            Address::Name(text.into())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(ip) => ip.fmt(f),
            Address::Mdns(name) | Address::Name(name) => f.write_str(name),
        }
    }
}

/// Where a candidate comes from (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An address of the device itself.
    Host,
    /// Its address as a STUN server sees it.
    Srflx,
    /// Its address as the other peer sees it.
    Prflx,
    /// An address at a TURN server.
    Relay,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Host => "host",
            Kind::Srflx => "srflx",
            Kind::Prflx => "prflx",
            Kind::Relay => "relay",
        })
    }
}

/// How a TCP candidate connects (RFC 6544 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tcp {
    /// It connects to the other one.
    Active,
    /// It waits for the other one.
    Passive,
    /// Both at once.
    SimultaneousOpen,
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tcp::Active => "active",
            Tcp::Passive => "passive",
            Tcp::SimultaneousOpen => "so",
        })
    }
}

/// One way to reach a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Candidates with the same foundation share type, base address, protocol and server.
    pub foundation: Box<str>,
    /// 1 for RTP (and everything multiplexed with it), 2 for RTCP of its own.
    pub component: u16,
    /// `udp` or `tcp`, in lower case.
    pub transport: Box<str>,
    /// The larger, the rather.
    pub priority: u32,
    /// Where it can be reached.
    pub address: Address,
    /// The port there; 9 in active TCP candidates.
    pub port: u16,
    /// Where it comes from.
    pub kind: Kind,
    /// How it connects, if over TCP.
    pub tcp: Option<Tcp>,
    /// The base of a reflexive candidate, or the reflexive address of a relayed one. Browsers hide it as `0.0.0.0`.
    pub related: Option<(Address, u16)>,
    /// Which generation of candidates it belongs to: the user fragment of the description.
    pub ufrag: Option<Box<str>>,
    /// The m-line it belongs to, by name; only known of trickled ones.
    pub mid: Option<Box<str>>,
    /// The m-line it belongs to, by number; only known of trickled ones.
    pub mline: Option<u16>,
}

/// What a `candidate` message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trickled {
    /// One more candidate.
    Candidate(Candidate),
    /// There are no more: `null`, or an empty string in its place.
    End,
}

impl Candidate {
    /// Reads `candidate:842163049 1 udp 1677729535 203.0.113.7 61000 typ srflx raddr … rport … …`.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn parse(line: &str) -> Result<Self, CandidateError> {
        if line.len() > MAX_BYTES {
            return Err(CandidateError::TooLong(line.len()));
        }
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [foundation, component, transport, priority, address, port, typ, kind, rest @ ..] = fields.as_slice()
        else {
            return Err(CandidateError::Fields(fields.len()));
        };
        if !typ.eq_ignore_ascii_case("typ") {
            return Err(CandidateError::Typ(short(typ)));
        }
        let kind = match kind.to_ascii_lowercase().as_str() {
            "host" => Kind::Host,
            "srflx" => Kind::Srflx,
            "prflx" => Kind::Prflx,
            "relay" => Kind::Relay,
            _ => return Err(CandidateError::Kind(short(kind))),
        };
        let mut candidate = Self {
            foundation: (*foundation).into(),
            component: number("component", component, 1, 256)?,
            transport: transport.to_ascii_lowercase().into(),
            priority: number("priority", priority, 0, u32::MAX)?,
            address: Address::read(address),
            port: number("port", port, 0, 65535)?,
            kind,
            tcp: None,
            related: None,
            ufrag: None,
            mid: None,
            mline: None,
        };
        let (mut raddr, mut rport) = (None, 0);
        for pair in rest.chunks_exact(2) {
            match pair[0] {
                "raddr" => raddr = Some(Address::read(pair[1])),
                "rport" => rport = number("rport", pair[1], 0, 65535)?,
                "ufrag" => candidate.ufrag = Some(pair[1].into()),
                "tcptype" => {
                    candidate.tcp = match pair[1] {
                        "active" => Some(Tcp::Active),
                        "passive" => Some(Tcp::Passive),
                        "so" => Some(Tcp::SimultaneousOpen),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
        candidate.related = raddr.map(|address| (address, rport));
        Ok(candidate)
    }

    /// About how much memory it takes, in bytes.
    pub fn footprint(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, |text| 16 + text.len());
        let name = |address: &Address| match address {
            Address::Ip(_) => 0,
            Address::Mdns(name) | Address::Name(name) => 16 + name.len(),
        };
        size_of::<Self>()
            + 32
            + self.foundation.len()
            + self.transport.len()
            + name(&self.address)
            + self.related.as_ref().map_or(0, |(address, _)| name(address))
            + text(&self.ufrag)
            + text(&self.mid)
    }

    /// Reads the value of `candidate` in a candidate message: an RTCIceCandidateInit, `null`, or, as some devices
    /// send it, the bare line.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn trickled(value: &Value) -> Result<Trickled, CandidateError> {
        let (line, object) = match value {
            Value::Null => return Ok(Trickled::End),
            Value::String(line) => (line.as_str(), None),
            Value::Object(object) => match object.get("candidate") {
                Some(Value::String(line)) => (line.as_str(), Some(object)),
                None | Some(Value::Null) => return Ok(Trickled::End),
                Some(_) => return Err(CandidateError::Shape("an object whose candidate is no string")),
            },
            Value::Bool(_) => return Err(CandidateError::Shape("a boolean")),
            Value::Number(_) => return Err(CandidateError::Shape("a number")),
            Value::Array(_) => return Err(CandidateError::Shape("an array")),
        };
        if line.trim().is_empty() {
            return Ok(Trickled::End);
        }
        let mut candidate = Self::parse(line)?;
        if let Some(object) = object {
            let text = |name: &str| object.get(name).and_then(Value::as_str).map(clipped);
            candidate.mid = text("sdpMid");
            candidate.mline = object.get("sdpMLineIndex").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
            candidate.ufrag = text("usernameFragment").or(candidate.ufrag);
        }
        Ok(Trickled::Candidate(candidate))
    }
}

fn number<N: TryFrom<u32>>(field: &'static str, text: &str, least: u32, most: u32) -> Result<N, CandidateError> {
    text.parse::<u32>()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .and_then(|n| N::try_from(n).ok())
        .ok_or_else(|| CandidateError::Number { field, least, most, found: short(text) })
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Names and fragments have at most 256 characters (RFC 8839 §5.4); more is not kept.
fn clipped(text: &str) -> Box<str> {
    text.chars().take(256).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(line: &str) -> Candidate {
        Candidate::parse(line).unwrap()
    }

    #[test]
    fn every_kind_is_read() {
        let host =
            parse("candidate:1 1 UDP 2122260223 192.168.0.7 61000 typ host generation 0 ufrag EsAw network-id 1");
        assert_eq!((host.kind, &*host.transport, host.port), (Kind::Host, "udp", 61000));
        assert_eq!(host.address, Address::Ip([192, 168, 0, 7].into()));
        assert_eq!(host.ufrag.as_deref(), Some("EsAw"));
        let srflx = parse("a=candidate:2 1 udp 1686052607 203.0.113.7 61000 typ srflx raddr 0.0.0.0 rport 0");
        assert_eq!(srflx.related, Some((Address::Ip([0, 0, 0, 0].into()), 0)));
        assert_eq!(parse("3 2 udp 1 198.51.100.1 1 typ prflx").component, 2);
        assert_eq!(parse("candidate:4 1 udp 1 198.51.100.1 50000 typ relay").kind, Kind::Relay);
    }

    #[test]
    fn tcp_ipv6_and_names_are_read() {
        let active = parse("candidate:1 1 tcp 1518280447 2001:db8::7 9 typ host tcptype active");
        assert_eq!((active.tcp, active.port), (Some(Tcp::Active), 9));
        assert_eq!(active.address, Address::Ip("2001:db8::7".parse().unwrap()));
        assert_eq!(parse("1 1 tcp 1 2001:db8::7 9 typ host tcptype passive").tcp, Some(Tcp::Passive));
        assert_eq!(parse("1 1 tcp 1 2001:db8::7 9 typ host tcptype so").tcp, Some(Tcp::SimultaneousOpen));
        let mdns = parse("candidate:1 1 udp 1 4f5b9c3e-0000-4000-8000-000000000000.local 61000 typ host");
        assert!(matches!(mdns.address, Address::Mdns(_)), "{:?}", mdns.address);
        assert!(matches!(parse("1 1 udp 1 turn.example.org 61000 typ relay").address, Address::Name(_)));
        assert_eq!(parse("1 1 udp 1 [2001:db8::7] 1 typ host").address, active.address, "brackets are passed over");
    }

    #[test]
    fn errors_say_what_would_be_right() {
        for (line, says) in [
            ("candidate:1 1 udp", "has 3"),
            ("1 0 udp 1 192.0.2.1 1 typ host", "component of the candidate must be a number from 1 to 256, not \"0\""),
            ("1 1 udp x 192.0.2.1 1 typ host", "priority"),
            (
                "1 1 udp 1 192.0.2.1 70000 typ host",
                "port of the candidate must be a number from 0 to 65535, not \"70000\"",
            ),
            ("1 1 udp 1 192.0.2.1 1 type host", "the word typ, not \"type\""),
            ("1 1 udp 1 192.0.2.1 1 typ guest", "host, srflx, prflx or relay, not \"guest\""),
        ] {
            let error = Candidate::parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
        assert_eq!(Candidate::parse(&"x".repeat(MAX_BYTES + 1)), Err(CandidateError::TooLong(MAX_BYTES + 1)));
    }

    #[test]
    fn null_and_nothing_end_the_candidates() {
        for end in
            [json!(null), json!(""), json!({"candidate": ""}), json!({"candidate": null}), json!({"sdpMid": "0"})]
        {
            assert_eq!(Candidate::trickled(&end), Ok(Trickled::End), "{end}");
        }
        for wrong in [json!(1), json!(true), json!([]), json!({"candidate": 7})] {
            assert!(matches!(Candidate::trickled(&wrong), Err(CandidateError::Shape(_))), "{wrong}");
        }
    }

    #[test]
    fn a_trickled_candidate_knows_its_m_line_and_generation() {
        let line = "candidate:1 1 udp 1 192.0.2.1 1 typ host";
        let init = json!({"candidate": line, "sdpMid": "video", "sdpMLineIndex": 1, "usernameFragment": "Q7vT"});
        let Ok(Trickled::Candidate(candidate)) = Candidate::trickled(&init) else { panic!("{init}") };
        assert_eq!((candidate.mid.as_deref(), candidate.mline), (Some("video"), Some(1)));
        assert_eq!(candidate.ufrag.as_deref(), Some("Q7vT"));
        assert!(matches!(Candidate::trickled(&json!(line)), Ok(Trickled::Candidate(_))), "a bare line will do");
    }

    proptest! {
        #[test]
        fn nothing_panics(line in "\\PC{0,200}") {
            let _ = Candidate::parse(&line);
        }

        #[test]
        fn what_looks_like_one_is_read_or_refused_in_words(
            line in "(a=)?(candidate:)?[0-9a-z]{1,3}( [0-9a-z:.]{0,12}){0,7} ?(typ (host|relay|srflx|x))?( (raddr|rport|ufrag|tcptype) [0-9a-z]{1,4}){0,3}"
        ) {
            if let Err(error) = Candidate::parse(&line) {
                prop_assert!(error.to_string().len() > 20);
            }
        }
    }
}
