//! The limit of two, when ten want in at once: a thousand rooms over real sockets.

mod support;

use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use support::client::{Hello, V3};
use support::{Broker, PATIENCE};

const ROOMS: usize = 1000;
const CLIENTS: usize = 10;
/// Rooms that are tried at the same time.
const AT_ONCE: usize = 25;

/// CONNECT, SUBSCRIBE and the join, in one piece.
fn everything(room: &str, id: &str) -> Vec<u8> {
    let mut bytes = Hello::new(V3, id).packet().to_continuous_buffer();
    let mut put = |first: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        bytes.extend([first, u8::try_from(body.len()).expect("short")]);
        bytes.extend(body);
    };
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
    put(0x82, &[&[0, 1], &text(&format!("rooms/+/{id}/+")), &[0]]);
    put(0x30, &[&text(&format!("rooms/{room}/agent/{id}")), br#"{"type":"join"}"#]);
    bytes
}

/// The type of the agent's first answer.
fn answer(socket: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&seen);
        if let Some(kind) = ["created", "joined", "full", "error"].iter().find(|kind| text.contains(**kind)) {
            return (*kind).to_owned();
        }
        let length = socket.read(&mut buffer).expect("an answer in time");
        assert!(length > 0, "closed after {text:?}");
        seen.extend(&buffer[..length]);
    }
}

fn race(address: SocketAddr, rooms: std::ops::Range<usize>) -> Vec<BTreeMap<String, usize>> {
    let start = Barrier::new(CLIENTS);
    let answers: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (start, rooms) = (&start, rooms.clone());
                scope.spawn(move || {
                    let mut sockets: Vec<TcpStream> = rooms
                        .clone()
                        .map(|_| {
                            let socket = TcpStream::connect(address).unwrap();
                            socket.set_nodelay(true).unwrap();
                            socket.set_read_timeout(Some(PATIENCE)).unwrap();
                            socket
                        })
                        .collect();
                    start.wait();
                    for (room, socket) in rooms.clone().zip(&mut sockets) {
                        socket.write_all(&everything(&format!("room-{room}"), &format!("c{client}-{room}"))).unwrap();
                    }
                    let answers: Vec<String> = sockets.iter_mut().map(answer).collect();
                    start.wait(); // nobody leaves before everybody has an answer
                    answers
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let count = |room: usize| {
        let mut counts = BTreeMap::new();
        for client in &answers {
            *counts.entry(client[room].clone()).or_default() += 1;
        }
        counts
    };
    (0..rooms.len()).map(count).collect()
}

#[test]
fn of_ten_who_join_at_once_one_creates_one_joins_and_eight_find_it_full() {
    let broker = Broker::with(&["--log", "warn"], "");
    let expected =
        BTreeMap::from([("created".to_owned(), 1), ("full".to_owned(), CLIENTS - 2), ("joined".to_owned(), 1)]);
    let mut rooms = 0;
    for first in (0..ROOMS).step_by(AT_ONCE) {
        for (room, counts) in race(broker.mqtt, first..first + AT_ONCE).into_iter().enumerate() {
            assert_eq!(counts, expected, "room-{}", first + room);
            rooms += 1;
        }
    }
    assert_eq!(rooms, ROOMS);
    broker.settled();
}
