//! How much is kept, and what was let go of.

/// How much the model keeps. Whatever comes in, these hold after every input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Messages of one room.
    pub messages_per_room: usize,
    /// Rooms, with those that have ended.
    pub rooms: usize,
    /// Lines of the events of the whole system.
    pub events: usize,
    /// Bytes of everything together; the events have at most an eighth of them.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages_per_room: 2000, rooms: 20_000, events: 10_000, bytes: 64 << 20 }
    }
}

impl Bounds {
    /// Bytes that the events may have.
    pub fn event_bytes(&self) -> usize {
        self.bytes / 8
    }
}

/// What was let go of to stay within the [`Bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Whole rooms; those that had ended first.
    pub rooms: u64,
    /// Messages of rooms, with those of rooms that went as a whole.
    pub messages: u64,
    /// Lines of the events.
    pub events: u64,
    /// Bytes of all that.
    pub bytes: u64,
}

impl Evicted {
    /// Whether anything is missing.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What the monitor itself has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages taken.
    pub messages: u64,
    /// Bytes of their topics and payloads.
    pub bytes: u64,
    /// What was let go of again.
    pub evicted: Evicted,
    /// Messages and lines that cannot be read as what they should be.
    pub malformed: u64,
    /// Messages that came faster than they could be taken and were dropped unread.
    pub lost: u64,
    /// Bytes that are held now.
    pub held: usize,
    /// Rooms that have not ended.
    pub open: usize,
}
