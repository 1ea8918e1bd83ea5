//! What a message, a byte, a peer and a room cost: the points that the cost model is fitted to.

use super::idle::{self, Seating};
use super::relay::{self, Pace, Pair};
use super::{Load, PATIENCE, Phase};
use crate::common::peer::Peer;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Sizes of messages in bytes.
const SIZES: [usize; 4] = [100, 1_000, 3_000, 10_000];
/// Messages of a room in a second; the second is the one at which sizes are tried.
const RATES: [u32; 3] = [1, 4, 16];

/// Relaying, at several rates and sizes.
pub async fn relaying(load: &Load) -> Result<Vec<Phase>> {
    let mut pairs = relay::pairs(&load.site, relay::ROOMS).await?;
    let mut points = RATES.map(|rate| (300, Pace::Clock(rate))).to_vec();
    points.extend(SIZES.map(|size| (size, Pace::Clock(RATES[1]))));
    points.push((300, Pace::Answer));
    points.extend(SIZES.map(|size| (size, Pace::Answer)));
    let mut phases = Vec::new();
    for (size, pace) in points {
        let site = Arc::new(load.site.with_candidates_of(size));
        let name = match pace {
            Pace::Clock(rate) => format!("{} messages/s of {size} bytes", rate as usize * relay::ROOMS),
            Pace::Answer => format!("as many messages of {size} bytes as there can be"),
        };
        let (mut phase, back) = relay::phase(load, &site, pairs, pace, name).await?;
        phase.figure("bytes/message", size as f64);
        phases.push(phase);
        pairs = back;
    }
    phases.push(pings(load, pairs).await?);
    Ok(phases)
}

/// Peers that have nothing to say, and show that they are there.
async fn pings(load: &Load, pairs: Vec<Pair>) -> Result<Phase> {
    let end = Instant::now() + load.measured;
    let before = load.moment()?;
    let mut tasks = JoinSet::new();
    for mut peer in pairs.into_iter().flat_map(|pair| [pair.a, pair.b]) {
        tasks.spawn(async move {
            let mut pings = 0;
            while Instant::now() < end {
                timeout(PATIENCE, peer.ping()).await.context("a ping was not answered")??;
                pings += 1;
            }
            anyhow::Ok(pings)
        });
    }
    let mut pings = 0;
    while let Some(done) = tasks.join_next().await {
        pings += done.expect("no task panics")?;
    }
    let mut phase = Phase::new("as many pings as there can be");
    phase.cost(&before.until_now()?, pings, "ping");
    Ok(phase)
}

/// Sitting, with so many peers in so many rooms. The server must be a fresh one.
pub async fn sitting(load: &Load, seating: Seating) -> Result<Vec<Phase>> {
    let steps: &[usize] = if load.is_quick { &[500, 1_000, 2_000] } else { &[1_000, 5_000, 10_000] };
    let (mut phases, _peers): (_, Vec<Peer>) = idle::fill(load, seating, steps).await?;
    for (phase, peers) in phases.iter_mut().zip(steps) {
        let rooms = match seating {
            Seating::Pairs => peers / 2,
            Seating::Alone => *peers,
            Seating::Outside => 0,
        };
        phase.figure("peers", *peers as f64);
        phase.figure("rooms", rooms as f64);
    }
    Ok(phases)
}
