//! Why a call does not connect, in words.

mod finding;

pub use finding::{Finding, Severity};
