//! What all who take part share: where the broker is, what they say, how they come in, and what they have seen.

use crate::common::client::Client;
use crate::common::connection::{Connection, Transport, dial};
use crate::common::peer::{Dialect, Peer, Site};
use crate::common::server::Server;
use crate::common::wire::{Hello, Version};
use agent::access::authenticate::tokens::{Audience, Claims, Key};
use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

/// How many share one address, as behind a router.
const HOUSEHOLD: u32 = 4;
/// Longer than a run.
const TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

pub struct World {
    tcp: Site,
    ws: Site,
    key: Key,
    operator: String,
    over: AtomicBool,
    pub seen: Mutex<Seen>,
}

/// What has been seen; the times are those since the last sample.
#[derive(Default)]
pub struct Seen {
    /// Nanoseconds of each signal.
    pub signals: Vec<u64>,
    /// Nanoseconds from the second peer's first byte to the last candidate.
    pub negotiations: Vec<u64>,
    /// How often what was done.
    pub deeds: BTreeMap<&'static str, u64>,
    /// What ought not to have happened: how often, and how for the first time.
    pub surprises: BTreeMap<&'static str, (u64, String)>,
}

/// One place that takes part, and what it does there being decided by its own lots alone.
pub struct Actor {
    pub number: u32,
    pub lots: fastrand::Rng,
    /// How often it has begun something.
    pub round: u32,
}

/// How somebody comes in.
#[derive(Clone, Copy)]
pub struct Manner {
    pub transport: Transport,
    pub version: Version,
    pub qos: u8,
    pub keep_alive: u16,
}

impl World {
    pub fn new(server: &Server, secret: &[u8], state: &Path) -> Result<Self> {
        let site = |transport| Site::new(vec![server.address(transport)], transport, 0, Dialect::Duet);
        let token = state.join("operator.token");
        let operator =
            std::fs::read_to_string(&token).with_context(|| format!("{} cannot be read", token.display()))?;
        Ok(Self {
            tcp: site(Transport::Tcp),
            ws: site(Transport::Ws),
            key: Key::secret(secret)?,
            operator: operator.trim().to_owned(),
            over: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    pub fn site(&self) -> &Site {
        &self.tcp
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        let site = if transport == Transport::Tcp { &self.tcp } else { &self.ws };
        site.addresses[0]
    }

    /// From now on everybody goes.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn did(&self, what: &'static str) {
        *self.seen.lock().deeds.entry(what).or_default() += 1;
    }

    pub fn surprised(&self, what: &'static str, error: &anyhow::Error) {
        let mut seen = self.seen.lock();
        let (count, _) = seen.surprises.entry(what).or_insert_with(|| (0, format!("{error:#}")));
        *count += 1;
    }

    pub fn signal_took(&self, ns: u64) {
        self.seen.lock().signals.push(ns);
    }

    /// A signed token in whose name a client comes in.
    pub fn token(&self, id: &str) -> Result<String> {
        let exp = SystemTime::now() + TOKEN_LIFE;
        let claims = Claims {
            sub: Some(id.to_owned()),
            exp: Some(exp.duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as f64),
            aud: Some(Audience::One("duet".into())),
            rooms: Some(vec!["*".into()]),
            ..Claims::default()
        };
        self.key.sign(&claims).map_err(anyhow::Error::msg)
    }

    /// A connection that has said nothing of MQTT yet.
    pub async fn open(&self, actor: &Actor, transport: Transport) -> Result<Connection> {
        Connection::open(self.address(transport), transport, actor.address()).await
    }

    /// A socket that has said nothing at all.
    pub async fn dial(&self, actor: &Actor, transport: Transport) -> Result<TcpStream> {
        dial(self.address(transport), actor.address(), None).await
    }

    /// Comes in, with a token or without: a place always does the same, since a client id belongs to whom it was given.
    pub async fn enter(&self, actor: &Actor, manner: Manner, id: &str) -> Result<Client> {
        self.enter_over(self.open(actor, manner.transport).await?, actor, manner, id).await
    }

    pub async fn enter_over(&self, connection: Connection, actor: &Actor, manner: Manner, id: &str) -> Result<Client> {
        let Manner { version, keep_alive, .. } = manner;
        let token = if actor.number.is_multiple_of(2) { Some(self.token(id)?) } else { None };
        let login = token.as_deref().map(|token| ("", token));
        let hello = Hello { version, id, is_clean: true, keep_alive, expiry: 0, login };
        Client::connect(connection, &hello).await.with_context(|| format!("{id} is not let in"))
    }

    /// Comes in and subscribes to its inbox; joins nothing yet.
    pub async fn peer(&self, actor: &Actor, manner: Manner, room: &str, me: &str, other: &str) -> Result<Peer> {
        let client = self.enter(actor, manner, me).await?;
        Peer::seat(client, room, me, other, &format!("rooms/+/{me}/+"), manner.qos).await
    }

    /// Both peers of a room, joined; the second has been announced to the first.
    pub async fn pair(&self, actor: &mut Actor, room: &str) -> Result<[Peer; 2]> {
        let names = [format!("{room}-a"), format!("{room}-b")];
        let (first, second) = (actor.manner(), actor.manner());
        let mut a = self.peer(actor, first, room, &names[0], &names[1]).await?;
        a.ask("created").await?;
        let mut b = self.peer(actor, second, room, &names[1], &names[0]).await?;
        b.ask("joined").await?;
        a.hear_agent("arrived").await?;
        Ok([a, b])
    }

    /// An operator, who reads what it is shown.
    pub async fn operator(&self, actor: &mut Actor, filters: &[&str]) -> Result<Client> {
        let manner = actor.manner();
        let connection = self.open(actor, manner.transport).await?;
        let id = format!("operator-{}-{}", actor.number, actor.round);
        let hello = Hello {
            version: manner.version,
            id: &id,
            is_clean: true,
            keep_alive: manner.keep_alive,
            expiry: 0,
            login: Some(("operator", &self.operator)),
        };
        let mut client = Client::connect(connection, &hello).await.context("an operator is not let in")?;
        for filter in filters {
            // What is shown at once may come before the answer to a second subscription.
            let granted = client.subscribe_among_messages(filter, 0).await?;
            ensure!(granted == 0, "an operator's subscription is answered with {granted:#x}");
        }
        Ok(client)
    }
}

impl Actor {
    pub fn new(seed: u64, number: u32) -> Self {
        // Far apart, also for seeds that are not.
        let lots = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(number) << 17);
        Self { number, lots, round: 0 }
    }

    /// Where it comes from: all of 127.0.0.0/8, some to an address.
    pub fn address(&self) -> Ipv4Addr {
        let household = self.number / HOUSEHOLD;
        Ipv4Addr::new(127, 16 + (household % 200) as u8, (household / 200) as u8, 1 + (household % 250) as u8)
    }

    /// A way to come in.
    pub fn manner(&mut self) -> Manner {
        Manner {
            transport: if self.lots.bool() { Transport::Tcp } else { Transport::Ws },
            version: if self.lots.bool() { Version::V3 } else { Version::V5 },
            qos: u8::from(self.lots.bool()),
            keep_alive: 60,
        }
    }

    /// Where it is alone, for what makes others at the same address wait.
    pub fn address_of_its_own(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, 8, (self.number / 250) as u8, 1 + (self.number % 250) as u8)
    }

    /// A time between these, in seconds.
    pub fn time(&mut self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least + (most - least) * self.lots.f64())
    }
}
