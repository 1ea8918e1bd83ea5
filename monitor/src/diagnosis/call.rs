//! What two peers have said to each other to make one call, as far as rules look at it.

use crate::sdp::{Candidate, CandidateKind, Description};
use protocol::{Connection, PeerId, Role, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Most candidates of one generation that are kept of a side.
const MAX_CANDIDATES: usize = 64;
/// Most user fragments that are remembered of a side.
const MAX_UFRAGS: usize = 8;
/// Most entries that one finding points to.
const MAX_ENTRIES: usize = 16;
/// Offers that are remembered with their time.
const MAX_OFFERS: usize = 16;
/// How long after an answer a call may take to connect before its network is looked at.
pub(super) const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long signals that are silent may be part of a negotiation.
const NEGOTIATES_WITHIN: Duration = Duration::from_secs(30);

/// When something was said, and where it stands on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub at: Timestamp,
    pub seq: u64,
}

/// A description that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub when: Moment,
    pub sdp: Arc<Description>,
    /// About how many bytes the description takes.
    bytes: usize,
}

impl Sent {
    pub fn new(when: Moment, sdp: &Arc<Description>) -> Self {
        Self { when, sdp: Arc::clone(sdp), bytes: sdp.footprint() }
    }
}

/// An offer and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exchange {
    /// Who offered: 0 or 1.
    pub offerer: usize,
    pub offer: Sent,
    pub answer: Sent,
}

/// Both offered before either answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glare {
    /// The offers, in the order in which they came.
    pub offers: [Moment; 2],
    /// Answers that followed, with who sent them.
    pub answers: Vec<(usize, Moment)>,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    pub peer: PeerId,
    pub role: Option<Role>,
    pub ready: Option<Moment>,
    /// Its offer that waits for an answer.
    pub pending: Option<Sent>,
    /// Its last description.
    pub described: Option<Sent>,
    /// User fragments of its descriptions, the newest last.
    pub ufrags: VecDeque<Box<str>>,
    /// Candidates of the present generation that were trickled.
    pub candidates: Vec<(u64, Candidate)>,
    /// About how many bytes they take.
    candidate_bytes: usize,
    /// Whether it has said that there are no more.
    pub gathered: bool,
    /// Candidates that came before any description of its own.
    pub early: Vec<u64>,
    /// Candidates of a generation that no description of it has named.
    pub strangers: Vec<(u64, Box<str>)>,
    /// How its call is doing, as it said last.
    pub connection: Option<(Connection, Moment)>,
    /// When it said first, in this call, that it is connected.
    pub connected: Option<Moment>,
    /// When it said that it failed, since it was last connected, and that as often as it tried again.
    pub failures: Vec<Moment>,
}

impl Side {
    fn new(peer: &PeerId, role: Option<Role>) -> Self {
        Self {
            peer: peer.clone(),
            role,
            ready: None,
            pending: None,
            described: None,
            ufrags: VecDeque::new(),
            candidates: Vec::new(),
            candidate_bytes: 0,
            gathered: false,
            early: Vec::new(),
            strangers: Vec::new(),
            connection: None,
            connected: None,
            failures: Vec::new(),
        }
    }

    /// Its candidates, from its last description and trickled since.
    pub fn all_candidates(&self) -> impl Iterator<Item = &Candidate> {
        let described = self.described.iter().flat_map(|sent| sent.sdp.candidates());
        described.chain(self.candidates.iter().map(|(_, candidate)| candidate))
    }

    /// Entries that show its candidates: the description, if some are in it, and those that were trickled.
    pub fn candidate_entries(&self) -> Vec<u64> {
        let described = self.described.iter().filter(|sent| sent.sdp.candidates().next().is_some());
        let trickled = self.candidates.iter().map(|(seq, _)| *seq);
        described.map(|sent| sent.when.seq).chain(trickled).take(MAX_ENTRIES).collect()
    }

    /// Whether it has candidates of that kind.
    pub fn has(&self, kind: CandidateKind) -> bool {
        self.all_candidates().any(|candidate| candidate.kind == kind)
    }

    /// Whether it has said that there are no more candidates, in whichever way.
    pub fn has_gathered(&self) -> bool {
        let described = self.described.as_ref().is_some_and(|sent| {
            let mut media = sent.sdp.media.iter().filter(|media| !media.is_refused()).peekable();
            media.peek().is_some() && media.any(|media| media.end_of_candidates)
        });
        self.gathered || described
    }

    fn says(&self, connection: Connection) -> bool {
        self.connection.is_some_and(|(said, _)| said == connection)
    }

    /// A new generation begins.
    fn forget_candidates(&mut self) {
        self.candidates.clear();
        self.candidate_bytes = 0;
        self.gathered = false;
    }

    fn describe(&mut self, sent: Sent) {
        let fresh = sent.sdp.ufrags().iter().any(|ufrag| !self.ufrags.iter().any(|known| **known == **ufrag));
        // Candidates that came first belong to the first description.
        let first = self.ufrags.is_empty() && self.described.is_none();
        if fresh && !first {
            self.forget_candidates();
        }
        for ufrag in sent.sdp.ufrags() {
            self.ufrags.retain(|known| **known != *ufrag);
            if self.ufrags.len() == MAX_UFRAGS {
                self.ufrags.pop_front();
            }
            self.ufrags.push_back(ufrag.into());
        }
        // A candidate may overtake the description that it belongs to.
        let ufrags = &self.ufrags;
        self.strangers.retain(|(_, stranger)| !ufrags.contains(stranger));
        self.described = Some(sent);
    }

    fn candidate(&mut self, seq: u64, candidate: &Candidate) {
        let known = candidate.ufrag.as_ref().is_some_and(|ufrag| self.ufrags.contains(ufrag));
        if self.described.is_none() && !known && self.early.len() < MAX_ENTRIES {
            self.early.push(seq);
        }
        if let Some(ufrag) = &candidate.ufrag
            && !known
            && !self.ufrags.is_empty()
            && self.strangers.len() < MAX_ENTRIES
        {
            self.strangers.push((seq, ufrag.clone()));
        }
        // What belongs to an earlier generation says nothing of the present one. One description has several
        // fragments only if it is not bundled, so that the newest few count.
        let old = candidate.ufrag.as_ref().is_some_and(|ufrag| {
            known && self.described.as_ref().is_some_and(|sent| !sent.sdp.ufrags().contains(&&**ufrag))
        });
        if !old && self.candidates.len() < MAX_CANDIDATES {
            self.candidate_bytes += candidate.footprint() + size_of::<u64>();
            self.candidates.push((seq, candidate.clone()));
        }
    }
}

/// How a call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too early to say.
    Early,
    /// A peer says that it is connected.
    Fine,
    /// Nobody says how it is doing, and the time in which it should have connected is over.
    Unknown,
    /// Both have described themselves, that time is over, and nobody says that it is connected although they do tell.
    Slow,
    /// A peer says that it failed.
    Failed,
}

/// A call of two.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub sides: [Side; 2],
    /// When the two were together, or when they were first heard of.
    pub began: Moment,
    /// Whether they were seen to come together, so that nothing of the call was missed.
    pub whole: bool,
    pub ended: Option<Timestamp>,
    /// Whether anything was said between the two.
    pub spoken: bool,
    pub exchange: Option<Exchange>,
    pub glare: Option<Glare>,
    /// Answers to nothing: who sent them.
    pub stray_answers: Vec<(usize, Moment)>,
    /// When offers were made lately.
    pub offers: VecDeque<Moment>,
}

impl Call {
    pub fn new(peers: [(&PeerId, Option<Role>); 2], began: Moment, whole: bool) -> Self {
        Self {
            sides: peers.map(|(peer, role)| Side::new(peer, role)),
            began,
            whole,
            ended: None,
            spoken: false,
            exchange: None,
            glare: None,
            stray_answers: Vec::new(),
            offers: VecDeque::new(),
        }
    }

    /// Which side `peer` is.
    pub fn index(&self, peer: &PeerId) -> Option<usize> {
        self.sides.iter().position(|side| side.peer == *peer)
    }

    /// Whether it is between these two.
    pub fn is_between(&self, one: &PeerId, other: &PeerId) -> bool {
        one != other && self.index(one).is_some() && self.index(other).is_some()
    }

    pub fn ready(&mut self, from: usize, when: Moment) {
        self.spoken = true;
        let side = &mut self.sides[from];
        side.ready = Some(when);
        // Whoever is ready (again) may have begun anew, as a page does that was reloaded. What it described before is
        // kept by name alone, for candidates that still come.
        side.pending = None;
        side.described = None;
        side.forget_candidates();
        side.strangers.clear();
        side.early.clear();
        (side.connection, side.connected) = (None, None);
        self.exchange = None;
        self.glare = None;
        self.sides[1 - from].ready = None;
    }

    pub fn offer(&mut self, from: usize, sent: Sent) {
        self.spoken = true;
        if self.offers.len() == MAX_OFFERS {
            self.offers.pop_front();
        }
        self.offers.push_back(sent.when);
        if let Some(theirs) = &self.sides[1 - from].pending {
            let again = self.sides[from].pending.as_ref().is_some_and(|mine| mine.sdp == sent.sdp);
            if !again {
                self.glare = Some(Glare { offers: [theirs.when, sent.when], answers: Vec::new() });
            }
        }
        let side = &mut self.sides[from];
        // Said again, it is the same offer: what counts is how long the other one has had it.
        let since =
            side.pending.take().filter(|pending| pending.sdp == sent.sdp).map_or(sent.when, |pending| pending.when);
        side.pending = Some(Sent { when: since, ..sent.clone() });
        side.ready = None;
        self.sides[1 - from].ready = None;
        self.sides[from].describe(sent);
    }

    pub fn answer(&mut self, from: usize, sent: Sent) {
        self.spoken = true;
        if let Some(glare) = &mut self.glare
            && glare.answers.len() < MAX_ENTRIES
        {
            glare.answers.push((from, sent.when));
        }
        match self.sides[1 - from].pending.take() {
            Some(offer) => {
                // Whoever answers has rolled its own offer back.
                self.sides[from].pending = None;
                self.exchange = Some(Exchange { offerer: 1 - from, offer, answer: sent.clone() });
            }
            None => {
                let again = self.sides[from].described.as_ref().is_some_and(|said| said.sdp == sent.sdp);
                let first = self.sides.iter().all(|side| side.described.is_none());
                let missed = first && !self.whole;
                if !again && !missed && self.stray_answers.len() < MAX_ENTRIES {
                    self.stray_answers.push((from, sent.when));
                }
            }
        }
        self.sides[from].describe(sent);
    }

    pub fn candidate(&mut self, from: usize, seq: u64, candidate: &Candidate) {
        self.spoken = true;
        // Of a call that was not seen from its beginning, the description may have been missed.
        if self.whole || self.sides[from].described.is_some() {
            self.sides[from].candidate(seq, candidate);
        }
    }

    pub fn gathered(&mut self, from: usize) {
        self.sides[from].gathered = true;
    }

    pub fn says(&mut self, from: usize, connection: Connection, when: Moment) {
        let side = &mut self.sides[from];
        // An RTCPeerConnection that is new has never been connected.
        if connection == Connection::New {
            side.connected = None;
        }
        let news = side.connection.is_none_or(|(said, _)| said != connection);
        if news {
            side.connection = Some((connection, when));
        }
        match connection {
            Connection::Failed if news && side.failures.len() < MAX_ENTRIES => side.failures.push(when),
            Connection::Connected => {
                side.connected.get_or_insert(when);
                side.failures.clear();
            }
            _ => {}
        }
    }

    pub fn end(&mut self, at: Timestamp) {
        self.ended.get_or_insert(at);
    }

    /// A peer says that it is connected, and none that it is not.
    pub fn is_fine(&self) -> bool {
        let says = |connection| self.sides.iter().any(|side| side.says(connection));
        says(Connection::Connected) && !says(Connection::Failed) && !says(Connection::Disconnected)
    }

    /// How it is doing.
    pub fn trouble(&self, now: Timestamp) -> Trouble {
        let answered = self.exchange.as_ref().map(|exchange| exchange.answer.when.at);
        let told = self.sides.iter().any(|side| side.connection.is_some());
        if self.sides.iter().any(|side| side.says(Connection::Failed)) {
            Trouble::Failed
        } else if self.is_fine() {
            Trouble::Fine
        } else if answered.is_none_or(|at| now.since(at) < CONNECTS_WITHIN) {
            Trouble::Early
        } else if told {
            Trouble::Slow
        } else {
            Trouble::Unknown
        }
    }

    /// Whether the two are on the way to a connection.
    pub fn is_negotiating(&self, now: Timestamp) -> bool {
        let recent = |when: Option<Moment>| when.is_some_and(|when| now.since(when.at) < NEGOTIATES_WITHIN);
        let waits = |side: &Side| recent(side.ready) || recent(side.pending.as_ref().map(|sent| sent.when));
        if self.sides.iter().any(waits) {
            return true;
        }
        let answered = self.exchange.as_ref().map(|exchange| exchange.answer.when);
        let told = self.sides.iter().any(|side| side.connection.is_some());
        let over = |side: &Side| side.says(Connection::Failed) || side.says(Connection::Closed);
        let within = if told { NEGOTIATES_WITHIN } else { Duration::from_secs(2) };
        !self.is_fine()
            && !self.sides.iter().any(over)
            && answered.is_some_and(|when| now.since(when.at) < within)
            && self.sides.iter().all(|side| side.connected.is_none())
    }

    /// About how many bytes it holds in memory.
    pub fn bytes(&self) -> usize {
        let side = |side: &Side| {
            // The queue of candidates may have twice as many places as it needs.
            2 * side.candidate_bytes
                + side.ufrags.iter().map(|ufrag| 32 + ufrag.len()).sum::<usize>()
                + side.strangers.iter().map(|(_, ufrag)| 40 + ufrag.len()).sum::<usize>()
                + side.early.capacity() * size_of::<u64>()
                + side.failures.capacity() * size_of::<Moment>()
                + side.peer.as_str().len()
                + side.described.iter().chain(&side.pending).map(|sent| sent.bytes).sum::<usize>()
        };
        let exchange = self.exchange.as_ref().map_or(0, |exchange| exchange.offer.bytes + exchange.answer.bytes);
        size_of::<Self>() + self.sides.iter().map(side).sum::<usize>() + exchange + MAX_OFFERS * size_of::<Moment>()
    }
}
