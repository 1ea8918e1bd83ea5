//! Who asked, who offered, who answered: the steps of a negotiation and their order (RFC 8829, perfect negotiation).

use super::{Look, Rule, Sighting, role, span};
use crate::diagnosis::Severity;
use protocol::Role;
use std::time::Duration;

/// How long two may be together before one is ready; somebody may have to allow the camera first.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(15);
/// How long after `ready` the offer may take.
pub(super) const OFFER_WITHIN: Duration = Duration::from_secs(5);
/// How long after an offer the answer may take.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The time in which too many offers are a storm.
pub(super) const STORM: Duration = Duration::from_secs(10);
/// How many that is.
const STORM_OFFERS: usize = 8;

pub(super) static RULES: &[Rule] = &[
    Rule {
        name: "never-ready",
        sees: "two are in the room for 15 s and neither says ready or offers",
        means: "nobody begins the call: whoever receives ready makes the offer, and no ready was sent",
        try_this: "look whether a page waits for leave to use camera and microphone, and whether the device that joined sends {\"type\":\"ready\"} to the other member once it has its media",
        judge: never_ready,
    },
    Rule {
        name: "ready-without-offer",
        sees: "a peer said ready and for 5 s nobody offers",
        means: "whoever receives ready makes the offer; the other one did not, so that both wait for each other",
        try_this: "look for an error where the offer is made (its media may be missing), and whether that peer handles ready; a device that would rather answer sends ready itself",
        judge: ready_without_offer,
    },
    Rule {
        name: "offer-without-answer",
        sees: "an offer is not answered for 5 s",
        means: "the receiver did not get as far as an answer: it could not take the offer, waits for its own media, or handles no offers",
        try_this: "look at its log for an error of setRemoteDescription or createAnswer; compare the offer's codecs and m-lines with what that device can do",
        judge: offer_without_answer,
    },
    Rule {
        name: "answer-without-offer",
        sees: "an answer to a peer that has no offer open",
        means: "the answer fits nothing: it came a second time, or the offer was withdrawn, answered before, or never sent; setRemoteDescription refuses it",
        try_this: "look whether two programs work under this peer's name, and whether it keeps answering an old offer after it came back",
        judge: answer_without_offer,
    },
    Rule {
        name: "glare",
        sees: "both peers offer before either has answered",
        means: "the offers cross; by perfect negotiation the peer that joined is polite: it takes its own offer back and answers, the one that created ignores the other's offer",
        try_this: "nothing, if an answer followed; else make the peer that joined roll back its offer (setLocalDescription does it by itself) and answer",
        judge: glare,
    },
    Rule {
        name: "candidates-before-description",
        sees: "candidates of a peer come before its offer or answer",
        means: "they belong to a description that the receiver does not have yet; one that does not keep them loses them, and addIceCandidate refuses them",
        try_this: "send the description first, or keep candidates on the receiver until the description is set",
        judge: candidates_before_description,
    },
    Rule {
        name: "renegotiation-storm",
        sees: "8 offers or more within 10 s",
        means: "each answer sets off the next offer, or an offer is repeated without end; media stutters, and batteries and brokers suffer",
        try_this: "look for code that changes tracks or transceivers within negotiationneeded or track, and for a retry without a pause",
        judge: renegotiation_storm,
    },
];

fn never_ready(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| call.whole && !call.spoken && !call.is_fine()) else { return vec![] };
    let waited = look.now.since(call.began.at);
    if waited < READY_WITHIN {
        return vec![];
    }
    let [one, other] = &call.sides;
    let seen =
        format!("{} and {} are together for {}; neither has said ready or offered", one.peer, other.peer, span(waited));
    vec![Sighting::new(Severity::Warning, seen).at([call.began]).about(&call.sides)]
}

fn ready_without_offer(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| !call.is_fine()) else { return vec![] };
    let waits = |index: usize| {
        let (side, other) = (&call.sides[index], &call.sides[1 - index]);
        let ready = side.ready?;
        let waited = look.now.since(ready.at);
        if waited < OFFER_WITHIN || other.pending.is_some() || side.pending.is_some() {
            return None;
        }
        let seen = format!("{} said ready {} ago; {} has not offered", side.peer, span(waited), other.peer);
        let sighting = Sighting::new(Severity::Error, seen).at([ready]).about([other, side]);
        let away = look.case.member(&other.peer).is_some_and(|member| member.away.is_some());
        Some(if away { is_away(sighting, other.peer.as_str()) } else { sighting })
    };
    (0..2).filter_map(waits).collect()
}

fn is_away(sighting: Sighting, peer: &str) -> Sighting {
    let means =
        format!("{peer} has lost its connection to the broker; signals are kept for it until its grace time is over");
    let sighting =
        sighting.means(means).try_this(format!("look at the network of {peer}; nothing need be done if it comes back"));
    Sighting { severity: Severity::Warning, ..sighting }
}

fn offer_without_answer(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    // With glare, only the offer of the impolite one is to be answered.
    let yields = |index: usize| call.glare.is_some() && call.sides[index].role == Some(Role::Joined);
    let waits = |index: usize| {
        let (side, other) = (&call.sides[index], &call.sides[1 - index]);
        let offer = side.pending.as_ref()?;
        let waited = look.now.since(offer.when.at);
        if waited < ANSWER_WITHIN || yields(index) {
            return None;
        }
        let seen = format!("{} offered {} ago; {} has not answered", side.peer, span(waited), other.peer);
        let sighting = Sighting::new(Severity::Error, seen).at([offer.when]).about([other, side]);
        let away = look.case.member(&other.peer).is_some_and(|member| member.away.is_some());
        Some(if away { is_away(sighting, other.peer.as_str()) } else { sighting })
    };
    (0..2).filter_map(waits).collect()
}

fn answer_without_offer(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let severity = if call.is_fine() { Severity::Note } else { Severity::Error };
    let of = |index: usize| {
        let (side, other) = (&call.sides[index], &call.sides[1 - index]);
        let answers: Vec<_> =
            call.stray_answers.iter().filter(|(from, _)| *from == index).map(|(_, when)| *when).collect();
        let seen = format!("{} answered {}, which had no offer open", side.peer, other.peer);
        (!answers.is_empty()).then(|| Sighting::new(severity, seen).at(answers).about([side]))
    };
    (0..2).filter_map(of).collect()
}

fn glare(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let Some(glare) = &call.glare else { return vec![] };
    let [first, second] = glare.offers;
    let polite = call.sides.iter().find(|side| side.role == Some(Role::Joined));
    let who = match polite {
        Some(polite) => format!("{} {}, so it yields and answers", polite.peer, role(polite)),
        None => "the one that joined yields and answers; who that is was not seen".into(),
    };
    let [one, other] = &call.sides;
    let mut seen = format!(
        "{} and {} offered within {} of each other; {who}",
        one.peer,
        other.peer,
        span(second.at.since(first.at))
    );
    let both = (0..2).all(|index| glare.answers.iter().any(|(from, _)| *from == index));
    let answered: Vec<_> = glare.answers.iter().map(|(from, _)| call.sides[*from].peer.as_str()).collect();
    let wrong = polite.is_some_and(|polite| answered.first().is_some_and(|who| *who != polite.peer.as_str()));
    let sighting = |severity, seen| {
        Sighting::new(severity, seen).at([first, second]).at(glare.answers.iter().map(|a| a.1)).about(&call.sides)
    };
    if both && second.at.plus(ANSWER_WITHIN) > glare.answers.last().map_or(second.at, |last| last.1.at) {
        seen.push_str("; both answered");
        let means = "both took their offers back and answered: each has set an answer to an offer that is gone, and neither is connected";
        return vec![sighting(if call.is_fine() { Severity::Note } else { Severity::Error }, seen).means(means)];
    }
    if wrong {
        seen.push_str(&format!("; but {} answered", answered.join(", ")));
        return vec![sighting(if call.is_fine() { Severity::Note } else { Severity::Warning }, seen)];
    }
    if answered.is_empty() {
        let late = look.now.since(second.at) >= ANSWER_WITHIN;
        seen.push_str("; nobody has answered yet");
        return vec![sighting(if late { Severity::Error } else { Severity::Note }, seen)];
    }
    seen.push_str(&format!("; {} answered", answered[0]));
    vec![sighting(Severity::Note, seen)]
}

fn candidates_before_description(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call.filter(|call| !call.is_fine()) else { return vec![] };
    let of = |side: &super::Side| {
        let count = side.early.len();
        let described = side.described.as_ref();
        let then = if described.is_some() { "it came later" } else { "it has not come" };
        let seen = format!("{count} of {}'s candidates came before its description; {then}", side.peer);
        let severity = if described.is_some() { Severity::Note } else { Severity::Warning };
        (count > 0).then(|| Sighting::new(severity, seen).entries(side.early.iter().copied()).about([side]))
    };
    call.sides.iter().filter_map(of).collect()
}

fn renegotiation_storm(look: &Look) -> Vec<Sighting> {
    let Some(call) = look.call else { return vec![] };
    let lately: Vec<_> = call.offers.iter().copied().filter(|offer| look.now.since(offer.at) < STORM).collect();
    if lately.len() < STORM_OFFERS {
        return vec![];
    }
    let [one, other] = &call.sides;
    let seen =
        format!("{} offers or more between {} and {} within {}", lately.len(), one.peer, other.peer, span(STORM));
    vec![Sighting::new(Severity::Warning, seen).at(lately).about(&call.sides)]
}
