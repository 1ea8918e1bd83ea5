//! H.264 in Constrained Baseline, which every browser decodes, at a bitrate that follows what paths carry.

use super::bitrate::Bitrate;
use super::{Format, SourceError};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, RateControlMode, SpsPpsStrategy, UsageType,
};
use openh264::formats::YUVSource;
use std::sync::Arc;

/// Key frames come when they are asked for. One now and then, for who lost something and did not ask.
const KEY_FRAME_SECONDS: u32 = 10;

/// An encoder, and the bitrate that it works at.
pub(super) struct Encoder {
    encoder: openh264::encoder::Encoder,
    bitrate: Bitrate,
    /// Pictures a second that come in.
    rate: u32,
    /// One of so many is encoded.
    one_of: u32,
    /// Pictures since one was encoded.
    passed: u32,
}

/// A picture as an access unit in Annex B format.
pub(super) struct Encoded {
    pub(super) data: Arc<[u8]>,
    pub(super) key: bool,
}

impl Encoder {
    /// Makes the most bits a second that `format` allows, until a path is narrower.
    pub(super) fn new(format: Format) -> Result<Self, SourceError> {
        let (bitrate, rate) = (Bitrate::new(format.bitrate), format.rate());
        Ok(Self { encoder: make(format.bitrate, rate)?, bitrate, rate, one_of: 1, passed: 0 })
    }

    /// Most bits a second that it makes.
    pub(super) fn most(&self) -> u32 {
        self.bitrate.most()
    }

    /// Encodes a picture, as a key frame if that is wanted; nothing if it is left out to stay within the bitrate.
    /// `carried` is what paths carry, in bits a second.
    pub(super) fn encode(
        &mut self,
        picture: &impl YUVSource,
        key: bool,
        carried: Option<u32>,
    ) -> Result<Option<Encoded>, SourceError> {
        if let Some(bitrate) = self.bitrate.follow(carried, self.rate) {
            self.one_of = one_of(bitrate, self.rate);
            tracing::debug!(bitrate, pictures = self.rate / self.one_of, "another bitrate");
            // One that runs can be told only in ways that the compiler cannot check. A new one begins with a key frame.
            self.encoder = make(bitrate, self.rate / self.one_of)?;
            self.passed = self.one_of;
        }
        self.passed += 1;
        if key {
            self.encoder.force_intra_frame();
        } else if self.passed < self.one_of {
            return Ok(None);
        }
        self.passed = 0;
        let encoded = self.encoder.encode(picture).map_err(failed)?;
        Ok(match encoded.frame_type() {
            FrameType::Skip | FrameType::Invalid => None,
            kind => {
                let key = matches!(kind, FrameType::IDR | FrameType::I);
                Some(Encoded { data: encoded.to_vec().into(), key })
            }
        })
    }
}

/// Of how many pictures one is encoded, so that each gets enough bits to be worth looking at.
fn one_of(bitrate: u32, rate: u32) -> u32 {
    let pictures = match bitrate {
        0..60_000 => 8,
        60_000..150_000 => 15,
        _ => rate,
    };
    (rate / pictures).max(1)
}

fn make(bitrate: u32, rate: u32) -> Result<openh264::encoder::Encoder, SourceError> {
    let config = EncoderConfig::new()
        .bitrate(BitRate::from_bps(bitrate))
        .max_frame_rate(FrameRate::from_hz(rate as f32))
        .usage_type(UsageType::CameraVideoRealTime)
        .rate_control_mode(RateControlMode::Bitrate)
        .profile(Profile::Baseline)
        .sps_pps_strategy(SpsPpsStrategy::ConstantId)
        .intra_frame_period(IntraFramePeriod::from_num_frames(rate * KEY_FRAME_SECONDS))
        .num_threads(1);
    openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)
}

fn failed(error: openh264::Error) -> SourceError {
    SourceError::Encoder(error.to_string())
}
