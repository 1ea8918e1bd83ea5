//! What `--source` says.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a picture shall come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A moving picture that is drawn here.
    Test,
    /// A file in Annex B format (H.264) or IVF (VP8), again and again.
    File(PathBuf),
    /// The same from standard input, once.
    Stdin,
    /// A camera of this machine.
    V4l2(PathBuf),
    /// A camera in the network.
    Rtsp(RtspUrl),
}

/// An `rtsp:` or `rtsps:` URL; shown without its user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspUrl(String);

impl RtspUrl {
    /// With everything that is in it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("rtsp", &self.0));
        let authority = rest.find(['/', '?']).unwrap_or(rest.len());
        match rest[..authority].rfind('@') {
            Some(at) => write!(f, "{scheme}://…@{}", &rest[at + 1..]),
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The empty string.
    #[error("a source is test, a file, -, v4l2:/dev/video0 or rtsp://host/path")]
    Empty,
    /// Another URL.
    #[error("{0}:// is not spoken here; a source is test, a file, -, v4l2:/dev/video0 or rtsp://host/path")]
    Scheme(String),
    /// A device that is no absolute path.
    #[error("a camera of this machine is named as v4l2:/dev/video0, not v4l2:{0}")]
    Device(String),
    /// Something that no address has.
    #[error(
        "there are spaces, quotation marks, backslashes or control characters in the address; write them as %20 and so on"
    )]
    Character,
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        // What goes to another program must mean the same to its own parser.
        let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c));
        match text {
            "" => Err(SpecError::Empty),
            "test" => Ok(Spec::Test),
            "-" => Ok(Spec::Stdin),
            _ => {
                if let Some(device) = text.strip_prefix("v4l2:") {
                    if !device.starts_with('/') {
                        return Err(SpecError::Device(device.into()));
                    }
                    return if plain(device) { Ok(Spec::V4l2(device.into())) } else { Err(SpecError::Character) };
                }
                match text.split_once("://") {
                    None => Ok(Spec::File(text.into())),
                    Some(("rtsp" | "rtsps", _)) if plain(text) => Ok(Spec::Rtsp(RtspUrl(text.into()))),
                    Some(("rtsp" | "rtsps", _)) => Err(SpecError::Character),
                    Some((scheme, _)) => Err(SpecError::Scheme(scheme.into())),
                }
            }
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spec::Test => f.write_str("the test picture"),
            Spec::File(path) => path.display().fmt(f),
            Spec::Stdin => f.write_str("standard input"),
            Spec::V4l2(path) => path.display().fmt(f),
            Spec::Rtsp(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read() {
        for (text, shown) in [
            ("test", "the test picture"),
            ("-", "standard input"),
            ("a/b.h264", "a/b.h264"),
            ("v4l2:/dev/video0", "/dev/video0"),
            ("rtsp://cam.example/1", "rtsp://cam.example/1"),
            ("rtsp://user:s3cret@cam.example:554/1?a=b@c", "rtsp://…@cam.example:554/1?a=b@c"),
            ("rtsps://user:p@ss@cam.example", "rtsps://…@cam.example"),
        ] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), shown);
        }
        assert!(!format!("{:?}", "rtsp://u:s3cret@h/".parse::<Spec>().unwrap()).contains("s3cret"));
    }

    #[test]
    fn what_is_no_source_is_told_what_would_be() {
        for text in
            ["", "http://h/x.mp4", "v4l2:video0", "v4l2:/dev/video0 ! x", "rtsp://h/\" ! filesink", "rtsp://h/a b"]
        {
            let error = text.parse::<Spec>().unwrap_err().to_string();
            assert!(error.contains("v4l2:/dev/video0") || error.contains("%20"), "{text}: {error}");
        }
    }
}
