//! One peer of a room: it comes in, says what the workload has it say, and goes.
//!
//! At a broker without rooms two peers stand for a room: each knows the other's name beforehand. They use the same
//! topics, and the narrowest filters there are, which are the cheapest. At a server of the tutorials a room is one of
//! socket.io's.

use super::body::{self, Bodies, Kind};
use super::client::{Client, KEEP_ALIVE_SECONDS};
use super::connection::{Connection, Transport};
use super::socketio::SocketIo;
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

/// What is spoken at a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// MQTT, with rooms to be joined.
    Duet,
    /// MQTT, and no rooms.
    Mqtt,
    SocketIo,
}

/// The server as peers see it.
pub struct Site {
    /// Where rooms are; where there are several, each has its share of them.
    pub addresses: Vec<SocketAddr>,
    pub transport: Transport,
    pub qos: u8,
    pub dialect: Dialect,
    pub bodies: Bodies,
    connections: AtomicUsize,
}

impl Site {
    pub fn new(addresses: Vec<SocketAddr>, transport: Transport, qos: u8, dialect: Dialect) -> Self {
        let bodies = Bodies::new(DESCRIPTION, CANDIDATE);
        Self { addresses, transport, qos, dialect, bodies, connections: AtomicUsize::new(0) }
    }

    /// The same server, where candidates have so many bytes.
    pub fn with_candidates_of(&self, bytes: usize) -> Self {
        let Self { transport, qos, dialect, .. } = *self;
        Self { bodies: Bodies::new(DESCRIPTION, bytes), ..Self::new(self.addresses.clone(), transport, qos, dialect) }
    }

    /// Where this room is.
    fn place(&self, room: &str) -> SocketAddr {
        self.addresses[room.bytes().map(usize::from).sum::<usize>() % self.addresses.len()]
    }

    /// Where the next connection comes from.
    fn source(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 1, 1 + (self.connections.fetch_add(1, Ordering::Relaxed) % SOURCES) as u8)
    }

    async fn open(&self, room: &str) -> Result<Connection> {
        Connection::open(self.place(room), self.transport, self.source()).await
    }
}

/// Who comes first, and who second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    A,
    B,
}

pub struct Peer {
    line: Line,
    room: String,
}

enum Line {
    Mqtt(Mqtt),
    SocketIo(SocketIo),
}

struct Mqtt {
    client: Client,
    agent_topic: String,
    other_topic: String,
    qos: u8,
}

impl Peer {
    /// Connects, subscribes and joins, one after another as clients do, each when the last is confirmed.
    pub async fn join(site: &Site, room: &str, side: Side) -> Result<Self> {
        let mut peer = Self::connect(site, room, side).await?;
        if site.dialect != Dialect::Mqtt {
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
        let filter = match site.dialect {
            Dialect::Duet => format!("rooms/+/{me}/+"),
            Dialect::Mqtt => format!("rooms/{room}/{me}/{other}"),
            Dialect::SocketIo => {
                let line = Line::SocketIo(SocketIo::connect(site.place(room), site.source(), room).await?);
                return Ok(Self { line, room: room.to_owned() });
            }
        };
        let client = Client::connect(site.open(room).await?, &hello(&me)).await?;
        Self::seat(client, room, &me, &other, &filter, site.qos).await
    }

    /// Subscribes for a client that has come in.
    pub async fn seat(mut client: Client, room: &str, me: &str, other: &str, filter: &str, qos: u8) -> Result<Self> {
        let granted = client.subscribe(filter, qos).await?;
        ensure!(granted == qos, "SUBACK with {granted:#x}");
        let line = Line::Mqtt(Mqtt {
            client,
            agent_topic: format!("rooms/{room}/agent/{me}"),
            other_topic: format!("rooms/{room}/{other}/{me}"),
            qos,
        });
        Ok(Self { line, room: room.to_owned() })
    }

    /// Connects, and tells the code of CONNACK.
    pub async fn knock(site: &Site, id: &str) -> Result<u8> {
        Ok(Client::knock(site.open(id).await?, &hello(id)).await?.1)
    }

    /// Asks to be let into the room, and expects this kind of answer.
    pub async fn ask(&mut self, answer: &str) -> Result<()> {
        match &mut self.line {
            Line::Mqtt(_) => {
                self.tell_agent(br#"{"type":"join"}"#);
                self.hear_agent(answer).await
            }
            Line::SocketIo(client) => {
                client.join();
                client
                    .hear(|event, _| {
                        ensure!(event == answer.as_bytes(), "{} in place of {answer}", String::from_utf8_lossy(event));
                        Ok(Some(()))
                    })
                    .await
            }
        }
    }

    /// Only our broker has an agent, and a `ping` of its own.
    fn mqtt(&mut self) -> &mut Mqtt {
        match &mut self.line {
            Line::Mqtt(mqtt) => mqtt,
            Line::SocketIo(_) => unreachable!("a workload that is for our broker alone"),
        }
    }

    pub fn tell_agent(&mut self, payload: &[u8]) {
        let Mqtt { client, agent_topic, qos, .. } = self.mqtt();
        client.publish(agent_topic, *qos, payload);
    }

    pub async fn hear_agent(&mut self, kind: &str) -> Result<()> {
        let wanted = format!(r#""type":"{kind}""#).into_bytes();
        self.mqtt()
            .client
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
        let signal = site.bodies.stamped(kind);
        match &mut self.line {
            Line::Mqtt(Mqtt { client, other_topic, qos, .. }) => client.publish(other_topic, *qos, &signal),
            Line::SocketIo(client) => client.emit(kind.name(), &signal),
        }
    }

    /// The next signal of the other peer, and how many nanoseconds it took. May be given up and called again.
    pub async fn listen(&mut self) -> Result<(Kind, u64)> {
        let client = match &mut self.line {
            Line::Mqtt(mqtt) => &mut mqtt.client,
            Line::SocketIo(client) => {
                let read = |signal: &[u8]| body::read(signal).context("a signal that nobody sent").map(Some);
                return client.hear(|_, signal| read(signal)).await;
            }
        };
        client
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
        self.mqtt().client.ping().await
    }

    /// Sends what is prepared, and acknowledges what has come.
    pub async fn settle(&mut self) -> Result<()> {
        match &mut self.line {
            Line::Mqtt(mqtt) => mqtt.client.connection.flush().await,
            Line::SocketIo(client) => client.connection.flush().await,
        }
    }

    pub async fn leave(self) -> Result<()> {
        match self.line {
            Line::Mqtt(mqtt) => mqtt.client.disconnect().await,
            Line::SocketIo(client) => client.disconnect().await,
        }
    }

    pub fn is_connected(&self) -> bool {
        match &self.line {
            Line::Mqtt(mqtt) => mqtt.client.connection.is_open(),
            Line::SocketIo(client) => client.connection.is_open(),
        }
    }

    /// The connection alone, to be treated badly.
    pub fn into_connection(self) -> Connection {
        match self.line {
            Line::Mqtt(mqtt) => mqtt.client.connection,
            Line::SocketIo(client) => client.connection,
        }
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
