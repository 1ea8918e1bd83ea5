//! The real binary on free ports, and a plain MQTT client of both versions to try it with.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod client;
pub mod identity;
pub mod isolated;
pub mod ledger;
pub mod network;
pub mod promise;
pub mod stuck;
pub mod tls;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    way: Way,
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    /// Everything that it listens on, by name.
    pub doors: HashMap<String, SocketAddr>,
    pub folder: PathBuf,
    log: Receiver<String>,
}

/// How a broker is started.
#[derive(Clone, Default)]
pub struct Way {
    pub flags: Vec<String>,
    /// Its configuration file.
    pub file: String,
    /// A program and its first arguments, which is to start the broker.
    pub within: Vec<String>,
    pub variables: Vec<(String, String)>,
    /// Where its log goes, if not to the test.
    pub log: Option<PathBuf>,
    /// Where it listens, if not on 127.0.0.1.
    pub address: Option<IpAddr>,
}

impl Way {
    pub fn flags(flags: &[&str]) -> Self {
        Self { flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..Self::default() }
    }

    fn command(&self, folder: &Path, doors: [SocketAddr; 2]) -> Command {
        let binary = env!("CARGO_BIN_EXE_broker").to_owned();
        let mut words = self.within.iter().chain([&binary]);
        let mut command = Command::new(words.next().unwrap());
        // Not what whoever runs the tests has configured for a broker of their own.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
            command.env_remove(name);
        }
        let [mqtt, http] = doors.map(|door| door.to_string());
        command
            .args(words)
            .args(["--mqtt", &mqtt, "--http", &http, "--state-dir"])
            .arg(folder)
            .args(&self.flags)
            .env("DUET_LOG", "debug")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        match &self.log {
            Some(path) => command.stderr(std::fs::OpenOptions::new().append(true).open(path).unwrap()),
            None => command.stderr(Stdio::piped()),
        };
        command
    }
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
        Self::launch(folder, Way { file: file.into(), ..Way::flags(flags) })
    }

    /// Started in this way, in a folder that may have other files in it.
    pub fn launch(folder: PathBuf, way: Way) -> Self {
        std::fs::write(folder.join("duet.toml"), &way.file).unwrap();
        let door = SocketAddr::new(way.address.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0);
        Self::run(folder, way, [door; 2])
    }

    fn run(folder: PathBuf, way: Way, doors: [SocketAddr; 2]) -> Self {
        let (child, doors, log) = spawn(way.command(&folder, doors));
        let (mqtt, http) = (doors["mqtt"], doors["http"]);
        Self { child, way, mqtt, http, doors, folder, log }
    }

    /// Ends it as a crash does (SIGKILL): nobody is told anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Self::kill`], in the same way, folder and places.
    pub fn restart(&mut self) {
        (self.child, self.doors, self.log) = spawn(self.way.command(&self.folder, [self.mqtt, self.http]));
    }

    /// Whether it is still there.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
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

/// Starts it, and waits until it says where it listens; its log, if that comes here.
fn spawn(mut command: Command) -> (Child, HashMap<String, SocketAddr>, Receiver<String>) {
    let mut child = command.spawn().unwrap();
    let (lines, printed) = mpsc::channel();
    let stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let (sender, log) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    let mut doors = HashMap::new();
    loop {
        let line = printed.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("it does not start: {:?}", log.try_iter().collect::<Vec<_>>()));
        let Some((name, address)) = line.split_once(" listening on ") else { break };
        doors.insert(name.to_owned(), address.parse().unwrap());
    }
    (child, doors, log)
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
