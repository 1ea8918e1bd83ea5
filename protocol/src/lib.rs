//! The wire contract: who may be named how, which topics exist, what the messages say.
//!
//! Nothing here does I/O, reads a clock or knows of a transport. The flow, from a peer's side:
//!
//! ```text
//! subscribe  rooms/+/alice/+                              (its inbox, once)
//! publish    rooms/lobby/agent/alice  {"type":"join"}
//! receive    rooms/lobby/alice/agent  {"type":"created",…}    nobody was there
//! receive    rooms/lobby/alice/agent  {"type":"arrived",…}    bob came
//! receive    rooms/lobby/alice/bob    {"type":"ready"}        bob may be offered to
//! publish    rooms/lobby/bob/alice    {"type":"offer",…}      and so on, peer to peer
//! ```
//!
//! [`topic`] is the only place where a topic is built or taken apart; [`filter`] what any filter
//! matches; [`ids`] the only one that
//! says which names are allowed. `fixtures/*.json` holds golden messages that the Rust and the
//! browser tests both read.

#![warn(clippy::unwrap_used)]

pub mod event;
pub mod filter;
pub mod ids;
pub mod message;
pub mod state;
pub mod time;
pub mod topic;

pub use event::{RoomEvent, What};
pub use ids::{IdError, PeerId, RoomId};
pub use message::{
    AgentMessage, ClosedReason, Connection, Control, ErrorCode, IceServer, Info, MessageError, Other, PeerMessage,
    Reason, Said,
};
pub use state::{PeerState, Role, RoomState};
pub use time::Timestamp;
pub use topic::{Topic, TopicError};

/// Version of the protocol that this crate speaks, as in `"v":1`.
pub const VERSION: u64 = 1;
