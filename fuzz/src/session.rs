//! A stream of packets into a session, over memory in place of a socket, with everything behind it that
//! a broker has: access, backbone, switchboard, agent.
//!
//! The first byte chooses what comes before the rest (nothing, a CONNECT of 3.1.1, one of 5.0), the
//! second into pieces of how many bytes the rest is cut. Two others are in a room all the while:
//! whatever the stream does, they hear nothing but each other, and nothing is left of it.

use agent::access::authorize::Rules;
use agent::access::{Identity, Role};
use agent::login::Login;
use agent::rooms::{self, Rooms};
use broker::backbone;
use broker::config::{self, Config, Layers};
use broker::hub::Hub;
use broker::limits::pace::Rate;
use broker::listen::{Arrival, Transport};
use broker::server;
use broker::session;
use protocol::PeerId;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ids that no stream finds by chance, for everybody may have them.
const ALICE: &str = "alice-6f1d22b0a94c7e35";
const BOB: &str = "bob-c8e07d5391fa4b62";

const CONNECT_3: &[u8] = b"\x10\x10\0\x04MQTT\x04\x02\0\0\0\x04fuzz";
const CONNECT_5: &[u8] = b"\x10\x11\0\x04MQTT\x05\x02\0\0\0\0\x04fuzz";

/// See the module and the crate.
pub fn run(data: &[u8]) {
    thread_local! {
        static WORLD: RefCell<(Runtime, World)> = {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let world = runtime.block_on(World::new());
            (runtime, world).into()
        };
    }
    let [before, piece, stream @ ..] = data else { return };
    let before = match before {
        b'3' => CONNECT_3,
        b'5' => CONNECT_5,
        _ => b"",
    };
    WORLD.with_borrow_mut(|(runtime, world)| {
        runtime.block_on(async {
            let answers = timeout(PATIENCE, world.play(before, stream, usize::from(*piece))).await;
            are_packets(&answers.expect("a session ends when its stream does"));
            world.is_undisturbed().await;
        });
    });
}

/// An anonymous peer.
pub(crate) fn anonymous(id: PeerId) -> Identity {
    Identity { id, role: Role::Peer, grant: None }
}

struct World {
    hub: Arc<Hub>,
    alice: DuplexStream,
    bob: DuplexStream,
    said: u32,
}

impl World {
    async fn new() -> Self {
        let flags = config::command().get_matches_from(["broker", "--state-dir=unused"]);
        let defaults = Layers::gather(&flags, std::iter::empty()).and_then(|layers| layers.judge());
        let Config { access, mut limits, .. } = defaults.expect("the defaults are allowed");
        let state = tempfile::tempdir().expect("a folder for the operator's token");
        let login = Login::new(access, state.path().to_owned(), limits.exempt.clone()).expect("nobody is asked");
        // Nothing is kept that would make one run depend on those before it, and nobody waits.
        limits.session_expiry = Duration::ZERO;
        limits.messages = Rate::per_second(1_000_000, 1_000_000);
        limits.bytes = Rate::per_second(u32::MAX, u32::MAX);
        limits.retained.number = 16;
        let rooms = Rooms::new(rooms::Config { grace: Duration::ZERO, ..rooms::Config::default() });
        let (uplink, downlink) = backbone::start().expect("a backbone");
        let rules = Rules::new(vec!["open/#".into()]);
        let hub = Arc::new(Hub::new(login.into(), rules, limits, rooms, uplink));
        drop(server::run_backbone(&hub, downlink));
        let mut alice = enter(&hub, ALICE).await;
        let bob = enter(&hub, BOB).await;
        message(&mut alice).await; // that bob has arrived
        Self { hub, alice, bob, said: 0 }
    }

    /// Plays a stream into a session of its own; everything that it answers.
    async fn play(&self, before: &[u8], stream: &[u8], piece: usize) -> Vec<u8> {
        let (client, server) = duplex(1 << 20);
        let (mut from, mut to) = tokio::io::split(client);
        let write = async {
            // The session may have ended before it has read everything.
            let _ = to.write_all(before).await;
            for bytes in stream.chunks(if piece == 0 { stream.len().max(1) } else { piece }) {
                let _ = to.write_all(bytes).await;
                tokio::task::yield_now().await;
            }
            let _ = to.shutdown().await;
        };
        let mut answers = Vec::new();
        let read = from.read_to_end(&mut answers);
        let ((), (), read) =
            tokio::join!(session::serve(server, arrival(&self.hub, self.said), self.hub.clone()), write, read);
        read.expect("memory is read");
        answers
    }

    /// What they say to each other comes next, after all that the stream has brought about.
    async fn is_undisturbed(&mut self) {
        self.said += 1;
        let words = format!("{:08}", self.said);
        hears(&mut self.bob, &mut self.alice, &format!("rooms/lobby/{ALICE}/{BOB}"), &words).await;
        hears(&mut self.alice, &mut self.bob, &format!("rooms/lobby/{BOB}/{ALICE}"), &words).await;
        let census = self.hub.switchboard.lock().census();
        assert_eq!((self.hub.sessions(), census.connected), (2, 2), "nothing is left of the stream's session");
    }
}

async fn hears(from: &mut DuplexStream, to: &mut DuplexStream, topic: &str, words: &str) {
    let packet = publish(topic, words.as_bytes());
    from.write_all(&packet).await.expect("the sender is there");
    let mut heard = vec![0; packet.len()];
    let read = timeout(PATIENCE, to.read_exact(&mut heard)).await;
    read.expect("it is heard").expect("the receiver is there");
    assert!(heard == packet, "{topic} {words}, not {:?}", String::from_utf8_lossy(&heard));
}

/// From one of many addresses: whoever guesses passwords is held back, and the next stream shall not be.
fn arrival(hub: &Arc<Hub>, number: u32) -> Arrival {
    let address: SocketAddr = (Ipv4Addr::from(0x0A00_0000 | number & 0x00FF_FFFF), 1).into();
    Arrival::new(address, Transport::Tcp, hub.door.arrive(address.ip()))
}

/// A client of 3.1.1 that has subscribed to its inbox and joined.
async fn enter(hub: &Arc<Hub>, id: &str) -> DuplexStream {
    let (mut client, server) = duplex(1 << 20);
    tokio::spawn(session::serve(server, arrival(hub, 0), hub.clone()));
    let mut connect = b"\0\x04MQTT\x04\x02\0\0".to_vec();
    connect.extend(text(id));
    client.write_all(&packet(0x10, &connect)).await.expect("it is read");
    assert_eq!(next(&mut client).await, (0x20, vec![0, 0]), "CONNACK");
    let mut subscribe = vec![0, 1];
    subscribe.extend(text(&format!("rooms/+/{id}/+")));
    subscribe.push(0);
    client.write_all(&packet(0x82, &subscribe)).await.expect("it is read");
    assert_eq!(next(&mut client).await, (0x90, vec![0, 1, 0]), "SUBACK");
    let join = publish(&format!("rooms/lobby/agent/{id}"), b"{\"type\":\"join\"}");
    client.write_all(&join).await.expect("it is read");
    message(&mut client).await;
    client
}

/// The next packet: its first byte, and what comes after its length.
async fn next(client: &mut DuplexStream) -> (u8, Vec<u8>) {
    let read = async {
        let (first, mut length) = (client.read_u8().await?, 0);
        for shift in [0, 7, 14, 21] {
            let byte = client.read_u8().await?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        client.read_exact(&mut body).await?;
        std::io::Result::Ok((first, body))
    };
    timeout(PATIENCE, read).await.expect("a packet comes").expect("the session is there")
}

async fn message(client: &mut DuplexStream) {
    let (first, body) = next(client).await;
    assert_eq!(first >> 4, 3, "{}", String::from_utf8_lossy(&body));
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short texts only");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 128).expect("short packets only");
    [&[first, length], body].concat()
}

fn publish(topic: &str, words: &[u8]) -> Vec<u8> {
    packet(0x30, &[&text(topic), words].concat())
}

/// Whatever was sent, the answer is a row of whole packets, of types that a server sends.
fn are_packets(mut bytes: &[u8]) {
    while let [first, rest @ ..] = bytes {
        assert!(matches!(first >> 4, 2..=7 | 9 | 11 | 13 | 14 | 15), "{first:#x} is no packet of a server");
        let digits = rest.iter().take(4).take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let length = rest.iter().take(digits).rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
        assert!(rest.len() >= digits + length, "a packet is cut off");
        bytes = &rest[digits + length..];
    }
}
