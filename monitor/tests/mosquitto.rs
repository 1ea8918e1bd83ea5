//! The monitor beside Debian's Mosquitto with the shipped rules, where the room agent is a client like any other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

mod support;

use agent::hooks::seats::Seats;
use agent::service::status::Pulse;
use agent::service::{self, Login, Options};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use support::peer::{Peer, talk};
use support::{Monitor, PATIENCE, command};
use tempfile::TempDir;
use tokio::sync::oneshot;

const PASSWORD: &str = "s3cret";
const USERS: [&str; 4] = ["agent", "operator", "alice", "bob"];

/// Mosquitto on a port of its own, and the agent beside it.
struct Mosquitto {
    _folder: TempDir,
    process: Child,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Mosquitto {
    fn start() -> Self {
        // Mosquitto does not take port 0: somebody else may be faster.
        (0..5).find_map(|_| Self::try_start()).expect("mosquitto starts; these tests need Debian's mosquitto")
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let passwords = folder.path().join("passwd");
        std::fs::write(&passwords, "").unwrap();
        for user in USERS {
            let made = Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, PASSWORD]).output();
            assert!(made.expect("mosquitto_passwd of Debian's mosquitto is there").status.success());
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/mosquitto");
        let conf = std::fs::read_to_string(shipped.join("mosquitto.conf")).unwrap();
        let web = "listener 9001\nprotocol websockets\nuse_username_as_clientid true\n";
        let tcp = "listener 1883 127.0.0.1\n";
        assert!(conf.contains(web) && conf.contains(tcp), "{conf}");
        // Its WebSocket listener would listen on every address of the machine.
        let conf = conf.replace(web, "").replace(tcp, &format!("listener {port} 127.0.0.1\n"));
        std::fs::write(folder.path().join("mosquitto.conf"), conf).unwrap();
        std::fs::copy(shipped.join("duet.acl"), folder.path().join("duet.acl")).unwrap();
        // Started by root, Mosquitto becomes another user, who must be able to read.
        let _ = Command::new("chmod").arg("-R").arg("a+rX").arg(folder.path()).status();
        let mut process = Command::new("/usr/sbin/mosquitto")
            .args(["-c", "mosquitto.conf"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's mosquitto is there");
        let (tell, told) = mpsc::channel();
        let stderr = process.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok).filter(|line| line.contains(" running")) {
                let _ = tell.send(line);
            }
        });
        if told.recv_timeout(PATIENCE).is_err() {
            let _ = process.kill();
            let _ = process.wait();
            return None;
        }
        let stop = agent(port);
        Some(Self { _folder: folder, process, address: (Ipv4Addr::LOCALHOST, port).into(), _stop: stop })
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The standalone agent, listening.
fn agent(port: u16) -> oneshot::Sender<()> {
    let options = Options {
        broker: format!("mqtt://127.0.0.1:{port}").parse().unwrap(),
        client_id: "agent".into(),
        login: Some(Login { username: "agent".into(), password: PASSWORD.into() }),
        ca_file: None,
        version: agent::service::Version::Three,
        store: None,
        terms: agent::store::turn::Terms::default(),
        hears_presence: false,
    };
    let (stop, stopped) = oneshot::channel();
    let (tell, listens) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connected = move |_: &service::BrokerUrl| {
            let _ = tell.send(());
        };
        let stopped = async {
            let _ = stopped.await;
        };
        let _ =
            runtime.block_on(service::run(options, Pulse::new("agent", false), connected, Seats::door().1, stopped));
    });
    listens.recv_timeout(PATIENCE).expect("the agent listens");
    stop
}

#[test]
fn a_call_through_mosquitto_is_seen_and_summed_up() {
    let mosquitto = Mosquitto::start();
    let url = format!("mqtt://{}", mosquitto.address);
    let mut watch = command();
    watch.args(["--broker", &url, "--username", "operator", "--mode", "json"]).env("DUET_MONITOR_PASSWORD", PASSWORD);
    let mut monitor = Monitor::spawn(&mut watch);
    monitor.connected();
    let alice = Peer::log_in(mosquitto.address, "alice", Some(PASSWORD));
    let bob = Peer::log_in(mosquitto.address, "bob", Some(PASSWORD));
    assert_eq!(alice.join("lobby")["type"], "created");
    assert_eq!(bob.join("lobby")["type"], "joined");
    talk(&alice, &bob, "lobby");
    for (from, to, kind) in [
        ("alice", "agent", "join"),
        ("agent", "alice", "created"),
        ("bob", "alice", "ready"),
        ("alice", "bob", "offer"),
        ("bob", "alice", "answer"),
        ("bob", "agent", "state"),
    ] {
        monitor.json(&json!({"event": "message", "from": from, "to": to, "type": kind}));
    }
    monitor.signal("TERM");
    assert_eq!(monitor.wait().0.code(), Some(0));

    let mut wrong = command();
    wrong.args(["--broker", &url, "--username", "operator"]).env("DUET_MONITOR_PASSWORD", "wrong");
    let (status, _, errors) = Monitor::spawn(&mut wrong).wait();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert!(errors.contains("not authorized") && errors.contains("operator"), "{errors}");

    let mut summary = command();
    summary
        .args(["--broker", &url, "--username", "operator", "--mode", "summary", "--for", "2s"])
        .env("DUET_MONITOR_PASSWORD", PASSWORD);
    let (status, output, _) = Monitor::spawn(&mut summary).wait();
    assert_eq!(status.code(), Some(0));
    assert!(output.contains("lobby  connected") && output.contains("alice and bob"), "{output}");
}
