//! What was measured, as JSON and as tables of medians.

use crate::common::connection::Transport;
use crate::workload::Phase;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Everything of one run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

/// Where, when and with what.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub cpu: String,
    pub cpus: usize,
    pub kernel: String,
    /// Of the repository, if this runs in one.
    pub commit: String,
    pub versions: BTreeMap<String, String>,
    pub command: String,
}

/// One phase, measured once.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub workload: String,
    pub phase: String,
    pub server: String,
    pub transport: String,
    pub qos: u8,
    pub figures: Vec<(String, f64)>,
}

/// Which rows: those of a phase at a server, one for each turn.
#[derive(Clone, Copy, PartialEq)]
pub struct Of<'a> {
    pub workload: &'a str,
    pub phase: &'a str,
    pub server: &'a str,
    pub transport: &'a str,
    pub qos: u8,
}

impl Row {
    fn of(&self) -> Of<'_> {
        let Self { workload, phase, server, transport, qos, .. } = self;
        Of { workload, phase, server, transport, qos: *qos }
    }

    pub fn new(workload: &str, phase: Phase, server: &str, transport: Transport, qos: u8) -> Self {
        Self {
            workload: workload.into(),
            phase: phase.name,
            server: server.into(),
            transport: transport.name().into(),
            qos,
            figures: phase.figures,
        }
    }
}

impl Report {
    pub fn new(machine: Machine) -> Self {
        Self { machine, rows: vec![], failures: vec![] }
    }

    /// What was written earlier. Of a workload that several files have, the last one counts; the machine is the first
    /// one's, with the commands of all.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut all: Option<Self> = None;
        for file in files {
            let at = || file.display().to_string();
            let text = std::fs::read_to_string(file).with_context(at)?;
            let read: Self = serde_json::from_str(&text).with_context(at)?;
            match &mut all {
                None => all = Some(read),
                Some(all) => {
                    all.rows.retain(|row| read.rows.iter().all(|new| new.workload != row.workload));
                    all.rows.extend(read.rows);
                    all.machine.command += &format!("\n    {}", read.machine.command);
                    all.failures.extend(read.failures);
                }
            }
        }
        all.context("no file to read")
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// A table for each phase; a line for each server, the first of them being what the others are compared with.
    pub fn tables(&self) -> String {
        let mut workloads: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !workloads.contains(&&*row.workload) {
                workloads.push(&row.workload);
            }
        }
        workloads.into_iter().map(|workload| self.tables_of(workload)).collect()
    }

    /// The tables of one workload; empty if it was not measured.
    pub fn tables_of(&self, workload: &str) -> String {
        let mut phases: Vec<&str> = Vec::new();
        for row in self.rows.iter().filter(|row| row.workload == workload) {
            if !phases.contains(&&*row.phase) {
                phases.push(&row.phase);
            }
        }
        phases.into_iter().map(|phase| self.table(workload, phase)).collect()
    }

    /// The phases of a workload that a server went through.
    pub fn phases(&self, workload: &str, server: &str, transport: &str) -> impl Iterator<Item = &str> {
        let of = |row: &&Row| row.workload == workload && row.server == server && row.transport == transport;
        let phases: std::collections::BTreeSet<&str> = self.rows.iter().filter(of).map(|row| &*row.phase).collect();
        phases.into_iter()
    }

    /// A figure in every turn; none if a turn has not shown it.
    fn figures(&self, of: Of<'_>, name: &str) -> Option<Vec<f64>> {
        let rows = self.rows.iter().filter(|row| of == row.of());
        rows.map(|row| row.figures.iter().find(|figure| figure.0 == name).map(|figure| figure.1)).collect()
    }

    /// The median of a figure over all turns.
    pub fn figure(&self, of: Of<'_>, name: &str) -> Option<f64> {
        median(self.figures(of, name)?)
    }

    /// How many times the second's figure the first's is: the median over all turns, in each of which both are measured
    /// one after the other. The machine's pace changes between turns more than within one.
    pub fn ratio(&self, own: Of<'_>, theirs: Of<'_>, name: &str) -> Option<f64> {
        let (own, theirs) = (self.figures(own, name)?, self.figures(theirs, name)?);
        // Where a turn has failed, it is not known which belong together.
        let turns = (own.len() == theirs.len()).then(|| own.into_iter().zip(theirs))?;
        median(turns.map(|(own, theirs)| own / theirs).collect())
    }

    fn table(&self, workload: &str, phase: &str) -> String {
        let mut lines: Vec<Of<'_>> = Vec::new();
        let mut columns: Vec<&str> = Vec::new();
        for row in self.rows.iter().filter(|row| row.workload == workload && row.phase == phase) {
            if !lines.contains(&row.of()) {
                lines.push(row.of());
            }
            for (name, _) in &row.figures {
                if !columns.contains(&&**name) {
                    columns.push(name);
                }
            }
        }
        columns.retain(|column| lines.iter().any(|line| self.figure(*line, column).is_some()));
        let first = lines[0].server;
        let compares = lines.iter().any(|line| line.server != first);
        let mut text = format!("\n{workload}, {phase}\n\n| server |");
        let _ = writeln!(text, " {} |{}", columns.join(" | "), if compares { " × |" } else { "" });
        let _ = writeln!(text, "|---|{}{}", "---:|".repeat(columns.len()), if compares { "---:|" } else { "" });
        for line in &lines {
            let _ = write!(text, "| {} {} QoS {} |", line.server, line.transport, line.qos);
            for column in &columns {
                let _ = write!(text, " {} |", self.figure(*line, column).map_or(String::new(), number));
            }
            if compares {
                // Our main figure, the first, divided by theirs.
                let ratio = self.ratio(Of { server: first, ..*line }, *line, columns[0]);
                let ratio = ratio.filter(|_| line.server != first).map(|ratio| format!("{ratio:.2}"));
                let _ = write!(text, " {} |", ratio.unwrap_or_default());
            }
            text.push('\n');
        }
        text
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Three digits, or the whole number.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

impl Machine {
    pub fn here(versions: BTreeMap<String, String>) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
        let commit = git.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        Self {
            commit,
            date: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
            cpu: cpu.map_or("unknown", |(_, name)| name).to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            // Without what a distributor has added.
            kernel: read("/proc/sys/kernel/osrelease").trim().split('-').next().unwrap_or_default().to_owned(),
            versions,
            command: format!("cargo bench -p broker --bench load -- {}", arguments.join(" ")),
        }
    }
}
