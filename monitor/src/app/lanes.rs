//! Where the arrows of a ladder begin and end: two lanes for the members, one between them for the agent, and the
//! side for everybody else.
//!
//! Who has which lane is read from the messages themselves: `created` gives the first, `joined` the second, and a
//! lane that its member left goes to the next. Where a lane changes hands, a row with the new name is put in.

use crate::model::{Entry, Party, Said};
use protocol::{Said as Agent, What};

/// A vertical line of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The member that was there first.
    Left,
    /// The agent.
    Agent,
    /// The member that came second.
    Right,
    /// Whoever is not in the room: third parties and operators.
    Side,
}

/// A row of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A lane has a new owner.
    Names {
        /// The left lane.
        left: bool,
        /// The right lane.
        right: bool,
    },
    /// A message.
    Arrow {
        /// Its number in the model.
        seq: u64,
        /// Where it begins.
        from: Lane,
        /// Where it ends.
        to: Lane,
    },
}

/// Who has the left and the right lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The member that was there first.
    pub left: Option<Box<str>>,
    /// The member that came second.
    pub right: Option<Box<str>>,
}

impl Names {
    /// Whether a lane that had an owner now has another one: left, right.
    pub(super) fn replaces(&self, before: &Self) -> (bool, bool) {
        let other = |now: &Option<Box<str>>, was: &Option<Box<str>>| was.is_some() && now != was;
        (other(&self.left, &before.left), other(&self.right, &before.right))
    }

    fn lane(&self, name: &str) -> Option<Lane> {
        if self.left.as_deref() == Some(name) {
            Some(Lane::Left)
        } else if self.right.as_deref() == Some(name) {
            Some(Lane::Right)
        } else {
            None
        }
    }

    fn put(&mut self, lane: Lane, name: &str) {
        let (mine, other) = match lane {
            Lane::Left => (&mut self.left, &mut self.right),
            _ => (&mut self.right, &mut self.left),
        };
        *mine = Some(name.into());
        if other.as_deref() == Some(name) {
            *other = None;
        }
    }

    /// A lane for a member that has none: one that is free or whose owner is gone, the left one first.
    fn seat(&mut self, name: &str, gone: &[Box<str>]) {
        if self.lane(name).is_some() {
            return;
        }
        let free = |owner: &Option<Box<str>>| owner.as_ref().is_none_or(|owner| gone.contains(owner));
        if free(&self.left) {
            self.put(Lane::Left, name);
        } else if free(&self.right) {
            self.put(Lane::Right, name);
        }
    }
}

/// How many messages after a `join` its answer is looked for.
const AHEAD: usize = 32;

/// Puts messages into lanes, one after another.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    names: Names,
    /// Owners of a lane that have left the room.
    gone: Vec<Box<str>>,
}

impl Lanes {
    /// Who has which lane after the last message.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Where the arrow of the next message begins and ends. What follows it (`ahead`) tells whether whoever asks to
    /// join will be let in, and then stands in a lane at once.
    pub fn place<'a>(&mut self, entry: &Entry, ahead: impl Iterator<Item = &'a Entry>) -> (Lane, Lane) {
        if let (Said::Join { .. }, Party::Peer(peer)) = (&entry.what, &entry.from)
            && self.names.lane(peer.as_str()).is_none_or(|_| self.gone.iter().any(|gone| **gone == *peer.as_str()))
        {
            let answers = |said: &Said| match said {
                Said::FromAgent(said) => matches!(**said, Agent::Created { .. } | Agent::Joined { .. }),
                _ => false,
            };
            let answer = ahead.take(AHEAD).find(|next| next.to.peer() == Some(peer) && answers(&next.what));
            if let Some(answer) = answer {
                self.learn(answer);
            }
        }
        self.learn(entry);
        let ends = (self.lane(&entry.from), self.lane(&entry.to));
        self.forget(entry);
        ends
    }

    fn lane(&self, party: &Party) -> Lane {
        match party {
            Party::Agent => Lane::Agent,
            Party::Operator => Lane::Side,
            Party::Peer(peer) => self.names.lane(peer.as_str()).unwrap_or(Lane::Side),
        }
    }

    /// What a message tells of who is in the room.
    fn learn(&mut self, entry: &Entry) {
        match (&entry.what, &entry.from, &entry.to) {
            (Said::FromAgent(said), _, Party::Peer(to)) => match &**said {
                Agent::Created { peer, .. } => {
                    self.arrive(to.as_str(), Lane::Left);
                    if let Some(other) = peer {
                        self.arrive(other.id.as_str(), Lane::Right);
                    }
                }
                Agent::Joined { peer, .. } => {
                    self.arrive(peer.id.as_str(), Lane::Left);
                    self.arrive(to.as_str(), Lane::Right);
                }
                Agent::Arrived { peer } => {
                    self.arrive(to.as_str(), Lane::Left);
                    self.arrive(peer.id.as_str(), Lane::Right);
                }
                _ => {}
            },
            (Said::Event(What::Created { peer } | What::Joined { peer }), ..) => {
                self.gone.retain(|gone| **gone != *peer.as_str());
                self.names.seat(peer.as_str(), &self.gone);
            }
            (Said::Refused { .. }, ..) => {}
            // Signals only pass between members.
            (_, Party::Peer(from), Party::Peer(to)) => {
                for peer in [from, to] {
                    self.names.seat(peer.as_str(), &self.gone);
                }
            }
            _ => {}
        }
    }

    /// A member came in: it keeps the lane that it has; else it gets a free one, `wanted` if it can be.
    fn arrive(&mut self, name: &str, wanted: Lane) {
        self.gone.retain(|gone| **gone != *name);
        if self.names.lane(name).is_some() {
            return;
        }
        let owner = if wanted == Lane::Left { &self.names.left } else { &self.names.right };
        if owner.as_ref().is_none_or(|owner| self.gone.contains(owner)) {
            self.names.put(wanted, name);
        } else {
            self.names.seat(name, &self.gone);
        }
    }

    /// A member went out: its lane is free from the next message on, its name stays until somebody takes it.
    fn forget(&mut self, entry: &Entry) {
        let gone = match (&entry.what, &entry.from, &entry.to) {
            (Said::Leave { .. }, Party::Peer(peer), _) => peer.as_str(),
            (Said::Event(What::Left { peer, .. } | What::Removed { peer }), ..) => peer.as_str(),
            (Said::FromAgent(said), _, Party::Peer(to)) => match &**said {
                Agent::Left { peer, .. } => peer.as_str(),
                Agent::Closed { .. } => to.as_str(),
                _ => return,
            },
            _ => return,
        };
        if !self.gone.iter().any(|other| **other == *gone) && self.names.lane(gone).is_some() {
            self.gone.push(gone.into());
        }
    }
}
