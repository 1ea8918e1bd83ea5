//! `cargo bench -p broker --bench micro`: the parts that every message goes through, one by one.
//!
//! For comparing a change with what was before it. What the whole costs, with the kernel's part, is for the load.

use agent::ice::Ice;
use agent::room::{self, Event, Room};
use agent::rooms::{Config, Input, Rooms};
use broker::access::authorize::Rules;
use broker::access::{Identity, Role};
use broker::audit::Audit;
use broker::config::default_limits;
use broker::frame::{self, Flags, Frame, Qos};
use broker::hub;
use broker::session::outbox::{Delivery, Outbox};
use broker::session::packets::write_qos_0;
use broker::switchboard::{Subscription, Switchboard, Welcome};
use broker::sys::Counters;
use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::{Connection, Version, role};
use parking_lot::RwLock;
use protocol::{PeerId, RoomId, Timestamp, Topic};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOPIC: &str = "rooms/lobby/bob/alice";
const PAYLOAD: [u8; 300] = [b'x'; 300];
/// Rooms that there are besides, for look-ups to be as long as they are.
const OTHERS: usize = 10_000;

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
    frame::publish(&peer("alice"), TOPIC, flags, |_| (), &PAYLOAD)
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
    let rules = room::Rules { room: &lobby, grace: Duration::from_secs(10), rev_floor: 0, ice: &ice };
    let joins = |name| Event::Join { peer: peer(name), info: None, may_create: true };
    let leaves = |name| Event::Leave { peer: peer(name), lost: false };
    bencher.with_inputs(|| [joins("alice"), joins("bob"), leaves("bob"), leaves("alice")]).bench_local_values(|events| {
        let (mut room, mut effects): (Option<Room>, _) = (None, Vec::new());
        for event in events {
            room::step(&mut room, event, at(1), &rules, &mut effects);
        }
        effects
    });
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

/// A PUBLISH from bytes to a packet.
#[divan::bench]
fn packet_read(bencher: Bencher<'_, '_>) {
    let mut connection = Connection::<role::Server>::new(Version::V3_1_1);
    let connect = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05alice";
    connection.recv(&mut Cursor::new(&connect[..]));
    let body = 2 + TOPIC.len() + PAYLOAD.len();
    let mut packet = vec![0x30, body as u8 | 0x80, (body >> 7) as u8, 0, TOPIC.len() as u8];
    packet.extend_from_slice(TOPIC.as_bytes());
    packet.extend_from_slice(&PAYLOAD);
    bencher.counter(BytesCount::of_slice(&packet)).bench_local(|| connection.recv(&mut Cursor::new(&packet[..])));
}

/// Into the backbone and out of it, without it.
#[divan::bench]
fn frame_made_and_read() -> Option<Frame> {
    Frame::decode(black_box(signal()))
}

/// From a frame of the backbone to the receiver's outbox, and out of it to bytes.
#[divan::bench]
fn signal_dispatched(bencher: Bencher<'_, '_>) {
    let (rooms, counters, audit) = (Arc::new(RwLock::new(rooms())), Arc::default(), Arc::new(Audit::default()));
    let limits = default_limits();
    let mut switchboard = Switchboard::new(rooms, &limits, counters, audit);
    let (bob, outbox) = (peer("bob"), Arc::new(Outbox::default()));
    let who = Identity { id: bob.clone(), role: Role::Peer, grant: None };
    assert!(matches!(switchboard.connect(&who, &outbox, true, false, Instant::now()), Welcome::In { .. }));
    switchboard.subscribe(&bob, Subscription { filter: "rooms/+/bob/+".into(), ..Subscription::default() });
    let (now, mut out) = (hub::now(), Vec::with_capacity(1024));
    bencher.with_inputs(|| Frame::decode(signal()).expect("a frame")).bench_local_values(|frame| {
        switchboard.handle(frame, now);
        let delivery: Delivery = outbox.take_if(|_| true).expect("a signal for bob");
        out.clear();
        assert!(write_qos_0(&mut out, Version::V3_1_1, &delivery, u32::MAX, now.instant));
        out.len()
    });
}

/// The figures of the broker are counted without a lock.
#[divan::bench]
fn counted(bencher: Bencher<'_, '_>) {
    let counters = Counters::default();
    bencher.bench_local(|| counters.publishes_received.add(black_box(1)));
}
