//! What a crowd took: counted phase by phase, in the time of the simulation.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Everybody comes at once.
    Coming,
    /// Some come and others go, and things fail.
    Steady,
    /// Nothing fails any more.
    Calm,
    /// Everybody goes.
    Going,
    Over,
}

#[derive(Debug, Default)]
pub struct Figures {
    phase: Option<Phase>,
    began: Counts,
    done: Vec<(Phase, Counts)>,
    now: Counts,
    /// How long answers took, in microseconds, in steps of a tenth of their size.
    answers: Vec<u64>,
    late: u64,
    agents: usize,
    pub heard: u64,
    pub said: u64,
    pub sweeps: u64,
    pub agents_busy: u64,
    pub store_busy: u64,
    /// Bytes of a room of two as JSON.
    pub state: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    at: u64,
    scripts: u64,
    joined: u64,
    heard: u64,
    said: u64,
    sweeps: u64,
    agents_busy: u64,
    store_busy: u64,
    newcomers: u64,
    late: u64,
}

impl Figures {
    /// A phase begins, and another one is over.
    pub fn turn(&mut self, phase: Phase, at: u64, scripts: u64, joined: u64, agents: usize) {
        let (heard, said, sweeps) = (self.heard, self.said, self.sweeps);
        let (agents_busy, store_busy, newcomers) = (self.agents_busy, self.store_busy, self.answers.len() as u64);
        let late = self.late;
        self.now = Counts { at, scripts, joined, heard, said, sweeps, agents_busy, store_busy, newcomers, late };
        if let Some(before) = self.phase.replace(phase) {
            self.done.push((before, self.now.since(self.began)));
        }
        (self.began, self.agents) = (self.now, agents);
    }

    /// A newcomer is in its room after so long.
    pub fn answered(&mut self, took: u64) {
        self.late += u64::from(took > 1_000_000);
        self.answers.push(took);
    }

    /// Newcomers that got in while everybody came, in a second.
    pub fn joins_a_second(&self) -> f64 {
        let of = |phase| self.done.iter().find(|(done, _)| *done == phase).map(|(_, counts)| *counts);
        of(Phase::Coming).map(|counts| counts.newcomers as f64 / counts.seconds()).unwrap_or_default()
    }
}

impl Counts {
    fn since(self, then: Counts) -> Counts {
        Counts {
            at: self.at - then.at,
            scripts: self.scripts - then.scripts,
            joined: self.joined - then.joined,
            heard: self.heard - then.heard,
            said: self.said - then.said,
            sweeps: self.sweeps - then.sweeps,
            agents_busy: self.agents_busy - then.agents_busy,
            store_busy: self.store_busy - then.store_busy,
            newcomers: self.newcomers - then.newcomers,
            late: self.late - then.late,
        }
    }

    fn seconds(&self) -> f64 {
        self.at as f64 / 1e6
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (phase, counts) in &self.done {
            let seconds = counts.seconds();
            let a_second = |count: u64| count as f64 / seconds;
            writeln!(
                f,
                "{phase:?}: {seconds:.0} s; a second: {:.0} newcomers, {:.0} joins answered in all, {:.0} scripts, an agent hears \
                 {:.0} and says {:.0}; busy: store {:.2}, agents {:.2} each; {} newcomers waited longer than a second",
                a_second(counts.newcomers),
                a_second(counts.joined),
                a_second(counts.scripts),
                a_second(counts.heard) / self.agents as f64,
                a_second(counts.said) / self.agents as f64,
                counts.store_busy as f64 / counts.at as f64,
                counts.agents_busy as f64 / counts.at as f64 / self.agents as f64,
                counts.late,
            )?;
        }
        write!(f, "a room of two is {} bytes of JSON in the store", self.state)
    }
}
