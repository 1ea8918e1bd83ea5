//! What is printed or written, outside of the screen: for people ([`log`], [`summary`]), for programs ([`json`]),
//! for others to read ([`export`]).
//!
//! All of them read the model. What peers said is escaped, and private details are hidden unless revealed.

pub mod export;
pub mod json;
pub mod log;
mod news;
pub mod summary;

pub use news::{Item, News};

use crate::model::{Entry, Room};
use crate::redact::Redaction;
use protocol::Timestamp;
use std::time::Duration;

/// How the text outputs write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// What is hidden.
    pub redaction: Redaction,
    /// Whether colours are written.
    pub colour: bool,
    /// Whether only ASCII characters are written, apart from what peers wrote.
    pub ascii: bool,
}

impl Style {
    fn arrow(self) -> &'static str {
        if self.ascii { "->" } else { "→" }
    }

    /// Text in a colour, by its SGR parameter (ECMA-48, 8.3.117).
    fn paint(self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const DIM: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// `10:46:19.123`, in UTC.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..23).unwrap_or_default().to_owned()
}

/// `1.25 s`, `37 s`, `5m 3s`, `2h 10m`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{:02} s", seconds, time.subsec_millis() / 10),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// What was said, in a few words that can be printed.
fn essence(entry: &Entry, redaction: Redaction) -> String {
    crate::essence::essence(&entry.what, redaction)
}

/// Who is or was in a room, as far as it is known.
fn peers(room: &Room) -> Vec<String> {
    let mut names: Vec<String> = room.seats().iter().map(|seat| seat.peer.as_str().to_owned()).collect();
    if names.is_empty() {
        for entry in room.life() {
            for party in [&entry.from, &entry.to] {
                if let Some(peer) = party.peer()
                    && names.len() < 2
                    && !names.iter().any(|name| name == peer.as_str())
                {
                    names.push(peer.as_str().to_owned());
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, text) in
            [(0, "0.00 s"), (1_259, "1.25 s"), (59_999, "59 s"), (303_000, "5m 3s"), (7_800_000, "2h 10m")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(clock(Timestamp::from_millis(1_790_000_000_123)), "14:13:20.123");
    }
}
