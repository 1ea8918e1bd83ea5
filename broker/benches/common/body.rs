//! What peers say to each other, in the sizes in which browsers say it, with the time of sending in it.

use std::sync::LazyLock;
use std::time::Instant;

/// The kinds of signal, by the first letter of their type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ready,
    Offer,
    Answer,
    Candidate,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }

    fn of(payload: &[u8]) -> Option<Self> {
        match payload.strip_prefix(br#"{"type":""#)?.first()? {
            b'r' => Some(Self::Ready),
            b'o' => Some(Self::Offer),
            b'a' => Some(Self::Answer),
            b'c' => Some(Self::Candidate),
            _ => None,
        }
    }
}

/// Messages made once; each copy that is sent gets its own time.
pub struct Bodies {
    ready: Vec<u8>,
    offer: Vec<u8>,
    answer: Vec<u8>,
    candidate: Vec<u8>,
}

/// `"at":"`, sixteen hexadecimal digits, `"}`.
const STAMP: usize = 18;

impl Bodies {
    /// With descriptions and candidates of so many bytes.
    pub fn new(description: usize, candidate: usize) -> Self {
        let lines = "a=rtpmap:96 VP8/90000\\r\\na=rtcp-fb:96 goog-remb\\r\\na=rtcp-fb:96 nack pli\\r\\n";
        let words = " typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999";
        Self {
            ready: body(r#"{"type":"ready"#, "", 0),
            offer: body(r#"{"type":"offer","sdp":"v=0\r\n"#, lines, description),
            answer: body(r#"{"type":"answer","sdp":"v=0\r\n"#, lines, description),
            candidate: body(r#"{"type":"candidate","sdpMid":"0","candidate":"candidate:1 1 udp 1"#, words, candidate),
        }
    }

    /// A message of this kind, with the present time in it.
    pub fn stamped(&self, kind: Kind) -> Vec<u8> {
        let mut bytes = match kind {
            Kind::Ready => &self.ready,
            Kind::Offer => &self.offer,
            Kind::Answer => &self.answer,
            Kind::Candidate => &self.candidate,
        }
        .clone();
        let digits = bytes.len() - STAMP..bytes.len() - 2;
        let mut rest = now();
        for digit in bytes[digits].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 0xF) as usize];
            rest >>= 4;
        }
        bytes
    }
}

fn body(begin: &str, filler: &str, size: usize) -> Vec<u8> {
    let end = format!(r#"","at":"{}"}}"#, "0".repeat(16));
    let space = size.saturating_sub(begin.len() + end.len());
    let filler: String = filler.chars().cycle().take(space).collect();
    // An escape that the end has cut in two would be no JSON.
    let filler = filler.trim_end_matches('\\');
    [begin, filler, &end].concat().into_bytes()
}

/// A signal as it came: what it is, and how many nanoseconds it took.
pub fn read(payload: &[u8]) -> Option<(Kind, u64)> {
    let digits = payload.get(payload.len().checked_sub(STAMP)?..payload.len() - 2)?;
    let sent = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((Kind::of(payload)?, now().saturating_sub(sent)))
}

/// Nanoseconds since this was first asked.
fn now() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_nanos() as u64
}
