//! Peers that are not ours: Mosquitto's tools, paho-mqtt and mqtt.js, each a script in `outside/`
//! that goes through a whole call. The same script is the first, the second or the third of a
//! room; an operator's eyes see whether it was all as the script says.
//!
//! Needs Debian's `mosquitto` and `mosquitto-clients`, Node.js with the page's packages
//! (`web/node_modules`), and Python with paho-mqtt: that of `TEST_PYTHON`, or one that is set
//! up here (Debian's `python3-venv`, and PyPI within reach).

mod support;

use protocol::Topic;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use support::client::{Client, V3, V5};
use support::{Broker, PATIENCE, identity, scratch_folder};

const ROOM: &str = "현관";
const PAHO: &str = "paho-mqtt==2.1.0";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Program {
    Mosquitto,
    Paho,
    MqttJs,
}
use Program::{Mosquitto, MqttJs, Paho};

impl Program {
    /// Its script; what that runs on is set up, if it has not been.
    fn command(self) -> Command {
        let (interpreter, script) = match self {
            Mosquitto => (Path::new("bash"), "mosquitto.sh"),
            Paho => (python(), "paho_peer.py"),
            MqttJs => {
                check_node_modules();
                (Path::new("node"), "mqttjs_peer.mjs")
            }
        };
        let mut command = Command::new(interpreter);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(script));
        command
    }
}

#[derive(Debug, Clone, Copy)]
enum Door {
    Tcp,
    WebSocket,
}
use Door::{Tcp, WebSocket};

/// How one peer comes: with which program, of which version, by which door.
type Way = (Program, &'static str, Door);

/// With which user name and password each peer comes, if with any.
type Papers = fn(&str) -> Option<(String, String)>;

/// A script that runs; ended when dropped.
struct Script {
    child: Child,
    name: String,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

impl Script {
    fn start(broker: &Broker, (program, version, door): Way, id: &str, papers: Papers) -> Self {
        let url = match door {
            Tcp => format!("mqtt://{}", broker.mqtt),
            WebSocket => format!("ws://{}/mqtt", broker.http),
        };
        let mut command = program.command();
        let mut child = command
            .args([&url, ROOM, id, version])
            .envs(papers(id).into_iter().flat_map(|(user, word)| [("MQTT_USER", user), ("MQTT_PASSWORD", word)]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?} cannot be started: {e}"));
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().unwrap();
        let kept = complaints.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, name: format!("{id} ({program:?} {version} {door:?})"), lines, complaints }
    }

    /// It says these lines next.
    fn says(&self, lines: &[&str]) {
        for wanted in lines {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == *wanted => {}
                other => panic!("{}: {other:?} in place of {wanted}\n{}", self.name, self.complaints()),
            }
        }
    }

    fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    fn press_enter(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// It ends well, and has nothing more to say.
    fn ends(mut self) {
        if let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            panic!("{} goes on with {line}", self.name);
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} has closed its output and goes on", self.name);
            std::thread::yield_now();
        };
        assert!(status.success(), "{} ends with {status}\n{}", self.name, self.complaints());
    }
}

impl Drop for Script {
    /// Asks it first, so that it ends what it has started itself.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let deadline = Instant::now() + PATIENCE;
            while let Ok(None) = self.child.try_wait()
                && Instant::now() < deadline
            {
                std::thread::yield_now();
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Python that has paho-mqtt.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let run = |command: &mut Command, hint: &str| {
            let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}; {hint}"));
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{command:?}: {}; {hint}\n{said}", output.status);
        };
        let check = format!("import importlib.metadata as m; assert 'paho-mqtt=='+m.version('paho-mqtt') == '{PAHO}'");
        let hint = format!("set TEST_PYTHON to a Python that has {PAHO}, or install python3-venv");
        // Not DUET_…: the brokers of these tests inherit it, and know their own variables only.
        if let Some(python) = std::env::var_os("TEST_PYTHON") {
            run(Command::new(&python).args(["-c", &check]), &hint);
            return python.into();
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside-python");
        let python = folder.join("bin/python");
        if !python.exists() {
            // Made under another name, so that nobody ever finds half of it.
            let draft = folder.with_extension(std::process::id().to_string());
            run(Command::new("python3").args(["-m", "venv"]).arg(&draft), &hint);
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PAHO];
            run(Command::new(draft.join("bin/python")).args(install), &hint);
            // Another process may have been faster; either will do.
            if std::fs::rename(&draft, &folder).is_err() {
                std::fs::remove_dir_all(&draft).unwrap();
            }
        }
        run(Command::new(&python).args(["-c", &check]), &format!("delete {} and try again", folder.display()));
        python
    })
}

fn check_node_modules() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/node_modules/mqtt");
    assert!(packages.exists(), "{} is missing: run `npm ci` in web/", packages.display());
}

/// A whole call: the first, the second, a third who stays outside, and the hanging up.
fn call(broker: &Broker, operator: &mut Client, [first, second, third]: [Way; 3], papers: Papers) {
    // Nobody waits for somebody whose language is yet to be set up.
    for (program, ..) in [first, second, third] {
        program.command();
    }
    let mut alice = Script::start(broker, first, "alice", papers);
    alice.says(&["-> join agent", "<- created agent"]);
    let bob = Script::start(broker, second, "bob", papers);
    bob.says(&["-> join agent", "<- joined agent", "-> ready alice", "<- offer alice"]);
    bob.says(&["-> answer alice", "-> candidate alice", "<- candidate alice"]);
    alice.says(&["<- arrived agent", "<- ready bob", "-> offer bob", "<- answer bob", "<- candidate bob"]);
    alice.says(&["-> candidate bob"]);

    let carol = Script::start(broker, third, "carol", papers);
    carol.says(&["-> join agent", "<- full agent"]);
    carol.ends();

    alice.press_enter();
    alice.says(&["-> bye bob"]);
    bob.says(&["<- bye alice", "-> leave agent"]);
    bob.ends();
    alice.says(&["<- left agent", "-> leave agent"]);
    alice.ends();
    let ways = format!("{first:?}, {second:?}, {third:?}");
    check_what_operators_saw(operator, &ways);
}

/// That it was as the scripts say, from first to last.
fn check_what_operators_saw(operator: &mut Client, ways: &str) {
    let (mut signals, mut events, mut peers_told) = (Vec::new(), Vec::new(), Vec::new());
    let mut messages = Value::Null;
    loop {
        let message = operator.message();
        match Topic::parse(&message.topic).unwrap() {
            Topic::Signal { room, to, from } => {
                assert_eq!(room, ROOM);
                signals.push(format!("{} {from} {to}", message.json()["type"].as_str().unwrap()));
            }
            Topic::FromAgent { to, .. } => {
                peers_told.push(format!("{} {to}", message.json()["type"].as_str().unwrap()));
            }
            Topic::Events { .. } => events.push(message.json()["type"].as_str().unwrap().to_owned()),
            // That the last call's room is gone may be said again.
            Topic::State { .. } if message.payload.is_empty() && events.is_empty() => {}
            Topic::State { .. } if message.payload.is_empty() => break,
            Topic::State { .. } => messages = message.json()["messages"].clone(),
            _ => {}
        }
    }
    let wanted = [
        "ready bob alice",
        "offer alice bob",
        "answer bob alice",
        "candidate bob alice",
        "candidate alice bob",
        "bye alice bob",
    ];
    assert_eq!(signals, wanted, "{ways}");
    assert_eq!(messages, json!(wanted.len()), "{ways}");
    assert_eq!(events, ["created", "joined", "arrived", "full", "left", "left"], "{ways}");
    let wanted = ["created alice", "arrived alice", "joined bob", "full carol", "left alice"];
    assert_eq!(peers_told, wanted, "{ways}");
}

fn calls(ways: &[[Way; 3]]) {
    let broker = Broker::start();
    let mut operator = Client::operator(&broker, V5, "rooms/#");
    for &way in ways {
        call(&broker, &mut operator, way, |_| None);
    }
}

/// One of Mosquitto's tools, straight to the broker: whether it thinks that it succeeded (they call
/// some refusals a success), and what it said.
fn tool(broker: &Broker, name: &str, version: &str, id: &str, flags: &[&str]) -> (bool, String) {
    let port = broker.mqtt.port().to_string();
    let output = Command::new(name)
        .args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-i", id, "-q", "1"])
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{name}: {e}; these tests need Debian's mosquitto-clients"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// What each of them can do by itself: ask once, watch, order; and what it may not.
#[test]
fn mosquittos_tools_without_a_bridge() {
    let patience = PATIENCE.as_secs().to_string();
    for (ours, version) in [(V3, "mqttv311"), (V5, "mqttv5")] {
        let broker = Broker::start();
        let token = broker.token();
        let [mut alice, mut bob] = ["alice", "bob"].map(|id| Client::peer(&broker, ours, id));
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);

        let flags = ["-t", "rooms/lobby/agent/carol", "-e", "rooms/lobby/carol/agent", "-m", r#"{"type":"join"}"#];
        let (good, said) = tool(&broker, "mosquitto_rr", version, "carol", &flags);
        let answer: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{said}: {e}"));
        assert!(good && answer["type"] == "full", "{said}");

        let watch = ["-u", "operator", "-P", &token, "-C", "1", "-W", &patience, "-t", "rooms/+"];
        let (good, said) = tool(&broker, "mosquitto_sub", version, "watch", &watch);
        let state: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{said}: {e}"));
        assert!(good && state["peers"][1]["id"] == "bob" && state["refused"] == 1, "{said}");

        for filter in ["#", "rooms/#", "rooms/+/alice/+", "$SYS/#", "control/lobby"] {
            let (_, said) = tool(&broker, "mosquitto_sub", version, "carol", &["-W", &patience, "-t", filter]);
            assert!(said.contains("denied"), "{filter}: {said}");
        }
        let forged = ["-t", "rooms/lobby/bob/alice", "-m", r#"{"type":"bye"}"#];
        let (_, said) = tool(&broker, "mosquitto_pub", version, "carol", &forged);
        assert_eq!(said.contains("Not authorized"), version == "mqttv5", "{said}");
        let guess = ["-u", "operator", "-P", "guess", "-t", "control/lobby", "-m", r#"{"type":"close"}"#];
        let (good, said) = tool(&broker, "mosquitto_pub", version, "order", &guess);
        assert!(!good && said.to_lowercase().contains("bad user name or password"), "{said}");

        let order = ["-u", "operator", "-P", &token, "-t", "control/lobby", "-m", r#"{"type":"close"}"#];
        let (good, said) = tool(&broker, "mosquitto_pub", version, "order", &order);
        assert!(good && said.is_empty(), "{said}");
        alice.expect(&["closed"]);
        bob.expect(&["closed"]);
    }
}

#[test]
fn mosquitto_of_both_versions() {
    calls(&["3.1.1", "5.0"].map(|version| [(Mosquitto, version, Tcp); 3]));
}

#[test]
fn paho_of_both_versions_by_both_doors() {
    calls(
        &[("3.1.1", Tcp), ("5.0", Tcp), ("3.1.1", WebSocket), ("5.0", WebSocket)].map(|(v, door)| [(Paho, v, door); 3]),
    );
}

#[test]
fn mqttjs_of_both_versions_by_both_doors() {
    calls(
        &[("3.1.1", WebSocket), ("5.0", WebSocket), ("3.1.1", Tcp), ("5.0", Tcp)]
            .map(|(v, door)| [(MqttJs, v, door); 3]),
    );
}

#[test]
fn all_of_them_in_one_room() {
    calls(&[
        [(Mosquitto, "3.1.1", Tcp), (Paho, "5.0", WebSocket), (MqttJs, "5.0", Tcp)],
        [(Paho, "3.1.1", Tcp), (MqttJs, "5.0", WebSocket), (Mosquitto, "5.0", Tcp)],
        [(MqttJs, "3.1.1", WebSocket), (Mosquitto, "5.0", Tcp), (Paho, "3.1.1", WebSocket)],
    ]);
}

/// A user, a token and nothing at all, each with each of them, as the README says; and what is wrong
/// is refused.
#[test]
fn each_of_them_with_each_kind_of_identity() {
    let folder = scratch_folder();
    let users = identity::user("alice", "rooms = [\"현관\"]") + &identity::user("olga", "role = \"operator\"");
    std::fs::write(folder.join("users.toml"), users).unwrap();
    std::fs::write(folder.join("duet.secret"), identity::SECRET).unwrap();
    let ways = ["--users", "users.toml", "--jwt-secret", "duet.secret", "--allow-anonymous"];
    let broker = Broker::in_folder(folder, &ways, "");
    let (mut olga, code) = Client::hello(&broker, &identity::hello(V5, "olga", "olga", identity::PASSWORD));
    assert_eq!(code, Some(0));
    assert!(olga.subscribe("rooms/#", 1) <= 2);
    let papers: Papers = |id| match id {
        "alice" => Some(("alice".into(), identity::PASSWORD.into())),
        "bob" => Some(("token".into(), identity::token("bob", &json!({"rooms": [ROOM]})))),
        _ => None,
    };
    for ways in [
        [(Mosquitto, "5.0", Tcp), (Paho, "3.1.1", WebSocket), (MqttJs, "5.0", WebSocket)],
        [(Paho, "5.0", Tcp), (MqttJs, "3.1.1", WebSocket), (Mosquitto, "3.1.1", Tcp)],
        [(MqttJs, "5.0", Tcp), (Mosquitto, "3.1.1", Tcp), (Paho, "5.0", WebSocket)],
    ] {
        call(&broker, &mut olga, ways, papers);
    }
    for version in ["mqttv311", "mqttv5"] {
        let topic = format!("rooms/{ROOM}/agent/alice");
        let say = ["-t", &*topic, "-m", r#"{"type":"join"}"#];
        for (user, password, good) in [
            ("alice", identity::PASSWORD, true),
            ("alice", "a guess that is wrong", false),
            ("token", &*identity::token("alice", &json!({})), true),
            ("token", &*identity::token("bob", &json!({})), false),
        ] {
            let (went_well, said) =
                tool(&broker, "mosquitto_pub", version, "alice", &[&["-u", user, "-P", password], &say[..]].concat());
            assert_eq!(went_well, good, "{user}: {said}");
        }
    }
}
