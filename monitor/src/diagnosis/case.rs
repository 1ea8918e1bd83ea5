//! What is remembered of a room for its diagnosis, folded from its ladder entry by entry: rules need not read the ladder
//! again, and what was evicted from it is still known.

use super::call::{Call, Moment, Sent};
use crate::model::{Entry, Party, Said};
use crate::sdp::Description;
use protocol::{Connection, ErrorCode, IceServer, Info, PeerId, Reason, Role, Said as Agent, Timestamp, What};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Most peers that are remembered as members: two, and those who were before them.
const MAX_MEMBERS: usize = 4;
/// Most things that happened which are remembered; the oldest goes first.
const MAX_INCIDENTS: usize = 16;
/// Most entries that are remembered of one incident.
const MAX_ENTRIES: usize = 16;
/// Longest quotation of a peer's or the broker's words, in bytes.
const MAX_QUOTE: usize = 256;
/// What a signal may be late after its sender or receiver has left: it was on its way.
const CROSSES_WITHIN: Duration = Duration::from_secs(3);
/// Resumed answers that are remembered of a peer.
const MAX_RESUMES: usize = 8;
/// Sizes from here on, in bytes, are near the limit of 64 KiB: four fifths.
pub(super) const NEAR_LIMIT: usize = LIMIT / 5 * 4;
/// The contract's limit, in bytes.
pub(super) const LIMIT: usize = 64 * 1024;
/// How far a clock may be set back without being told; a clock that is kept by NTP moves by less.
const CLOCK_SLACK: Duration = Duration::from_millis(500);

/// A member of the room, or one that was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub peer: PeerId,
    pub role: Option<Role>,
    /// When its connection was lost, if it is.
    pub away: Option<Moment>,
    /// When it left, if it has.
    pub left: Option<Timestamp>,
    pub servers: Option<Servers>,
    /// Codecs that it told of when it joined.
    pub codecs: Vec<Box<str>>,
    /// When it took its seat back, lately.
    pub resumes: VecDeque<Moment>,
}

/// The ICE servers that a peer was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Servers {
    pub when: Moment,
    /// Whether a relay is among them.
    pub turn: bool,
    /// Whether a relay is among them that comes without user name or password.
    pub without_credentials: bool,
    /// When the credentials expire, if their name says so.
    pub expires: Option<Timestamp>,
}

/// What kind of thing happened that is not undone by what comes later.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mishap {
    /// Not among the two.
    NotAMember,
    /// Another's name or a foreign topic.
    Forbidden,
    /// More than the limit.
    TooLarge,
    /// More than is allowed in that time.
    RateLimited,
    /// Nobody can read it.
    Unreadable,
    /// Near the limit: bytes.
    Near(usize),
    /// The agent's clock, or ours, went back by so much.
    Clock { agent: bool, by: Duration },
    /// Its connection was lost while a call was being made; whether it is out for good.
    LostWithin { gone: bool },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Incident {
    pub what: Mishap,
    pub peer: Option<PeerId>,
    pub entries: Vec<u64>,
    /// How often it happened, by what was said of it.
    pub times: u64,
    /// How often it happened, by the room's events, which may tell the same again.
    events: u64,
    pub quote: Box<str>,
}

impl Incident {
    /// How often it happened.
    pub fn count(&self) -> u64 {
        self.times.max(self.events)
    }
}

/// What is remembered of a room.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Case {
    /// Whether the room was seen to come into being and nothing was missed since.
    whole: bool,
    last_at: Option<Timestamp>,
    clock: Option<(u64, Timestamp)>,
    pub(super) members: Vec<Member>,
    pub(super) call: Option<Box<Call>>,
    pub(super) incidents: VecDeque<Incident>,
}

impl Case {
    /// Takes what was said next in the room.
    pub fn take(&mut self, entry: &Entry) {
        let when = Moment { at: entry.at, seq: entry.seq };
        self.our_clock(when);
        if let (Party::Peer(from), NEAR_LIMIT..) = (&entry.from, entry.size) {
            self.happened(Mishap::Near(entry.size), Some(from), entry.seq, "");
        }
        match (&entry.from, &entry.to, &entry.what) {
            (_, Party::Peer(to), Said::FromAgent(said)) => self.told(to, said, when),
            (Party::Peer(from), Party::Peer(to), said) => self.signal(from, to, said, when),
            (Party::Peer(from), Party::Agent, Said::Join { info }) => self.join(from, info.as_ref()),
            (Party::Peer(from), Party::Agent, Said::Leave { lost }) => self.leaves(from, *lost, when),
            (Party::Peer(from), Party::Agent, Said::State { connection, .. }) => self.says(from, *connection, when),
            (Party::Peer(from), Party::Agent, Said::Malformed { why, .. }) => {
                self.happened(Mishap::Unreadable, Some(from), entry.seq, why);
            }
            (_, _, Said::Event(what)) => self.event(what, when),
            (Party::Peer(from), _, Said::Refused { why }) => self.refused(from, why, when),
            _ => {}
        }
    }

    /// Takes the time at which the agent says that something happened, with its place in the agent's order.
    ///
    /// Several agents may let messages overtake each other, so that only a later one with an earlier time counts.
    pub fn clock(&mut self, seq: u64, rev: u64, time: Timestamp) {
        if let Some((known, before)) = self.clock {
            if rev <= known {
                return;
            }
            let by = before.since(time);
            if by > CLOCK_SLACK {
                self.happened(Mishap::Clock { agent: true, by }, None, seq, "");
            }
        }
        self.clock = Some((rev, time));
    }

    /// Something may have been missed: the connection was lost, or messages were dropped. What depends on having seen
    /// all is not claimed any more.
    pub fn gap(&mut self) {
        self.whole = false;
        self.call = None;
        for member in &mut self.members {
            member.resumes.clear();
        }
    }

    /// The room is gone, as its retained state or its end tells.
    pub fn end(&mut self, at: Timestamp) {
        if let Some(call) = &mut self.call {
            call.end(at);
        }
        for member in &mut self.members {
            member.left.get_or_insert(at);
        }
    }

    /// About how many bytes it holds in memory.
    pub fn bytes(&self) -> usize {
        let member = |m: &Member| {
            size_of::<Member>()
                + 64
                + m.codecs.iter().map(|c| 16 + c.len()).sum::<usize>()
                + MAX_RESUMES * size_of::<Moment>()
        };
        let incident = |i: &Incident| size_of::<Incident>() + i.quote.len() + i.entries.capacity() * 8 + 64;
        size_of::<Self>()
            + self.members.iter().map(member).sum::<usize>()
            + self.incidents.iter().map(incident).sum::<usize>()
            + self.call.as_deref().map_or(0, Call::bytes)
    }

    /// The member of that name.
    pub(super) fn member(&self, peer: &PeerId) -> Option<&Member> {
        self.members.iter().find(|member| member.peer == *peer)
    }

    fn our_clock(&mut self, when: Moment) {
        if let Some(before) = self.last_at {
            let by = before.since(when.at);
            if by > CLOCK_SLACK {
                self.happened(Mishap::Clock { agent: false, by }, None, when.seq, "");
            }
        }
        self.last_at = Some(when.at);
    }

    fn happened(&mut self, what: Mishap, peer: Option<&PeerId>, seq: u64, quote: &str) {
        let same = |incident: &&mut Incident| {
            std::mem::discriminant(&incident.what) == std::mem::discriminant(&what) && incident.peer.as_ref() == peer
        };
        if let Some(incident) = self.incidents.iter_mut().find(same) {
            incident.times += 1;
            if incident.entries.len() < MAX_ENTRIES && incident.entries.last() != Some(&seq) {
                incident.entries.push(seq);
            }
            match (&mut incident.what, what) {
                (Mishap::Near(most), Mishap::Near(size)) => *most = size.max(*most),
                (known, what) => *known = what,
            }
            return;
        }
        if self.incidents.len() == MAX_INCIDENTS {
            self.incidents.pop_front();
        }
        let cut = (0..=quote.len().min(MAX_QUOTE)).rev().find(|&at| quote.is_char_boundary(at)).unwrap_or(0);
        let quote = quote[..cut].into();
        self.incidents.push_back(Incident {
            what,
            peer: peer.cloned(),
            entries: vec![seq],
            times: 1,
            events: 0,
            quote,
        });
    }

    fn seat(&mut self, peer: &PeerId, role: Option<Role>) -> &mut Member {
        let index = match self.members.iter().position(|member| member.peer == *peer) {
            Some(index) => index,
            None => {
                if self.members.len() == MAX_MEMBERS {
                    // Somebody who has left goes first.
                    let index = self.members.iter().position(|member| member.left.is_some()).unwrap_or(0);
                    self.members.remove(index);
                }
                self.members.push(Member {
                    peer: peer.clone(),
                    role: None,
                    away: None,
                    left: None,
                    servers: None,
                    codecs: Vec::new(),
                    resumes: VecDeque::new(),
                });
                self.members.len() - 1
            }
        };
        let member = &mut self.members[index];
        member.role = role.or(member.role);
        member.left = None;
        member.away = None;
        member
    }

    fn join(&mut self, peer: &PeerId, info: Option<&Info>) {
        let known = self.members.iter_mut().find(|member| member.peer == *peer);
        let (Some(info), Some(member)) = (info, known) else {
            if let Some(info) = info {
                // Not a member before the agent says so; what it tells of itself comes only here.
                let codecs = codecs_of(info);
                if !codecs.is_empty() {
                    let member = self.seat(peer, None);
                    member.codecs = codecs;
                    member.left = Some(Timestamp::default());
                }
            }
            return;
        };
        member.codecs = codecs_of(info);
    }

    /// The agent speaks to `to`.
    fn told(&mut self, to: &PeerId, said: &Agent, when: Moment) {
        match said {
            Agent::Created { peer, ice_servers, resumed, .. } => {
                let others = self.members.iter().any(|member| member.peer != *to && member.left.is_none());
                if !resumed && peer.is_none() && (others || self.present(to).is_none()) {
                    self.begin_life(to);
                }
                self.seated(to, Role::Created, ice_servers, *resumed, when);
                if let Some(other) = peer {
                    self.shown(&other.id, other.info.as_ref(), Role::Joined);
                }
            }
            Agent::Joined { peer, ice_servers, resumed, .. } => {
                let new = self.present(to).is_none();
                self.shown(&peer.id, peer.info.as_ref(), Role::Created);
                self.seated(to, Role::Joined, ice_servers, *resumed, when);
                if new && !resumed {
                    self.pair(&peer.id, to, when, true);
                }
            }
            Agent::Arrived { peer } => {
                self.seat(to, Some(Role::Created));
                let new = self.present(&peer.id).is_none();
                self.shown(&peer.id, peer.info.as_ref(), Role::Joined);
                if new {
                    self.pair(to, &peer.id, when, true);
                }
            }
            Agent::Left { peer, reason } => self.out(peer, *reason == Reason::Lost, when),
            Agent::Closed { .. } => self.out(to, false, when),
            Agent::IceServers { ice_servers } => {
                if let Some(member) = self.members.iter_mut().find(|member| member.peer == *to) {
                    member.servers = Some(servers(ice_servers, when));
                }
            }
            Agent::Error { code, message } => self.error(to, *code, message, when),
            Agent::Full { .. } => {}
        }
    }

    fn present(&self, peer: &PeerId) -> Option<&Member> {
        self.member(peer).filter(|member| member.left.is_none())
    }

    /// The room came into being (again): nothing of before matters.
    fn begin_life(&mut self, first: &PeerId) {
        let (last_at, clock) = (self.last_at, self.clock);
        let codecs = self.member(first).map(|member| member.codecs.clone());
        *self = Self { whole: true, last_at, clock, ..Self::default() };
        if let Some(codecs) = codecs.filter(|codecs| !codecs.is_empty()) {
            self.seat(first, None).codecs = codecs;
        }
    }

    fn seated(&mut self, peer: &PeerId, role: Role, ice_servers: &[IceServer], resumed: bool, when: Moment) {
        let member = self.seat(peer, Some(role));
        member.servers = Some(servers(ice_servers, when));
        if resumed {
            if member.resumes.len() == MAX_RESUMES {
                member.resumes.pop_front();
            }
            member.resumes.push_back(when);
            self.incidents.retain(|i| !(i.peer.as_ref() == Some(peer) && i.what == Mishap::LostWithin { gone: false }));
        }
        if let Some(side) = self.call.as_mut().and_then(|call| call.sides.iter_mut().find(|side| side.peer == *peer)) {
            side.role = Some(role);
        }
    }

    fn shown(&mut self, peer: &PeerId, info: Option<&Info>, role: Role) {
        let away = self.member(peer).and_then(|member| member.away);
        let member = self.seat(peer, Some(role));
        // A member that is away is shown to the other one all the same.
        member.away = away;
        if let Some(info) = info {
            member.codecs = codecs_of(info);
        }
    }

    fn pair(&mut self, one: &PeerId, other: &PeerId, when: Moment, whole: bool) {
        let role = |peer| self.member(peer).and_then(|member| member.role);
        self.call = Some(Box::new(Call::new([(one, role(one)), (other, role(other))], when, whole)));
    }

    /// One peer signals another.
    fn signal(&mut self, from: &PeerId, to: &PeerId, said: &Said, when: Moment) {
        if let Said::Malformed { why, .. } = said {
            self.happened(Mishap::Unreadable, Some(from), when.seq, why);
        }
        let begins = matches!(said, Said::Ready | Said::Offer(_));
        let fits = self.call.as_ref().is_some_and(|call| call.is_between(from, to) && call.ended.is_none());
        if !fits {
            let same = self.call.as_ref().is_some_and(|call| call.is_between(from, to));
            // After `bye`, what was on its way belongs to the call that is over.
            if same && !begins || matches!(said, Said::Bye | Said::Other(_) | Said::Malformed { .. }) {
                return;
            }
            let whole = self.whole && self.present(from).is_some() && self.present(to).is_some();
            self.pair(from, to, when, whole);
        }
        let Some(call) = &mut self.call else { return };
        let Some(side) = call.index(from) else { return };
        let sent = |sdp: &Arc<Description>| Sent::new(when, sdp);
        match said {
            Said::Ready => call.ready(side, when),
            Said::Offer(sdp) => call.offer(side, sent(sdp)),
            Said::Answer(sdp) => call.answer(side, sent(sdp)),
            Said::Candidate(candidate) => call.candidate(side, when.seq, candidate),
            Said::EndOfCandidates => call.gathered(side),
            Said::Bye => call.end(when.at),
            _ => {}
        }
    }

    fn says(&mut self, peer: &PeerId, connection: Connection, when: Moment) {
        if let Some(call) = &mut self.call
            && let Some(side) = call.index(peer)
            && call.ended.is_none()
        {
            call.says(side, connection, when);
        }
    }

    fn leaves(&mut self, peer: &PeerId, lost: bool, when: Moment) {
        if !lost {
            self.out(peer, false, when);
        } else if let Some(member) = self.members.iter_mut().find(|member| member.peer == *peer) {
            member.away.get_or_insert(when);
        }
    }

    fn event(&mut self, what: &What, when: Moment) {
        match what {
            What::Away { peer } => {
                if let Some(member) = self.members.iter_mut().find(|member| member.peer == *peer) {
                    member.away = Some(when);
                }
                self.lost(peer, false, when);
            }
            What::Left { peer, reason } => self.out(peer, *reason == Reason::Lost, when),
            What::Removed { peer } => self.out(peer, false, when),
            What::Closed => self.end(when.at),
            What::BadMessage { peer, why } => self.unreadable(peer, why, when),
            _ => {}
        }
    }

    /// A peer's connection is lost: within a negotiation?
    fn lost(&mut self, peer: &PeerId, gone: bool, when: Moment) {
        let within = |call: &Call| call.index(peer).is_some() && call.ended.is_none() && call.is_negotiating(when.at);
        let known = self
            .incidents
            .iter_mut()
            .find(|i| matches!(i.what, Mishap::LostWithin { .. }) && i.peer.as_ref() == Some(peer));
        if let Some(known) = known {
            if gone && known.what != (Mishap::LostWithin { gone }) {
                known.what = Mishap::LostWithin { gone };
                known.entries.push(when.seq);
            }
        } else if self.call.as_deref().is_some_and(within) {
            self.happened(Mishap::LostWithin { gone }, Some(peer), when.seq, "");
        }
    }

    /// A peer is out of the room.
    fn out(&mut self, peer: &PeerId, lost: bool, when: Moment) {
        if lost {
            self.lost(peer, true, when);
        }
        if let Some(member) = self.members.iter_mut().find(|member| member.peer == *peer) {
            member.left.get_or_insert(when.at);
            member.away = None;
        }
        if let Some(call) = self.call.as_mut().filter(|call| call.index(peer).is_some()) {
            call.end(when.at);
        }
    }

    fn error(&mut self, peer: &PeerId, code: ErrorCode, message: &str, when: Moment) {
        let what = match code {
            ErrorCode::NotAMember if self.crossed(when.at) => return,
            ErrorCode::NotAMember => Mishap::NotAMember,
            ErrorCode::Forbidden => Mishap::Forbidden,
            ErrorCode::TooLarge => Mishap::TooLarge,
            ErrorCode::RateLimited => Mishap::RateLimited,
            ErrorCode::BadMessage | ErrorCode::UnsupportedVersion => return self.unreadable(peer, message, when),
        };
        self.happened(what, Some(peer), when.seq, message);
    }

    /// The room's event of a refusal: beside the message to the peer, or instead of it. Its words begin with the code.
    fn refused(&mut self, peer: &PeerId, why: &str, when: Moment) {
        let what = match why.split(':').next().unwrap_or_default() {
            "not-a-member" if self.crossed(when.at) => return,
            "not-a-member" => Mishap::NotAMember,
            "forbidden" => Mishap::Forbidden,
            "too-large" => Mishap::TooLarge,
            "rate-limited" => Mishap::RateLimited,
            _ => return,
        };
        let told = self.incidents.iter_mut().find(|i| {
            i.peer.as_ref() == Some(peer) && std::mem::discriminant(&i.what) == std::mem::discriminant(&what)
        });
        match told {
            Some(incident) => {
                incident.events += 1;
                if incident.entries.len() < MAX_ENTRIES {
                    incident.entries.push(when.seq);
                }
            }
            None => {
                self.happened(what, Some(peer), when.seq, why);
                if let Some(incident) = self.incidents.back_mut() {
                    // The message to the peer may still come; it counts the same refusal.
                    (incident.times, incident.events) = (0, 1);
                }
            }
        }
    }

    /// The agent could not read what `peer` said; as a rule, we could not either.
    fn unreadable(&mut self, peer: &PeerId, why: &str, when: Moment) {
        let known = |i: &Incident| i.what == Mishap::Unreadable && i.peer.as_ref() == Some(peer);
        if !self.incidents.iter().any(known) {
            self.happened(Mishap::Unreadable, Some(peer), when.seq, why);
        }
    }

    /// Whether somebody left so lately that a signal may have crossed with it.
    fn crossed(&self, at: Timestamp) -> bool {
        let lately = |left: Timestamp| at.since(left) < CROSSES_WITHIN;
        self.members.iter().any(|member| member.left.is_some_and(lately))
    }
}

fn servers(ice_servers: &[IceServer], when: Moment) -> Servers {
    let turn =
        |server: &&IceServer| server.urls.iter().any(|url| url.starts_with("turn:") || url.starts_with("turns:"));
    let with = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    // The user name of short-lived credentials begins with the second in which they expire.
    let expiry = |server: &IceServer| {
        let name = server.username.as_deref()?;
        let seconds: u64 = name.split(':').next()?.parse().ok().filter(|seconds| *seconds > 1_000_000_000)?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
    };
    Servers {
        when,
        turn: ice_servers.iter().any(|server| turn(&server)),
        without_credentials: ice_servers.iter().filter(turn).any(|s| !with(&s.username) || !with(&s.credential)),
        expires: ice_servers.iter().filter(turn).filter_map(expiry).min(),
    }
}

fn codecs_of(info: &Info) -> Vec<Box<str>> {
    let list = info.as_map().get("codecs").and_then(serde_json::Value::as_array);
    let names = list.into_iter().flatten().filter_map(serde_json::Value::as_str);
    names.map(|name| name.chars().take(32).collect::<String>().into()).take(16).collect()
}
