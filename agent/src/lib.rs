//! The room agent: it admits peers to rooms, two at most, and tells them what happens there.
//!
//! ```text
//! service    rooms over an outside MQTT broker (what the program `agent` runs)
//!    │
//! rooms      every room: who is in which, when a grace time runs out, who may signal whom
//!    │
//! room       one room: (state, event, now) → (state, effects)
//!
//! hooks      MQTT engines of others ask over HTTP who may come in and what it may
//!    │
//! login      people let in, in time: files read again, passwords checked, guesses slowed down
//!    │
//! access     who a client is and what it may; decides the same for the broker and for the hooks
//! ```
//!
//! [`room`], [`rooms`] and `access` do no I/O, read no clock and throw no dice: time comes in with every
//! call, and what shall happen in the world comes out as values. The broker drives [`rooms`] in
//! its own process; `service` does it from outside. `doors` (a feature) is `access` and `login`; `service` has them too.

#[cfg(feature = "doors")]
pub mod access;
#[cfg(feature = "service")]
pub mod hooks;
pub mod ice;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "doors")]
pub mod login;
pub mod room;
pub mod rooms;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "service")]
pub mod store;

pub use room::{Effect, Event, Room, Rules};
pub use rooms::{Config, Input, Output, Rooms};
