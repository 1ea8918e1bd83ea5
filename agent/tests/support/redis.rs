//! Debian's Redis on a port of its own, which keeps nothing on disk.

use crate::mosquitto::{Process, free_port};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A Redis; it goes when dropped.
pub(crate) struct Redis {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
    is_tls: bool,
}

/// The password of one that is reached over TLS.
pub(crate) const PASSWORD: &str = "very-s3cret";

impl Redis {
    pub(crate) fn start() -> Self {
        let mut redis = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None, is_tls: false };
        redis.run();
        redis
    }

    /// One that is reached over TLS alone, and wants a password.
    pub(crate) fn start_with_tls() -> Self {
        let mut redis = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None, is_tls: true };
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        redis.keep("store.pem", &made.cert.pem());
        redis.keep("store.key", &made.signing_key.serialize_pem());
        redis.run();
        redis
    }

    /// A file beside it; gives the path.
    pub(crate) fn keep(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A file of its own.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Starts it, or starts it again, empty.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args([if self.is_tls { "--tls-port" } else { "--port" }, &self.port.to_string()]);
        if self.is_tls {
            command.args(["--port", "0", "--tls-auth-clients", "no", "--requirepass", PASSWORD]);
            command.args([
                "--tls-cert-file",
                "store.pem",
                "--tls-key-file",
                "store.key",
                "--tls-ca-cert-file",
                "store.pem",
            ]);
        }
        let process = Process::spawn(command.current_dir(self.folder.path()));
        process.wait_for("Ready to accept connections").unwrap();
        self.process = Some(process);
    }

    /// Ends it without a word to its clients.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// See [`Process::cpu`].
    pub(crate) fn cpu(&self) -> Duration {
        self.process.as_ref().map(Process::cpu).unwrap_or_default()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis{}://127.0.0.1:{}", if self.is_tls { "s" } else { "" }, self.port)
    }

    /// What it answers to a command, one line for each value.
    pub(crate) fn ask(&self, command: &[&str]) -> Vec<String> {
        let asked = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        assert!(asked.status.success(), "{asked:?}");
        String::from_utf8(asked.stdout).unwrap().lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
    }
}
