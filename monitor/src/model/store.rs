//! All rooms, within their bounds: which one is let go of when there is too much, found without looking at all.
//!
//! Order of leaving: rooms that have ended, oldest end first; then the oldest messages of the room that holds the
//! most bytes of them (of equals the one that has been quiet longest); when no messages are left, the room that has
//! been quiet longest.

use super::bounds::{Bounds, Evicted};
use super::room::Room;
use protocol::{RoomId, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// By what a room is found when something must go. Kept beside the room, to take out what was put in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys {
    ended: Option<u64>,
    heavy: (usize, Reverse<u64>),
    quiet: u64,
    due: Option<Timestamp>,
    bytes: usize,
}

impl Keys {
    fn of(room: &Room) -> Self {
        Self {
            // An ended room that somebody still speaks of stays behind those of which nobody does.
            ended: room.ended_at.map(|_| room.touched),
            heavy: (room.ladder_bytes, Reverse(room.touched)),
            quiet: room.touched,
            due: room.due,
            bytes: room.bytes(),
        }
    }
}

/// All rooms.
#[derive(Debug, Default)]
pub(super) struct Store {
    rooms: BTreeMap<RoomId, (Box<Room>, Keys)>,
    ended: BTreeSet<(u64, RoomId)>,
    heavy: BTreeSet<(usize, Reverse<u64>, RoomId)>,
    quiet: BTreeSet<(u64, RoomId)>,
    due: BTreeSet<(Timestamp, RoomId)>,
    bytes: usize,
}

impl Store {
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Room> {
        self.rooms.values().map(|(room, _)| &**room)
    }

    pub fn get(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name).map(|(room, _)| &**room)
    }

    /// Rooms that have not ended.
    pub fn open(&self) -> usize {
        self.rooms.len() - self.ended.len()
    }

    /// Bytes of all rooms.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes a room; `None` if there is none of that name.
    pub fn change<R>(&mut self, name: &str, change: impl FnOnce(&mut Room) -> R) -> Option<R> {
        let (room, keys) = self.rooms.get_mut(name)?;
        let result = change(room);
        let new = Keys::of(room);
        if new != *keys {
            let name = room.name.clone();
            let old = std::mem::replace(keys, new.clone());
            self.bytes = self.bytes - old.bytes + new.bytes;
            if old.ended != new.ended {
                old.ended.map(|at| self.ended.remove(&(at, name.clone())));
                new.ended.map(|at| self.ended.insert((at, name.clone())));
            }
            if old.heavy != new.heavy {
                self.heavy.remove(&(old.heavy.0, old.heavy.1, name.clone()));
                self.heavy.insert((new.heavy.0, new.heavy.1, name.clone()));
            }
            if old.quiet != new.quiet {
                self.quiet.remove(&(old.quiet, name.clone()));
                self.quiet.insert((new.quiet, name.clone()));
            }
            if old.due != new.due {
                old.due.map(|at| self.due.remove(&(at, name.clone())));
                new.due.map(|at| self.due.insert((at, name)));
            }
        }
        Some(result)
    }

    /// Adds a room; one of the same name is replaced.
    pub fn add(&mut self, room: Room) {
        let name = room.name.clone();
        self.remove(&name);
        let keys = Keys::of(&room);
        keys.ended.map(|at| self.ended.insert((at, name.clone())));
        self.heavy.insert((keys.heavy.0, keys.heavy.1, name.clone()));
        self.quiet.insert((keys.quiet, name.clone()));
        keys.due.map(|at| self.due.insert((at, name.clone())));
        self.bytes += keys.bytes;
        self.rooms.insert(name, (Box::new(room), keys));
    }

    fn remove(&mut self, name: &RoomId) -> Option<Box<Room>> {
        let (room, keys) = self.rooms.remove(name)?;
        keys.ended.map(|at| self.ended.remove(&(at, name.clone())));
        self.heavy.remove(&(keys.heavy.0, keys.heavy.1, name.clone()));
        self.quiet.remove(&(keys.quiet, name.clone()));
        keys.due.map(|at| self.due.remove(&(at, name.clone())));
        self.bytes -= keys.bytes;
        Some(room)
    }

    /// A room whose time to be looked at has come, the longest overdue first.
    pub fn due(&self, now: Timestamp) -> Option<RoomId> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, name)| name.clone())
    }

    /// Lets go of what is too much for `bounds`, of whose bytes only `bytes` are for the rooms.
    pub fn keep_within(&mut self, bounds: &Bounds, bytes: usize, evicted: &mut Evicted) {
        while self.rooms.len() > bounds.rooms {
            self.evict_room(evicted);
        }
        while self.bytes > bytes && !self.rooms.is_empty() {
            let messages = match self.heavy.last() {
                Some((held, _, name)) if self.ended.is_empty() && *held > 0 => name.clone(),
                _ => {
                    self.evict_room(evicted);
                    continue;
                }
            };
            let excess = self.bytes - bytes;
            // Only down to the next heaviest, lest one room pay for all; at least one message, to come forward.
            let next = self.heavy.iter().nth_back(1).map_or(0, |(held, ..)| *held);
            self.change(messages.as_str(), |room| {
                let mut freed = 0;
                while let Some(bytes) = room.pop() {
                    evicted.messages += 1;
                    evicted.bytes += bytes as u64;
                    freed += bytes;
                    if freed >= excess || room.ladder_bytes < next {
                        break;
                    }
                }
            });
        }
    }

    fn evict_room(&mut self, evicted: &mut Evicted) {
        let Some((_, name)) = self.ended.first().or_else(|| self.quiet.first()) else { return };
        let name = name.clone();
        if let Some(room) = self.remove(&name) {
            evicted.rooms += 1;
            evicted.messages += room.ladder.len() as u64;
            evicted.bytes += room.bytes() as u64;
        }
    }

    /// That every index says what the rooms say.
    #[cfg(test)]
    pub fn check(&self) {
        assert_eq!(self.rooms.len(), self.heavy.len());
        assert_eq!(self.rooms.len(), self.quiet.len());
        assert_eq!(self.ended.len(), self.iter().filter(|room| room.ended_at.is_some()).count());
        assert_eq!(self.bytes, self.iter().map(Room::bytes).sum::<usize>());
        assert_eq!(self.due.len(), self.iter().filter(|room| room.due.is_some()).count());
        for room in self.iter() {
            assert_eq!(room.ladder_bytes, room.ladder.iter().map(super::Entry::bytes).sum::<usize>());
            assert!(room.ladder.iter().is_sorted_by_key(|entry| entry.seq));
        }
    }
}
