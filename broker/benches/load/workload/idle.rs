//! W3: peers that say nothing. What does each of them keep, and each room? And what do they cost those who talk?

use super::{Load, PATIENCE, Phase, each, negotiate};
use crate::common::peer::{Peer, Side, Site};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const AT_ONCE: usize = 16;
/// After this long, what was needed for coming in only has been given back.
const SETTLE: Duration = Duration::from_secs(2);
/// Rooms that are negotiated in a second beside those that say nothing.
const BESIDE: u32 = 200;

/// Where peers sit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seating {
    /// Two to a room.
    Pairs,
    /// Each in a room of its own.
    Alone,
    /// Connected, subscribed, and in no room.
    Outside,
}

impl Seating {
    pub const ALL: [Self; 3] = [Self::Pairs, Self::Alone, Self::Outside];
}

/// Two to a room, more and more of them; then rooms come and go beside the most.
pub async fn run(load: &Load) -> Result<Vec<Phase>> {
    let steps: &[usize] = if load.is_quick { &[1_000, 2_000] } else { &[2_000, 10_000, 18_000] };
    let (mut phases, peers) = fill(load, Seating::Pairs, steps).await?;
    let mut beside = negotiate::at_rate(load, BESIDE).await?;
    beside.name = format!("{} beside {} peers", beside.name, peers.len());
    all_connected(&peers)?;
    phases.push(beside);
    Ok(phases)
}

/// Resident memory at each of these numbers of peers, against a server that nobody has come to yet.
pub async fn fill(load: &Load, seating: Seating, steps: &[usize]) -> Result<(Vec<Phase>, Vec<Peer>)> {
    let empty = load.resident()?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut phases = Vec::new();
    let together = if seating == Seating::Pairs { 2 } else { 1 };
    for &wanted in steps {
        let before = load.moment()?;
        let (count, begin) = ((wanted - peers.len()) / together, peers.len());
        let seated = each(count, AT_ONCE, |number| {
            let (site, room) = (load.site.clone(), format!("idle-{}", begin + number));
            async move { timeout(PATIENCE, seat(&site, &room, seating)).await.context("a join took too long")? }
        });
        for room in seated.await {
            peers.extend(room?);
        }
        let cost = before.until_now()?;
        sleep(SETTLE).await;
        let before = load.moment()?;
        sleep(SETTLE).await;
        let idle = before.until_now()?;
        let resident = load.resident()?;
        all_connected(&peers)?;
        let mut phase = Phase::new(match seating {
            Seating::Pairs => format!("{wanted} peers"),
            Seating::Alone => format!("{wanted} peers, each alone"),
            Seating::Outside => format!("{wanted} peers, in no room"),
        });
        phase.figure("bytes/peer", resident.saturating_sub(empty) as f64 / peers.len() as f64);
        phase.figure("resident MiB", resident as f64 / 1_048_576.0);
        phase.cost(&cost, count * together, "join");
        phase.figure("idle CPUs", idle.server_us / 1e6 / idle.seconds);
        phases.push(phase);
    }
    Ok((phases, peers))
}

async fn seat(site: &Site, room: &str, seating: Seating) -> Result<Vec<Peer>> {
    Ok(match seating {
        Seating::Pairs => vec![Peer::join(site, room, Side::A).await?, Peer::join(site, room, Side::B).await?],
        Seating::Alone => vec![Peer::join(site, room, Side::A).await?],
        Seating::Outside => vec![Peer::connect(site, room, Side::A).await?],
    })
}

fn all_connected(peers: &[Peer]) -> Result<()> {
    let lost = peers.iter().filter(|peer| !peer.is_connected()).count();
    ensure!(lost == 0, "{lost} of {} peers lost their connection", peers.len());
    Ok(())
}
