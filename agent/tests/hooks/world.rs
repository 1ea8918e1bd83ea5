//! Hooks that are asked over HTTP, people that they know, and a lobby in which alice and bob are.

use agent::access::authorize::Rules;
use agent::access::source::Exempt;
use agent::hooks::Hooks;
use agent::hooks::gate::{Gate, Own, UNTOLD};
use agent::hooks::seats::{Ask, Seats};
use agent::login::Login;
use agent::login::files::Access;
use agent::service::status::Pulse;
use agent::{Config, Input, Rooms};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use parking_lot::Mutex;
use protocol::{PeerId, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

pub const SECRET: &str = "what engines show";
pub const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const PASSWORD: &str = "s3cret";
pub const OWN_PASSWORD: &str = "agent's own";

pub struct World {
    pub hooks: Arc<Hooks>,
    pub pulse: Arc<Pulse>,
    pub rooms: Arc<Mutex<Rooms>>,
    pub address: SocketAddr,
    pub folder: TempDir,
    pub login: Arc<Login>,
}

/// An answer: status, and body as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// A users file with everybody's password.
pub fn users() -> String {
    let cheap = Params::new(8, 1, 1, None).unwrap();
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap).hash_password(PASSWORD.as_bytes()).unwrap();
    [
        ("alice", "rooms = [\"*\"]"),
        ("bob", "rooms = [\"*\"]"),
        ("guest", "rooms = [\"lobby\", \"hall\"]\nmay = [\"join\"]"),
        ("olga", "role = \"operator\""),
    ]
    .map(|(name, rest)| format!("[{name}]\npassword = \"{hash}\"\n{rest}\n"))
    .concat()
}

pub fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

impl World {
    /// With users.
    pub async fn with_users() -> Self {
        Self::with(|access, folder| access.users = Some(folder.join("users.toml"))).await
    }

    /// With users and tokens.
    pub async fn with_tokens() -> Self {
        Self::with(|access, folder| {
            access.users = Some(folder.join("users.toml"));
            access.jwt_secret = Some(folder.join("jwt"));
        })
        .await
    }

    pub async fn with(change: impl FnOnce(&mut Access, &std::path::Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.toml"), users()).unwrap();
        std::fs::write(folder.path().join("jwt"), JWT_SECRET).unwrap();
        let mut access = Access {
            users: None,
            jwt_secret: None,
            jwt_key: None,
            jwks: None,
            jwt_issuer: None,
            jwt_audience: "duet".into(),
            jwt_leeway: Duration::ZERO,
            anonymous: false,
        };
        change(&mut access, folder.path());
        Self::of(access, folder).await
    }

    /// As a new agent that is started in the same place.
    pub async fn of(access: Access, folder: TempDir) -> Self {
        let is_private = !access.asks();
        let exempt = Exempt::new(vec!["127.0.0.0/8".parse().unwrap(), UNTOLD.into()]);
        let login = Arc::new(Login::new(access, folder.path().into(), exempt).unwrap());
        let (seats, asked) = Seats::door();
        let own = Own { user: "agent".into(), password: OWN_PASSWORD.to_owned().into(), client: "agent".into() };
        let gate = Gate::new(login.clone(), Rules::default(), own, seats, is_private);
        let pulse = Pulse::new("agent", true);
        let hooks = Hooks::new(gate, Some(SECRET.to_owned().into()), pulse.clone());
        let rooms = Arc::new(Mutex::new(Rooms::new(Config::default())));
        for peer in ["alice", "bob"] {
            join(&rooms, "lobby", peer);
        }
        tokio::spawn(answer(rooms.clone(), asked));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(hooks.clone().serve(listener));
        Self { hooks, pulse, rooms, address, folder, login }
    }

    pub fn join(&self, room: &str, peer: &str) {
        join(&self.rooms, room, peer);
    }

    /// A question with the secret.
    pub async fn ask(&self, path: &str, content_type: &str, hook: Option<&str>, body: &[u8]) -> Heard {
        let hook = hook.map(|hook| format!("vernemq-hook: {hook}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {SECRET}\r\n\
             Content-Type: {content_type}\r\n{hook}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&head, body).await
    }

    /// JSON to EMQX's dialect, the plainest.
    pub async fn emqx(&self, what: &str, body: serde_json::Value) -> serde_json::Value {
        let heard =
            self.ask(&format!("/hooks/emqx/{what}"), "application/json", None, body.to_string().as_bytes()).await;
        serde_json::from_str(&heard.body).unwrap()
    }

    /// Whether somebody is let in.
    pub async fn enters(&self, client: &str, user: &str, password: &str) -> bool {
        let body = serde_json::json!({"clientid": client, "username": user, "password": password});
        self.emqx("authenticate", body).await["result"] == "allow"
    }

    /// Whether somebody may do something.
    pub async fn may(&self, client: &str, user: &str, action: &str, topic: &str) -> bool {
        let body = serde_json::json!({"clientid": client, "username": user, "action": action, "topic": topic});
        self.emqx("authorize", body).await["result"] == "allow"
    }

    /// Any request, and its answer.
    pub async fn send(&self, head: &str, body: &[u8]) -> Heard {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        // Who is refused early does not read it all.
        let _ = socket.write_all(body).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
        let _ = read.expect("an answer in time");
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        Heard {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            content_type: header("content-type").unwrap_or_default(),
            body: body.into(),
        }
    }
}

fn join(rooms: &Mutex<Rooms>, room: &str, peer: &str) {
    let from = PeerId::new(peer).unwrap();
    let join = Input::Message { room, from: &from, payload: br#"{"type":"join"}"#, may_create: true };
    rooms.lock().handle(now(), join, &mut Vec::new());
}

async fn answer(rooms: Arc<Mutex<Rooms>>, mut asked: mpsc::Receiver<Ask>) {
    while let Some(ask) = asked.recv().await {
        let mut rooms = rooms.lock();
        match ask {
            Ask::Members { room, answer } => drop(answer.send(rooms.members(room.as_str()).cloned().collect())),
            Ask::SeatsOf { peer, answer } => drop(answer.send(rooms.seats_of(peer.as_str()))),
            Ask::Ended { peer, lost } => rooms.handle(now(), Input::Ended { peer: &peer, lost }, &mut Vec::new()),
        }
    }
}
