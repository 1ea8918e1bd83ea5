//! What a rule says: seen, meant, to be tried.

use std::fmt;

/// How bad it is. Sorted from harmless to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; the call may do well.
    Note,
    /// The call will fail in some networks or at some time, or did not get on as it should.
    Warning,
    /// The call cannot connect like this.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// One thing that a rule has to say about a room.
///
/// Its words hold no whole address, no user fragment and no password, whether private details are revealed or not; what
/// they quote of peers is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, like `offer-without-answer`: for filters, and to look it up.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, with names and figures.
    pub seen: String,
    /// What it means.
    pub means: String,
    /// What to try.
    pub try_this: String,
    /// The messages it is about, by the number of their entry.
    pub entries: Vec<u64>,
    /// The peers it is about.
    pub about: Vec<Box<str>>,
}
