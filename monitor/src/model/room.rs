//! A room as an operator sees it: who is there, how far they are, and the ladder of what was said.
//!
//! How messages, events and states change it is in [`super::presence`]; how much of it is kept in [`super::store`].

use super::entry::Entry;
use super::phase::{Phase, Talk};
use super::seat::Seat;
use super::weight;
use crate::diagnosis::{Case, Finding};
use protocol::{PeerId, RoomId, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// A room.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    pub(super) name: RoomId,
    pub(super) seats: Vec<Seat>,
    pub(super) ladder: VecDeque<Entry>,
    /// Bytes of the ladder's entries.
    pub(super) ladder_bytes: usize,
    pub(super) talk: Talk,
    pub(super) phase: Phase,
    /// What its findings are drawn from.
    pub(crate) case: Case,
    pub(super) findings: Vec<Finding>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) first_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) last: Option<Last>,
    pub(super) messages: u64,
    pub(super) refused: u64,
    pub(super) evicted: u64,
    pub(super) answer_time: Option<Duration>,
    /// Largest `rev` seen in its present life.
    pub(super) rev: Option<u64>,
    /// Whether an agent is at work here; if not, seats are guessed from the flow.
    pub(super) agent: bool,
    /// Whether its retained state was seen in its present life.
    pub(super) stated: bool,
    /// Which connection to the broker last told something of it.
    pub(super) heard_on: u64,
    /// How many gaps in what was heard it knows of.
    pub(super) gaps: u64,
    /// Place in the sequence of inputs at which its present life began.
    pub(super) began: u64,
    /// Place of the input that changed it last.
    pub(super) touched: u64,
    /// Whether it is queued for judgement.
    pub(super) dirty: bool,
    /// When it is to be looked at again although nothing came.
    pub(super) due: Option<Timestamp>,
}

/// The last thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// When.
    pub at: Timestamp,
    /// Its type, as [`super::Said::kind`] and the room events name it.
    pub kind: Box<str>,
    /// Whose doing it was, if a peer's.
    pub peer: Option<PeerId>,
}

impl Room {
    pub(super) fn new(name: RoomId, at: Timestamp, seq: u64) -> Self {
        Self {
            name,
            seats: Vec::new(),
            ladder: VecDeque::new(),
            ladder_bytes: 0,
            talk: Talk::default(),
            phase: Phase::Waiting,
            case: Case::default(),
            findings: Vec::new(),
            created_at: None,
            first_at: at,
            ended_at: None,
            last: None,
            messages: 0,
            refused: 0,
            evicted: 0,
            answer_time: None,
            rev: None,
            agent: false,
            stated: false,
            heard_on: 0,
            gaps: 0,
            began: seq,
            touched: seq,
            dirty: false,
            due: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Who is in it, in the order in which they came; two by contract, a few more if a foreign agent says so.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The seat of `peer`.
    pub fn seat(&self, peer: &str) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.peer.as_str() == peer)
    }

    /// How far its call has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What was said, oldest first. Earlier lives of the room are in it, too.
    pub fn ladder(&self) -> &VecDeque<Entry> {
        &self.ladder
    }

    /// What was said since the room last came into being.
    pub fn life(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.ladder.range(self.index(self.began)..)
    }

    /// The entry with that number, if it is still there.
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        self.ladder.get(self.index(seq)).filter(|entry| entry.seq == seq)
    }

    /// Where the first entry with that number or a later one stands.
    pub fn index(&self, seq: u64) -> usize {
        self.ladder.partition_point(|entry| entry.seq < seq)
    }

    /// What is wrong, as the rules of the diagnosis have it.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// When its first peer came, as the agent states it; else when it was first seen.
    pub fn since(&self) -> Timestamp {
        self.created_at.unwrap_or(self.first_at)
    }

    /// When it ended, if it has.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// The last thing that happened, if anything was seen to happen.
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }

    /// Signals between its peers since it came into being: as the agent counts them, or as they were seen here,
    /// whichever is more.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Joins and signals that were refused, counted in the same way.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How long the last answer took.
    pub fn answer_time(&self) -> Option<Duration> {
        self.answer_time
    }

    /// Messages that were let go of to stay within the bounds.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Place of the input that changed it last: what was drawn of it since is still right.
    pub fn touched(&self) -> u64 {
        self.touched
    }

    /// Bytes that it holds in memory; never fewer than it does.
    pub fn bytes(&self) -> usize {
        self.ladder_bytes + self.own_bytes()
    }

    /// Without the ladder's entries.
    fn own_bytes(&self) -> usize {
        // Places in the trees of the store, which may be half empty, for the name and what stands beside it. The
        // name itself is shared by all of them.
        const INDEXES: usize = 2 * (16 + 8 + 56 + 3 * 40 + 24);
        size_of::<Self>()
            + INDEXES
            + weight::text(self.name.as_str().len() + 24)
            + self.seats.iter().map(Seat::bytes).sum::<usize>()
            + self.talk.bytes()
            + self.case.bytes()
            + self.findings.iter().map(weight::finding).sum::<usize>()
            + self
                .last
                .as_ref()
                .map_or(0, |last| weight::text(last.kind.len()) + last.peer.as_ref().map_or(0, weight::peer))
    }

    /// Adds to the ladder.
    pub(super) fn push(&mut self, entry: Entry) {
        self.last = Some(Last {
            at: entry.at,
            kind: entry.what.kind().into(),
            peer: entry.from.peer().or(entry.to.peer()).cloned(),
        });
        self.case.take(&entry);
        self.ladder_bytes += entry.bytes();
        self.ladder.push_back(entry);
    }

    /// Lets the oldest entry go; what it weighed.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let entry = self.ladder.pop_front()?;
        let bytes = entry.bytes();
        self.ladder_bytes -= bytes;
        self.evicted += 1;
        if self.ladder.len() < self.ladder.capacity() / 4 {
            self.ladder.shrink_to(self.ladder.len() * 2);
        }
        Some(bytes)
    }

    /// Something was missed, if there are more gaps than it knows of.
    pub(super) fn missed(&mut self, gaps: u64) {
        if self.gaps != gaps {
            self.gaps = gaps;
            self.case.gap();
        }
    }

    /// Works the findings out for this moment, and when they may change by themselves.
    pub(super) fn diagnose(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.findings = self.case.judge(now);
        self.case.next_look(now)
    }

    /// Works the phase out for this moment, and when it changes by itself.
    pub(super) fn settle(&mut self, now: Timestamp) -> Option<Timestamp> {
        let (phase, due) = match self.ended_at {
            Some(_) => (Phase::Ended, None),
            None => self.talk.phase(&self.seats, now),
        };
        self.phase = phase;
        due
    }
}
