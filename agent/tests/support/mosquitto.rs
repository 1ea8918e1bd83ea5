//! Debian's Mosquitto with the configuration that is shipped, the real program `agent`, and MQTT
//! clients: everything over loopback, each in its own process or thread, all ended at the end.

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, QoS, SubscribeReasonCode};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Everybody's.
pub(crate) const PASSWORD: &str = "s3cret";
const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const USERS: [&str; 8] = ["agent", "operator", "alice", "bob", "carol", "dave", "mallory", "cam-42"];
/// Who beside `agent` has its rights, where several agents are wanted: each is a user of its own.
pub(crate) const AGENTS: [&str; 3] = ["agent-0", "agent-1", "agent-2"];

/// A process of ours: its output is kept, and it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    output: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|e| {
                panic!("{program} cannot be started: {e}; these tests need Debian's mosquitto installed")
            });
        let (sender, lines) = mpsc::channel();
        let output = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (sender, output) = (sender.clone(), output.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    output.lock().unwrap().push_str(&format!("{line}\n"));
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, output }
    }

    /// Waits for a line that has `text` in it.
    pub(crate) fn wait_for(&self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(format!("no line with {text:?} in:\n{}", self.output())),
            }
        }
    }

    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// How long its threads have run, in the kernel too.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let ran = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
        Duration::from_nanos(ran.filter_map(|line| line.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Bytes of it that are in memory.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default() * 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself, and its output is complete.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while let Err(RecvTimeoutError::Timeout) | Ok(_) =
            self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            assert!(Instant::now() < deadline, "still running:\n{}", self.output());
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Mosquitto on a port of its own.
pub(crate) struct Mosquitto {
    folder: TempDir,
    pub(crate) port: u16,
    process: Option<Process>,
}

impl Mosquitto {
    /// See [`Process::cpu`].
    pub(crate) fn cpu(&self) -> Duration {
        self.process.as_ref().map(Process::cpu).unwrap_or_default()
    }

    /// With the shipped configuration and rules, but without its WebSocket listener, which would
    /// listen on every address of the machine.
    pub(crate) fn start() -> Self {
        Self::prepare().started()
    }

    /// With the users `peers` beside the usual ones, and with [`AGENTS`].
    pub(crate) fn start_for(peers: &[String]) -> Self {
        let users: Vec<&str> = USERS.into_iter().chain(AGENTS).chain(peers.iter().map(String::as_str)).collect();
        Self::prepare_for(&users).started()
    }

    fn started(self) -> Self {
        let mut mosquitto = self;
        // Mosquitto does not take port 0: somebody else may be faster.
        for _ in 0..5 {
            if mosquitto.run().is_ok() {
                return mosquitto;
            }
            mosquitto.port = free_port();
            mosquitto.configure();
        }
        mosquitto.run().unwrap();
        mosquitto
    }

    /// A file beside its own; gives the path.
    pub(crate) fn keep(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// All but started.
    pub(crate) fn prepare() -> Self {
        Self::prepare_for(&USERS)
    }

    fn prepare_for(users: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let passwords = folder.path().join("passwd");
        std::fs::write(&passwords, "").unwrap();
        for user in users {
            let made = Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([*user, PASSWORD]).output();
            let made = made.unwrap_or_else(|e| panic!("mosquitto_passwd: {e}; these tests need Debian's mosquitto"));
            assert!(made.status.success(), "{made:?}");
        }
        let mosquitto = Self { folder, port: free_port(), process: None };
        mosquitto.configure();
        // Started by root, Mosquitto becomes another user, who must be able to read.
        let _ = Command::new("chmod").arg("-R").arg("a+rX").arg(mosquitto.folder.path()).status();
        mosquitto
    }

    fn configure(&self) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("mosquitto");
        let conf = std::fs::read_to_string(shipped.join("mosquitto.conf")).unwrap();
        let (tcp, web) =
            ("listener 1883 127.0.0.1\n", "listener 9001\nprotocol websockets\nuse_username_as_clientid true\n");
        assert!(conf.contains(tcp) && conf.contains(web), "{conf}");
        let mut conf = conf.replace(web, "").replace(tcp, &format!("listener {} 127.0.0.1\n", self.port));
        // In a network of its own (`isolated`) it is root among nobody else, and cannot become another user.
        if std::env::var_os("DUET_TEST_HOSTS").is_some() {
            conf.push_str("user root\n");
        }
        std::fs::write(self.folder.path().join("mosquitto.conf"), conf).unwrap();
        let acl = std::fs::read_to_string(shipped.join("duet.acl")).unwrap();
        let (begin, end) = (acl.find("user agent\n").unwrap(), acl.find("# Whoever watches").unwrap());
        let others = AGENTS.map(|agent| acl[begin..end].replace("user agent\n", &format!("user {agent}\n")));
        std::fs::write(
            self.folder.path().join("duet.acl"),
            format!("{}{}{}", &acl[..end], others.concat(), &acl[end..]),
        )
        .unwrap();
    }

    /// Starts it, or starts it again.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        assert!(Path::new(MOSQUITTO).exists(), "{MOSQUITTO} is missing: these tests need Debian's mosquitto installed");
        let process =
            Process::spawn(Command::new(MOSQUITTO).args(["-c", "mosquitto.conf"]).current_dir(self.folder.path()));
        process.wait_for(" running")?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it without a word to its clients.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    /// The program `agent`, not yet waited for.
    pub(crate) fn agent(&self, args: &[&str]) -> Process {
        let broker = format!("mqtt://127.0.0.1:{}", self.port);
        Process::spawn(
            Command::new(env!("CARGO_BIN_EXE_agent"))
                .args(["--broker", &broker, "--username", "agent", "--log", "debug,rumqttc=info"])
                .args(args)
                .env("DUET_AGENT_PASSWORD", PASSWORD),
        )
    }

    /// The program `agent`, listening.
    pub(crate) fn agent_at_work(&self, args: &[&str]) -> Process {
        let agent = self.agent(args);
        agent.wait_for(&format!("agent connected to mqtt://127.0.0.1:{}", self.port)).unwrap();
        agent
    }
}

/// One of [`AGENTS`] as the program `agent`, not yet waited for. It logs little, since it may be asked a lot.
pub(crate) fn copy(port: u16, id: &str, args: &[String]) -> Process {
    Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(["--broker", &format!("mqtt://127.0.0.1:{port}"), "--username", id, "--id", id])
            .args(["--log", "warn,agent=info"])
            .args(args)
            .env("DUET_AGENT_PASSWORD", PASSWORD),
    )
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What a client notices.
#[derive(Debug)]
pub(crate) enum Notice {
    Message { topic: String, payload: Vec<u8> },
    Connected,
    Subscribed(bool),
    Acknowledged,
    Ended,
}

/// An MQTT client in a thread of its own.
pub(crate) struct Client {
    mqtt: AsyncClient,
    notices: Receiver<Notice>,
    messages: std::collections::VecDeque<(String, Vec<u8>)>,
    cut: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Connects as `id` with a clean session, and waits until it is.
    pub(crate) fn connect(port: u16, id: &str, will: Option<LastWill>) -> Self {
        Self::try_connect(port, id, will).expect("the broker lets it in")
    }

    /// The same; `None` if the broker turns it away.
    pub(crate) fn try_connect(port: u16, id: &str, will: Option<LastWill>) -> Option<Self> {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options
            .set_credentials(id, PASSWORD)
            .set_max_packet_size(1 << 20, 1 << 20)
            .set_keep_alive(Duration::from_secs(60));
        if let Some(will) = will {
            options.set_last_will(will);
        }
        let (mqtt, eventloop) = AsyncClient::new(options, 10_000);
        let (sender, notices) = mpsc::channel();
        let (cut, is_cut) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = keep(eventloop, &sender) => {}
                    _ = is_cut => {}
                }
            });
            let _ = sender.send(Notice::Ended);
        });
        let mut client = Self { mqtt, notices, messages: Default::default(), cut: Some(cut), thread: Some(thread) };
        client.try_wait(|notice| matches!(notice, Notice::Connected))?;
        Some(client)
    }

    /// Whether the subscription was granted.
    pub(crate) fn subscribe(&mut self, filter: &str) -> bool {
        self.try_subscribe(filter).expect("the connection stays")
    }

    /// The same; `None` if the connection ends.
    pub(crate) fn try_subscribe(&mut self, filter: &str) -> Option<bool> {
        self.mqtt.try_subscribe(filter, QoS::AtLeastOnce).ok()?;
        let notice = self.try_wait(|notice| matches!(notice, Notice::Subscribed(_)))?;
        Some(matches!(notice, Notice::Subscribed(true)))
    }

    /// Publishes at QoS 1 and waits until the broker has it.
    pub(crate) fn publish(&mut self, topic: &str, retain: bool, payload: &[u8]) {
        self.post(topic, retain, payload);
        self.acknowledged();
    }

    /// Publishes at QoS 1.
    pub(crate) fn post(&self, topic: &str, retain: bool, payload: &[u8]) {
        self.mqtt.try_publish(topic, QoS::AtLeastOnce, retain, payload).unwrap();
    }

    /// Waits for the broker to have one more.
    pub(crate) fn acknowledged(&mut self) {
        self.try_wait(|notice| matches!(notice, Notice::Acknowledged)).expect("the connection stays");
    }

    /// The next message, when it comes within `patience`.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<(String, Vec<u8>)> {
        if let Some(message) = self.messages.pop_front() {
            return Some(message);
        }
        let deadline = Instant::now() + patience;
        loop {
            match self.notices.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Notice::Message { topic, payload }) => return Some((topic, payload)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn try_wait(&mut self, wanted: impl Fn(&Notice) -> bool) -> Option<Notice> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.notices.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(notice) if wanted(&notice) => return Some(notice),
                Ok(Notice::Message { topic, payload }) => self.messages.push_back((topic, payload)),
                Ok(Notice::Ended) => return None,
                Ok(_) => {}
                Err(e) => panic!("a client waits in vain: {e}"),
            }
        }
    }

    /// Breaks the connection without a DISCONNECT.
    pub(crate) fn lose(mut self) {
        drop(self.cut.take());
        self.thread.take().unwrap().join().unwrap();
    }

    /// Sends DISCONNECT and ends.
    pub(crate) fn disconnect(mut self) {
        self.mqtt.try_disconnect().unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn keep(mut eventloop: EventLoop, sender: &mpsc::Sender<Notice>) {
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);
    loop {
        let notice = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                Notice::Message { topic: publish.topic, payload: publish.payload.to_vec() }
            }
            Ok(Event::Incoming(Packet::ConnAck(_))) => Notice::Connected,
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                Notice::Subscribed(ack.return_codes.iter().all(|code| *code != SubscribeReasonCode::Failure))
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => Notice::Acknowledged,
            Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => return,
            Ok(_) => continue,
        };
        if sender.send(notice).is_err() {
            return;
        }
    }
}
