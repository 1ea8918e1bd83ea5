//! Two peers that meet in a room, and a third that may not: each joins again until it is answered, and as often as its lease
//! wants it, as the page and the camera do.

use crate::mosquitto::Client;
use crate::{JOIN, LEASE, PATIENCE};
use protocol::Topic;
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A join that is not answered by then is said again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A pair that has not met by then never does, nor is a room left by then.
const MEETING: Duration = PATIENCE;

/// A peer in many rooms.
pub(crate) struct Peer {
    client: Client,
    name: String,
    seats: HashMap<usize, Seat>,
}

/// What a peer knows of a room.
#[derive(Default)]
struct Seat {
    rev: u64,
    answer: Option<String>,
    fellow: Option<String>,
    early: Vec<(String, String)>,
    is_connected: bool,
    joined: Option<Instant>,
}

impl Peer {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into(), seats: HashMap::new() }
    }

    /// Hears everything that has come, and answers it.
    pub(crate) fn hear(&mut self) {
        while let Some((topic, payload)) = self.client.next(Duration::from_millis(1)) {
            let message: Value = serde_json::from_slice(&payload).unwrap();
            let kind = message["type"].as_str().unwrap().to_owned();
            match Topic::parse(&topic) {
                Ok(Topic::FromAgent { room, .. }) => self.agent(number(room), &kind, &message),
                Ok(Topic::Signal { room, from, .. }) => self.signal(number(room), from.to_owned(), kind),
                other => panic!("{topic}: {other:?}"),
            }
        }
    }

    fn agent(&mut self, room: usize, kind: &str, message: &Value) {
        let Some(seat) = self.seats.get_mut(&room) else { return };
        let rev = message["rev"].as_u64().unwrap();
        if rev <= seat.rev {
            return;
        }
        seat.rev = rev;
        let name = |value: &Value| value["id"].as_str().map(str::to_owned);
        match kind {
            "created" | "joined" => {
                (seat.answer, seat.fellow) = (Some(kind.into()), name(&message["peer"]));
                if kind == "joined" && !seat.is_connected {
                    self.send(room, "ready");
                }
            }
            "full" => (seat.answer, seat.fellow) = (Some(kind.into()), None),
            "arrived" => seat.fellow = name(&message["peer"]),
            "left" => seat.fellow = None,
            "error" => {}
            other => panic!("{} hears {other} in room-{room}: {message}", self.name),
        }
        let early = self.seats.get_mut(&room).map(|seat| std::mem::take(&mut seat.early)).unwrap_or_default();
        early.into_iter().for_each(|(from, kind)| self.signal(room, from, kind));
    }

    fn signal(&mut self, room: usize, from: String, kind: String) {
        let Some(seat) = self.seats.get_mut(&room) else { return };
        if seat.fellow.as_ref() != Some(&from) {
            return seat.early.push((from, kind));
        }
        match kind.as_str() {
            "ready" => self.send(room, "offer"),
            "offer" => {
                seat.is_connected = true;
                self.send(room, "answer");
            }
            "answer" => seat.is_connected = true,
            other => panic!("{other}"),
        }
    }

    fn send(&self, room: usize, kind: &str) {
        let Some(fellow) = self.seats.get(&room).and_then(|seat| seat.fellow.as_ref()) else { return };
        let topic = format!("rooms/room-{room}/{fellow}/{}", self.name);
        self.client.post(&topic, false, format!(r#"{{"type":"{kind}"}}"#).as_bytes());
    }

    /// Wants in, or wants to stay; says so when it is time.
    fn join(&mut self, room: usize) {
        let seat = self.seats.entry(room).or_default();
        let again =
            if matches!(seat.answer.as_deref(), Some("created" | "joined")) { LEASE / 3 } else { ANSWER_WITHIN };
        if seat.joined.is_none_or(|joined| joined.elapsed() >= again) {
            seat.joined = Some(Instant::now());
            self.client.post(&format!("rooms/room-{room}/agent/{}", self.name), false, JOIN);
        }
    }

    /// Forgets the answer, and asks anew.
    fn ask(&mut self, room: usize) {
        let seat = self.seats.entry(room).or_default();
        (seat.answer, seat.joined) = (None, None);
    }

    fn leave(&mut self, room: usize) {
        self.seats.remove(&room);
        self.client.post(&format!("rooms/room-{room}/agent/{}", self.name), false, br#"{"type":"leave"}"#);
    }

    fn answer(&self, room: usize) -> Option<&str> {
        self.seats.get(&room)?.answer.as_deref()
    }

    fn is_connected(&self, room: usize) -> bool {
        self.seats.get(&room).is_some_and(|seat| seat.is_connected)
    }
}

fn number(room: &str) -> usize {
    room.strip_prefix("room-").unwrap().parse().unwrap()
}

/// A room's short life.
pub(crate) struct Meeting {
    room: usize,
    part: Part,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Two join and connect.
    Meet,
    /// A third is turned away.
    TurnAway,
    /// They leave, and the third comes in.
    GiveWay,
}

impl Meeting {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, part: Part::Meet, since: Instant::now() }
    }

    /// Whether it is over.
    pub(crate) fn go_on(&mut self, peers: &mut [Peer]) -> bool {
        let (room, half) = (self.room, peers.len() / 2);
        let (one, other, third) = (room % half, half + room % half, (room + 1) % half);
        if self.part == Part::Meet && !peers[one].seats.contains_key(&room) {
            self.since = Instant::now();
        }
        assert!(
            self.since.elapsed() < MEETING,
            "room-{room} hangs in {:?}: {:?}",
            self.part,
            [one, other, third].map(|peer| (peers[peer].answer(room), peers[peer].is_connected(room)))
        );
        if self.part != Part::GiveWay {
            for peer in [one, other] {
                peers[peer].join(room);
                assert_ne!(peers[peer].answer(room), Some("full"), "{} finds room-{room} full", peers[peer].name);
            }
        }
        match self.part {
            Part::Meet if peers[one].is_connected(room) && peers[other].is_connected(room) => {
                self.next(Part::TurnAway);
            }
            Part::TurnAway => {
                peers[third].join(room);
                match peers[third].answer(room) {
                    Some("full") => {
                        peers[one].leave(room);
                        peers[other].leave(room);
                        peers[third].ask(room);
                        self.next(Part::GiveWay);
                    }
                    None => {}
                    other => panic!("room-{room} has three: the third is told {other:?}"),
                }
            }
            Part::GiveWay => {
                peers[third].join(room);
                if let Some("created" | "joined") = peers[third].answer(room) {
                    peers[third].leave(room);
                    return true;
                }
            }
            Part::Meet => {}
        }
        false
    }

    fn next(&mut self, part: Part) {
        (self.part, self.since) = (part, Instant::now());
    }
}
