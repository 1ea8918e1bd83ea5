//! One peer of a room: it comes in, says what the workload has it say, and goes.
//!
//! At a broker without rooms two peers stand for a room: each knows the other's name beforehand. They use the same
//! topics, and the narrowest filters there are, which are the cheapest.

use super::body::{self, Bodies, Kind};
use super::client::{Client, KEEP_ALIVE_SECONDS};
use super::connection::{Connection, Transport};
use super::wire::{Hello, Version};
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Loopback addresses to connect from.
const SOURCES: usize = 20;

/// Bytes of what browsers say, about.
const DESCRIPTION: usize = 3000;
const CANDIDATE: usize = 300;

/// Candidates of each side.
const CANDIDATES: usize = 8;

/// The server as peers see it.
pub struct Site {
    pub address: SocketAddr,
    pub transport: Transport,
    pub qos: u8,
    /// Whether it has rooms, to be joined.
    pub has_rooms: bool,
    pub bodies: Bodies,
    connections: AtomicUsize,
}

impl Site {
    pub fn new(address: SocketAddr, transport: Transport, qos: u8, has_rooms: bool) -> Self {
        let bodies = Bodies::new(DESCRIPTION, CANDIDATE);
        Self { address, transport, qos, has_rooms, bodies, connections: AtomicUsize::new(0) }
    }

    /// The same server, where candidates have so many bytes.
    pub fn with_candidates_of(&self, bytes: usize) -> Self {
        let Self { address, transport, qos, has_rooms, .. } = *self;
        Self { bodies: Bodies::new(DESCRIPTION, bytes), ..Self::new(address, transport, qos, has_rooms) }
    }

    async fn open(&self) -> Result<Connection> {
        let source = self.connections.fetch_add(1, Ordering::Relaxed) % SOURCES;
        Connection::open(self.address, self.transport, Ipv4Addr::new(127, 0, 1, 1 + source as u8)).await
    }
}

/// Who comes first, and who second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    A,
    B,
}

pub struct Peer {
    client: Client,
    room: String,
    agent_topic: String,
    other_topic: String,
    qos: u8,
}

impl Peer {
    /// Connects, subscribes and joins, one after another as clients do, each when the last is confirmed.
    pub async fn join(site: &Site, room: &str, side: Side) -> Result<Self> {
        let mut peer = Self::connect(site, room, side).await?;
        if site.has_rooms {
            let answer = if side == Side::A { "created" } else { "joined" };
            peer.ask(answer).await.with_context(|| format!("{side:?} joins {room}"))?;
        }
        Ok(peer)
    }

    /// Connects and subscribes, and goes into no room.
    pub async fn connect(site: &Site, room: &str, side: Side) -> Result<Self> {
        let (me, other) = match side {
            Side::A => (format!("{room}-a"), format!("{room}-b")),
            Side::B => (format!("{room}-b"), format!("{room}-a")),
        };
        let client = Client::connect(site.open().await?, &hello(&me)).await?;
        let filter = if site.has_rooms { format!("rooms/+/{me}/+") } else { format!("rooms/{room}/{me}/{other}") };
        Self::seat(client, room, &me, &other, &filter, site.qos).await
    }

    /// Subscribes for a client that has come in.
    pub async fn seat(mut client: Client, room: &str, me: &str, other: &str, filter: &str, qos: u8) -> Result<Self> {
        let granted = client.subscribe(filter, qos).await?;
        ensure!(granted == qos, "SUBACK with {granted:#x}");
        Ok(Self {
            client,
            agent_topic: format!("rooms/{room}/agent/{me}"),
            other_topic: format!("rooms/{room}/{other}/{me}"),
            room: room.to_owned(),
            qos,
        })
    }

    /// Connects, and tells the code of CONNACK.
    pub async fn knock(site: &Site, id: &str) -> Result<u8> {
        Ok(Client::knock(site.open().await?, &hello(id)).await?.1)
    }

    /// Asks the agent to be let into the room, and expects this kind of answer.
    pub async fn ask(&mut self, answer: &str) -> Result<()> {
        self.tell_agent(br#"{"type":"join"}"#);
        self.hear_agent(answer).await
    }

    pub fn tell_agent(&mut self, payload: &[u8]) {
        self.client.publish(&self.agent_topic, self.qos, payload);
    }

    pub async fn hear_agent(&mut self, kind: &str) -> Result<()> {
        let wanted = format!(r#""type":"{kind}""#).into_bytes();
        self.client
            .hear(|message| {
                let payload = message.payload;
                ensure!(
                    payload.windows(wanted.len()).any(|window| window == wanted),
                    "{} in place of {kind}",
                    String::from_utf8_lossy(payload)
                );
                Ok(Some(()))
            })
            .await
    }

    /// Says something to the other peer. May not be given up.
    pub async fn say(&mut self, site: &Site, kind: Kind) -> Result<()> {
        self.prepare(site, kind);
        self.settle().await
    }

    /// Says it with what is said next.
    pub fn prepare(&mut self, site: &Site, kind: Kind) {
        self.client.publish(&self.other_topic, self.qos, &site.bodies.stamped(kind));
    }

    /// The next signal of the other peer, and how many nanoseconds it took. May be given up and called again.
    pub async fn listen(&mut self) -> Result<(Kind, u64)> {
        self.client
            .hear(|message| {
                if message.topic.ends_with(b"/agent") {
                    // Somebody has come in, or the credentials for the relay are renewed.
                    let has = |word: &[u8]| message.payload.windows(word.len()).any(|window| window == word);
                    ensure!(
                        has(br#""type":"arrived""#) || has(br#""type":"ice-servers""#),
                        "the agent said {}",
                        String::from_utf8_lossy(message.payload)
                    );
                    return Ok(None);
                }
                body::read(message.payload).context("a signal that nobody sent").map(Some)
            })
            .await
    }

    /// The same, when it is known what comes.
    pub async fn hear_kind(&mut self, kind: Kind) -> Result<u64> {
        let (came, ns) = self.listen().await?;
        ensure!(came == kind, "{came:?} in place of {kind:?} in {}", self.room);
        Ok(ns)
    }

    /// Shows that it is there, and waits for the answer. Nothing else may be on its way.
    pub async fn ping(&mut self) -> Result<()> {
        self.client.ping().await
    }

    /// Sends what is prepared, and acknowledges what has come.
    pub async fn settle(&mut self) -> Result<()> {
        self.client.connection.flush().await
    }

    pub async fn leave(self) -> Result<()> {
        self.client.disconnect().await
    }

    pub fn is_connected(&self) -> bool {
        self.client.connection.is_open()
    }

    /// The connection alone, to be treated badly.
    pub fn into_connection(self) -> Connection {
        self.client.connection
    }
}

/// A call is set up between two that have joined: `ready`, offer, answer, eight candidates from each side in turn. `took`
/// is told of every signal how many nanoseconds it took.
pub async fn negotiate(site: &Site, a: &mut Peer, b: &mut Peer, mut took: impl FnMut(u64)) -> Result<()> {
    b.say(site, Kind::Ready).await?;
    took(a.hear_kind(Kind::Ready).await?);
    a.say(site, Kind::Offer).await?;
    took(b.hear_kind(Kind::Offer).await?);
    b.say(site, Kind::Answer).await?;
    took(a.hear_kind(Kind::Answer).await?);
    for _ in 0..CANDIDATES {
        a.say(site, Kind::Candidate).await?;
        took(b.hear_kind(Kind::Candidate).await?);
        b.say(site, Kind::Candidate).await?;
        took(a.hear_kind(Kind::Candidate).await?);
    }
    Ok(())
}

fn hello(id: &str) -> Hello<'_> {
    Hello { version: Version::V3, id, is_clean: true, keep_alive: KEEP_ALIVE_SECONDS, expiry: 0, login: None }
}
