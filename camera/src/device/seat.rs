//! One room, as the device sees it: what it hears there and what it ignores. Pure.

use protocol::{AgentMessage, ClosedReason, Info, PeerId, Said};
use std::time::{Duration, Instant};

/// A join that is not answered by then is said again; it is idempotent.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Before the next attempt at a room that was full or closed.
const RETRY: Duration = Duration::from_secs(3);
/// A lease is renewed, by joining again, when this part of it has passed: two joins may be lost.
const LEASE_PARTS: u32 = 3;

/// A seat in a room, or the wish for one.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) info: Option<Info>,
    /// Of the last message of the agent.
    rev: u64,
    fellow: Option<PeerId>,
    /// It has an answer on this connection.
    inside: bool,
    /// An operator has removed the device: it does not come back by itself.
    barred: bool,
    /// When it joins again, if nothing else happens.
    again: Option<Instant>,
}

impl Seat {
    pub(super) fn new(info: Option<Info>) -> Self {
        Self { info, ..Self::default() }
    }

    /// Whether the seat is to be taken again after a loss.
    pub(super) fn wanted(&self) -> bool {
        !self.barred
    }

    /// When the device is to join again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// It has asked.
    pub(super) fn asked(&mut self, now: Instant) {
        self.again = Some(now + ANSWER_WITHIN);
    }

    /// There is no connection to ask on.
    pub(super) fn offline(&mut self) {
        (self.again, self.inside) = (None, false);
    }

    /// What the agent says, unless it has been overtaken or is said again.
    pub(super) fn agent(&mut self, message: AgentMessage, now: Instant) -> Option<Said> {
        if message.rev <= self.rev {
            return None;
        }
        self.rev = message.rev;
        match &message.said {
            Said::Created { lease, .. } | Said::Joined { lease, .. } => {
                self.again = lease.map(|lease| now + Duration::from_secs(lease) / LEASE_PARTS);
            }
            said if tries_again(said) => self.again = Some(now + RETRY),
            Said::Closed { .. } => self.again = None,
            _ => {}
        }
        let (was_inside, with) = (self.inside, self.fellow.clone());
        match &message.said {
            Said::Created { .. } | Said::Joined { .. } => self.inside = true,
            Said::Full { .. } | Said::Closed { .. } => self.inside = false,
            _ => {}
        }
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
        // The same answer again, which renewed a lease: a call that is about to begin goes on.
        match message.said {
            Said::Created { ice_servers, .. } | Said::Joined { ice_servers, .. }
                if was_inside && with.is_some() && with == self.fellow =>
            {
                Some(Said::IceServers { ice_servers })
            }
            said => Some(said),
        }
    }

    /// Whether what comes from `from` comes from the other member, as the agent named it.
    pub(super) fn hears(&self, from: &PeerId) -> bool {
        self.fellow.as_ref() == Some(from)
    }
}

/// Whether the agent's word asks for another attempt: the room was full, or was closed, or the seat was given away.
fn tries_again(said: &Said) -> bool {
    matches!(said, Said::Full { .. } | Said::Closed { reason: ClosedReason::RoomClosed | ClosedReason::Replaced })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn now() -> Instant {
        Instant::now()
    }

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
        let now = now();
        seat.agent(created(1), now);
        assert!(!seat.hears(&bob));
        seat.agent(arrived("bob", 2), now);
        assert!(seat.hears(&bob) && !seat.hears(&eve));
        seat.agent(left(3), now);
        assert!(!seat.hears(&bob));
    }

    #[test]
    fn what_was_overtaken_is_ignored() {
        let mut seat = Seat::new(None);
        let now = now();
        seat.agent(created(5), now);
        assert!(seat.agent(arrived("bob", 6), now).is_some());
        assert!(seat.agent(left(4), now).is_none(), "older than the last");
        assert!(seat.agent(left(6), now).is_none(), "as old as the last");
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
            let (mut seat, now) = (Seat::new(None), now());
            seat.agent(message(said.clone()), now).unwrap();
            assert_eq!((seat.wanted(), seat.again()), (wanted, again.then_some(now + RETRY)), "{said}");
        }
    }

    #[test]
    fn a_join_is_said_again_until_it_is_answered_and_as_often_as_its_lease_wants() {
        let (mut seat, now) = (Seat::new(None), now());
        assert_eq!(seat.again(), None);
        seat.asked(now);
        assert_eq!(seat.again(), Some(now + ANSWER_WITHIN));
        seat.agent(created(1), now);
        assert_eq!(seat.again(), None, "an answer without a lease is for ever");
        let mut leased = created(2);
        if let Said::Created { lease, .. } = &mut leased.said {
            *lease = Some(60);
        }
        seat.agent(leased, now);
        assert_eq!(seat.again(), Some(now + Duration::from_secs(20)));
        seat.agent(arrived("bob", 3), now);
        assert_eq!(seat.again(), Some(now + Duration::from_secs(20)), "nothing but a join renews it");
        let mut again = created(4);
        if let Said::Created { peer, .. } = &mut again.said {
            *peer = Some(protocol::Other { id: "bob".parse().unwrap(), info: None });
        }
        let mut later = again.clone();
        later.rev = 5;
        assert!(matches!(seat.agent(again, now), Some(Said::IceServers { .. })), "nothing begins anew by it");
        seat.offline();
        assert_eq!(seat.again(), None);
        assert!(matches!(seat.agent(later, now), Some(Said::Created { .. })), "on another connection it does");
    }
}
