//! A peer: what it wants, and what it believes from nothing but what it was told.

use crate::{ROOMS, Tally};
use protocol::{AgentMessage, ErrorCode, PeerId, Role, Said};
use std::collections::BTreeMap;

/// Where a peer believes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Which of the two it is.
    pub role: Role,
    /// Who else is there.
    pub other: Option<PeerId>,
}

/// What a peer knows of one room.
#[derive(Debug, Default, Clone)]
pub struct View {
    /// Where it believes to be; `None`: not inside, or it cannot know.
    pub inside: Option<Inside>,
    /// Joins without an answer yet.
    pub asked: u32,
    /// Of these, the ones before it left.
    stale: u32,
    /// It has left, or is connected anew, and has no answer to a later join yet.
    has_left: bool,
    /// The latest `rev`, also of connections before.
    rev: u64,
    /// The latest signal of each sender.
    signals: BTreeMap<PeerId, u64>,
}

/// A peer.
#[derive(Debug)]
pub struct Peer {
    /// Its name.
    pub id: PeerId,
    /// What it knows of each room.
    pub views: [View; ROOMS.len()],
    channel: Channel,
}

/// How messages come to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// In order, each once, as long as the connection lasts.
    Exact,
    /// Some come again; a peer ignores what is older than the last it saw.
    Repeating,
}

impl Peer {
    pub fn new(number: usize, channel: Channel) -> Self {
        Self { id: PeerId::new(&format!("peer-{number}")).unwrap(), views: Default::default(), channel }
    }

    /// Its connection is gone, and it knows nothing for certain.
    pub fn forget(&mut self) {
        self.views.iter_mut().for_each(|view| view.forget(self.channel));
    }

    /// It says that it joins.
    pub fn joins(&mut self, room: usize) {
        self.views[room].asked += 1;
    }

    /// It says that it leaves: what was on its way to it is of no interest any more.
    pub fn leaves(&mut self, room: usize) {
        self.views[room].leaves();
    }

    /// It hears the agent.
    pub fn hear(&mut self, room: usize, message: &AgentMessage, tally: &mut Tally) {
        self.views[room].hear(&self.id, self.channel, message, tally);
    }

    /// It hears another peer: only one whom it knows to be in the room with it, in order, each signal once.
    pub fn hear_signal(&mut self, room: usize, from: &PeerId, number: u64) {
        let (id, view) = (&self.id, &mut self.views[room]);
        let other = view.inside.as_ref().and_then(|inside| inside.other.as_ref());
        assert!(
            view.has_left || other == Some(from),
            "{id} hears a signal of somebody whom it does not know there: {view:?}"
        );
        let last = view.signals.insert(from.clone(), number);
        assert!(last.is_none_or(|last| last < number), "{id} hears signal {number} of {from} after {last:?}");
    }
}

impl View {
    /// Its connection is gone, and it knows nothing for certain.
    pub fn forget(&mut self, channel: Channel) {
        (self.inside, self.asked, self.stale) = (None, 0, 0);
        // What was meant for an earlier connection may come on this one.
        self.has_left = channel == Channel::Repeating;
    }

    /// It says that it leaves: what was on its way to it is of no interest any more.
    pub fn leaves(&mut self) {
        (self.inside, self.stale, self.has_left) = (None, self.asked, true);
    }

    /// It hears the agent.
    pub fn hear(&mut self, id: &PeerId, channel: Channel, message: &AgentMessage, tally: &mut Tally) {
        let view = self;
        if message.rev <= view.rev {
            assert_eq!(channel, Channel::Repeating, "{id} hears rev {} after {}: {message:?}", message.rev, view.rev);
            tally.again += 1;
            return;
        }
        view.rev = message.rev;
        let is_exact = channel == Channel::Exact;
        let is_answer = match message.said {
            Said::Created { .. } | Said::Joined { .. } | Said::Full { .. } => true,
            Said::Error { code, .. } => code == ErrorCode::Forbidden,
            _ => false,
        };
        if is_answer {
            assert!(!is_exact || view.asked > 0, "{id} is answered without having asked: {message:?}");
            match view.stale.checked_sub(1) {
                Some(left) => view.stale = left,
                None => view.has_left &= view.asked == 0,
            }
            view.asked = view.asked.saturating_sub(1);
        }
        if view.has_left {
            return;
        }
        match &message.said {
            Said::Created { peer, resumed, .. } => {
                (tally.joined, tally.resumed) = (tally.joined + 1, tally.resumed + u64::from(*resumed));
                view.inside = Some(Inside { role: Role::Created, other: peer.as_ref().map(|peer| peer.id.clone()) });
            }
            Said::Joined { peer, resumed, .. } => {
                (tally.joined, tally.resumed) = (tally.joined + 1, tally.resumed + u64::from(*resumed));
                view.inside = Some(Inside { role: Role::Joined, other: Some(peer.id.clone()) });
            }
            Said::Full { .. } => {
                tally.full += 1;
                assert!(!is_exact || view.inside.is_none(), "{id} is inside and told that the room is full");
                view.inside = None;
            }
            Said::Arrived { peer } => {
                let known = view.inside.as_ref().map(|inside| inside.other.is_none());
                assert!(!is_exact || known == Some(true), "{id} in {view:?} hears {message:?}");
                if let Some(inside) = &mut view.inside {
                    inside.other = Some(peer.id.clone());
                }
            }
            Said::Left { peer, .. } => {
                let known = view.inside.as_ref().is_some_and(|inside| inside.other.as_ref() == Some(peer));
                assert!(!is_exact || known, "{id} in {view:?} hears {message:?}");
                if let Some(inside) = &mut view.inside {
                    *inside = Inside { role: Role::Created, other: None };
                }
            }
            Said::Closed { .. } => {
                assert!(!is_exact || view.inside.is_some(), "{id} is outside and hears {message:?}");
                view.inside = None;
            }
            Said::IceServers { .. } => assert!(!is_exact || view.inside.is_some(), "{id} is outside: {message:?}"),
            Said::Error { .. } => {}
        }
    }
}
