//! Figures in BENCHMARKS.md.

use crate::common::marks;
use crate::model;
use crate::report::Report;
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;

/// Writes the figures of a report into a file that has marks for them. What was not measured this time stays as it was.
pub fn fill(file: &Path, report: &Report) -> Result<()> {
    marks::fill(file, |name| match name {
        "machine" => machine(report),
        "goals" => goals(report),
        "model" => model::describe(report),
        workload => report.tables_of(workload),
    })
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let versions: Vec<_> = machine.versions.iter().map(|(name, version)| format!("{name} ({version})")).collect();
    format!(
        "{}, {} CPUs, Linux {}; {}, at commit {}; {}.\n\n    {}",
        machine.cpu,
        machine.cpus,
        machine.kernel,
        versions.join(", "),
        machine.commit,
        machine.date,
        machine.command
    )
}

/// One of the goals: a figure, what it may be at most over TCP and over WebSocket, and whether that is a share of
/// Mosquitto's.
struct Goal {
    what: &'static str,
    workload: &'static str,
    phase: &'static str,
    figure: &'static str,
    qos: u8,
    is_share: bool,
    most: [f64; 2],
}

const GOALS: [Goal; 10] = {
    const fn cpu(what: &'static str, phase: &'static str, qos: u8, most: [f64; 2]) -> Goal {
        Goal { what, workload: "W2", phase, figure: "CPU µs/message", qos, is_share: true, most }
    }
    const fn own(
        what: &'static str,
        workload: &'static str,
        phase: &'static str,
        figure: &'static str,
        most: [f64; 2],
    ) -> Goal {
        Goal { what, workload, phase, figure, qos: 0, is_share: false, most }
    }
    [
        cpu("CPU a message, as many as there can be (W2 closed), × Mosquitto", "closed", 0, [0.85, 0.95]),
        cpu("CPU a message, 2,000 a second (W2 open), × Mosquitto", "open", 0, [1.0, 0.5]),
        cpu("the first at QoS 1, × Mosquitto at QoS 1", "closed", 1, [0.65, 0.85]),
        cpu("the second at QoS 1, × Mosquitto at QoS 1", "open", 1, [0.65, 0.85]),
        Goal {
            is_share: true,
            ..own("CPU a room, as many as there can be (W1 max), × Mosquitto", "W1", "max", "CPU µs/room", [1.0, 1.0])
        },
        own("bytes an idle peer, of 10,000 (W3)", "W3", "10000 peers", "bytes/peer", [3000.0, 6000.0]),
        own("CPU a room, last 5,000 of 50,000 against the first (W4)", "W4", "50000 rooms", "last/first", [1.1, 1.1]),
        own("bytes left by a room (W4)", "W4", "50000 rooms", "bytes left/room", [16.0, 16.0]),
        own("a call set up, ms, half of them at most (W1, 200 rooms/s)", "W1", "200 rooms/s", "p50 ms", [1.8, 2.0]),
        own("all but one in a hundred at most", "W1", "200 rooms/s", "p99 ms", [5.0, 6.0]),
    ]
};

fn goals(report: &Report) -> String {
    let mut table = String::new();
    for goal in &GOALS {
        let mut cells = String::new();
        let mut is_known = false;
        for (transport, most) in ["TCP", "WS"].into_iter().zip(goal.most) {
            let of = |server| report.figure(goal.workload, goal.phase, server, transport, goal.qos, goal.figure);
            let value = if goal.is_share {
                of("duet").zip(of("mosquitto")).map(|(own, theirs)| own / theirs)
            } else {
                of("duet")
            };
            let cell = match value {
                Some(value) => {
                    is_known = true;
                    let digits = if most > 100.0 { 0 } else { 2 };
                    format!("{value:.digits$}{}", if value <= most { "" } else { " (missed)" })
                }
                None => "not measured".into(),
            };
            let _ = write!(cells, " {cell} | ≤ {most} |");
        }
        if is_known {
            let _ = writeln!(table, "| {} |{cells}", goal.what);
        }
    }
    if table.is_empty() {
        return table;
    }
    format!("| | TCP | goal | WS | goal |\n|---|---:|---:|---:|---:|\n{table}")
}
