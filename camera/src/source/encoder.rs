//! The test picture, drawn and encoded as H.264 in Constrained Baseline, which every browser decodes.

#![allow(clippy::disallowed_methods, reason = "a clock is drawn")]

use super::{Caption, Format, Picture, Pictures, SourceError, picture};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, RateControlMode, SpsPpsStrategy,
    UsageType,
};
use std::time::{Duration, SystemTime};

/// Key frames come when they are asked for. One now and then, for who lost something and did not ask.
const KEY_FRAME_SECONDS: u32 = 10;

pub(super) struct TestPicture {
    picture: picture::Picture,
    encoder: Encoder,
    number: u64,
    rate: u32,
}

impl TestPicture {
    pub(super) fn new(format: Format, caption: &Caption) -> Result<Self, SourceError> {
        let rate = format.rate();
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(format.bitrate))
            .max_frame_rate(FrameRate::from_hz(rate as f32))
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bitrate)
            .profile(Profile::Baseline)
            .sps_pps_strategy(SpsPpsStrategy::ConstantId)
            .intra_frame_period(IntraFramePeriod::from_num_frames(rate * KEY_FRAME_SECONDS))
            .num_threads(1);
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config);
        let encoder = encoder.map_err(|error| SourceError::Encoder(error.to_string()))?;
        let (width, height) = (usize::from(format.width), usize::from(format.height));
        let picture = picture::Picture::new(width, height, &caption.room, &caption.device);
        Ok(Self { picture, encoder, number: 0, rate })
    }
}

impl Pictures for TestPicture {
    fn next(&mut self, key: bool) -> Result<Picture, SourceError> {
        if key {
            self.encoder.force_intra_frame();
        }
        let mut after = Duration::ZERO;
        loop {
            self.picture.draw(self.number, self.rate, SystemTime::now().into());
            self.number += 1;
            after += Duration::from_secs(1) / self.rate;
            let encoded =
                self.encoder.encode(&self.picture).map_err(|error| SourceError::Encoder(error.to_string()))?;
            // The encoder leaves pictures out to stay within its bitrate.
            if matches!(encoded.frame_type(), FrameType::Skip | FrameType::Invalid) {
                continue;
            }
            let key = matches!(encoded.frame_type(), FrameType::IDR | FrameType::I);
            return Ok(Picture { data: encoded.to_vec().into(), key, after: Some(after) });
        }
    }

    fn is_live(&self) -> bool {
        false
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
        let keys: Vec<bool> = (0..12).map(|at| pictures.next(at == 7).unwrap().key).collect();
        assert_eq!(keys.iter().enumerate().filter(|(_, key)| **key).map(|(at, _)| at).collect::<Vec<_>>(), [0, 7]);
    }

    #[test]
    fn pictures_are_whole_access_units_with_their_parameter_sets() {
        let mut pictures = made(Format { width: 320, height: 240, ..Format::default() });
        for at in 0..4 {
            let picture = pictures.next(at == 2).unwrap();
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
                let picture = pictures.next(false).unwrap();
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
