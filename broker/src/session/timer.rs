//! What ends a session by the clock: a client that is silent for too long, and the end of its token. Both are looked at
//! when one timer fires, so that a packet moves a number and not a timer.

use super::outbox::Ending;
use super::{End, Session, Transport};
use crate::hub;
use mqtt_protocol_core::mqtt::connection::TimerKind;
use std::num::NonZeroU32;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tracing::debug;

/// Pause until a client that is held back, and has a token, is looked at again.
const HELD_LOOK: Duration = Duration::from_secs(1);
impl<S: Transport> Session<S> {
    /// One timer for keep-alive and the end of the token; without either there is none.
    pub(super) fn poll_timer(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<End> {
        // It wakes the task by itself once it has been set, and is looked at when its time has come.
        if self.timer.as_ref().is_none_or(|timer| self.timer_is_set && timer.deadline() > now.into()) {
            return Poll::Pending;
        }
        // What a client sends that is held back is not read, so it is not silent; but its token ends.
        let is_held_back = self.is_held_back();
        if is_held_back && self.who.expires().is_none() {
            return Poll::Pending;
        }
        let keep_alive = if is_held_back { Some(now + HELD_LOOK) } else { self.keep_alive() };
        while let Some(timer) = &mut self.timer {
            self.timer_is_set = true;
            ready!(timer.as_mut().poll(context));
            let left = self.who.expires().map(|expires| expires.since(hub::now().wall));
            if left.is_some_and(|left| left.is_zero()) {
                return Poll::Ready(End::Broker(Ending::Expired));
            }
            let Some(deadline) = keep_alive.filter(|deadline| *deadline <= now) else {
                match next_look(now, keep_alive, left) {
                    Some(next) => timer.as_mut().reset(next.into()),
                    None => self.timer = None,
                }
                continue;
            };
            self.silence = None;
            let events = self.connection.notify_timer_fired(TimerKind::PingreqRecv);
            debug!(client = %self.who.id, "nothing heard within one and a half keep-alives");
            // Only the DISCONNECT that it asks for is of interest; the end is certain.
            let _ = self.handle(events, deadline);
            return Poll::Ready(End::Lost);
        }
        Poll::Pending
    }

    /// The client may be silent for so long, from now on.
    pub(super) fn set_keep_alive(&mut self, silence: Option<Duration>) {
        let now = Instant::now();
        self.heard = now;
        self.silence =
            silence.and_then(|silence| NonZeroU32::new(u32::try_from(silence.as_millis()).unwrap_or(u32::MAX)));
        let left = self.who.expires().map(|expires| expires.since(hub::now().wall));
        let next = next_look(now, self.keep_alive(), left);
        self.timer = next.map(|next| Box::pin(tokio::time::sleep_until(next.into())));
        self.timer_is_set = false;
    }

    /// When the client must have said something.
    fn keep_alive(&self) -> Option<Instant> {
        self.silence.map(|milliseconds| self.heard + Duration::from_millis(milliseconds.get().into()))
    }
}

/// When a session must look at the clock next, of which its token has `left`. Within a day it
/// looks again in any case: a clock that is set changes what is left.
fn next_look(now: Instant, keep_alive: Option<Instant>, left: Option<Duration>) -> Option<Instant> {
    let expiry = left.map(|left| now + left.min(Duration::from_secs(24 * 3600)));
    keep_alive.into_iter().chain(expiry).min()
}
