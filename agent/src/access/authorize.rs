//! What may it do? Pure decisions from the client's identity, the topic, and the agent's word on
//! who is in which room now.

use super::{Identity, Role};
use protocol::filter;
use protocol::topic::{self, Inbox};
use protocol::{ErrorCode, Topic, TopicError};

/// Why something is refused, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule.
    pub code: ErrorCode,
    /// What was wrong and what would be right.
    pub why: String,
    /// The room that it was about, if it was about one.
    pub room: Option<String>,
}

/// Why a filter cannot be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// Not with this role (5.0: 0x87).
    #[error("not allowed to this client")]
    Forbidden,
    /// No filter by MQTT 4.7 (5.0: 0x8F).
    #[error("no topic filter")]
    Invalid,
    /// A shared subscription of a peer, to which this broker does not offer any (5.0: 0x9E).
    #[error("only operators share subscriptions")]
    Shared,
    /// The client has as many as it may have (5.0: 0x97).
    #[error("the client has as many subscriptions as it may have")]
    TooMany,
}

/// The rules: the contract's own, and the topics that the configuration opens besides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    open: Vec<String>,
}

impl Rules {
    /// With filters that everybody may publish and subscribe to; `%c` in them stands for the
    /// client id. The configuration has checked them.
    pub fn new(open: Vec<String>) -> Self {
        Self { open }
    }

    /// May `who` subscribe to `wanted`?
    ///
    /// # Errors
    /// Why not.
    pub fn subscribe(&self, who: &Identity, wanted: &str) -> Result<(), NotGranted> {
        if wanted.starts_with(filter::SHARED) {
            return match (who.role, filter::shared(wanted)) {
                (Role::Peer, _) => Err(NotGranted::Shared),
                (Role::Operator, None) => Err(NotGranted::Invalid),
                (Role::Operator, Some(_)) => Ok(()),
            };
        }
        if !filter::is_valid(wanted) {
            return Err(NotGranted::Invalid);
        }
        let granted = match who.role {
            Role::Operator => true,
            Role::Peer if topic::is_reserved(wanted) => Inbox::parse(wanted, &who.id).is_some(),
            Role::Peer => self.opened_for(who).any(|open| filter::covers(&open, wanted)),
        };
        granted.then_some(()).ok_or(NotGranted::Forbidden)
    }

    /// May `who` publish to `topic`? `signal(room, from, to)` says whether both are members now, and
    /// what is wrong if not.
    ///
    /// # Errors
    /// Why not.
    pub fn publish(
        &self,
        who: &Identity,
        topic: &str,
        signal: impl FnOnce(&str, &str, &str) -> Result<(), String>,
    ) -> Result<(), Refusal> {
        let me = who.id.as_str();
        // Nothing to look at for whoever may everything, which is most.
        let closed = |room: &str| who.rights().filter(|rights| !rights.covers(room));
        let refuse = |code, room: Option<&str>, why: String| Err(Refusal { code, why, room: room.map(str::to_owned) });
        match (Topic::parse(topic), who.role) {
            (Ok(Topic::Control { .. }), Role::Operator) => Ok(()),
            (Ok(Topic::ToAgent { room, from } | Topic::Signal { room, from, .. }), Role::Peer)
                if from == me
                    && let Some(rights) = closed(room) =>
            {
                refuse(ErrorCode::Forbidden, Some(room), format!("your rights do not open {room}; they open {rights}"))
            }
            (Ok(Topic::ToAgent { from, .. }), Role::Peer) if from == me => Ok(()),
            (Ok(Topic::Signal { room, to, from }), Role::Peer) if from == me => match signal(room, from, to) {
                Ok(()) => Ok(()),
                Err(why) => refuse(ErrorCode::NotAMember, Some(room), why),
            },
            (Ok(Topic::ToAgent { room, .. } | Topic::Signal { room, .. }), Role::Peer) => refuse(
                ErrorCode::Forbidden,
                Some(room),
                format!("the fourth level of the topic is the sender and must be your own id, {me}"),
            ),
            (Ok(known), Role::Peer) => refuse(
                ErrorCode::Forbidden,
                Some(known.room()),
                format!("only the agent and operators publish there; a peer says rooms/{{room}}/{{to}}/{me}"),
            ),
            (Ok(known), Role::Operator) => refuse(
                ErrorCode::Forbidden,
                Some(known.room()),
                "an operator reads rooms and publishes only to control/{room}".into(),
            ),
            (Err(TopicError::Foreign), _) if !topic::is_reserved(topic) => {
                if self.opened_for(who).any(|open| filter::matches(&open, topic)) {
                    return Ok(());
                }
                let why = format!("the topic is not open here; a peer says rooms/{{room}}/{{to}}/{me}");
                refuse(ErrorCode::Forbidden, None, why)
            }
            (Err(error @ TopicError::Name(_)), Role::Peer) if topic.ends_with(&format!("/{me}")) => {
                refuse(ErrorCode::BadMessage, None, error.to_string())
            }
            (Err(error), _) => refuse(ErrorCode::Forbidden, None, error.to_string()),
        }
    }

    /// May `who` leave a will for `topic`?
    pub fn will(&self, who: &Identity, topic: &str) -> bool {
        match Topic::parse(topic) {
            Ok(Topic::ToAgent { room, from }) => {
                who.role == Role::Peer
                    && from == who.id.as_str()
                    && who.rights().is_none_or(|rights| rights.covers(room))
            }
            Err(TopicError::Foreign) if !topic::is_reserved(topic) => {
                self.opened_for(who).any(|open| filter::matches(&open, topic))
            }
            _ => false,
        }
    }

    fn opened_for<'a>(&'a self, who: &'a Identity) -> impl Iterator<Item = String> + 'a {
        self.open.iter().map(|open| open.replace("%c", who.id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::rights::{May, Rights};
    use crate::access::{Grant, Principal};
    use protocol::PeerId;
    use std::sync::Arc;

    fn who(id: &str, role: Role) -> Identity {
        Identity { id: PeerId::new(id).unwrap(), role, grant: None }
    }

    fn with_rights(id: &str, rooms: &[&str], may: May) -> Identity {
        let rights = Rights::new(rooms.iter().copied(), may).unwrap();
        let grant = Grant { principal: Principal::Token, rights, expires: None };
        Identity { grant: Some(Arc::new(grant)), ..who(id, Role::Peer) }
    }

    /// alice and bob are in the lobby.
    fn lobby(room: &str, from: &str, to: &str) -> Result<(), String> {
        let inside = |peer| matches!(peer, "alice" | "bob");
        if room == "lobby" && inside(from) && inside(to) && from != to { Ok(()) } else { Err("no".into()) }
    }

    fn publish(rules: &Rules, id: &str, role: Role, topic: &str) -> Result<(), ErrorCode> {
        rules.publish(&who(id, role), topic, lobby).map_err(|refusal| refusal.code)
    }

    #[test]
    fn who_may_publish_what() {
        use ErrorCode::{BadMessage, Forbidden, NotAMember};
        use Role::{Operator, Peer};
        let closed = Rules::default();
        let open = Rules::new(vec!["telemetry/%c/#".into()]);
        let all = Rules::new(vec!["#".into()]);
        let long = "x".repeat(129);
        let long = format!("rooms/{long}/agent/alice");
        for (rules, id, role, topic, verdict) in [
            (&closed, "alice", Peer, "rooms/lobby/agent/alice", Ok(())),
            (&closed, "carol", Peer, "rooms/anywhere/agent/carol", Ok(())),
            (&closed, "alice", Peer, "rooms/lobby/bob/alice", Ok(())),
            (&closed, "alice", Peer, "rooms/lobby/alice/alice", Err(NotAMember)),
            (&closed, "alice", Peer, "rooms/hall/bob/alice", Err(NotAMember)),
            (&closed, "alice", Peer, "rooms/lobby/carol/alice", Err(NotAMember)),
            (&closed, "carol", Peer, "rooms/lobby/bob/carol", Err(NotAMember)),
            (&closed, "carol", Peer, "rooms/lobby/bob/alice", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms/lobby/agent/alice", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms/lobby/bob/agent", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms/lobby", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms/lobby/events", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms", Err(Forbidden)),
            (&closed, "carol", Peer, "rooms/lobby/bob/carol/x", Err(Forbidden)),
            (&closed, "carol", Peer, "control/lobby", Err(Forbidden)),
            (&closed, "carol", Peer, "$SYS/broker/uptime", Err(Forbidden)),
            (&closed, "carol", Peer, "telemetry/carol/t", Err(Forbidden)),
            (&closed, "alice", Peer, "rooms/ lobby/agent/alice", Err(BadMessage)),
            (&closed, "alice", Peer, &long, Err(BadMessage)),
            (&closed, "op", Operator, "control/lobby", Ok(())),
            (&closed, "op", Operator, "rooms/lobby/agent/op", Err(Forbidden)),
            (&closed, "op", Operator, "rooms/lobby/bob/op", Err(Forbidden)),
            (&closed, "op", Operator, "rooms/lobby", Err(Forbidden)),
            (&closed, "op", Operator, "$SYS/broker/uptime", Err(Forbidden)),
            (&open, "carol", Peer, "telemetry/carol/t", Ok(())),
            (&open, "carol", Peer, "telemetry/alice/t", Err(Forbidden)),
            (&open, "carol", Peer, "control/lobby", Err(Forbidden)),
            (&all, "carol", Peer, "anything/at/all", Ok(())),
            (&all, "carol", Peer, "rooms/lobby/bob/alice", Err(Forbidden)),
            (&all, "carol", Peer, "rooms/lobby", Err(Forbidden)),
            (&all, "carol", Peer, "control/lobby", Err(Forbidden)),
            (&all, "carol", Peer, "$SYS/x", Err(Forbidden)),
            (&all, "carol", Peer, "$x/y", Err(Forbidden)),
        ] {
            assert_eq!(publish(rules, id, role, topic), verdict, "{id} to {topic} with {rules:?}");
        }
    }

    #[test]
    fn rooms_that_rights_do_not_open_are_closed_to_everything() {
        use ErrorCode::{Forbidden, NotAMember};
        for (rooms, may, topic, verdict) in [
            (&["lobby"][..], May::Create, "rooms/lobby/agent/alice", Ok(())),
            (&["lobby"], May::Create, "rooms/lobby/bob/alice", Ok(())),
            (&["lobby"], May::Join, "rooms/lobby/bob/alice", Ok(())),
            (&["lobby"], May::Create, "rooms/lobby/carol/alice", Err(NotAMember)),
            (&["lobby"], May::Create, "rooms/lobby/bob/carol", Err(Forbidden)),
            (&["lobby"], May::Create, "rooms/hall/agent/alice", Err(Forbidden)),
            (&["cam-*", "현?"], May::Create, "rooms/현관/agent/alice", Ok(())),
            (&["cam-*", "현?"], May::Create, "rooms/cam-1/agent/alice", Ok(())),
            // A member by an earlier connection, which had more rights.
            (&["cam-*"], May::Create, "rooms/lobby/bob/alice", Err(Forbidden)),
            (&["lobby"], May::Nothing, "rooms/lobby/agent/alice", Err(Forbidden)),
            (&[], May::Create, "rooms/lobby/agent/alice", Err(Forbidden)),
        ] {
            let who = with_rights("alice", rooms, may);
            let rules = Rules::default();
            assert_eq!(rules.publish(&who, topic, lobby).map_err(|r| r.code), verdict, "{rooms:?} {topic}");
            if let Ok(Topic::ToAgent { .. }) = Topic::parse(topic) {
                assert_eq!(rules.will(&who, topic), verdict.is_ok(), "a will for {topic}");
            }
        }
        let who = with_rights("alice", &["cam-*", "현관"], May::Join);
        let refusal = Rules::default().publish(&who, "rooms/hall/agent/alice", lobby).unwrap_err();
        assert_eq!(refusal.why, "your rights do not open hall; they open cam-*, 현관 when somebody is there");
    }

    #[test]
    fn who_may_subscribe_to_what() {
        use NotGranted::{Forbidden, Invalid, Shared};
        use Role::{Operator, Peer};
        let closed = Rules::default();
        let open = Rules::new(vec!["telemetry/%c/#".into(), "news".into()]);
        let all = Rules::new(vec!["#".into()]);
        for (rules, role, filter, verdict) in [
            (&closed, Peer, "rooms/+/carol/+", Ok(())),
            (&closed, Peer, "rooms/lobby/carol/agent", Ok(())),
            (&closed, Peer, "rooms/+/alice/+", Err(Forbidden)),
            (&closed, Peer, "rooms/+/+/carol", Err(Forbidden)),
            (&closed, Peer, "rooms/+/+/+", Err(Forbidden)),
            (&closed, Peer, "rooms/#", Err(Forbidden)),
            (&closed, Peer, "rooms/lobby", Err(Forbidden)),
            (&closed, Peer, "rooms/lobby/events", Err(Forbidden)),
            (&closed, Peer, "+/+/carol/+", Err(Forbidden)),
            (&closed, Peer, "#", Err(Forbidden)),
            (&closed, Peer, "$SYS/#", Err(Forbidden)),
            (&closed, Peer, "control/+", Err(Forbidden)),
            (&closed, Peer, "telemetry/carol/t", Err(Forbidden)),
            (&closed, Peer, "$share/g/rooms/+/carol/+", Err(Shared)),
            (&closed, Peer, "rooms/+/carol/a+", Err(Invalid)),
            (&closed, Peer, "", Err(Invalid)),
            (&open, Peer, "telemetry/carol/#", Ok(())),
            (&open, Peer, "telemetry/carol/+/x", Ok(())),
            (&open, Peer, "telemetry/carol", Ok(())),
            (&open, Peer, "telemetry/+/t", Err(Forbidden)),
            (&open, Peer, "telemetry/#", Err(Forbidden)),
            (&open, Peer, "news", Ok(())),
            (&open, Peer, "+", Err(Forbidden)),
            (&all, Peer, "#", Ok(())),
            (&all, Peer, "+/+", Ok(())),
            (&all, Peer, "rooms/#", Err(Forbidden)),
            (&all, Peer, "control/#", Err(Forbidden)),
            (&all, Peer, "$SYS/#", Err(Forbidden)),
            (&closed, Operator, "#", Ok(())),
            (&closed, Operator, "rooms/#", Ok(())),
            (&closed, Operator, "$SYS/#", Ok(())),
            (&closed, Operator, "$share/g/rooms/#", Ok(())),
            (&closed, Operator, "$share/g", Err(Invalid)),
            (&closed, Operator, "$share/+/rooms/#", Err(Invalid)),
            (&all, Peer, "$share/g/a", Err(Shared)),
        ] {
            assert_eq!(rules.subscribe(&who("carol", role), filter), verdict, "{filter} with {rules:?}");
        }
    }

    #[test]
    fn wills_go_to_the_agent_in_ones_own_name_or_to_open_topics() {
        let open = Rules::new(vec!["telemetry/%c/#".into()]);
        for (id, role, topic, allowed) in [
            ("carol", Role::Peer, "rooms/lobby/agent/carol", true),
            ("carol", Role::Peer, "telemetry/carol/gone", true),
            ("carol", Role::Peer, "rooms/lobby/agent/alice", false),
            ("carol", Role::Peer, "rooms/lobby/alice/carol", false),
            ("carol", Role::Peer, "rooms/lobby", false),
            ("carol", Role::Peer, "control/lobby", false),
            ("carol", Role::Peer, "$SYS/x", false),
            ("carol", Role::Peer, "telemetry/alice/gone", false),
            ("op", Role::Operator, "rooms/lobby/agent/op", false),
        ] {
            assert_eq!(open.will(&who(id, role), topic), allowed, "{id}: {topic}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_right() {
        let refusal = Rules::default().publish(&who("carol", Role::Peer), "rooms/lobby/bob/alice", lobby).unwrap_err();
        assert_eq!(refusal.why, "the fourth level of the topic is the sender and must be your own id, carol");
        assert_eq!(refusal.room.as_deref(), Some("lobby"));
        let refusal = Rules::default().publish(&who("carol", Role::Peer), "rooms/$a/agent/carol", lobby).unwrap_err();
        assert_eq!(refusal.why, "a room name must not begin with $, which MQTT keeps for servers");
    }
}
