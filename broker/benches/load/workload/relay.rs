//! W2: messages of 300 bytes in 500 rooms: some on a clock, most of them alone on the wire, then as many as there can be
//! when every room has one on its way.

use super::{Failures, Load, PATIENCE, Phase, Samples, Signals, each};
use crate::common::body::Kind;
use crate::common::peer::{Peer, Side, Site};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval_at, sleep, timeout};

pub const ROOMS: usize = 500;
/// Messages of a room in a second, on the clock.
pub const RATE: u32 = 4;
const WARM_UP: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;

/// Both peers of a room, joined.
pub struct Pair {
    pub a: Peer,
    pub b: Peer,
}

/// When a room says something.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many times a second, each side in turn.
    Clock(u32),
    /// When it has heard the last message.
    Answer,
}

pub async fn run(load: &Load) -> Result<Vec<Phase>> {
    let pairs = pairs(&load.site, ROOMS).await?;
    let (open, pairs) = phase(load, &load.site, pairs, Pace::Clock(RATE), "open".into()).await?;
    let (closed, _) = phase(load, &load.site, pairs, Pace::Answer, "closed".into()).await?;
    Ok(vec![open, closed])
}

/// So many rooms with both peers in them, that have heard of each other.
pub async fn pairs(site: &Arc<Site>, rooms: usize) -> Result<Vec<Pair>> {
    let pairs = each(rooms, AT_ONCE, |number| {
        let site = site.clone();
        async move { timeout(PATIENCE, pair(&site, &format!("relay-{number}"))).await.context("a join took too long")? }
    });
    pairs.await.into_iter().collect()
}

async fn pair(site: &Site, room: &str) -> Result<Pair> {
    let mut pair = Pair { a: Peer::join(site, room, Side::A).await?, b: Peer::join(site, room, Side::B).await? };
    pair.there_and_back(site).await?;
    pair.a.settle().await?;
    Ok(pair)
}

impl Pair {
    /// A message from A to B, and one back; what each took.
    pub async fn there_and_back(&mut self, site: &Site) -> Result<[u64; 2]> {
        self.a.say(site, Kind::Candidate).await?;
        let there = self.b.hear_kind(Kind::Candidate).await?;
        self.b.say(site, Kind::Candidate).await?;
        Ok([there, self.a.hear_kind(Kind::Candidate).await?])
    }
}

/// Measures pairs that talk; gives them back when nothing is on its way any more.
pub async fn phase(
    load: &Load,
    site: &Arc<Site>,
    pairs: Vec<Pair>,
    pace: Pace,
    name: String,
) -> Result<(Phase, Vec<Pair>)> {
    let took = Arc::new(Samples::default());
    let signals = Arc::new(Signals::default());
    let failures = Failures::default();
    let mut tasks = JoinSet::new();
    let count = pairs.len();
    for (number, mut pair) in pairs.into_iter().enumerate() {
        let (site, took, signals) = (site.clone(), took.clone(), signals.clone());
        tasks.spawn(async move {
            let sample = |ns| {
                if signals.measuring.load(Relaxed) {
                    took.add(ns);
                }
            };
            match pace {
                Pace::Clock(rate) => {
                    // Spread evenly over the period, by the golden ratio.
                    let period = Duration::from_secs(1) / rate;
                    let begin = Instant::now() + period.mul_f64((number as f64 * 0.618_034).fract());
                    open(&site, &mut pair, interval_at(begin, period), &signals, sample).await?;
                }
                Pace::Answer => {
                    while !signals.stop.load(Relaxed) {
                        pair.there_and_back(&site).await?.into_iter().for_each(sample);
                    }
                }
            }
            pair.a.settle().await?;
            pair.b.settle().await?;
            anyhow::Ok(pair)
        });
    }
    sleep(WARM_UP).await;
    let before = load.moment()?;
    signals.measuring.store(true, Relaxed);
    sleep(load.measured).await;
    signals.measuring.store(false, Relaxed);
    let cost = before.until_now()?;
    signals.stop.store(true, Relaxed);
    let mut left = Vec::with_capacity(count);
    let end = async {
        while let Some(done) = tasks.join_next().await {
            match done.expect("no task panics") {
                Ok(pair) => left.push(pair),
                Err(error) => failures.add(&error),
            }
        }
    };
    timeout(PATIENCE, end).await.ok();
    failures.none()?;
    ensure!(left.len() == count, "{} of {count} rooms wait for a message that does not come", count - left.len());
    let mut phase = Phase::new(name);
    phase.cost(&cost, took.len(), "message");
    phase.latency(&took);
    Ok((phase, left))
}

/// Sends on a clock, each side in turn, whatever comes back when; at the end takes what is still on its way.
async fn open(
    site: &Site,
    pair: &mut Pair,
    mut clock: Interval,
    signals: &Signals,
    sample: impl Fn(u64),
) -> Result<()> {
    let (mut turn, mut on_their_way) = (Side::A, 0usize);
    loop {
        let stopped = signals.stop.load(Relaxed);
        if stopped && on_their_way == 0 {
            return Ok(());
        }
        let came = tokio::select! {
            _ = clock.tick(), if !stopped => None,
            came = pair.a.listen() => Some(came?),
            came = pair.b.listen() => Some(came?),
        };
        if let Some((_, ns)) = came {
            on_their_way = on_their_way.checked_sub(1).context("a message that nobody sent")?;
            sample(ns);
            pair.a.settle().await?;
            pair.b.settle().await?;
        } else if !signals.stop.load(Relaxed) {
            let (speaker, next) = if turn == Side::A { (&mut pair.a, Side::B) } else { (&mut pair.b, Side::A) };
            speaker.say(site, Kind::Candidate).await?;
            (turn, on_their_way) = (next, on_their_way + 1);
        }
    }
}
