//! How many bytes things hold in memory: what they are made of, with what an allocation costs, and rather too many
//! than too few, so that a bound on these numbers is a bound on the process.

use super::entry::{Entry, Party, Said};
use crate::diagnosis::Finding;
use crate::sdp::{Address, Candidate};
use protocol::{Control, IceServer, Info, Other, PeerId, What};
use serde_json::{Map, Value};

/// What the allocator adds to an allocation, and rounds it up by.
const ALLOCATION: usize = 16;
/// Reference counts of an `Arc` or of shared bytes.
const COUNTS: usize = 24;
/// A node of a BTreeMap of strings to values: room for eleven of them and, if it is an inner one, its edges.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 12 * 8 + ALLOCATION;

/// A text of its own.
pub(super) fn text(length: usize) -> usize {
    length + ALLOCATION
}

/// An entry, with its place in the queue, which may have twice as many places as it needs.
pub(super) fn entry(entry: &Entry) -> usize {
    2 * size_of::<Entry>()
        + entry.payload.len()
        + COUNTS
        + ALLOCATION
        + party(&entry.from)
        + party(&entry.to)
        + said(&entry.what)
}

fn party(party: &Party) -> usize {
    party.peer().map_or(0, peer)
}

pub(super) fn peer(peer: &PeerId) -> usize {
    text(peer.as_str().len() + COUNTS)
}

fn said(said: &Said) -> usize {
    match said {
        Said::Offer(description) | Said::Answer(description) => description.footprint() + COUNTS + ALLOCATION,
        Said::Candidate(candidate) => self::candidate(candidate),
        Said::EndOfCandidates | Said::Ready | Said::Bye | Said::Leave { .. } => 0,
        Said::Join { info } => info.as_ref().map_or(0, self::info),
        Said::State { detail, .. } => detail.as_ref().map_or(0, |d| text(d.len())),
        Said::FromAgent(said) => size_of::<protocol::Said>() + ALLOCATION + agent(said),
        Said::Order(Control::Remove { peer: name }) => peer(name),
        Said::Order(Control::Close) => 0,
        Said::Event(what) => event(what),
        Said::Refused { why } => text(why.len()),
        Said::Other(kind) => text(kind.len()),
        Said::Malformed { kind, why } => kind.as_ref().map_or(0, |k| text(k.len())) + text(why.len()),
    }
}

fn candidate(candidate: &Candidate) -> usize {
    let optional = |s: &Option<Box<str>>| s.as_ref().map_or(0, |s| text(s.len()));
    let address = |address: &Address| match address {
        Address::Ip(_) => 0,
        Address::Mdns(name) | Address::Name(name) => text(name.len()),
    };
    size_of::<Candidate>()
        + ALLOCATION
        + text(candidate.foundation.len())
        + text(candidate.transport.len())
        + address(&candidate.address)
        + candidate.related.as_ref().map_or(0, |(related, _)| address(related))
        + optional(&candidate.ufrag)
        + optional(&candidate.mid)
}

/// What a room event holds.
pub(super) fn event(what: &What) -> usize {
    let about = super::entry::event_peer(what).map_or(0, peer);
    about
        + match what {
            What::Arrived { to, .. } => peer(to),
            What::State { detail: Some(words), .. }
            | What::Refused { why: words, .. }
            | What::BadMessage { why: words, .. } => text(words.capacity()),
            _ => 0,
        }
}

/// What a finding holds, with its place.
pub(super) fn finding(finding: &Finding) -> usize {
    2 * size_of::<Finding>()
        + text(finding.seen.capacity())
        + text(finding.means.capacity())
        + text(finding.try_this.capacity())
        + finding.entries.capacity() * size_of::<u64>()
        + finding.about.iter().map(|peer| text(peer.len()) + size_of::<Box<str>>()).sum::<usize>()
        + 2 * ALLOCATION
}

fn agent(said: &protocol::Said) -> usize {
    use protocol::Said as Agent;
    match said {
        Agent::Created { room, you, peer: there, ice_servers, .. } => {
            text(room.capacity()) + peer(you) + there.as_ref().map_or(0, other) + servers(ice_servers)
        }
        Agent::Joined { room, you, peer: there, ice_servers, .. } => {
            text(room.capacity()) + peer(you) + other(there) + servers(ice_servers)
        }
        Agent::Full { room } => text(room.capacity()),
        Agent::Arrived { peer: there } => other(there),
        Agent::Left { peer: who, .. } => peer(who),
        Agent::Closed { .. } => 0,
        Agent::IceServers { ice_servers } => servers(ice_servers),
        Agent::Error { message, .. } => text(message.capacity()),
    }
}

fn other(other: &Other) -> usize {
    peer(&other.id) + other.info.as_ref().map_or(0, info)
}

fn servers(servers: &Vec<IceServer>) -> usize {
    let string = |s: &Option<String>| s.as_ref().map_or(0, |s| text(s.capacity()));
    let each = |server: &IceServer| {
        server.urls.capacity() * size_of::<String>()
            + ALLOCATION
            + server.urls.iter().map(|url| text(url.capacity())).sum::<usize>()
            + string(&server.username)
            + string(&server.credential)
    };
    servers.capacity() * size_of::<IceServer>() + ALLOCATION + servers.iter().map(each).sum::<usize>()
}

fn info(info: &Info) -> usize {
    object(info.as_map())
}

/// Nodes of a BTreeMap are at least five elevenths full, except for the only one of a small map.
fn object(map: &Map<String, Value>) -> usize {
    let nodes = if map.is_empty() { 0 } else { 1 + map.len() / 4 };
    nodes * NODE + map.iter().map(|(key, field)| text(key.capacity()) + value(field)).sum::<usize>()
}

/// What a value holds besides itself. Nesting is at most as deep as [`Info::MAX_DEPTH`].
fn value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(string) => text(string.capacity()),
        Value::Array(items) => {
            items.capacity() * size_of::<Value>() + ALLOCATION + items.iter().map(self::value).sum::<usize>()
        }
        Value::Object(map) => object(map),
    }
}
