//! What offer and answer agree on: m-lines, codecs, directions, DTLS and ICE roles (RFC 3264, 8829, 8842, 8445).

use super::{Look, Rule, Sighting};
use crate::diagnosis::Severity;
use crate::diagnosis::call::{Call, Exchange, Sent, Side};
use crate::sdp::{CandidateKind, Codec, Media, MediaKind, Setup, codec_list, in_common};
use crate::text::escape;

pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "no-codec-in-common",
        sees: "an m-line of audio or video for which the two sides name no common codec",
        means: "this medium cannot flow: what one side encodes the other cannot decode (profile and packetization mode of H264 count, too)",
        try_this: "let the sender offer a codec of the other list as well (setCodecPreferences, the encoder's settings); browsers all decode VP8, and H264 42e01f with packetization mode 1",
        judge: no_codec_in_common,
    },
    Rule {
        name: "m-line-mismatch",
        sees: "the m-lines of the answer are not those of the offer, by number, kind or name",
        means: "an answer has the same m-lines in the same order as its offer (RFC 3264 §6); setRemoteDescription refuses this one",
        try_this: "make the answer from the offer it answers; refuse an unwanted m-line with port 0 instead of leaving it out",
        judge: m_line_mismatch,
    },
    Rule {
        name: "media-refused",
        sees: "the answer refuses an m-line of the offer with port 0",
        means: "the answerer does not want this medium or cannot do any of its codecs",
        try_this: "if it should flow, look which codecs the answerer can do and whether it has a transceiver for this kind",
        judge: media_refused,
    },
    Rule {
        name: "no-media-flows",
        sees: "directions that leave nothing to flow either way, and no data channel",
        means: "nobody sends what the other one would receive: the call connects and stays empty",
        try_this: "add a track on one side before it describes itself, or set the transceiver's direction to sendonly or sendrecv",
        judge: no_media_flows,
    },
    Rule {
        name: "dtls-setup-conflict",
        sees: "setup roles of offer and answer that do not go together",
        means: "exactly one side begins the DTLS handshake: the answer to actpass is active or passive (RFC 8842 §5.3); like this it never begins, or begins twice",
        try_this: "let the offer say actpass and the answer active, or passive for a device that cannot begin",
        judge: dtls_setup_conflict,
    },
    Rule {
        name: "fingerprint-missing",
        sees: "an m-line without DTLS, or with DTLS and without a certificate's fingerprint",
        means: "WebRTC is always secured by DTLS (RFC 8827 §6.5) and knows the other side by its fingerprint; browsers refuse a description without",
        try_this: "switch DTLS-SRTP on in the device (UDP/TLS/RTP/SAVPF and a=fingerprint:sha-256 …); RTP/AVP and SDES keys are not enough",
        judge: fingerprint_missing,
    },
    Rule {
        name: "no-rtcp-mux",
        sees: "an m-line of audio or video that does not share its port with RTCP",
        means: "browsers require a=rtcp-mux (RFC 8834 §4.5) and refuse the description or wait for an RTCP candidate that never comes",
        try_this: "add a=rtcp-mux to every m-line of audio and video, and send RTCP on the same port",
        judge: no_rtcp_mux,
    },
    Rule {
        name: "ice-lite-role",
        sees: "an ice-lite side that takes a role which it cannot have",
        means: "a lite side only answers connectivity checks on addresses that everybody reaches (RFC 8445 §2.5): it gathers host candidates alone, is controlled by a full side, and does not begin the DTLS handshake",
        try_this: "take a=ice-lite out of the description of a device behind NAT, or give the device a public address; let it answer setup:passive",
        judge: ice_lite_role,
    },
    Rule {
        name: "broken-description",
        sees: "lines of an offer or answer that are no SDP",
        means: "browsers refuse a description for one line that they cannot read; a lenient device may miss what that line says",
        try_this: "look at these lines in the detail of the message; take the description from the WebRTC library as it is (JSON.stringify(pc.localDescription)), with \\r\\n between lines",
        judge: broken_description,
    },
];

/// The last offer and answer, and who they are of.
struct Pair<'a> {
    exchange: &'a Exchange,
    offerer: &'a Side,
    answerer: &'a Side,
    fine: bool,
}

fn pair(call: &Call) -> Option<Pair<'_>> {
    let exchange = call.exchange.as_ref()?;
    let (offerer, answerer) = (&call.sides[exchange.offerer], &call.sides[1 - exchange.offerer]);
    Some(Pair { exchange, offerer, answerer, fine: call.is_fine() })
}

impl Pair<'_> {
    fn m_lines(&self) -> impl Iterator<Item = (usize, &Media, &Media)> {
        let (offer, answer) = (&self.exchange.offer.sdp.media, &self.exchange.answer.sdp.media);
        offer.iter().zip(answer).enumerate().map(|(index, (offered, answered))| (index, offered, answered))
    }

    /// A sighting about both descriptions; what connects all the same is only worth knowing.
    fn sighting(&self, severity: Severity, seen: String) -> Sighting {
        let severity = if self.fine { Severity::Note } else { severity };
        let moments = [self.exchange.offer.when, self.exchange.answer.when];
        Sighting::new(severity, seen).at(moments).about([self.offerer, self.answerer])
    }
}

fn mid(media: &Media, index: usize) -> String {
    format!("m-line {} ({})", index + 1, escape(&media.kind.to_string()))
}

fn list(codecs: &[Codec]) -> String {
    escape(&codec_list(codecs)).into_owned()
}

fn no_codec_in_common(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let mut sightings = Vec::new();
    if let Some(pair) = pair(call) {
        for (index, offered, answered) in pair.m_lines() {
            let apart = nothing_in_common(call, &pair, offered, answered);
            if let Some(theirs) = apart {
                let (offerer, answerer) = (&pair.offerer.peer, &pair.answerer.peer);
                let seen = format!(
                    "{}: {offerer} offers {}; {answerer} has {theirs}",
                    mid(offered, index),
                    list(&offered.codecs)
                );
                // A call may well be connected with the other medium.
                sightings.push(Sighting { severity: Severity::Error, ..pair.sighting(Severity::Error, seen) });
            }
        }
        return sightings;
    }
    // No answer yet, or none ever: what the other one told of itself when it joined.
    for index in 0..2 {
        let (side, other) = (&call.sides[index], &call.sides[1 - index]);
        let Some(offer) = &side.pending else { continue };
        let Some(told) = look.case.member(&other.peer).map(|m| &m.codecs).filter(|codecs| !codecs.is_empty()) else {
            continue;
        };
        for (index, media) in offer.sdp.media.iter().enumerate().filter(|(_, media)| media.kind == MediaKind::Video) {
            let knows = |codec: &Codec| told.iter().any(|name| name.eq_ignore_ascii_case(&codec.name));
            let mut carrying = media.codecs.iter().filter(|codec| codec.carries_media()).peekable();
            if carrying.peek().is_some() && !carrying.any(knows) {
                let theirs = escape(&told.join(", ")).into_owned();
                let (line, ours) = (mid(media, index), list(&media.codecs));
                let seen = format!("{line}: {} offers {ours}; {} told that it has {theirs}", side.peer, other.peer);
                sightings.push(Sighting::new(Severity::Error, seen).at([offer.when]).about([side, other]));
            }
        }
    }
    sightings
}

/// The answerer's list, if it is known and none of it is offered.
fn nothing_in_common(call: &Call, pair: &Pair, offered: &Media, answered: &Media) -> Option<String> {
    // What has no name cannot be compared; that is said of the description itself.
    let named = |codec: &Codec| !codec.name.is_empty();
    let carries = |media: &Media| media.codecs.iter().any(Codec::carries_media) && media.codecs.iter().all(named);
    if !offered.is_av() || offered.is_refused() || !carries(offered) || offered.kind != answered.kind {
        return None;
    }
    if !answered.is_refused() {
        return (carries(answered) && in_common(&offered.codecs, &answered.codecs).is_empty())
            .then(|| list(&answered.codecs));
    }
    // A refused m-line may still name what the answerer can do; many name nothing, or repeat the offer.
    if carries(answered) && in_common(&offered.codecs, &answered.codecs).is_empty() {
        return Some(list(&answered.codecs));
    }
    // Else its own last description or other m-lines of the same kind may tell.
    let described = call.sides[1 - pair.exchange.offerer].described.as_ref()?;
    let of_kind = |media: &&Media| media.kind == offered.kind && carries(media) && !media.is_refused();
    let own: Vec<&Media> = described.sdp.media.iter().filter(of_kind).collect();
    let apart = own.iter().all(|media| in_common(&offered.codecs, &media.codecs).is_empty());
    own.first().filter(|_| apart).map(|media| list(&media.codecs))
}

fn m_line_mismatch(look: &Look) -> Vec<Sighting> {
    let Some(pair) = look.call.and_then(pair) else { return vec![] };
    let (offer, answer) = (&pair.exchange.offer.sdp.media, &pair.exchange.answer.sdp.media);
    // What has no m-line at all is broken, which another rule tells.
    if answer.is_empty() || offer.is_empty() {
        return vec![];
    }
    let kinds =
        |media: &[Media]| escape(&media.iter().map(|m| m.kind.to_string()).collect::<Vec<_>>().join("+")).into_owned();
    let (offerer, answerer) = (&pair.offerer.peer, &pair.answerer.peer);
    let same_kinds = offer.len() == answer.len() && offer.iter().zip(answer).all(|(o, a)| o.kind == a.kind);
    if !same_kinds {
        let seen = format!(
            "{offerer} offers {} m-lines ({}), {answerer} answers with {} ({})",
            offer.len(),
            kinds(offer),
            answer.len(),
            kinds(answer)
        );
        return vec![pair.sighting(Severity::Error, seen)];
    }
    let differs = |(_, offered, answered): &(usize, &Media, &Media)| matches!((&offered.mid, &answered.mid), (Some(ours), Some(theirs)) if ours != theirs);
    let Some((index, offered, answered)) = pair.m_lines().find(differs) else { return vec![] };
    let name = |media: &Media| escape(media.mid.as_deref().unwrap_or_default()).into_owned();
    let seen = format!(
        "{} is mid {} in the offer and mid {} in the answer",
        mid(offered, index),
        name(offered),
        name(answered)
    );
    vec![pair.sighting(Severity::Error, seen)]
}

fn media_refused(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let Some(pair) = pair(call) else { return vec![] };
    let refused: Vec<String> = pair
        .m_lines()
        .filter(|(_, offered, answered)| {
            !offered.is_refused() && answered.is_refused() && offered.kind == answered.kind
        })
        .filter(|(_, offered, answered)| nothing_in_common(call, &pair, offered, answered).is_none())
        .map(|(index, offered, _)| mid(offered, index))
        .collect();
    if refused.is_empty() {
        return vec![];
    }
    let seen = format!("{} refuses {} of {}'s offer", pair.answerer.peer, refused.join(", "), pair.offerer.peer);
    vec![pair.sighting(Severity::Warning, seen)]
}

fn no_media_flows(look: &Look) -> Vec<Sighting> {
    let Some(pair) = look.call.and_then(pair) else { return vec![] };
    let (mut some, mut flows) = (false, false);
    for (_, offered, answered) in pair.m_lines() {
        if offered.is_refused() || answered.is_refused() {
            continue;
        }
        if !offered.is_av() {
            return vec![];
        }
        some = true;
        let (ours, theirs) = (offered.direction, answered.direction);
        flows |= ours.sends() && theirs.receives() || ours.receives() && theirs.sends();
    }
    if !some || flows {
        return vec![];
    }
    let directions: Vec<String> = pair
        .m_lines()
        .filter(|(_, offered, answered)| !offered.is_refused() && !answered.is_refused())
        .map(|(_, offered, answered)| format!("{} {}/{}", offered.kind, offered.direction, answered.direction))
        .collect();
    let seen = format!(
        "{} offers and {} answers {}: nobody sends what the other one receives",
        pair.offerer.peer,
        pair.answerer.peer,
        directions.join(", ")
    );
    // It matters even if the call is connected: it is empty.
    vec![Sighting { severity: Severity::Warning, ..pair.sighting(Severity::Warning, seen) }]
}

fn dtls_setup_conflict(look: &Look) -> Vec<Sighting> {
    let Some(pair) = look.call.and_then(pair) else { return vec![] };
    let conflict = |(_, offered, answered): &(usize, &Media, &Media)| {
        let used = !offered.is_refused() && !answered.is_refused() && offered.is_dtls() && answered.is_dtls();
        // Left out of an offer it is active, out of an answer passive (RFC 4145 §4.1).
        let (ours, theirs) = (offered.setup.unwrap_or(Setup::Active), answered.setup.unwrap_or(Setup::Passive));
        used && match (ours, theirs) {
            (Setup::ActPass, Setup::Active | Setup::Passive) => false,
            (Setup::Active, Setup::Passive) | (Setup::Passive, Setup::Active) => false,
            (Setup::HoldConn, _) | (_, Setup::HoldConn) => false,
            (_, Setup::ActPass) | (Setup::Active, Setup::Active) | (Setup::Passive, Setup::Passive) => true,
        }
    };
    let Some((index, offered, answered)) = pair.m_lines().find(conflict) else { return vec![] };
    let role = |setup: Option<Setup>| setup.map_or("no setup".into(), |setup| format!("setup:{setup}"));
    let seen = format!(
        "{}: {} offers {}, {} answers {}",
        mid(offered, index),
        pair.offerer.peer,
        role(offered.setup),
        pair.answerer.peer,
        role(answered.setup)
    );
    vec![pair.sighting(Severity::Error, seen)]
}

/// Last descriptions of both, with who they are of.
fn described<'a>(look: &Look<'a>) -> impl Iterator<Item = (&'a Side, &'a Sent)> {
    let sides = look.call.into_iter().flat_map(|call| &call.sides);
    sides.filter_map(|side| side.described.as_ref().map(|sent| (side, sent)))
}

fn severity(look: &Look, severity: Severity) -> Severity {
    if look.call.is_some_and(Call::is_fine) { Severity::Note } else { severity }
}

fn fingerprint_missing(look: &Look) -> Vec<Sighting> {
    let of = |(side, sent): (&Side, &Sent)| {
        let mut media = sent.sdp.media.iter().enumerate().filter(|(_, media)| !media.is_refused());
        let (index, media) = media.find(|(_, media)| !media.is_dtls() || media.fingerprints.is_empty())?;
        let what = if media.is_dtls() {
            "has no fingerprint".to_owned()
        } else {
            format!("is {}, without DTLS", escape(&media.protocol))
        };
        let seen = format!("{} in {}'s description {what}", mid(media, index), side.peer);
        Some(Sighting::new(severity(look, Severity::Error), seen).at([sent.when]).about([side]))
    };
    described(look).filter_map(of).collect()
}

fn no_rtcp_mux(look: &Look) -> Vec<Sighting> {
    let of = |(side, sent): (&Side, &Sent)| {
        let mut media = sent.sdp.media.iter().enumerate().filter(|(_, media)| media.is_av() && !media.is_refused());
        let (index, media) = media.find(|(_, media)| !media.rtcp_mux)?;
        let seen = format!("{} in {}'s description has no a=rtcp-mux", mid(media, index), side.peer);
        Some(Sighting::new(severity(look, Severity::Error), seen).at([sent.when]).about([side]))
    };
    described(look).filter_map(of).collect()
}

fn ice_lite_role(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let lite = |side: &Side| side.described.as_ref().is_some_and(|sent| sent.sdp.ice_lite);
    if call.sides.iter().all(lite) {
        let seen = format!("both {} and {} are ice-lite", call.sides[0].peer, call.sides[1].peer);
        let moments = call.sides.iter().filter_map(|side| side.described.as_ref()).map(|sent| sent.when);
        let means = "a lite side only answers connectivity checks; with two of them nobody sends any, and no pair is ever found";
        let sighting = Sighting::new(severity(look, Severity::Error), seen).at(moments).about(&call.sides).means(means);
        return vec![sighting.try_this("make one side a full ICE agent; browsers always are")];
    }
    let of = |side: &Side| {
        let sent = side.described.as_ref().filter(|sent| sent.sdp.ice_lite)?;
        let foreign = side.all_candidates().find(|candidate| candidate.kind != CandidateKind::Host);
        let active = sent.sdp.media.iter().any(|media| !media.is_refused() && media.setup == Some(Setup::Active));
        let what = match foreign {
            Some(candidate) => format!("has a {} candidate", candidate.kind),
            None if active => "wants to begin the DTLS handshake (setup:active)".to_owned(),
            None => return None,
        };
        let seen = format!("{} is ice-lite and {what}", side.peer);
        let entries = foreign.map(|_| side.candidate_entries()).unwrap_or_default();
        Some(Sighting::new(severity(look, Severity::Warning), seen).at([sent.when]).entries(entries).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

fn broken_description(look: &Look) -> Vec<Sighting> {
    let of = |(side, sent): (&Side, &Sent)| {
        let problems = &sent.sdp.problems;
        let first: Vec<String> =
            problems.iter().take(3).map(|problem| escape(&problem.to_string()).into_owned()).collect();
        let more = problems.len().saturating_sub(first.len());
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let seen = format!("{}'s description is broken: {}{more}", side.peer, first.join("; "));
        let worst = if sent.sdp.media.is_empty() { Severity::Error } else { Severity::Warning };
        (!problems.is_empty()).then(|| Sighting::new(severity(look, worst), seen).at([sent.when]).about([side]))
    };
    described(look).filter_map(of).collect()
}
