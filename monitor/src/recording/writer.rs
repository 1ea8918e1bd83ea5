//! Writing a recording.

use super::{Header, RecordingError, line};
use crate::wire::Input;
use protocol::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes what comes, line by line. What is buffered is written when it is dropped, too, but then nobody hears of errors.
#[derive(Debug)]
pub struct Writer<W: Write = BufWriter<File>> {
    out: W,
    reveal: bool,
}

impl Writer {
    /// Makes the file, readable by its owner alone, and begins it. With `reveal`, passwords are written, too.
    ///
    /// # Errors
    /// [`RecordingError::Exists`] if it is there already: a recording is not overwritten; [`RecordingError::Io`] if it
    /// cannot be made.
    pub fn create(path: &Path, header: &Header, reveal: bool) -> Result<Self, RecordingError> {
        let io = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => RecordingError::Exists(path.to_owned()),
            _ => RecordingError::Io { path: path.to_owned(), error },
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        Self::new(BufWriter::new(file), header, reveal).map_err(io)
    }
}

impl<W: Write> Writer<W> {
    /// Begins a recording.
    ///
    /// # Errors
    /// What the sink says.
    pub fn new(mut out: W, header: &Header, reveal: bool) -> io::Result<Self> {
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        Ok(Self { out, reveal })
    }

    /// Writes an input; time passing is none that is written.
    ///
    /// # Errors
    /// What the sink says.
    pub fn write(&mut self, input: &Input) -> io::Result<()> {
        match line::write(input, self.reveal) {
            Some(mut line) => {
                line.push('\n');
                self.out.write_all(line.as_bytes())
            }
            None => Ok(()),
        }
    }

    /// Ends the recording: until then nothing more came. What the rules say about a silence, they say in a replay, too.
    ///
    /// # Errors
    /// What the sink says.
    pub fn end(&mut self, at: Timestamp) -> io::Result<()> {
        writeln!(self.out, "{}", line::end(at))?;
        self.out.flush()
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// What the sink says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
