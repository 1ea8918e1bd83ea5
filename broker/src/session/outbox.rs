//! The queue between the switchboard and one session: bounded, and woken once for many.

use crate::frame::{Message, Qos};
use crate::limits::Bound;
use crate::limits::pool::{Pool, Share};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// A message for one client.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What.
    pub message: Message,
    /// The lower of published and granted.
    pub qos: Qos,
    /// Whether the retain flag is set on the way out (MQTT-3.3.1-8, MQTT-3.3.1-12).
    pub retain: bool,
    /// Subscription identifiers of the subscriptions that it answers (MQTT-3.3.4-3).
    pub subscriptions: Vec<u32>,
    /// When the broker got it; its expiry counts from here.
    pub received: Instant,
}

/// Why the broker ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Another connection has the client id now.
    TakenOver,
    /// The broker stops.
    ShuttingDown,
    /// The client does not read what it subscribed to.
    TooSlow,
    /// Its user is gone, or has other rights now.
    NotAuthorized,
    /// Its token has run out.
    Expired,
}

/// One client's queue. The switchboard puts in, the session takes out.
#[derive(Debug)]
pub struct Outbox(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Delivery>,
    share: Share,
    ending: Option<Ending>,
    waker: Option<Waker>,
    /// The session has given its place up.
    released: bool,
    successors: Vec<Waker>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Put {
    /// It waits for the session.
    Queued,
    /// The queue is full, and QoS 0 may be lost (MQTT 4.3.1).
    Dropped,
}

impl Outbox {
    /// Nothing waits yet.
    pub fn new(pool: &Arc<Pool>) -> Arc<Self> {
        let (queue, share, successors) = (VecDeque::new(), Share::of(pool), Vec::new());
        Arc::new(Self(Mutex::new(Inner { queue, share, ending: None, waker: None, released: false, successors })))
    }

    /// Queues a delivery. A full queue loses QoS 0; anything above ends the connection, since the
    /// client would miss what it was promised.
    pub fn put(&self, delivery: Delivery, bound: Bound) -> Put {
        let mut inner = self.0.lock();
        let size = delivery.message.size();
        if inner.share.bytes() >= bound.bytes || inner.queue.len() >= bound.number || !inner.share.has_room(size) {
            if delivery.qos > Qos::AtMostOnce && inner.ending.is_none() {
                inner.ending = Some(Ending::TooSlow);
                inner.wake();
            }
            return Put::Dropped;
        }
        inner.share.add(size);
        inner.queue.push_back(delivery);
        inner.wake();
        Put::Queued
    }

    /// Asks the session to end, after what is queued.
    pub fn end(&self, ending: Ending) {
        let mut inner = self.0.lock();
        inner.ending.get_or_insert(ending);
        inner.wake();
    }

    /// The next delivery, if it may go now.
    pub fn take_if(&self, may_go: impl FnOnce(&Delivery) -> bool) -> Option<Delivery> {
        let mut inner = self.0.lock();
        if !inner.queue.front().is_some_and(may_go) {
            return None;
        }
        let delivery = inner.queue.pop_front()?;
        inner.share.sub(delivery.message.size());
        if inner.queue.is_empty() {
            inner.queue = VecDeque::new(); // an idle client holds no memory for it
        }
        Some(delivery)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Bytes of those that wait.
    pub fn bytes(&self) -> usize {
        self.0.lock().share.bytes()
    }

    /// Everything that was not taken.
    pub fn drain(&self) -> VecDeque<Delivery> {
        let mut inner = self.0.lock();
        let bytes = inner.share.bytes();
        inner.share.sub(bytes);
        std::mem::take(&mut inner.queue)
    }

    /// Ready when there is something to take or the session is to end; the order to end is given
    /// at once unless the broker stops, which lets the queue run empty first.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Ending>> {
        let mut inner = self.0.lock();
        // Always: a session that may not take what is here must still be woken for its end.
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            inner.waker = Some(context.waker().clone());
        }
        match inner.ending {
            Some(Ending::ShuttingDown) if !inner.queue.is_empty() => Poll::Ready(None),
            Some(ending) => Poll::Ready(Some(ending)),
            _ if inner.queue.is_empty() => Poll::Pending,
            _ => Poll::Ready(None),
        }
    }

    /// Says that the session has given its place up; its state is with the switchboard.
    pub fn release(&self) {
        let mut inner = self.0.lock();
        inner.released = true;
        inner.successors.drain(..).for_each(Waker::wake);
    }

    /// Ready when the session has given its place up.
    pub fn poll_released(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock();
        if inner.released {
            return Poll::Ready(());
        }
        inner.successors.push(context.waker().clone());
        Poll::Pending
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: usize = 1024 * 1024;
    const MAX_MESSAGES: usize = 4096;
    const BOUND: Bound = Bound { number: MAX_MESSAGES, bytes: MAX_BYTES };

    fn delivery(bytes: usize, qos: Qos) -> Delivery {
        Delivery {
            message: Message::own(String::new(), vec![0; bytes], qos),
            qos,
            retain: false,
            subscriptions: Vec::new(),
            received: Instant::now(),
        }
    }

    fn poll(outbox: &Outbox) -> Poll<Option<Ending>> {
        outbox.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_queue_loses_qos_0_and_ends_the_client_above() {
        let outbox = Outbox::new(&Pool::new(1 << 30));
        assert_eq!(outbox.put(delivery(MAX_BYTES, Qos::AtMostOnce), BOUND), Put::Queued);
        assert_eq!(outbox.put(delivery(1, Qos::AtMostOnce), BOUND), Put::Dropped);
        assert_eq!(poll(&outbox), Poll::Ready(None));
        assert_eq!(outbox.put(delivery(1, Qos::AtLeastOnce), BOUND), Put::Dropped);
        assert_eq!(poll(&outbox), Poll::Ready(Some(Ending::TooSlow)));
    }

    #[test]
    fn many_small_messages_are_bounded_too() {
        let outbox = Outbox::new(&Pool::new(1 << 30));
        let queued = (0..MAX_MESSAGES * 2).filter(|_| outbox.put(delivery(0, Qos::AtMostOnce), BOUND) == Put::Queued);
        assert_eq!(queued.count(), MAX_MESSAGES);
    }

    #[test]
    fn a_stopping_broker_lets_the_queue_run_empty_first() {
        let outbox = Outbox::new(&Pool::new(1 << 30));
        assert_eq!(outbox.put(delivery(1, Qos::AtMostOnce), BOUND), Put::Queued);
        outbox.end(Ending::ShuttingDown);
        assert_eq!(poll(&outbox), Poll::Ready(None));
        assert!(outbox.take_if(|_| true).is_some());
        assert_eq!(poll(&outbox), Poll::Ready(Some(Ending::ShuttingDown)));
        outbox.end(Ending::TakenOver);
        assert_eq!(poll(&outbox), Poll::Ready(Some(Ending::ShuttingDown)), "the first reason stays");
    }
}
