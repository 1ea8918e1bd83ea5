//! By what rooms can be ordered. Two rooms are never equal: what is equal otherwise is ordered by name, so that rows
//! stand still while nothing changes.

use super::room::Room;
use std::cmp::{Ordering, Reverse};

/// A column of the rooms view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Name.
    Name,
    /// Seats that are taken, those with a connection first.
    Seats,
    /// How far the call is, failures first.
    Phase,
    /// Worst finding, then their number.
    Findings,
    /// Kinds of the peers.
    Kind,
    /// Signals.
    Messages,
    /// Last time from offer to answer; rooms without one come last.
    AnswerTime,
    /// Since when the room is there, youngest first.
    Age,
    /// When something last happened, latest first.
    Last,
    /// What was refused.
    Refused,
}

impl Column {
    /// All of them, in the order in which they stand.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::Seats,
        Self::Phase,
        Self::Findings,
        Self::Kind,
        Self::Messages,
        Self::AnswerTime,
        Self::Age,
        Self::Last,
        Self::Refused,
    ];

    /// Which of two rooms comes first. What an operator looks for comes first: the worst, the most, the latest;
    /// names from A on.
    pub fn compare(self, a: &Room, b: &Room) -> Ordering {
        let by = match self {
            Self::Name => Ordering::Equal,
            Self::Seats => {
                key(a, b, |room| Reverse((room.seats().len(), room.seats().iter().filter(|s| !s.away).count())))
            }
            Self::Phase => key(a, b, Room::phase),
            Self::Findings => key(a, b, |room| {
                Reverse((room.findings().iter().map(|finding| finding.severity).max(), room.findings().len()))
            }),
            Self::Kind => kinds(a).cmp(kinds(b)),
            Self::Messages => key(a, b, |room| Reverse(room.messages())),
            Self::AnswerTime => key(a, b, |room| Reverse(room.answer_time())),
            Self::Age => key(a, b, |room| Reverse(room.since())),
            Self::Last => key(a, b, |room| Reverse(room.last().map(|last| last.at))),
            Self::Refused => key(a, b, |room| Reverse(room.refused())),
        };
        by.then_with(|| a.name().cmp(b.name()))
    }
}

fn key<K: Ord>(a: &Room, b: &Room, of: impl Fn(&Room) -> K) -> Ordering {
    of(a).cmp(&of(b))
}

fn kinds(room: &Room) -> impl Iterator<Item = Option<&str>> {
    room.seats().iter().map(|seat| seat.kind.as_deref())
}
