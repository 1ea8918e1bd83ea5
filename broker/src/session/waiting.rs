//! Acknowledgements that wait for something else to go to the same client, and then go with it.
//!
//! A send is a third of what a message at QoS 1 costs among others, and PUBACK alone is every second of them. Nobody waits for it
//! longer than that: only while the broker is busy, so that others are ahead in any case, and for a few milliseconds. A message
//! that is alone is acknowledged at once.

use super::{Session, Transport};
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;
use tokio::time::Sleep;

/// How long an acknowledgement waits at most.
const LONGEST: Duration = Duration::from_millis(10);
/// How much of them waits at most, in bytes: a client may have no more messages under way than it was told.
const MOST: usize = 64;

/// All that a session has not written, if it is nothing else.
pub(super) struct Waiting {
    bytes: usize,
    over: Pin<Box<Sleep>>,
}

impl<S: Transport> Session<S> {
    /// What stands in the session's buffer from `from` on is an acknowledgement that may wait.
    pub(super) fn may_wait(&mut self, from: usize) {
        let added = self.unwritten.len() - from;
        match &mut self.waiting {
            Some(waiting) => waiting.bytes += added,
            None if from == self.written as usize => {
                let over = Box::pin(tokio::time::sleep(LONGEST));
                self.waiting = Some(Box::new(Waiting { bytes: added, over }));
            }
            // Something goes out already.
            None => {}
        }
    }

    /// Whether there is nothing to write but what waits; the task is woken when that is over.
    pub(super) fn has_only_waiting(&mut self, context: &mut Context<'_>) -> bool {
        let unwritten = self.to_write().len();
        let waits = |waiting: &mut Box<Waiting>| {
            waiting.bytes == unwritten && unwritten < MOST && waiting.over.as_mut().poll(context).is_pending()
        };
        let waits = self.waiting.as_mut().is_some_and(waits);
        if !waits {
            self.waiting = None;
        }
        waits
    }
}
