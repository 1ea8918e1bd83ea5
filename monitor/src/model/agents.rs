//! How the agents beside an engine are doing, and the store that they share: what they say of themselves when asked.

use super::broker::Rate;
use super::read::cut;
use agent::service::status::{Status, StoreStatus};
use protocol::Timestamp;

/// Agents that are remembered; a recording might name any number.
const MOST: usize = 64;
/// How much of a text of theirs is kept, in bytes.
const MAX_TEXT: usize = 64;
/// How much is kept of why one is silent.
const MAX_WHY: usize = 256;

/// An agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Where it is asked.
    pub url: Box<str>,
    /// What it said last; `None` if it never said anything.
    pub status: Option<Status>,
    /// How it is.
    pub state: AgentState,
    /// Since when it has been so.
    pub since: Timestamp,
    /// Messages that it hears.
    pub heard: Rate,
    /// Questions of engines that it answers.
    pub asked: Rate,
    /// Requests to its store.
    pub requests: Rate,
    /// How long its store took for a request, in microseconds, at the mean between what it said last and before.
    pub store_micros: Option<u64>,
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// It listens at its broker, and its store answers.
    Working,
    /// It has no connection to its broker.
    Disconnected,
    /// Its store does not answer.
    StoreAway,
    /// It does not say how it is.
    Silent {
        /// Why, in words.
        why: Box<str>,
    },
}

impl AgentState {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            AgentState::Working => "working",
            AgentState::Disconnected => "disconnected",
            AgentState::StoreAway => "store-away",
            AgentState::Silent { .. } => "silent",
        }
    }

    /// What that means.
    pub fn words(&self) -> &str {
        match self {
            AgentState::Working => "it listens at its broker, and its store answers",
            AgentState::Disconnected => "it has no connection to its broker, and tries to make one",
            AgentState::StoreAway => "its store does not answer: what is said to it waits",
            AgentState::Silent { why } => why,
        }
    }
}

impl Agent {
    fn new(url: &str, state: AgentState, at: Timestamp) -> Self {
        Self {
            url: url.into(),
            status: None,
            state,
            since: at,
            heard: Rate::default(),
            asked: Rate::default(),
            requests: Rate::default(),
            store_micros: None,
        }
    }

    /// What it is called: its client identifier, or its address while that is not known.
    pub fn name(&self) -> &str {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url);
        self.status.as_ref().map_or(address, |status| &status.agent)
    }

    fn told(&mut self, mut status: Status, at: Timestamp) {
        for text in [&mut status.agent, &mut status.version, &mut status.store.kind] {
            *text = cut(text, MAX_TEXT).to_owned();
        }
        self.heard.take(status.heard, at);
        self.asked.take(status.allowed.saturating_add(status.denied), at);
        self.requests.take(status.store.requests, at);
        if let Some(before) = &self.status {
            self.store_micros = mean(&before.store, &status.store);
        }
        self.status = Some(status);
    }
}

/// Microseconds a request between two counts; `None` if none was asked, or the agent was restarted.
fn mean(before: &StoreStatus, now: &StoreStatus) -> Option<u64> {
    let micros = now.micros.checked_sub(before.micros)?;
    micros.checked_div(now.requests.checked_sub(before.requests)?)
}

/// The agents, by where they are asked.
#[derive(Debug, Default)]
pub struct Agents(Vec<Agent>);

impl Agents {
    /// All of them.
    pub fn all(&self) -> &[Agent] {
        &self.0
    }

    /// Takes what an agent says, or why it says nothing. The agent, if it is not as it was before; one that works when
    /// it is first asked is nothing new.
    pub(super) fn take(&mut self, url: &str, said: Result<Status, String>, at: Timestamp) -> Option<&Agent> {
        let url = cut(url, MAX_WHY);
        let state = match &said {
            Err(why) => AgentState::Silent { why: cut(why, MAX_WHY).into() },
            Ok(status) if !status.store.answers => AgentState::StoreAway,
            Ok(status) if !status.connected => AgentState::Disconnected,
            Ok(_) => AgentState::Working,
        };
        let (at_index, is_new) = match self.0.binary_search_by(|agent| (*agent.url).cmp(url)) {
            Ok(index) => (index, false),
            Err(_) if self.0.len() == MOST => return None,
            Err(index) => {
                self.0.insert(index, Agent::new(url, state.clone(), at));
                (index, state != AgentState::Working)
            }
        };
        let agent = &mut self.0[at_index];
        let is_changed = is_new || std::mem::discriminant(&agent.state) != std::mem::discriminant(&state);
        if is_changed {
            agent.since = at;
        }
        agent.state = state;
        if let Ok(status) = said {
            agent.told(status, at);
        }
        is_changed.then_some(&self.0[at_index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + seconds * 1000)
    }

    fn status(connected: bool, answers: bool, requests: u64, micros: u64) -> Status {
        let store = StoreStatus { kind: "redis".into(), answers, requests, failures: 0, micros };
        let (agent, version) = ("a1".into(), "0.1.0".into());
        Status { agent, version, uptime: 1, connected, heard: requests / 2, allowed: 0, denied: requests, store }
    }

    const URL: &str = "http://127.0.0.1:8090";

    #[test]
    fn news_is_what_changes() {
        let mut agents = Agents::default();
        let silent = || Err("nobody listens there".to_owned());
        let steps = [
            (Ok(status(true, true, 0, 0)), None),
            (Ok(status(true, true, 5, 9)), None),
            (Ok(status(true, false, 5, 9)), Some("store-away")),
            (Ok(status(false, false, 5, 9)), None),
            (Ok(status(false, true, 5, 9)), Some("disconnected")),
            (silent(), Some("silent")),
            (silent(), None),
            (Ok(status(true, true, 5, 9)), Some("working")),
        ];
        for (second, (said, news)) in (0..).zip(steps) {
            assert_eq!(agents.take(URL, said, at(second)).map(|agent| agent.state.word()), news, "{second}");
        }
        let since = agents.all()[0].since;
        assert_eq!((agents.all().len(), since), (1, at(7)));
        assert!(
            agents.take("http://127.0.0.1:8091", silent(), at(8)).is_some(),
            "one that was never heard of is missed"
        );
    }

    #[test]
    fn counts_become_rates_and_a_restart_makes_none() {
        let mut agents = Agents::default();
        for (second, requests, micros) in [(0, 100, 20_000), (2, 300, 80_000), (4, 10, 500), (6, 10, 500)] {
            agents.take(URL, Ok(status(true, true, requests, micros)), at(second));
            let agent = &agents.all()[0];
            let expected = match second {
                0 => (None, None),
                2 => (Some(100.0), Some(300)),
                4 => (Some(100.0), None),
                _ => (Some(0.0), None),
            };
            assert_eq!((agent.requests.now(), agent.store_micros), expected, "{second}");
        }
    }

    #[test]
    fn what_a_recording_holds_is_bounded() {
        let mut agents = Agents::default();
        for number in 0..1_000 {
            let long = Status { agent: "é".repeat(10_000), ..status(true, true, 0, 0) };
            agents.take(&format!("{number}{}", "x".repeat(10_000)), Ok(long), at(0));
            agents.take(&number.to_string(), Err("x".repeat(10_000)), at(0));
        }
        assert_eq!(agents.all().len(), MOST);
        for agent in agents.all() {
            assert!(
                agent.url.len() <= MAX_WHY && agent.name().len() <= MAX_WHY && agent.state.words().len() <= MAX_WHY
            );
        }
    }
}
