//! `cargo bench -p broker --bench micro`: the parts that every message goes through, one by one.
//!
//! For comparing a change with what was before it. What the whole costs, with the kernel's part, is for the load.

use agent::access::authorize::Rules;
use agent::access::{Identity, Role};
use agent::ice::Ice;
use agent::login::Login;
use agent::room::{self, Event, Room};
use agent::rooms::{Config, Input, Rooms};
use broker::audit::Audit;
use broker::backbone;
use broker::config::{self, Layers};
use broker::frame::{self, Flags, Frame, Qos};
use broker::hub::{self, Hub};
use broker::limits::pool::Pool;
use broker::listen::{Arrival, Transport};
use broker::server::run_backbone;
use broker::session::{self, outbox::Outbox};
use broker::switchboard::{Subscription, Switchboard, Welcome};
use bytes::{Bytes, BytesMut};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::{Connection, Version, role};
use parking_lot::RwLock;
use protocol::{PeerId, RoomId, Timestamp, Topic};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const TOPIC: &str = "rooms/lobby/bob/alice";
const PAYLOAD: [u8; 300] = [b'x'; 300];
/// Rooms that there are besides, for look-ups to be as long as they are.
const OTHERS: usize = 10_000;
/// Messages that come at once.
const BATCH: usize = 64;

fn main() {
    divan::main();
}

fn peer(name: &str) -> PeerId {
    PeerId::new(name).expect("a valid id")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Rooms with two members each, and a lobby with alice and bob.
fn rooms() -> Rooms {
    let mut rooms = Rooms::new(Config::default());
    let names = (0..OTHERS).map(|number| (format!("room-{number}"), format!("a-{number}"), format!("b-{number}")));
    for (room, first, second) in names.chain([("lobby".into(), "alice".into(), "bob".into())]) {
        for name in [first, second] {
            join(&mut rooms, &room, &peer(&name));
        }
    }
    rooms
}

fn join(rooms: &mut Rooms, room: &str, from: &PeerId) -> usize {
    let mut out = Vec::new();
    let input = Input::Message { room, from, payload: br#"{"type":"join"}"#, may_create: true };
    rooms.handle(at(1), input, &mut out);
    out.len()
}

fn signal() -> Bytes {
    let flags = Flags { qos: Qos::AtMostOnce, retain: false, may_create: true };
    let mut frame = BytesMut::new();
    frame::publish(&mut frame, &peer("alice"), TOPIC, flags, |_| (), &PAYLOAD);
    frame.freeze()
}

#[divan::bench]
fn topic_parsed() -> bool {
    Topic::parse(black_box(TOPIC)).is_ok()
}

#[divan::bench]
fn publish_allowed(bencher: Bencher<'_, '_>) {
    let (rooms, rules) = (rooms(), Rules::default());
    let alice = Identity { id: peer("alice"), role: Role::Peer, grant: None };
    bencher.bench_local(|| {
        rules.publish(&alice, black_box(TOPIC), |room, from, to| {
            black_box(rooms.may_signal(room, from, to));
            Ok(())
        })
    });
}

#[divan::bench]
fn subscription_allowed(bencher: Bencher<'_, '_>) {
    let rules = Rules::default();
    let alice = Identity { id: peer("alice"), role: Role::Peer, grant: None };
    bencher.bench_local(|| rules.subscribe(&alice, black_box("rooms/+/alice/+")));
}

/// Two peers come and go.
#[divan::bench]
fn room_steps(bencher: Bencher<'_, '_>) {
    let (lobby, ice) = (RoomId::new("lobby").expect("a valid name"), Ice::default());
    let rules = room::Rules { room: &lobby, grace: Duration::from_secs(10), lease: None, rev_floor: 0, ice: &ice };
    let joins = |name| Event::Join { peer: peer(name), info: None, may_create: true };
    let leaves = |name| Event::Leave { peer: peer(name), lost: false };
    bencher.with_inputs(|| [joins("alice"), joins("bob"), leaves("bob"), leaves("alice")]).bench_local_values(
        |events| {
            let (mut room, mut effects): (Option<Room>, _) = (None, Vec::new());
            for event in events {
                room::step(&mut room, event, at(1), &rules, &mut effects);
            }
            effects
        },
    );
}

/// A join, from JSON to what follows from it, and the end of the connection.
#[divan::bench]
fn join_and_end(bencher: Bencher<'_, '_>) {
    let (mut rooms, carol) = (rooms(), peer("carol"));
    bencher.bench_local(|| {
        let followed = join(&mut rooms, "elsewhere", &carol);
        let mut out = Vec::new();
        rooms.handle(at(2), Input::Ended { peer: &carol, lost: false }, &mut out);
        followed + out.len()
    });
}

/// A packet with these parts, each but the last with its length before it, as 3.1.1 has them.
fn packet(first: u8, head: &[u8], strings: &[&str], tail: &[u8]) -> Vec<u8> {
    let mut body = head.to_vec();
    for string in strings {
        body.extend((string.len() as u16).to_be_bytes());
        body.extend(string.bytes());
    }
    body.extend(tail);
    let mut packet = vec![first, body.len() as u8 | 0x80, (body.len() >> 7) as u8];
    packet.extend(body);
    packet
}

fn connect(id: &str) -> Vec<u8> {
    packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c", &[id], &[])
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[], &[topic], payload)
}

/// A PUBLISH from bytes to a packet.
#[divan::bench]
fn packet_read(bencher: Bencher<'_, '_>) {
    let mut connection = Connection::<role::Server>::new(Version::V3_1_1);
    connection.recv(&mut Cursor::new(&connect("alice")[..]));
    let packet = publish(TOPIC, &PAYLOAD);
    bencher.counter(BytesCount::of_slice(&packet)).bench_local(|| connection.recv(&mut Cursor::new(&packet[..])));
}

/// Into the backbone and out of it, without it.
#[divan::bench]
fn frame_made_and_read() -> Option<Frame> {
    Frame::decode(black_box(signal()))
}

/// From a frame of the backbone to the receiver's outbox, and out of it.
#[divan::bench]
fn signal_dispatched(bencher: Bencher<'_, '_>) {
    let (rooms, counters, audit) = (Arc::new(RwLock::new(rooms())), Arc::default(), Arc::new(Audit::default()));
    let limits = configured().limits;
    let pool = Pool::new(limits.max_waiting);
    let mut switchboard = Switchboard::new(rooms, &limits, &pool, (counters, audit));
    let (bob, outbox) = (peer("bob"), Outbox::new(&pool));
    let who = Identity { id: bob.clone(), role: Role::Peer, grant: None };
    assert!(matches!(switchboard.connect(&who, &outbox, true, false, Instant::now()), Welcome::In { .. }));
    switchboard.subscribe(&bob, Subscription { filter: "rooms/+/bob/+".into(), ..Subscription::default() });
    let now = hub::now();
    bencher.with_inputs(|| Frame::decode(signal()).expect("a frame")).bench_local_values(|frame| {
        switchboard.handle(frame, now);
        outbox.take_if(|_| true).expect("a signal for bob")
    });
}

/// The defaults, with no limit that a bench would come to.
fn configured() -> config::Config {
    let flags = ["broker", "--message-rate", "10000000", "--byte-rate", "1GiB", "--byte-burst", "1GiB"];
    let flags = config::command().get_matches_from(flags);
    Layers::gather(&flags, std::iter::empty()).and_then(|layers| layers.judge()).expect("good flags")
}

/// From one client's bytes to another's, without sockets: session, backbone, switchboard, session.
#[divan::bench]
fn messages_through(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let state = tempfile::tempdir().expect("a folder");
    let config = configured();
    let login = Login::new(config.access, state.path().into(), config.limits.exempt.clone()).expect("nothing to read");
    let (uplink, downlink) = backbone::start().expect("a backbone");
    let rooms = Rooms::new(Config::default());
    let hub = Arc::new(Hub::new(Arc::new(login), Rules::default(), config.limits, rooms, uplink));
    let (mut alice, mut bob) = runtime.block_on(async {
        run_backbone(&hub, downlink);
        (seated(&hub, "alice", "created").await, seated(&hub, "bob", "joined").await)
    });
    let batch = publish(TOPIC, &PAYLOAD).repeat(BATCH);
    let mut came = vec![0; batch.len()];
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        runtime.block_on(async {
            alice.write_all(&batch).await.expect("alice's session");
            bob.read_exact(&mut came).await.expect("bob's session");
        });
    });
    assert!(came.ends_with(&PAYLOAD));
}

/// A client that has joined the lobby, and has heard so.
async fn seated(hub: &Arc<Hub>, id: &str, answer: &str) -> DuplexStream {
    let (mut client, server) = duplex(256 * 1024);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let arrival = Arrival::new(address, Transport::Tcp, hub.door.arrive(address.ip()));
    tokio::spawn(session::serve(server, arrival, hub.clone()));
    let subscribe = packet(0x82, &[0, 1], &[&format!("rooms/+/{id}/+")], &[0]);
    let join = publish(&format!("rooms/lobby/agent/{id}"), br#"{"type":"join"}"#);
    client.write_all(&[connect(id), subscribe, join].concat()).await.expect("a session");
    let mut heard = Vec::with_capacity(4096);
    while !(String::from_utf8_lossy(&heard).contains(answer) && heard.ends_with(b"}")) {
        assert!(client.read_buf(&mut heard).await.expect("a session") > 0, "the session has ended");
    }
    client
}
