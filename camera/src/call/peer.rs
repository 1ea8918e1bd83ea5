//! One WebRTC connection that sends a picture: str0m, told and asked in the words of this crate. No I/O in here.

use super::{Ended, Stats};
use crate::signal::{IceCandidate, Signal};
use crate::source::{Codec, Frame};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::bwe::{Bitrate, BweKind};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::{Codec as Format, PayloadParams};
use str0m::media::{Direction, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};
use tracing::debug;

/// Candidates that may come before the description that they belong to.
const HELD: usize = 100;
const STATS: Duration = Duration::from_secs(5);
/// Of what a path carries, what pictures may take: headers, repairs and key frames need the rest.
const SHARE: f64 = 0.85;
/// What a path is taken to carry before it has been tried: the first picture is a key frame, and shall not wait.
const BEGINNING: Bitrate = Bitrate::mbps(5);

/// What a connection wants of the world.
#[derive(Debug)]
pub(super) enum Want {
    /// A datagram to be sent.
    Send { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// Media can flow.
    Connected,
    /// The path is lost; it may come back.
    Disconnected,
    /// The viewer needs a key frame.
    KeyFrame,
    /// The path carries so many bits a second of pictures.
    Carries(u32),
    /// New figures.
    Stats,
    /// The viewer has closed the connection.
    Closed,
    /// Nothing before this time.
    Until(Instant),
}

pub(super) struct Peer {
    rtc: Rtc,
    codec: Codec,
    mid: Option<Mid>,
    payload: Option<Pt>,
    pending: Option<SdpPendingOffer>,
    /// The viewer's description is known.
    described: bool,
    held: Vec<IceCandidate>,
    /// Decoding has begun: what comes now can be used.
    begun: bool,
    /// Own candidates that the viewer has not been told of by themselves.
    unsaid: Vec<String>,
    pub(super) stats: Stats,
}

impl Peer {
    /// With `adapts_from`, pictures are made for what the path carries, and it is found out whether that is so many
    /// bits a second. What cannot be made smaller is sent as it comes: to hold it back would only make it late.
    pub(super) fn new(codec: Codec, adapts_from: Option<u32>, now: Instant) -> Self {
        let config = Rtc::builder().clear_codecs().set_stats_interval(Some(STATS));
        let wanted = adapts_from.map(|bits| Bitrate::bps((f64::from(bits) / SHARE) as u64));
        let config = config.enable_bwe(wanted.map(|wanted| wanted.max(BEGINNING)));
        let config = match codec {
            Codec::H264 => config.enable_h264(true),
            Codec::Vp8 => config.enable_vp8(true),
        };
        let mut rtc = config.build(now);
        if let Some(wanted) = wanted {
            rtc.bwe().set_bitrate(Bitrate::ZERO, wanted);
        }
        Self {
            rtc,
            codec,
            mid: None,
            payload: None,
            pending: None,
            described: false,
            held: Vec::new(),
            begun: false,
            unsaid: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// One more address at which this side can be reached.
    pub(super) fn add_local(&mut self, candidate: Candidate) {
        if let Some(candidate) = self.rtc.add_local_candidate(candidate) {
            self.unsaid.push(candidate.to_sdp_string());
        }
    }

    /// The candidates that the viewer is to be told of, once both know of a picture.
    ///
    /// Those that are in an answer too: there they are in its first section, which may be one that was refused, as of
    /// sound, and then browsers do not look at them.
    pub(super) fn unsaid(&mut self) -> Vec<Signal> {
        let Some(mid) = self.mid.filter(|_| self.described) else { return Vec::new() };
        let told = std::mem::take(&mut self.unsaid).into_iter().map(|candidate| IceCandidate {
            candidate,
            sdp_mid: Some(mid.to_string()),
            sdp_m_line_index: None,
            username_fragment: None,
        });
        told.map(|candidate| Signal::Candidate { candidate: Some(candidate) }).collect()
    }

    /// Offers the picture, or the present one again on another path.
    pub(super) fn offer(&mut self, restart: bool) -> Option<Signal> {
        let mut change = self.rtc.sdp_api();
        if restart {
            change.ice_restart(true);
        } else {
            self.mid = Some(change.add_media(MediaKind::Video, Direction::SendOnly, Some("camera".into()), None, None));
        }
        let (offer, pending) = change.apply()?;
        // They are in the offer.
        self.unsaid.clear();
        self.pending = Some(pending);
        Some(Signal::Offer { sdp: offer.to_sdp_string() })
    }

    /// Something that the viewer says; what is to be answered.
    pub(super) fn hear(&mut self, signal: Signal) -> Result<Option<Signal>, Ended> {
        match signal {
            Signal::Offer { sdp } => {
                let unusable = |why: String| Ended::Unusable(format!("its offer is not understood: {why}"));
                let offer = SdpOffer::from_sdp_string(&watching(&sdp)).map_err(|error| unusable(error.to_string()))?;
                self.pending = None;
                let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| unusable(error.to_string()))?;
                // The first one: `Event::MediaAdded` comes only when the connection stands.
                self.mid = self.mid.or_else(|| Some(Mid::from(picture_section(&sdp)?)));
                self.described();
                self.check_payload()?;
                Ok(Some(Signal::Answer { sdp: answer.to_sdp_string() }))
            }
            Signal::Answer { sdp } => {
                let unusable = |why: String| Ended::Unusable(format!("its answer is not understood: {why}"));
                let Some(pending) = self.pending.take() else { return Ok(None) };
                let answer = SdpAnswer::from_sdp_string(&sdp).map_err(|error| unusable(error.to_string()))?;
                let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
                accepted.map_err(|error| unusable(error.to_string()))?;
                self.described();
                self.check_payload()?;
                Ok(None)
            }
            Signal::Candidate { candidate: Some(candidate) } => {
                if self.described {
                    self.add_remote(&candidate);
                } else if self.held.len() < HELD {
                    self.held.push(candidate);
                }
                Ok(None)
            }
            Signal::Candidate { candidate: None } | Signal::Ready | Signal::Bye | Signal::Other => Ok(None),
        }
    }

    /// Sends a picture, if the viewer can use it.
    pub(super) fn send(&mut self, frame: &Frame) -> Result<(), RtcError> {
        let (Some(mid), Some(payload)) = (self.mid, self.payload) else { return Ok(()) };
        self.begun |= frame.key;
        if !self.begun {
            return Ok(());
        }
        let Some(writer) = self.rtc.writer(mid) else { return Ok(()) };
        let time = MediaTime::from_micros(u64::try_from(frame.time.as_micros()).unwrap_or(u64::MAX));
        self.stats.frames += 1;
        self.stats.key_frames += u64::from(frame.key);
        writer.write(payload, frame.at, time, frame.data.clone())
    }

    /// Frames are missing: what follows is of no use before the next key frame.
    pub(super) fn missed(&mut self) {
        self.begun = false;
    }

    /// A datagram has come to `to`.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), RtcError> {
        match Receive::new(Protocol::Udp, from, to, bytes) {
            Ok(receive) => self.rtc.handle_input(Input::Receive(now, receive)),
            Err(error) => {
                debug!(%from, %error, "a datagram is none of WebRTC");
                Ok(())
            }
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now))
    }

    /// Tells the viewer that it is over, by what [`Peer::poll`] then gives to send.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.rtc.close() {
            debug!(%error, "no goodbye");
        }
    }

    /// What the connection wants next. To be asked after every change until it says [`Want::Until`].
    pub(super) fn poll(&mut self) -> Result<Want, Ended> {
        loop {
            let output = self.rtc.poll_output().map_err(|error| Ended::Unusable(error.to_string()))?;
            let event = match output {
                Output::Timeout(at) => return Ok(Want::Until(at)),
                Output::Transmit(transmit) => {
                    let bytes = transmit.contents.to_vec();
                    return Ok(Want::Send { from: transmit.source, to: transmit.destination, bytes });
                }
                Output::Event(event) => event,
            };
            match event {
                Event::Connected => return Ok(Want::Connected),
                Event::IceConnectionStateChange(IceConnectionState::Disconnected) => return Ok(Want::Disconnected),
                Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed)
                    if self.rtc.is_connected() =>
                {
                    return Ok(Want::Connected);
                }
                Event::KeyframeRequest(_) => {
                    self.stats.key_frame_requests += 1;
                    return Ok(Want::KeyFrame);
                }
                Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                    return Ok(Want::Carries((estimate.as_f64() * SHARE) as u32));
                }
                Event::PeerStats(stats) => {
                    self.stats.bytes = stats.bytes_tx;
                    self.stats.loss = stats.egress_loss_fraction.unwrap_or_default();
                    self.stats.round_trip = stats.rtt.or(self.stats.round_trip);
                    return Ok(Want::Stats);
                }
                Event::MediaEgressStats(stats) => self.stats.nacks = stats.nacks,
                Event::Closed => return Ok(Want::Closed),
                _ => {}
            }
        }
    }

    fn described(&mut self) {
        self.described = true;
        for candidate in std::mem::take(&mut self.held) {
            self.add_remote(&candidate);
        }
    }

    fn add_remote(&mut self, candidate: &IceCandidate) {
        let line = candidate.candidate.as_str();
        // Empty is the end of candidates. Names under .local cannot be looked up here; the viewer's checks, which
        // come to this side's addresses, show where it is (RFC 8445, 7.3.1.3).
        if line.is_empty() || line.contains(".local ") {
            return;
        }
        match Candidate::from_sdp_string(line) {
            Ok(candidate) => self.rtc.add_remote_candidate(candidate),
            Err(error) => debug!(%error, "a candidate is not understood"),
        }
    }

    /// Chooses the payload type, once both descriptions are there.
    fn check_payload(&mut self) -> Result<(), Ended> {
        let Some(mid) = self.mid else {
            return Err(Ended::Unusable("there is no place for a picture in its offer".into()));
        };
        let codec = self.codec;
        let suits = |params: &&PayloadParams| match codec {
            Codec::H264 => params.spec().codec == Format::H264,
            Codec::Vp8 => params.spec().codec == Format::Vp8,
        };
        // Pictures are larger than a packet: single NAL unit mode cannot carry them (RFC 6184, 6.2).
        let fragments = |params: &&PayloadParams| params.spec().format.packetization_mode == Some(1);
        let payload = self.rtc.writer(mid).and_then(|writer| {
            let all: Vec<&PayloadParams> = writer.payload_params().filter(suits).collect();
            let best = all.iter().find(|params| codec == Codec::Vp8 || fragments(params)).or(all.first());
            best.map(|params| params.pt())
        });
        self.payload = payload;
        if payload.is_none() {
            return Err(Ended::Unusable(format!(
                "it does not take {}, which this picture is encoded as",
                codec.name()
            )));
        }
        Ok(())
    }
}

/// An offer as of one who only watches: nothing is received here, whatever the viewer would send.
fn watching(sdp: &str) -> String {
    let direction = |line: &str| match line {
        "a=sendrecv" => "a=recvonly".to_owned(),
        "a=sendonly" => "a=inactive".to_owned(),
        other => other.to_owned(),
    };
    sdp.lines().map(direction).map(|line| line + "\r\n").collect()
}

/// The name of the first section for a picture (RFC 8843, `a=mid`).
fn picture_section(sdp: &str) -> Option<&str> {
    let section = sdp.split("\nm=").skip(1).find(|section| section.starts_with("video "))?;
    section.lines().find_map(|line| line.strip_prefix("a=mid:")).map(str::trim)
}
