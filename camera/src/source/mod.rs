//! Where the picture comes from. A source runs in a thread of its own and is encoded once, however many look on:
//! each viewer takes its [`Frame`]s from the [`Feed`].
//!
//! Nothing is drawn, read or encoded while nobody looks, unless it is live and has to be read away.

mod annexb;
mod bitrate;
mod drawn;
mod encoder;
mod ivf;
mod picture;
mod process;
mod raw;
mod runner;
mod spec;
mod stream;

pub use spec::{Spec, SpecError};

use parking_lot::{Condvar, Mutex};
use runner::Runner;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, oneshot};

/// Frames that a viewer may be behind before it has to begin anew with a key frame: a second.
const BEHIND: usize = 30;

/// What a picture is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 6184.
    H264,
    /// RFC 7741.
    Vp8,
}

impl Codec {
    /// As `info` and SDP call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "H264",
            Codec::Vp8 => "VP8",
        }
    }
}

/// How a picture is to be made, where the source leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Codec of what is encoded here; nothing leaves it to the source.
    pub codec: Option<Codec>,
    /// Width in pixels, even.
    pub width: u16,
    /// Height in pixels, even.
    pub height: u16,
    /// Pictures a second; nothing leaves it to the source, and 30 to one that has no say.
    pub rate: Option<u32>,
    /// Most bits a second that an encoder may make.
    pub bitrate: u32,
}

impl Default for Format {
    fn default() -> Self {
        Self { codec: None, width: 640, height: 360, rate: None, bitrate: 1_000_000 }
    }
}

impl Format {
    /// Pictures a second where nothing else says so.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate.unwrap_or(30)
    }
}

/// What the test picture says of itself.
#[derive(Debug, Clone, Default)]
pub struct Caption {
    /// The room.
    pub room: String,
    /// The device.
    pub device: String,
}

/// One encoded picture.
#[derive(Debug, Clone)]
pub struct Frame {
    /// An access unit in Annex B format, or a VP8 frame.
    pub data: Arc<[u8]>,
    /// Whether decoding may begin here.
    pub key: bool,
    /// When it is to be shown; also its RTP time, on a clock that every frame shares.
    pub at: Instant,
    /// The time since the source began.
    pub time: Duration,
}

/// Why a source gives no picture, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be opened or read.
    #[error("{source_name}: {error}")]
    Io {
        /// Which source.
        source_name: String,
        /// What is wrong.
        error: std::io::Error,
    },
    /// What is in it is not what can be carried.
    #[error("{source_name}: {why}")]
    Content {
        /// Which source.
        source_name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// Another program is needed and not there, or has failed.
    #[error("{source_name}: {why}")]
    Process {
        /// Which source.
        source_name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The encoder does not take what it is given.
    #[error("the encoder fails: {0}")]
    Encoder(String),
    /// There is nothing more.
    #[error("{source_name} has ended")]
    Ended {
        /// Which source.
        source_name: String,
    },
}

/// A picture that runs.
#[derive(Debug)]
pub struct Source {
    feed: Feed,
    ended: oneshot::Receiver<SourceError>,
}

impl Source {
    /// Opens a source and looks whether a picture comes from it, which for a live one may take seconds.
    ///
    /// # Errors
    /// If no picture can come from it.
    pub async fn open(spec: Spec, format: Format, caption: Caption) -> Result<Self, SourceError> {
        let (opened, is_open) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || match runner::open(&spec, format, &caption) {
            Err(error) => drop(opened.send(Err(error))),
            Ok((frames, codec)) => {
                let feed = Feed::new(codec, frames.adapts_from());
                if opened.send(Ok(feed.clone())).is_ok() {
                    let _ = end.send(Runner::new(frames, feed).run());
                }
            }
        });
        let gone = |_| SourceError::Encoder("its thread has ended".into());
        let feed = is_open.await.map_err(gone)??;
        Ok(Self { feed, ended })
    }

    /// Where viewers take their frames from.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// Waits until there is nothing more; why.
    pub async fn ended(&mut self) -> SourceError {
        (&mut self.ended).await.unwrap_or_else(|_| SourceError::Encoder("its thread has ended".into()))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.feed.change(|wishes| wishes.over = true);
    }
}

/// Frames for everybody who looks, and what they wish for.
#[derive(Debug, Clone)]
pub struct Feed {
    codec: Codec,
    frames: broadcast::Sender<Arc<Frame>>,
    /// Most bits a second that the source makes, if it can make fewer.
    adapts_from: Option<u32>,
    wishes: Arc<(Mutex<Wishes>, Condvar)>,
}

/// What viewers want of a source.
#[derive(Debug, Default)]
struct Wishes {
    key_frame: bool,
    over: bool,
    /// Bits a second that each viewer's path carries, as far as it is known.
    paths: BTreeMap<u64, u32>,
    /// Paths there have been.
    numbered: u64,
}

impl Feed {
    fn new(codec: Codec, adapts_from: Option<u32>) -> Self {
        Self { codec, frames: broadcast::Sender::new(BEHIND), adapts_from, wishes: Arc::default() }
    }

    /// What the frames are encoded as.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// From now on every frame; the first that comes may need earlier ones.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Frame>> {
        self.frames.subscribe()
    }

    /// Asks for a frame with which decoding may begin.
    pub(crate) fn want_key_frame(&self) {
        self.change(|wishes| wishes.key_frame = true);
    }

    /// The bits a second that it makes where paths are wide enough, if it makes fewer for narrower ones.
    pub(crate) fn adapts_from(&self) -> Option<u32> {
        self.adapts_from
    }

    /// The path to one more viewer.
    pub(crate) fn path(&self) -> Path {
        let (wishes, _) = &*self.wishes;
        let mut wishes = wishes.lock();
        wishes.numbered += 1;
        Path { number: wishes.numbered, feed: self.clone() }
    }

    /// What the narrowest path carries, in bits a second.
    fn narrowest(&self) -> Option<u32> {
        self.wishes.0.lock().paths.values().min().copied()
    }

    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        let (wishes, changed) = &*self.wishes;
        change(&mut wishes.lock());
        changed.notify_all();
    }
}

/// The path to one viewer. All viewers are sent the same frames, so the narrowest path decides how large they are.
#[derive(Debug)]
pub(crate) struct Path {
    feed: Feed,
    number: u64,
}

impl Path {
    /// Tells the source how many bits a second get through.
    pub(crate) fn carries(&self, bits: u32) {
        self.feed.change(|wishes| {
            wishes.paths.insert(self.number, bits);
        });
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.feed.change(|wishes| {
            wishes.paths.remove(&self.number);
        });
    }
}

/// A picture on its way from a source to the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    data: Arc<[u8]>,
    key: bool,
    /// How long after the one before it is to be shown; nothing for one that is live, which is shown when it comes.
    after: Option<Duration>,
}

/// Something that gives pictures, one after another.
trait Pictures: Send {
    /// The next one; a key frame if one is wished for and can be made, and no larger than paths carry, in bits a second,
    /// if it is encoded here.
    ///
    /// # Errors
    /// [`SourceError::Ended`] after the last one, and whatever else goes wrong.
    fn next(&mut self, key: bool, carried: Option<u32>) -> Result<Picture, SourceError>;

    /// Whether it has to be [read away](Self::read_away) while nobody looks.
    fn is_live(&self) -> bool;

    /// Lets a picture pass that nobody looks at.
    ///
    /// # Errors
    /// As [`Pictures::next`].
    fn read_away(&mut self) -> Result<(), SourceError> {
        self.next(false, None).map(drop)
    }

    /// Most bits a second that it makes, if it makes fewer for narrower paths; what is encoded elsewhere does not.
    fn adapts_from(&self) -> Option<u32> {
        None
    }
}
