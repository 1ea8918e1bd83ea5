//! The thread of a source: gives every picture to the feed when its time has come.

#![allow(clippy::disallowed_methods, reason = "pictures are shown in real time")]

use super::drawn::TestPicture;
use super::{Caption, Codec, Feed, Format, Frame, Picture, Pictures, SourceError, Spec, process, stream};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Viewers who lose much ask for key frames all the time, each of which is many times as large as another frame.
const BETWEEN_KEY_FRAMES: Duration = Duration::from_millis(400);
/// A picture that is this late is not made up for: what follows is shown later too.
const LATE: Duration = Duration::from_millis(200);

/// Opens what `spec` names.
pub(super) fn open(spec: &Spec, format: Format, caption: &Caption) -> Result<(Box<dyn Pictures>, Codec), SourceError> {
    let content = |why: &str| SourceError::Content { source_name: spec.to_string(), why: why.into() };
    let (pictures, codec): (Box<dyn Pictures>, Codec) = match spec {
        Spec::Test if format.codec == Some(Codec::Vp8) => {
            return Err(content("it is encoded as H.264 only; VP8 comes from an IVF file, a camera or standard input"));
        }
        Spec::Test => (Box::new(TestPicture::new(format, caption)?), Codec::H264),
        Spec::File(path) => {
            let (stream, codec) = stream::file(path, format)?;
            (Box::new(stream), codec)
        }
        Spec::Stdin => {
            let (stream, codec) = stream::pipe(spec.to_string(), Box::new(io::stdin()), format, false)?;
            (Box::new(stream), codec)
        }
        Spec::V4l2(_) | Spec::Rtsp(_) => {
            let (process, codec) = process::Process::open(spec, format)?;
            (Box::new(process), codec)
        }
    };
    match format.codec {
        Some(wanted) if wanted != codec => {
            Err(content(&format!("its pictures are {}, not {}", codec.name(), wanted.name())))
        }
        _ => Ok((pictures, codec)),
    }
}

pub(super) struct Runner {
    pictures: Box<dyn Pictures>,
    feed: Feed,
    begun: Instant,
    /// When the next picture is due.
    due: Instant,
    last_key: Option<Instant>,
}

impl Runner {
    pub(super) fn new(pictures: Box<dyn Pictures>, feed: Feed) -> Self {
        let now = Instant::now();
        Self { pictures, feed, begun: now, due: now, last_key: None }
    }

    /// Runs until there is nothing more, or nobody wants it; why.
    pub(super) fn run(mut self) -> SourceError {
        loop {
            if !self.wait_for_viewers() {
                return SourceError::Ended { source_name: "it".into() };
            }
            if self.feed.frames.receiver_count() == 0 {
                match self.pictures.read_away() {
                    Ok(()) => continue,
                    Err(error) => return error,
                }
            }
            let wished = self.take_wish();
            match self.pictures.next(wished, self.feed.narrowest()) {
                Ok(picture) => self.show(picture),
                Err(error) => return error,
            }
        }
    }

    /// Waits until somebody looks; whether anybody ever will.
    fn wait_for_viewers(&mut self) -> bool {
        let (wishes, changed) = &*self.feed.wishes;
        let mut wishes = wishes.lock();
        while !wishes.over && !self.pictures.is_live() && self.feed.frames.receiver_count() == 0 {
            changed.wait(&mut wishes);
        }
        !wishes.over
    }

    /// Whether a key frame is to come now.
    fn take_wish(&mut self) -> bool {
        let now = Instant::now();
        if self.last_key.is_some_and(|last| now.duration_since(last) < BETWEEN_KEY_FRAMES) {
            return false;
        }
        let wished = std::mem::take(&mut self.feed.wishes.0.lock().key_frame);
        if wished {
            self.last_key = Some(now);
        }
        wished
    }

    fn show(&mut self, picture: Picture) {
        let now = Instant::now();
        match picture.after {
            None => self.due = now,
            Some(after) => {
                self.due += after;
                if now > self.due + LATE {
                    self.due = now;
                }
                std::thread::sleep(self.due.saturating_duration_since(now));
            }
        }
        let time = self.due.duration_since(self.begun);
        let frame = Frame { data: picture.data, key: picture.key, at: self.due, time };
        // Nobody may look at present.
        let _ = self.feed.frames.send(Arc::new(frame));
    }
}
