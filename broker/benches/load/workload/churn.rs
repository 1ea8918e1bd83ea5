//! W4: many distinct rooms, one after another. A server that remembers names gets slower and bigger with every room
//! that ever was. In each room two peers connect, subscribe and join, exchange four messages and go.

use super::{Load, OTHER_CPUS, PATIENCE, Phase, each};
use crate::common::body::Kind;
use crate::common::peer::{Peer, Side, Site};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const AT_ONCE: usize = 16;
/// After this long, nothing is left of the last rooms.
const SETTLE: Duration = Duration::from_secs(1);

pub async fn run(load: &Load) -> Result<Vec<Phase>> {
    let (warm_up, rooms) = if load.is_quick { (500, 5_000) } else { (5_000, 50_000) };
    let tenth = rooms / 10;
    let mut first = 0;
    let mut parts = Vec::new();
    let mut after_warm_up = 0;
    for count in [warm_up, tenth, rooms - 2 * tenth, tenth] {
        let before = load.moment()?;
        for played in
            each(count, AT_ONCE, |number| {
                let (site, room) = (load.site.clone(), first + number);
                async move {
                    timeout(PATIENCE, play(&site, &format!("churn-{room}"))).await.context("a room took too long")?
                }
            })
            .await
        {
            played?;
        }
        parts.push(before.until_now()?);
        if first == 0 {
            sleep(SETTLE).await;
            after_warm_up = load.resident()?;
        }
        first += count;
    }
    sleep(SETTLE).await;
    let grown = load.resident()? as f64 - after_warm_up as f64;
    let each = |part: usize| parts[part].server_us / tenth as f64;
    let mut phase = Phase::new(format!("{rooms} rooms"));
    phase.figure("CPU µs/room at last", each(3));
    phase.figure("at first", each(1));
    phase.figure("last/first", each(3) / each(1));
    phase.figure("rooms/s at last", tenth as f64 / parts[3].seconds);
    phase.figure("bytes left/room", grown / rooms as f64);
    phase.figure(OTHER_CPUS, parts[1..].iter().map(|part| part.others_us / 1e6 / part.seconds).fold(0.0, f64::max));
    Ok(vec![phase])
}

async fn play(site: &Site, room: &str) -> Result<()> {
    let mut a = Peer::join(site, room, Side::A).await?;
    let mut b = Peer::join(site, room, Side::B).await?;
    for _ in 0..2 {
        a.say(site, Kind::Candidate).await?;
        b.hear_kind(Kind::Candidate).await?;
        b.say(site, Kind::Candidate).await?;
        a.hear_kind(Kind::Candidate).await?;
    }
    a.leave().await?;
    b.leave().await
}
