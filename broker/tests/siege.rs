//! Under siege: silent, slow and flooding connections, 500 of each on every port at once, from
//! twenty addresses. Somebody else still connects, joins and relays, quickly, and the broker's
//! memory stays bounded. Prints its figures; those that count are a release build's:
//! `cargo test --release -p broker --test siege -- --nocapture`. Without optimisation everything takes ten times as
//! long, so there it is a smaller siege and nothing is said of time but that all of it ends.

#[path = "support/relay.rs"]
mod relay;
mod support;

use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use serde_json::json;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::client::{BOTH, Client, Hello, V3};
use support::{Broker, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

/// Of each kind, on each port.
const EACH: usize = if cfg!(debug_assertions) { 50 } else { 500 };
const ADDRESSES: usize = 20;
/// Rounds of connect, join and relay that are timed.
const ROUNDS: usize = 40;
const MEDIAN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2000 } else { 100 });
/// What the siege may cost, besides what the broker has anyway.
const MEMORY_KIB: u64 = 300 * 1024;
/// A besieger that was thrown out comes back after this time.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// How MQTT goes over a port.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Transport {
    Tcp,
    WebSocket,
}

#[derive(Debug, Clone, Copy)]
struct Port {
    address: SocketAddr,
    transport: Transport,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Connects and says nothing.
    Silent,
    /// Says a byte a second.
    Slow,
    /// Is let in, and publishes as fast as the socket takes it.
    Flooding,
}

/// What the besiegers have done so far.
#[derive(Default)]
struct Tally {
    open: [AtomicUsize; 3],
    came: [AtomicUsize; 3],
    over: AtomicBool,
}

impl Port {
    async fn open(self, number: usize) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let host = 2 + u8::try_from(number % ADDRESSES).unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// What goes before the first byte of MQTT.
    fn greeting(self) -> String {
        match self.transport {
            Transport::Tcp => String::new(),
            Transport::WebSocket => format!(
                "GET /mqtt HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2llZ2UgYnkgbWFueSE9PQ==\r\n\
                 Sec-WebSocket-Protocol: mqtt\r\n\r\n",
                self.address
            ),
        }
    }

    /// Bytes of MQTT as they go over the wire: as they are, or in one frame with a mask of zeros (RFC 6455 §5.2).
    fn wrap(self, bytes: &[u8]) -> Vec<u8> {
        match self.transport {
            Transport::Tcp => bytes.to_vec(),
            Transport::WebSocket => {
                let mut frame = vec![0x82, 0xFE];
                frame.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
                frame.extend([0; 4]);
                frame.extend_from_slice(bytes);
                frame
            }
        }
    }
}

/// One besieger, until the siege is over.
async fn besiege(port: Port, kind: Kind, number: usize, tally: Arc<Tally>) {
    while !tally.over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = port.open(number).await {
            tally.came[kind as usize].fetch_add(1, Ordering::Relaxed);
            tally.open[kind as usize].fetch_add(1, Ordering::Relaxed);
            let _ = annoy(&mut stream, port, kind, number, &tally).await;
            tally.open[kind as usize].fetch_sub(1, Ordering::Relaxed);
        }
        sleep(BACK_AFTER).await;
    }
}

/// Until it is thrown out.
async fn annoy(stream: &mut TcpStream, port: Port, kind: Kind, number: usize, tally: &Tally) -> io::Result<()> {
    let id = format!("{kind:?}-{:?}-{number}", port.transport);
    let connect = port.wrap(&Hello::new(V3, &id).packet().to_continuous_buffer());
    let mut answer = [0; 1024];
    match kind {
        Kind::Silent => while stream.read(&mut answer).await? > 0 {},
        Kind::Slow => {
            let all = [port.greeting().into_bytes(), connect].concat();
            for byte in all {
                stream.write_all(&[byte]).await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::Flooding => {
            stream.write_all(port.greeting().as_bytes()).await?;
            if port.transport == Transport::WebSocket {
                let _ = stream.read(&mut answer).await?;
            }
            stream.write_all(&connect).await?;
            let topic = format!("rooms/siege/alice/{id}");
            let mut packet = vec![0x30, u8::try_from(2 + topic.len() + 16).unwrap(), 0];
            packet.push(u8::try_from(topic.len()).unwrap());
            packet.extend(topic.as_bytes());
            packet.extend(b"{\"type\":\"ready\"}");
            let many = port.wrap(&packet.repeat(100));
            while !tally.over.load(Ordering::Relaxed) {
                stream.write_all(&many).await?;
            }
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

#[test]
fn others_still_meet_while_hundreds_are_silent_slow_and_flooding_on_every_port() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut broker = Broker::with(&["--exempt=", "--log=warn"], "");
    let ports = [
        Port { address: broker.mqtt, transport: Transport::Tcp },
        Port { address: broker.http, transport: Transport::WebSocket },
    ];
    let (before, _) = memory(&broker);
    let tally = Arc::new(Tally::default());
    let besiegers = std::thread::spawn({
        let tally = tally.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for port in ports {
                    for kind in [Kind::Silent, Kind::Slow, Kind::Flooding] {
                        for number in 0..EACH {
                            tokio::spawn(besiege(port, kind, number, tally.clone()));
                        }
                    }
                }
                while !tally.over.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(50)).await;
                }
            });
        }
    });
    let deadline = Instant::now() + PATIENCE;
    // Each of them has come once; those who say nothing in time are thrown out, and come again.
    while tally.came.iter().any(|came| came.load(Ordering::Relaxed) < 2 * EACH) {
        assert!(Instant::now() < deadline, "{:?}", tally.came);
        std::thread::sleep(Duration::from_millis(10));
    }

    let by_websocket = relay::start(broker.http);
    let doors = [broker.mqtt, by_websocket];
    let (mut connects, mut joins, mut relays) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        broker.mqtt = doors[round % 2];
        let room = format!("room-{round}");
        let begin = Instant::now();
        let mut alice = Client::peer(&broker, BOTH[round / 2 % 2], &format!("alice-{round}"));
        connects.push(begin.elapsed());
        let mut bob = Client::peer(&broker, V3, &format!("bob-{round}"));
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
    let open: Vec<usize> = tally.open.iter().map(|open| open.load(Ordering::Relaxed)).collect();
    tally.over.store(true, Ordering::Relaxed);
    let came: usize = tally.came.iter().map(|came| came.load(Ordering::Relaxed)).sum();
    let (_, peak) = memory(&broker);
    besiegers.join().unwrap();
    let worst = connects.iter().chain(&joins).chain(&relays).max().copied().unwrap();
    let (connect, join, relay) = (median(&mut connects), median(&mut joins), median(&mut relays));
    println!(
        "siege: {open:?} silent, slow, flooding at the end, {came} came in all; medians of {ROUNDS}: \
         connect and subscribe {connect:?}, join {join:?}, relay {relay:?}, worst {worst:?}; \
         memory {before} KiB before, {peak} KiB at most"
    );
    for (what, time) in [("connect", connect), ("join", join), ("relay", relay)] {
        assert!(time < MEDIAN, "{what}: {time:?}");
    }
    assert!(peak < before + MEMORY_KIB, "{peak} KiB");
    assert!(!broker.logged().contains("panicked"));
}
