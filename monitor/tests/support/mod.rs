//! What the tests through the front door need: brokers, peers, the real monitor as a process or on a terminal.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

pub mod broker;
pub mod peer;
pub mod pty;
pub mod recorded;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The real monitor, without a terminal.
pub struct Monitor {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Arc<Mutex<String>>,
    reads_errors: Option<JoinHandle<()>>,
}

/// The command, without whatever is configured for a monitor of the person who runs the tests.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
        command.env_remove(name);
    }
    command.env_remove("NO_COLOR").env("XDG_STATE_HOME", "/nonexistent");
    command
}

impl Monitor {
    pub fn start(args: &[&str]) -> Self {
        Self::spawn(command().args(args))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let (mut stderr, kept) = (child.stderr.take().unwrap(), errors.clone());
        let reads_errors = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, lines, seen: Vec::new(), errors, reads_errors: Some(reads_errors) }
    }

    /// Waits for a line of stdout that is wanted.
    pub fn line(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(error) => {
                    panic!("no line for {what} ({error}) in:\n{}\nand:\n{}", self.seen.join("\n"), self.errors())
                }
            }
        }
    }

    /// Waits for a JSON line in which these fields are as given.
    pub fn json(&mut self, wanted: &Value) -> Value {
        let fits = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            wanted.as_object().unwrap().iter().all(|(name, wanted)| value[name] == *wanted)
        };
        serde_json::from_str(&self.line(&wanted.to_string(), fits)).unwrap()
    }

    /// Waits until it listens.
    pub fn connected(&mut self) {
        self.line("the connection", |line| line.contains("connected") && !line.contains("lost"));
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself; how, and all of its output.
    pub fn wait(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running:\n{}", self.seen.join("\n")),
            }
        }
        let status = self.child.wait().unwrap();
        self.reads_errors.take().unwrap().join().unwrap();
        (status, self.seen.iter().map(|line| format!("{line}\n")).collect(), self.errors())
    }

    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
