//! What an input brought that was not there before: new arrows, findings that came and went, troubles of the source.

use crate::diagnosis::Finding;
use crate::model::{Agent, AgentState, Entry, Model, Room};
use crate::wire::{Input, Link, Message};
use protocol::{Timestamp, Topic};
use std::collections::HashMap;

/// One thing to tell.
#[derive(Debug)]
pub enum Item<'a> {
    /// A new arrow.
    Entry {
        /// Its room.
        room: &'a Room,
        /// The arrow.
        entry: &'a Entry,
    },
    /// A rule has something to say that it did not say before.
    Found {
        /// When.
        at: Timestamp,
        /// Its room.
        room: &'a Room,
        /// What it says.
        finding: &'a Finding,
    },
    /// A rule has nothing to say any more.
    Gone {
        /// When.
        at: Timestamp,
        /// Its room.
        room: &'a Room,
        /// The rule.
        rule: &'static str,
    },
    /// The connection changed.
    Link {
        /// When.
        at: Timestamp,
        /// What it is now.
        link: &'a Link,
    },
    /// An agent is asked for the first time, or is not as it was.
    Agent {
        /// When.
        at: Timestamp,
        /// How it is now.
        agent: &'a Agent,
    },
    /// Messages were dropped unread.
    Lost {
        /// When this was noticed.
        at: Timestamp,
        /// How many.
        messages: u64,
    },
    /// A line of a recording cannot be read.
    Unread {
        /// Time of the line before it.
        at: Timestamp,
        /// What is wrong.
        why: &'a str,
    },
}

/// What was told already.
#[derive(Debug, Default)]
pub struct News {
    /// Number of the newest arrow told.
    seen: Option<u64>,
    /// What the rules said of each room: rule, and whom it is about.
    findings: HashMap<Box<str>, Vec<Said>>,
    /// How each agent was.
    agents: HashMap<Box<str>, AgentState>,
}

type Said = (&'static str, Vec<Box<str>>);

impl News {
    /// What is new after the model took `input`, oldest first.
    pub fn after<'a>(&mut self, input: &'a Input, model: &'a Model) -> Vec<Item<'a>> {
        let at = input.at();
        let mut items = Vec::new();
        match input {
            Input::Message(Message { topic, .. }) => {
                let room = room_of(topic).and_then(|name| model.room(name));
                if let Some(room) = room {
                    self.entries(room, &mut items);
                    self.judged(at, room, &mut items);
                }
            }
            Input::Link { link, .. } => items.push(Item::Link { at, link }),
            Input::Lost { messages, .. } => items.push(Item::Lost { at, messages: *messages }),
            Input::Agent { url, .. } => {
                let agent = model.agents().iter().find(|agent| agent.url == *url);
                if let Some(agent) = agent {
                    let before = self.agents.insert(url.clone(), agent.state.clone());
                    if before.is_none_or(|before| before.word() != agent.state.word()) {
                        items.push(Item::Agent { at, agent });
                    }
                }
            }
            Input::Unread { why, .. } => items.push(Item::Unread { at, why }),
            // What rules say because time has passed may be said of any room.
            Input::Tick(_) => {
                for room in model.rooms() {
                    self.judged(at, room, &mut items);
                }
                self.findings.retain(|name, _| model.room(name).is_some());
            }
        }
        items
    }

    fn entries<'a>(&mut self, room: &'a Room, items: &mut Vec<Item<'a>>) {
        let from = self.seen.map_or(0, |seen| room.index(seen + 1));
        for entry in room.ladder().range(from..) {
            self.seen = self.seen.max(Some(entry.seq));
            items.push(Item::Entry { room, entry });
        }
    }

    fn judged<'a>(&mut self, at: Timestamp, room: &'a Room, items: &mut Vec<Item<'a>>) {
        let findings = room.findings();
        let known = self.findings.get_mut(room.name());
        if known.as_ref().map_or(findings.is_empty(), |known| {
            known.len() == findings.len() && known.iter().zip(findings).all(|(known, finding)| same(known, finding))
        }) {
            return;
        }
        let known = known.map(std::mem::take).unwrap_or_default();
        for finding in findings.iter().filter(|finding| !known.iter().any(|known| same(known, finding))) {
            items.push(Item::Found { at, room, finding });
        }
        for (rule, _) in known.iter().filter(|known| !findings.iter().any(|finding| same(known, finding))) {
            items.push(Item::Gone { at, room, rule });
        }
        let said = findings.iter().map(|finding| (finding.rule, finding.about.clone())).collect::<Vec<_>>();
        match said.is_empty() {
            true => self.findings.remove(room.name()),
            false => self.findings.insert(room.name().into(), said),
        };
    }
}

fn same((rule, about): &Said, finding: &Finding) -> bool {
    *rule == finding.rule && *about == finding.about
}

fn room_of(topic: &str) -> Option<&str> {
    match Topic::parse(topic).ok()? {
        Topic::ToAgent { room, .. }
        | Topic::FromAgent { room, .. }
        | Topic::Signal { room, .. }
        | Topic::State { room }
        | Topic::Events { room }
        | Topic::Control { room } => Some(room),
    }
}
