//! The test picture, drawn and encoded here.

#![allow(clippy::disallowed_methods, reason = "a clock is drawn")]

use super::encoder::Encoder;
use super::{Caption, Format, Picture, Pictures, SourceError, picture};
use std::time::{Duration, SystemTime};

pub(super) struct TestPicture {
    picture: picture::Picture,
    encoder: Encoder,
    number: u64,
    rate: u32,
}

impl TestPicture {
    pub(super) fn new(format: Format, caption: &Caption) -> Result<Self, SourceError> {
        let (width, height) = (usize::from(format.width), usize::from(format.height));
        let picture = picture::Picture::new(width, height, &caption.room, &caption.device);
        Ok(Self { picture, encoder: Encoder::new(format)?, number: 0, rate: format.rate() })
    }
}

impl Pictures for TestPicture {
    fn next(&mut self, key: bool, carried: Option<u32>) -> Result<Picture, SourceError> {
        let mut after = Duration::ZERO;
        loop {
            self.picture.draw(self.number, self.rate, SystemTime::now().into());
            self.number += 1;
            after += Duration::from_secs(1) / self.rate;
            if let Some(encoded) = self.encoder.encode(&self.picture, key, carried)? {
                return Ok(Picture { data: encoded.data, key: encoded.key, after: Some(after) });
            }
        }
    }

    fn is_live(&self) -> bool {
        false
    }

    fn adapts_from(&self) -> Option<u32> {
        Some(self.encoder.most())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::annexb::Cutter;

    fn made(format: Format) -> TestPicture {
        TestPicture::new(format, &Caption { room: "lobby".into(), device: "cam".into() }).unwrap()
    }

    #[test]
    fn a_key_frame_comes_first_and_whenever_one_is_asked_for() {
        let mut pictures = made(Format::default());
        let keys: Vec<bool> = (0..12).map(|at| pictures.next(at == 7, None).unwrap().key).collect();
        assert_eq!(keys.iter().enumerate().filter(|(_, key)| **key).map(|(at, _)| at).collect::<Vec<_>>(), [0, 7]);
    }

    #[test]
    fn pictures_are_whole_access_units_with_their_parameter_sets() {
        let mut pictures = made(Format { width: 320, height: 240, ..Format::default() });
        for at in 0..4 {
            let picture = pictures.next(at == 2, None).unwrap();
            let mut cutter = Cutter::default();
            cutter.push(&picture.data).unwrap();
            cutter.end();
            let unit = cutter.pop().unwrap();
            assert_eq!((unit.key, cutter.sps().is_empty()), (picture.key, !picture.key));
            assert_eq!(cutter.pop(), None);
        }
    }

    #[test]
    fn the_bitrate_is_a_cap() {
        // The picture is so plain that only small ones are felt.
        let made = |bitrate| {
            let mut pictures = made(Format { bitrate, width: 1280, height: 720, ..Format::default() });
            let (mut bytes, mut time) = (0, Duration::ZERO);
            while time < Duration::from_secs(4) {
                let picture = pictures.next(false, None).unwrap();
                bytes += picture.data.len();
                time += picture.after.unwrap();
            }
            bytes as f64 * 8.0 / time.as_secs_f64()
        };
        let (low, high) = (made(60_000), made(2_000_000));
        assert!(low < 80_000.0, "{low} bit/s of 60,000");
        assert!(high > low * 1.2, "the cap is what keeps it down: {high} bit/s without it");
    }
}
