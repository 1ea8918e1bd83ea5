//! H.264 as a stream of bytes (ITU-T H.264, annex B), cut into access units: one for each picture. Pure.

use std::collections::VecDeque;

/// No picture of a camera is larger. A stream that goes on for longer without a new picture is none of H.264.
pub(super) const MOST: usize = 8 * 1024 * 1024;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;

/// One picture, with its start codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessUnit {
    pub(super) data: Vec<u8>,
    /// Whether decoding may begin here: an IDR picture, its parameter sets with it.
    pub(super) key: bool,
}

/// Why a stream cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnnexBError {
    #[error("{MOST} bytes without a new picture: this is no H.264 in Annex B format")]
    TooLong,
}

/// Takes bytes as they come and gives access units. What is not complete yet waits inside, at most [`MOST`] bytes.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    /// Up to where no further start code was found.
    looked: usize,
    unit: Vec<u8>,
    has_slice: bool,
    is_key: bool,
    has_sps: bool,
    /// The latest parameter sets: every key frame is sent with them, for the sake of those who come late.
    sps: Vec<u8>,
    pps: Vec<u8>,
    ready: VecDeque<AccessUnit>,
}

impl Cutter {
    /// The next bytes of the stream.
    ///
    /// # Errors
    /// If so much has come without a picture that none will.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), AnnexBError> {
        self.bytes.extend_from_slice(bytes);
        // A NAL unit ends where the next one begins. The first start code is where this one's own is.
        while let Some(next) = start_code(&self.bytes, self.looked.max(3)) {
            let rest = self.bytes.split_off(next);
            let nal = std::mem::replace(&mut self.bytes, rest);
            self.looked = 0;
            self.nal(&nal);
        }
        self.looked = self.bytes.len().saturating_sub(3);
        if self.bytes.len() + self.unit.len() > MOST { Err(AnnexBError::TooLong) } else { Ok(()) }
    }

    /// The stream has ended: what is inside is complete.
    pub(super) fn end(&mut self) {
        let nal = std::mem::take(&mut self.bytes);
        self.looked = 0;
        self.nal(&nal);
        self.close();
    }

    /// The next picture, if there is one.
    pub(super) fn pop(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// The latest sequence parameter set, without its start code; empty if there was none.
    pub(super) fn sps(&self) -> &[u8] {
        self.sps.get(4..).unwrap_or_default()
    }

    /// One NAL unit with its start code, and perhaps zeros behind it.
    fn nal(&mut self, bytes: &[u8]) {
        let Some(begin) = start_code(bytes, 0) else { return };
        let body = &bytes[begin + 3..];
        // trailing_zero_8bits belong to no NAL unit (B.1.1).
        let body = &body[..body.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
        let Some(&header) = body.first() else { return };
        let kind = header & 0x1f;
        // Where a new access unit begins (7.4.1.2.3). The first slice of a picture begins with macroblock 0, which as
        // an Exp-Golomb code is one set bit.
        let first_slice = matches!(kind, SLICE | IDR_SLICE) && body.get(1).is_some_and(|byte| byte & 0x80 != 0);
        if self.has_slice && (first_slice || matches!(kind, SEI | SPS | PPS | DELIMITER)) {
            self.close();
        }
        let with_code = [&[0, 0, 0, 1], body].concat();
        match kind {
            SLICE => self.has_slice = true,
            IDR_SLICE => (self.has_slice, self.is_key) = (true, true),
            SPS => {
                self.sps.clone_from(&with_code);
                self.has_sps = true;
            }
            PPS => self.pps.clone_from(&with_code),
            _ => {}
        }
        self.unit.extend_from_slice(&with_code);
    }

    fn close(&mut self) {
        let (key, has_slice) = (std::mem::take(&mut self.is_key), std::mem::take(&mut self.has_slice));
        let (mut data, has_sps) = (std::mem::take(&mut self.unit), std::mem::take(&mut self.has_sps));
        if !has_slice {
            return;
        }
        if key && !has_sps {
            data = [&self.sps[..], &self.pps, &data].concat();
        }
        self.ready.push_back(AccessUnit { data, key: key && !self.sps.is_empty() });
    }
}

/// Where the next `00 00 01` is, from `from` on.
pub(super) fn start_code(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(3).position(|window| window == [0, 0, 1]).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS_NAL: &[u8] = &[0, 0, 0, 1, 0x67, 66, 1];
    const PPS_NAL: &[u8] = &[0, 0, 0, 1, 0x68, 3];
    const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88, 4];
    const IDR_MORE: &[u8] = &[0, 0, 1, 0x65, 0x08, 5];
    const P: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 6];

    fn cut(stream: &[u8], step: usize) -> Vec<AccessUnit> {
        let mut cutter = Cutter::default();
        for chunk in stream.chunks(step) {
            cutter.push(chunk).unwrap();
        }
        cutter.end();
        std::iter::from_fn(|| cutter.pop()).collect()
    }

    #[test]
    fn a_stream_is_cut_into_pictures_however_it_comes() {
        let stream = [SPS_NAL, PPS_NAL, IDR, IDR_MORE, P, P].concat();
        for step in 1..stream.len() {
            let units = cut(&stream, step);
            assert_eq!(units.iter().map(|unit| unit.key).collect::<Vec<_>>(), [true, false, false], "{step}");
            assert_eq!(units[0].data, [SPS_NAL, PPS_NAL, &[0], IDR, &[0], IDR_MORE].concat());
            assert_eq!(units[2].data, P);
        }
    }

    #[test]
    fn every_key_frame_carries_the_parameter_sets() {
        let stream = [SPS_NAL, PPS_NAL, IDR, P, IDR, P].concat();
        let units = cut(&stream, 5);
        assert_eq!(units.iter().map(|unit| unit.key).collect::<Vec<_>>(), [true, false, true, false]);
        assert_eq!(units[2].data, units[0].data);
    }

    #[test]
    fn a_key_frame_without_parameter_sets_is_none() {
        assert_eq!(cut(&[IDR, P].concat(), 64).iter().filter(|unit| unit.key).count(), 0);
    }

    #[test]
    fn a_stream_without_pictures_ends_with_an_error() {
        let mut cutter = Cutter::default();
        let zeros = vec![0xff; 1024 * 1024];
        let end = (0..9).find_map(|_| cutter.push(&zeros).err());
        assert_eq!(end, Some(AnnexBError::TooLong));
    }

    proptest! {
        #[test]
        fn anything_can_be_pushed(bytes: Vec<u8>, step in 1usize..32) {
            for unit in cut(&bytes, step) {
                prop_assert!(unit.data.starts_with(&[0, 0, 0, 1]));
            }
        }

        #[test]
        fn no_picture_is_lost_or_changed_by_how_it_comes(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x65, 0x67, 0x68, 0x41, 0x88]), 0..200), step in 1usize..32) {
            prop_assert_eq!(cut(&bytes, step), cut(&bytes, bytes.len().max(1)));
        }
    }
}
