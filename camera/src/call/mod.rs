//! One viewer: a picture sent over WebRTC, from the first candidate to the end.
//!
//! A call runs as a task of its own. It is given what the viewer says and tells what is to be said.

mod net;
mod peer;
mod servers;
mod task;

pub use net::local_addresses;

use crate::signal::Signal;
use crate::source::Feed;
use parking_lot::Mutex;
use protocol::{Connection, IceServer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a call needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The picture.
    pub feed: Feed,
    /// STUN and TURN servers, as the room agent names them.
    pub ice_servers: Vec<IceServer>,
    /// Addresses of this machine at which the viewer may reach it.
    pub addresses: Vec<IpAddr>,
    /// Whether the picture may go only over a relay: no other address of this machine is told then.
    pub relay_only: bool,
}

/// Who makes the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// This side.
    Offer,
    /// The viewer has, as this SDP.
    Answer(String),
}

/// What a call tells.
#[derive(Debug)]
pub enum Happened {
    /// This is to be said to the viewer.
    Say(Signal),
    /// `RTCPeerConnection.connectionState`, as browsers have it.
    State(Connection),
    /// How it is going, every few seconds.
    Stats(Stats),
    /// It is over, by itself.
    Ended(Ended),
}

/// Why a call is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// No way to the viewer was found, or it is lost.
    #[error("the viewer cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The viewer has closed its connection.
    #[error("the viewer has closed the connection")]
    Closed,
    /// The viewer's description does not go with this picture.
    #[error("the viewer cannot be shown anything: {0}")]
    Unusable(String),
}

/// What has been sent to a viewer since the call began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Pictures.
    pub frames: u64,
    /// Of them, those with which decoding may begin.
    pub key_frames: u64,
    /// Bytes of media, retransmissions with them.
    pub bytes: u64,
    /// Packets that were asked for again.
    pub nacks: u64,
    /// Times that the viewer asked for a key frame.
    pub key_frame_requests: u64,
    /// Share of packets lost on the way lately, from 0 to 1.
    pub loss: f32,
    /// To the viewer and back.
    pub round_trip: Option<Duration>,
}

/// A call that runs until it is dropped, or over.
#[derive(Debug)]
pub struct Call {
    given: mpsc::UnboundedSender<Signal>,
}

impl Call {
    /// Begins a call, within a tokio runtime. `tell` is called with what happens, and never after the call is dropped
    /// and the runtime has had a turn.
    pub fn begin(options: Options, begin: Begin, tell: impl FnMut(Happened) + Send + 'static) -> Self {
        let (given, signals) = mpsc::unbounded_channel();
        let tell = Arc::new(Mutex::new(tell));
        let speak = tell.clone();
        let call = tokio::spawn(task::run(options, begin, signals, move |happened| speak.lock()(happened)));
        tokio::spawn(async move {
            // Descriptions come from strangers, and the library that reads them may give up on one.
            if call.await.is_err_and(|error| error.is_panic()) {
                tell.lock()(Happened::Ended(Ended::Unusable(
                    "its description is too much for the WebRTC stack".into(),
                )));
            }
        });
        Self { given }
    }

    /// Something that the viewer has said.
    pub fn give(&self, signal: Signal) {
        // A call that is over has told so.
        let _ = self.given.send(signal);
    }
}
