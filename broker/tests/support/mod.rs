//! The real binary on free ports, and a plain MQTT client of both versions to try it with.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod client;
pub mod identity;
pub mod ledger;
pub mod tls;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A broker that runs, and is killed when dropped.
pub struct Broker {
    child: Child,
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    /// Everything that it listens on, by name.
    pub doors: HashMap<String, SocketAddr>,
    pub folder: PathBuf,
    log: Receiver<String>,
}

impl Broker {
    /// With its defaults.
    pub fn start() -> Self {
        Self::with(&[], "")
    }

    /// With further flags, and a configuration file.
    pub fn with(flags: &[&str], file: &str) -> Self {
        Self::in_folder(scratch_folder(), flags, file)
    }

    /// With further flags, and a configuration file, in a folder that may have other files in it.
    pub fn in_folder(folder: PathBuf, flags: &[&str], file: &str) -> Self {
        std::fs::write(folder.join("duet.toml"), file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
        // Not what whoever runs the tests has configured for a broker of their own.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state-dir"])
            .arg(&folder)
            .args(flags)
            .env("DUET_LOG", "debug")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, printed) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let (sender, log) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut doors = HashMap::new();
        loop {
            let line = printed.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it does not start: {:?}", log.try_iter().collect::<Vec<_>>()));
            let Some((name, address)) = line.split_once(" listening on ") else { break };
            doors.insert(name.to_owned(), address.parse().unwrap());
        }
        let (mqtt, http) = (doors["mqtt"], doors["http"]);
        Self { child, mqtt, http, doors, folder, log }
    }

    /// The operator's password.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.folder.join("operator.token")).unwrap().trim().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged so far.
    pub fn logged(&self) -> String {
        self.log.try_iter().map(|line| line + "\n").collect()
    }

    /// Asks it to stop with a signal (`TERM` or `INT`); how it ended and how long that took.
    pub fn signal(&mut self, name: &str) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begin.elapsed());
            }
            std::thread::yield_now();
        }
        panic!("it does not stop");
    }

    /// Waits until it has logged a line with these words.
    pub fn logs(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.log.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("{words:?} is not logged"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// One HTTP/1.1 request, and the whole answer as text.
    pub fn http(&self, request: &str) -> String {
        Self::http_at(self.http, request)
    }

    /// The same at another of its doors.
    pub fn http_at(address: SocketAddr, request: &str) -> String {
        use std::io::Write;
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What an operator gets.
    pub fn operator_get(&self, path: &str) -> String {
        let token = self.token();
        self.http(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        ))
    }

    pub fn get(&self, path: &str) -> String {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An empty folder of its own.
pub fn scratch_folder() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
