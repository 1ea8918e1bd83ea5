//! Where everything that comes is kept as it comes, if it is.

use anyhow::Context;
use monitor::recording::{Header, Writer};
use monitor::wire::Input;
use protocol::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// A recording that is being made.
pub(crate) struct Recorder {
    writer: Writer,
    path: PathBuf,
}

impl Recorder {
    /// Begins one in a new file.
    ///
    /// # Errors
    /// If the file is there already or cannot be made.
    pub(crate) fn create(path: &Path, at: Timestamp, broker: &str, reveal: bool) -> anyhow::Result<Self> {
        let writer = Writer::create(path, &Header::new(at, broker), reveal)?;
        Ok(Self { writer, path: path.to_owned() })
    }

    /// Keeps an input. With every second that passes what was kept reaches the file, whatever becomes of us then.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn keep(&mut self, input: &Input) -> anyhow::Result<()> {
        let kept = match input {
            Input::Tick(_) => self.writer.flush(),
            _ => self.writer.write(input),
        };
        self.judge(kept)
    }

    /// Ends it; its file.
    ///
    /// # Errors
    /// If the last of it cannot be written.
    pub(crate) fn end(mut self, at: Timestamp) -> anyhow::Result<PathBuf> {
        let ended = self.writer.end(at);
        self.judge(ended)?;
        Ok(self.path)
    }

    fn judge(&self, result: io::Result<()>) -> anyhow::Result<()> {
        // Not as an I/O error: a closed pipe is nobody's wish here.
        result
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| format!("the recording {}", self.path.display()))
    }
}
