//! What an operator sees: every room, the ladder of every negotiation, and why a call does not connect.
//!
//! One way only: a source (a broker, or a recording) gives inputs, the model takes them, views and outputs read
//! the model. The model opens nothing and reads no clock: time comes with the inputs, so that a recording shows
//! what was seen when it was made.

#![warn(clippy::unwrap_used)]

pub mod app;
pub mod diagnosis;
pub mod essence;
pub mod filter;
pub mod model;
pub mod output;
pub mod recording;
pub mod redact;
pub mod sdp;
pub mod signals;
pub mod source;
pub mod terminal;
pub mod text;
pub mod view;
pub mod wire;
