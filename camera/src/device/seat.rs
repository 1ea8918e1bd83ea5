//! One room, as the device sees it: what it hears there and what it ignores. Pure.

use protocol::{AgentMessage, ClosedReason, Info, PeerId, Said};

/// A seat in a room, or the wish for one.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) info: Option<Info>,
    /// Of the last message of the agent.
    rev: u64,
    fellow: Option<PeerId>,
    /// An operator has removed the device: it does not come back by itself.
    barred: bool,
}

impl Seat {
    pub(super) fn new(info: Option<Info>) -> Self {
        Self { info, ..Self::default() }
    }

    /// Whether the seat is to be taken again after a loss.
    pub(super) fn wanted(&self) -> bool {
        !self.barred
    }

    /// What the agent says, unless it has been overtaken.
    pub(super) fn agent(&mut self, message: AgentMessage) -> Option<Said> {
        if message.rev < self.rev {
            return None;
        }
        self.rev = message.rev;
        match &message.said {
            Said::Created { peer, .. } => self.fellow = peer.as_ref().map(|peer| peer.id.clone()),
            Said::Joined { peer, .. } | Said::Arrived { peer } => self.fellow = Some(peer.id.clone()),
            Said::Left { .. } | Said::Full { .. } => self.fellow = None,
            Said::Closed { reason } => {
                self.fellow = None;
                self.barred = *reason == ClosedReason::Removed;
            }
            Said::IceServers { .. } | Said::Error { .. } => {}
        }
        Some(message.said)
    }

    /// Whether what comes from `from` comes from the other member, as the agent named it.
    pub(super) fn hears(&self, from: &PeerId) -> bool {
        self.fellow.as_ref() == Some(from)
    }

    /// Whether the agent's word asks for another attempt: the room was full, or was closed, or the seat was given away.
    pub(super) fn tries_again(said: &Said) -> bool {
        matches!(said, Said::Full { .. } | Said::Closed { reason: ClosedReason::RoomClosed | ClosedReason::Replaced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(value: serde_json::Value) -> AgentMessage {
        serde_json::from_value(value).unwrap()
    }

    fn created(rev: u64) -> AgentMessage {
        message(json!({"type":"created","v":1,"room":"r","you":"cam","ice_servers":[],"resumed":false,"rev":rev}))
    }

    fn arrived(peer: &str, rev: u64) -> AgentMessage {
        message(json!({"type":"arrived","peer":{"id":peer},"rev":rev}))
    }

    fn left(rev: u64) -> AgentMessage {
        message(json!({"type":"left","peer":"bob","reason":"left","rev":rev}))
    }

    #[test]
    fn only_the_member_that_the_agent_named_is_heard() {
        let (bob, eve): (PeerId, PeerId) = ("bob".parse().unwrap(), "eve".parse().unwrap());
        let mut seat = Seat::new(None);
        seat.agent(created(1));
        assert!(!seat.hears(&bob));
        seat.agent(arrived("bob", 2));
        assert!(seat.hears(&bob) && !seat.hears(&eve));
        seat.agent(left(3));
        assert!(!seat.hears(&bob));
    }

    #[test]
    fn what_was_overtaken_is_ignored() {
        let mut seat = Seat::new(None);
        seat.agent(created(5));
        assert!(seat.agent(arrived("bob", 6)).is_some());
        assert!(seat.agent(left(4)).is_none());
        assert!(seat.hears(&"bob".parse().unwrap()));
    }

    #[test]
    fn who_was_removed_does_not_come_back_and_who_found_the_room_full_tries_again() {
        for (said, wanted, again) in [
            (json!({"type":"closed","reason":"removed","rev":9}), false, false),
            (json!({"type":"closed","reason":"room-closed","rev":9}), true, true),
            (json!({"type":"closed","reason":"replaced","rev":9}), true, true),
            (json!({"type":"full","room":"r","rev":9}), true, true),
            (json!({"type":"arrived","peer":{"id":"bob"},"rev":9}), true, false),
        ] {
            let mut seat = Seat::new(None);
            let heard = seat.agent(message(said.clone())).unwrap();
            assert_eq!((seat.wanted(), Seat::tries_again(&heard)), (wanted, again), "{said}");
        }
    }
}
