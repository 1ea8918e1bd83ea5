//! Why a call does not connect, in words.
//!
//! A [`Case`] remembers of a room what its rules look at, entry by entry; the rules are pure functions over it and the
//! present time. What depends on having seen all of a call is only said when all of it was seen.

mod call;
mod case;
mod finding;
mod rules;
#[cfg(test)]
mod tests;

pub use case::Case;
pub use finding::{Finding, Severity};
pub use rules::{RULES, Rule, rules};

use protocol::Timestamp;

impl Case {
    /// What there is to say about the room at `now`, the worst first.
    pub fn judge(&self, now: Timestamp) -> Vec<Finding> {
        rules::judge(self, now)
    }

    /// When there may be something else to say although nothing more was heard; `None` if never.
    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        rules::next_look(self, now)
    }
}
