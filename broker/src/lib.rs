//! The embedded MQTT broker of Duet.
//!
//! Data flows one way: [`listen`] → [`session`] → access ([`agent::access`]) → [`backbone`] → [`switchboard`] →
//! session. The room agent sits at the switchboard; what it says goes the same last step.

#![warn(clippy::unwrap_used)]

pub mod audit;
pub mod backbone;
pub mod commands;
pub mod config;
pub mod frame;
pub mod hub;
pub mod limits;
pub mod listen;
pub mod log;
pub mod metrics;
mod properties;
pub mod server;
pub mod session;
pub mod switchboard;
pub mod sys;
