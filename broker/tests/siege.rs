//! Under siege: silent, slow and flooding connections, 500 of each on every port at once, from
//! twenty addresses. Somebody else still connects, joins and relays through each door in turn, quickly, and the
//! broker's memory stays bounded. There are two sieges, as a broker whose pages are at HTTPS serves no WebSocket at
//! its plain port. Prints its figures; those that count are a release build's:
//! `cargo test --release -p broker --test siege -- --nocapture`. Without optimisation
//! everything takes ten times as long, so there it is a smaller siege and nothing is said of time but that all of it
//! ends.

mod support;

use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use serde_json::json;
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::client::{BOTH, Client, Hello, V3};
use support::tls::{Encrypted, dial, trusting, upgrade};
use support::{Broker, PATIENCE};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

/// Of each kind, on each port.
const EACH: usize = if cfg!(debug_assertions) { 50 } else { 500 };
const ADDRESSES: usize = 20;
/// Rounds of connect, join and relay that are timed; as many through each door.
const ROUNDS: usize = 48;
/// What the medians stay under, the besiegers having their share of the same two cores.
const BOUND: Duration = Duration::from_millis(if cfg!(debug_assertions) { 4000 } else { 100 });
/// What the siege may cost, besides what the broker has anyway.
const MEMORY_KIB: u64 = 300 * 1024;
/// A besieger that was thrown out comes back after this time.
const BACK_AFTER: Duration = Duration::from_secs(1);
const FLAGS: [&str; 3] = ["--exempt=", "--log=warn", "--admin=127.0.0.1:0"];

/// What goes over a port.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Transport {
    Tcp,
    Ws,
    Tls,
    Wss,
    /// HTTP that leads to HTTPS, and has no MQTT.
    Redirect,
}

#[derive(Clone)]
struct Port {
    address: SocketAddr,
    transport: Transport,
    /// For clients of an encrypted port.
    tls: Option<Arc<ClientConfig>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Connects and says nothing.
    Silent,
    /// Says a byte a second, of what anybody would say first.
    Slow,
    /// Is let in, and publishes (or asks for a page) as fast as the socket takes it.
    Flooding,
}

/// What the besiegers have done so far.
#[derive(Default)]
struct Tally {
    open: [AtomicUsize; 3],
    came: [AtomicUsize; 3],
    /// Flooding ones that have begun to flood.
    inside: AtomicUsize,
    over: AtomicBool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Port {
    fn plain(address: SocketAddr, transport: Transport) -> Self {
        Self { address, transport, tls: None }
    }

    async fn open(&self, number: usize) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let host = 2 + u8::try_from(number % ADDRESSES).unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The handshake, where there is one.
    async fn encrypt(&self, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let Some(tls) = self.tls.clone() else { return Ok(Box::new(stream)) };
        Ok(Box::new(TlsConnector::from(tls).connect("localhost".try_into().unwrap(), stream).await?))
    }

    /// The first bytes on the wire.
    fn first(&self, id: &str) -> Vec<u8> {
        let Some(tls) = self.tls.clone() else { return [self.greeting().into_bytes(), self.connect(id)].concat() };
        let mut hello = Vec::new();
        ClientConnection::new(tls, "localhost".try_into().unwrap()).unwrap().write_tls(&mut hello).unwrap();
        hello
    }

    /// What goes before the first byte of MQTT.
    fn greeting(&self) -> String {
        match self.transport {
            Transport::Tcp | Transport::Tls => String::new(),
            Transport::Ws | Transport::Wss => format!(
                "GET /mqtt HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2llZ2UgYnkgbWFueSE9PQ==\r\n\
                 Sec-WebSocket-Protocol: mqtt\r\n\r\n",
                self.address
            ),
            Transport::Redirect => format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.address),
        }
    }

    /// CONNECT as it goes over the port.
    fn connect(&self, id: &str) -> Vec<u8> {
        self.wrap(&Hello::new(V3, id).packet().to_continuous_buffer())
    }

    /// Bytes of MQTT as they go over the port: as they are, or in one frame with a mask of zeros (RFC 6455 §5.2).
    fn wrap(&self, bytes: &[u8]) -> Vec<u8> {
        match self.transport {
            Transport::Tcp | Transport::Tls => bytes.to_vec(),
            Transport::Ws | Transport::Wss => {
                let mut frame = vec![0x82, 0xFE];
                frame.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
                frame.extend([0; 4]);
                frame.extend_from_slice(bytes);
                frame
            }
            Transport::Redirect => Vec::new(),
        }
    }

    /// What is sent over and over.
    fn flood(&self, id: &str) -> Vec<u8> {
        if self.transport == Transport::Redirect {
            return self.greeting().repeat(100).into_bytes();
        }
        let topic = format!("rooms/siege/alice/{id}");
        let mut packet = vec![0x30, u8::try_from(2 + topic.len() + 16).unwrap(), 0];
        packet.push(u8::try_from(topic.len()).unwrap());
        packet.extend(topic.as_bytes());
        packet.extend(b"{\"type\":\"ready\"}");
        self.wrap(&packet.repeat(100))
    }

    /// Somebody who means well: connected, and subscribed to its inbox.
    fn peer(&self, version: mqtt_protocol_core::mqtt::Version, id: &str) -> Client {
        let hello = Hello::new(version, id);
        let plain = || {
            let stream = net::TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        };
        let encrypted = || dial(self.address, self.tls.as_ref().unwrap()).unwrap();
        let (mut client, code) = match self.transport {
            Transport::Tcp => Client::over(plain(), &hello),
            Transport::Ws => Client::over(upgrade(plain(), &[]).unwrap(), &hello),
            Transport::Tls => Client::over(encrypted(), &hello),
            Transport::Wss => Client::over(upgrade(encrypted(), &[]).unwrap(), &hello),
            Transport::Redirect => unreachable!("nobody is let in here"),
        };
        assert_eq!(code, Some(0), "{id} is let in over {:?}", self.transport);
        assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
        client
    }
}

/// One besieger, until the siege is over.
async fn besiege(port: Port, kind: Kind, number: usize, tally: Arc<Tally>) {
    while !tally.over.load(Ordering::Relaxed) {
        if let Ok(stream) = port.open(number).await {
            tally.came[kind as usize].fetch_add(1, Ordering::Relaxed);
            tally.open[kind as usize].fetch_add(1, Ordering::Relaxed);
            let _ = annoy(stream, &port, kind, number, &tally).await;
            tally.open[kind as usize].fetch_sub(1, Ordering::Relaxed);
        }
        sleep(BACK_AFTER).await;
    }
}

/// Until it is thrown out.
async fn annoy(mut stream: TcpStream, port: &Port, kind: Kind, number: usize, tally: &Tally) -> io::Result<()> {
    let id = format!("{kind:?}-{:?}-{number}", port.transport);
    let mut answer = [0; 1024];
    match kind {
        Kind::Silent => while stream.read(&mut answer).await? > 0 {},
        Kind::Slow => {
            for byte in port.first(&id) {
                stream.write_all(&[byte]).await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::Flooding => {
            let mut stream = port.encrypt(stream).await?;
            for step in [port.greeting().into_bytes(), port.connect(&id)] {
                if !step.is_empty() {
                    stream.write_all(&step).await?;
                    stream.flush().await?;
                    if stream.read(&mut answer).await? == 0 {
                        return Ok(());
                    }
                }
            }
            tally.inside.fetch_add(1, Ordering::Relaxed);
            let flood = port.flood(&id);
            let (mut reader, mut writer) = tokio::io::split(stream);
            // It takes the answers, so that they do not hold it up.
            let take = async {
                while reader.read(&mut answer).await? > 0 {}
                io::Result::Ok(())
            };
            let send = async {
                while !tally.over.load(Ordering::Relaxed) {
                    writer.write_all(&flood).await?;
                }
                Ok(())
            };
            return tokio::select! { done = take => done, done = send => done };
        }
    }
    Ok(())
}

/// Kilobytes that the broker has resident, now and at most (proc(5)).
fn memory(broker: &Broker) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// All besiegers of all ports, in a thread of their own.
fn begin(ports: Vec<Port>, tally: Arc<Tally>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for port in ports {
                for kind in [Kind::Silent, Kind::Slow, Kind::Flooding] {
                    for number in 0..EACH {
                        tokio::spawn(besiege(port.clone(), kind, number, tally.clone()));
                    }
                }
            }
            while !tally.over.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(50)).await;
            }
        });
    })
}

/// Besieges `ports`, and has others meet there all the same.
fn others_meet_under_siege(broker: &Broker, ports: &[Port]) {
    // One siege at a time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (before, _) = memory(broker);
    let tally = Arc::new(Tally::default());
    let besiegers = begin(ports.to_vec(), tally.clone());
    let deadline = Instant::now() + PATIENCE;
    let count = |counts: &[AtomicUsize; 3]| counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    // Each of them has come once, and all who flood do; who says nothing in time is thrown out, and comes again.
    let all = ports.len() * EACH;
    while count(&tally.came).iter().any(|came| *came < all) || tally.inside.load(Ordering::Relaxed) < all {
        assert!(Instant::now() < deadline, "{:?}, {:?}", tally.came, tally.inside);
        std::thread::sleep(Duration::from_millis(10));
    }

    let doors: Vec<&Port> = ports.iter().filter(|port| port.transport != Transport::Redirect).collect();
    let mut times = vec![[const { Vec::new() }; 3]; doors.len()];
    for round in 0..ROUNDS {
        let at = round % doors.len();
        let [connects, joins, relays] = &mut times[at];
        let room = format!("room-{round}");
        let begin = Instant::now();
        let mut alice = doors[at].peer(BOTH[round / doors.len() % 2], &format!("alice-{round}"));
        connects.push(begin.elapsed());
        let mut bob = doors[at].peer(V3, &format!("bob-{round}"));
        let begin = Instant::now();
        assert_eq!(alice.join(&room)["type"], "created");
        joins.push(begin.elapsed());
        assert_eq!(bob.join(&room)["type"], "joined");
        alice.expect(&["arrived"]);
        let begin = Instant::now();
        bob.signal(&room, &alice.id, &json!({"type": "ready"}));
        alice.expect(&["ready"]);
        relays.push(begin.elapsed());
        alice.disconnect();
        bob.disconnect();
    }
    let (open, came) = (count(&tally.open), count(&tally.came));
    tally.over.store(true, Ordering::Relaxed);
    let (_, peak) = memory(broker);
    besiegers.join().unwrap();
    println!(
        "siege: {open:?} silent, slow, flooding at the end, {came:?} came in all, {:?} times one began to flood; \
         memory {before} KiB before, {peak} KiB at most",
        tally.inside
    );
    let mut slow = Vec::new();
    for (door, times) in doors.iter().zip(&mut times) {
        for (what, times) in ["connect and subscribe", "join", "relay"].into_iter().zip(times) {
            let (time, worst) = (median(times), times.iter().max().copied().unwrap());
            println!("  {:?}: {what}: median {time:?}, worst {worst:?}", door.transport);
            if time >= BOUND {
                slow.push(format!("{what} over {:?}: {time:?}", door.transport));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    assert!(peak < before + MEMORY_KIB, "{peak} KiB");
    assert!(!broker.logged().contains("panicked"));
    broker.settled();
}

#[test]
fn others_still_meet_while_hundreds_are_silent_slow_and_flooding_on_every_plain_port() {
    let broker = Broker::with(&FLAGS, "");
    let ports = [Port::plain(broker.mqtt, Transport::Tcp), Port::plain(broker.http, Transport::Ws)];
    others_meet_under_siege(&broker, &ports);
}

#[test]
fn others_still_meet_while_hundreds_are_silent_slow_and_flooding_on_encrypted_ports_and_plain_ones_beside_them() {
    let encrypted = Encrypted::with(&FLAGS);
    let tls = Some(trusting(&encrypted.authority.pem, &TLS13, None));
    let broker = &encrypted.broker;
    let ports = [
        Port::plain(broker.mqtt, Transport::Tcp),
        Port::plain(broker.http, Transport::Redirect),
        Port { address: encrypted.mqtts(), transport: Transport::Tls, tls: tls.clone() },
        Port { address: encrypted.https(), transport: Transport::Wss, tls },
    ];
    others_meet_under_siege(broker, &ports);
}
