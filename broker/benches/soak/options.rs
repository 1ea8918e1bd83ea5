//! What `cargo bench -p broker --bench soak --` takes.

use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Has a crowd come and go, call and misbehave at the broker for an hour, and judges whether anything of it stays.
#[derive(Parser, Debug)]
#[command(name = "cargo bench -p broker --bench soak --", bin_name = "cargo bench -p broker --bench soak --")]
pub struct Options {
    /// How long the crowd is there
    #[arg(long, default_value_t = 60.0, value_parser = minutes)]
    pub minutes: f64,
    /// How many call each other at once; a fifth as many misbehave beside them
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    pub peers: u32,
    /// Decides what each of them does
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Another build of the broker, in place of the one of this build
    #[arg(long, value_name = "FILE")]
    pub broker: Option<PathBuf>,
    /// Write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the samples to this file, one a line
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw the samples into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Measure nothing; take what an earlier run has written as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub from: Option<PathBuf>,
    /// Write the figures into RELIABILITY.md, between its marks, and the picture beside them
    #[arg(long)]
    pub document: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (1.0..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 1 to 100000".into()),
    }
}

impl Options {
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Five seconds in an hour; in a short run more often, so that the medians have something to stand on.
    pub fn interval(&self) -> Duration {
        (self.time() / 300).clamp(Duration::from_secs(1), Duration::from_secs(5))
    }
}
