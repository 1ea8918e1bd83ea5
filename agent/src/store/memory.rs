//! Rooms kept in the agent's own memory: [`Records`], which says in plain code what every store does, and [`Memory`],
//! a store for one agent. The scripts in `script/` do the same in Redis.

use super::{DUE, Due, Entry, Kept, Look, SPEAK, Spoken, Store, StoreError, Write, Written};
use protocol::{PeerId, RoomId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A clock that shows less than it has shown, by more than this, was set back.
const SET_BACK: Duration = Duration::from_secs(2);

/// What a store keeps, and what it does with it at a given time for a given agent; each call is one atomic step.
#[derive(Debug, Default, Clone)]
pub struct Records {
    rooms: HashMap<RoomId, Record>,
    due: BTreeSet<(Timestamp, RoomId)>,
    floor: u64,
    version: u64,
    latest: Timestamp,
    began: u64,
}

#[derive(Debug, Default, Clone)]
struct Record {
    version: u64,
    by: String,
    kept: Option<Kept>,
    due: Option<Timestamp>,
    outbox: BTreeMap<u64, Entry>,
    /// Who says what is in the outbox, and until when it may.
    speaker: Option<(String, Timestamp)>,
    /// Where it is in the store's list.
    listed: Option<Timestamp>,
}

impl Records {
    /// See [`Store::look`].
    pub fn look(&mut self, now: Timestamp, me: &str, room: &RoomId) -> Look {
        let floor = self.begin(now);
        let Some(record) = self.rooms.get_mut(room) else {
            return Look { now, floor, version: 0, by: String::new(), kept: None, speak: Vec::new() };
        };
        // Who may speak for longer than anybody may began before the clock was set back.
        let over = |until: Timestamp| until <= now || until > now.plus(SPEAK);
        let is_free = record.speaker.as_ref().is_none_or(|(speaker, until)| speaker == me || over(*until));
        let mut speak = Vec::new();
        if is_free && !record.outbox.is_empty() {
            record.speaker = Some((me.to_owned(), now.plus(SPEAK)));
            speak = record.outbox.values().cloned().collect();
        }
        let look =
            Look { now, floor, version: record.version, by: record.by.clone(), kept: record.kept.clone(), speak };
        self.list(room);
        look
    }

    /// See [`Store::write`].
    pub fn write(&mut self, now: Timestamp, me: &str, room: &RoomId, write: &Write) -> Written {
        self.begin(now);
        let version = self.rooms.get(room).map_or(0, |record| record.version);
        if version != write.version || write.first.is_some_and(|first| first < self.floor) {
            return Written::Overtaken(self.look(now, me, room));
        }
        self.floor = self.floor.max(write.floor);
        self.latest = self.latest.max(now);
        self.version = (self.version + 1).max(now.as_millis() * 1000);
        let record = self.rooms.entry(room.clone()).or_default();
        (record.version, record.by) = (self.version, write.id.clone());
        (record.kept, record.due) = (write.kept.clone(), write.due);
        if !write.said.is_empty() {
            record.outbox.insert(self.version, Entry { version: self.version, said: write.said.clone() });
        }
        Written::Done(self.look(now, me, room))
    }

    /// See [`Store::spoken`].
    pub fn spoken(&mut self, now: Timestamp, me: &str, room: &RoomId, upto: u64) -> Spoken {
        let record = self.rooms.get_mut(room);
        let Some(record) = record.filter(|record| record.speaker.as_ref().is_some_and(|(who, _)| who == me)) else {
            return Spoken::Overtaken;
        };
        record.outbox.retain(|version, _| *version > upto);
        record.speaker = None;
        Spoken::Left(self.look(now, me, room).speak)
    }

    /// See [`Store::due`].
    pub fn due(&mut self, now: Timestamp) -> Due {
        self.begin(now);
        if now.plus(SET_BACK) < self.latest {
            let all: Vec<RoomId> = self.due.iter().map(|(_, room)| room.clone()).collect();
            all.iter().for_each(|room| self.put(room, Some(now)));
        }
        self.latest = now;
        let over = self.due.iter().take_while(|(due, _)| *due <= now).take(DUE);
        let rooms: Vec<RoomId> = over.map(|(_, room)| room.clone()).collect();
        rooms.iter().for_each(|room| self.put(room, Some(now.plus(SPEAK))));
        Due { rooms, next: self.due.first().map(|(due, _)| due.since(now)), began: self.began }
    }

    /// See [`Store::rooms_of`].
    pub fn rooms_of(&self, peer: &PeerId) -> Vec<RoomId> {
        let has = |record: &Record| record.kept.as_ref().is_some_and(|kept| kept.room.seat(peer.as_str()).is_some());
        self.rooms.iter().filter(|(_, record)| has(record)).map(|(room, _)| room.clone()).collect()
    }

    /// See [`Store::rooms`].
    pub fn rooms(&self) -> Vec<RoomId> {
        self.rooms.iter().filter(|(_, record)| record.kept.is_some()).map(|(room, _)| room.clone()).collect()
    }

    /// A room as it is kept.
    pub fn kept(&self, room: &RoomId) -> Option<&Kept> {
        self.rooms.get(room)?.kept.as_ref()
    }

    /// Whether there is nothing left of anything.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.due.is_empty()
    }

    /// No `rev` is below the time at which the store was first asked: what it has told before it lost everything was
    /// before that, whatever becomes of the clock.
    fn begin(&mut self, now: Timestamp) -> u64 {
        if self.floor == 0 {
            (self.floor, self.began) = (now.as_millis(), now.as_millis());
        }
        self.floor
    }

    /// Brings the list of what is due up to date with a room, and forgets a room of which nothing is left.
    fn list(&mut self, room: &RoomId) {
        let Some(record) = self.rooms.get_mut(room) else { return };
        if record.kept.is_none() && record.outbox.is_empty() {
            self.put(room, None);
            self.rooms.remove(room);
            return;
        }
        let until = record.speaker.as_ref().map(|(_, until)| *until).filter(|_| !record.outbox.is_empty());
        let due = record.due.into_iter().chain(until).min();
        self.put(room, due);
    }

    fn put(&mut self, room: &RoomId, due: Option<Timestamp>) {
        let Some(record) = self.rooms.get_mut(room) else { return };
        if let Some(listed) = std::mem::replace(&mut record.listed, due) {
            self.due.remove(&(listed, room.clone()));
        }
        if let Some(due) = due {
            self.due.insert((due, room.clone()));
        }
    }
}

/// [`Records`] as a [`Store`] for the one agent that has them.
pub struct Memory {
    records: Mutex<Records>,
    clock: fn() -> Timestamp,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The only agent.
const ME: &str = "agent";

impl Memory {
    /// No rooms yet. Time is what `clock` shows.
    pub fn new(clock: fn() -> Timestamp) -> Self {
        let mut records = Records::default();
        records.begin(clock());
        Self { records: Mutex::new(records), clock }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    async fn look(&self, room: &RoomId) -> Result<Look, StoreError> {
        Ok(self.records().look((self.clock)(), ME, room))
    }

    async fn write(&self, room: &RoomId, write: &Write) -> Result<Written, StoreError> {
        Ok(self.records().write((self.clock)(), ME, room, write))
    }

    async fn spoken(&self, room: &RoomId, upto: u64) -> Result<Spoken, StoreError> {
        Ok(self.records().spoken((self.clock)(), ME, room, upto))
    }

    async fn due(&self) -> Result<Due, StoreError> {
        Ok(self.records().due((self.clock)()))
    }

    async fn rooms_of(&self, peer: &PeerId) -> Result<Vec<RoomId>, StoreError> {
        Ok(self.records().rooms_of(peer))
    }

    async fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        Ok(self.records().rooms())
    }
}
