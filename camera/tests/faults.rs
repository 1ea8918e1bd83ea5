//! What goes wrong around the program `camera`, in a network of its own beside Debian's Mosquitto; what is promised of it is
//! in `broker/tests/faults/faults.json`, and `make faults` makes RELIABILITY.md's table of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "../../broker/tests/support/isolated.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod isolated;
#[path = "../../broker/tests/support/promise.rs"]
mod promise;
#[path = "../../broker/tests/support/stuck.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod stuck;

use isolated::Isolated;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use stuck::Pipe;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that ends with the test, and what it writes on stderr, if that comes here.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
            });
        }
        Self { child, lines }
    }

    /// Lines up to one that has these words.
    fn says(&self, words: &str) -> Vec<String> {
        let (deadline, mut lines) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("{words:?} is not said: {lines:#?}"));
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains(words)) {
                return lines;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nobody else has ports in a network of one's own.
fn mosquitto(folder: &Path) -> Process {
    let conf = folder.join("mosquitto.conf");
    // It cannot become another user there.
    std::fs::write(&conf, "listener 1883 127.0.0.1\nallow_anonymous true\nuser root\n").unwrap();
    let mosquitto = Process::spawn(Command::new("/usr/sbin/mosquitto").arg("-c").arg(conf).stderr(Stdio::piped()));
    mosquitto.says(" running");
    mosquitto
}

fn camera(broker: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_camera"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
        command.env_remove(name);
    }
    command.args(["--broker", broker, "--room", "front-door", "--id", "door", "--source", "test"]);
    command
}

/// Hears what the camera says to the room agent, as that would.
struct Agent {
    runtime: tokio::runtime::Runtime,
    client: AsyncClient,
    eventloop: EventLoop,
}

impl Agent {
    fn connect() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, eventloop) = AsyncClient::new(MqttOptions::new("agent", "127.0.0.1", 1883), 16);
        let mut agent = Self { runtime, client, eventloop };
        agent.client.try_subscribe("rooms/+/agent/+", QoS::AtLeastOnce).unwrap();
        agent.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(()));
        agent
    }

    fn until<T>(&mut self, what: impl Fn(Packet) -> Option<T>) -> T {
        let eventloop = &mut self.eventloop;
        let wanted = async {
            loop {
                if let Event::Incoming(packet) = eventloop.poll().await.unwrap()
                    && let Some(found) = what(packet)
                {
                    return found;
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, wanted).await }).expect("the camera says nothing")
    }

    /// Waits for the camera's next join.
    fn is_asked(&mut self) {
        self.until(|packet| match packet {
            Packet::Publish(said) => (said.topic == "rooms/front-door/agent/door"
                && serde_json::from_slice::<serde_json::Value>(&said.payload).unwrap()["type"] == "join")
                .then_some(()),
            _ => None,
        });
    }
}

#[test]
fn a_broker_whose_name_is_not_found_is_waited_for_with_one_word() {
    let folder = tempfile::tempdir().unwrap();
    let test = "a_broker_whose_name_is_not_found_is_waited_for_with_one_word";
    let Some(isolated) = Isolated::enter(test, folder.path()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let _mosquitto = mosquitto(folder.path());
    let mut agent = Agent::connect();
    let mut command = camera("mqtt://broker.example");
    let camera = Process::spawn(command.args(["--log", "info,camera=debug"]).stderr(Stdio::piped()));
    let mut said = Vec::new();
    // Pauses double from a quarter of a second; the next would be of eight.
    for _ in 0..5 {
        said.extend(camera.says("still offline: "));
    }
    let told: Vec<_> = said.iter().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(told.len(), 1, "once: {told:#?}");
    assert!(
        told[0].contains("offline: no connection to mqtt://broker.example") && told[0].contains("lookup"),
        "{told:?}"
    );
    isolated.name("broker.example");
    let found = Instant::now();
    agent.is_asked();
    promise::kept("camera-without-dns", found.elapsed());
}

#[test]
fn a_log_whose_reader_is_stuck_costs_its_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let test = "a_log_whose_reader_is_stuck_costs_its_lines_and_nothing_else";
    let Some(_isolated) = Isolated::enter(test, folder.path()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let _mosquitto = mosquitto(folder.path());
    let mut agent = Agent::connect();
    let pipe = Pipe::full(folder.path());
    let full = OpenOptions::new().append(true).open(&pipe.path).unwrap();
    let mut camera = Process::spawn(
        camera("mqtt://127.0.0.1").args(["--log", "trace"]).stdout(full.try_clone().unwrap()).stderr(full),
    );
    agent.is_asked();
    let begin = Instant::now();
    assert!(Command::new("kill").arg(camera.child.id().to_string()).status().unwrap().success());
    while camera.child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < PATIENCE, "it does not end when it is asked to");
        std::thread::yield_now();
    }
}
