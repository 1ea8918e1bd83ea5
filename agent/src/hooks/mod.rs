//! Authorisation hooks: MQTT engines of others ask here, over HTTP, who may come in and what it may, and say who has
//! gone. The answers are the embedded broker's own ([`crate::access`]).
//!
//! ```text
//! engine ─HTTP─▶ http (bounds, secret) ─▶ engine (its dialect, pure) ─▶ gate ─▶ login, access
//!                                                                        │
//!                                                                      seats ─▶ whatever holds the rooms
//! ```
//!
//! Who may ask may ask anything, so engines show a secret, or are on this machine. On any doubt the answer is no.

pub mod engine;
pub mod gate;
mod http;
pub mod people;
pub mod seats;

pub use http::{Hooks, MAX_BODY};
