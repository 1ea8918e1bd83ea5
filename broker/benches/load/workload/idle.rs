//! W3: peers that have joined, two to a room, and say nothing. What does each of them keep?

use super::{Load, PATIENCE, Phase, each};
use crate::peer::{Peer, Side};
use crate::proc::resident;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const AT_ONCE: usize = 16;
/// After this long, what was needed for coming in only has been given back.
const SETTLE: Duration = Duration::from_secs(2);

/// Resident memory at each of these numbers of peers, against a server that nobody has come to yet.
pub async fn run(load: &Load, steps: &[usize]) -> Result<Vec<Phase>> {
    let empty = resident(load.server)?;
    let mut peers: Vec<Peer> = Vec::new();
    let mut phases = Vec::new();
    for &wanted in steps {
        let before = load.moment()?;
        let (rooms, begin) = ((wanted - peers.len()) / 2, peers.len() / 2);
        let joined = each(rooms, AT_ONCE, |number| {
            let (site, room) = (load.site.clone(), format!("idle-{}", begin + number));
            let both = async move {
                anyhow::Ok([Peer::join(&site, &room, Side::A).await?, Peer::join(&site, &room, Side::B).await?])
            };
            async move { timeout(PATIENCE, both).await.context("a join took too long")? }
        })
        .await;
        for room in joined {
            peers.extend(room?);
        }
        let cost = before.until_now(load.server)?;
        sleep(SETTLE).await;
        let before = load.moment()?;
        sleep(SETTLE).await;
        let idle = before.until_now(load.server)?;
        let resident = resident(load.server)?;
        let lost = peers.iter().filter(|peer| !peer.is_connected()).count();
        ensure!(lost == 0, "{lost} of {} peers lost their connection", peers.len());
        let mut phase = Phase::new(format!("{wanted} peers"));
        phase.figure("bytes/peer", resident.saturating_sub(empty) as f64 / peers.len() as f64);
        phase.figure("resident MiB", resident as f64 / 1_048_576.0);
        phase.cost(&cost, rooms * 2, "join");
        phase.figure("idle CPUs", idle.server_us / 1e6 / idle.seconds);
        phases.push(phase);
    }
    Ok(phases)
}
