//! Session descriptions as far as an operator of WebRTC looks at them (RFC 8866, 8829, 8839, 8842, 9143).
//!
//! Reading never fails: what is broken is shown with its line, and the rest is read all the same. This is no parser to
//! build a call on.

mod candidate;
mod codec;
mod diff;
mod read;

pub use candidate::{Address, Candidate, CandidateError, Kind as CandidateKind, Tcp, Trickled};
pub use codec::{Codec, in_common, list as codec_list};
pub use diff::{Change, MAX_LINES as MAX_DIFF_LINES, diff, lines_of};

use std::fmt;

/// A description, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// Number and version of the session, from `o=`: the same number with a larger version is a renegotiation.
    pub session: Option<(u64, u64)>,
    /// The m-lines, in their order.
    pub media: Vec<Media>,
    /// Names (mids) of the m-lines that share one transport.
    pub bundle: Vec<Box<str>>,
    /// Whether this side only answers connectivity checks (RFC 8445 §2.5).
    pub ice_lite: bool,
    /// Whether candidates may follow (`ice-options:trickle`, RFC 8840).
    pub trickle: bool,
    /// What is wrong with it, in the order of lines; at most [`Description::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// Its length in bytes.
    pub bytes: usize,
}

/// Something wrong in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 for the whole.
    pub line: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.what) } else { write!(f, "line {}: {}", self.line, self.what) }
    }
}

/// One m-line and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What it carries.
    pub kind: MediaKind,
    /// 0 refuses it, or takes it back; 9 stands for "the candidates tell".
    pub port: u16,
    /// `UDP/TLS/RTP/SAVPF` and the like.
    pub protocol: Box<str>,
    /// Its name within the session.
    pub mid: Option<Box<str>>,
    /// Who sends.
    pub direction: Direction,
    /// Its payload types, in the order of preference.
    pub codecs: Vec<Codec>,
    /// Port of SCTP, if this is the data channel (RFC 8841).
    pub sctp_port: Option<u16>,
    /// ICE user fragment, its own or that of the session.
    pub ufrag: Option<Box<str>>,
    /// ICE password, its own or that of the session.
    pub pwd: Option<Secret>,
    /// Certificates that the other side may see in the DTLS handshake, its own or those of the session.
    pub fingerprints: Vec<Fingerprint>,
    /// Who begins the DTLS handshake.
    pub setup: Option<Setup>,
    /// Whether RTCP shares the port.
    pub rtcp_mux: bool,
    /// Whether it only exists bundled (RFC 9143 §6).
    pub bundle_only: bool,
    /// Candidates within the description.
    pub candidates: Vec<Candidate>,
    /// Whether no more will follow.
    pub end_of_candidates: bool,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// What an m-line carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `application`: with SCTP the data channel.
    Application,
    /// Anything else.
    Other(Box<str>),
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Application => "application",
            MediaKind::Other(kind) => kind,
        })
    }
}

/// Who sends, as the one who describes sees it (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both; what holds if nothing is said.
    #[default]
    SendRecv,
    /// Only this side.
    SendOnly,
    /// Only the other side.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// Whether this side sends.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether this side wants to receive.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        })
    }
}

/// Who begins the DTLS handshake (RFC 8842 §5, RFC 4145 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// This side.
    Active,
    /// The other side.
    Passive,
    /// The answerer decides; only in offers.
    ActPass,
    /// Nobody for now.
    HoldConn,
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
            Setup::HoldConn => "holdconn",
        })
    }
}

/// A certificate's digest (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// `sha-256` and the like, in lower case.
    pub hash: Box<str>,
    /// Pairs of hexadecimal digits with colons between them.
    pub digest: Box<str>,
}

/// A password: whoever prints it by mistake prints dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// The password itself, for an operator who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Media {
    /// Whether the m-line is refused or taken back.
    pub fn is_refused(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// Whether it is secured by DTLS, as all of WebRTC must be (RFC 8827 §6.5).
    pub fn is_dtls(&self) -> bool {
        self.protocol.split('/').any(|part| matches!(part, "TLS" | "DTLS"))
    }

    /// Whether it carries audio or video.
    pub fn is_av(&self) -> bool {
        matches!(self.kind, MediaKind::Audio | MediaKind::Video)
    }

    /// Whether it is the data channel.
    pub fn is_data_channel(&self) -> bool {
        self.kind == MediaKind::Application && self.protocol.ends_with("SCTP")
    }
}

impl Description {
    /// Most problems that are kept; one more line says that there were more.
    pub const MAX_PROBLEMS: usize = 32;
    /// Most m-lines that are read.
    pub const MAX_MEDIA: usize = 64;
    /// Most candidates that are read of one m-line.
    pub const MAX_CANDIDATES: usize = 256;
    /// Most bytes that are read.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads a description; whatever the text is, there is one, with problems if there are any.
    pub fn read(text: &str) -> Self {
        read::read(text)
    }

    /// Every user fragment in it, each once: one if all is bundled.
    pub fn ufrags(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for ufrag in self.media.iter().filter_map(|media| media.ufrag.as_deref()) {
            if !all.contains(&ufrag) {
                all.push(ufrag);
            }
        }
        all
    }

    /// Candidates of all m-lines.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.media.iter().flat_map(|media| &media.candidates)
    }

    /// About how much memory it takes, in bytes.
    pub fn footprint(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        let codec = |c: &Codec| size_of::<Codec>() + c.name.len() + c.fmtp.len();
        let media = |m: &Media| {
            size_of::<Media>()
                + m.protocol.len()
                + m.codecs.iter().map(codec).sum::<usize>()
                + m.candidates.iter().map(Candidate::footprint).sum::<usize>()
                + m.fingerprints.iter().map(|f| size_of::<Fingerprint>() + f.digest.len() + f.hash.len()).sum::<usize>()
                + text(&m.mid)
                + text(&m.ufrag)
        };
        size_of::<Self>()
            + self.media.iter().map(media).sum::<usize>()
            + self.problems.iter().map(|p| size_of::<Problem>() + p.what.len()).sum::<usize>()
            + self.bundle.iter().map(|mid| 16 + mid.len()).sum::<usize>()
    }
}
