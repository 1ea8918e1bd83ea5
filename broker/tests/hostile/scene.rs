//! What is attacked: a broker of each configuration, by each door, with two people who talk in secret, and
//! canaries that tell whether anybody has heard or changed anything.

use crate::support::client::{Client, Hello, Stream, V3, V5};
use crate::support::identity::{PASSWORD, SECRET, hello, token, user};
use crate::support::tls::{Encrypted, Pair, dial, trusting, upgrade};
use crate::support::{Broker, PATIENCE, scratch_folder};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Property, SessionExpiryInterval};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use tokio_rustls::rustls::version::TLS13;

/// What the two tell each other.
pub const CANARY: &str = "candidate:1 1 udp 2122260223 192.0.2.7 54321 typ host";
/// Who must have issued a token.
pub const ISSUER: &str = "us";
/// A key of the key set, and its name.
pub const NAMED_SECRET: &str = "the secret of the key in the set, long enough";
pub const KEY_ID: &str = "key-1";

/// What is tried, and what of it succeeds.
#[derive(Default)]
pub struct Tally(BTreeMap<(&'static str, &'static str), (usize, usize)>);

impl Tally {
    /// One attempt; `what` is said if it succeeds.
    pub fn attempt(&mut self, who: &'static str, how: &'static str, succeeded: bool, what: impl Debug) {
        let (attempts, successes) = self.0.entry((who, how)).or_default();
        *attempts += 1;
        if succeeded {
            *successes += 1;
            eprintln!("succeeded: {who}, {how}: {what:?}");
        }
    }

    /// What the canaries say about the attempts before: each is a success that was not seen at once.
    pub fn canaries(&mut self, who: &'static str, said: Vec<String>) {
        for what in said {
            self.attempt(who, "canaries", true, what);
        }
    }

    /// The table, and how many attempts and successes it has.
    pub fn print(&self) -> (usize, usize) {
        println!("{:<38} {:<44} {:>8} {:>9}", "who", "how", "attempts", "succeeded");
        for ((who, how), (attempts, successes)) in &self.0 {
            println!("{who:<38} {how:<44} {attempts:>8} {successes:>9}");
        }
        let sum = self.0.values().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        println!("{:<83} {:>8} {:>9}", "all", sum.0, sum.1);
        sum
    }
}

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Tcp,
    Tls,
    Ws,
    Wss,
}

/// Who is let in, and what is open besides rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everybody; only rooms.
    Anonymous,
    /// Everybody; all topics that have no rules of their own.
    Open,
    /// Users, tokens and certificates; a topic for each client.
    Guarded,
}

pub enum Site {
    Plain(Box<Broker>),
    Encrypted(Box<Encrypted>),
}

pub struct Scene {
    pub site: Site,
    pub policy: Policy,
    authority: Option<crate::support::tls::Authority>,
    folder: PathBuf,
    alice: Client,
    bob: Client,
    watcher: Client,
    rooms: Value,
    said: u32,
}

impl Scene {
    pub fn new(policy: Policy, is_encrypted: bool) -> Self {
        let folder = scratch_folder();
        let mut flags: Vec<String> =
            ["--admin", "127.0.0.1:0", "--message-rate", "1000000", "--message-burst", "1000000", "--grace", "1h"]
                .map(str::to_owned)
                .into();
        let mut authority = None;
        if policy == Policy::Guarded {
            let rooms = "rooms = [\"lobby\", \"porch\", \"attic\"]";
            let mallory = user("mallory", "rooms = [\"hall\", \"attic\"]\nmay = [\"join\"]");
            let others = ["alice", "dave", "erin"].map(|name| user(name, rooms)).concat();
            let own = crate::support::tls::Authority::new("clients");
            let file = |name: &str, text: &str| {
                std::fs::write(folder.join(name), text).unwrap();
                folder.join(name).to_str().unwrap().to_owned()
            };
            let set = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": KEY_ID, "k": base64url(NAMED_SECRET)}]});
            for (flag, value) in [
                ("--users", file("users.toml", &format!("{others}{mallory}{}", user("olga", "role = \"operator\"")))),
                ("--jwt-secret", file("secret", SECRET)),
                ("--jwt-key", file("key.pem", include_str!("../../../agent/tests/keys/rsa.pub.pem"))),
                ("--jwks", file("set.json", &set.to_string())),
                ("--jwt-issuer", ISSUER.into()),
                ("--jwt-leeway", "5s".into()),
            ] {
                flags.extend([flag.to_owned(), value]);
            }
            if is_encrypted {
                flags.extend(["--client-ca".to_owned(), file("clients.pem", &own.pem)]);
                authority = Some(own);
            }
        }
        let open = match policy {
            Policy::Anonymous => "",
            Policy::Open => "[[access.topics]]\nfilter = \"#\"\n",
            Policy::Guarded => "[[access.topics]]\nfilter = \"telemetry/%c/#\"\n",
        };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let site = match is_encrypted {
            true => Site::Encrypted(Encrypted::configured(&flags, open).into()),
            false => Site::Plain(Broker::with(&flags, open).into()),
        };
        let doors = site.doors();
        let guarded = policy == Policy::Guarded;
        let come = |door, hello: &Hello, inbox: &str| {
            let (mut client, code) = site.knock(door, hello, None);
            assert_eq!(code, Some(0), "{} is let in", hello.id);
            assert!(client.subscribe(inbox, 1) <= 2);
            client
        };
        let with = |version, id: &str, user: &str, password: &str| match guarded {
            true => hello(version, id, user, password),
            false => Hello::new(version, id),
        };
        let mut alice = come(doors[0], &with(V3, "alice", "alice", PASSWORD), "rooms/+/alice/+");
        let bobs = token("bob", &json!({"iss": ISSUER, "rooms": ["lobby"]}));
        let mut bob = come(doors[1], &with(V5, "bob", "bob", &bobs), "rooms/+/bob/+");
        let watcher = match guarded {
            true => hello(V5, "olga", "olga", PASSWORD),
            false => hello(V5, "watcher", "operator", &site.broker().token()),
        };
        let watcher = come(doors[0], &watcher, "#");
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);
        alice.join("attic");
        let rooms = Value::Null;
        let mut scene = Self { site, policy, authority, folder, alice, bob, watcher, rooms, said: 0 };
        if guarded {
            scene.leave_things_behind();
        }
        scene.rooms = scene.states();
        scene
    }

    /// Dave's session waits for him, and so does Erin's seat.
    fn leave_things_behind(&mut self) {
        let (dave, code) = self.knock(self.site.doors()[0], &daves());
        assert_eq!(code, Some(0));
        dave.disconnect();
        let (mut erin, _) = self.knock(self.site.doors()[0], &hello(V5, "erin", "erin", PASSWORD));
        erin.subscribe("rooms/+/erin/+", 1);
        erin.join("porch");
        self.watcher.heard();
        erin.lose();
        while !String::from_utf8_lossy(&self.watcher.message().payload).contains("\"away\":true") {}
    }

    /// Whether they still find them; the last thing that is done.
    pub fn find_things_again(mut self) -> Vec<String> {
        let mut said = self.disturbed();
        if self.policy != Policy::Guarded {
            return said;
        }
        let (mut erin, _) = self.knock(self.site.doors()[1], &hello(V5, "erin", "erin", PASSWORD));
        erin.subscribe("rooms/+/erin/+", 1);
        if erin.join("porch")["resumed"] != true {
            said.push("erin's seat is gone".into());
        }
        let (dave, _) = self.knock(self.site.doors()[0], &daves());
        if !dave.session_present {
            said.push("dave's session is gone".into());
        }
        said
    }

    pub fn knock(&self, door: Door, hello: &Hello) -> (Client, Option<u8>) {
        self.site.knock(door, hello, None)
    }

    /// With a certificate for this name.
    pub fn knock_as(&self, door: Door, hello: &Hello, name: &str) -> (Client, Option<u8>) {
        let own = self.authority.as_ref().map(|authority| authority.client(name));
        self.site.knock(door, hello, own.as_ref())
    }

    /// Mallory, as somebody who is rightly there.
    pub fn mallory(&self, door: Door, version: Version) -> Client {
        let (mut mallory, code) = self.knock(door, &self.mallorys(version));
        assert_eq!(code, Some(0));
        assert_eq!(mallory.subscribe("rooms/+/mallory/+", 1), 1);
        mallory.tolerant = true;
        mallory
    }

    pub fn mallorys(&self, version: Version) -> Hello {
        match self.policy {
            Policy::Guarded => hello(version, "mallory", "mallory", PASSWORD),
            Policy::Anonymous | Policy::Open => Hello::new(version, "mallory"),
        }
    }

    /// Somebody else who has nothing to do with the two.
    pub fn trent(&self, door: Door) -> Client {
        let hall = token("trent", &json!({"iss": ISSUER, "rooms": ["hall"]}));
        let hello = match self.policy {
            Policy::Guarded => hello(V5, "trent", "trent", &hall),
            Policy::Anonymous | Policy::Open => Hello::new(V5, "trent"),
        };
        let (mut trent, code) = self.knock(door, &hello);
        assert_eq!(code, Some(0));
        assert_eq!(trent.subscribe("rooms/+/trent/+", 1), 1);
        trent
    }

    /// Takes what is now for what ought to be: somebody has come or gone who may.
    pub fn settle(&mut self) {
        for client in [&mut self.alice, &mut self.bob, &mut self.watcher] {
            assert!(client.heard().1);
        }
        self.rooms = self.states();
    }

    /// Whether a CONNECT is accepted.
    pub fn is_let_in(&self, door: Door, connect: &[u8]) -> bool {
        let mut stream = self.site.stream(door, None);
        stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(connect).and_then(|()| stream.flush()).unwrap();
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).unwrap_or(0);
        let answer = &answer[..length];
        answer.first() == Some(&0x20) && answer.get(3) == Some(&0)
    }

    /// Everything that is answered to these bytes; `None` if the connection does not end.
    pub fn answer(&self, door: Door, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.site.stream(door, None);
        stream.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).and_then(|()| stream.flush()).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Ok(_) | Err(_) => Some(answer),
        }
    }

    /// What the canaries say: everything that was heard by somebody for whom it was not, and
    /// everything that has changed.
    pub fn disturbed(&mut self) -> Vec<String> {
        self.said += 1;
        let words = json!({"type": "candidate", "candidate": {"candidate": CANARY, "sdpMid": self.said.to_string()}});
        self.alice.signal("lobby", "bob", &words);
        self.bob.signal("lobby", "alice", &words);
        let mut said = Vec::new();
        for (client, from) in [(&mut self.alice, "bob"), (&mut self.bob, "alice")] {
            let (heard, is_there) = client.heard();
            let wanted = format!("rooms/lobby/{}/{from}", client.id);
            let (wanted, other): (Vec<_>, Vec<_>) = heard
                .into_iter()
                .partition(|message| message.topic == wanted && message.payload == words.to_string().as_bytes());
            if !is_there || wanted.len() != 1 {
                said.push(format!("{}'s line is cut", client.id));
            }
            said.extend(other.into_iter().map(|message| format!("{} hears {message:?}", client.id)));
        }
        let (seen, is_there) = self.watcher.heard();
        if !is_there {
            said.push("the operator is thrown out".into());
        }
        // The operator sees refusals, the figures, and what is said in the open.
        said.extend(seen.iter().filter(|m| m.topic.starts_with("control/")).map(|m| format!("an order {m:?}")));
        let states = self.states();
        if states != self.rooms {
            said.push(format!("{states} in place of {}", self.rooms));
        }
        said
    }

    /// Who is where, as an operator is told.
    fn states(&self) -> Value {
        let credentials = match self.policy {
            Policy::Guarded => format!("Basic {}", base64(&format!("olga:{PASSWORD}"))),
            Policy::Anonymous | Policy::Open => format!("Bearer {}", self.site.broker().token()),
        };
        let (status, body) = self.ask("/api/rooms", &credentials);
        assert_eq!(status, "200", "{body}");
        let mut rooms: Vec<Value> = serde_json::from_str(&body).unwrap();
        for room in &mut rooms {
            // What is counted changes, as it should.
            ["messages", "refused", "rev"].iter().for_each(|counted| room[counted] = Value::Null);
        }
        // Where Mallory is alone concerns nobody.
        let is_mallorys = |room: &Value| {
            room["peers"].as_array().is_some_and(|peers| peers.iter().all(|peer| peer["id"] == "mallory"))
        };
        rooms.retain(|room| !is_mallorys(room));
        rooms.sort_by_key(|room| room["room"].as_str().unwrap_or_default().to_owned());
        rooms.into()
    }

    /// Status and body of a request at the admin port.
    pub fn ask(&self, path: &str, authorization: &str) -> (String, String) {
        let answer = Broker::http_at(
            self.site.broker().doors["admin"],
            &format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
            ),
        );
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (answer.get(9..12).unwrap_or_default().to_owned(), body.to_owned())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Site {
    pub fn doors(&self) -> [Door; 2] {
        match self {
            Site::Plain(_) => [Door::Tcp, Door::Ws],
            Site::Encrypted(_) => [Door::Tls, Door::Wss],
        }
    }

    pub fn broker(&self) -> &Broker {
        match self {
            Site::Plain(broker) => broker,
            Site::Encrypted(encrypted) => &encrypted.broker,
        }
    }

    /// Whether a page of this origin may open a WebSocket.
    pub fn opens_for(&self, origin: &str) -> bool {
        let headers = [("Origin", origin)];
        match self {
            Site::Plain(broker) => upgrade(TcpStream::connect(broker.http).unwrap(), &headers).is_ok(),
            Site::Encrypted(site) => {
                let tls = dial(site.https(), &trusting(&site.authority.pem, &TLS13, None)).unwrap();
                upgrade(tls, &headers).is_ok()
            }
        }
    }

    fn knock(&self, door: Door, hello: &Hello, own: Option<&Pair>) -> (Client, Option<u8>) {
        Client::over(self.stream(door, own), hello)
    }

    fn stream(&self, door: Door, own: Option<&Pair>) -> Box<dyn Stream> {
        let plain = |address| {
            let socket = TcpStream::connect(address).unwrap();
            socket.set_nodelay(true).unwrap();
            socket
        };
        match (self, door) {
            (Site::Plain(broker), Door::Ws) => Box::new(upgrade(plain(broker.http), &[]).unwrap()),
            (Site::Plain(broker), _) => Box::new(plain(broker.mqtt)),
            (Site::Encrypted(site), door) => {
                let address = if door == Door::Wss { site.https() } else { site.mqtts() };
                let tls = dial(address, &trusting(&site.authority.pem, &TLS13, own)).unwrap();
                if door == Door::Wss { Box::new(upgrade(tls, &[]).unwrap()) } else { Box::new(tls) }
            }
        }
    }
}

fn daves() -> Hello {
    let mut hello = Hello { clean: false, ..hello(V5, "dave", "dave", PASSWORD) };
    hello.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(3600).unwrap())];
    hello
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

pub fn base64url(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text)
}
