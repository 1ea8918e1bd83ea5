//! The rules: each a small function over what is remembered of a room, in one table with its words.

mod exchange;
mod media;
mod network;
mod room;

use super::call::{Call, Moment, Side};
use super::case::Case;
use super::finding::{Finding, Severity};
use protocol::{Role, Timestamp};
use std::time::Duration;

/// One rule.
pub struct Rule {
    /// Its name, for filters and to look it up.
    pub name: &'static str,
    /// What it looks for, in one line.
    pub sees: &'static str,
    /// What it means when it fires.
    pub means: &'static str,
    /// What to try then.
    pub try_this: &'static str,
    judge: fn(&Look) -> Vec<Sighting>,
}

/// Every rule, in the order in which findings of the same severity are shown.
pub static RULES: [&[Rule]; 4] = [exchange::RULES, media::RULES, network::RULES, room::RULES];

/// Every rule, one after the other.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.into_iter().flatten()
}

/// What a rule looks at.
struct Look<'a> {
    case: &'a Case,
    /// The present call, or the last.
    call: Option<&'a Call>,
    /// The present time, or when the call ended: nothing gets late after that.
    now: Timestamp,
}

/// What a rule has seen.
struct Sighting {
    severity: Severity,
    seen: String,
    /// Instead of the rule's own words.
    means: Option<String>,
    try_this: Option<String>,
    entries: Vec<u64>,
    about: Vec<Box<str>>,
}

impl Sighting {
    fn new(severity: Severity, seen: String) -> Self {
        Self { severity, seen, means: None, try_this: None, entries: Vec::new(), about: Vec::new() }
    }

    fn at(mut self, moments: impl IntoIterator<Item = Moment>) -> Self {
        self.entries.extend(moments.into_iter().map(|moment| moment.seq));
        self
    }

    fn entries(mut self, entries: impl IntoIterator<Item = u64>) -> Self {
        self.entries.extend(entries);
        self
    }

    fn about<'p>(mut self, sides: impl IntoIterator<Item = &'p Side>) -> Self {
        self.about.extend(sides.into_iter().map(|side| side.peer.as_str().into()));
        self
    }

    fn about_peer(mut self, peer: &str) -> Self {
        self.about.push(peer.into());
        self
    }

    fn means(mut self, words: impl Into<String>) -> Self {
        self.means = Some(words.into());
        self
    }

    fn try_this(mut self, words: impl Into<String>) -> Self {
        self.try_this = Some(words.into());
        self
    }
}

/// What all rules have to say, the worst first.
pub(super) fn judge(case: &Case, now: Timestamp) -> Vec<Finding> {
    let call = case.call.as_deref();
    let now = call.and_then(|call| call.ended).map_or(now, |ended| ended.min(now));
    let look = Look { case, call, now };
    let mut findings: Vec<Finding> = Vec::new();
    for rule in rules() {
        for sighting in (rule.judge)(&look) {
            let Sighting { severity, seen, means, try_this, mut entries, about } = sighting;
            entries.sort_unstable();
            entries.dedup();
            findings.push(Finding {
                rule: rule.name,
                severity,
                seen,
                means: means.unwrap_or_else(|| rule.means.into()),
                try_this: try_this.unwrap_or_else(|| rule.try_this.into()),
                entries,
                about,
            });
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// When, if nothing more is said, rules may say something else than `now`; `None` if never.
pub(super) fn next_look(case: &Case, now: Timestamp) -> Option<Timestamp> {
    let call = case.call.as_deref().filter(|call| call.ended.is_none())?;
    let mut due: Vec<Timestamp> = vec![call.began.at.plus(exchange::READY_WITHIN)];
    for side in &call.sides {
        due.extend(side.ready.map(|ready| ready.at.plus(exchange::OFFER_WITHIN)));
        due.extend(side.pending.iter().map(|offer| offer.when.at.plus(exchange::ANSWER_WITHIN)));
        if let Some(described) = &side.described {
            due.extend([network::CANDIDATES_WITHIN, network::GATHERED_WITHIN].map(|wait| described.when.at.plus(wait)));
        }
    }
    due.extend(call.exchange.iter().map(|exchange| exchange.answer.when.at.plus(super::call::CONNECTS_WITHIN)));
    due.extend(call.offers.iter().map(|offer| offer.at.plus(exchange::STORM)));
    due.into_iter().filter(|at| *at > now).min()
}

/// A duration as an operator reads it: `7 s`, `2 min 5 s`, `350 ms`.
fn span(duration: Duration) -> String {
    match (duration.as_secs(), duration.as_millis()) {
        (0, millis) => format!("{millis} ms"),
        (seconds @ 1..120, _) => format!("{seconds} s"),
        (seconds @ 120..7200, _) => format!("{} min {} s", seconds / 60, seconds % 60),
        (seconds, _) => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `once`, `twice`, `7 times`.
fn times(count: u64) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{more} times"),
    }
}

fn role(side: &Side) -> &'static str {
    match side.role {
        Some(Role::Created) => "created the room",
        Some(Role::Joined) => "joined",
        None => "has an unknown role",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_words() {
        let mut names = HashSet::new();
        for rule in rules() {
            assert!(names.insert(rule.name), "{} is there twice", rule.name);
            assert!(rule.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", rule.name);
            for words in [rule.sees, rule.means, rule.try_this] {
                assert!(words.len() > 20 && !words.ends_with('.') && !words.contains('|'), "{}: {words:?}", rule.name);
            }
        }
    }

    #[test]
    fn durations_are_read_by_people() {
        for (millis, text) in
            [(350, "350 ms"), (7_999, "7 s"), (119_000, "119 s"), (125_000, "2 min 5 s"), (7_260_000, "2 h 1 min")]
        {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
