//! Exit codes, with names.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// As it was asked to: q, Ctrl-C, a signal, the end of a recording, or nobody reads its output any more.
    Asked = 0,
    /// It cannot go on: a file, TLS or the terminal failed.
    Failed = 1,
    /// The command line, the environment or a file that they name is wrong; clap's own, too.
    Usage = 2,
    /// The broker refuses the login or the subscription.
    Refused = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
