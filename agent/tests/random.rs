//! Random histories: whatever peers, operators and the clock do, the invariants hold, and the
//! rooms are what a model of a few lines says they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use agent::ice::{Ice, IceUrl, Secret, Turn};
use agent::room::invariant::{Step, broken};
use agent::rooms::Verdict;
use agent::{Config, Effect, Event, Input, Output, Room, Rooms, Rules};
use proptest::prelude::*;
use protocol::{AgentMessage, Connection, ErrorCode, Info, MessageError, PeerId, RoomId, RoomState, Said, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(10);
/// Credentials are renewed after three quarters of it: within the pauses that there are.
const TTL: Duration = Duration::from_secs(16);
const RENEWAL: Duration = Duration::from_secs(12);
const START: u64 = 1_790_000_000_000;
const PEERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const ROOMS: [&str; 2] = ["lobby", "현관"];

fn peer() -> impl Strategy<Value = PeerId> {
    prop::sample::select(&PEERS[..]).prop_map(|name| PeerId::new(name).unwrap())
}

fn info() -> impl Strategy<Value = Option<Info>> {
    prop::option::of(0..3_u8)
        .prop_map(|n| n.map(|n| Info::new(serde_json::Map::from_iter([("n".to_owned(), n.into())])).unwrap()))
}

/// Time that passes before an event: mostly little, at times more than the grace time, rarely
/// the clock is set back.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..100_i64, 3 => 0..20_000_i64, 1 => -100_000..0_i64]
}

fn later(now: Timestamp, pause: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add_signed(pause))
}

/// With a relay whose credentials end, or without.
fn ice() -> impl Strategy<Value = Ice> {
    let relay = || {
        let urls = vec![IceUrl::turn("turn:turn.example.org").unwrap()];
        Turn::shared(urls, Secret::from_line("s3cret").unwrap(), TTL).unwrap()
    };
    any::<bool>().prop_map(move |relays| Ice::new(Vec::new(), relays.then(relay).into_iter().collect()))
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (peer(), info(), prop::bool::weighted(0.8))
            .prop_map(|(peer, info, may_create)| Event::Join { peer, info, may_create }),
        2 => (peer(), any::<bool>()).prop_map(|(peer, lost)| Event::Leave { peer, lost }),
        4 => (peer(), any::<bool>()).prop_map(|(peer, lost)| Event::Ended { peer, lost }),
        1 => peer().prop_map(|peer| Event::State { peer, connection: Connection::Failed, detail: None }),
        1 => peer().prop_map(|peer| Event::Remove { peer }),
        1 => Just(Event::Close),
        1 => peer().prop_map(|peer| Event::Refused { peer, code: ErrorCode::Forbidden, why: "no".into() }),
        1 => peer().prop_map(|peer| Event::Bad { peer, error: MessageError::Version(2) }),
        4 => Just(Event::Tick),
    ]
}

/// What may happen to all rooms together.
#[derive(Debug, Clone)]
enum Op {
    In { room: &'static str, event: Event },
    Ended { peer: PeerId, lost: bool },
    Tick,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (prop::sample::select(&ROOMS[..]), event()).prop_map(|(room, event)| Op::In { room, event }),
        2 => (peer(), any::<bool>()).prop_map(|(peer, lost)| Op::Ended { peer, lost }),
        2 => Just(Op::Tick),
    ]
}

/// The rules in their shortest form: who has a seat, in the order of the seats, and since when
/// it is away.
#[derive(Debug, Default)]
struct Model(BTreeMap<&'static str, Vec<(PeerId, Option<Timestamp>)>>);

impl Model {
    fn apply(&mut self, op: &Op, now: Timestamp) {
        let each: Vec<&'static str> = match op {
            Op::In { room, .. } => vec![room],
            _ => ROOMS.to_vec(),
        };
        for room in each {
            let seats = self.0.entry(room).or_default();
            match op {
                Op::In { event: Event::Join { peer, may_create, .. }, .. } => {
                    if seats.is_empty() && !may_create {
                        continue;
                    }
                    if let Some(seat) = seats.iter_mut().find(|(p, _)| p == peer) {
                        seat.1 = None;
                        continue;
                    }
                    let ghost = seats.iter().filter_map(|(_, away)| *away).min();
                    if seats.len() == 2 && ghost.is_some() {
                        let at = seats.iter().position(|(_, away)| *away == ghost).unwrap();
                        seats.remove(at);
                    }
                    if seats.len() < 2 {
                        seats.push((peer.clone(), None));
                    }
                }
                Op::In { event: Event::Leave { peer, lost } | Event::Ended { peer, lost }, .. }
                | Op::Ended { peer, lost } => {
                    if *lost {
                        seats.iter_mut().filter(|(p, away)| p == peer && away.is_none()).for_each(|s| s.1 = Some(now));
                    } else {
                        seats.retain(|(p, _)| p != peer);
                    }
                }
                Op::In { event: Event::Remove { peer }, .. } => seats.retain(|(p, _)| p != peer),
                Op::In { event: Event::Close, .. } => seats.clear(),
                Op::In { event: Event::Tick, .. } | Op::Tick => {
                    seats.retain(|(_, away)| away.is_none_or(|since| since.plus(GRACE) > now));
                }
                Op::In { .. } => {}
            }
        }
        self.0.retain(|_, seats| !seats.is_empty());
    }

    fn is_like(&self, states: &[RoomState]) -> bool {
        let model: BTreeMap<&str, Vec<(&str, bool)>> = self
            .0
            .iter()
            .map(|(room, seats)| (*room, seats.iter().map(|(peer, away)| (peer.as_str(), away.is_some())).collect()))
            .collect();
        let real: BTreeMap<&str, Vec<(&str, bool)>> = states
            .iter()
            .map(|state| (state.room.as_str(), state.peers.iter().map(|p| (p.id.as_str(), p.away)).collect()))
            .collect();
        model == real
    }
}

fn payload(event: &Event) -> Option<String> {
    Some(match event {
        Event::Join { info, .. } => serde_json::json!({"type": "join", "info": info}).to_string(),
        Event::Leave { lost, .. } => format!(r#"{{"type":"leave","reason":"{}"}}"#, if *lost { "lost" } else { "" }),
        Event::State { .. } => r#"{"type":"state","connection":"failed"}"#.into(),
        Event::Bad { .. } => r#"{"type":"join","v":2}"#.into(),
        Event::Remove { peer } => format!(r#"{{"type":"remove","peer":"{peer}"}}"#),
        Event::Close => r#"{"type":"close"}"#.into(),
        _ => return None,
    })
}

fn apply(rooms: &mut Rooms, op: &Op, now: Timestamp) -> Vec<Output> {
    let mut out = Vec::new();
    let input = match op {
        Op::Ended { peer, lost } => Input::Ended { peer, lost: *lost },
        Op::In { event: Event::Ended { .. } | Event::Tick, .. } | Op::Tick => Input::Tick,
        Op::In { room, event: Event::Refused { peer, code, why } } => Input::Refused { room, peer, code: *code, why },
        Op::In { room, event } => {
            let payload = payload(event).unwrap();
            let may_create = !matches!(event, Event::Join { may_create: false, .. });
            match event {
                Event::Join { peer, .. }
                | Event::Leave { peer, .. }
                | Event::State { peer, .. }
                | Event::Bad { peer, .. } => {
                    let input = Input::Message { room, from: peer, payload: payload.as_bytes(), may_create };
                    rooms.handle(now, input, &mut out);
                }
                _ => rooms.handle(now, Input::Order { room, payload: payload.as_bytes() }, &mut out),
            }
            return out;
        }
    };
    rooms.handle(now, input, &mut out);
    out
}

/// What a peer must think that it is in, from nothing but what it was told and did itself.
#[derive(Debug, Default)]
struct Ledger {
    inside: BTreeSet<(RoomId, PeerId)>,
    revs: BTreeMap<RoomId, u64>,
}

impl Ledger {
    fn hear(&mut self, out: &[Output]) {
        for output in out {
            let (room, rev) = match output {
                Output::Tell { room, to, message: AgentMessage { said, rev } } => {
                    let key = (room.clone(), to.clone());
                    match said {
                        Said::Created { .. } | Said::Joined { .. } => {
                            self.inside.insert(key);
                        }
                        Said::Full { .. } | Said::Closed { .. } => {
                            self.inside.remove(&key);
                        }
                        Said::Arrived { .. } | Said::Left { .. } => assert!(self.inside.contains(&key), "{output:?}"),
                        Said::IceServers { .. } => assert!(self.inside.contains(&key), "{output:?}"),
                        Said::Error { .. } => {}
                    }
                    (room, *rev)
                }
                Output::Happened { room, event } => (room, event.rev),
                Output::Forget { room, peer } => {
                    self.inside.remove(&(room.clone(), peer.clone()));
                    continue;
                }
                Output::Changed { .. } | Output::Resume { .. } => continue,
            };
            let last = self.revs.insert(room.clone(), rev);
            assert!(last.is_none_or(|last| last < rev), "rev {rev} after {last:?} in {room}: {output:?}");
        }
        for room in ROOMS {
            let members = self.inside.iter().filter(|(r, _)| *r == *room).count();
            assert!(members <= 2, "{members} peers think that they are in {room}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_room_keeps_every_invariant(ice in ice(), events in prop::collection::vec((pause(), event()), 1..60)) {
        let name = RoomId::new("lobby").unwrap();
        let (mut room, mut now, mut floor) = (None::<Room>, Timestamp::from_millis(START), 0);
        for (pause, event) in events {
            now = later(now, pause);
            let rules = Rules { room: &name, grace: GRACE, lease: None, rev_floor: floor, ice: &ice };
            let (before, mut effects) = (room.clone(), Vec::new());
            agent::room::step(&mut room, event.clone(), now, &rules, &mut effects);
            let step = Step { before: before.as_ref(), event: &event, after: room.as_ref(), effects: &effects, now, rules: &rules };
            prop_assert_eq!(broken(&step), None, "{:?}", step);
            let said = effects.iter().filter_map(|effect| match effect {
                Effect::Tell { message, .. } => Some(message.rev),
                Effect::Happened(event) => Some(event.rev),
                _ => None,
            });
            for rev in said {
                prop_assert!(rev >= floor, "rev {} of a room that begins at {}", rev, floor);
                floor = rev + 1;
            }
        }
    }

    #[test]
    fn all_rooms_are_as_the_model_says(ice in ice(), ops in prop::collection::vec((0..15_000_i64, op()), 1..80)) {
        let renewal = ice.renewal();
        let mut rooms = Rooms::new(Config { grace: GRACE, ice });
        let (mut model, mut ledger, mut now) = (Model::default(), Ledger::default(), Timestamp::from_millis(START));
        for (pause, op) in ops {
            now = later(now, pause);
            // A tick always comes before what follows it: the caller keeps to `next_deadline`.
            ledger.hear(&apply(&mut rooms, &Op::Tick, now));
            model.apply(&Op::Tick, now);
            let op = match op {
                Op::In { event: Event::Ended { peer, lost }, .. } => Op::Ended { peer, lost },
                op => op,
            };
            ledger.hear(&apply(&mut rooms, &op, now));
            model.apply(&op, now);

            let states: Vec<RoomState> = rooms.states().collect();
            prop_assert!(model.is_like(&states), "after {:?}: {:?} is not {:?}", op, states, model);
            prop_assert_eq!(rooms.len(), states.len());
            let mut peers = states.iter().flat_map(|state| &state.peers);
            prop_assert_eq!(rooms.next_deadline().is_some(), peers.any(|peer| peer.away || renewal.is_some()));
            let latest = now.plus(renewal.map_or(GRACE, |renewal| renewal.max(GRACE)));
            prop_assert!(rooms.next_deadline().is_none_or(|deadline| now < deadline && deadline <= latest));
            for state in &states {
                let inside = |name: &str| state.peers.iter().find(|peer| peer.id == *name);
                for (from, to) in PEERS.iter().flat_map(|from| PEERS.map(|to| (*from, to))) {
                    let verdict = rooms.may_signal(state.room.as_str(), from, to);
                    let fellows = from != to && inside(from).is_some() && inside(to).is_some();
                    prop_assert_eq!(!matches!(verdict, Verdict::NotAMember(_)), fellows);
                    prop_assert_eq!(verdict == Verdict::ToAway, fellows && inside(to).is_some_and(|to| to.away));
                }
            }
        }
        for peer in PEERS {
            let peer = PeerId::new(peer).unwrap();
            ledger.hear(&apply(&mut rooms, &Op::Ended { peer, lost: false }, now));
        }
        prop_assert!(rooms.is_empty() && rooms.next_deadline().is_none() && ledger.inside.is_empty());
    }

    #[test]
    fn a_clock_set_back_breaks_nothing(ice in ice(), ops in prop::collection::vec((pause(), op()), 1..80)) {
        let mut rooms = Rooms::new(Config { grace: GRACE, ice });
        let (mut ledger, mut now) = (Ledger::default(), Timestamp::from_millis(START));
        for (pause, op) in ops {
            now = later(now, pause);
            ledger.hear(&apply(&mut rooms, &Op::Tick, now));
            ledger.hear(&apply(&mut rooms, &op, now));
            // Nothing is kept longer than twice its time from the new time on.
            prop_assert!(rooms.next_deadline().is_none_or(|deadline| deadline <= now.plus(2 * RENEWAL)));
        }
    }

    #[test]
    fn no_bytes_and_no_names_panic(
        room in any::<String>(), from in peer(), payload in any::<Vec<u8>>(),
        order in any::<bool>(), may_create in any::<bool>(),
    ) {
        let mut rooms = Rooms::new(Config::default());
        let (now, payload) = (Timestamp::from_millis(START), &payload[..]);
        let input = if order {
            Input::Order { room: &room, payload }
        } else {
            Input::Message { room: &room, from: &from, payload, may_create }
        };
        rooms.handle(now, input, &mut Vec::new());
        rooms.handle(now, Input::Refused { room: &room, peer: &from, code: ErrorCode::TooLarge, why: "" }, &mut Vec::new());
        rooms.error(&room, ErrorCode::TooLarge, "", now);
        prop_assert!(rooms.is_empty());
    }
}
