//! Signals for members that are away: kept with the seat, and handed over after the seat's owner
//! has its `resumed` answer. Those that were under way when its connection ended are stranded, until the
//! agent has heard of the end and it is known whether the seat is kept.

use crate::frame::Message;
use crate::limits::pool::{Pool, Share};
use protocol::{PeerId, RoomId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Bounds for one seat, from the contract.
const MAX_MESSAGES: usize = 100;
const MAX_BYTES: usize = 256 * 1024;

/// What is held, by seat, and what is stranded, by receiver.
#[derive(Debug)]
pub struct Held {
    pool: Arc<Pool>,
    seats: HashMap<(RoomId, PeerId), Kept>,
    stranded: HashMap<PeerId, Kept>,
    /// How many messages there are in all.
    count: usize,
}

#[derive(Debug)]
struct Kept {
    messages: VecDeque<Message>,
    share: Share,
}

impl Kept {
    fn new(pool: &Arc<Pool>) -> Self {
        Self { messages: VecDeque::new(), share: Share::of(pool) }
    }

    fn put(&mut self, message: Message) -> bool {
        let size = message.size();
        if self.messages.len() >= MAX_MESSAGES || self.share.bytes() + size > MAX_BYTES || !self.share.has_room(size) {
            return false;
        }
        self.share.add(size);
        self.messages.push_back(message);
        true
    }
}

impl Held {
    /// Nothing is held.
    pub fn new(pool: &Arc<Pool>) -> Self {
        Self { pool: pool.clone(), seats: HashMap::new(), stranded: HashMap::new(), count: 0 }
    }

    /// Keeps a signal; `false` if the seat's bounds are reached, and the signal is dropped.
    #[must_use]
    pub fn put(&mut self, room: RoomId, peer: PeerId, message: Message) -> bool {
        let is_kept = self.seats.entry((room, peer)).or_insert_with(|| Kept::new(&self.pool)).put(message);
        self.count += usize::from(is_kept);
        is_kept
    }

    /// Takes what is held for a seat, in the order in which it came.
    pub fn take(&mut self, room: &RoomId, peer: &PeerId) -> VecDeque<Message> {
        let messages = self.seats.remove(&(room.clone(), peer.clone())).map(|kept| kept.messages).unwrap_or_default();
        self.count -= messages.len();
        messages
    }

    /// Forgets what `from`, who has left the room, had for `peer`, who stays: nobody hears somebody with
    /// whom it is in no room. How many signals those were.
    pub fn forget_from(&mut self, room: &RoomId, peer: &PeerId, from: &PeerId) -> usize {
        let Some(kept) = self.seats.get_mut(&(room.clone(), peer.clone())) else { return 0 };
        let (before, bytes) = (kept.messages.len(), kept.share.bytes());
        kept.messages.retain(|message| message.from() != from.as_str());
        kept.share.sub(bytes - kept.messages.iter().map(Message::size).sum::<usize>());
        let forgotten = before - kept.messages.len();
        self.count -= forgotten;
        forgotten
    }

    /// Keeps a signal whose receiver's connection has ended, of which the agent has not heard yet; `false` if
    /// as much is stranded as a seat may hold, and the signal is dropped.
    #[must_use]
    pub fn strand(&mut self, peer: PeerId, message: Message) -> bool {
        let is_kept = self.stranded.entry(peer).or_insert_with(|| Kept::new(&self.pool)).put(message);
        self.count += usize::from(is_kept);
        is_kept
    }

    /// Takes what was stranded for a peer, in the order in which it came.
    pub fn take_stranded(&mut self, peer: &PeerId) -> VecDeque<Message> {
        let messages = self.stranded.remove(peer).map(|kept| kept.messages).unwrap_or_default();
        self.count -= messages.len();
        messages
    }

    /// How many signals are held or stranded.
    pub fn waiting(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Qos;

    fn message(bytes: usize) -> Message {
        Message::own(String::new(), vec![0; bytes], Qos::AtLeastOnce)
    }

    #[test]
    fn a_seat_holds_a_hundred_messages_or_256_kib() {
        let (room, peer) = (RoomId::new("lobby").unwrap(), PeerId::new("alice").unwrap());
        let mut held = Held::new(&Pool::new(1 << 30));
        assert_eq!((0..200).filter(|_| held.put(room.clone(), peer.clone(), message(1))).count(), 100);
        assert_eq!(held.take(&room, &peer).len(), 100);
        assert!(held.seats.is_empty() && held.waiting() == 0);
        assert_eq!((0..200).filter(|_| held.put(room.clone(), peer.clone(), message(64 * 1024))).count(), 4);
    }

    #[test]
    fn signals_of_one_who_has_gone_are_forgotten() {
        let [lobby, hall] = ["lobby", "hall"].map(|room| RoomId::new(room).unwrap());
        let [alice, bob] = ["alice", "bob"].map(|peer| PeerId::new(peer).unwrap());
        let from = |peer: &PeerId| {
            let flags = crate::frame::Flags { qos: Qos::AtLeastOnce, retain: false, may_create: true };
            let mut frame = bytes::BytesMut::new();
            crate::frame::publish(&mut frame, peer, "t", flags, |_| {}, b"12345");
            match crate::frame::Frame::decode(frame.freeze()) {
                Some(crate::frame::Frame::Publish(message)) => message,
                other => panic!("{other:?}"),
            }
        };
        let mut held = Held::new(&Pool::new(1 << 30));
        for room in [&lobby, &hall] {
            assert!(
                held.put(room.clone(), alice.clone(), from(&bob))
                    && held.put(room.clone(), alice.clone(), from(&alice))
            );
        }
        assert_eq!((held.forget_from(&lobby, &alice, &bob), held.forget_from(&lobby, &alice, &bob)), (1, 0));
        assert_eq!((held.waiting(), held.seats[&(lobby.clone(), alice.clone())].share.bytes()), (3, 6));
        assert_eq!((held.take(&lobby, &alice).len(), held.take(&hall, &alice).len(), held.waiting()), (1, 2, 0));
    }
}
