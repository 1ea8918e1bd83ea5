//! `cargo bench -p broker`: many distinct rooms, one after another, through the real binary.
//!
//! A server that remembers names gets slower and bigger with every room that ever was. In each room
//! two peers connect, subscribe, join, exchange four signals, leave and disconnect. Printed are the
//! server's CPU per room and the rooms per second of the first and the last tenth after a warm-up,
//! and what its memory has grown by. Figures only; nothing is asserted. They are read from /proc,
//! so this needs Linux.
//!
//! `ROOMS=50000 WARM_UP=5000 AT_ONCE=16 cargo bench -p broker`

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);
const SOURCES: usize = 20;

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
    };
    let (rooms, warm_up, at_once) = (number("ROOMS", 50_000), number("WARM_UP", 5_000), number("AT_ONCE", 16));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("{rooms} rooms after {warm_up} to warm up, {at_once} at a time; 3.1.1 over TCP, QoS 0\n");
    println!("| part | rooms | rooms/s | server CPU µs/room | server RSS KiB |");
    println!("|---|---:|---:|---:|---:|");
    let server = Server::start();
    runtime.block_on(async {
        let tenth = (rooms / 10).max(1);
        let mut next = 0;
        let mut run = async |part: &str, count: usize| {
            let (begin, cpu) = (Instant::now(), server.cpu_ticks());
            churn(server.address, next..next + count, at_once).await;
            next += count;
            let seconds = begin.elapsed().as_secs_f64();
            let micros = (server.cpu_ticks() - cpu) as f64 * 10_000.0 / count as f64;
            let rss = server.rss_kib();
            println!("| {part} | {count} | {:.0} | {micros:.0} | {rss} |", count as f64 / seconds);
            (count as f64 / seconds, micros, rss)
        };
        let (_, _, before) = run("warm-up", warm_up).await;
        let first = run("first tenth", tenth).await;
        run("between", rooms.saturating_sub(2 * tenth)).await;
        let last = run("last tenth", tenth).await;
        let grown = (last.2 as f64 - before as f64) * 1024.0 / rooms as f64;
        println!();
        println!("rate of the last tenth against the first: {:+.1} %", (last.0 / first.0 - 1.0) * 100.0);
        println!("CPU of the last tenth against the first: {:+.1} %", (last.1 / first.1 - 1.0) * 100.0);
        println!("memory grown since the warm-up: {grown:.1} bytes a room");
    });
}

/// The real binary, ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        use std::io::BufRead;
        let state = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("churn");
        let mut child = Command::new(env!("CARGO_BIN_EXE_broker"))
            .args(["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log", "warn", "--state-dir"])
            .arg(state)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        io::BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("mqtt listening on ").expect("its address").parse().expect("an address");
        Self { child, address }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("a process of Linux")
    }

    /// User and system time in ticks of 10 ms (proc(5): fields 14 and 15 of stat).
    fn cpu_ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
        fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
    }

    fn rss_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays rooms, `at_once` at a time.
async fn churn(server: SocketAddr, rooms: std::ops::Range<usize>, at_once: usize) {
    let next = std::rc::Rc::new(std::cell::Cell::new(rooms.start));
    let players = (0..at_once).map(|_| {
        let next = next.clone();
        let end = rooms.end;
        async move {
            while next.get() < end {
                let room = next.replace(next.get() + 1);
                let played = tokio::time::timeout(PATIENCE, play(server, room)).await;
                played.expect("a room in time").expect("a room without errors");
            }
        }
    });
    let local = tokio::task::LocalSet::new();
    let players: Vec<_> = players.map(|player| local.spawn_local(player)).collect();
    local
        .run_until(async {
            for player in players {
                player.await.expect("a player")
            }
        })
        .await;
}

/// One room: two peers come, talk and go.
async fn play(server: SocketAddr, room: usize) -> io::Result<()> {
    let mut alice = Peer::join(server, room, "a").await?;
    alice.hear("created").await?;
    let mut bob = Peer::join(server, room, "b").await?;
    bob.hear("joined").await?;
    alice.hear("arrived").await?;
    for kind in ["offer", "candidate"] {
        alice.signal(kind).await?;
        bob.hear(kind).await?;
        bob.signal(kind).await?;
        alice.hear(kind).await?;
    }
    alice.leave().await?;
    bob.leave().await
}

struct Peer {
    socket: TcpStream,
    room: usize,
    side: &'static str,
    heard: Vec<u8>,
}

impl Peer {
    /// CONNECT, SUBSCRIBE and the join in one piece.
    async fn join(server: SocketAddr, room: usize, side: &'static str) -> io::Result<Self> {
        // From several addresses: 100,000 connections a minute from one would come to ports that the
        // kernel still remembers.
        let source = Ipv4Addr::new(127, 0, 0, 1 + (room % SOURCES) as u8);
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((source, 0).into())?;
        let mut socket = socket.connect(server).await?;
        socket.set_nodelay(true)?;
        let id = format!("{side}{room}");
        let mut bytes = Vec::with_capacity(256);
        packet(&mut bytes, 0x10, &[b"\0\x04MQTT\x04\x02\x02\x58", &text(&id)]);
        packet(&mut bytes, 0x82, &[&[0, 1], &text(&format!("rooms/+/{id}/+")), &[0]]);
        packet(&mut bytes, 0x30, &[&text(&format!("rooms/r{room}/agent/{id}")), br#"{"type":"join"}"#]);
        socket.write_all(&bytes).await?;
        Ok(Self { socket, room, side, heard: Vec::new() })
    }

    /// Waits until a message of this type has come.
    async fn hear(&mut self, kind: &str) -> io::Result<()> {
        let wanted = format!(r#""type":"{kind}""#).into_bytes();
        loop {
            if let Some(at) = self.heard.windows(wanted.len()).position(|window| window == wanted) {
                self.heard.drain(..at + wanted.len());
                return Ok(());
            }
            if self.socket.read_buf(&mut self.heard).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn signal(&mut self, kind: &str) -> io::Result<()> {
        let Self { room, side, .. } = self;
        let other = if *side == "a" { "b" } else { "a" };
        let mut bytes = Vec::with_capacity(512);
        let body = format!(r#"{{"type":"{kind}","pad":"{}"}}"#, "x".repeat(270));
        packet(&mut bytes, 0x30, &[&text(&format!("rooms/r{room}/{other}{room}/{side}{room}")), body.as_bytes()]);
        self.socket.write_all(&bytes).await
    }

    async fn leave(mut self) -> io::Result<()> {
        let Self { room, side, .. } = self;
        let mut bytes = Vec::with_capacity(64);
        packet(&mut bytes, 0x30, &[&text(&format!("rooms/r{room}/agent/{side}{room}")), br#"{"type":"leave"}"#]);
        bytes.extend([0xE0, 0]);
        self.socket.write_all(&bytes).await?;
        while self.socket.read_buf(&mut self.heard).await? > 0 {} // until the server has closed
        Ok(())
    }
}

/// An MQTT 3.1.1 packet of less than 16 KiB.
fn packet(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(first);
    if length > 0x7F {
        out.extend([(length & 0x7F) as u8 | 0x80, (length >> 7) as u8]);
    } else {
        out.push(length as u8);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A string with its length before it.
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}
