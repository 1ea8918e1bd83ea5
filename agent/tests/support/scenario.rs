//! Scenarios as data: what peers do, what they must hear. A scenario knows no transport, so the
//! same file is played against the rooms alone, against an outside broker and against ours; each
//! of these is a [`World`]. Nothing here knows how any of them works.
//!
//! ```json
//! { "rule": "what the scenario proves, in words",
//!   "needs": ["presence"],
//!   "steps": [
//!     {"join": {"peer": "alice"}},
//!     {"expect": {"alice": {"type": "created"}}},
//!     {"expect_nothing": ["bob"]} ] }
//! ```
//!
//! With `"may_not_create": ["bob"]` bob's rights let him join, but not be the first in an empty room.
//!
//! A room that is not named is `lobby`. What is expected is part of what must come: an object's
//! further fields do not matter, `null` is a field that must not be there. Messages bring two
//! fields of their own, `@room` and `@from`. Every message must be expected, in its order, and
//! `rev` must grow; at the end nobody may have anything left.
//!
//! With `"relay_ttl_s": 3600` beside `needs`, peers are given a relay, [`RELAY`], with credentials
//! that live so long; otherwise no ICE servers at all.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The relay that scenarios have, if they have one, and the secret shared with it.
pub(crate) const RELAY: &str = "turn:turn.example.org";
/// See [`RELAY`].
pub(crate) const RELAY_SECRET: &str = "s3cret";

/// A file of `tests/scenarios`.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The file's name without `.json`.
    pub(crate) name: String,
    /// What it proves.
    pub(crate) rule: String,
    /// What it asks of the world.
    pub(crate) needs: Vec<Need>,
    /// How long credentials for the relay live, if there is one.
    pub(crate) relay_ttl: Option<Duration>,
    /// Peers that may join, but not create.
    #[allow(dead_code, reason = "each world uses its part")]
    pub(crate) may_not_create: Vec<String>,
    /// What is done and expected, each as written and as read.
    pub(crate) steps: Vec<(String, Step)>,
}

/// What not every world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Need {
    /// Time stands still until a step advances it, by the millisecond.
    VirtualClock,
    /// The agent hears of every connection that ends, without a will.
    Presence,
    /// Signals of those who are not in the room together are refused, with an `error`.
    Membership,
    /// Signals to a member that is away wait for it.
    HeldSignals,
    /// A peer's rights go with what it says to the agent.
    Rights,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// A connection is made; every other step of a peer without one makes it too.
    Connect(String),
    /// A peer joins.
    Join {
        peer: String,
        #[serde(default = "lobby")]
        room: String,
        info: Option<Value>,
        v: Option<Value>,
    },
    /// A peer leaves.
    Leave {
        peer: String,
        #[serde(default = "lobby")]
        room: String,
    },
    /// A peer sends the agent these bytes.
    Send {
        peer: String,
        #[serde(default = "lobby")]
        room: String,
        payload: String,
    },
    /// A peer signals another.
    Signal {
        from: String,
        to: String,
        #[serde(default = "lobby")]
        room: String,
        message: Value,
    },
    /// A peer's connection breaks, without a DISCONNECT. What it has not read is gone.
    Lose(String),
    /// A peer disconnects as it should. What it has not read is gone.
    Disconnect(String),
    /// An operator orders something; a string goes out as it is.
    Order {
        #[serde(default = "lobby")]
        room: String,
        order: Value,
    },
    /// Time passes; only with [`Need::VirtualClock`].
    AdvanceMs(u64),
    /// So much time passes that every grace time that runs has run out. A world with a real
    /// clock has a short grace time then (see [`Scenario::waits_for_grace`]) and need do
    /// nothing: the steps that follow wait for what must come.
    GraceRunsOut,
    /// The next message, or the next ones, of each of these peers.
    Expect(BTreeMap<String, Value>),
    /// These peers have nothing to read.
    ExpectNothing(Vec<String>),
    /// What operators read as the room's retained state; `null` when the room is gone.
    Room {
        #[serde(default = "lobby")]
        room: String,
        is: Value,
    },
    /// What happened in the room next, as operators read it, without gaps.
    History {
        #[serde(default = "lobby")]
        room: String,
        is: Vec<Value>,
    },
}

fn lobby() -> String {
    "lobby".into()
}

/// Where a scenario is played.
pub(crate) trait World {
    /// Does a step that is none of the expectations.
    fn act(&mut self, step: &Step);
    /// A peer's next message with `@room` and `@from`, when it comes in reasonable time.
    fn next(&mut self, peer: &str) -> Option<Value>;
    /// A message that came, or is certainly on its way, to a peer that expects none.
    fn stray(&mut self, peer: &str) -> Option<Value>;
    /// Waits until the room's retained state is as wanted, in reasonable time.
    ///
    /// # Errors
    /// The state that it is instead; [`Value::Null`] if there is none.
    fn room_is(&mut self, room: &str, wanted: &dyn Fn(&Value) -> bool) -> Result<(), Value>;
    /// The next event of the room that has not been given yet, when it comes in reasonable time.
    fn next_event(&mut self, room: &str) -> Option<Value>;
}

impl Scenario {
    /// Reads every scenario of a folder, by name.
    ///
    /// # Panics
    /// When one cannot be read; the message says which, and where.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let scenarios: Vec<_> = paths.iter().map(|path| Self::read(path)).collect();
        assert!(!scenarios.is_empty(), "no scenario in {}", folder.display());
        scenarios
    }

    fn read(path: &Path) -> Self {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            rule: String,
            #[serde(default)]
            needs: Vec<Need>,
            relay_ttl_s: Option<u64>,
            #[serde(default)]
            may_not_create: Vec<String>,
            steps: Vec<Value>,
        }
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file: File = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let steps = file.steps.into_iter().map(|value| {
            let written = value.to_string();
            let step = serde_json::from_value(value).unwrap_or_else(|e| panic!("{}: {written}: {e}", path.display()));
            (written, step)
        });
        Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            rule: file.rule,
            needs: file.needs,
            relay_ttl: file.relay_ttl_s.map(Duration::from_secs),
            may_not_create: file.may_not_create,
            steps: steps.collect(),
        }
    }

    /// Whether a grace time must run out: with a real clock it is better short then, and better
    /// long otherwise.
    pub(crate) fn waits_for_grace(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, Step::GraceRunsOut))
    }

    /// Plays it.
    ///
    /// # Errors
    /// The first step that went otherwise, and how.
    pub(crate) fn play(&self, world: &mut dyn World) -> Result<(), String> {
        let mut stage = Stage { world, peers: BTreeSet::new(), revs: BTreeMap::new() };
        for (number, (written, step)) in self.steps.iter().enumerate() {
            stage
                .play(step)
                .map_err(|e| format!("{}, step {} {written}: {e}\n  rule: {}", self.name, number + 1, self.rule))?;
        }
        stage.nobody_has_more().map_err(|e| format!("{}, at its end: {e}", self.name))
    }
}

struct Stage<'a> {
    world: &'a mut dyn World,
    peers: BTreeSet<String>,
    revs: BTreeMap<(String, String), u64>,
}

impl Stage<'_> {
    fn play(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Expect(expected) => {
                for (peer, wanted) in expected {
                    let wanted = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice);
                    for wanted in wanted {
                        self.expect(peer, wanted)?;
                    }
                }
                Ok(())
            }
            Step::ExpectNothing(peers) => peers.iter().try_for_each(|peer| self.expect_nothing(peer)),
            Step::Room { room, is } => self
                .world
                .room_is(room, &|state| matches(is, state))
                .map_err(|state| format!("the state of {room} is {state}")),
            Step::History { room, is } => is.iter().try_for_each(|wanted| match self.world.next_event(room) {
                Some(event) if matches(wanted, &event) => Ok(()),
                Some(event) => Err(format!("{wanted} should have happened next, but {event} did")),
                None => Err(format!("{wanted} should have happened next, but nothing did")),
            }),
            act => {
                if let Step::Connect(peer)
                | Step::Join { peer, .. }
                | Step::Leave { peer, .. }
                | Step::Send { peer, .. }
                | Step::Signal { from: peer, .. } = act
                {
                    self.peers.insert(peer.clone());
                }
                if let Step::Lose(peer) | Step::Disconnect(peer) = act {
                    self.peers.remove(peer);
                }
                self.world.act(act);
                Ok(())
            }
        }
    }

    fn expect(&mut self, peer: &str, wanted: &Value) -> Result<(), String> {
        let Some(message) = self.world.next(peer) else {
            return Err(format!("{peer} should be told {wanted} and hears nothing"));
        };
        if !matches(wanted, &message) {
            return Err(format!("{peer} should be told {wanted} and is told {message}"));
        }
        if message["@from"] == "agent" {
            let room = message["@room"].as_str().unwrap_or_default().to_owned();
            let rev = message["rev"].as_u64().ok_or_else(|| format!("no rev in {message}"))?;
            if let Some(last) = self.revs.insert((peer.to_owned(), room), rev)
                && rev <= last
            {
                return Err(format!("{peer} got rev {rev} after {last}: {message}"));
            }
        }
        Ok(())
    }

    fn expect_nothing(&mut self, peer: &str) -> Result<(), String> {
        match self.world.stray(peer) {
            Some(message) => Err(format!("{peer} should hear nothing and is told {message}")),
            None => Ok(()),
        }
    }

    fn nobody_has_more(&mut self) -> Result<(), String> {
        let peers: Vec<String> = self.peers.iter().cloned().collect();
        peers.iter().try_for_each(|peer| self.expect_nothing(peer))
    }
}

/// Whether `found` has everything that is `wanted` of it.
pub(crate) fn matches(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| matches(value, found.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| matches(wanted, found))
        }
        _ => wanted == found,
    }
}

/// The payload of a join.
pub(crate) fn join(info: Option<&Value>, v: Option<&Value>) -> String {
    let mut join = serde_json::json!({"type": "join"});
    if let Some(info) = info {
        join["info"] = info.clone();
    }
    if let Some(v) = v {
        join["v"] = v.clone();
    }
    join.to_string()
}

/// The payload of an order.
pub(crate) fn order(order: &Value) -> String {
    order.as_str().map_or_else(|| order.to_string(), str::to_owned)
}
