//! More than the broker takes: newcomers when it is full, and messages. Those inside must lose nothing.

use super::relay::{self, Pace, Pair};
use super::{Failures, Load, PATIENCE, Phase, Samples};
use crate::common::body::Kind;
use crate::common::peer::{Peer, Site};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{interval, timeout};

/// Newcomers that knock at once.
const AT_ONCE: usize = 64;
/// CONNACK, server unavailable (MQTT 3.2.2.3).
const UNAVAILABLE: u8 = 3;
/// What a sender has to say is sent so often.
const TICK: Duration = Duration::from_millis(100);
/// Offered at first, of what is relayed when everybody waits for the last message: messages that come together cost less
/// than half of such.
const FIRST_FLOOD: f64 = 5.0;
/// Offered at last, of what is relayed of it.
const FLOOD: f64 = 2.0;
/// More than asked for by what the last flood came to, so that the next one is enough.
const MORE: f64 = 1.15;
const MOST_FLOODS: usize = 4;

pub async fn run(load: &Load) -> Result<Vec<Phase>> {
    let pairs = relay::pairs(&load.site, relay::ROOMS).await?;
    let (newcomers, pairs) = full(load, pairs).await?;
    let (closed, pairs) = relay::phase(load, &load.site, pairs, Pace::Answer, String::new()).await?;
    let capacity = closed.figures.iter().find(|(name, _)| name == "messages/s").context("no rate")?.1;
    let mut flood = flooded(load, pairs, FIRST_FLOOD * capacity).await?;
    for _ in 1..MOST_FLOODS {
        if flood.ratio >= FLOOD {
            break;
        }
        flood = flooded(load, flood.pairs, flood.offered * FLOOD / flood.ratio * MORE).await?;
    }
    let Flood { ratio, offered, .. } = flood;
    ensure!(ratio >= FLOOD, "{offered:.0} messages a second are only {ratio:.2} times what is relayed of them");
    Ok(vec![newcomers, flood.phase])
}

/// What became of more messages than there can be.
struct Flood {
    phase: Phase,
    pairs: Vec<Pair>,
    /// A second.
    offered: f64,
    /// Offered, of what was relayed.
    ratio: f64,
}

/// Every place is taken, and those inside talk on a clock, while as many again want to come in.
async fn full(load: &Load, pairs: Vec<Pair>) -> Result<(Phase, Vec<Pair>)> {
    let (refused, failures) = (Arc::new(Samples::default()), Arc::new(Failures::default()));
    let end = Instant::now() + load.measured;
    let mut tasks = JoinSet::new();
    for newcomer in 0..AT_ONCE {
        let (site, refused, failures) = (load.site.clone(), refused.clone(), failures.clone());
        tasks.spawn(async move {
            for number in 0.. {
                if Instant::now() >= end || failures.count() > 100 {
                    break;
                }
                let begin = Instant::now();
                match knock(&site, &format!("late-{newcomer}-{number}")).await {
                    Ok(()) => refused.add(begin.elapsed().as_nanos() as u64),
                    Err(error) => failures.add(&error),
                }
            }
        });
    }
    let name = "newcomers when every place is taken".into();
    // It fails if a message of those inside does not come.
    let (mut phase, pairs) = relay::phase(load, &load.site, pairs, Pace::Clock(relay::RATE), name).await?;
    while tasks.join_next().await.is_some() {}
    failures.none()?;
    phase.figure("refused/s", refused.len() as f64 / load.measured.as_secs_f64());
    phase.times("refused", &refused);
    Ok((phase, pairs))
}

/// Wants to come in, and is told that there is no place.
async fn knock(site: &Site, id: &str) -> Result<()> {
    let code = timeout(PATIENCE, Peer::knock(site, id)).await.context("a newcomer was not answered")??;
    ensure!(code == UNAVAILABLE, "a newcomer was answered with {code} in place of {UNAVAILABLE}");
    Ok(())
}

/// One peer of each room speaks, whatever the broker can do.
async fn flooded(load: &Load, pairs: Vec<Pair>, rate: f64) -> Result<Flood> {
    let rooms = pairs.len();
    let each_tick = (rate * TICK.as_secs_f64() / rooms as f64).ceil() as usize;
    let ticks = (load.measured.as_secs_f64() / TICK.as_secs_f64()) as usize;
    let wanted = each_tick * ticks;
    let (took, failures) = (Arc::new(Samples::default()), Failures::default());
    let mut tasks = JoinSet::new();
    let before = load.moment()?;
    for Pair { mut a, mut b } in pairs {
        let (site, took) = (load.site.clone(), took.clone());
        let speaker = tokio::spawn(async move {
            let mut clock = interval(TICK); // one that has been held up catches up
            for _ in 0..ticks {
                clock.tick().await;
                (0..each_tick).for_each(|_| a.prepare(&site, Kind::Candidate));
                a.settle().await?;
                yield_now().await; // what nobody here reads is the broker's to lose
            }
            anyhow::Ok(a)
        });
        let listener = tokio::spawn(async move {
            for number in 0..wanted {
                let heard = timeout(PATIENCE, b.hear_kind(Kind::Candidate)).await;
                took.add(heard.with_context(|| format!("{} of {wanted} messages did not come", wanted - number))??);
            }
            anyhow::Ok(b)
        });
        tasks.spawn(async move { anyhow::Ok(Pair { a: speaker.await??, b: listener.await?? }) });
    }
    let mut pairs = Vec::with_capacity(rooms);
    while let Some(done) = tasks.join_next().await {
        match done.expect("no task panics") {
            Ok(pair) => pairs.push(pair),
            Err(error) => failures.add(&error),
        }
    }
    let cost = before.until_now()?;
    failures.none()?;
    let mut phase = Phase::new("twice the messages that there can be");
    let offered = (wanted * rooms) as f64 / load.measured.as_secs_f64();
    let ratio = offered * cost.seconds / (wanted * rooms) as f64;
    phase.figure("offered/s", offered);
    phase.figure("offered/relayed", ratio);
    phase.cost(&cost, wanted * rooms, "message");
    phase.figure("lost", 0.0);
    phase.latency(&took);
    Ok(Flood { phase, pairs, offered, ratio })
}
