//! Plays every scenario against [`Rooms`] alone, with a clock that only the scenario moves.
//! What a broker does besides (letting signals pass, keeping those for a member that is away) is
//! done here as plainly as can be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "support/scenario.rs"]
#[allow(dead_code, reason = "each world uses its part")]
mod scenario;

use agent::ice::{Ice, IceUrl, Secret, Turn};
use agent::rooms::Verdict;
use agent::{Config, Input, Output, Rooms};
use protocol::{ErrorCode, PeerId, Timestamp};
use scenario::{Scenario, Step, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(10);

struct Alone {
    may_not_create: Vec<String>,
    rooms: Rooms,
    now: Timestamp,
    inboxes: BTreeMap<String, VecDeque<Value>>,
    held: BTreeMap<(String, String), Vec<Value>>,
    history: BTreeMap<String, VecDeque<Value>>,
    retained: BTreeMap<String, Value>,
}

impl Alone {
    fn new(scenario: &Scenario) -> Self {
        let relay = scenario.relay_ttl.map(|ttl| {
            let secret = Secret::from_line(scenario::RELAY_SECRET).unwrap();
            Turn::shared(vec![IceUrl::turn(scenario::RELAY).unwrap()], secret, ttl).unwrap()
        });
        Self {
            may_not_create: scenario.may_not_create.clone(),
            rooms: Rooms::new(Config { grace: GRACE, ice: Ice::new(Vec::new(), relay.into_iter().collect()) }),
            now: Timestamp::from_millis(1_790_000_000_000),
            inboxes: BTreeMap::new(),
            held: BTreeMap::new(),
            history: BTreeMap::new(),
            retained: BTreeMap::new(),
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.rooms.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Tell { room, to, message } => {
                    self.deliver(room.as_str(), to.as_str(), "agent", json!(message));
                }
                Output::Happened { room, event } => {
                    self.history.entry(room.to_string()).or_default().push_back(json!(event));
                }
                Output::Changed { room } => {
                    let state = self.rooms.state(room.as_str());
                    self.retained.insert(room.to_string(), json!(state));
                }
                Output::Resume { room, peer } => {
                    let held = self.held.remove(&(room.to_string(), peer.to_string()));
                    self.inboxes.entry(peer.to_string()).or_default().extend(held.unwrap_or_default());
                }
                Output::Forget { room, peer } => {
                    self.held.remove(&(room.to_string(), peer.to_string()));
                }
            }
        }
    }

    fn say(&mut self, room: &str, from: &str, payload: &str) {
        let may_create = !self.may_not_create.iter().any(|name| name == from);
        let from = &PeerId::new(from).unwrap();
        self.handle(Input::Message { room, from, payload: payload.as_bytes(), may_create });
    }

    fn deliver(&mut self, room: &str, to: &str, from: &str, message: Value) {
        self.inboxes.entry(to.into()).or_default().push_back(addressed(room, from, message));
    }

    fn signal(&mut self, room: &str, from: &str, to: &str, message: &Value) {
        match self.rooms.pass_signal(room, from, to) {
            Verdict::Allowed => self.deliver(room, to, from, message.clone()),
            Verdict::ToAway => {
                let held = self.held.entry((room.into(), to.into())).or_default();
                held.push(addressed(room, from, message.clone()));
            }
            Verdict::NotAMember(outside) => {
                let why = outside.explain(room, from, to);
                let error = self.rooms.error(room, ErrorCode::NotAMember, why.clone(), self.now);
                self.deliver(room, from, "agent", json!(error));
                let peer = &PeerId::new(from).unwrap();
                self.handle(Input::Refused { room, peer, code: ErrorCode::NotAMember, why: &why });
            }
        }
    }

    fn end(&mut self, peer: &str, lost: bool) {
        self.handle(Input::Ended { peer: &PeerId::new(peer).unwrap(), lost });
        self.inboxes.remove(peer);
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now.plus(by);
        while let Some(deadline) = self.rooms.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline.max(self.now);
            self.handle(Input::Tick);
        }
        self.now = until;
    }
}

fn addressed(room: &str, from: &str, mut message: Value) -> Value {
    message["@room"] = json!(room);
    message["@from"] = json!(from);
    message
}

impl World for Alone {
    fn act(&mut self, step: &Step) {
        match step {
            Step::Connect(_) => {}
            Step::Join { peer, room, info, v } => self.say(room, peer, &scenario::join(info.as_ref(), v.as_ref())),
            Step::Leave { peer, room } => self.say(room, peer, r#"{"type":"leave"}"#),
            Step::Send { peer, room, payload } => self.say(room, peer, payload),
            Step::Signal { from, to, room, message } => self.signal(room, from, to, message),
            Step::Lose(peer) => self.end(peer, true),
            Step::Disconnect(peer) => self.end(peer, false),
            Step::Order { room, order } => {
                self.handle(Input::Order { room, payload: scenario::order(order).as_bytes() });
            }
            Step::AdvanceMs(ms) => self.advance(Duration::from_millis(*ms)),
            Step::GraceRunsOut => self.advance(GRACE),
            Step::Expect(_) | Step::ExpectNothing(_) | Step::Room { .. } | Step::History { .. } => unreachable!(),
        }
    }

    fn next(&mut self, peer: &str) -> Option<Value> {
        self.inboxes.get_mut(peer)?.pop_front()
    }

    fn stray(&mut self, peer: &str) -> Option<Value> {
        self.next(peer)
    }

    fn room_is(&mut self, room: &str, wanted: &dyn Fn(&Value) -> bool) -> Result<(), Value> {
        let state = self.retained.get(room).cloned().unwrap_or_default();
        // Signals are counted without a word; the rest of what is retained must be the truth.
        let truth = self.rooms.state(room).map(|truth| json!({"peers": truth.peers, "refused": truth.refused}));
        if let Some(truth) = truth {
            assert!(scenario::matches(&truth, &state), "retained is {state}, true is {truth}");
        }
        if wanted(&state) { Ok(()) } else { Err(state) }
    }

    fn next_event(&mut self, room: &str) -> Option<Value> {
        self.history.get_mut(room)?.pop_front()
    }
}

#[test]
fn every_scenario_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let failures: Vec<String> = Scenario::all(&folder)
        .iter()
        .filter_map(|scenario| {
            let played = std::panic::catch_unwind(|| scenario.play(&mut Alone::new(scenario)));
            played.unwrap_or_else(|_| Err(format!("{} panics", scenario.name))).err()
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
