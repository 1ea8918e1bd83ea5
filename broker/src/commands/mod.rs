//! What the program does besides running the broker: small commands that do one thing and end.

pub mod cert;
pub mod token;
pub mod user;

use clap::{ArgMatches, Command};

/// The subcommands.
pub fn all() -> [Command; 3] {
    [user::command(), token::command(), cert::command()]
}

/// Runs the subcommand that was given, if one was.
///
/// # Errors
/// What keeps it from doing its work.
pub fn run(flags: &ArgMatches) -> Option<anyhow::Result<()>> {
    match flags.subcommand()? {
        (cert::NAME, flags) => Some(cert::run(flags)),
        (user::NAME, flags) => Some(user::run(flags)),
        (token::NAME, flags) => Some(token::run(flags)),
        _ => None,
    }
}
