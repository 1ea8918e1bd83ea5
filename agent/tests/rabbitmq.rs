//! Rooms over a RabbitMQ that asks the agent who may do what, with the configuration that is shipped for it. Needs
//! `rabbitmq-server` 3.10 (Debian 12), so it runs by `make test-engines` only.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

use rumqttc::{Client, Event, LastWill, MqttOptions, Packet, QoS, SubscribeReasonCode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);
const SECRET: &str = "what engines show";

/// A program that is killed when dropped, with all that it has started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Running {
    use std::os::unix::process::CommandExt;
    Running(command.process_group(0).stdin(Stdio::null()).spawn().unwrap())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on {port}");
        std::thread::yield_now();
    }
}

/// The agent with its hooks; where they listen, and what it prints.
fn agent(folder: &Path, mqtt: u16) -> (Running, SocketAddr, Receiver<String>) {
    let hash = {
        use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
        let cheap = Params::new(8, 1, 1, None).unwrap();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap).hash_password(b"s3cret").unwrap().to_string()
    };
    let users = ["alice", "bob", "carol"].map(|name| format!("[{name}]\npassword = \"{hash}\"\nrooms = [\"*\"]\n"));
    std::fs::write(folder.join("users.toml"), users.concat()).unwrap();
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    let mut running = start(
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .current_dir(folder)
            .args(["--broker", &format!("mqtt://127.0.0.1:{mqtt}"), "--username", "agent", "--http", "127.0.0.1:0"])
            .args(["--http-secret-file", "secret", "--users", "users.toml"])
            .env("DUET_AGENT_PASSWORD", "agent's own")
            .stdout(Stdio::piped()),
    );
    let (lines, printed) = mpsc::channel();
    let stdout = BufReader::new(running.0.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    let line = printed.recv_timeout(PATIENCE).unwrap();
    let address = line.strip_prefix("hooks listening on ").unwrap().parse().unwrap();
    (running, address, printed)
}

/// RabbitMQ with the shipped configuration, on other ports.
fn rabbitmq(folder: &Path, mqtt: u16, hooks: SocketAddr) -> [Running; 2] {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/engines/rabbitmq");
    let conf = std::fs::read_to_string(shipped.join("rabbitmq.conf")).unwrap();
    let conf = conf
        .replace("127.0.0.1:8090", &hooks.to_string())
        .replace("SECRET", &SECRET.replace(' ', "%20"))
        .replace("127.0.0.1:5672", &format!("127.0.0.1:{}", free_port()))
        .replace("127.0.0.1:1883", &format!("127.0.0.1:{mqtt}"));
    std::fs::write(folder.join("rabbitmq.conf"), conf).unwrap();
    std::fs::copy(shipped.join("enabled_plugins"), folder.join("enabled_plugins")).unwrap();
    let epmd_port = free_port();
    let port = epmd_port.to_string();
    let epmd = start(Command::new("epmd").args(["-address", "127.0.0.1", "-port", &port]));
    wait_for(epmd_port);
    let server = start(
        Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server")
            .current_dir(folder)
            .env("HOME", folder)
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_NODENAME", format!("duet{mqtt}@localhost"))
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", &port)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdout(Stdio::null()),
    );
    wait_for(mqtt);
    [epmd, server]
}

/// What a peer hears of its connection, in order; the last is how it ended.
enum Heard {
    Said(String, Value),
    Granted(bool),
    Ended(String),
}

struct Peer {
    client: Client,
    heard: Receiver<Heard>,
    id: &'static str,
}

impl Peer {
    fn connect(mqtt: u16, id: &'static str, user: &str, password: &str) -> Self {
        let mut options = MqttOptions::new(id, "127.0.0.1", mqtt);
        options.set_credentials(user, password);
        let will = format!("rooms/lobby/agent/{id}");
        options.set_last_will(LastWill::new(will, r#"{"type":"leave","reason":"lost"}"#, QoS::AtLeastOnce, false));
        let (client, mut connection) = Client::new(options, 16);
        let (tell, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                let news = match event {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let said = serde_json::from_slice(&publish.payload).unwrap_or_default();
                        Heard::Said(publish.topic, said)
                    }
                    Ok(Event::Incoming(Packet::SubAck(ack))) => {
                        Heard::Granted(ack.return_codes.iter().all(|code| *code != SubscribeReasonCode::Failure))
                    }
                    Err(error) => {
                        let _ = tell.send(Heard::Ended(error.to_string()));
                        return;
                    }
                    Ok(_) => continue,
                };
                if tell.send(news).is_err() {
                    return;
                }
            }
        });
        Self { client, heard, id }
    }

    fn subscribe(&self, filter: &str) -> bool {
        self.client.subscribe(filter, QoS::AtLeastOnce).unwrap();
        loop {
            match self.heard.recv_timeout(PATIENCE).expect("an answer") {
                Heard::Granted(granted) => return granted,
                Heard::Ended(_) => return false,
                Heard::Said(..) => {}
            }
        }
    }

    fn say(&self, topic: &str, what: &Value) {
        self.client.publish(topic, QoS::AtLeastOnce, false, what.to_string()).unwrap();
    }

    /// The next message; what its connection ended with, if that comes first.
    fn next(&self) -> Result<(String, Value), String> {
        loop {
            match self.heard.recv_timeout(PATIENCE).map_err(|_| format!("{} hears nothing", self.id)).unwrap() {
                Heard::Said(topic, what) => return Ok((topic, what)),
                Heard::Ended(why) => return Err(why),
                Heard::Granted(_) => {}
            }
        }
    }
}

#[test]
#[ignore = "needs rabbitmq-server; make test-engines"]
fn rooms_work_over_rabbitmq_and_nobody_reaches_those_to_whom_it_does_not_belong() {
    let folder = tempfile::tempdir().unwrap();
    let mqtt = free_port();
    let (_agent, hooks, printed) = agent(folder.path(), mqtt);
    let _engine = rabbitmq(folder.path(), mqtt, hooks);
    assert!(printed.recv_timeout(PATIENCE).unwrap().starts_with("agent connected to "));
    let peer = |id: &'static str| Peer::connect(mqtt, id, id, "s3cret");
    let (alice, bob) = (peer("alice"), peer("bob"));
    assert!(alice.subscribe("rooms/+/alice/+") && bob.subscribe("rooms/+/bob/+"));
    alice.say("rooms/lobby/agent/alice", &json!({"type": "join"}));
    assert_eq!(alice.next().unwrap().1["type"], "created");
    bob.say("rooms/lobby/agent/bob", &json!({"type": "join"}));
    assert_eq!(bob.next().unwrap().1["type"], "joined");
    assert_eq!(alice.next().unwrap().1["type"], "arrived");
    bob.say("rooms/lobby/alice/bob", &json!({"type": "ready"}));
    assert_eq!(alice.next().unwrap(), ("rooms/lobby/alice/bob".into(), json!({"type": "ready"})));

    // Who is not let in.
    for (id, user, password) in [("alice", "alice", "wrong"), ("bob", "carol", "s3cret"), ("agent", "agent", "s3cret")]
    {
        let stranger = Peer::connect(mqtt, id, user, password);
        assert!(stranger.next().is_err(), "{id} as {user}");
    }
    // What ends whoever tries it.
    for filter in ["rooms/+/alice/+", "rooms/#", "#", "rooms/+/+/carol", "*/*/alice/*"] {
        let carol = peer("carol");
        assert!(!carol.subscribe(filter), "{filter}");
    }
    for topic in
        ["rooms/lobby/alice/carol", "rooms/lobby/alice/bob", "rooms/lobby/alice/agent", "rooms.lobby.alice.bob"]
    {
        let carol = peer("carol");
        assert!(carol.subscribe("rooms/+/carol/+"));
        carol.say(topic, &json!({"type": "bye"}));
        assert!(carol.next().is_err(), "{topic}");
    }
    // After all of it alice has heard nothing but what her fellow says.
    bob.say("rooms/lobby/alice/bob", &json!({"type": "offer", "sdp": "v=0"}));
    assert_eq!(alice.next().unwrap().1["type"], "offer");
}
