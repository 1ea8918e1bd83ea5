//! What `cargo bench -p broker --bench load --` takes.

use crate::common::connection::Transport;
use crate::common::peer::Dialect;
use crate::common::server::Subject;
use anyhow::Result;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the broker as it is built for release, with real connections over loopback.
#[derive(Parser, Debug)]
#[command(name = "cargo bench -p broker --bench load --", bin_name = "cargo bench -p broker --bench load --")]
pub struct Options {
    /// Only these workloads, with commas between them
    #[arg(long, value_delimiter = ',', ignore_case = true)]
    pub only: Vec<Workload>,
    /// Only this transport
    #[arg(long, value_delimiter = ',')]
    pub transport: Vec<Transport>,
    /// Only this quality of service [default: 0, and 1 in W2]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: Option<u8>,
    /// Measure this as well, in turns: mosquitto, socket.io (the server of the tutorials, over WebSocket), all-cpus (the
    /// broker with every CPU), two-brokers (with every CPU, each with half of the rooms), or another build's path
    #[arg(long, value_name = "SERVER")]
    against: Vec<String>,
    /// How often everything is measured; the tables show medians [default: 5 with --against, else 1]
    #[arg(long, value_name = "N")]
    repeat: Option<usize>,
    /// How long a phase of W1 and W2 is measured [default: 8s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    seconds: Option<Duration>,
    /// Take a turn again, nine times at most, during which others had more of the machine than this; the quietest counts
    #[arg(long, value_name = "CPUS")]
    pub quiet: Option<f64>,
    /// A look in a minute: short phases, few peers, few rooms
    #[arg(long)]
    pub quick: bool,
    /// Write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Measure nothing; take what was measured earlier, in one run or several
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub from: Vec<PathBuf>,
    /// Write the figures into BENCHMARKS.md, between its marks
    #[arg(long)]
    pub document: bool,
    /// Keep the profiles of the workload `instructions` in this folder, for callgrind_annotate
    #[arg(long, value_name = "FOLDER")]
    pub profiles: Option<PathBuf>,
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
    /// Memory of idle peers, and rooms negotiated beside them
    W3,
    /// Many rooms, one after another
    W4,
    /// Twice as much as the broker takes
    Overload,
    /// The points to which the cost model is fitted
    Cost,
    /// Instructions for each unit of work, under Callgrind
    Instructions,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W3 => "W3",
            Self::W4 => "W4",
            Self::Overload => "overload",
            Self::Cost => "cost",
            Self::Instructions => "instructions",
        }
    }
}

impl Workload {
    /// What the broker is started with.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            // Places at the door take descriptors from those inside, and 20,000 are what there often is.
            Self::W3 => &["--max-handshakes", "500"],
            // Those of 500 rooms; and no limit for each of them, so that they can ask too much together.
            Self::Overload => &["--max-connections", "1000", "--message-rate", "100000", "--byte-rate", "100MiB"],
            _ => &[],
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

impl Case {
    /// Whether it says anything of this server.
    pub fn suits(self, subject: &Subject) -> bool {
        let is_general = !matches!(self.workload, Workload::Overload | Workload::Cost);
        match subject.dialect() {
            Dialect::Duet => true,
            Dialect::Mqtt => is_general,
            // It knows no other transport and no QoS, and runs what Callgrind does not follow.
            Dialect::SocketIo => {
                let is_counted = self.workload == Workload::Instructions;
                is_general && !is_counted && (self.transport, self.qos) == (Transport::Ws, 0)
            }
        }
    }
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
            if !self.only.is_empty() && !self.only.contains(&workload) {
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
