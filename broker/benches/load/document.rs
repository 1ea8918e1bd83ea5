//! Figures in BENCHMARKS.md.

use crate::common::marks;
use crate::common::server::{self, DUET, EVERY_CPU};
use crate::model;
use crate::report::{Of, Report};
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

/// One of the goals: a figure of a server, or how many times another's it is, and what it may be at most over TCP and
/// over WebSocket.
struct Goal {
    what: &'static str,
    server: &'static str,
    workload: &'static str,
    phase: &'static str,
    figure: &'static str,
    qos: u8,
    against: Option<Against>,
    most: [Option<f64>; 2],
}

struct Against {
    server: &'static str,
    /// Where it has only one.
    transport: Option<&'static str>,
}

const MOSQUITTO: Option<Against> = Some(Against { server: server::MOSQUITTO, transport: None });
const SOCKETIO: Option<Against> = Some(Against { server: server::SOCKETIO, transport: Some("WS") });

const GOALS: [Goal; 15] = {
    const fn w1(what: &'static str, phase: &'static str, figure: &'static str, most: [f64; 2]) -> Goal {
        let most = [Some(most[0]), Some(most[1])];
        Goal { what, server: DUET, workload: "W1", phase, figure, qos: 0, against: None, most }
    }
    const fn w2(what: &'static str, phase: &'static str, qos: u8, most: [f64; 2]) -> Goal {
        let figure = "CPU µs/message";
        Goal { workload: "W2", qos, against: MOSQUITTO, ..w1(what, phase, figure, most) }
    }
    [
        w2("CPU a message, as many as there can be (W2 closed), × Mosquitto", "closed", 0, [0.85, 0.95]),
        Goal { against: SOCKETIO, most: [Some(0.25), None], ..w2("the same, × socket.io", "closed", 0, [0.0, 0.0]) },
        w2("CPU a message, 2,000 a second (W2 open), × Mosquitto", "open", 0, [1.0, 0.5]),
        w2("the first at QoS 1, × Mosquitto at QoS 1", "closed", 1, [0.65, 0.85]),
        w2("the third at QoS 1, × Mosquitto at QoS 1", "open", 1, [0.65, 0.85]),
        Goal {
            against: Some(Against { server: EVERY_CPU, transport: None }),
            figure: "messages/s",
            ..w2("messages a second with one CPU (W2 closed), × with every CPU", "closed", 0, [1.0, 1.0])
        },
        Goal {
            against: MOSQUITTO,
            ..w1("CPU a room, as many as there can be (W1 max), × Mosquitto", "max", "CPU µs/room", [1.0, 1.0])
        },
        Goal {
            against: SOCKETIO,
            most: [Some(0.2), None],
            ..w1("the same, × socket.io", "max", "CPU µs/room", [0.0, 0.0])
        },
        Goal {
            workload: "W3",
            ..w1("bytes an idle peer, of 10,000 (W3)", "10000 peers", "bytes/peer", [3000.0, 6000.0])
        },
        Goal {
            workload: "W4",
            ..w1("CPU a room, last 5,000 of 50,000 against the first (W4)", "50000 rooms", "last/first", [1.1, 1.1])
        },
        Goal { workload: "W4", ..w1("bytes left by a room (W4)", "50000 rooms", "bytes left/room", [16.0, 16.0]) },
        w1("a call set up, ms, half of them at most (W1, 200 rooms/s)", "200 rooms/s", "p50 ms", [1.8, 2.0]),
        w1("all but one in a hundred at most", "200 rooms/s", "p99 ms", [5.0, 6.0]),
        Goal { server: EVERY_CPU, ..w1("half of them with every CPU", "200 rooms/s", "p50 ms", [1.8, 2.0]) },
        Goal { server: EVERY_CPU, ..w1("all but one in a hundred", "200 rooms/s", "p99 ms", [5.0, 6.0]) },
    ]
};

fn goals(report: &Report) -> String {
    let mut table = String::new();
    for Goal { what, server, workload, phase, figure, qos, against, most } in &GOALS {
        let mut cells = String::new();
        let mut is_known = false;
        for (transport, most) in ["TCP", "WS"].into_iter().zip(most) {
            let own = Of { workload, phase, server, transport, qos: *qos };
            let value = match against {
                None => report.figure(own, figure),
                Some(Against { server, transport: only }) => {
                    report.ratio(own, Of { server, transport: only.unwrap_or(transport), ..own }, figure)
                }
            };
            is_known |= value.is_some();
            let cell = value.map_or("not measured".into(), |value| {
                let digits = if value > 100.0 { 0 } else { 2 };
                let missed = most.is_some_and(|most| value > most);
                format!("{value:.digits$}{}", if missed { " (missed)" } else { "" })
            });
            let most = most.map_or(String::new(), |most| format!("≤ {most}"));
            let _ = write!(cells, " {cell} | {most} |");
        }
        if is_known {
            let _ = writeln!(table, "| {what} |{cells}");
        }
    }
    if table.is_empty() {
        return table;
    }
    format!("| | TCP | goal | WS | goal |\n|---|---:|---:|---:|---:|\n{table}")
}
