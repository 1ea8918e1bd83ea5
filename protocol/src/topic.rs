//! The topic grammar: the only place where a topic is built or taken apart.
//!
//! ```text
//! rooms/{room}/{to}/{from}   a signal; `to` or `from` may be the agent
//! rooms/{room}               the room's state, retained
//! rooms/{room}/events        what happens in the room
//! control/{room}             an operator's orders
//! rooms/+/{me}/+             a peer's inbox, as a subscription
//! ```

use crate::ids::{AGENT, IdError, PeerId, RoomId};
use std::fmt;

/// First level of everything that belongs to rooms.
pub const ROOMS: &str = "rooms";
/// First level of an operator's orders.
pub const CONTROL: &str = "control";
const EVENTS: &str = "events";

/// The filter by which the agent hears every peer.
pub const AGENT_INBOX: &str = "rooms/+/agent/+";
/// The filter by which the agent hears operators.
pub const CONTROL_INBOX: &str = "control/+";

/// A topic of the contract, taken apart. Names in it are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'a> {
    /// `rooms/{room}/agent/{from}`: a peer says something to the agent.
    ToAgent {
        /// Room it is about.
        room: &'a str,
        /// The peer that speaks.
        from: &'a str,
    },
    /// `rooms/{room}/{to}/agent`: the agent says something to a peer.
    FromAgent {
        /// Room it is about.
        room: &'a str,
        /// The peer that is spoken to.
        to: &'a str,
    },
    /// `rooms/{room}/{to}/{from}`: one peer signals another.
    Signal {
        /// Room that both are in.
        room: &'a str,
        /// Receiver.
        to: &'a str,
        /// Sender.
        from: &'a str,
    },
    /// `rooms/{room}`: the retained state of a room.
    State {
        /// The room.
        room: &'a str,
    },
    /// `rooms/{room}/events`: what happens in a room.
    Events {
        /// The room.
        room: &'a str,
    },
    /// `control/{room}`: an operator's order.
    Control {
        /// The room.
        room: &'a str,
    },
}

/// Why a topic is none of the contract's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Neither `rooms/…` nor `control/…`.
    #[error("the topic is outside rooms/ and control/")]
    Foreign,
    /// The number or the words of its levels fit no shape.
    #[error("the topic has another shape than rooms/{{room}}/{{to}}/{{from}}")]
    Shape,
    /// A name in it is not allowed.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// The levels of a topic or filter (MQTT 4.7.1.1): what `split('/')` gives, in a third of the instructions. A topic is
/// taken apart several times on its way.
#[derive(Debug, Clone)]
pub struct Levels<'a>(Option<&'a str>);

/// See [`Levels`].
pub fn levels(topic_or_filter: &str) -> Levels<'_> {
    Levels(Some(topic_or_filter))
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let Some(slash) = rest.bytes().position(|byte| byte == b'/') else { return self.0.take() };
        self.0 = Some(&rest[slash + 1..]);
        Some(&rest[..slash])
    }
}

impl<'a> Topic<'a> {
    /// Takes a topic apart.
    ///
    /// # Errors
    /// Which rule of the grammar the topic breaks.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let parsed = Self::split(topic)?;
        RoomId::check(parsed.room())?;
        match parsed {
            Topic::ToAgent { from: peer, .. } | Topic::FromAgent { to: peer, .. } => PeerId::check(peer)?,
            Topic::Signal { to, from, .. } => {
                PeerId::check(to)?;
                PeerId::check(from)?;
            }
            Topic::State { .. } | Topic::Events { .. } | Topic::Control { .. } => {}
        }
        Ok(parsed)
    }

    /// Takes a topic apart whose names have been judged before, and are not again.
    ///
    /// # Errors
    /// If it has no shape of the grammar.
    pub fn split(topic: &'a str) -> Result<Self, TopicError> {
        let mut levels = levels(topic);
        let first = levels.next().unwrap_or_default();
        if first != ROOMS && first != CONTROL {
            return Err(TopicError::Foreign);
        }
        let room = levels.next().ok_or(TopicError::Shape)?;
        let (third, fourth) = (levels.next(), levels.next());
        if levels.next().is_some() {
            return Err(TopicError::Shape);
        }
        match (first, third, fourth) {
            (CONTROL, None, None) => Ok(Topic::Control { room }),
            (ROOMS, None, None) => Ok(Topic::State { room }),
            (ROOMS, Some(EVENTS), None) => Ok(Topic::Events { room }),
            (ROOMS, Some(AGENT), Some(AGENT)) => Err(TopicError::Shape),
            (ROOMS, Some(AGENT), Some(from)) => Ok(Topic::ToAgent { room, from }),
            (ROOMS, Some(to), Some(AGENT)) => Ok(Topic::FromAgent { room, to }),
            (ROOMS, Some(to), Some(from)) => Ok(Topic::Signal { room, to, from }),
            _ => Err(TopicError::Shape),
        }
    }

    /// The room that the topic is about.
    pub fn room(&self) -> &'a str {
        match *self {
            Topic::ToAgent { room, .. }
            | Topic::FromAgent { room, .. }
            | Topic::Signal { room, .. }
            | Topic::State { room }
            | Topic::Events { room }
            | Topic::Control { room } => room,
        }
    }
}

impl fmt::Display for Topic<'_> {
    /// Builds the topic.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::ToAgent { room, from } => write!(f, "{ROOMS}/{room}/{AGENT}/{from}"),
            Topic::FromAgent { room, to } => write!(f, "{ROOMS}/{room}/{to}/{AGENT}"),
            Topic::Signal { room, to, from } => write!(f, "{ROOMS}/{room}/{to}/{from}"),
            Topic::State { room } => write!(f, "{ROOMS}/{room}"),
            Topic::Events { room } => write!(f, "{ROOMS}/{room}/{EVENTS}"),
            Topic::Control { room } => write!(f, "{CONTROL}/{room}"),
        }
    }
}

/// Whether a topic or filter lies in a part that only the contract's rules open:
/// `rooms`, `control` and everything that begins with `$`.
pub fn is_reserved(topic_or_filter: &str) -> bool {
    let first = levels(topic_or_filter).next().unwrap_or_default();
    first == ROOMS || first == CONTROL || first.starts_with('$')
}

/// A peer's inbox as a subscription: what of `rooms/{room}/{me}/{from}` it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Only this room, or every room.
    pub room: Option<RoomId>,
    /// Only this sender (a peer or `agent`), or every sender.
    pub from: Option<Box<str>>,
}

impl Inbox {
    /// The filter of the whole inbox of `me`: `rooms/+/{me}/+`.
    pub fn filter(me: &PeerId) -> String {
        format!("{ROOMS}/+/{me}/+")
    }

    /// Reads a subscription of `me`; `None` when the filter is not one that only its own inbox
    /// answers. Besides `+`, a last level `#` stands for every sender (MQTT-4.7.1-2).
    pub fn parse(filter: &str, me: &PeerId) -> Option<Self> {
        let mut levels = levels(filter);
        let (rooms, room, to, from, rest) =
            (levels.next()?, levels.next()?, levels.next()?, levels.next()?, levels.next());
        if rooms != ROOMS || to != me.as_str() || levels.next().is_some() {
            return None;
        }
        if !matches!((from, rest), (_, None) | ("+", Some("#"))) {
            return None;
        }
        let room = match room {
            "+" => None,
            name => Some(RoomId::new(name).ok()?),
        };
        let from = match from {
            "+" | "#" => None,
            AGENT => Some(AGENT.into()),
            name => {
                PeerId::check(name).ok()?;
                Some(name.into())
            }
        };
        Some(Self { room, from })
    }

    /// Whether it is all of the inbox: every room, and whoever speaks.
    pub fn is_whole(&self) -> bool {
        self.room.is_none() && self.from.is_none()
    }

    /// Whether a signal in `room` that `from` sent (a peer or `agent`) is wanted here.
    pub fn wants(&self, room: &str, from: &str) -> bool {
        self.room.as_ref().is_none_or(|own| own == room) && self.from.as_deref().is_none_or(|own| own == from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn me() -> PeerId {
        PeerId::new("alice").unwrap()
    }

    #[test]
    fn every_shape_is_read_and_nothing_else() {
        assert_eq!(Topic::parse("rooms/현관/agent/alice"), Ok(Topic::ToAgent { room: "현관", from: "alice" }));
        assert_eq!(Topic::parse("rooms/lobby/alice/agent"), Ok(Topic::FromAgent { room: "lobby", to: "alice" }));
        assert_eq!(
            Topic::parse("rooms/lobby/bob/alice"),
            Ok(Topic::Signal { room: "lobby", to: "bob", from: "alice" })
        );
        assert_eq!(Topic::parse("rooms/lobby"), Ok(Topic::State { room: "lobby" }));
        assert_eq!(Topic::parse("rooms/lobby/events"), Ok(Topic::Events { room: "lobby" }));
        assert_eq!(Topic::parse("control/lobby"), Ok(Topic::Control { room: "lobby" }));
        assert_eq!(
            Topic::parse("rooms/lobby/events/alice"),
            Ok(Topic::Signal { room: "lobby", to: "events", from: "alice" }),
            "a peer may be called events"
        );
        assert_eq!(Topic::parse("telemetry/alice"), Err(TopicError::Foreign));
        assert_eq!(Topic::parse("$SYS/broker/uptime"), Err(TopicError::Foreign));
        for shape in ["rooms", "control", "rooms/a/b", "rooms/a/b/c/d", "control/a/b", "rooms/a/agent/agent"] {
            assert_eq!(Topic::parse(shape), Err(TopicError::Shape), "{shape}");
        }
        let names = ["rooms/", "rooms//alice/bob", "rooms/a/b/", "rooms/a//b", "rooms/+/b/c", "control/#"];
        let of_the_agent = ["rooms/a/agent/", "rooms/a/agent/b+", "rooms/a//agent", "rooms/a/b+/agent"];
        for name in names.into_iter().chain(of_the_agent) {
            assert!(matches!(Topic::parse(name), Err(TopicError::Name(_))), "{name}");
        }
    }

    proptest! {
        #[test]
        fn levels_are_what_stands_between_the_slashes(topic in "[a/\u{6f22}]{0,12}") {
            prop_assert!(levels(&topic).eq(topic.split('/')));
        }
    }

    #[test]
    fn an_inbox_is_ones_own() {
        let all = Inbox { room: None, from: None };
        assert_eq!(Inbox::parse("rooms/+/alice/+", &me()), Some(all.clone()));
        assert_eq!(Inbox::parse("rooms/+/alice/#", &me()), Some(all.clone()));
        assert_eq!(Inbox::parse("rooms/+/alice/+/#", &me()), Some(all.clone()));
        assert_eq!(Inbox::parse(&Inbox::filter(&me()), &me()), Some(all));
        let lobby = Inbox::parse("rooms/lobby/alice/agent", &me()).unwrap();
        assert!(lobby.wants("lobby", "agent") && !lobby.wants("lobby", "bob") && !lobby.wants("hall", "agent"));
        for foreign in [
            "#",
            "rooms/#",
            "rooms/+/+/+",
            "rooms/+/bob/+",
            "rooms/+/+/alice",
            "+/+/alice/+",
            "rooms/#/alice/+",
            "rooms/+/alice",
            "rooms/+/alice/+/+",
            "rooms/+/alice/bob/#",
            "rooms/+/agent/+",
            "rooms/lobby/events",
            "$share/g/rooms/+/alice/+",
            "rooms/$x/alice/+",
            "rooms/+/Alice/+",
            "rooms/+/alice/b+",
            "rooms/+/alice/+/#/x",
            "rooms/+/alice/+/#/#",
        ] {
            assert_eq!(Inbox::parse(foreign, &me()), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_all_of_an_inbox_matches_all_that_is_in_it() {
        let parts = ["+", "#", "rooms", "lobby", "alice", "bob", "agent"];
        let of = |len| (0..len).fold(vec![String::new()], |filters, _| longer(&filters, &parts));
        let whole = |filter: &String| Inbox::parse(filter, &me()).is_some_and(|inbox| inbox.is_whole());
        let found: Vec<String> = (1..=5).flat_map(of).filter(whole).collect();
        assert_eq!(found, ["rooms/+/alice/+", "rooms/+/alice/#", "rooms/+/alice/+/#"]);
        for (filter, from) in found.iter().flat_map(|filter| [(filter, "bob"), (filter, AGENT)]) {
            assert!(crate::filter::matches(filter, &format!("rooms/lobby/alice/{from}")), "{filter}");
        }
    }

    /// Every one of these with every one of those behind it.
    fn longer(filters: &[String], parts: &[&str]) -> Vec<String> {
        let join = |filter: &String, part: &&str| {
            if filter.is_empty() { part.to_string() } else { format!("{filter}/{part}") }
        };
        filters.iter().flat_map(|filter| parts.iter().map(move |part| join(filter, part))).collect()
    }

    #[test]
    fn reserved_parts_are_known_by_their_first_level() {
        for topic in ["rooms", "rooms/a", "control/x", "$SYS/broker", "$share/g/t", "$"] {
            assert!(is_reserved(topic), "{topic}");
        }
        for topic in ["", "#", "+/a", "roomsx/a", "telemetry/rooms", "/rooms/a"] {
            assert!(!is_reserved(topic), "{topic}");
        }
    }

    prop_compose! {
        fn room()(name in "[^/+#\\p{Cc}$ ][^/+#\\p{Cc}]{0,20}[^/+#\\p{Cc}\\s]") -> String { name.trim().to_owned() }
    }

    proptest! {
        #[test]
        fn parse_undoes_build(room in room(), to in "[!-~&&[^/+#$]]{1,64}", from in "[!-~&&[^/+#$]]{1,64}") {
            prop_assume!(RoomId::check(&room).is_ok() && to != AGENT && from != AGENT);
            for topic in [
                Topic::ToAgent { room: &room, from: &from },
                Topic::FromAgent { room: &room, to: &to },
                Topic::Signal { room: &room, to: &to, from: &from },
                Topic::State { room: &room },
                Topic::Events { room: &room },
                Topic::Control { room: &room },
            ] {
                let text = topic.to_string();
                prop_assert_eq!(Topic::parse(&text), Ok(topic));
            }
        }

        #[test]
        fn build_undoes_parse_and_nothing_panics(topic in "(rooms|control|\\PC{0,5})(/\\PC{0,8}){0,5}") {
            if let Ok(parsed) = Topic::parse(&topic) {
                prop_assert_eq!(parsed.to_string(), topic.clone());
            }
            if let Some(inbox) = Inbox::parse(&topic, &me()) {
                prop_assert!(topic.starts_with("rooms/"));
                prop_assert!(!inbox.wants("lobby", "bob") || topic.contains("/alice/"));
            }
            is_reserved(&topic);
        }
    }
}
