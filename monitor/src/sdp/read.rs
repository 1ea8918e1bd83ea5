//! From text to a [`Description`]: line by line, noting what is wrong and going on.

use super::{Candidate, Codec, Description, Direction, Fingerprint, Media, MediaKind, Problem, Secret, Setup};

/// Longest value that is kept of a line, in bytes; what no implementation needs is cut.
const MAX_VALUE: usize = 1024;
/// Most payload types of an m-line: there are 128 numbers.
const MAX_CODECS: usize = 128;
/// Most fingerprints of an m-line.
const MAX_FINGERPRINTS: usize = 16;

pub(super) fn read(text: &str) -> Description {
    let mut reader =
        Reader { description: Description { bytes: text.len(), ..Description::default() }, ..Reader::default() };
    let text = match text.char_indices().map(|(at, _)| at).find(|&at| at >= Description::MAX_BYTES) {
        None => text,
        Some(end) => {
            reader.problem(0, format!("{} bytes; what is after the first {end} is not read", text.len()));
            &text[..end]
        }
    };
    for (number, line) in text.lines().enumerate() {
        reader.line(number + 1, line.trim_end_matches('\r'));
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    description: Description,
    session: Shared,
    /// Whether `v=` has come, so that its absence is told once.
    begun: bool,
    /// Whether an m-line was over the limit: what follows belongs to none that is kept.
    beyond: bool,
    more_problems: usize,
}

/// What the session level says for every m-line that does not say it itself.
#[derive(Default)]
struct Shared {
    ufrag: Option<Box<str>>,
    pwd: Option<Secret>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    direction: Direction,
}

impl Reader {
    fn problem(&mut self, line: usize, what: String) {
        if self.description.problems.len() < Description::MAX_PROBLEMS {
            self.description.problems.push(Problem { line, what });
        } else {
            self.more_problems += 1;
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        if line.is_empty() {
            return;
        }
        let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
            let start: String = line.chars().take(40).collect();
            return self.problem(number, format!("a line is a letter, = and a value, not {start:?}"));
        };
        if !self.begun {
            self.begun = true;
            if kind != "v" {
                self.problem(number, "a description begins with v=0".into());
            }
        }
        match kind {
            "v" if value.trim() != "0" => self.problem(number, format!("the version is 0, not {:?}", cut(value, 40))),
            "o" => self.origin(number, value),
            "m" => self.media(number, value),
            "a" if !self.beyond => self.attribute(number, value),
            _ => {}
        }
    }

    fn origin(&mut self, number: usize, value: &str) {
        let fields: Vec<&str> = value.split_ascii_whitespace().take(7).collect();
        match fields.as_slice() {
            [_, session, version, _, _, _] => {
                // Both are numbers (RFC 8829 §5.2.1), but only the comparison of two descriptions uses them.
                self.description.session = session.parse().ok().zip(version.parse().ok());
            }
            _ => self.problem(
                number,
                format!("o= has 6 fields (name, session, version, IN, IP4, address), not {}", fields.len()),
            ),
        }
    }

    fn media(&mut self, number: usize, value: &str) {
        if self.description.media.len() == Description::MAX_MEDIA {
            if !self.beyond {
                self.problem(number, format!("m-lines after the first {} are not read", Description::MAX_MEDIA));
            }
            self.beyond = true;
            return;
        }
        let mut fields = value.split_ascii_whitespace();
        let (kind, port, protocol) = (fields.next(), fields.next(), fields.next());
        let (Some(kind), Some(port), Some(protocol)) = (kind, port, protocol) else {
            self.problem(
                number,
                "an m-line has a kind, a port, a protocol and formats, like m=audio 9 UDP/TLS/RTP/SAVPF 111".into(),
            );
            // What follows belongs to this one all the same, not to the one before.
            self.description.media.push(Media::new(
                MediaKind::Other(cut(kind.unwrap_or("?"), 40).into()),
                0,
                "",
                number,
            ));
            return;
        };
        let port_number = port.split('/').next().unwrap_or_default().parse().unwrap_or_else(|_| {
            self.problem(number, format!("the port is a number from 0 to 65535, not {:?}", cut(port, 40)));
            0
        });
        let kind = match kind {
            "audio" => MediaKind::Audio,
            "video" => MediaKind::Video,
            "application" => MediaKind::Application,
            other => MediaKind::Other(cut(other, 40).into()),
        };
        let mut media = Media::new(kind, port_number, cut(protocol, 64), number);
        media.direction = self.session.direction;
        if media.is_av() {
            let mut wrong = None;
            for format in fields.by_ref().take(MAX_CODECS) {
                match format.parse::<u8>().ok().filter(|payload| *payload < 128) {
                    Some(payload) => media.codecs.push(Codec::numbered(payload, media.kind == MediaKind::Audio)),
                    None => wrong = Some(cut(format, 40)),
                }
            }
            if let Some(wrong) = wrong {
                self.problem(number, format!("a payload type is a number from 0 to 127, not {wrong:?}"));
            }
            if media.codecs.is_empty() && !media.is_refused() {
                self.problem(number, format!("the m-line of {} names no format", media.kind));
            }
        }
        self.description.media.push(media);
    }

    fn attribute(&mut self, number: usize, value: &str) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        let value = cut(value, MAX_VALUE).trim();
        let direction = match name {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        if let Some(direction) = direction {
            match self.description.media.last_mut() {
                Some(media) => media.direction = direction,
                None => self.session.direction = direction,
            }
            return;
        }
        match name {
            "ice-lite" => self.description.ice_lite = true,
            "ice-options" => {
                self.description.trickle |= value.split_ascii_whitespace().any(|option| option == "trickle")
            }
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE") {
                    self.description.bundle =
                        mids.split_ascii_whitespace().take(Description::MAX_MEDIA).map(Into::into).collect();
                }
            }
            "ice-ufrag" => {
                if !(4..=256).contains(&value.len()) {
                    self.problem(
                        number,
                        format!("an ICE user fragment has 4 to 256 characters, this one has {}", value.len()),
                    );
                }
                let slot = self.description.media.last_mut().map_or(&mut self.session.ufrag, |media| &mut media.ufrag);
                *slot = Some(value.into());
            }
            "ice-pwd" => {
                if !(22..=256).contains(&value.len()) {
                    self.problem(
                        number,
                        format!("an ICE password has 22 to 256 characters, this one has {}", value.len()),
                    );
                }
                let slot = self.description.media.last_mut().map_or(&mut self.session.pwd, |media| &mut media.pwd);
                *slot = Some(Secret(value.into()));
            }
            "fingerprint" => self.fingerprint(number, value),
            "setup" => {
                let setup = match value {
                    "active" => Setup::Active,
                    "passive" => Setup::Passive,
                    "actpass" => Setup::ActPass,
                    "holdconn" => Setup::HoldConn,
                    other => {
                        let other = cut(other, 40);
                        return self
                            .problem(number, format!("setup is active, passive, actpass or holdconn, not {other:?}"));
                    }
                };
                let slot = self.description.media.last_mut().map_or(&mut self.session.setup, |media| &mut media.setup);
                *slot = Some(setup);
            }
            _ => self.media_attribute(number, name, value),
        }
    }

    /// Attributes that only an m-line has.
    fn media_attribute(&mut self, number: usize, name: &str, value: &str) {
        let Some(media) = self.description.media.last_mut() else { return };
        let problem = match name {
            "mid" => {
                media.mid = Some(value.into());
                None
            }
            "rtcp-mux" | "rtcp-mux-only" => {
                media.rtcp_mux = true;
                None
            }
            "bundle-only" => {
                media.bundle_only = true;
                None
            }
            "end-of-candidates" => {
                media.end_of_candidates = true;
                None
            }
            "sctp-port" => {
                media.sctp_port = value.parse().ok();
                media
                    .sctp_port
                    .is_none()
                    .then(|| format!("sctp-port is a number from 0 to 65535, not {:?}", cut(value, 40)))
            }
            // The form of before RFC 8841: the port, the protocol, the number of streams.
            "sctpmap" => {
                media.sctp_port = value.split_ascii_whitespace().next().and_then(|port| port.parse().ok());
                None
            }
            "rtpmap" => rtpmap(media, value),
            "fmtp" => {
                if let Some((payload, parameters)) = value.split_once(' ')
                    && let Some(codec) = payload.parse().ok().and_then(|payload: u8| find(media, payload))
                {
                    codec.fmtp = parameters.trim().into();
                }
                None
            }
            "candidate" => match Candidate::parse(value) {
                Ok(_) if media.candidates.len() == Description::MAX_CANDIDATES => {
                    Some(format!("candidates after the first {} are not read", Description::MAX_CANDIDATES))
                }
                Ok(mut candidate) => {
                    candidate.mid = media.mid.clone();
                    media.candidates.push(candidate);
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            _ => None,
        };
        if let Some(what) = problem {
            self.problem(number, what);
        }
    }

    fn fingerprint(&mut self, number: usize, value: &str) {
        let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        let Some((hash, digest)) =
            value.split_once(' ').map(|(h, d)| (h, d.trim())).filter(|(_, digest)| digest.split(':').all(pair))
        else {
            let what = "a fingerprint is the name of a hash and pairs of hexadecimal digits, like sha-256 4A:AD:…";
            return self.problem(number, what.into());
        };
        let fingerprint = Fingerprint { hash: hash.to_ascii_lowercase().into(), digest: digest.into() };
        let list = self.description.media.last_mut().map_or(&mut self.session.fingerprints, |m| &mut m.fingerprints);
        if list.len() < MAX_FINGERPRINTS {
            list.push(fingerprint);
        }
    }

    fn finish(mut self) -> Description {
        if !self.begun {
            self.problem(0, "there is no line in it; a description begins with v=0".into());
        } else if self.description.media.is_empty() {
            self.problem(0, "there is no m-line in it: nothing is offered or answered".into());
        }
        if self.more_problems > 0 {
            let what = format!("and {} more", self.more_problems);
            self.description.problems.push(Problem { line: 0, what });
        }
        let shared = self.session;
        for media in &mut self.description.media {
            media.ufrag = media.ufrag.take().or_else(|| shared.ufrag.clone());
            media.pwd = media.pwd.take().or_else(|| shared.pwd.clone());
            media.setup = media.setup.or(shared.setup);
            if media.fingerprints.is_empty() {
                media.fingerprints.clone_from(&shared.fingerprints);
            }
            media.codecs.shrink_to_fit();
        }
        self.description
    }
}

impl Media {
    fn new(kind: MediaKind, port: u16, protocol: &str, line: usize) -> Self {
        Self {
            kind,
            port,
            protocol: protocol.into(),
            mid: None,
            direction: Direction::default(),
            codecs: Vec::new(),
            sctp_port: None,
            ufrag: None,
            pwd: None,
            fingerprints: Vec::new(),
            setup: None,
            rtcp_mux: false,
            bundle_only: false,
            candidates: Vec::new(),
            end_of_candidates: false,
            line,
        }
    }
}

fn find(media: &mut Media, payload: u8) -> Option<&mut Codec> {
    media.codecs.iter_mut().find(|codec| codec.payload == payload)
}

/// `111 opus/48000/2`; says what is wrong with it.
fn rtpmap(media: &mut Media, value: &str) -> Option<String> {
    let wrong = || {
        format!("rtpmap is a payload type, a name and a clock rate, like 111 opus/48000/2, not {:?}", cut(value, 40))
    };
    let Some((payload, encoding)) = value.split_once(' ') else { return Some(wrong()) };
    let Ok(payload) = payload.parse::<u8>() else { return Some(wrong()) };
    let mut parts = encoding.trim().split('/');
    let (Some(name), Some(rate)) = (parts.next().filter(|n| !n.is_empty()), parts.next()) else { return Some(wrong()) };
    let Ok(rate) = rate.parse() else { return Some(wrong()) };
    let channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
    // A map of a payload type that the m-line does not name is allowed and says nothing.
    if let Some(codec) = find(media, payload) {
        (codec.name, codec.rate, codec.channels) = (cut(name, 64).into(), rate, channels);
    }
    None
}

fn cut(text: &str, max: usize) -> &str {
    let end =
        if text.len() <= max { text.len() } else { (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0) };
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::super::in_common;
    use super::*;
    use proptest::prelude::*;

    const OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        a=ice-options:trickle\r\na=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n\
        a=fingerprint:sha-256 49:66:12:17\r\na=setup:actpass\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
        a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:1\r\na=recvonly\r\na=ice-ufrag:Q7vT\r\na=setup:active\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 H264/90000\r\n\
        a=fmtp:98 packetization-mode=1;profile-level-id=42e01f\r\n\
        a=candidate:1 1 udp 2122260223 192.0.2.7 61000 typ host\r\na=end-of-candidates\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n";

    #[test]
    fn a_whole_description_is_read() {
        let sdp = Description::read(OFFER);
        assert_eq!(sdp.problems, []);
        assert_eq!((sdp.session, sdp.trickle, sdp.ice_lite), (Some((4_611_731_400_430_051_336, 2)), true, false));
        assert_eq!(sdp.bundle.iter().map(|mid| &**mid).collect::<Vec<_>>(), ["0", "1", "2"]);
        let [audio, video, data] = sdp.media.as_slice() else { panic!("{sdp:?}") };
        assert_eq!(audio.codecs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["opus", "PCMU"]);
        assert_eq!((audio.codecs[0].rate, audio.codecs[0].channels), (48000, 2));
        assert_eq!((audio.direction, audio.rtcp_mux, audio.is_dtls()), (Direction::SendRecv, true, true));
        assert_eq!((video.direction, video.candidates.len(), video.end_of_candidates), (Direction::RecvOnly, 1, true));
        assert_eq!(video.codecs[2].to_string(), "H264 42e01f mode 1");
        assert_eq!((data.sctp_port, data.is_data_channel()), (Some(5000), true));
        assert_eq!((audio.line, data.line), (11, 30));
    }

    #[test]
    fn the_session_speaks_for_m_lines_that_do_not() {
        let sdp = Description::read(OFFER);
        assert_eq!(sdp.ufrags(), ["EsAw", "Q7vT"]);
        assert_eq!(sdp.media[0].setup, Some(Setup::ActPass));
        assert_eq!(sdp.media[1].setup, Some(Setup::Active));
        assert!(sdp.media.iter().all(|media| media.fingerprints.len() == 1 && media.pwd.is_some()));
    }

    #[test]
    fn passwords_do_not_show_in_debug_output() {
        assert!(!format!("{:?}", Description::read(OFFER)).contains("bP+XJ"));
    }

    #[test]
    fn what_is_broken_is_told_with_its_line_and_the_rest_is_read() {
        let sdp = Description::read(
            "v=1\nhello\nm=audio 9\na=mid:0\nm=video x UDP/TLS/RTP/SAVPF 96 abc\na=rtpmap:96 VP8\na=setup:both\n\
             a=ice-pwd:short\na=fingerprint:sha-256 xyz\na=candidate:1 1 udp\na=sendonly\n",
        );
        let lines: Vec<usize> = sdp.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 5, 6, 7, 8, 9, 10], "{:#?}", sdp.problems);
        assert_eq!(sdp.problems[1].to_string(), "line 2: a line is a letter, = and a value, not \"hello\"");
        assert_eq!(sdp.media.len(), 2);
        assert_eq!(sdp.media[0].mid.as_deref(), Some("0"));
        assert_eq!(sdp.media[1].direction, Direction::SendOnly);
    }

    #[test]
    fn what_is_no_description_says_so() {
        for (text, says) in
            [("", "there is no line"), ("\r\n\r\n", "there is no line"), ("v=0\r\ns=-\r\n", "no m-line")]
        {
            let sdp = Description::read(text);
            assert!(sdp.problems.iter().any(|problem| problem.what.contains(says)), "{text:?}: {:?}", sdp.problems);
        }
    }

    #[test]
    fn reading_is_bounded() {
        let many = format!("v=0\n{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\n".repeat(5_000));
        let sdp = Description::read(&many);
        assert_eq!(sdp.media.len(), Description::MAX_MEDIA);
        assert_eq!(sdp.problems.len(), 1, "the limit is told once");
        let candidates = "a=candidate:1 1 udp 1 192.0.2.7 1 typ host\n".repeat(1_000);
        let sdp = Description::read(&format!("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 0\n{candidates}"));
        assert_eq!(sdp.media[0].candidates.len(), Description::MAX_CANDIDATES);
        let junk = Description::read(&"?\n".repeat(100_000));
        assert_eq!(junk.problems.len(), Description::MAX_PROBLEMS + 1);
        assert!(junk.problems.last().is_some_and(|last| last.what.starts_with("and 99")), "{:?}", junk.problems.last());
        let long = Description::read(&"가".repeat(Description::MAX_BYTES));
        assert!(long.problems.iter().any(|p| p.what.contains("is not read")), "{:?}", long.problems);
    }

    #[test]
    fn a_data_channel_of_the_older_form_is_one() {
        let sdp = Description::read("v=0\nm=application 9 DTLS/SCTP 5000\na=sctpmap:5000 webrtc-datachannel 1024\n");
        assert_eq!((sdp.media[0].sctp_port, sdp.media[0].is_data_channel()), (Some(5000), true));
    }

    #[test]
    fn refused_is_port_zero_unless_bundled() {
        let sdp =
            Description::read("v=0\nm=video 0 UDP/TLS/RTP/SAVPF 96\nm=video 0 UDP/TLS/RTP/SAVPF 96\na=bundle-only\n");
        assert_eq!(sdp.media.iter().map(Media::is_refused).collect::<Vec<_>>(), [true, false]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_all_is_bounded(text in "(\\PC{0,30}[\r\n]{0,2}){0,40}") {
            let sdp = Description::read(&text);
            prop_assert!(sdp.problems.len() <= Description::MAX_PROBLEMS + 1);
        }

        #[test]
        fn what_looks_like_sdp_is_read(
            lines in proptest::collection::vec(
                "[voma]=\\PC{0,40}|m=(audio|video|application) [0-9]{1,6} [A-Z/]{1,12}( [0-9]{1,4}){0,6}|a=(rtpmap|fmtp|candidate|ice-ufrag|ice-pwd|setup|fingerprint|group|mid|sctp-port):\\PC{0,40}",
                0..60,
            )
        ) {
            let text = lines.join("\r\n");
            let sdp = Description::read(&text);
            prop_assert!(sdp.media.len() <= lines.len());
            prop_assert!(sdp.footprint() < 4096 + 256 * text.len() + 512 * sdp.media.len());
            for one in &sdp.media {
                for other in &sdp.media {
                    in_common(&one.codecs, &other.codecs);
                }
            }
        }
    }
}
