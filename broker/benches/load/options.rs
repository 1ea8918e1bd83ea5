//! What `cargo bench -p broker --bench load --` takes.

use crate::connection::Transport;
use crate::server::Subject;
use anyhow::Result;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the broker as it is built for release, with real connections over loopback.
#[derive(Parser, Debug)]
#[command(name = "cargo bench -p broker --bench load --", bin_name = "cargo bench -p broker --bench load --")]
pub struct Options {
    /// Only these workloads, with commas between them [default: all that take part in a comparison]
    #[arg(long, value_delimiter = ',', ignore_case = true)]
    pub only: Vec<Workload>,
    /// Only this transport
    #[arg(long, value_delimiter = ',')]
    pub transport: Vec<Transport>,
    /// Only this quality of service [default: 0, and 1 in W2]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: Option<u8>,
    /// Measure this as well, in turns: mosquitto, or the path of another build of the broker
    #[arg(long, value_name = "SERVER")]
    against: Vec<String>,
    /// How often everything is measured; the tables show medians [default: 5 with --against, else 1]
    #[arg(long, value_name = "N")]
    repeat: Option<usize>,
    /// How long a phase of W1 and W2 is measured [default: 8s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    seconds: Option<Duration>,
    /// A look in a minute: short phases, few peers, few rooms
    #[arg(long)]
    pub quick: bool,
    /// Write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keep the profiles of the workload `instructions` in this folder, for callgrind_annotate
    #[arg(long, value_name = "FOLDER")]
    pub profiles: Option<PathBuf>,
    /// Let the server use every CPU
    #[arg(long)]
    pub all_cpus: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Workload {
    /// Rooms negotiated, 200 a second and as many as there can be
    W1,
    /// Messages relayed, 2,000 a second and as many as there can be
    W2,
    /// Memory of idle peers
    W3,
    /// Instructions for each unit of work, under Callgrind
    Instructions,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::Instructions => "instructions",
        }
    }
}

/// One line of what is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub workload: Workload,
    pub transport: Transport,
    pub qos: u8,
}

impl Options {
    pub fn subjects(&self) -> Result<Vec<Subject>> {
        let rivals = self.against.iter().map(|name| Subject::rival(name));
        std::iter::once(Ok(Subject::this_build())).chain(rivals).collect()
    }

    pub fn repeat(&self) -> usize {
        let default = if self.against.is_empty() || self.quick { 1 } else { 5 };
        self.repeat.unwrap_or(default).max(1)
    }

    pub fn measured(&self) -> Duration {
        self.seconds.unwrap_or(Duration::from_secs(if self.quick { 2 } else { 8 }))
    }

    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &workload in Workload::value_variants() {
            let wanted =
                if self.only.is_empty() { workload != Workload::Instructions } else { self.only.contains(&workload) };
            if !wanted {
                continue;
            }
            for transport in [Transport::Tcp, Transport::Ws] {
                if !self.transport.is_empty() && !self.transport.contains(&transport) {
                    continue;
                }
                let all: &[u8] = if workload == Workload::W2 { &[0, 1] } else { &[0] };
                let levels = self.qos.map_or(all.to_vec(), |qos| vec![qos]);
                cases.extend(levels.into_iter().map(|qos| Case { workload, transport, qos }));
            }
        }
        cases
    }
}
