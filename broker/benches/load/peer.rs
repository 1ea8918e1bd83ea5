//! One peer of a room: it comes in, says what the workload has it say, and goes.
//!
//! At a broker without rooms two peers stand for a room: each knows the other's name beforehand. They use the same
//! topics, and the narrowest filters there are, which are the cheapest.

use crate::body::{self, Bodies, Kind};
use crate::connection::{Connection, Transport};
use crate::wire;
use anyhow::{Context, Result, bail, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Loopback addresses to connect from.
const SOURCES: usize = 20;

/// Bytes of what browsers say, about.
const DESCRIPTION: usize = 3000;
const CANDIDATE: usize = 300;

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
    connection: Connection,
    agent_topic: String,
    other_topic: String,
    qos: u8,
    packet_id: u16,
}

impl Peer {
    /// Connects, subscribes and joins, one after another as clients do, each when the last is confirmed.
    pub async fn join(site: &Site, room: &str, side: Side) -> Result<Self> {
        let mut peer = Self::connect(site, room, side).await?;
        if site.has_rooms {
            peer.tell_agent(br#"{"type":"join"}"#);
            let answer = if side == Side::A { "created" } else { "joined" };
            peer.hear_agent(answer).await.with_context(|| format!("{side:?} joins {room}"))?;
        }
        Ok(peer)
    }

    /// Connects and subscribes, and goes into no room.
    pub async fn connect(site: &Site, room: &str, side: Side) -> Result<Self> {
        let (me, other) = match side {
            Side::A => (format!("{room}-a"), format!("{room}-b")),
            Side::B => (format!("{room}-b"), format!("{room}-a")),
        };
        let mut connection = site.open().await?;
        wire::connect(&mut connection.out, &me);
        let mut peer = Self {
            connection,
            agent_topic: format!("rooms/{room}/agent/{me}"),
            other_topic: format!("rooms/{room}/{other}/{me}"),
            qos: site.qos,
            packet_id: 0,
        };
        peer.expect(wire::CONNACK, &[0, 0]).await?;
        let filter = if site.has_rooms { format!("rooms/+/{me}/+") } else { format!("rooms/{room}/{me}/{other}") };
        wire::subscribe(&mut peer.connection.out, &filter, site.qos);
        peer.expect(wire::SUBACK, &[0, 1, site.qos]).await?;
        Ok(peer)
    }

    /// Connects, and tells the code of CONNACK.
    pub async fn knock(site: &Site, id: &str) -> Result<u8> {
        let mut connection = site.open().await?;
        wire::connect(&mut connection.out, id);
        loop {
            if let Some((first, body)) = connection.packet()? {
                ensure!(first >> 4 == wire::CONNACK && body.len() == 2, "packet {first:#x} in place of CONNACK");
                return Ok(body[1]);
            }
            connection.fill().await?;
        }
    }

    async fn expect(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        loop {
            if let Some((first, came)) = self.connection.packet()? {
                ensure!(first >> 4 == kind && came == body, "packet {first:#x} with {came:?} in place of {body:?}");
                return Ok(());
            }
            self.connection.fill().await?;
        }
    }

    fn next_id(&mut self) -> u16 {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.packet_id
    }

    fn tell_agent(&mut self, payload: &[u8]) {
        let id = self.next_id();
        wire::publish(&mut self.connection.out, &self.agent_topic, self.qos, id, payload);
    }

    /// The next message, acknowledged, as `read` understands it; what that has no use for is passed over.
    async fn hear<T>(&mut self, mut read: impl FnMut(wire::Message<'_>) -> Result<Option<T>>) -> Result<T> {
        loop {
            while let Some((first, body)) = self.connection.packet()? {
                match first >> 4 {
                    wire::PUBLISH => {
                        let message = wire::message(first, body).context("a PUBLISH that is too short")?;
                        let id = message.id;
                        let read = read(message)?;
                        if let Some(id) = id {
                            wire::puback(&mut self.connection.out, id);
                        }
                        if let Some(read) = read {
                            return Ok(read);
                        }
                    }
                    wire::PUBACK => {}
                    _ => bail!("packet {first:#x} in place of a message"),
                }
            }
            self.connection.fill().await?;
        }
    }

    async fn hear_agent(&mut self, kind: &str) -> Result<()> {
        let wanted = format!(r#""type":"{kind}""#).into_bytes();
        self.hear(|message| {
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
        let (payload, id) = (site.bodies.stamped(kind), self.next_id());
        wire::publish(&mut self.connection.out, &self.other_topic, self.qos, id, &payload);
    }

    /// The next signal of the other peer, and how many nanoseconds it took. May be given up and called again.
    pub async fn listen(&mut self) -> Result<(Kind, u64)> {
        self.hear(|message| {
            if message.topic.ends_with(b"/agent") {
                let is_arrival = message.payload.windows(9).any(|window| window == br#""arrived""#);
                ensure!(is_arrival, "the agent said {}", String::from_utf8_lossy(message.payload));
                return Ok(None);
            }
            body::read(message.payload).context("a signal that nobody sent").map(Some)
        })
        .await
    }

    /// The same, when it is known what comes.
    pub async fn hear_kind(&mut self, kind: Kind) -> Result<u64> {
        let (came, ns) = self.listen().await?;
        ensure!(came == kind, "{came:?} in place of {kind:?}");
        Ok(ns)
    }

    /// Shows that it is there, and waits for the answer. Nothing else may be on its way.
    pub async fn ping(&mut self) -> Result<()> {
        self.connection.out.extend_from_slice(&wire::PINGREQ);
        self.expect(wire::PINGRESP, &[]).await
    }

    /// Sends what is prepared, and acknowledges what has come.
    pub async fn settle(&mut self) -> Result<()> {
        self.connection.flush().await
    }

    pub async fn leave(mut self) -> Result<()> {
        self.connection.out.extend_from_slice(&wire::DISCONNECT);
        self.connection.close().await
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_open()
    }
}
