//! The credentials that the agent makes, tried at Debian's coturn: the peer's own are taken as long
//! as they live, whatever anybody makes of them is not.

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::client::{Client, V5};
use support::{Broker, PATIENCE, scratch_folder};

const SECRET: &str = "s3cret";

/// A coturn on loopback, killed when dropped.
struct Coturn {
    process: Child,
    port: u16,
}

impl Coturn {
    fn start(folder: &Path) -> Self {
        // It does not take port 0: somebody else may be faster.
        (0..5).find_map(|_| Self::try_on(folder, free_port())).expect("coturn answers; it is Debian's package coturn")
    }

    fn try_on(folder: &Path, port: u16) -> Option<Self> {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut process = Command::new("turnserver")
            .args(["-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", &port.to_string()])
            .args(["--use-auth-secret", &format!("--static-auth-secret={SECRET}"), "--realm=example.test"])
            .args(["--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file=stdout", "--simple-log"])
            .args([format!("--pidfile={}", file("turn.pid")), format!("--userdb={}", file("turn.db"))])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("turnserver: {error}; these tests need Debian's coturn installed"));
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        let mut coturn = Self { process, port };
        coturn.answers().then_some(coturn)
    }

    /// Whether it answers a Binding request (RFC 8489 §2) before it has ended.
    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], b"transaction!"].concat();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.process.try_wait().unwrap().is_none() {
            let mut answer = [0; 512];
            if socket.send(&request).is_ok()
                && let Ok(length @ 20..) = socket.recv(&mut answer)
            {
                return answer[..2] == [1, 1] && answer[8..20] == request[8..20] && length % 4 == 0;
            }
        }
        false
    }

    fn url(&self) -> String {
        format!("turn:127.0.0.1:{}?transport=udp", self.port)
    }

    /// Whether two allocations can be made with these credentials, and carry a packet to each other.
    fn takes(&self, (username, credential): &(String, String)) -> bool {
        let port = self.port.to_string();
        let tried = Command::new("turnutils_uclient")
            .args(["-y", "-c", "-n", "1", "-p", &port, "-u", username, "-w", credential, "127.0.0.1"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tried.stdout) + String::from_utf8_lossy(&tried.stderr);
        let refused = said.contains("Cannot complete Allocation");
        assert_ne!(tried.status.success(), refused, "{said}");
        !refused
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address: SocketAddr = socket.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// The credentials for the only relay in a message of the agent.
fn credentials(message: &Value) -> (String, String) {
    let [server] = message["ice_servers"].as_array().unwrap().as_slice() else { panic!("{message}") };
    let text = |key: &str| server[key].as_str().unwrap().to_owned();
    (text("username"), text("credential"))
}

#[test]
fn coturn_takes_a_peers_own_credentials_while_they_live_and_nothing_made_of_them() {
    let folder = scratch_folder();
    let coturn = Coturn::start(&folder);
    let secret = folder.join("turn.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let (url, secret) = (coturn.url(), secret.display().to_string());
    let broker = Broker::with(&["--turn", &url, "--turn-secret-file", &secret, "--turn-ttl", "8s"], "");

    let mut alice = Client::peer(&broker, V5, "alice");
    let answer = alice.join("lobby");
    assert_eq!(answer["ice_servers"][0]["urls"], serde_json::json!([url]));
    let first = credentials(&answer);
    let (expiry, name) = first.0.split_once(':').unwrap();
    assert_eq!(name, "alice");
    assert!(coturn.takes(&first), "fresh ones");

    let expiry: u64 = expiry.parse().unwrap();
    let other = if first.1.starts_with('A') { 'B' } else { 'A' };
    for forged in [
        (format!("{expiry}:bob"), first.1.clone()),
        (format!("{}:alice", expiry + 3600), first.1.clone()),
        (first.0.clone(), format!("{other}{}", &first.1[1..])),
        (format!("{}:alice", expiry + 3600), SECRET.to_owned()),
    ] {
        assert!(!coturn.takes(&forged), "{forged:?} of {first:?}");
    }

    let second = credentials(&alice.expect(&["ice-servers"]));
    assert!(coturn.takes(&second), "the renewed ones");
    let begin = Instant::now();
    while coturn.takes(&first) {
        assert!(begin.elapsed() < PATIENCE, "{first:?} have expired, and are taken all the same");
    }
    let third = credentials(&alice.expect(&["ice-servers"]));
    let expiries: Vec<u64> =
        [&first, &second, &third].map(|(name, _)| name.split_once(':').unwrap().0.parse().unwrap()).to_vec();
    assert!(expiries.windows(2).all(|two| (5..=8).contains(&(two[1] - two[0]))), "{expiries:?}");

    let log = broker.logged();
    for secret in [SECRET, &first.1, &second.1, &third.1] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let _ = std::fs::remove_dir_all(&folder);
}
