//! Where rooms are kept when several agents share them, and what every such place promises.
//!
//! ```text
//! heard ─▶ turn (pure: what is kept + what is heard + the store's time ─▶ what is to be kept and said)
//!              │                                        ▲
//!              ▼                                        │ overtaken: once more, with what is kept now
//!            write (only if nobody has written since) ──┘
//!              │
//!              ▼
//!            what is to be said lies in the store until the broker has it, whoever says it
//! ```
//!
//! A [`Store`] keeps a record for each room: what [`turn`] made of it last, what is still to be said (the outbox),
//! and which agent is saying it. Each of its calls is atomic. It has the only clock that counts. Correctness rests on
//! nothing else: an agent may die, hear a thing twice, hear it late, or be one of ten that hear the same.
//!
//! One agent at a time says what is to be said in a room, so that it is said in order and the retained state that the
//! broker keeps is the last. Who says it has [`SPEAK`] for that; then the next agent that looks at the room says
//! what is left, perhaps again. A peer knows what it has heard already by its `rev`.

pub mod memory;
pub mod redis;
pub mod turn;
pub mod work;

use crate::room::Room;
use protocol::{PeerId, RoomId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an agent may take to say what lies in a room's outbox before another one does.
pub const SPEAK: Duration = Duration::from_secs(1);
/// Most rooms that one [`Store::due`] gives.
pub const DUE: usize = 256;

/// A message to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Its topic.
    #[serde(rename = "t")]
    pub topic: String,
    /// Its payload: JSON, or nothing.
    #[serde(rename = "p")]
    pub payload: String,
    /// Whether the broker is to keep it.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
}

/// A room as a store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The room.
    pub room: Room,
    /// When its members were heard of last; see [`turn::Terms::lease`].
    pub heard: BTreeMap<PeerId, Timestamp>,
}

/// What a write had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The version that it made.
    pub version: u64,
    /// In this order.
    pub said: Vec<Publication>,
}

/// A room's record at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The store's time.
    pub now: Timestamp,
    /// Greater than every `rev` that was ever given out in a room which is gone.
    pub floor: u64,
    /// Changes with every write, and never comes again; 0 if the store has nothing of this name.
    pub version: u64,
    /// The [`Write::id`] that made this version.
    pub by: String,
    /// The room, if there is one.
    pub kept: Option<Kept>,
    /// What the one who looks is to say now, oldest first; nothing while another one is at it.
    pub speak: Vec<Entry>,
}

/// A change of a room, to be made if nobody has changed it since it was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The version that was looked at.
    pub version: u64,
    /// A name that no other write has: who never hears whether it was made looks for it in [`Look::by`].
    pub id: String,
    /// The room as it is to be.
    pub kept: Option<Kept>,
    /// What is to be said of it.
    pub said: Vec<Publication>,
    /// When time next changes something in it.
    pub due: Option<Timestamp>,
    /// The first `rev` that was given out, if there was no room: others may have come and gone since it was looked at.
    pub first: Option<u64>,
    /// What [`Look::floor`] is to be at least.
    pub floor: u64,
    /// Who has a seat that had none.
    pub come: Vec<PeerId>,
    /// Who had a seat and has none.
    pub gone: Vec<PeerId>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It is made; this is how things stand.
    Done(Look),
    /// Somebody else was first; this is how things stand.
    Overtaken(Look),
}

/// What is still to be said after something was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// This; nothing, if it is empty.
    Left(Vec<Entry>),
    /// It took too long, and another one has begun to say the same: the broker may have kept what is not the last.
    Overtaken,
}

/// Which rooms wait for time to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// These are due. Nobody else is told so for [`SPEAK`].
    pub rooms: Vec<RoomId>,
    /// In how long the next one is.
    pub next: Option<Duration>,
    /// When the store was first asked anything, in milliseconds of its own clock: one that has lost everything began anew.
    pub began: u64,
}

/// Why a store did not answer, or not in a way that is understood. Whatever was asked may have been done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Where rooms are kept; see the [module](self).
///
/// A handle belongs to one run of one agent, which is who speaks. Room names are well-formed.
pub trait Store {
    /// How things stand in a room. If something is to be said and nobody is at it, it is the caller's to say.
    fn look(&self, room: &RoomId) -> impl Future<Output = Result<Look, StoreError>>;

    /// Changes a room, unless it is another than it was when it was looked at.
    fn write(&self, room: &RoomId, write: &Write) -> impl Future<Output = Result<Written, StoreError>>;

    /// The broker has all that was to be said up to the version `upto`.
    fn spoken(&self, room: &RoomId, upto: u64) -> impl Future<Output = Result<Spoken, StoreError>>;

    /// The rooms in which time has changed something, or in which something was left unsaid.
    fn due(&self) -> impl Future<Output = Result<Due, StoreError>>;

    /// The rooms in which a peer has a seat.
    fn rooms_of(&self, peer: &PeerId) -> impl Future<Output = Result<Vec<RoomId>, StoreError>>;

    /// All rooms in which somebody has a seat.
    fn rooms(&self) -> impl Future<Output = Result<Vec<RoomId>, StoreError>>;
}
