//! What happens around a negotiation: who is refused or lost, what is too large, which clock is wrong, and what peers say
//! of their own calls.

use super::{Look, Rule, Sighting, span, times};
use crate::diagnosis::Severity;
use crate::diagnosis::call::{Side, Trouble};
use crate::diagnosis::case::{Incident, LIMIT, Mishap};
use crate::redact::Redaction;
use crate::text::escape;
use protocol::Connection;
use std::time::Duration;

/// The time in which a peer may take its seat back several times.
const FIGHT: Duration = Duration::from_secs(30);
/// How many times are too many.
const FIGHT_RESUMES: usize = 4;

pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "failed-never-connected",
        sees: "a peer says that its call failed, and nobody ever said connected",
        means: "the two agreed, but no pair of candidates worked, or the DTLS handshake failed",
        try_this: "look at the other findings of this room first; without any, a firewall drops UDP on the way: offer TURN over TCP or TLS (turns: on port 443)",
        judge: failed_never_connected,
    },
    Rule {
        name: "slow-to-connect",
        sees: "10 s after the answer a peer still says that it is connecting",
        means: "the two have agreed and look for a way to each other that works; most calls find one in a second",
        try_this: "look at the other findings of this room; without any, look whether a firewall between them drops UDP, and give them a TURN server over TCP or TLS",
        judge: slow_to_connect,
    },
    Rule {
        name: "connection-broke",
        sees: "a call that was connected is disconnected or failed",
        means: "the path between the two is gone: a network changed, a device sleeps, or a NAT forgot them",
        try_this: "restart ICE (restartIce()) when the state is disconnected for some seconds; look whether one side changed its network",
        judge: connection_broke,
    },
    Rule {
        name: "peer-lost-within-negotiation",
        sees: "a peer loses its connection to the broker while a call is being made",
        means: "the negotiation stands still: the other side waits for signals that do not come; those to the lost peer are kept for its grace time",
        try_this: "look at the network and the keep-alive of that peer; when it is back it says ready again, and the call begins anew",
        judge: peer_lost,
    },
    Rule {
        name: "refused-not-a-member",
        sees: "signals are refused because sender or receiver is not in the room",
        means: "only two members of a room may signal each other: the sender has not joined (or was told full), or the receiver has left",
        try_this: "let the peer join and wait for created or joined before it signals, and stop when it is told left, closed or full",
        judge: not_a_member,
    },
    Rule {
        name: "refused-forbidden",
        sees: "a peer publishes in another's name or on a foreign topic",
        means: "the fourth level of a topic is the sender's own id; anything else is dropped by the broker",
        try_this: "publish to rooms/{room}/{to}/{own client id}, and make the client id the peer's name",
        judge: forbidden,
    },
    Rule {
        name: "bad-message",
        sees: "a message that cannot be read as what it should be",
        means: "it was dropped, or the receiver will drop it: no JSON object with a type, or a field of the wrong kind",
        try_this: "send one JSON object with a type and the fields of the contract; the words tell which one is wrong",
        judge: bad_message,
    },
    Rule {
        name: "near-size-limit",
        sees: "a message has four fifths of the 64 KiB that are allowed, or more than that",
        means: "with a few more codecs or candidates it is refused as too large, and the negotiation stops",
        try_this: "trickle candidates instead of sending them within the description, leave out codecs that nobody uses, or raise the broker's limit",
        judge: near_limit,
    },
    Rule {
        name: "rate-limited",
        sees: "a peer sends more than it may and is refused",
        means: "some of its signals are dropped, so that candidates or descriptions are missing on the other side",
        try_this: "look for a loop in that peer (offers that set off offers, state messages without change), or raise its limit",
        judge: rate_limited,
    },
    Rule {
        name: "clock-backwards",
        sees: "a later message has an earlier time, by the agent's clock or by the monitor's own",
        means: "a clock was set back: ages and durations shown here are wrong, and TURN credentials may expire early or late",
        try_this: "run NTP on that machine, and let it slew instead of step; with several agents, compare their clocks",
        judge: clock_backwards,
    },
    Rule {
        name: "same-id-twice",
        sees: "a peer takes its own seat back 4 times within 30 s",
        means: "two connections under one client id put each other out, for ever; or the peer's network breaks again and again",
        try_this: "look for a duplicated tab or two devices with the same client id, and give each one of its own",
        judge: same_id_twice,
    },
];

fn incidents<'a>(look: &Look<'a>, which: fn(&Mishap) -> bool) -> impl Iterator<Item = &'a Incident> {
    look.case.incidents.iter().filter(move |incident| which(&incident.what))
}

fn told(incident: &Incident, severity: Severity, seen: String) -> Sighting {
    let sighting = Sighting::new(severity, seen).entries(incident.entries.iter().copied());
    match &incident.peer {
        Some(peer) => sighting.about_peer(peer.as_str()),
        None => sighting,
    }
}

fn name(incident: &Incident) -> &str {
    incident.peer.as_ref().map_or("somebody", |peer| peer.as_str())
}

/// Words of a peer or the broker, safe to show.
fn quote(incident: &Incident) -> String {
    let masked = Redaction::default().text(&incident.quote).into_owned();
    escape(&masked).into_owned()
}

fn failed_never_connected(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.sides.iter().all(|side| side.connected.is_none())) else {
        return vec![];
    };
    let sides: Vec<&Side> = call.sides.iter().filter(|side| !side.failures.is_empty()).collect();
    let Some(last) = sides.iter().filter_map(|side| side.failures.last()).max_by_key(|when| when.at) else {
        return vec![];
    };
    let names: Vec<&str> = sides.iter().map(|side| side.peer.as_str()).collect();
    let count = sides.iter().map(|side| side.failures.len()).max().unwrap_or_default() as u64;
    let again = call.trouble(look.now) != Trouble::Failed;
    let after = match &call.exchange {
        Some(exchange) if !again => format!("{} after the answer", span(last.at.since(exchange.answer.when.at))),
        _ if again => "and it is tried again".into(),
        _ => "before any answer was seen".into(),
    };
    let (verb, often) =
        (if names.len() == 2 { "say" } else { "says" }, if count > 1 { times(count) + ", " } else { String::new() });
    let seen = format!("{} {verb} failed, {often}{after}; nobody was ever connected", names.join(" and "));
    // Of a call that was found on the way, connected may have been missed.
    let severity = if call.whole { Severity::Error } else { Severity::Warning };
    let moments = sides.iter().flat_map(|side| side.failures.iter().copied());
    vec![Sighting::new(severity, seen).at(moments).about(sides.iter().copied())]
}

fn slow_to_connect(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.trouble(look.now) == Trouble::Slow) else { return vec![] };
    let connecting = |side: &&Side| {
        let on_the_way = |said| matches!(said, Connection::New | Connection::Connecting);
        side.connected.is_none() && side.connection.is_some_and(|(said, _)| on_the_way(said))
    };
    let sides: Vec<&Side> = call.sides.iter().filter(connecting).collect();
    let (Some(_), Some(exchange)) = (sides.first(), &call.exchange) else { return vec![] };
    let names: Vec<&str> = sides.iter().map(|side| side.peer.as_str()).collect();
    let verb = if names.len() == 2 { "are" } else { "is" };
    let waited = span(look.now.since(exchange.answer.when.at));
    let seen = format!("{} {verb} still connecting, {waited} after the answer", names.join(" and "));
    let said = sides.iter().filter_map(|side| side.connection).map(|(_, when)| when);
    vec![Sighting::new(Severity::Warning, seen).at([exchange.answer.when]).at(said).about(sides.iter().copied())]
}

fn connection_broke(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let since = call.sides.iter().filter_map(|side| side.connected).min_by_key(|when| when.at);
    let Some(since) = since else { return vec![] };
    let of = |side: &Side| {
        let (said, when) = side.connection?;
        let (word, severity) = match said {
            Connection::Disconnected => ("disconnected", Severity::Warning),
            Connection::Failed => ("failed", Severity::Error),
            _ => return None,
        };
        let seen = format!("{} says {word}, {} after the call was connected", side.peer, span(when.at.since(since.at)));
        Some(Sighting::new(severity, seen).at([since, when]).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

fn peer_lost(look: &Look) -> Vec<Sighting> {
    // Once they are connected, what was lost on the way has been made good.
    let fine = look.call.is_some_and(|call| call.is_fine() && call.ended.is_none());
    let of = |incident: &Incident| {
        let Mishap::LostWithin { gone } = incident.what else { return None };
        let then = if gone { "it did not come back" } else { "it may still come back" };
        let seen =
            format!("{} lost its connection to the broker while the call was being made; {then}", name(incident));
        Some(told(incident, if gone { Severity::Error } else { Severity::Warning }, seen))
    };
    if fine { vec![] } else { look.case.incidents.iter().filter_map(of).collect() }
}

fn not_a_member(look: &Look) -> Vec<Sighting> {
    incidents(look, |what| *what == Mishap::NotAMember)
        .map(|incident| {
            let seen = format!("{} was refused {}: {}", name(incident), times(incident.count()), quote(incident));
            told(incident, Severity::Warning, seen)
        })
        .collect()
}

fn forbidden(look: &Look) -> Vec<Sighting> {
    incidents(look, |what| *what == Mishap::Forbidden)
        .map(|incident| {
            let seen = format!("{} was refused {}: {}", name(incident), times(incident.count()), quote(incident));
            told(incident, Severity::Warning, seen)
        })
        .collect()
}

fn bad_message(look: &Look) -> Vec<Sighting> {
    incidents(look, |what| *what == Mishap::Unreadable)
        .map(|incident| {
            let seen =
                format!("{} sent {} what cannot be read: {}", name(incident), times(incident.count()), quote(incident));
            told(incident, Severity::Warning, seen)
        })
        .collect()
}

fn near_limit(look: &Look) -> Vec<Sighting> {
    let near = |incident: &Incident| {
        let Mishap::Near(size) = incident.what else { return None };
        let percent = size * 100 / LIMIT;
        let seen = format!("{} sent {size} bytes in one message, {percent} % of the limit of {LIMIT}", name(incident));
        Some(told(incident, Severity::Warning, seen))
    };
    let over = |incident: &Incident| {
        let seen = format!("{} sent a message that was refused: {}", name(incident), quote(incident));
        let means = "the message was dropped: the other peer never sees it";
        (incident.what == Mishap::TooLarge).then(|| told(incident, Severity::Error, seen).means(means))
    };
    look.case.incidents.iter().filter_map(|incident| near(incident).or_else(|| over(incident))).collect()
}

fn rate_limited(look: &Look) -> Vec<Sighting> {
    incidents(look, |what| *what == Mishap::RateLimited)
        .map(|incident| {
            let seen = format!("{} was refused {}: {}", name(incident), times(incident.count()), quote(incident));
            told(incident, Severity::Warning, seen)
        })
        .collect()
}

fn clock_backwards(look: &Look) -> Vec<Sighting> {
    let of = |incident: &Incident| {
        let Mishap::Clock { agent, by } = incident.what else { return None };
        let whose = if agent { "the agent's clock" } else { "the clock of this monitor" };
        let seen = format!("{whose} went back {} within this room, last by {}", times(incident.count()), span(by));
        Some(told(incident, Severity::Warning, seen))
    };
    look.case.incidents.iter().filter_map(of).collect()
}

fn same_id_twice(look: &Look) -> Vec<Sighting> {
    let of = |member: &crate::diagnosis::case::Member| {
        let resumes = &member.resumes;
        let first = resumes.len().checked_sub(FIGHT_RESUMES).and_then(|at| resumes.get(at))?;
        let last = resumes.back()?;
        let within = last.at.since(first.at);
        if within >= FIGHT {
            return None;
        }
        let seen = format!("{} took its seat back {FIGHT_RESUMES} times within {}", member.peer, span(within));
        Some(Sighting::new(Severity::Warning, seen).at(resumes.iter().copied()).about_peer(member.peer.as_str()))
    };
    look.case.members.iter().filter_map(of).collect()
}
