//! One grammar for everything that can be filtered: rooms, messages, events, in every view and every mode.
//!
//! ```text
//! room:lobby peer:cam* type:offer,answer text:H264 phase:failed finding:no-relay !refused "two words"
//! ```
//!
//! Terms stand side by side, and all must hold. `key:value` looks at one thing, a word without a key at everything.
//! `!` turns a term round, `,` separates values of which one is enough, `*` stands for anything, and quotes take
//! everything in them as it is. Upper and lower case are the same. `text:` and words need only be somewhere in it; the
//! values of other keys must be met as a whole.

mod parse;
mod pattern;
mod subject;

pub use parse::FilterError;

use crate::model::{Entry, Happening, Room};
use pattern::Pattern;
use std::fmt;
use subject::Subject;

/// What a term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The room's name.
    Room,
    /// A peer: of a room, whoever is in it; of a message, who said it and to whom it was said.
    Peer,
    /// What a peer says it is: `camera`, `browser`.
    Kind,
    /// The type of a message or event. A room has those of all its messages.
    Type,
    /// The payload.
    Text,
    /// How far the room is.
    Phase,
    /// Rules of the diagnosis that speak of the room.
    Finding,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Room, Self::Peer, Self::Kind, Self::Type, Self::Text, Self::Phase, Self::Finding];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Peer => "peer",
            Self::Kind => "kind",
            Self::Type => "type",
            Self::Text => "text",
            Self::Phase => "phase",
            Self::Finding => "finding",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    /// `None` looks at everything.
    key: Option<Key>,
    /// One is enough.
    patterns: Vec<Pattern>,
}

/// A filter. The empty one lets everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    terms: Vec<Term>,
    text: String,
}

impl Filter {
    /// Longest filter, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Reads a filter.
    ///
    /// # Errors
    /// Where it is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        Ok(Self { terms: parse::terms(text)?, text: text.to_owned() })
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the room passes. A term on messages holds for a room in which a message meets it; turned round, for
    /// one in which none does.
    pub fn room(&self, room: &Room) -> bool {
        self.passes(&subject::OfRoom(room))
    }

    /// Whether a message of `room` passes.
    pub fn entry(&self, room: &Room, entry: &Entry) -> bool {
        self.passes(&subject::OfEntry { room, entry })
    }

    /// Whether an event passes; `room` is the one that it happened in, if there is (still) one.
    pub fn event(&self, line: &Happening, room: Option<&Room>) -> bool {
        self.passes(&subject::OfEvent { line, room })
    }

    fn passes(&self, subject: &impl Subject) -> bool {
        self.terms.iter().all(|term| term.negated != term.met_by(subject))
    }
}

impl Term {
    fn met_by(&self, subject: &impl Subject) -> bool {
        subject.any(self.key, &mut |value| self.patterns.iter().any(|pattern| pattern.matches(value)))
    }
}

impl fmt::Display for Filter {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
