//! The backbone: rumqttd's router between everything that is said and everybody who is to hear it.
//!
//! One link carries frames in and one carries them out, over one topic, and all that wait for their
//! turn go in one batch: what the router does for one message, whatever is in it, was a quarter of
//! what the broker did for it. Both limits come from how
//! the router works: it never forgets a topic, filter or client name (260 bytes for each topic, 9 KB
//! for each client that came and went), and a reader that falls behind its commit log is silently
//! moved to the log's head. So names here are fixed, and the uplink keeps no more than 512 KiB (`WINDOW`)
//! bytes between itself and the downlink, which is well below what the log retains. What exceeds
//! the window waits in the uplink; sessions stop reading their sockets while anything waits.
//!
//! What crosses is handed to another thread and handed back. Among many messages that adds little to
//! what each of them costs; to one that is alone it would add more than all the rest. So a batch that
//! is all there is, is handed out by the uplink itself, and the order is kept.
//!
//! Sessions that wait for room stand in line and keep their place until they have been served: a
//! thousand that have much to say cannot keep out the one that has little. Those that are held back
//! for sending too much stand in a line of their own, and may fill an eighth of the window.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Packet, Publish};
use rumqttd::{Notification, Router, RouterConfig};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Most bytes between uplink and downlink.
const WINDOW: usize = 512 * 1024;
/// With more than so much on its way the broker is busy.
const BUSY: usize = 4 * 1024;
/// What those may fill of it that send more than they may.
const WINDOW_HELD_BACK: usize = WINDOW / 8;
/// How many in line are woken for each frame that has gone through.
const WOKEN: usize = 4;
/// The commit log keeps at least `(SEGMENTS - 1) * SEGMENT` bytes, and must exceed the window by
/// the largest frame.
const SEGMENT: usize = 128 * 1024;
const SEGMENTS: usize = 8;
/// The one topic of the backbone; the real topic travels in the frame.
const LANE: &str = "lane";
/// A batch of at least so many bytes takes no more frames.
const BATCH: usize = 16 * 1024;
/// What a batch has room for to begin with; mostly it is one message.
const FIRST: usize = 512;
/// Each frame comes after its length in so many bytes.
const LENGTH: usize = 4;
/// What the router counts for a batch besides its bytes.
const OVERHEAD: usize = 4 + LANE.len();

/// Why there is no backbone.
#[derive(Debug, thiserror::Error)]
#[error("the backbone has gone: {0}")]
pub struct BackboneError(Box<LinkError>);

impl From<LinkError> for BackboneError {
    fn from(error: LinkError) -> Self {
        Self(Box::new(error))
    }
}

/// Whose frames wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Those who keep to what they may send.
    Ordinary,
    /// Those who do not.
    HeldBack,
}

/// A place in the line for room; kept until its owner has been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    class: Class,
    number: u32,
}

/// Where frames go in.
pub struct Uplink(Mutex<Inner>);

struct Inner {
    link: LinkTx,
    /// Batches of what is accepted and not yet handed to the router; the last may grow.
    waiting: VecDeque<BytesMut>,
    waiting_bytes: usize,
    /// Handed to the router, not yet seen by the downlink.
    in_flight: usize,
    /// Sessions that wait until there is room, by their places.
    line: BTreeMap<Place, Waker>,
    next_place: u32,
    /// The task that hands over, once for a turn of the loop.
    pump: Option<Waker>,
}

/// Where frames come out, in the order in which they went in.
pub struct Downlink {
    link: LinkRx,
    uplink: Arc<Uplink>,
}

/// Frames that have come through together. They are on their way until it is dropped.
pub struct Batch<'a> {
    uplink: &'a Uplink,
    rest: Bytes,
    size: usize,
}

/// Starts the router's thread and links to it. Blocks for a moment.
///
/// # Errors
/// If the router does not answer.
pub fn start() -> Result<(Arc<Uplink>, Downlink), BackboneError> {
    let config = RouterConfig {
        max_connections: 4,
        max_outgoing_packet_count: 4096,
        max_segment_size: SEGMENT,
        max_segment_count: SEGMENTS,
        ..RouterConfig::default()
    };
    let router = Router::new(0, config).spawn();
    let (mut subscriber, receiver, _) = LinkBuilder::new("downlink", router.clone()).build()?;
    subscriber.subscribe(LANE)?;
    let (link, _, _) = LinkBuilder::new("uplink", router).build()?;
    let uplink = Arc::new(Uplink(Mutex::new(Inner {
        link,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        in_flight: 0,
        line: BTreeMap::new(),
        next_place: 0,
        pump: None,
    })));
    Ok((uplink.clone(), Downlink { link: receiver, uplink }))
}

impl Uplink {
    /// Accepts a frame, which `write` appends to what it is given. It is handed over when this turn
    /// of the event loop has run, so that frames of many sessions wake the router once. Never fails
    /// and never blocks; whoever reads from a socket asks [`Self::poll_room`] first.
    pub fn push(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut inner = self.0.lock();
        inner.waiting_bytes += append(&mut inner.waiting, write);
        if let Some(pump) = inner.pump.take() {
            pump.wake();
        }
    }

    /// Whether the window has room.
    pub fn has_room(&self, class: Class) -> bool {
        self.0.lock().has_room(class)
    }

    /// Ready while the window has room; otherwise wakes the task when it may have. `place` is the
    /// caller's in the line, and kept by it between calls; it begins with none.
    pub fn poll_room(&self, context: &mut Context<'_>, class: Class, place: &mut Option<Place>) -> Poll<()> {
        let mut inner = self.0.lock();
        if inner.has_room(class) {
            if let Some(place) = place.take() {
                inner.line.remove(&place);
            }
            return Poll::Ready(());
        }
        if let Some(other) = place.take_if(|place| place.class != class) {
            inner.line.remove(&other);
        }
        let place = *place.get_or_insert_with(|| {
            // Places are few at any time: that they begin anew after four thousand million harms nobody.
            inner.next_place = inner.next_place.wrapping_add(1);
            Place { class, number: inner.next_place }
        });
        inner.line.insert(place, context.waker().clone());
        Poll::Pending
    }

    /// Gives a place in the line up.
    pub fn leave_line(&self, place: Place) {
        self.0.lock().line.remove(&place);
    }

    /// Whether more than a few messages are on their way.
    pub fn is_busy(&self) -> bool {
        let inner = self.0.lock();
        inner.waiting_bytes + inner.in_flight > BUSY
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        let inner = self.0.lock();
        inner.waiting.is_empty() && inner.in_flight == 0
    }

    /// Hands over what was pushed, until the router has gone: to the router, or to `deliver` a batch that is all there
    /// is. Runs as a task of its own.
    pub async fn pump(&self, mut deliver: impl FnMut(Batch<'_>)) -> BackboneError {
        loop {
            poll_fn(|context| {
                let mut inner = self.0.lock();
                if inner.can_hand_over() {
                    return Poll::Ready(());
                }
                inner.pump = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            let only = self.0.lock().take_only();
            if let Some(batch) = only {
                deliver(Batch::new(self, batch));
            } else if let Err(error) = self.0.lock().hand_over() {
                return error;
            }
        }
    }

    fn release(&self, bytes: usize) {
        let mut inner = self.0.lock();
        inner.in_flight = inner.in_flight.saturating_sub(bytes);
        if inner.can_hand_over()
            && let Some(pump) = inner.pump.take()
        {
            pump.wake();
        }
        if inner.waiting_bytes + inner.in_flight == 0 {
            // Nothing more comes through that would wake the next.
            std::mem::take(&mut inner.line).into_values().for_each(Waker::wake);
            return;
        }
        for _ in 0..WOKEN {
            let Some(first) = inner.line.first_entry() else { return };
            let class = first.key().class;
            if !inner.has_room(class) {
                return;
            }
            if let Some((_, waker)) = inner.line.pop_first() {
                waker.wake();
            }
        }
    }
}

impl Inner {
    fn has_room(&self, class: Class) -> bool {
        let window = match class {
            Class::Ordinary => WINDOW,
            Class::HeldBack => WINDOW_HELD_BACK,
        };
        self.waiting_bytes + self.in_flight < window
    }

    fn can_hand_over(&self) -> bool {
        !self.waiting.is_empty() && self.in_flight < WINDOW
    }

    /// The batch that is all there is, if there is one.
    fn take_only(&mut self) -> Option<Bytes> {
        if self.in_flight > 0 || self.waiting.len() > 1 {
            return None;
        }
        let batch = self.waiting.pop_front()?;
        self.waiting_bytes -= batch.len();
        self.in_flight += batch.len() + OVERHEAD;
        Some(batch.freeze())
    }

    fn hand_over(&mut self) -> Result<(), BackboneError> {
        let Inner { link, waiting, waiting_bytes, in_flight, .. } = self;
        let mut last = None;
        {
            let mut buffer = link.buffer();
            while *in_flight < WINDOW
                && let Some(batch) = waiting.pop_front()
            {
                *waiting_bytes -= batch.len();
                *in_flight += batch.len() + OVERHEAD;
                buffer.extend(last.replace(batch.freeze()).map(packet));
            }
        }
        // Publishing the last batch also tells the router that there is data.
        if let Some(batch) = last {
            link.publish(LANE, batch)?;
        }
        Ok(())
    }
}

/// Appends a frame to the last batch, or begins one; how many bytes that took.
fn append(batches: &mut VecDeque<BytesMut>, write: impl FnOnce(&mut BytesMut)) -> usize {
    if batches.back().is_none_or(|batch| batch.len() >= BATCH) {
        batches.push_back(BytesMut::with_capacity(FIRST));
    }
    let Some(batch) = batches.back_mut() else { return 0 };
    let start = batch.len();
    batch.put_bytes(0, LENGTH);
    write(batch);
    let length = u32::try_from(batch.len() - start - LENGTH).unwrap_or(u32::MAX);
    batch[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
    batch.len() - start
}

fn packet(batch: Bytes) -> Packet {
    Packet::Publish(Publish::new(Bytes::from_static(LANE.as_bytes()), batch, false), None)
}

impl<'a> Batch<'a> {
    fn new(uplink: &'a Uplink, frames: Bytes) -> Self {
        Self { uplink, size: frames.len(), rest: frames }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.uplink.release(self.size + OVERHEAD);
    }
}

impl Iterator for Batch<'_> {
    type Item = Bytes;

    /// The next frame. Whoever keeps it keeps no more than twice its size.
    fn next(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.rest.try_get_u32().ok()?).ok()?;
        let frame = self.rest.split_to(length.min(self.rest.len()));
        Some(if 2 * length >= self.size { frame } else { Bytes::copy_from_slice(&frame) })
    }
}

impl Downlink {
    /// The next frames; `None` where the router had something else to say. Those that are already
    /// here come without waiting. Cancel-safe.
    ///
    /// # Errors
    /// When the router has gone.
    pub async fn next(&mut self) -> Result<Option<Batch<'_>>, BackboneError> {
        match self.link.next().await? {
            Some(Notification::Forward(forward)) => Ok(Some(Batch::new(&self.uplink, forward.publish.payload))),
            Some(Notification::Unschedule) => {
                self.link.ready()?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
