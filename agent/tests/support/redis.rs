//! Debian's Redis on a port of its own, which keeps nothing on disk.

use crate::mosquitto::{Process, free_port};
use std::process::Command;
use tempfile::TempDir;

/// A Redis; it goes when dropped.
pub(crate) struct Redis {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut redis = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None };
        redis.run();
        redis
    }

    /// Starts it, or starts it again, empty.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"]);
        let process = Process::spawn(command.current_dir(self.folder.path()));
        process.wait_for("Ready to accept connections").unwrap();
        self.process = Some(process);
    }

    /// Ends it without a word to its clients.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What it answers to a command, one line for each value.
    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        let asked = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        assert!(asked.status.success(), "{asked:?}");
        String::from_utf8(asked.stdout).unwrap().lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
    }
}
