//! Between whoever brings inputs and whoever takes them: bounded by what the inputs weigh.
//!
//! A live source never waits: what finds no room is dropped and counted, and the count is told as soon as there is
//! room again. A recording waits instead.

use crate::wire::{Input, Message};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// What an input costs besides its topic and payload.
const OVERHEAD: usize = 128;

/// The end of the queue where inputs go in.
#[derive(Debug)]
pub struct Sender {
    inputs: mpsc::UnboundedSender<(Input, u32)>,
    room: Arc<Semaphore>,
    capacity: u32,
    lost: u64,
}

/// The end of the queue where inputs come out.
#[derive(Debug)]
pub struct Receiver {
    inputs: mpsc::UnboundedReceiver<(Input, u32)>,
    room: Arc<Semaphore>,
}

/// Nobody takes inputs any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

/// A queue that holds `capacity` bytes.
#[must_use]
pub fn bounded(capacity: u32) -> (Sender, Receiver) {
    let room = Arc::new(Semaphore::new(capacity as usize));
    let (inputs, taken) = mpsc::unbounded_channel();
    (Sender { inputs, room: room.clone(), capacity, lost: 0 }, Receiver { inputs: taken, room })
}

impl Sender {
    /// Puts an input in if there is room for it. A message that finds none is dropped and counted; whatever else
    /// there is is rare and small, and always goes in.
    ///
    /// # Errors
    /// If nobody takes inputs any more.
    pub fn offer(&mut self, input: Input) -> Result<(), Closed> {
        let weight = weigh(&input).min(self.capacity);
        let is_message = matches!(input, Input::Message(_));
        if !take(&self.room, weight) {
            if is_message {
                self.lost += 1;
                return if self.inputs.is_closed() { Err(Closed) } else { Ok(()) };
            }
            return self.put(input, 0);
        }
        if self.lost > 0 {
            let lost = Input::Lost { at: input.at(), messages: std::mem::take(&mut self.lost) };
            self.put(lost, 0)?;
        }
        self.put(input, weight)
    }

    /// Puts an input in, waiting for room.
    ///
    /// # Errors
    /// If nobody takes inputs any more.
    pub async fn send(&mut self, input: Input) -> Result<(), Closed> {
        let weight = weigh(&input).min(self.capacity);
        self.room.acquire_many(weight).await.map_err(|_| Closed)?.forget();
        self.put(input, weight)
    }

    fn put(&self, input: Input, weight: u32) -> Result<(), Closed> {
        self.inputs.send((input, weight)).map_err(|_| Closed)
    }
}

impl Receiver {
    /// The next input, when there is one; `None` when nothing more comes. Cancel-safe.
    pub async fn next(&mut self) -> Option<Input> {
        let (input, weight) = self.inputs.recv().await?;
        self.room.add_permits(weight as usize);
        Some(input)
    }

    /// The next input, if there is one now.
    pub fn try_next(&mut self) -> Option<Input> {
        let (input, weight) = self.inputs.try_recv().ok()?;
        self.room.add_permits(weight as usize);
        Some(input)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Whoever waits for room shall not wait for ever.
        self.room.close();
    }
}

fn take(room: &Semaphore, weight: u32) -> bool {
    room.try_acquire_many(weight).map(tokio::sync::SemaphorePermit::forget).is_ok()
}

fn weigh(input: &Input) -> u32 {
    let bytes = match input {
        Input::Message(Message { topic, payload, .. }) => topic.len() + payload.len(),
        Input::Link { .. } | Input::Lost { .. } | Input::Agent { .. } | Input::Unread { .. } | Input::Tick(_) => 0,
    };
    u32::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use protocol::Timestamp;

    fn message(bytes: usize) -> Input {
        let payload = Bytes::from(vec![b'x'; bytes]);
        Input::Message(Message { at: Timestamp::default(), topic: "".into(), payload, qos: 0, retain: false })
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_when_there_is_room_again() {
        let (mut sender, mut receiver) = bounded(1000);
        for _ in 0..5 {
            sender.offer(message(300)).unwrap();
        }
        assert_eq!(receiver.try_next(), Some(message(300)));
        let tick = Input::Tick(Timestamp::from_millis(1));
        sender.offer(tick.clone()).unwrap();
        sender.offer(message(300)).unwrap();
        sender.offer(message(300)).unwrap();
        sender.offer(tick.clone()).unwrap();
        assert_eq!(receiver.try_next(), Some(message(300)));
        assert_eq!(receiver.try_next(), Some(Input::Lost { at: Timestamp::from_millis(1), messages: 3 }));
        assert_eq!(receiver.try_next(), Some(tick.clone()));
        assert_eq!(receiver.try_next(), Some(message(300)));
        assert_eq!(receiver.try_next(), Some(tick), "time is never dropped");
        sender.offer(message(1)).unwrap();
        assert_eq!(receiver.try_next(), Some(Input::Lost { at: Timestamp::default(), messages: 1 }));
        assert_eq!(receiver.try_next(), Some(message(1)));
        assert_eq!(receiver.try_next(), None);
        sender.offer(message(5000)).unwrap();
        assert_eq!(receiver.try_next(), Some(message(5000)), "one alone is taken whatever it weighs");
        drop(receiver);
        assert_eq!(sender.offer(message(1)), Err(Closed));
    }

    #[tokio::test]
    async fn who_may_wait_loses_nothing_and_does_not_wait_for_nobody() {
        let (mut sender, mut receiver) = bounded(1000);
        let sends = tokio::spawn(async move {
            for _ in 0..100 {
                sender.send(message(300)).await.unwrap();
            }
            while sender.send(message(900)).await.is_ok() {}
        });
        for _ in 0..100 {
            assert_eq!(receiver.next().await, Some(message(300)));
        }
        drop(receiver);
        tokio::time::timeout(std::time::Duration::from_secs(20), sends).await.unwrap().unwrap();
    }
}
