//! Reading a recording.

use super::{Header, RecordingError, VERSION, line};
use crate::wire::Input;
use protocol::Timestamp;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Longest line that is read, in bytes: a payload of the largest size that a broker of ours lets through, with every
/// byte escaped, many times over.
const MAX_LINE: usize = 16 << 20;

/// A line that cannot be read. The lines after it can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the recording: {why}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Time of the last line before it that could be read.
    pub at: Timestamp,
    /// What is wrong with it and what would be right.
    pub why: String,
}

impl From<BadLine> for Input {
    fn from(bad: BadLine) -> Self {
        Input::Unread { at: bad.at, why: bad.to_string() }
    }
}

/// Reads a recording, line by line.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    lines: R,
    header: Header,
    line: u64,
    at: Timestamp,
    buffer: Vec<u8>,
    over: bool,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no recording that this monitor understands.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let io = |error| RecordingError::Io { path: path.to_owned(), error };
        Self::new(BufReader::new(File::open(path).map_err(io)?)).map_err(|error| match error {
            RecordingError::Io { error, .. } => io(error),
            other => other,
        })
    }
}

enum Line {
    /// In the buffer, whole.
    Whole,
    /// In the buffer, without an end of its own.
    Last,
    /// Too long; passed over.
    Long,
    None,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If there is none, or one that this monitor does not understand.
    pub fn new(lines: R) -> Result<Self, RecordingError> {
        let header = Header::new(Timestamp::default(), "");
        let mut reader = Self { lines, header, line: 0, at: Timestamp::default(), buffer: Vec::new(), over: false };
        let line = reader.next_line().map_err(|error| RecordingError::Io { path: "-".into(), error })?;
        match line {
            Line::None => return Err(RecordingError::Empty),
            Line::Long => return Err(RecordingError::Foreign("it is too long".into())),
            Line::Whole | Line::Last => {}
        }
        // The version first: what else stands there is for a newer monitor to say.
        let value: Value =
            serde_json::from_slice(&reader.buffer).map_err(|e| RecordingError::Foreign(e.to_string()))?;
        match value.get("duet_recording").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(RecordingError::Newer(version)),
            Some(version) => return Err(RecordingError::Older(version)),
            None => return Err(RecordingError::Foreign("duet_recording is missing".into())),
        }
        reader.header = serde_json::from_value(value).map_err(|e| RecordingError::Foreign(e.to_string()))?;
        reader.at = reader.header.started;
        Ok(reader)
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the next line into the buffer, without its end.
    fn next_line(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        self.line += 1;
        let most = MAX_LINE as u64 + 1;
        if self.lines.by_ref().take(most).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(Line::None);
        }
        if self.buffer.pop_if(|byte| *byte == b'\n').is_some() {
            self.buffer.pop_if(|byte| *byte == b'\r');
            return Ok(Line::Whole);
        }
        if self.buffer.len() <= MAX_LINE {
            return Ok(Line::Last);
        }
        loop {
            self.buffer.clear();
            let read = self.lines.by_ref().take(most).read_until(b'\n', &mut self.buffer)?;
            if read == 0 || self.buffer.last() == Some(&b'\n') {
                return Ok(Line::Long);
            }
        }
    }

    fn bad(&self, why: String) -> BadLine {
        BadLine { line: self.line, at: self.at, why }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Input, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.over {
                return None;
            }
            let last = match self.next_line() {
                Ok(Line::None) => return None,
                Ok(Line::Long) => return Some(Err(self.bad(format!("it is longer than {MAX_LINE} bytes")))),
                Ok(Line::Whole) => false,
                Ok(Line::Last) => true,
                Err(error) => {
                    // The same error would come for ever.
                    self.over = true;
                    return Some(Err(self.bad(format!("it cannot be read: {error}"))));
                }
            };
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let read = std::str::from_utf8(&self.buffer).map_err(|_| "it is not UTF-8".to_owned()).and_then(line::read);
            return Some(match read {
                Ok(input) => {
                    self.at = input.at();
                    Ok(input)
                }
                Err(_) if last => Err(self.bad("the recording ends in the middle of it".into())),
                Err(why) => Err(self.bad(why)),
            });
        }
    }
}
