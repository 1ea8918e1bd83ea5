//! What always holds, each under its name. The same functions serve the assertions of debug
//! builds, the random tests and the scenarios.

use super::{Effect, Event, Room, Rules, Seat};
use protocol::{AgentMessage, ErrorCode, PeerId, Reason, Role, Said, Timestamp, What};

/// One call of [`super::step`], looked at from outside.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The room before.
    pub before: Option<&'a Room>,
    /// What happened.
    pub event: &'a Event,
    /// The room after.
    pub after: Option<&'a Room>,
    /// What followed.
    pub effects: &'a [Effect],
    /// When.
    pub now: Timestamp,
    /// What held.
    pub rules: &'a Rules<'a>,
}

/// An invariant: its name, and whether it holds for a step.
pub type Invariant = (&'static str, fn(&Step<'_>) -> bool);

/// All of them.
pub const ALL: &[Invariant] = &[
    ("a room has one or two members", one_or_two_members),
    ("no peer has two seats", no_peer_twice),
    ("exactly one member is the first", one_is_first),
    ("nobody is away since a time to come", away_is_past),
    ("rev grows with everything said", rev_grows),
    ("every join is answered exactly once", joins_are_answered_once),
    ("an answer of created or joined is a seat", admitted_are_inside),
    ("outsiders hear nothing of a room", outsiders_hear_only_refusals),
    ("nobody away is told anything", the_away_hear_nothing),
    ("a member loses its seat by a cause of its own", seats_are_kept),
    ("a member that stays is told who left", departures_are_told),
    ("what changes is announced", changes_are_announced),
    ("credentials are renewed when they are due, and only then", renewed_when_due),
    ("nobody is given another's credentials", credentials_are_ones_own),
];

/// The name of the first invariant that `step` breaks.
pub fn broken(step: &Step<'_>) -> Option<&'static str> {
    ALL.iter().find(|(_, holds)| !holds(step)).map(|(name, _)| *name)
}

fn members(room: Option<&Room>) -> Vec<&PeerId> {
    room.into_iter().flat_map(Room::seats).map(|(_, seat)| seat.peer()).collect()
}

fn is_inside(room: Option<&Room>, peer: &PeerId) -> bool {
    room.is_some_and(|room| room.seat(peer.as_str()).is_some())
}

fn is_away(room: Option<&Room>, peer: &PeerId) -> bool {
    room.and_then(|room| room.seat(peer.as_str())).is_some_and(Seat::is_away)
}

fn told<'a>(step: &Step<'a>) -> impl Iterator<Item = (&'a PeerId, &'a AgentMessage)> {
    step.effects.iter().filter_map(|effect| match effect {
        Effect::Tell { to, message } => Some((to, message)),
        _ => None,
    })
}

/// Two at most; and a room without members is none.
pub fn one_or_two_members(step: &Step<'_>) -> bool {
    step.after.is_none_or(|room| matches!(room.seats().count(), 1 | 2))
}

/// The two are not the same peer.
pub fn no_peer_twice(step: &Step<'_>) -> bool {
    let members = members(step.after);
    members.first() != members.get(1) || members.is_empty()
}

/// One is impolite, the other polite.
pub fn one_is_first(step: &Step<'_>) -> bool {
    step.after.is_none_or(|room| room.seats().filter(|(role, _)| *role == Role::Created).count() == 1)
}

/// Also after the clock was set back.
pub fn away_is_past(step: &Step<'_>) -> bool {
    let mut seats = step.after.into_iter().flat_map(Room::seats);
    seats.all(|(_, seat)| seat.away_since().is_none_or(|since| since <= step.now))
}

/// Strictly, and the room remembers the last.
pub fn rev_grows(step: &Step<'_>) -> bool {
    let revs = step.effects.iter().filter_map(|effect| match effect {
        Effect::Tell { message, .. } => Some(message.rev),
        Effect::Happened(event) => Some(event.rev),
        _ => None,
    });
    let mut last = step.before.map(Room::rev);
    for rev in revs {
        if last.is_some_and(|last| rev <= last) {
            return false;
        }
        last = Some(rev);
    }
    step.after.is_none_or(|room| Some(room.rev()) == last)
}

/// With `created`, `joined` or `full`, and nobody who did not ask gets such an answer. Who may not
/// create is answered with `forbidden` in an empty room, and the room stays as it is: none.
pub fn joins_are_answered_once(step: &Step<'_>) -> bool {
    let answers: Vec<_> = told(step)
        .filter(|(_, message)| matches!(message.said, Said::Created { .. } | Said::Joined { .. } | Said::Full { .. }))
        .map(|(to, _)| to)
        .collect();
    match step.event {
        Event::Join { peer, may_create: false, .. } if step.before.is_none() => {
            let mut said = told(step);
            let forbidden = said.next().is_some_and(|(to, message)| {
                to == peer && matches!(message.said, Said::Error { code: ErrorCode::Forbidden, .. })
            });
            forbidden && said.next().is_none() && answers.is_empty() && step.after.is_none()
        }
        Event::Join { peer, .. } => answers == [peer],
        _ => answers.is_empty(),
    }
}

/// Whoever is told that it is in is in, in that role, and `full` is told only to outsiders
/// of a room with two present members.
pub fn admitted_are_inside(step: &Step<'_>) -> bool {
    let has = |peer: &PeerId, role: Role| {
        step.after.is_some_and(|room| room.seats().any(|(r, seat)| r == role && seat.peer() == peer))
    };
    told(step).all(|(to, message)| match &message.said {
        Said::Created { .. } => has(to, Role::Created),
        Said::Joined { peer, .. } => has(to, Role::Joined) && has(&peer.id, Role::Created),
        Said::Full { .. } => {
            !is_inside(step.after, to)
                && step.after.is_some_and(|room| room.seats().filter(|(_, seat)| !seat.is_away()).count() == 2)
        }
        _ => true,
    })
}

/// Who has no seat afterwards is told only that it has none.
pub fn outsiders_hear_only_refusals(step: &Step<'_>) -> bool {
    told(step).all(|(to, message)| {
        is_inside(step.after, to)
            || match message.said {
                Said::Full { .. } | Said::Error { .. } => true,
                Said::Closed { .. } => is_inside(step.before, to),
                _ => false,
            }
    })
}

/// It has no connection; only its own message, which proves that it has one again, is answered.
pub fn the_away_hear_nothing(step: &Step<'_>) -> bool {
    let asked = match step.event {
        Event::Bad { peer, .. } => Some(peer),
        _ => None,
    };
    told(step).all(|(to, _)| !is_away(step.after, to) || asked == Some(to))
}

/// Present members go by their own leave or end, or by an operator's order; members that are
/// away also when their time runs out or a newcomer needs the seat.
pub fn seats_are_kept(step: &Step<'_>) -> bool {
    members(step.before).into_iter().filter(|peer| !is_inside(step.after, peer)).all(|gone| match step.event {
        Event::Leave { peer, lost: false } | Event::Ended { peer, lost: false } | Event::Remove { peer } => {
            peer == gone
        }
        Event::Close => true,
        Event::Tick => is_away(step.before, gone),
        Event::Join { peer, .. } => is_away(step.before, gone) && is_inside(step.after, peer),
        _ => false,
    })
}

/// Who goes is in the history, and the present one who stays hears it, with the same reason.
pub fn departures_are_told(step: &Step<'_>) -> bool {
    if *step.event == Event::Close {
        return true;
    }
    let in_history = |gone: &PeerId, why: Reason| {
        step.effects.iter().any(|effect| {
            matches!(effect, Effect::Happened(e) if matches!(&e.what, What::Left { peer, reason } if peer == gone && *reason == why))
        })
    };
    let heard = |stays: &PeerId, gone: &PeerId, why: Reason| {
        told(step).any(|(to, message)| {
            to == stays && matches!(&message.said, Said::Left { peer, reason } if peer == gone && *reason == why)
        })
    };
    let why = match step.event {
        Event::Remove { .. } => Reason::Removed,
        Event::Join { .. } | Event::Tick => Reason::Lost,
        _ => Reason::Left,
    };
    let stays = members(step.before).into_iter().find(|peer| is_inside(step.after, peer));
    let present = stays.filter(|peer| !is_away(step.before, peer) && !is_away(step.after, peer));
    members(step.before)
        .into_iter()
        .filter(|peer| !is_inside(step.after, peer))
        .all(|gone| in_history(gone, why) && present.is_none_or(|stays| heard(stays, gone, why)))
}

/// A state that operators would read differently is announced, and only such a one.
pub fn changes_are_announced(step: &Step<'_>) -> bool {
    let shown = |room: &Room| {
        let seats: Vec<_> = room
            .seats()
            .map(|(role, seat)| (role, seat.peer().clone(), seat.is_away(), seat.connection(), seat.info().cloned()))
            .collect();
        (seats, room.refused(), room.created_at())
    };
    let announced = step.effects.contains(&Effect::Changed);
    announced == (step.before.map(shown) != step.after.map(shown))
}

/// By a tick, to each present member whose time has come; and no tick leaves one waiting.
pub fn renewed_when_due(step: &Step<'_>) -> bool {
    let renewal = step.rules.ice.renewal();
    let due = |room: Option<&Room>| -> Vec<PeerId> {
        let seats = room.into_iter().flat_map(Room::seats).map(|(_, seat)| seat);
        let is_due = |seat: &&Seat| {
            let ends = seat.served().zip(renewal).map(|(served, renewal)| served.plus(renewal));
            ends.is_some_and(|ends| ends <= step.now)
        };
        seats.filter(is_due).map(|seat| seat.peer().clone()).collect()
    };
    let renewed: Vec<PeerId> = told(step)
        .filter(|(_, message)| matches!(message.said, Said::IceServers { .. }))
        .map(|(to, _)| to.clone())
        .collect();
    match step.event {
        Event::Tick => renewed == due(step.before) && due(step.after).is_empty(),
        _ => renewed.is_empty(),
    }
}

/// Whatever is given now is what the receiver is to have now.
pub fn credentials_are_ones_own(step: &Step<'_>) -> bool {
    told(step).all(|(to, message)| match &message.said {
        Said::Created { ice_servers, .. } | Said::Joined { ice_servers, .. } | Said::IceServers { ice_servers } => {
            *ice_servers == step.rules.ice.servers(to, step.now)
        }
        _ => true,
    })
}
