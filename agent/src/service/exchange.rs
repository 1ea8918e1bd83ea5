//! What the agent makes of what it hears over an outside broker: topics and bytes in, topics and
//! bytes out. No connection, no clock, no log; `super::drive` has those.

use crate::rooms::{Config, Input, Output, Rooms};
use protocol::{Control, ErrorCode, IdError, MessageError, PeerId, RoomEvent, RoomState, Timestamp, Topic, TopicError};
use serde::Serialize;

/// Longest message to the agent, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// A message of the broker to the agent.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its payload, as it came.
    pub payload: &'a [u8],
    /// Whether the broker had kept it.
    pub retain: bool,
}

/// A message of the agent to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Whether it must arrive (QoS 1), or may be lost (QoS 0).
    pub must_arrive: bool,
    /// Whether the broker is to keep it.
    pub retain: bool,
}

/// Why nothing followed from a message.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// A broker that lets peers retain would have them join again at every start.
    #[error("what is said to the agent must not be retained")]
    Retained,
    /// It comes from nobody.
    #[error(transparent)]
    Nobody(#[from] IdError),
    /// No topic of this protocol.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// An operator's order that cannot be read.
    #[error(transparent)]
    Order(#[from] MessageError),
}

/// The rooms, as a client of an outside broker.
#[derive(Debug)]
pub struct Exchange {
    rooms: Rooms,
}

impl Exchange {
    /// No rooms yet. What is said begins with a `rev` of `now`, whatever becomes of the clock.
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mut rooms = Rooms::new(config);
        rooms.handle(now, Input::Tick, &mut Vec::new());
        Self { rooms }
    }

    /// The rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Takes a message in; what follows is appended to `out`, to be [published](Self::publication) in that
    /// order.
    ///
    /// # Errors
    /// Why nothing follows from it.
    pub fn hear(&mut self, now: Timestamp, heard: Heard<'_>, out: &mut Vec<Output>) -> Result<(), Unheard> {
        let Heard { topic, payload, retain } = heard;
        match Topic::parse(topic)? {
            Topic::ToAgent { .. } | Topic::Control { .. } if retain => return Err(Unheard::Retained),
            Topic::ToAgent { room, from } => {
                let from = PeerId::new(from)?;
                if payload.len() > MAX_MESSAGE {
                    self.refuse(now, room, from, out);
                } else {
                    // Which rights a peer has, only the broker knows, and its rules say `may join`
                    // or not; so whoever may join may create.
                    self.rooms.handle(now, Input::Message { room, from: &from, payload, may_create: true }, out);
                }
            }
            Topic::Control { room } => {
                Control::decode(payload)?;
                self.rooms.handle(now, Input::Order { room, payload }, out);
            }
            // A room of an earlier run: there is none now, and that is published.
            Topic::State { room } if retain && !payload.is_empty() && !self.rooms.exists(room) => {
                out.push(Output::Changed { room: room.parse()? });
            }
            Topic::State { .. } | Topic::FromAgent { .. } | Topic::Signal { .. } | Topic::Events { .. } => {}
        }
        Ok(())
    }

    /// Lets time pass; due at [`Rooms::next_deadline`].
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.rooms.handle(now, Input::Tick, out);
    }

    /// The broker has lost its sessions, and with them the wills of peers that will not come back: all are
    /// taken for lost, and keep their seats if they join again within the grace time.
    pub fn forgotten(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let members: Vec<PeerId> = self.rooms.states().flat_map(|state| state.peers).map(|member| member.id).collect();
        for peer in &members {
            self.rooms.handle(now, Input::Ended { peer, lost: true }, out);
        }
    }

    /// What is published for an output, if anything is: the broker passes signals by itself and keeps
    /// them, if at all, in the session of the peer that is away. A room's state is the one of now.
    pub fn publication(&self, output: &Output) -> Option<Publication> {
        Some(match output {
            Output::Tell { room, to, message } => {
                let topic = Topic::FromAgent { room: room.as_str(), to: to.as_str() };
                Publication::new(topic, json(message), true, false)
            }
            Output::Happened { room, event } => happened(room.as_str(), event),
            Output::Changed { room } => match self.rooms.state(room.as_str()) {
                Some(state) => shown(&state),
                None => Publication::new(Topic::State { room: room.as_str() }, Vec::new(), true, true),
            },
            Output::Resume { .. } | Output::Forget { .. } => return None,
        })
    }

    /// The state of every room, for a broker that has forgotten what it kept.
    pub fn every_room(&self) -> impl Iterator<Item = Publication> {
        self.rooms.states().map(|state| shown(&state))
    }

    fn refuse(&mut self, now: Timestamp, room: &str, peer: PeerId, out: &mut Vec<Output>) {
        let Ok(name) = room.parse() else { return };
        let code = ErrorCode::TooLarge;
        let why = format!("a message to the agent has at most {MAX_MESSAGE} bytes");
        let message = self.rooms.error(room, code, why.clone(), now);
        out.push(Output::Tell { room: name, to: peer.clone(), message });
        self.rooms.handle(now, Input::Refused { room, peer: &peer, code, why: &why }, out);
    }
}

impl Publication {
    fn new(topic: Topic<'_>, payload: Vec<u8>, must_arrive: bool, retain: bool) -> Self {
        Self { topic: topic.to_string(), payload, must_arrive, retain }
    }
}

fn happened(room: &str, event: &RoomEvent) -> Publication {
    Publication::new(Topic::Events { room }, json(event), false, false)
}

fn shown(state: &RoomState) -> Publication {
    Publication::new(Topic::State { room: state.room.as_str() }, json(state), true, true)
}

fn json(message: &impl Serialize) -> Vec<u8> {
    // Names, numbers and JSON values cannot fail to become JSON; if they ever do, an empty
    // payload says nothing rather than something wrong.
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(exchange: &mut Exchange, topic: &str, payload: &[u8], retain: bool) -> Result<Vec<Publication>, Unheard> {
        let mut out = Vec::new();
        exchange.hear(Timestamp::from_millis(7_000), Heard { topic, payload, retain }, &mut out)?;
        Ok(out.iter().filter_map(|output| exchange.publication(output)).collect())
    }

    #[test]
    fn a_join_is_answered_told_and_shown() {
        let mut exchange = Exchange::new(Config::default(), Timestamp::from_millis(7_000));
        let said = hear(&mut exchange, "rooms/lobby/agent/alice", br#"{"type":"join"}"#, false).unwrap();
        let seen: Vec<_> = said.iter().map(|p| (p.topic.as_str(), p.must_arrive, p.retain)).collect();
        assert_eq!(
            seen,
            [
                ("rooms/lobby/alice/agent", true, false),
                ("rooms/lobby/events", false, false),
                ("rooms/lobby", true, true)
            ]
        );
        assert_eq!(exchange.every_room().collect::<Vec<_>>(), said[2..]);
    }

    #[test]
    fn nothing_follows_from_what_is_none_of_its_business() {
        let mut exchange = Exchange::new(Config::default(), Timestamp::from_millis(7_000));
        let join = br#"{"type":"join"}"#;
        assert!(matches!(hear(&mut exchange, "rooms/lobby/agent/alice", join, true), Err(Unheard::Retained)));
        assert!(matches!(
            hear(&mut exchange, "rooms/lobby/agent/a+", join, false),
            Err(Unheard::Nobody(_) | Unheard::Topic(_))
        ));
        assert!(matches!(hear(&mut exchange, "elsewhere", join, false), Err(Unheard::Topic(_))));
        assert!(matches!(hear(&mut exchange, "control/lobby", b"{}", false), Err(Unheard::Order(_))));
        for topic in ["rooms/lobby/alice/bob", "rooms/lobby/events", "rooms/lobby/alice/agent"] {
            assert_eq!(hear(&mut exchange, topic, join, false).unwrap(), []);
        }
        assert!(exchange.rooms().is_empty());
    }

    #[test]
    fn states_of_an_earlier_run_are_cleared_away() {
        let mut exchange = Exchange::new(Config::default(), Timestamp::from_millis(7_000));
        let cleared = hear(&mut exchange, "rooms/old", b"{}", true).unwrap();
        assert_eq!(
            cleared,
            [Publication { topic: "rooms/old".into(), payload: vec![], must_arrive: true, retain: true }]
        );
        assert_eq!(hear(&mut exchange, "rooms/old", b"", true).unwrap(), [], "and that is not heard as another");
        hear(&mut exchange, "rooms/lobby/agent/alice", br#"{"type":"join"}"#, false).unwrap();
        assert_eq!(hear(&mut exchange, "rooms/lobby", b"{}", true).unwrap(), [], "its own stay");
    }

    #[test]
    fn after_the_broker_has_forgotten_all_keep_their_seats_for_the_grace_time() {
        let mut exchange = Exchange::new(Config::default(), Timestamp::from_millis(7_000));
        let join = br#"{"type":"join"}"#;
        for peer in ["alice", "bob"] {
            hear(&mut exchange, &format!("rooms/lobby/agent/{peer}"), join, false).unwrap();
        }
        exchange.forgotten(Timestamp::from_millis(7_000), &mut Vec::new());
        let said = hear(&mut exchange, "rooms/lobby/agent/alice", join, false).unwrap();
        assert!(String::from_utf8_lossy(&said[0].payload).contains(r#""resumed":true"#), "{said:?}");
        exchange.tick(Timestamp::from_millis(17_000), &mut Vec::new());
        let state = exchange.rooms().state("lobby").unwrap();
        assert_eq!(state.peers.iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["alice"]);
    }

    #[test]
    fn what_is_too_large_is_refused_and_counted() {
        let mut exchange = Exchange::new(Config::default(), Timestamp::from_millis(7_000));
        hear(&mut exchange, "rooms/lobby/agent/alice", br#"{"type":"join"}"#, false).unwrap();
        let said = hear(&mut exchange, "rooms/lobby/agent/alice", &[b' '; MAX_MESSAGE + 1], false).unwrap();
        assert!(String::from_utf8_lossy(&said[0].payload).contains("too-large"), "{said:?}");
        assert_eq!(exchange.rooms().state("lobby").unwrap().refused, 1);
    }
}
