//! Whether the candidates of two sides can meet (RFC 8445, 8839, 8656).

use super::{Look, Rule, Sighting, span};
use crate::diagnosis::Severity;
use crate::diagnosis::call::{Side, Trouble};
use crate::diagnosis::case::Member;
use crate::sdp::{Address, CandidateKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How long after its description a side may take to find its first candidate.
pub(super) const CANDIDATES_WITHIN: Duration = Duration::from_secs(5);
/// How long after its description a side may take to find the last one; a TURN server that does not answer is given
/// up by then.
pub(super) const GATHERED_WITHIN: Duration = Duration::from_secs(10);

pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "no-candidates",
        sees: "a side described itself and for 5 s shows no candidate while the call is not connected",
        means: "the other side knows no way to it; only if it can reach the other side first, the two may still find each other",
        try_this: "look whether it sends its candidates (onicecandidate, trickle), whether its page may use camera or microphone (without, some browsers gather none), and whether a VPN or policy hides its interfaces",
        judge: no_candidates,
    },
    Rule {
        name: "host-only-on-different-networks",
        sees: "both sides have only addresses of private networks, and not of the same one",
        means: "neither can reach the other: these addresses only work within their own network",
        try_this: "give the peers a STUN server, and a TURN server for networks that STUN does not get through; look whether UDP to it is blocked",
        judge: host_only,
    },
    Rule {
        name: "no-relay-although-turn",
        sees: "a peer was given a TURN server and has no relay candidate",
        means: "the TURN server did not give it an address: it cannot be reached from there, or refused the credentials",
        try_this: "look for icecandidateerror on that peer (401: wrong secret or expired name; 701: not reached), and whether UDP and TCP 3478 and the relay's ports are open",
        judge: no_relay,
    },
    Rule {
        name: "mdns-only",
        sees: "all candidates of a side are names under .local",
        means: "its browser hides the addresses behind multicast DNS: only devices in the same network that resolve such names can reach it",
        try_this: "let the page ask for camera or microphone (browsers then show addresses), or give it a STUN or TURN server; many devices and containers do not resolve .local",
        judge: mdns_only,
    },
    Rule {
        name: "no-address-family-in-common",
        sees: "one side has only IPv4 addresses and the other only IPv6 addresses",
        means: "no candidate of one can be paired with one of the other",
        try_this: "use a TURN server that is reached by both families, or switch the missing family on",
        judge: no_family_in_common,
    },
    Rule {
        name: "unknown-generation",
        sees: "candidates whose user fragment is in no description of their sender",
        means: "they belong to another ICE generation: of a connection before a reload, or of a restart whose offer was lost; the receiver drops them",
        try_this: "look whether the sender sends its new description after restartIce() or a reload, and before its candidates",
        judge: unknown_generation,
    },
    Rule {
        name: "turn-credentials-expired",
        sees: "a peer gathers candidates with TURN credentials whose time is over, or is given such",
        means: "the TURN server refuses them with 401: no relay candidate, and a relayed call breaks when its allocation is refreshed",
        try_this: "compare the clocks of the agent's and the TURN server's machines; let the peer take over the ice-servers message (setConfiguration) before it restarts ICE",
        judge: turn_expired,
    },
    Rule {
        name: "turn-without-credentials",
        sees: "a peer is given a turn: address without user name or password",
        means: "RTCPeerConnection cannot be made with it (InvalidAccessError), so that the call does not even begin",
        try_this: "configure the TURN secret or a fixed user and password beside the address",
        judge: turn_without_credentials,
    },
];

fn no_candidates(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.trouble(look.now) != Trouble::Fine) else { return vec![] };
    let bare = |side: &&Side| {
        let Some(sent) = &side.described else { return false };
        // Who only receives may have none to show and be found by the other side all the same, in less time than that.
        look.now.since(sent.when.at) >= CANDIDATES_WITHIN
            && side.all_candidates().next().is_none()
            && call.exchange.is_some()
    };
    let sides: Vec<&Side> = call.sides.iter().filter(bare).collect();
    let Some(first) = sides.first() else { return vec![] };
    let moments = sides.iter().filter_map(|side| side.described.as_ref()).map(|sent| sent.when);
    let [one, other] = &call.sides;
    let (seen, severity) = if sides.len() == 2 {
        (format!("neither {} nor {} has shown a candidate", one.peer, other.peer), Severity::Error)
    } else {
        let there = if first.peer == one.peer { other } else { one };
        let count = there.all_candidates().count();
        let seen = format!("{} has shown no candidate; {} has {count}", first.peer, there.peer);
        // Who only receives may gather none and still be found.
        let says = call.sides.iter().any(|side| side.connection.is_some());
        (seen, if says { Severity::Error } else { Severity::Note })
    };
    vec![Sighting::new(severity, seen).at(moments).about(sides.iter().copied())]
}

/// How bad something is that only some networks forgive.
fn weight(trouble: Trouble) -> Option<Severity> {
    match trouble {
        Trouble::Early | Trouble::Fine => None,
        Trouble::Unknown => Some(Severity::Note),
        Trouble::Slow => Some(Severity::Warning),
        Trouble::Failed => Some(Severity::Error),
    }
}

/// Addresses of a side's candidates, if each is an IP address of the device itself.
fn host_addresses(side: &Side) -> Option<Vec<IpAddr>> {
    let address = |candidate: &crate::sdp::Candidate| match (candidate.kind, &candidate.address) {
        (CandidateKind::Host, Address::Ip(ip)) => Some(*ip),
        _ => None,
    };
    let all: Option<Vec<IpAddr>> = side.all_candidates().map(address).collect();
    all.filter(|all| !all.is_empty())
}

fn host_only(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let Some(severity) = weight(call.trouble(look.now)) else { return vec![] };
    let [one, other] = &call.sides;
    let (Some(ours), Some(theirs)) = (host_addresses(one), host_addresses(other)) else { return vec![] };
    if ours.iter().chain(&theirs).any(|ip| network(*ip).is_none()) {
        return vec![];
    }
    // Another rule tells of families that do not meet.
    if !ours.iter().any(|ours| theirs.iter().any(|theirs| ours.is_ipv4() == theirs.is_ipv4())) {
        return vec![];
    }
    if ours.iter().any(|ours| theirs.iter().any(|theirs| network(*ours) == network(*theirs))) {
        return vec![];
    }
    let names = |list: &[IpAddr]| {
        let mut names: Vec<String> = list.iter().filter_map(|ip| network(*ip)).collect();
        names.sort();
        names.dedup();
        names.join(", ")
    };
    let seen = format!("{} has only {}, {} only {}", one.peer, names(&ours), other.peer, names(&theirs));
    let entries = call.sides.iter().flat_map(Side::candidate_entries);
    vec![Sighting::new(severity, seen).entries(entries).about(&call.sides)]
}

/// The private network that an address is of, by its usual size; `None` if everybody can reach the address. The registry
/// of special addresses (RFC 6890) says which are not reachable globally.
fn network(ip: IpAddr) -> Option<String> {
    match ip {
        IpAddr::V4(v4) => network_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| network_v6(v6), network_v4),
    }
}

fn network_v4(v4: Ipv4Addr) -> Option<String> {
    let [a, b, c, _] = v4.octets();
    let home = format!("{a}.{b}.{c}.x");
    let company = format!("{a}.{b}.x.x");
    match (a, b) {
        (127, _) => Some("127.x.x.x".into()),
        // Homes are numbered by the third byte, companies and clouds route within the second.
        (192, 168) => Some(home),
        (10, _) | (172, 16..=31) | (100, 64..=127) | (169, 254) | (198, 18..=19) => Some(company),
        _ if v4.is_documentation() => Some(home),
        _ => None,
    }
}

fn network_v6(v6: Ipv6Addr) -> Option<String> {
    let [a, b, c, ..] = v6.segments();
    match a {
        _ if v6.is_loopback() => Some("::1".into()),
        0xfe80..=0xfebf => Some("fe80:x…".into()),
        0xfc00..=0xfdff => Some(format!("{a:x}:{b:x}:{c:x}:x…")),
        0x2001 if b == 0xdb8 => Some(format!("{a:x}:{b:x}:{c:x}:x…")),
        _ => None,
    }
}

fn no_relay(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.whole) else { return vec![] };
    let of = |side: &Side| {
        let servers = look.case.member(&side.peer)?.servers.as_ref().filter(|servers| servers.turn)?;
        let sent = side.described.as_ref()?;
        let done = side.has_gathered() || look.now.since(sent.when.at) >= GATHERED_WITHIN;
        let count = side.all_candidates().count();
        // One that shows no candidate at all is another matter.
        if !done || count == 0 || side.has(CandidateKind::Relay) {
            return None;
        }
        let severity = match call.trouble(look.now) {
            Trouble::Fine => Severity::Note,
            Trouble::Failed => Severity::Error,
            Trouble::Early | Trouble::Unknown | Trouble::Slow => Severity::Warning,
        };
        let seen = format!("{} was given a TURN server; none of its candidates ({count}) is a relay's", side.peer);
        let entries = side.candidate_entries();
        Some(Sighting::new(severity, seen).at([servers.when]).entries(entries).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

fn mdns_only(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let Some(severity) = weight(call.trouble(look.now)) else { return vec![] };
    let of = |side: &Side| {
        let count = side.all_candidates().count();
        let hidden = side.all_candidates().all(|candidate| matches!(candidate.address, Address::Mdns(_)));
        let seen = format!("the candidates of {} ({count}) are all names under .local", side.peer);
        (count > 0 && hidden).then(|| Sighting::new(severity, seen).entries(side.candidate_entries()).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

fn no_family_in_common(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let Some(severity) = weight(call.trouble(look.now)) else { return vec![] };
    // Some(true) for IPv4 alone, Some(false) for IPv6 alone.
    let family = |side: &Side| {
        let mut families = side.all_candidates().map(|candidate| match &candidate.address {
            Address::Ip(ip) => Some(ip.is_ipv4()),
            Address::Mdns(_) | Address::Name(_) => None,
        });
        let first = families.next()??;
        families.all(|family| family == Some(first)).then_some(first)
    };
    let [one, other] = &call.sides;
    let (Some(ours), Some(theirs)) = (family(one), family(other)) else { return vec![] };
    if ours == theirs {
        return vec![];
    }
    let name = |v4: bool| if v4 { "IPv4" } else { "IPv6" };
    let seen = format!("{} has only {} addresses, {} only {}", one.peer, name(ours), other.peer, name(theirs));
    let entries = call.sides.iter().flat_map(Side::candidate_entries);
    vec![Sighting::new(severity, seen).entries(entries).about(&call.sides)]
}

fn unknown_generation(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.whole && !call.is_fine()) else { return vec![] };
    let of = |side: &Side| {
        let count = side.strangers.len();
        let seen =
            format!("{count} of {}'s candidates carry a user fragment that is in none of its descriptions", side.peer);
        let entries = side.strangers.iter().map(|(seq, _)| *seq);
        (count > 0).then(|| Sighting::new(Severity::Warning, seen).entries(entries).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

/// Whether a member is there, or was in the last call.
fn concerns(look: &Look, member: &Member) -> bool {
    member.left.is_none() || look.call.is_some_and(|call| call.index(&member.peer).is_some())
}

fn turn_expired(look: &Look) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for member in look.case.members.iter().filter(|member| concerns(look, member)) {
        let Some((servers, expires)) = member.servers.as_ref().and_then(|s| s.expires.map(|at| (s, at))) else {
            continue;
        };
        let side = look.call.and_then(|call| call.sides.iter().find(|side| side.peer == member.peer));
        let described = side.and_then(|side| side.described.as_ref()).map(|sent| sent.when);
        let sighting = if expires <= servers.when.at {
            let late = span(servers.when.at.since(expires));
            let seen = format!("{} was given TURN credentials that had expired {late} before", member.peer);
            Sighting::new(Severity::Error, seen).at([servers.when])
        } else if let Some(when) = described.filter(|when| when.at > expires) {
            let late = span(when.at.since(expires));
            let seen = format!("{} described itself {late} after its TURN credentials had expired", member.peer);
            Sighting::new(Severity::Warning, seen).at([servers.when, when])
        } else {
            continue;
        };
        sightings.push(sighting.about_peer(member.peer.as_str()));
    }
    sightings
}

fn turn_without_credentials(look: &Look) -> Vec<Sighting> {
    let of = |member: &Member| {
        let servers =
            member.servers.as_ref().filter(|servers| servers.without_credentials && concerns(look, member))?;
        let seen = format!("{} was given a TURN server without user name or password", member.peer);
        Some(Sighting::new(Severity::Error, seen).at([servers.when]).about_peer(member.peer.as_str()))
    };
    look.case.members.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_told_apart_and_public_addresses_are_none() {
        let of = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(of("192.168.1.7"), of("192.168.1.9"));
        assert_ne!(of("192.168.1.7"), of("192.168.178.7"));
        assert_eq!(of("10.0.1.7"), of("10.0.9.7"), "clouds route within");
        assert_ne!(of("10.0.1.7"), of("10.1.1.7"));
        assert_ne!(of("fd00:1:2::7"), of("fd00:1:3::7"));
        assert_eq!(of("::ffff:192.168.1.7"), of("192.168.1.7"));
        for public in ["8.8.8.8", "2606:4700::1", "172.32.0.1", "100.63.0.1"] {
            assert_eq!(of(public), None, "{public}");
        }
    }
}
