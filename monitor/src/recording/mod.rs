//! Recordings: what came in, one JSON object a line, to be read by the monitor, by jq and by people.
//!
//! ```text
//! {"duet_recording":1,"started":"2026-11-22T10:00:00.000Z","broker":"mqtt://127.0.0.1:1883","version":"0.1.0"}
//! {"at":"2026-11-22T10:00:00.250Z","topic":"rooms/lobby/bob/alice","json":{"type":"ready"},"qos":1}
//! {"at":"2026-11-22T10:00:00.300Z","topic":"rooms/lobby/bob/alice","text":"no JSON"}
//! {"at":"2026-11-22T10:00:00.350Z","topic":"rooms/lobby/bob/alice","base64":"//79"}
//! {"at":"2026-11-22T10:00:09.000Z","link":"lost","why":"connection reset"}
//! {"at":"2026-11-22T10:00:09.500Z","lost":17}
//! {"at":"2026-11-22T10:00:20.000Z","end":true}
//! ```
//!
//! A payload is `json` exactly as it came if it is JSON on one line, else `text`, else `base64`. Passwords are masked
//! unless they are asked for. Fields that are unknown are passed over.

mod line;
mod mask;
mod pace;
mod reader;
mod writer;

pub use pace::{Pace, SPEEDS};
pub use reader::{BadLine, Reader};
pub use writer::Writer;

use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// Version of the format that is written, and the newest that is read.
pub const VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    duet_recording: u64,
    /// When it was begun.
    pub started: Timestamp,
    /// Which broker was listened to; without user and password.
    #[serde(default)]
    pub broker: String,
    /// Version of the monitor that wrote it.
    #[serde(default)]
    pub version: String,
}

impl Header {
    /// A header for a recording that begins now. User and password are taken out of `broker`.
    pub fn new(started: Timestamp, broker: &str) -> Self {
        let broker = match url::Url::parse(broker) {
            Ok(mut url) if url.has_host() => {
                // Cannot fail where there is a host.
                let _ = url.set_username("").and_then(|()| url.set_password(None));
                url.to_string()
            }
            _ => broker.rsplit('@').next().unwrap_or_default().to_owned(),
        };
        Self { duet_recording: VERSION, started, broker, version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// Why a file cannot be used as a recording; each message says what would be right.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be opened, made or read.
    #[error("the recording {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is there already.
    #[error("the recording {0} is there already; give another name or remove it")]
    Exists(PathBuf),
    /// Nothing is in it.
    #[error("the recording is empty; one begins with a line like {{\"duet_recording\":{VERSION},…}}")]
    Empty,
    /// It begins with something else.
    #[error(
        "this is no recording of the monitor: line 1 is not like {{\"duet_recording\":{VERSION},\"started\":…}} ({0})"
    )]
    Foreign(String),
    /// A version that is not known here.
    #[error("the recording has version {0}, this monitor reads version {VERSION}; use a newer monitor")]
    Newer(u64),
    /// A version that never was.
    #[error("the recording has version {0}; versions begin with {VERSION}")]
    Older(u64),
}

#[cfg(test)]
mod tests;
