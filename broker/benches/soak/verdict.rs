//! Whether a figure stays as it was, and whether it is again what it was before anybody came. Pure.
//!
//! After a sixth of the time everybody is there. Through the rest goes a line whose slope is the median of the slopes
//! between any two samples (Theil and Sen): a leak tilts it, while a burst of work elsewhere on the machine, after which
//! an allocator keeps what it has, does not. Where it ends is held against where it begins.

use crate::sample::{Figure, Sample};
use serde::{Deserialize, Serialize};

/// How far a figure may have moved, and what it has to be when everybody has gone.
struct Rule {
    figure: Figure,
    /// At most so much more at last than at first: a share of it, and so much besides.
    rises: Option<(f64, f64)>,
    /// At least this share at last, of what it was at first: a figure that goes on.
    falls: Option<f64>,
    /// At most so much more than before anybody came; for memory see there.
    after: Option<f64>,
}

const fn flat(figure: Figure, share: f64, besides: f64, after: f64) -> Rule {
    Rule { figure, rises: Some((share, besides)), falls: None, after: Some(after) }
}

/// What is given back to the allocator mostly stays there, so it grows until the most has been there that ever is at once;
/// and when everybody leaves together, that is a little more.
const fn memory(figure: Figure) -> Rule {
    Rule { figure, rises: Some((0.15, 8.0)), falls: None, after: None }
}

const fn time(figure: Figure, share: f64, besides: f64) -> Rule {
    Rule { figure, rises: Some((share, besides)), falls: None, after: None }
}

const fn goes_on(figure: Figure, share: f64) -> Rule {
    Rule { figure, rises: None, falls: Some(share), after: None }
}

/// What may wait for the operators that have stopped reading just now, a full queue for each.
const QUEUES: f64 = 3.0 * 4096.0;

const RULES: [Rule; 20] = [
    memory(Figure::Resident),
    memory(Figure::Own),
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
    flat(Figure::Waiting, 0.5, QUEUES, 0.0),
    goes_on(Figure::Accepted, 0.5),
    goes_on(Figure::Signals, 0.85),
    goes_on(Figure::Calls, 0.85),
    time(Figure::SignalP50, 0.5, 0.5),
    time(Figure::SignalP99, 1.0, 25.0),
    time(Figure::SetUpP50, 0.5, 20.0),
    time(Figure::SetUpP99, 1.0, 150.0),
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
    let line = |rule: &Rule| {
        let figure = rule.figure;
        let ((first, last), before) = (trend(steady, figure), before.get(figure));
        let is_memory = matches!(figure, Figure::Resident | Figure::Own);
        Line {
            name: figure.name().to_owned(),
            before,
            first,
            last,
            bounds: (
                rule.falls.map(|share| share * first),
                rule.rises.map(|(share, besides)| first.max(0.0) * (1.0 + share) + besides),
            ),
            after: after.get(figure),
            after_bound: if is_memory { Some(last * 1.15 + 8.0) } else { rule.after.map(|besides| before + besides) },
        }
    };
    // At every sample, and not only at most of them.
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

/// Where the line through a figure begins, and where it ends.
fn trend(samples: &[Sample], figure: Figure) -> (f64, f64) {
    let points: Vec<_> = samples.iter().map(|sample| (sample.at, sample.get(figure))).collect();
    let pairs = points.iter().enumerate().flat_map(|(at, one)| points[at + 1..].iter().map(move |other| (one, other)));
    let slope = median(pairs.map(|(one, other)| (other.1 - one.1) / (other.0 - one.0)).collect());
    let height = median(points.iter().map(|(at, value)| value - slope * at).collect());
    let of = |point: Option<&(f64, f64)>| point.map_or(f64::NAN, |(at, _)| height + slope * at);
    (of(points.first()), of(points.last()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
