//! What happens to agents: killed, cut off from the engine or from the store, slow.

use super::{Host, SECOND, What, World, index};
use crate::copies::agents::{Agent, Shared};
use agent::store::turn::Heard;
use std::collections::VecDeque;

impl World {
    pub(super) fn disturb(&mut self) {
        let agent = self.dice.usize(0..self.hosts.len());
        let long = self.dice.u64(0..5 * SECOND);
        match self.dice.u32(0..4) {
            0 => {
                self.tally.restarted += 1;
                self.runs += 1;
                self.hosts[agent] = Host::new(self.runs, &self.common);
                let run = self.runs;
                self.after(0, What::Sweep { agent, run });
                self.give_back(agent);
                self.connect(agent);
            }
            1 => {
                // Cut off from the engine: what it had said and heard is lost, or not.
                self.tally.restarted += 1;
                self.hosts[agent].agent.cut();
                self.hosts[agent].inbox.clear();
                self.hosts[agent].later.clear();
                self.hosts[agent].is_silent = true;
                self.give_back(agent);
                self.after(long, What::Heal { agent });
                self.connect(agent);
            }
            2 => {
                let name = self.hosts[agent].name();
                self.common.borrow_mut().cut_off.insert(name);
                self.after(long, What::Heal { agent });
            }
            _ => self.hosts[agent].said = self.hosts[agent].said.max(self.now) + long,
        }
        self.after(60 * SECOND / self.plan.troubles.max(1), What::Disturb);
    }

    /// It is connected to everything again.
    pub(super) fn heal(&mut self, agent: usize) {
        self.hosts[agent].is_silent = false;
        let name = self.hosts[agent].name();
        self.common.borrow_mut().cut_off.remove(&name);
        self.begin(agent);
    }

    /// The engine gives to others what an agent has not acknowledged, or loses it.
    fn give_back(&mut self, agent: usize) {
        let lost: Vec<_> = self.under_way.range((agent, 0)..(agent + 1, 0)).map(|(key, _)| *key).collect();
        for key in lost {
            let message = self.under_way.remove(&key).unwrap();
            if self.dice.bool() {
                self.after(1_000, What::ForAgent(message));
            }
        }
    }

    /// The engine shows an agent what it keeps, and the agent compares that with what the store has.
    fn connect(&mut self, agent: usize) {
        let mut shown: Vec<_> = self.retained.iter().map(|(room, state)| (*room, state.clone())).collect();
        shown.sort_unstable();
        for (room, state) in shown {
            let heard = Heard::Shown(state.into_string().into_bytes());
            self.hosts[agent].later.push_back((room, heard));
        }
        let mut known: Vec<_> = self.common.borrow().records.rooms().iter().map(|room| index(room.as_str())).collect();
        known.sort_unstable();
        for room in known.into_iter().filter(|room| !self.retained.contains_key(room)) {
            self.hosts[agent].later.push_back((room, Heard::Show));
        }
        self.begin(agent);
    }
}

impl Host {
    pub(super) fn new(run: u32, common: &Shared) -> Self {
        let agent = Agent::new(format!("agent/{run}"), common.clone());
        Self { agent, run, inbox: VecDeque::new(), later: VecDeque::new(), busy: 0, said: 0, is_silent: false }
    }

    pub(super) fn name(&self) -> String {
        format!("agent/{}", self.run)
    }
}
