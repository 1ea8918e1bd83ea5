//! The servers that are measured, each started afresh on free ports of loopback, and ended when dropped.

use super::connection::Transport;
use super::peer::Dialect;
use super::proc;
use anyhow::{Context, Result, bail, ensure};
use rustix::thread::CpuSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const SOCKETIO_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/socketio");

/// Where the server runs, and where the load comes from.
const SERVER_CPUS: [usize; 1] = [0];
const GENERATOR_CPUS: [usize; 1] = [1];

/// What the servers are called wherever their figures are.
pub const DUET: &str = "duet";
pub const EVERY_CPU: &str = "duet, every CPU";
pub const MOSQUITTO: &str = "mosquitto";
pub const SOCKETIO: &str = "socket.io";

/// Something that can be measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The broker of this build, or another binary of it; on one CPU or on all, and by itself or several beside each other,
    /// each with its share of the rooms.
    Duet {
        name: String,
        binary: PathBuf,
        is_spread: bool,
        processes: usize,
    },
    Mosquitto {
        binary: PathBuf,
    },
    /// The server of the tutorials.
    SocketIo,
}

impl Subject {
    /// The broker that was built with this bench.
    pub fn this_build() -> Self {
        Self::ours(DUET, false, 1)
    }

    fn ours(name: &str, is_spread: bool, processes: usize) -> Self {
        Self::Duet { name: name.into(), binary: env!("CARGO_BIN_EXE_broker").into(), is_spread, processes }
    }

    /// What `--against` names.
    pub fn rival(named: &str) -> Result<Self> {
        match named {
            MOSQUITTO => return installed_mosquitto(),
            SOCKETIO => return installed_socketio(),
            "all-cpus" => return Ok(Self::ours(EVERY_CPU, true, 1)),
            "two-brokers" => return Ok(Self::ours("two of duet, every CPU", true, 2)),
            _ => {}
        }
        let binary = PathBuf::from(named);
        ensure!(
            binary.is_file(),
            "--against {named}: neither mosquitto, socket.io, all-cpus nor two-brokers, nor a file that is another build \
             of the broker"
        );
        Ok(Self::Duet { name: named.into(), binary, is_spread: false, processes: 1 })
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Duet { name, .. } => name,
            Self::Mosquitto { .. } => MOSQUITTO,
            Self::SocketIo => SOCKETIO,
        }
    }

    /// How many processes share its rooms.
    pub fn processes(&self) -> usize {
        match self {
            Self::Duet { processes, .. } => *processes,
            Self::Mosquitto { .. } | Self::SocketIo => 1,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Duet { .. } => Dialect::Duet,
            Self::Mosquitto { .. } => Dialect::Mqtt,
            Self::SocketIo => Dialect::SocketIo,
        }
    }

    /// What the program says of itself.
    pub fn version(&self) -> Result<String> {
        let output = match self {
            Self::Duet { binary, .. } => Command::new(binary).arg("--version").output()?,
            Self::Mosquitto { binary } => Command::new(binary).arg("-h").output()?,
            Self::SocketIo => {
                let of =
                    "process.version + ' with ' + require('./package-lock').packages['node_modules/socket.io'].version";
                Command::new("node").args(["-p", of]).current_dir(SOCKETIO_FOLDER).output()?
            }
        };
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }
}

pub struct Server {
    child: Child,
    doors: Doors,
    /// Goes when the server does.
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a process of it. `before` is a command to run it under, such as Valgrind; `flags` are for the broker alone,
    /// whose log, that of errors unless they say otherwise, goes to `log`.
    pub fn start(subject: &Subject, before: &[String], flags: &[&str], log: Stdio) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the server")?;
        let (binary, arguments, doors) = match subject {
            Subject::Duet { binary, .. } => (binary.as_path(), duet(folder.path(), flags), None),
            Subject::Mosquitto { binary } => {
                let (arguments, tcp, ws) = mosquitto(folder.path())?;
                (binary.as_path(), arguments, Some(Doors { tcp: Some(tcp), ws, admin: None }))
            }
            Subject::SocketIo => (Path::new("node"), vec![format!("{SOCKETIO_FOLDER}/server.js")], None),
        };
        let mut line: Vec<_> = before.to_vec();
        line.push(binary.to_str().context("a path that is no UTF-8")?.to_owned());
        line.extend(arguments);
        let mut command = Command::new(&line[0]);
        // Not what whoever runs this has configured for a broker of their own.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
            command.env_remove(name);
        }
        command.args(&line[1..]).env("DUET_LOG", "error").current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // What is started inherits it.
        if matches!(subject, Subject::Duet { is_spread: true, .. }) {
            proc::run_on(&(0..CpuSet::MAX_CPU).collect::<Vec<_>>());
        } else {
            proc::run_on(&SERVER_CPUS);
        }
        let child = command.spawn().with_context(|| format!("{} does not start", line.join(" ")));
        proc::run_on(&GENERATOR_CPUS);
        let mut child = child?;
        let doors = doors.map_or_else(|| announced(&mut child), Ok);
        // Made at once, so that the process is ended if anything fails from here on.
        let nowhere = Doors { tcp: None, ws: SocketAddr::from(([127, 0, 0, 1], 0)), admin: None };
        let mut server = Self { child, doors: nowhere, folder };
        server.doors = doors?;
        server.doors.tcp.map_or(Ok(()), |tcp| server.wait_for(tcp))?;
        server.wait_for(server.doors.ws)?;
        Ok(server)
    }

    fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            ensure!(self.child.try_wait()?.is_none(), "the server has ended at once");
            ensure!(Instant::now() < deadline, "the server does not listen on {address}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it tells its figures, if it does.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.doors.admin
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Tcp => self.doors.tcp.expect("who is spoken to over TCP listens there"),
            Transport::Ws => self.doors.ws,
        }
    }
}

/// Where a server listens.
struct Doors {
    tcp: Option<SocketAddr>,
    ws: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn duet(folder: &Path, flags: &[&str]) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let anywhere = "127.0.0.1:0";
    let own = ["--mqtt", anywhere, "--http", anywhere, "--admin", anywhere, "--state-dir", &folder];
    own.iter().chain(flags).map(|&flag| flag.to_owned()).collect()
}

/// The lines in which a server says where it listens. They are read to the last: a broker that cannot write out what
/// it has to say ends.
fn announced(child: &mut Child) -> Result<Doors> {
    let stdout = child.stdout.take().context("no stdout")?;
    let (mut tcp, mut ws, mut admin) = (None, None, None);
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        match line.split_once(" listening on ") {
            Some(("mqtt", address)) => tcp = Some(address.parse()?),
            Some(("http", address)) => ws = Some(address.parse()?),
            Some(("admin", address)) => admin = Some(address.parse()?),
            _ => {
                let ws = ws.with_context(|| format!("the server said {line:?}"))?;
                return Ok(Doors { tcp, ws, admin });
            }
        }
    }
    bail!("the server has ended at once")
}

fn installed_mosquitto() -> Result<Subject> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let binary = folders.map(|folder| folder.join("mosquitto")).find(|path| path.is_file());
    Ok(Subject::Mosquitto { binary: binary.context("mosquitto is not installed (apt install mosquitto)")? })
}

/// With what it is made of, which is fetched unless it is there.
fn installed_socketio() -> Result<Subject> {
    if !Path::new(SOCKETIO_FOLDER).join("node_modules/socket.io").is_dir() {
        let status = Command::new("npm").arg("ci").current_dir(SOCKETIO_FOLDER).status().context("npm is needed")?;
        ensure!(status.success(), "npm ci in {SOCKETIO_FOLDER} failed");
    }
    Ok(Subject::SocketIo)
}

/// As quick as Mosquitto can be set: no log, nothing stored, no waiting to fill segments. It stays the user that it is
/// started as, or Callgrind could not be asked for its figures any more.
fn mosquitto(folder: &Path) -> Result<(Vec<String>, SocketAddr, SocketAddr)> {
    let (tcp, ws) = (free_port()?, free_port()?);
    let file = folder.join("mosquitto.conf");
    let text = format!(
        "listener {} 127.0.0.1\nprotocol mqtt\nlistener {} 127.0.0.1\nprotocol websockets\n\
         user root\nallow_anonymous true\npersistence false\nlog_dest none\nset_tcp_nodelay true\nmax_queued_messages 1000\n",
        tcp.port(),
        ws.port()
    );
    std::fs::write(&file, text)?;
    Ok((vec!["-c".into(), file.to_string_lossy().into_owned()], tcp, ws))
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
