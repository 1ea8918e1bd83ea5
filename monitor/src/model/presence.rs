//! How a room changes by what is said in it: who comes and goes, who is away, how the calls are doing.
//!
//! The agent's retained state is right whenever it comes. Between states, and where there are none, messages and
//! events tell the same; whatever is older than what is known (`rev`) changes nothing.

use super::entry::{Party, Said};
use super::phase::Talk;
use super::room::Room;
use super::seat::{Seat, Stated};
use crate::diagnosis::Case;
use protocol::{Other, PeerId, Reason, Role, RoomEvent, Timestamp, What};

/// Most seats that are kept; the contract has two.
const MAX_SEATS: usize = 4;

/// When something came: by the clock and in the sequence of inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub at: Timestamp,
    pub seq: u64,
}

impl Room {
    /// Whether something with this `rev` is news; remembers it, if it is.
    fn news(&mut self, rev: Option<u64>) -> bool {
        let news = rev.is_none_or(|rev| self.rev.is_none_or(|known| rev >= known));
        if news {
            self.rev = rev.or(self.rev);
        }
        news
    }

    /// The room is gone.
    pub(super) fn end(&mut self, now: Moment) {
        if self.ended_at.is_none() {
            self.ended_at = Some(now.at);
        }
        self.case.end(now.at);
        self.seats.clear();
        self.talk = Talk::default();
        self.stated = false;
    }

    /// It exists (again).
    fn live(&mut self, now: Moment) {
        if self.ended_at.is_some() {
            self.begin(now);
        }
    }

    /// A life of its own begins: another call under the same name.
    fn begin(&mut self, now: Moment) {
        self.end(now);
        self.case = Case::default();
        self.ended_at = None;
        self.created_at = None;
        self.first_at = now.at;
        self.began = now.seq;
        (self.messages, self.refused, self.answer_time) = (0, 0, None);
    }

    /// The retained state came.
    pub(super) fn state(&mut self, stated: Stated, now: Moment) {
        self.agent = true;
        if !self.news(stated.rev) {
            return;
        }
        let another = self.created_at.is_some() && stated.created_at.is_some() && self.created_at != stated.created_at;
        if another && self.ended_at.is_none() {
            self.begin(now);
        }
        self.live(now);
        let found = !self.stated && self.messages == 0;
        self.stated = true;
        self.created_at = stated.created_at.or(self.created_at);
        self.messages = self.messages.max(stated.messages);
        self.refused = self.refused.max(stated.refused);
        let names = |seats: &[Seat]| seats.iter().map(|seat| seat.peer.clone()).collect::<Vec<_>>();
        let before = names(&self.seats);
        let mut seats: Vec<Seat> = Vec::new();
        for peer in stated.peers {
            if seats.len() == MAX_SEATS || seats.iter().any(|seat| seat.peer == peer.id) {
                continue;
            }
            let known = self.seats.iter().find(|seat| seat.peer == peer.id).cloned();
            let new = known.is_none();
            let mut seat = known.unwrap_or_else(|| Seat::new(peer.id.clone(), None, now.at));
            seat.role = peer.role().or(seat.role);
            seat.since = peer.since.unwrap_or(seat.since);
            seat.away = peer.away;
            if peer.info.is_some() || new {
                seat.tell(peer.info.as_ref());
            }
            let connection = peer.connection();
            // The agent repeats what a peer said in an earlier call until it says something new.
            if let Some(connection) = connection.filter(|_| new && found || connection != seat.stated) {
                seat.say(connection, now.seq);
            }
            seat.stated = connection;
            seats.push(seat);
        }
        self.seats = seats;
        if before != names(&self.seats) && !before.is_empty() {
            self.part(&before);
        }
        if found && self.seats.len() > 1 {
            let since = self.seats.iter().map(|seat| seat.since).max().unwrap_or(now.at);
            self.talk.found(self.messages, since);
        }
    }

    /// Somebody is not among the two any more, or is now: what was said of calls before says nothing of the next.
    fn part(&mut self, before: &[PeerId]) {
        let gone = before.iter().any(|peer| self.seat(peer.as_str()).is_none());
        if gone {
            self.talk = Talk::default();
            for seat in self.seats.iter_mut().filter(|seat| before.contains(&seat.peer)) {
                seat.connection = None;
            }
        }
    }

    fn sit(&mut self, peer: &PeerId, role: Option<Role>, now: Moment) -> Option<&mut Seat> {
        self.live(now);
        let known = self.seats.iter().position(|seat| seat.peer == *peer);
        let index = match known {
            Some(index) => index,
            None if self.seats.len() < MAX_SEATS => {
                self.seats.push(Seat::new(peer.clone(), role, now.at));
                self.seats.len() - 1
            }
            None => return None,
        };
        let seat = &mut self.seats[index];
        seat.role = role.or(seat.role);
        seat.away = false;
        Some(seat)
    }

    fn sit_other(&mut self, other: &Other, role: Role, now: Moment) {
        if let Some(seat) = self.sit(&other.id, Some(role), now)
            && let Some(info) = &other.info
        {
            seat.tell(Some(info.as_map()));
        }
    }

    fn rise(&mut self, peer: &PeerId, now: Moment) {
        let before: Vec<PeerId> = self.seats.iter().map(|seat| seat.peer.clone()).collect();
        self.seats.retain(|seat| seat.peer != *peer);
        if self.seats.len() == before.len() {
            return;
        }
        self.part(&before);
        // Who stays is the first from now on, as in the agent's rules.
        if let [only] = self.seats.as_mut_slice() {
            only.role = Some(Role::Created);
        }
        if self.seats.is_empty() {
            self.end(now);
        }
    }

    /// Something was said on the wire; `rev` is the agent's, if it speaks.
    pub(super) fn hear(&mut self, from: &Party, to: &Party, said: &Said, rev: Option<u64>, now: Moment) {
        match (from, to) {
            (Party::Peer(from), Party::Peer(to)) => self.signal(from, to, said, now),
            (Party::Peer(from), Party::Agent) => match said {
                Said::Join { .. } => {
                    // An agent that starts anew may count anew.
                    if self.ended_at.is_some() {
                        self.rev = None;
                    }
                    self.live(now);
                }
                Said::State { connection, .. } => {
                    if let Some(seat) = self.seats.iter_mut().find(|seat| seat.peer == *from) {
                        seat.say(*connection, now.seq);
                    }
                }
                Said::Leave { .. } if !self.agent => self.rise(from, now),
                _ => {}
            },
            (Party::Agent, Party::Peer(to)) => {
                if let Said::FromAgent(said) = said {
                    self.agent = true;
                    if self.news(rev) {
                        self.told(to, said, now);
                    }
                }
            }
            _ => {}
        }
    }

    fn signal(&mut self, from: &PeerId, to: &PeerId, said: &Said, now: Moment) {
        // Without an agent in sight, the first two who signal are taken to be inside.
        if !self.agent && self.ended_at.is_none() {
            for peer in [from, to] {
                if self.seats.len() < 2 {
                    self.sit(peer, None, now);
                }
            }
        }
        // A broker without our rules delivers what outsiders send; the receiver drops it.
        if self.seat(from.as_str()).is_none() || self.seat(to.as_str()).is_none() {
            return;
        }
        self.messages += 1;
        match said {
            Said::Ready => self.talk.ready(now.at, now.seq),
            Said::Offer(_) => self.talk.offer(from, now.at, now.seq),
            Said::Answer(_) => self.answer_time = self.talk.answer(from, now.at).or(self.answer_time),
            Said::Bye => self.talk.bye(now.at, now.seq),
            _ => self.talk.more(now.at),
        }
    }

    /// The agent told `to` something.
    fn told(&mut self, to: &PeerId, said: &protocol::Said, now: Moment) {
        use protocol::Said as Agent;
        match said {
            Agent::Created { peer, resumed, .. } => {
                // Whoever is told that the room was empty knows better than we do.
                if !resumed && self.seats.iter().any(|seat| seat.peer != *to) {
                    self.begin(now);
                }
                self.sit(to, Some(Role::Created), now);
                if let Some(other) = peer {
                    self.sit_other(other, Role::Joined, now);
                }
            }
            Agent::Joined { peer, .. } => {
                self.sit_other(peer, Role::Created, now);
                self.sit(to, Some(Role::Joined), now);
            }
            Agent::Arrived { peer } => {
                self.sit(to, Some(Role::Created), now);
                self.sit_other(peer, Role::Joined, now);
            }
            Agent::Left { peer, .. } => self.rise(peer, now),
            Agent::Closed { .. } => self.rise(to, now),
            Agent::Full { .. } | Agent::IceServers { .. } | Agent::Error { .. } => {}
        }
    }

    /// The agent published that something happened. `true` if no message shows it, so that it belongs on the ladder.
    pub(super) fn event(&mut self, event: &RoomEvent, now: Moment) -> bool {
        self.agent = true;
        if matches!(event.what, What::Refused { .. } | What::Full { .. }) {
            self.refused += 1;
        }
        let news = self.news(Some(event.rev));
        match &event.what {
            What::Created { peer } if news => {
                self.sit(peer, Some(Role::Created), now);
            }
            What::Joined { peer } if news => {
                self.sit(peer, Some(Role::Joined), now);
            }
            What::Away { peer } if news => {
                if let Some(seat) = self.seats.iter_mut().find(|seat| seat.peer == *peer) {
                    seat.away = true;
                }
            }
            What::Resumed { peer } if news => {
                self.sit(peer, None, now);
            }
            What::Left { peer, .. } if news => self.rise(peer, now),
            What::Closed if news => self.end(now),
            What::State { peer, connection, .. } if news => {
                if let Some(seat) = self.seats.iter_mut().find(|seat| seat.peer == *peer) {
                    seat.say(*connection, now.seq);
                }
            }
            _ => {}
        }
        match &event.what {
            What::Away { .. }
            | What::Removed { .. }
            | What::Closed
            | What::Refused { .. }
            | What::Left { reason: Reason::Lost, .. } => true,
            What::Created { .. }
            | What::Joined { .. }
            | What::Full { .. }
            | What::Arrived { .. }
            | What::Resumed { .. }
            | What::Left { .. }
            | What::BadMessage { .. }
            | What::State { .. } => false,
        }
    }
}
