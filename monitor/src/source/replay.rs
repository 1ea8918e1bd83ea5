//! A recording, played as if it happened now: at its own pace, faster, or as fast as it is taken.

#![allow(clippy::disallowed_methods, reason = "sources are where the time comes from")]

use super::clock::Seconds;
use super::queue::{Closed, Sender};
use crate::recording::{Pace, Reader};
use crate::wire::Input;
use protocol::Timestamp;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest that is waited for one input. Only a silence of which not every second is told takes longer.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Plays it to its end, or until nobody takes inputs any more.
pub(super) async fn play(recording: Reader, mut pace: watch::Receiver<Pace>, mut out: Sender) {
    let mut seconds = Seconds::default();
    let mut latest = Timestamp::default();
    for input in recording.map(|read| read.unwrap_or_else(Input::from)) {
        // Times within a recording may run backwards; what was told of them before stays as it is.
        let at = input.at();
        for second in seconds.until(at) {
            if step(&mut latest, second, &mut pace, &mut out, Input::Tick(second)).await.is_err() {
                return;
            }
        }
        // The end of a recording is told as a time, which the seconds have told already.
        if !matches!(input, Input::Tick(_)) && step(&mut latest, at, &mut pace, &mut out, input).await.is_err() {
            return;
        }
    }
}

async fn step(
    latest: &mut Timestamp,
    at: Timestamp,
    pace: &mut watch::Receiver<Pace>,
    out: &mut Sender,
    input: Input,
) -> Result<(), Closed> {
    let silence = if *latest == Timestamp::default() { Duration::ZERO } else { at.since(*latest) };
    *latest = at.max(*latest);
    wait(silence.min(LONGEST_SILENCE), pace).await?;
    out.send(input).await
}

/// Waits for so much recorded time, however the pace changes meanwhile.
async fn wait(mut recorded: Duration, pace: &mut watch::Receiver<Pace>) -> Result<(), Closed> {
    loop {
        let Pace { speed, paused } = *pace.borrow_and_update();
        if paused {
            pace.changed().await.map_err(|_| Closed)?;
            continue;
        }
        let Some(speed) = speed else { return Ok(()) };
        if recorded.is_zero() {
            return Ok(());
        }
        let begin = Instant::now();
        tokio::select! {
            () = tokio::time::sleep(recorded.div_f64(speed)) => return Ok(()),
            changed = pace.changed() => {
                changed.map_err(|_| Closed)?;
                recorded = recorded.saturating_sub(begin.elapsed().mul_f64(speed));
            }
        }
    }
}
