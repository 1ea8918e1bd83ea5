//! How far a room's call has come: as its peers say, else as the flow of signals suggests.

use super::seat::Seat;
use protocol::{Connection, PeerId, Timestamp};
use std::time::Duration;

/// How far a room's call has come. In the order in which an operator wants to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// A peer says that its call has failed, and nothing new was begun since.
    Failed,
    /// Two are there and a call is being made.
    Negotiating,
    /// One is there, or wants to be.
    Waiting,
    /// Media flows, as far as can be known without seeing it.
    Connected {
        /// Whether a peer said so itself; else it is inferred from an answer after which the signals became quiet.
        said: bool,
    },
    /// Two are there and no call is being made.
    Idle,
    /// Nobody is there any more.
    Ended,
}

impl Phase {
    /// Every name that [`Phase::name`] gives.
    pub const NAMES: [&'static str; 6] = ["failed", "negotiating", "waiting", "connected", "idle", "ended"];

    /// Its name, as filters and tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Failed => "failed",
            Phase::Negotiating => "negotiating",
            Phase::Waiting => "waiting",
            Phase::Connected { .. } => "connected",
            Phase::Idle => "idle",
            Phase::Ended => "ended",
        }
    }

    /// Whether it is a guess from the flow, to be marked as one.
    pub fn inferred(self) -> bool {
        self == Phase::Connected { said: false }
    }
}

/// How long no signal may come after an answer until the call counts as connected. Candidates trickle in bursts
/// of well under a second.
pub const SETTLED: Duration = Duration::from_secs(2);
/// How long no signal may come until a negotiation counts as given up.
pub const GIVEN_UP: Duration = Duration::from_secs(60);
/// Signals that a finished negotiation has at least: ready, offer, answer.
const FEWEST: u64 = 3;
/// Offers that are remembered until they are answered: one of each peer, more only if peers come and go.
const MAX_OFFERS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Quiet,
    Asked,
    Offered,
    Answered,
    Over,
}

/// What the present two have said to each other, as far as it tells how far they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Talk {
    stage: Stage,
    /// When the last signal of the negotiation came.
    at: Timestamp,
    /// Place of the last thing that began or ended a negotiation.
    seq: u64,
    offers: Vec<(PeerId, Timestamp)>,
}

impl Talk {
    pub fn ready(&mut self, at: Timestamp, seq: u64) {
        *self = Self { stage: Stage::Asked, at, seq, offers: Vec::new() };
    }

    pub fn offer(&mut self, from: &PeerId, at: Timestamp, seq: u64) {
        self.offers.retain(|(who, _)| who != from);
        if self.offers.len() == MAX_OFFERS {
            self.offers.remove(0);
        }
        self.offers.push((from.clone(), at));
        (self.stage, self.at, self.seq) = (Stage::Offered, at, seq);
    }

    /// The time since the offer that is answered, if it was seen.
    pub fn answer(&mut self, from: &PeerId, at: Timestamp) -> Option<Duration> {
        (self.stage, self.at) = (Stage::Answered, at);
        // With glare there are two offers; only that of the other one can be answered.
        let (_, offered) = self.offers.iter().rfind(|(who, _)| who != from)?;
        let time = at.since(*offered);
        self.offers.clear();
        Some(time)
    }

    pub fn more(&mut self, at: Timestamp) {
        self.at = at;
    }

    pub fn bye(&mut self, at: Timestamp, seq: u64) {
        *self = Self { stage: Stage::Over, at, seq, offers: Vec::new() };
    }

    /// A room was found with `messages` signals behind it: enough of them mean that a call was made before.
    pub fn found(&mut self, messages: u64, since: Timestamp) {
        if self.stage == Stage::Quiet && messages >= FEWEST {
            (self.stage, self.at) = (Stage::Answered, since);
        }
    }

    pub fn bytes(&self) -> usize {
        self.offers.capacity() * size_of::<(PeerId, Timestamp)>()
            + self.offers.iter().map(|(peer, _)| super::weight::peer(peer)).sum::<usize>()
    }

    /// The phase of a room that has not ended, and when it changes if nothing more comes.
    pub fn phase(&self, seats: &[Seat], now: Timestamp) -> (Phase, Option<Timestamp>) {
        if seats.len() < 2 {
            return (Phase::Waiting, None);
        }
        // What was said before the present negotiation began is of the one before. A renegotiation leaves a
        // connection standing, though.
        let valid = |seat: &Seat| {
            let old = seat.said < self.seq;
            seat.connection.filter(|said| !old || (*said == Connection::Connected && self.stage != Stage::Over))
        };
        let said: Vec<Connection> = seats.iter().filter_map(valid).collect();
        let any = |which: &[Connection]| said.iter().any(|c| which.contains(c));
        if any(&[Connection::Failed]) {
            (Phase::Failed, None)
        } else if any(&[Connection::Connecting, Connection::Disconnected]) {
            (Phase::Negotiating, None)
        } else if any(&[Connection::Connected]) && !any(&[Connection::New, Connection::Closed]) {
            (Phase::Connected { said: true }, None)
        } else if any(&[Connection::Closed]) {
            (Phase::Idle, None)
        } else {
            self.flow(now)
        }
    }

    fn flow(&self, now: Timestamp) -> (Phase, Option<Timestamp>) {
        let quiet = now.since(self.at);
        match self.stage {
            Stage::Quiet | Stage::Over => (Phase::Idle, None),
            Stage::Asked | Stage::Offered if quiet < GIVEN_UP => (Phase::Negotiating, Some(self.at.plus(GIVEN_UP))),
            Stage::Asked | Stage::Offered => (Phase::Idle, None),
            Stage::Answered if quiet < SETTLED => (Phase::Negotiating, Some(self.at.plus(SETTLED))),
            Stage::Answered => (Phase::Connected { said: false }, None),
        }
    }
}
