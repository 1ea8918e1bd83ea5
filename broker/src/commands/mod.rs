//! What the program does besides running the broker: small commands that do one thing and end.

pub mod cert;

use clap::{ArgMatches, Command};

/// The subcommands.
pub fn all() -> [Command; 1] {
    [cert::command()]
}

/// Runs the subcommand that was given, if one was.
///
/// # Errors
/// What keeps it from doing its work.
pub fn run(flags: &ArgMatches) -> Option<anyhow::Result<()>> {
    match flags.subcommand()? {
        (cert::NAME, flags) => Some(cert::run(flags)),
        _ => None,
    }
}
