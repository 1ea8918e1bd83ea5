//! What engines ask and are answered: as recorded or documented, with broken questions, and at random.

#![allow(clippy::disallowed_methods, reason = "real hooks live in real time")]

mod contract;
mod guests;
mod random;
mod refusals;
mod shipped;
mod world;
