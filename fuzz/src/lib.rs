//! What comes from outside, at random. Each module is a target: `run` takes any bytes, and panics if
//! what must hold does not. cargo-fuzz looks for such bytes (`make fuzz`); `tests/replay.rs` tries, on
//! every run of the tests, those that it has found worth keeping, and variations of them.

#![forbid(unsafe_code)]

pub mod config;
pub mod message;
pub mod session;
pub mod token;
pub mod topic;

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in `corpus` and `regressions`.
pub const TARGETS: &[(&str, Target)] = &[
    ("config", config::run),
    ("message", message::run),
    ("session", session::run),
    ("token", token::run),
    ("topic", topic::run),
];
