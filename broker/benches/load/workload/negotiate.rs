//! W1: rooms are negotiated. A joins, B joins, `ready`, offer and answer of 3,000 bytes, eight candidates from each side
//! in turn, both leave.

use super::{Failures, Load, PATIENCE, Phase, Samples};
use crate::common::peer::{self, Peer, Side, Site};
use crate::common::proc::Moment;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// Rooms at a time, when as many are wanted as there can be.
const AT_ONCE: usize = 32;
/// More rooms than this at once mean that the server cannot follow a fixed rate; then rooms are left out.
const MOST_AT_ONCE: usize = 2000;

#[derive(Default)]
struct Tally {
    /// From B's first byte to the last candidate, in nanoseconds.
    took: Samples,
    failures: Failures,
}

/// As many rooms as there can be.
pub async fn max(load: &Load) -> Result<Phase> {
    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    let before = load.moment()?;
    let end = Instant::now() + load.measured;
    for worker in 0..AT_ONCE {
        let (site, tally) = (load.site.clone(), tally.clone());
        tasks.spawn(async move {
            // A server that fails every room is not hammered for ever.
            for number in 0.. {
                if Instant::now() >= end || tally.failures.count() > 100 {
                    break;
                }
                one(&site, &format!("max-{worker}-{number}"), &tally).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    report("max".into(), &before, &tally)
}

/// So many rooms a second, whatever becomes of them.
pub async fn at_rate(load: &Load, rate: u32) -> Result<Phase> {
    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    let before = load.moment()?;
    let begin = tokio::time::Instant::now();
    let mut left_out = 0;
    for number in 0..rate * u32::try_from(load.measured.as_secs().max(1))? {
        sleep_until(begin + Duration::from_secs(1) * number / rate).await;
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= MOST_AT_ONCE {
            left_out += 1;
            continue;
        }
        let (site, tally) = (load.site.clone(), tally.clone());
        tasks.spawn(async move { one(&site, &format!("rate-{number}"), &tally).await });
    }
    while tasks.join_next().await.is_some() {}
    let mut phase = report(format!("{rate} rooms/s"), &before, &tally)?;
    if left_out > 0 {
        phase.figure("left out", f64::from(left_out));
    }
    Ok(phase)
}

fn report(name: String, before: &Moment, tally: &Tally) -> Result<Phase> {
    let cost = before.until_now()?;
    tally.failures.none()?;
    let mut phase = Phase::new(name);
    phase.cost(&cost, tally.took.len(), "room");
    phase.latency(&tally.took);
    Ok(phase)
}

async fn one(site: &Site, room: &str, tally: &Tally) {
    match timeout(PATIENCE, negotiate(site, room)).await.context("a room took too long") {
        Ok(Ok(took)) => tally.took.add(took.as_nanos() as u64),
        Ok(Err(error)) | Err(error) => tally.failures.add(&error),
    }
}

/// One room from beginning to end; how long B waited for its call.
pub async fn negotiate(site: &Site, room: &str) -> Result<Duration> {
    let mut a = Peer::join(site, room, Side::A).await?;
    let begin = Instant::now();
    let mut b = Peer::join(site, room, Side::B).await?;
    peer::negotiate(site, &mut a, &mut b, drop).await?;
    let took = begin.elapsed();
    b.leave().await?;
    a.leave().await?;
    Ok(took)
}
