//! One turn of a room that a store keeps: what was heard about it becomes what is to be kept and said.
//!
//! Pure: [`crate::room::step`] does the deciding; here is what a room needs beyond it where its members' connections are
//! not seen: topics and payloads, a lease for each member, and what the store is told for its indexes.

use super::{Kept, Look, Publication, Write};
use crate::ice::Ice;
use crate::room::{Effect, Event, Room, Rules, step};
use protocol::{
    AgentMessage, Control, ErrorCode, PeerId, PeerMessage, RoomEvent, RoomId, RoomState, Said, Timestamp, Topic,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest message to the agent, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What holds in every room. All agents of a store are to have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How long the seat of a lost peer is kept.
    pub grace: Duration,
    /// How long a member is taken to be there that says nothing; `None`: until something tells that it is not.
    pub lease: Option<Duration>,
    /// What peers are given for their `RTCPeerConnection`.
    pub ice: Ice,
}

impl Default for Terms {
    /// Ten seconds of grace, no lease, and no ICE servers.
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), lease: None, ice: Ice::default() }
    }
}

/// What was heard about a room.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A peer said something to the agent.
    Message {
        /// Who.
        from: PeerId,
        /// What, as it came.
        payload: Vec<u8>,
    },
    /// An operator ordered something.
    Order(Control),
    /// A peer's connection ended.
    Ended {
        /// Whose.
        peer: PeerId,
        /// Without a DISCONNECT.
        lost: bool,
    },
    /// The broker has lost its sessions, and with them the wills of peers that will not come back: all members are taken
    /// for lost. What it kept is gone, too.
    Forgotten,
    /// The broker may show another state of the room than the last.
    Show,
    /// The broker shows this state of the room, which may be an older one, or of a room that is gone.
    Shown(Vec<u8>),
    /// It is time, or was when the store was asked.
    Due,
}

/// What follows from `heard`, in a room that stands as `look` says; `None` if nothing does. Time that has run out
/// by then counts first.
pub fn turn(room: &RoomId, look: &Look, heard: &[Heard], terms: &Terms, id: &str) -> Option<Write> {
    let Look { now, floor, version, ref kept, .. } = *look;
    let (state, times) = kept.clone().map_or((None, BTreeMap::new()), |kept| (Some(kept.room), kept.heard));
    let mut turn = Turn { room, now, terms, floor, state, times, effects: Vec::new() };
    let mut is_due = turn.tick();
    let mut must_show = false;
    for heard in heard {
        is_due |= *heard == Heard::Due;
        turn.take(heard);
        must_show |= match heard {
            Heard::Show => true,
            Heard::Shown(payload) => !turn.is_shown_by(payload),
            Heard::Forgotten => turn.state.is_some(),
            _ => false,
        };
    }
    let Turn { floor, state, times, effects, .. } = turn;
    let kept_then = state.map(|room| Kept { room, heard: times });
    if effects.is_empty() && !must_show && !is_due && kept_then == *kept {
        return None;
    }
    let members = |kept: &Option<Kept>| -> Vec<PeerId> {
        kept.iter().flat_map(|kept| kept.room.seats()).map(|(_, seat)| seat.peer().clone()).collect()
    };
    let (before, after) = (members(kept), members(&kept_then));
    let first = effects.iter().find_map(rev_of).filter(|_| kept.is_none());
    Some(Write {
        version,
        id: id.to_owned(),
        said: publications(room, effects, kept_then.as_ref().map(|kept| &kept.room), must_show),
        due: kept_then.as_ref().and_then(|kept| kept.due(terms)),
        first,
        floor,
        come: after.iter().filter(|peer| !before.contains(peer)).cloned().collect(),
        gone: before.iter().filter(|peer| !after.contains(peer)).cloned().collect(),
        kept: kept_then,
    })
}

impl Kept {
    /// When time next changes something.
    fn due(&self, terms: &Terms) -> Option<Timestamp> {
        let leases = terms.lease.into_iter().flat_map(|lease| self.leases(lease).map(|(_, ends)| ends));
        leases.chain(self.room.deadline(terms.grace, terms.ice.renewal())).min()
    }

    /// Who is there, and until when it is taken to be.
    fn leases(&self, lease: Duration) -> impl Iterator<Item = (&PeerId, Timestamp)> {
        let present = self.room.seats().map(|(_, seat)| seat).filter(|seat| !seat.is_away());
        present.map(move |seat| {
            let heard = self.heard.get(seat.peer()).copied().unwrap_or(seat.since());
            (seat.peer(), heard.plus(lease))
        })
    }
}

struct Turn<'a> {
    room: &'a RoomId,
    now: Timestamp,
    terms: &'a Terms,
    floor: u64,
    state: Option<Room>,
    times: BTreeMap<PeerId, Timestamp>,
    effects: Vec<Effect>,
}

impl Turn<'_> {
    /// Lets time do what it has to; whether it had to.
    fn tick(&mut self) -> bool {
        let Some(room) = self.state.clone() else { return false };
        // What began in a time to come began before the clock was set back; the room forgives it with a tick.
        let begun = room.seats().filter_map(|(_, seat)| seat.away_since().or(seat.served()));
        let was_set_back = begun.chain(self.times.values().copied()).any(|begun| begun > self.now);
        self.times.values_mut().for_each(|heard| *heard = (*heard).min(self.now));
        let kept = Kept { room, heard: self.times.clone() };
        let over: Vec<PeerId> = match self.terms.lease {
            Some(lease) => {
                kept.leases(lease).filter(|(_, ends)| *ends <= self.now).map(|(peer, _)| peer.clone()).collect()
            }
            None => Vec::new(),
        };
        let is_due = kept.due(self.terms).is_some_and(|due| due <= self.now);
        for peer in over {
            self.step(Event::Ended { peer, lost: true });
        }
        if is_due || was_set_back {
            self.step(Event::Tick);
        }
        is_due || was_set_back
    }

    fn take(&mut self, heard: &Heard) {
        match heard {
            Heard::Message { from, payload } if payload.len() > MAX_MESSAGE => self.too_large(from),
            Heard::Message { from, payload } => self.say(from.clone(), payload),
            Heard::Order(Control::Remove { peer }) => self.step(Event::Remove { peer: peer.clone() }),
            Heard::Order(Control::Close) => self.step(Event::Close),
            Heard::Ended { peer, lost } => self.step(Event::Ended { peer: peer.clone(), lost: *lost }),
            Heard::Forgotten => {
                let members: Vec<_> =
                    self.state.iter().flat_map(Room::seats).map(|(_, seat)| seat.peer().clone()).collect();
                for peer in members {
                    self.step(Event::Ended { peer, lost: true });
                }
            }
            // Also where nothing else follows, the room forgives a clock that was set back.
            Heard::Due if self.state.is_some() => self.step(Event::Tick),
            Heard::Due | Heard::Show | Heard::Shown(_) => {}
        }
    }

    fn say(&mut self, peer: PeerId, payload: &[u8]) {
        let event = match PeerMessage::decode(payload) {
            // Which rights a peer has, only the broker knows, and its rules say `may join` or not; so
            // whoever may join may create.
            Ok(PeerMessage::Join { info }) => Event::Join { peer: peer.clone(), info, may_create: true },
            Ok(PeerMessage::Leave { lost }) => Event::Leave { peer: peer.clone(), lost },
            Ok(PeerMessage::State { connection, detail }) => Event::State { peer: peer.clone(), connection, detail },
            Err(error) => Event::Bad { peer: peer.clone(), error },
        };
        let is_there = !matches!(event, Event::Leave { .. });
        self.step(event);
        if is_there && self.state.as_ref().is_some_and(|room| room.seat(peer.as_str()).is_some()) {
            self.times.insert(peer, self.now);
        }
    }

    /// Whether a state that the broker keeps says who is in the room.
    fn is_shown_by(&self, payload: &[u8]) -> bool {
        let shown = serde_json::from_slice::<RoomState>(payload).ok().map(|state| state.peers);
        self.state.as_ref().is_some_and(|room| shown == Some(room.state(self.room.clone(), 0).peers))
    }

    fn too_large(&mut self, peer: &PeerId) {
        let code = ErrorCode::TooLarge;
        let why = format!("a message to the agent has at most {MAX_MESSAGE} bytes");
        let rev = match &mut self.state {
            Some(room) => room.next_rev(),
            None => self.now.as_millis().max(self.floor),
        };
        let message = AgentMessage { said: Said::Error { code, message: why.clone() }, rev };
        self.effects.push(Effect::Tell { to: peer.clone(), message });
        if self.state.is_some() {
            self.step(Event::Refused { peer: peer.clone(), code, why });
        } else {
            self.floor = rev + 1;
        }
    }

    fn step(&mut self, event: Event) {
        let rules = Rules {
            room: self.room,
            grace: self.terms.grace,
            lease: self.terms.lease,
            rev_floor: self.floor,
            ice: &self.terms.ice,
        };
        let before = self.effects.len();
        step(&mut self.state, event, self.now, &rules, &mut self.effects);
        if let Some(room) = &self.state {
            self.times.retain(|peer, _| room.seat(peer.as_str()).is_some());
        } else {
            self.times.clear();
            let last = self.effects[before..].iter().filter_map(rev_of).max();
            self.floor = self.floor.max(last.map_or(0, |rev| rev + 1));
        }
    }
}

fn rev_of(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Tell { message, .. } => Some(message.rev),
        Effect::Happened(event) => Some(event.rev),
        _ => None,
    }
}

/// What the broker is given. The state comes once, after everything that led to it.
fn publications(name: &RoomId, effects: Vec<Effect>, room: Option<&Room>, must_show: bool) -> Vec<Publication> {
    let mut is_changed = must_show;
    let mut said: Vec<Publication> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Tell { to, message } => Some(Publication::told(name, &to, &message)),
            Effect::Happened(event) => Some(Publication::happened(name, &event)),
            Effect::Changed => {
                is_changed = true;
                None
            }
            // The broker passes signals by itself and keeps them, if at all, in their receiver's session.
            Effect::Resume { .. } | Effect::Forget { .. } => None,
        })
        .collect();
    if is_changed {
        said.push(Publication::shown(name, room.map(|room| room.state(name.clone(), 0)).as_ref()));
    }
    said
}

impl Publication {
    fn new(topic: Topic<'_>, payload: String, retain: bool) -> Self {
        Self { topic: topic.to_string(), payload, retain }
    }

    fn told(room: &RoomId, to: &PeerId, message: &AgentMessage) -> Self {
        Self::new(Topic::FromAgent { room: room.as_str(), to: to.as_str() }, json(message), false)
    }

    fn happened(room: &RoomId, event: &RoomEvent) -> Self {
        Self::new(Topic::Events { room: room.as_str() }, json(event), false)
    }

    fn shown(room: &RoomId, state: Option<&RoomState>) -> Self {
        Self::new(Topic::State { room: room.as_str() }, state.map(json).unwrap_or_default(), true)
    }
}

fn json(message: &impl Serialize) -> String {
    // Names, numbers and JSON values cannot fail to become JSON; if they ever do, an empty
    // payload says nothing rather than something wrong.
    serde_json::to_string(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &[u8] = br#"{"type":"join"}"#;

    fn message(from: &str, payload: &[u8]) -> Heard {
        Heard::Message { from: from.parse().unwrap(), payload: payload.to_vec() }
    }

    /// A room over several turns, as a store would keep it.
    struct Lobby {
        look: Look,
        terms: Terms,
    }

    impl Lobby {
        fn new(lease: Option<Duration>) -> Self {
            let now = Timestamp::from_millis(7_000);
            let look = Look { now, floor: 7_000, version: 0, by: String::new(), kept: None, speak: Vec::new() };
            Self { look, terms: Terms { lease, ..Terms::default() } }
        }

        fn turn(&mut self, heard: &[Heard]) -> Option<Write> {
            let write = turn(&"lobby".parse().unwrap(), &self.look, heard, &self.terms, "write")?;
            self.look.kept = write.kept.clone();
            self.look.floor = self.look.floor.max(write.floor);
            Some(write)
        }

        fn later(&mut self, seconds: u64) {
            self.look.now = self.look.now.plus(Duration::from_secs(seconds));
        }

        fn away(&self) -> Vec<bool> {
            self.look.kept.iter().flat_map(|kept| kept.room.seats()).map(|(_, seat)| seat.is_away()).collect()
        }
    }

    #[test]
    fn a_join_is_answered_told_and_shown() {
        let write = Lobby::new(None).turn(&[message("alice", JOIN)]).unwrap();
        let said: Vec<_> = write.said.iter().map(|said| (said.topic.as_str(), said.retain)).collect();
        assert_eq!(said, [("rooms/lobby/alice/agent", false), ("rooms/lobby/events", false), ("rooms/lobby", true)]);
        assert_eq!((write.first, write.due, write.come.len(), write.gone.len()), (Some(7_000), None, 1, 0));
    }

    #[test]
    fn what_is_heard_in_one_turn_follows_in_order_and_is_shown_once() {
        let mut room = Lobby::new(None);
        let write = room.turn(&["alice", "bob", "carol"].map(|peer| message(peer, JOIN))).unwrap();
        let answers = write.said.iter().filter(|said| said.topic.ends_with("/agent"));
        let kinds: Vec<String> = answers
            .map(|said| {
                serde_json::from_str::<serde_json::Value>(&said.payload).unwrap()["type"].as_str().unwrap().into()
            })
            .collect();
        assert_eq!(kinds, ["created", "arrived", "joined", "full"]);
        assert_eq!(write.said.iter().filter(|said| said.retain).count(), 1);
        assert_eq!(room.turn(&[]), None, "nothing follows from nothing");
    }

    #[test]
    fn a_room_that_is_gone_leaves_a_floor_and_an_empty_state() {
        let mut room = Lobby::new(None);
        let write = room.turn(&[message("alice", JOIN), message("alice", br#"{"type":"leave"}"#)]).unwrap();
        assert_eq!((write.kept, write.come.len(), write.said.last().unwrap().payload.as_str()), (None, 0, ""));
        assert_eq!(write.floor, 7_003, "created, its event and left were three");
        let again = room.turn(&[message("bob", JOIN)]).unwrap();
        assert_eq!(again.first, Some(7_003));
    }

    #[test]
    fn a_lease_ends_the_grace_time_follows_and_each_is_due() {
        let mut room = Lobby::new(Some(Duration::from_secs(60)));
        let write = room.turn(&[message("alice", JOIN)]).unwrap();
        assert!(write.said[0].payload.contains(r#""lease":60"#), "{}", write.said[0].payload);
        assert_eq!(write.due, Some(Timestamp::from_millis(67_000)));
        room.later(40);
        let write = room.turn(&[message("alice", br#"{"type":"state","connection":"connected"}"#)]).unwrap();
        assert_eq!(write.due, Some(Timestamp::from_millis(107_000)), "whatever it says renews it");
        room.later(60);
        let write = room.turn(&[Heard::Due]).unwrap();
        assert_eq!((room.away(), write.due), (vec![true], Some(Timestamp::from_millis(117_000))));
        room.later(10);
        assert_eq!(room.turn(&[Heard::Due]).unwrap().kept, None);
    }

    #[test]
    fn a_lease_of_a_time_to_come_begins_anew() {
        let mut room = Lobby::new(Some(Duration::from_secs(60)));
        room.look.now = Timestamp::from_millis(10_000_000);
        room.turn(&[message("alice", JOIN)]).unwrap();
        room.look.now = Timestamp::from_millis(7_000);
        assert_eq!(room.turn(&[Heard::Due]).unwrap().due, Some(Timestamp::from_millis(67_000)));
    }

    #[test]
    fn what_the_broker_shows_is_put_right_only_where_it_is_wrong() {
        let mut room = Lobby::new(None);
        assert_eq!(room.turn(&[Heard::Shown(b"{}".to_vec())]).unwrap().said[0].payload, "");
        let shown = room.turn(&[message("alice", JOIN)]).unwrap().said.pop().unwrap().payload.into_bytes();
        assert_eq!(room.turn(&[Heard::Shown(shown.clone())]), None);
        room.turn(&[message("bob", JOIN)]).unwrap();
        let put_right = room.turn(&[Heard::Shown(shown)]).unwrap();
        assert!(put_right.said[0].retain && put_right.said[0].payload.contains("bob"), "{put_right:?}");
    }

    #[test]
    fn after_the_broker_has_forgotten_all_keep_their_seats_for_the_grace_time() {
        let mut room = Lobby::new(None);
        room.turn(&[message("alice", JOIN), message("bob", JOIN)]).unwrap();
        let write = room.turn(&[Heard::Forgotten]).unwrap();
        assert_eq!((room.away(), write.due), (vec![true, true], Some(Timestamp::from_millis(17_000))));
        let back = room.turn(&[message("alice", JOIN)]).unwrap();
        assert!(back.said[0].payload.contains(r#""resumed":true"#), "{back:?}");
    }

    #[test]
    fn what_is_too_large_is_refused_and_counted_also_where_there_is_no_room() {
        let mut room = Lobby::new(None);
        let large = message("alice", &[b' '; MAX_MESSAGE + 1]);
        let write = room.turn(&[large.clone(), large.clone()]).unwrap();
        let revs: Vec<u64> = write
            .said
            .iter()
            .map(|said| serde_json::from_str::<serde_json::Value>(&said.payload).unwrap()["rev"].as_u64().unwrap())
            .collect();
        assert_eq!((revs, write.first, write.floor), (vec![7_000, 7_001], Some(7_000), 7_002));
        room.turn(&[message("alice", JOIN)]).unwrap();
        let write = room.turn(&[large]).unwrap();
        assert!(write.said[0].payload.contains("too-large"), "{write:?}");
        assert_eq!(write.kept.unwrap().room.refused(), 1);
    }
}
