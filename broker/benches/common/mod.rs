//! What the benches have in common: the real binary, started; clients that cost less than what they measure; and what
//! can be seen of the server from outside.

#![allow(dead_code, reason = "each bench uses its part")]

pub mod body;
pub mod client;
pub mod connection;
pub mod marks;
pub mod metrics;
pub mod peer;
pub mod proc;
pub mod server;
pub mod socketio;
pub mod wire;
