//! H.264 and VP8 that were encoded elsewhere, passed through: from a file, standard input, or another program.

use super::annexb::{Cutter, start_code};
use super::ivf::{self, FRAME_HEADER, HEADER, Header};
use super::{Codec, Format, Picture, Pictures, SourceError};
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// How much of a stream is looked at to tell what it is.
const HEAD: usize = 64;
/// Pictures since the last key frame that are kept so that a new viewer need not wait for the next one, in bytes.
const KEPT: usize = 32 * 1024 * 1024;
/// Pictures before which a stream must have a key frame.
const PATIENCE: usize = 3000;

/// Pictures as they lie in a stream of bytes.
#[derive(Debug)]
enum Reader<R> {
    H264 { bytes: R, cutter: Cutter, ended: bool, rate: Option<f64> },
    Vp8 { bytes: R, header: Header, before: Option<Duration> },
}

/// A stream of pictures that somebody else has encoded.
pub(super) struct Stream<R> {
    name: String,
    reader: Reader<R>,
    rate: Option<u32>,
    live: bool,
    /// What begins anew at its end, and goes back when a key frame is wished for.
    rewind: Option<Rewind>,
    first: Option<Picture>,
}

/// What a file can do and a pipe cannot.
struct Rewind {
    restart: Box<dyn Fn() -> io::Result<File> + Send>,
    /// Since the last key frame; empty if that is too much to keep.
    kept: Vec<Picture>,
    size: usize,
    /// Which of the kept ones is shown next; all have been if it is their number.
    at: usize,
}

/// Opens a file, which is shown again and again.
pub(super) fn file(path: &Path, format: Format) -> Result<(Stream<Box<dyn Read + Send>>, Codec), SourceError> {
    let name = path.display().to_string();
    let io = |error| SourceError::Io { source_name: name.clone(), error };
    let mut opened = File::open(path).map_err(io)?;
    if opened.metadata().map_err(io)?.is_dir() {
        return Err(io(io::ErrorKind::IsADirectory.into()));
    }
    opened.seek(SeekFrom::Start(0)).map_err(|error| SourceError::Content {
        source_name: name.clone(),
        why: format!("it cannot be read again from its beginning ({error}); give a pipe as -, on standard input"),
    })?;
    let again = path.to_owned();
    let rewind = Rewind { restart: Box::new(move || File::open(&again)), kept: Vec::new(), size: 0, at: 0 };
    Stream::open(name, Box::new(opened), format.rate, false, Some(rewind))
}

/// Opens a pipe, which ends when it ends.
pub(super) fn pipe(
    name: String,
    bytes: Box<dyn Read + Send>,
    format: Format,
    live: bool,
) -> Result<(Stream<Box<dyn Read + Send>>, Codec), SourceError> {
    Stream::open(name, bytes, format.rate, live, None)
}

impl Stream<Box<dyn Read + Send>> {
    fn open(
        name: String,
        bytes: Box<dyn Read + Send>,
        rate: Option<u32>,
        live: bool,
        rewind: Option<Rewind>,
    ) -> Result<(Self, Codec), SourceError> {
        let reader = Reader::open(bytes, &name)?;
        let codec = match reader {
            Reader::H264 { .. } => Codec::H264,
            Reader::Vp8 { .. } => Codec::Vp8,
        };
        let mut stream = Self { name, reader, rate, live, rewind, first: None };
        let first = (0..PATIENCE).find_map(|_| match stream.read() {
            Ok(picture) if picture.key => Some(Ok(picture)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        let why = match first {
            Some(Ok(picture)) => {
                stream.first = Some(picture);
                stream.warn_of_order();
                return Ok((stream, codec));
            }
            Some(Err(SourceError::Ended { .. })) => "it ends before a picture with which decoding may begin",
            Some(Err(error)) => return Err(error),
            None => "there is no picture in it with which decoding may begin",
        };
        let hint = match codec {
            Codec::H264 => "an IDR picture with its SPS and PPS",
            Codec::Vp8 => "a key frame",
        };
        Err(SourceError::Content { source_name: stream.name, why: format!("{why}: {hint}") })
    }

    /// The next picture as it lies in the stream.
    fn read(&mut self) -> Result<Picture, SourceError> {
        let rate = self.rate;
        let picture = self.reader.next(rate).map_err(|error| match error {
            ReadError::Io(error) => SourceError::Io { source_name: self.name.clone(), error },
            ReadError::Content(why) => SourceError::Content { source_name: self.name.clone(), why },
        })?;
        let mut picture = picture.ok_or_else(|| SourceError::Ended { source_name: self.name.clone() })?;
        if self.live {
            picture.after = None;
        }
        Ok(picture)
    }

    fn begin_again(&mut self) -> Result<(), SourceError> {
        let Some(rewind) = &mut self.rewind else { return Err(SourceError::Ended { source_name: self.name.clone() }) };
        let io = |error| SourceError::Io { source_name: self.name.clone(), error };
        (rewind.kept, rewind.size, rewind.at) = (Vec::new(), 0, 0);
        self.reader = Reader::open(Box::new((rewind.restart)().map_err(io)?), &self.name)?;
        Ok(())
    }

    /// Decoders of calls show pictures in the order in which they come.
    fn warn_of_order(&self) {
        let Reader::H264 { cutter, .. } = &self.reader else { return };
        let Some(sps) = parameters(cutter.sps()) else { return };
        let vui = sps.vui_parameters.as_ref();
        let restrictions = vui.and_then(|vui| vui.bitstream_restrictions.as_ref());
        if restrictions.is_some_and(|restrictions| restrictions.max_num_reorder_frames > 0) {
            warn!("{}: it may have B-frames, which will stutter; encode with -bf 0", self.name);
        }
    }
}

impl Pictures for Stream<Box<dyn Read + Send>> {
    fn next(&mut self, key: bool, _carried: Option<u32>) -> Result<Picture, SourceError> {
        if let Some(rewind) = &mut self.rewind {
            if key && !rewind.kept.is_empty() {
                rewind.at = 0;
            }
            if let Some(picture) = rewind.kept.get(rewind.at) {
                rewind.at += 1;
                return Ok(picture.clone());
            }
        }
        let picture = match self.first.take() {
            Some(picture) => picture,
            None => match self.read() {
                Err(SourceError::Ended { .. }) => {
                    self.begin_again()?;
                    self.read()?
                }
                read => read?,
            },
        };
        if let Some(rewind) = &mut self.rewind {
            rewind.keep(&picture);
        }
        Ok(picture)
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

impl Rewind {
    fn keep(&mut self, picture: &Picture) {
        if picture.key {
            (self.kept, self.size) = (Vec::new(), 0);
        }
        if (picture.key || !self.kept.is_empty()) && self.size + picture.data.len() <= KEPT {
            self.size += picture.data.len();
            self.kept.push(picture.clone());
        } else {
            self.kept = Vec::new();
        }
        self.at = self.kept.len();
    }
}

enum ReadError {
    Io(io::Error),
    Content(String),
}

impl Reader<Box<dyn Read + Send>> {
    /// Tells by its first bytes what a stream is.
    fn open(mut bytes: Box<dyn Read + Send>, name: &str) -> Result<Self, SourceError> {
        let io = |error| SourceError::Io { source_name: name.into(), error };
        let content = |why: String| SourceError::Content { source_name: name.into(), why };
        let mut head = Vec::new();
        bytes.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(io)?;
        if let Some(why) = wrong(&head) {
            return Err(content(why));
        }
        if !head.starts_with(ivf::SIGNATURE) {
            let bytes: Box<dyn Read + Send> = Box::new(BufReader::new(io::Cursor::new(head).chain(bytes)));
            return Ok(Reader::H264 { bytes, cutter: Cutter::default(), ended: false, rate: None });
        }
        let header = head.first_chunk::<HEADER>().ok_or_else(|| content("its header is cut off".into()))?;
        let header = Header::read(header).map_err(|error| content(error.to_string()))?;
        let rest = head.split_off(HEADER);
        Ok(Reader::Vp8 { bytes: Box::new(BufReader::new(io::Cursor::new(rest).chain(bytes))), header, before: None })
    }

    /// The next picture, or nothing at the end. `rate` is asserted by the user.
    fn next(&mut self, asserted: Option<u32>) -> Result<Option<Picture>, ReadError> {
        match self {
            Reader::H264 { bytes, cutter, ended, rate } => {
                let unit = loop {
                    if let Some(unit) = cutter.pop() {
                        break unit;
                    }
                    if *ended {
                        return Ok(None);
                    }
                    let mut chunk = [0; 16 * 1024];
                    match bytes.read(&mut chunk) {
                        Ok(0) => {
                            cutter.end();
                            *ended = true;
                        }
                        Ok(length) => {
                            let pushed = cutter.push(&chunk[..length]);
                            pushed.map_err(|error| ReadError::Content(error.to_string()))?;
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(ReadError::Io(error)),
                    }
                };
                if unit.key && rate.is_none() {
                    *rate = parameters(cutter.sps()).and_then(|sps| sps.fps());
                }
                let rate =
                    asserted.map(f64::from).or(*rate).filter(|rate| (1.0..=240.0).contains(rate)).unwrap_or(30.0);
                let after = Some(Duration::from_secs_f64(1.0 / rate));
                Ok(Some(Picture { data: unit.data.into(), key: unit.key, after }))
            }
            Reader::Vp8 { bytes, header, before } => {
                let mut frame = [0; FRAME_HEADER];
                if !read_whole(bytes, &mut frame)? {
                    return Ok(None);
                }
                let wrong = |error: ivf::IvfError| ReadError::Content(error.to_string());
                let (length, timestamp) = ivf::frame_header(&frame).map_err(wrong)?;
                let mut data = vec![0; length];
                if !read_whole(bytes, &mut data)? {
                    return Ok(None);
                }
                let Some(key) = ivf::is_key(&data) else {
                    return Err(ReadError::Content("a frame in it is no VP8".into()));
                };
                let time = header.time(timestamp);
                let usual = Duration::from_secs(1) / 30;
                // Steps back, or of many seconds, are mistakes of whoever wrote the file.
                let after = before.and_then(|before| time.checked_sub(before)).filter(|after| after.as_secs() < 10);
                *before = Some(time);
                let after = asserted.map(|rate| Duration::from_secs(1) / rate).or(after).unwrap_or(usual);
                Ok(Some(Picture { data: Arc::from(data), key, after: Some(after) }))
            }
        }
    }
}

/// Fills `buffer`; whether there was enough.
fn read_whole(bytes: &mut impl Read, buffer: &mut [u8]) -> Result<bool, ReadError> {
    match bytes.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(ReadError::Io(error)),
    }
}

fn parameters(sps: &[u8]) -> Option<SeqParameterSet> {
    SeqParameterSet::from_bits(RefNal::new(sps, &[], true).rbsp_bits()).ok()
}

/// What is wrong with a stream that begins like this, as far as that can be told.
fn wrong(head: &[u8]) -> Option<String> {
    let h264 = "H.264 in Annex B format or VP8 in IVF";
    if head.is_empty() {
        return Some(format!("it is empty; {h264} is needed"));
    }
    if head.starts_with(ivf::SIGNATURE) {
        return None;
    }
    let container = match head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("MP4"),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some("Matroska or WebM"),
        [b'R', b'I', b'F', b'F', ..] => Some("AVI"),
        [0x47, ..] if head.len() < HEAD || start_code(head, 0) != Some(0) => Some("an MPEG transport stream, perhaps"),
        _ => None,
    };
    if let Some(container) = container {
        return Some(format!(
            "this is {container}; {h264} is needed: ffmpeg -i FILE -an -c:v libx264 -bf 0 -pix_fmt yuv420p -f h264 OUT.h264"
        ));
    }
    let Some(code) = start_code(head, 0).filter(|&code| code <= 1) else {
        return Some(format!("this is no video that is known here; {h264} is needed"));
    };
    // The two bytes of a NAL unit's header in H.265: VPS, SPS, AUD or SEI of layer 0 (ITU-T H.265, 7.3.1.2).
    match head.get(code + 3..code + 5) {
        Some([0x40 | 0x42 | 0x46 | 0x4e, 0x01]) => {
            Some(format!("this is H.265, which browsers do not take; {h264} is needed"))
        }
        _ => None,
    }
}
