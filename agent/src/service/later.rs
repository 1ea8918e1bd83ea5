//! What can wait: what the broker shows of rooms after a connection was made, which of all rooms must be shown to it, and
//! that it has forgotten all of them. It comes for hundreds of thousands of rooms at once, and must not stand before what
//! peers say; a room that something is said to takes along what waits for it, so that a room's order is kept.

use crate::store::turn::Heard;
use protocol::RoomId;
use std::collections::{HashMap, VecDeque};

/// What waits, room by room.
#[derive(Debug, Default)]
pub(super) struct Later {
    heard: HashMap<RoomId, Vec<Heard>>,
    /// The rooms in the order in which they came; those that were taken out of it are passed over.
    order: VecDeque<RoomId>,
}

impl Later {
    /// Has it wait. Of what the broker shows of a room only the last counts.
    pub(super) fn add(&mut self, room: RoomId, heard: Heard) {
        let waiting = self.heard.entry(room.clone()).or_insert_with(|| {
            self.order.push_back(room);
            Vec::with_capacity(1)
        });
        let is_alike = |other: &Heard| std::mem::discriminant(other) == std::mem::discriminant(&heard);
        waiting.retain(|other| !is_alike(other));
        waiting.push(heard);
    }

    /// What waits for this room, which is worked on now.
    pub(super) fn take(&mut self, room: &RoomId) -> Vec<Heard> {
        self.heard.remove(room).unwrap_or_default()
    }

    /// The room that has waited longest, and what waits for it.
    pub(super) fn next(&mut self) -> Option<(RoomId, Vec<Heard>)> {
        while let Some(room) = self.order.pop_front() {
            if let Some(heard) = self.heard.remove(&room) {
                return Some((room, heard));
            }
        }
        // What many rooms took is given back.
        *self = Self::default();
        None
    }

    /// The connection that it came on is lost, and the next shows everything anew. That the broker has forgotten stays true.
    pub(super) fn lose(&mut self) {
        self.heard.retain(|_, waiting| {
            waiting.retain(|heard| *heard == Heard::Forgotten);
            !waiting.is_empty()
        });
        self.order.retain(|room| self.heard.contains_key(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        name.parse().unwrap()
    }

    fn shown(state: &str) -> Heard {
        Heard::Shown(state.into())
    }

    #[test]
    fn rooms_come_in_their_order_and_once() {
        let mut later = Later::default();
        for (name, heard) in [("a", shown("1")), ("b", Heard::Show), ("a", shown("2")), ("c", Heard::Forgotten)] {
            later.add(room(name), heard);
        }
        assert_eq!(later.next(), Some((room("a"), vec![shown("2")])), "the last counts");
        assert_eq!(later.next(), Some((room("b"), vec![Heard::Show])));
        assert_eq!(later.next(), Some((room("c"), vec![Heard::Forgotten])));
        assert_eq!(later.next(), None);
    }

    #[test]
    fn a_room_that_is_worked_on_takes_everything_along() {
        let mut later = Later::default();
        for heard in [Heard::Forgotten, shown("1"), Heard::Show] {
            later.add(room("a"), heard);
        }
        later.add(room("b"), shown("2"));
        assert_eq!(later.take(&room("a")), [Heard::Forgotten, shown("1"), Heard::Show]);
        assert_eq!(later.take(&room("a")), []);
        assert_eq!(later.next(), Some((room("b"), vec![shown("2")])));
        later.add(room("a"), shown("3"));
        assert_eq!(later.next(), Some((room("a"), vec![shown("3")])), "it waits anew");
    }

    #[test]
    fn a_lost_connection_leaves_only_what_stays_true() {
        let mut later = Later::default();
        for (name, heard) in [("a", shown("1")), ("b", Heard::Forgotten), ("b", shown("2")), ("c", Heard::Show)] {
            later.add(room(name), heard);
        }
        later.lose();
        assert_eq!(later.next(), Some((room("b"), vec![Heard::Forgotten])));
        assert_eq!(later.next(), None);
    }

    /// While the store is away nothing is taken, and the connection may come and go.
    #[test]
    fn connections_that_come_and_go_leave_nothing_behind() {
        let mut later = Later::default();
        for _ in 0..10 {
            for number in 0..100 {
                later.add(room(&number.to_string()), shown("1"));
            }
            later.lose();
        }
        assert_eq!((later.heard.len(), later.order.len()), (0, 0));
    }
}
