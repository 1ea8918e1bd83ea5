//! IVF, the file format of VP8 (<https://wiki.multimedia.cx/index.php/Duck_IVF>). Pure.

use std::time::Duration;

/// Length of the header of a file.
pub(super) const HEADER: usize = 32;
/// Length of the header of a frame.
pub(super) const FRAME_HEADER: usize = 12;
/// What every file begins with.
pub(super) const SIGNATURE: &[u8] = b"DKIF";
/// No frame of a camera is larger.
const MOST: u32 = 8 * 1024 * 1024;

/// Why something is no IVF with VP8 in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum IvfError {
    #[error("it does not begin with DKIF: this is no IVF")]
    Signature,
    #[error("the codec in it is {0}; only VP8 is carried in IVF here")]
    Codec(String),
    #[error("its time base is {0}/{1}; both must be positive")]
    TimeBase(u32, u32),
    #[error("a frame of {0} bytes; at most {MOST} are allowed")]
    TooLarge(u32),
}

/// What the header of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// How long one step of a timestamp is, as a fraction of seconds.
    numerator: u32,
    denominator: u32,
}

impl Header {
    /// Reads the header of a file.
    pub(super) fn read(bytes: &[u8; HEADER]) -> Result<Self, IvfError> {
        if !bytes.starts_with(SIGNATURE) {
            return Err(IvfError::Signature);
        }
        if &bytes[8..12] != b"VP80" {
            return Err(IvfError::Codec(bytes[8..12].escape_ascii().to_string()));
        }
        let (denominator, numerator) = (number(bytes, 16), number(bytes, 20));
        if numerator == 0 || denominator == 0 {
            return Err(IvfError::TimeBase(numerator, denominator));
        }
        Ok(Self { numerator, denominator })
    }

    /// When in the file a frame is to be shown.
    pub(super) fn time(&self, timestamp: u64) -> Duration {
        let nanos = u128::from(timestamp) * u128::from(self.numerator) * 1_000_000_000 / u128::from(self.denominator);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The length of a frame in bytes, and its timestamp.
pub(super) fn frame_header(bytes: &[u8; FRAME_HEADER]) -> Result<(usize, u64), IvfError> {
    let length = number(bytes, 0);
    if length > MOST {
        return Err(IvfError::TooLarge(length));
    }
    Ok((length as usize, u64::from(number(bytes, 4)) | u64::from(number(bytes, 8)) << 32))
}

/// Whether a VP8 frame is a key frame, if it is a VP8 frame at all (RFC 6386, 9.1).
pub(super) fn is_key(frame: &[u8]) -> Option<bool> {
    let inter = frame.first()? & 1 == 1;
    (inter || frame.get(3..6) == Some(&[0x9d, 0x01, 0x2a])).then_some(!inter)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fourcc: &[u8; 4], denominator: u32, numerator: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(SIGNATURE);
        bytes[8..12].copy_from_slice(fourcc);
        bytes[16..20].copy_from_slice(&denominator.to_le_bytes());
        bytes[20..24].copy_from_slice(&numerator.to_le_bytes());
        bytes
    }

    #[test]
    fn times_are_in_the_files_own_base() {
        let read = Header::read(&header(b"VP80", 30, 1)).unwrap();
        assert_eq!(read.time(15), Duration::from_millis(500));
        assert_eq!(Header::read(&header(b"VP80", 30_000, 1001)).unwrap().time(30), Duration::from_millis(1001));
        read.time(u64::MAX);
    }

    #[test]
    fn what_is_no_vp8_is_refused_with_its_name() {
        let error = |bytes| Header::read(&bytes).unwrap_err().to_string();
        assert!(error(header(b"VP90", 30, 1)).contains("VP90"));
        assert!(error(header(b"VP80", 0, 1)).contains("1/0"));
        assert!(error([7; HEADER]).contains("no IVF"));
        assert!(frame_header(&[0xff; FRAME_HEADER]).is_err());
    }

    #[test]
    fn key_frames_are_told_by_their_first_bytes() {
        assert_eq!(is_key(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0]), Some(true));
        assert_eq!(is_key(&[0x11, 2, 3]), Some(false));
        assert_eq!(is_key(&[0x10, 2, 3, 4, 5, 6]), None);
        assert_eq!(is_key(&[]), None);
    }
}
