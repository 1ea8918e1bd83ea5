//! A connection that sends more than it may: it is not read from for a while, which slows an honest
//! sender down and needs nobody's help; if it goes on without a pause it is told so and slowed down
//! to a hundredth, and ended in the end. Nothing that it has sent before that is lost.

use super::{End, Session, Transport};
use crate::audit::What;
use crate::sys::Counters;
use agent::access::authorize::Refusal;
use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;
use protocol::ErrorCode;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Shortest time for which nothing is read, so that a turn of the event loop is worth several
/// messages.
const LEAST: Duration = Duration::from_millis(100);

/// How many times as much everything counts for a client that has been told and goes on.
const PENALTY: u64 = 100;

/// What there is of a connection while it is held back; others have none of it.
pub(super) struct Held {
    timer: Pin<Box<Sleep>>,
    /// Nothing is read until the timer fires; else it is being looked whether more has come.
    is_waiting: bool,
    /// More had come when it was read from again.
    again: bool,
    is_told: bool,
    since: Instant,
    counters: Arc<Counters>,
}

impl Held {
    fn new(until: Instant, since: Instant, counters: Arc<Counters>) -> Self {
        counters.held_back.add(1);
        counters.held_back_now.add(1);
        let timer = Box::pin(tokio::time::sleep_until(until.into()));
        Self { timer, is_waiting: true, again: false, is_told: false, since, counters }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.held_back_now.sub(1);
    }
}

impl<S: Transport> Session<S> {
    /// The client has sent so many bytes.
    pub(super) fn spend_bytes(&mut self, bytes: usize, now: Instant) {
        let nanos = self.hub.clock.nanos(now);
        let amount = bytes as u64 * self.weight();
        if let Some(owed) = self.bytes.take(amount, &self.hub.limits.bytes, nanos) {
            self.hold_back(owed, now);
        }
    }

    /// The client has sent a packet that counts.
    pub(super) fn spend_message(&mut self, now: Instant) {
        let nanos = self.hub.clock.nanos(now);
        let weight = self.weight();
        if let Some(owed) = self.messages.take(weight, &self.hub.limits.messages, nanos) {
            self.hold_back(owed, now);
        }
    }

    fn weight(&self) -> u64 {
        if self.held.as_ref().is_some_and(|held| held.is_told) { PENALTY } else { 1 }
    }

    fn hold_back(&mut self, owed: Duration, now: Instant) {
        let until = now + owed.max(LEAST);
        match &mut self.held {
            Some(held) => {
                held.again |= !held.is_waiting;
                held.is_waiting = true;
                held.timer.as_mut().reset(until.into());
            }
            None => self.held = Some(Box::new(Held::new(until, now, self.hub.counters.clone()))),
        }
    }

    /// Whether nothing may be read or handled now.
    pub(super) fn is_held_back(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_waiting)
    }

    /// There was nothing more to read: the client has paused.
    pub(super) fn has_paused(&mut self) {
        self.held = None;
    }

    /// Ready when the client may be read from again, or its end has come.
    pub(super) fn poll_held_back(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Some(held) = self.held.as_mut().filter(|held| held.is_waiting) else { return Poll::Ready(Ok(())) };
        ready!(held.timer.as_mut().poll(context));
        held.is_waiting = false;
        if !held.again {
            return Poll::Ready(Ok(()));
        }
        let (time, limits) = (held.since.elapsed(), &self.hub.limits);
        if time >= limits.held_back_limit {
            self.audit(What::Rate, "it has sent more than it may for too long");
            return Poll::Ready(Err(self.end_with(DisconnectReasonCode::MessageRateTooHigh)));
        }
        if time >= limits.held_back_warning && !std::mem::replace(&mut held.is_told, true) {
            let why = format!(
                "a connection may send {} messages and {} bytes a second; \
                 this one sends more, is slowed down, and is ended if it goes on",
                limits.messages.per_period, limits.bytes.per_period
            );
            self.refuse(What::Rate, Refusal { code: ErrorCode::RateLimited, why, room: None });
        }
        Poll::Ready(Ok(()))
    }
}
