//! What the store was told, checked as it is told: the history of each room makes sense, numbers grow, nobody is lost
//! before its time, and everything that is to be said is said at last.

use crate::GRACE;
use agent::store::{Publication, Write};
use protocol::{RoomId, Timestamp, Topic};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct History {
    rooms: BTreeMap<RoomId, Told>,
    /// What is to be said, by topic and `rev`.
    unsaid: BTreeSet<(String, u64)>,
    /// The latest time that the clock has shown before or after it was set.
    pub set_at: Timestamp,
    pub lost: u64,
}

/// One room, as its events tell it.
#[derive(Debug, Default)]
struct Told {
    rev: u64,
    /// Who is inside, and since when away.
    inside: BTreeMap<String, Option<Timestamp>>,
}

impl History {
    /// A write was made.
    pub fn written(&mut self, room: &RoomId, write: &Write) {
        let told = self.rooms.entry(room.clone()).or_default();
        let mut lost = Vec::new();
        let mut has_come = false;
        for Publication { topic, payload, retain } in &write.said {
            if *retain {
                continue;
            }
            let message: Value = serde_json::from_str(payload).unwrap();
            let rev = message["rev"].as_u64().unwrap();
            assert!(rev > told.rev, "rev {rev} after {} in {room}: {topic} {payload}", told.rev);
            told.rev = rev;
            self.unsaid.insert((topic.clone(), rev));
            if let Ok(Topic::Events { .. }) = Topic::parse(topic) {
                // When the room was looked at: a write may be long under way.
                let now: Timestamp = serde_json::from_value(message["time"].clone()).unwrap();
                let peer = message["peer"].as_str().unwrap_or_default().to_owned();
                let inside = &mut told.inside;
                match message["type"].as_str().unwrap() {
                    "created" => {
                        assert!(inside.is_empty(), "{peer} creates {room} with {inside:?} in it");
                        inside.insert(peer, None);
                        has_come = true;
                    }
                    "joined" => {
                        assert!(inside.len() == 1 && !inside.contains_key(&peer), "{peer} joins {inside:?} in {room}");
                        inside.insert(peer, None);
                        has_come = true;
                    }
                    "full" => assert!(inside.len() == 2 && !inside.contains_key(&peer), "{room} is full: {inside:?}"),
                    "away" => {
                        let before = inside.insert(peer, Some(now));
                        assert_eq!(before, Some(None), "only one who is there gets away from {room}");
                    }
                    "resumed" => {
                        let before = inside.insert(peer, None);
                        assert!(matches!(before, Some(Some(_))), "only one who is away comes back to {room}");
                    }
                    "left" => {
                        let was = inside.remove(&peer);
                        let Some(was) = was else { panic!("{peer} leaves {room} with {inside:?} in it") };
                        if message["reason"] == "lost" {
                            lost.push((was, now));
                        }
                    }
                    "closed" => inside.clear(),
                    _ => {}
                }
            }
        }
        for (since, now) in lost {
            self.lost += 1;
            let since = since.expect("only one who is away is lost");
            // A ghost's seat is given to a newcomer at any time; and a clock that was set says nothing of how long.
            assert!(
                has_come || since <= self.set_at || now.since(since) >= GRACE,
                "lost after {:?} in {room}: away at {since}, lost at {now}, {write:?}",
                now.since(since)
            );
        }
        let kept = write.kept.iter().flat_map(|kept| kept.room.seats());
        let kept: BTreeMap<_, _> = kept.map(|(_, seat)| (seat.peer().to_string(), seat.is_away())).collect();
        let inside: BTreeMap<_, _> = told.inside.iter().map(|(peer, away)| (peer.clone(), away.is_some())).collect();
        assert_eq!(kept, inside, "what is kept of {room} is what was told of it");
    }

    /// The broker has taken something.
    pub fn said(&mut self, publication: &Publication) {
        if let Ok(message) = serde_json::from_str::<Value>(&publication.payload)
            && !publication.retain
        {
            self.unsaid.remove(&(publication.topic.clone(), message["rev"].as_u64().unwrap()));
        }
    }

    /// The store has lost everything.
    pub fn forget(&mut self) {
        self.unsaid.clear();
        self.rooms.values_mut().for_each(|room| room.inside.clear());
    }

    /// The greatest `rev` of all.
    pub fn rev(&self) -> u64 {
        self.rooms.values().map(|room| room.rev).max().unwrap_or_default()
    }

    /// When all is said.
    pub fn check_all_is_said(&self) {
        assert!(self.unsaid.is_empty(), "never said: {:?}", self.unsaid);
    }
}
