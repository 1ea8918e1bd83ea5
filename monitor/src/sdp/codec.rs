//! Codecs of an m-line, and which of them two sides have in common (RFC 8829 §5.3.1, RFC 3264 §6.1).

use std::fmt;

/// A payload type with what `rtpmap` and `fmtp` say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// Payload type, 0 to 127.
    pub payload: u8,
    /// Its name as written.
    pub name: Box<str>,
    /// Clock rate in Hz; 0 if nothing says it.
    pub rate: u32,
    /// Channels of audio; 1 if nothing says otherwise.
    pub channels: u8,
    /// Its parameters as written.
    pub fmtp: Box<str>,
}

/// Payload types of audio that need no `rtpmap` (RFC 3551, table 4).
const STATIC: &[(u8, &str, u32)] =
    &[(0, "PCMU", 8000), (3, "GSM", 8000), (8, "PCMA", 8000), (9, "G722", 8000), (13, "CN", 8000)];

/// What rides on other codecs or mends them, but carries no media of its own.
const AUXILIARY: &[&str] = &["rtx", "red", "ulpfec", "flexfec", "flexfec-03", "cn", "telephone-event"];

impl Codec {
    /// A payload type of which only the number is known so far. The numbers of old have names only in audio: the 0 in
    /// `m=video 0 … 0` is what many write who refuse the m-line.
    pub fn numbered(payload: u8, audio: bool) -> Self {
        let (name, rate) = STATIC.iter().find(|s| audio && s.0 == payload).map_or(("", 0), |s| (s.1, s.2));
        Self { payload, name: name.into(), rate, channels: 1, fmtp: "".into() }
    }

    /// Whether it carries media itself: retransmission, redundancy, error correction, comfort noise and keypad tones
    /// do not, and two sides that have only those in common have nothing in common.
    pub fn carries_media(&self) -> bool {
        !AUXILIARY.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// One parameter of `fmtp`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether both name the same format, whatever their payload types: name, clock rate, channels; profile and
    /// packetization mode of H264 (RFC 6184 §8.1), profile of VP9 (RFC 9628 §7) and AV1, profile of H265.
    pub fn same_as(&self, other: &Self) -> bool {
        let same = |name, missing| {
            let (mine, theirs) = (self.parameter(name).unwrap_or(missing), other.parameter(name).unwrap_or(missing));
            mine.eq_ignore_ascii_case(theirs)
        };
        if !self.name.eq_ignore_ascii_case(&other.name) || self.rate != other.rate || self.channels != other.channels {
            return false;
        }
        match self.name.to_ascii_uppercase().as_str() {
            "H264" => same("packetization-mode", "0") && self.h264_profile() == other.h264_profile(),
            "VP9" => same("profile-id", "0"),
            "AV1" => same("profile", "0"),
            "H265" => same("profile-id", "1"),
            _ => true,
        }
    }

    /// The H264 profile behind `profile-level-id`; different spellings of one profile are equal (RFC 6184, table 5).
    fn h264_profile(&self) -> H264 {
        // Without the parameter it is Baseline at level 1 (RFC 6184 §8.1).
        let id = self.parameter("profile-level-id").unwrap_or("42000A");
        let Ok(id) = u32::from_str_radix(id, 16) else { return H264::Other(u32::MAX) };
        let (idc, constraints) = (id >> 16, (id >> 8) & 0xff);
        match idc {
            0x42 if constraints & 0b0100_0000 != 0 => H264::ConstrainedBaseline,
            0x4d if constraints & 0b1000_0000 != 0 => H264::ConstrainedBaseline,
            0x58 if constraints & 0b1100_0000 == 0b1100_0000 => H264::ConstrainedBaseline,
            0x42 => H264::Baseline,
            0x58 if constraints & 0b1100_0000 == 0b1000_0000 => H264::Baseline,
            0x4d => H264::Main,
            0x64 if constraints == 0b0000_1100 => H264::ConstrainedHigh,
            0x64 => H264::High,
            other => H264::Other(other),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum H264 {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    Other(u32),
}

impl fmt::Display for Codec {
    /// As an operator names it: `H264 42e01f mode 1`, `opus`, `VP9 profile 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "payload {}", self.payload);
        }
        f.write_str(&self.name)?;
        match self.name.to_ascii_uppercase().as_str() {
            "H264" => {
                if let Some(id) = self.parameter("profile-level-id") {
                    write!(f, " {}", id.to_ascii_lowercase())?;
                }
                write!(f, " mode {}", self.parameter("packetization-mode").unwrap_or("0"))
            }
            "VP9" => match self.parameter("profile-id") {
                None | Some("0") => Ok(()),
                Some(profile) => write!(f, " profile {profile}"),
            },
            _ => Ok(()),
        }
    }
}

/// The codecs that carry media and that both sides name, in the order of `ours`.
pub fn in_common<'a>(ours: &'a [Codec], theirs: &[Codec]) -> Vec<&'a Codec> {
    ours.iter().filter(|codec| codec.carries_media() && theirs.iter().any(|other| codec.same_as(other))).collect()
}

/// Codecs in words, each format once: `VP8, VP9, H264 42e01f mode 1`.
pub fn list(codecs: &[Codec]) -> String {
    let mut names: Vec<String> = Vec::new();
    for codec in codecs.iter().filter(|codec| codec.carries_media()) {
        let name = codec.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(name: &str, rate: u32, fmtp: &str) -> Codec {
        Codec { payload: 96, name: name.into(), rate, channels: 1, fmtp: fmtp.into() }
    }

    #[test]
    fn names_rates_and_channels_must_agree() {
        assert!(codec("VP8", 90000, "").same_as(&Codec { payload: 120, ..codec("vp8", 90000, "") }));
        assert!(!codec("VP8", 90000, "").same_as(&codec("VP9", 90000, "")));
        assert!(!codec("opus", 48000, "").same_as(&codec("opus", 16000, "")));
        assert!(!codec("opus", 48000, "").same_as(&Codec { channels: 2, ..codec("opus", 48000, "") }));
    }

    #[test]
    fn h264_agrees_in_profile_and_packetization() {
        let h264 = |fmtp| codec("H264", 90000, fmtp);
        let ours = h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
        for same in ["packetization-mode=1;profile-level-id=42e034", "profile-level-id=42c01f; packetization-mode=1"] {
            assert!(ours.same_as(&h264(same)), "{same}: another level is no other profile");
        }
        assert!(ours.same_as(&h264("packetization-mode=1;profile-level-id=4d801f")), "spelled in another way");
        for other in [
            "packetization-mode=0;profile-level-id=42e01f",
            "profile-level-id=42e01f",
            "packetization-mode=1;profile-level-id=42001f",
            "packetization-mode=1;profile-level-id=4d001f",
            "packetization-mode=1;profile-level-id=64001f",
            "packetization-mode=1;profile-level-id=zz",
        ] {
            assert!(!ours.same_as(&h264(other)), "{other}");
        }
        assert!(
            !h264("profile-level-id=64001f").same_as(&h264("profile-level-id=640c1f")),
            "high is not constrained high"
        );
    }

    #[test]
    fn vp9_agrees_in_profile_and_zero_is_what_is_left_out() {
        assert!(codec("VP9", 90000, "profile-id=0").same_as(&codec("VP9", 90000, "")));
        assert!(!codec("VP9", 90000, "profile-id=2").same_as(&codec("VP9", 90000, "")));
    }

    #[test]
    fn what_mends_others_is_not_in_common() {
        let ours = [codec("VP8", 90000, ""), codec("rtx", 90000, "apt=96"), codec("red", 90000, "")];
        let theirs =
            [codec("H264", 90000, ""), codec("rtx", 90000, "apt=97"), codec("ulpfec", 90000, ""), ours[2].clone()];
        assert!(in_common(&ours, &theirs).is_empty());
        assert_eq!(in_common(&ours, &ours), [&ours[0]]);
        assert_eq!(list(&theirs), "H264 mode 0");
        assert_eq!(list(&theirs[1..]), "none");
    }

    #[test]
    fn payload_types_of_old_need_no_map() {
        assert_eq!(Codec::numbered(0, true).to_string(), "PCMU");
        assert_eq!(Codec::numbered(0, false).to_string(), "payload 0");
        assert_eq!(Codec::numbered(96, true).to_string(), "payload 96");
    }
}
