//! The program `monitor`.

use clap::Parser;

/// Shows the rooms of a Duet broker
#[derive(Parser)]
#[command(version)]
struct Cli {}

fn main() {
    Cli::parse();
    let _ = <Cli as clap::CommandFactory>::command().print_help();
}
