//! Whether a figure stays as it was, and whether it is again what it was before anybody came. Pure.
//!
//! After a sixth of the time everybody is there. Of the rest, the median of the last fifth is held against that of the
//! first: nothing that comes and goes moves a median, and nothing that stays fails to.

use crate::sample::{Figure, Sample};
use serde::{Deserialize, Serialize};

/// How far a figure may have moved, and what it has to be when everybody has gone.
struct Rule {
    figure: Figure,
    /// At most so much more at last than at first: a share of it, and so much besides.
    rises: Option<(f64, f64)>,
    /// At least this share at last, of what it was at first: a figure that goes on.
    falls: Option<f64>,
    /// At most so much more than before anybody came; of memory, which the allocator keeps, that is what it was with all.
    after: Option<f64>,
}

const fn flat(figure: Figure, share: f64, besides: f64, after: f64) -> Rule {
    Rule { figure, rises: Some((share, besides)), falls: None, after: Some(after) }
}

const fn time(figure: Figure, share: f64, besides: f64) -> Rule {
    Rule { figure, rises: Some((share, besides)), falls: None, after: None }
}

const fn goes_on(figure: Figure, share: f64) -> Rule {
    Rule { figure, rises: None, falls: Some(share), after: None }
}

const RULES: [Rule; 20] = [
    Rule { figure: Figure::Resident, rises: Some((0.05, 3.0)), falls: None, after: None },
    Rule { figure: Figure::Own, rises: Some((0.05, 3.0)), falls: None, after: None },
    flat(Figure::Descriptors, 0.05, 20.0, 0.0),
    flat(Figure::Threads, 0.0, 2.0, 0.0),
    flat(Figure::Tasks, 0.05, 20.0, 0.0),
    time(Figure::Cpu, 0.25, 0.05),
    Rule { falls: Some(0.95), ..flat(Figure::Clients, 0.05, 20.0, 0.0) },
    flat(Figure::Sessions, 0.5, 20.0, 0.0),
    flat(Figure::Subscriptions, 0.05, 30.0, 0.0),
    flat(Figure::Retained, 0.0, 5.0, 0.0),
    flat(Figure::Handshakes, 0.5, 20.0, 0.0),
    flat(Figure::Rooms, 0.05, 20.0, 0.0),
    flat(Figure::Waiting, 0.5, 500.0, 0.0),
    goes_on(Figure::Accepted, 0.5),
    goes_on(Figure::Signals, 0.85),
    goes_on(Figure::Calls, 0.85),
    time(Figure::SignalP50, 0.5, 0.5),
    time(Figure::SignalP99, 1.0, 10.0),
    time(Figure::SetUpP50, 0.5, 5.0),
    time(Figure::SetUpP99, 1.0, 50.0),
];

/// A figure, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub before: f64,
    pub first: f64,
    pub last: f64,
    /// Between which the last has to be.
    pub bounds: (Option<f64>, Option<f64>),
    pub after: f64,
    /// What it may be at most when everybody has gone.
    pub after_bound: Option<f64>,
}

impl Line {
    /// What is wrong with it.
    pub fn complaint(&self) -> Option<String> {
        let Self { name, first, last, after, .. } = self;
        match (self.bounds, self.after_bound) {
            ((_, Some(most)), _) if exceeds(*last, most) => {
                Some(format!("{name}: from {first:.2} to {last:.2}, and may be {most:.2} at most"))
            }
            ((Some(least), _), _) if exceeds(least, *last) => {
                Some(format!("{name}: from {first:.2} to {last:.2}, and has to be {least:.2} at least"))
            }
            (_, Some(most)) if exceeds(*after, most) => Some(format!(
                "{name}: {:.2} before anybody came, {after:.2} when everybody had gone, and may be {most:.2} at most then",
                self.before
            )),
            _ => None,
        }
    }
}

/// A figure that is no number is none that stays within bounds.
fn exceeds(value: f64, most: f64) -> bool {
    value > most || value.is_nan() || most.is_nan()
}

/// A line for every figure. `before` and `after` are without anybody; `samples` are taken while all are there.
pub fn judge(before: &Sample, samples: &[Sample], after: &Sample) -> Vec<Line> {
    let steady = &samples[samples.len() / 6..];
    let fifth = steady.len().div_ceil(5);
    let (first, last) = (&steady[..fifth], &steady[steady.len() - fifth..]);
    let line = |rule: &Rule| {
        let figure = rule.figure;
        let of = |part: &[Sample]| median(part.iter().map(|sample| sample.get(figure)));
        let (first, last, before) = (of(first), of(last), before.get(figure));
        let is_memory = matches!(figure, Figure::Resident | Figure::Own);
        Line {
            name: figure.name().to_owned(),
            before,
            first,
            last,
            bounds: (
                rule.falls.map(|share| share * first),
                rule.rises.map(|(share, besides)| first * (1.0 + share) + besides),
            ),
            after: after.get(figure),
            after_bound: if is_memory { Some(first) } else { rule.after.map(|besides| before + besides) },
        }
    };
    // At every moment, and not only at most of them.
    let most = samples.iter().chain([after]).map(|sample| sample.get(Figure::Missing).abs()).fold(0.0, f64::max);
    let account = Line {
        name: Figure::Missing.name().to_owned(),
        before: before.get(Figure::Missing),
        first: 0.0,
        last: most,
        bounds: (None, Some(0.0)),
        after: after.get(Figure::Missing),
        after_bound: Some(0.0),
    };
    RULES.iter().map(line).chain([account]).collect()
}

/// Whether everything that has to be gone is gone.
pub fn has_gone(before: &Sample, now: &Sample) -> bool {
    RULES.iter().all(|rule| rule.after.is_none_or(|besides| now.get(rule.figure) <= before.get(rule.figure) + besides))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
