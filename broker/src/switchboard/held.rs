//! Signals for members that are away: kept with the seat, and handed over after the seat's owner
//! has its `resumed` answer.

use crate::frame::Message;
use protocol::{PeerId, RoomId};
use std::collections::{HashMap, VecDeque};

/// Bounds for one seat, from the contract.
const MAX_MESSAGES: usize = 100;
const MAX_BYTES: usize = 256 * 1024;

/// What is held, by seat.
#[derive(Debug, Default)]
pub struct Held(HashMap<(RoomId, PeerId), Seat>);

#[derive(Debug, Default)]
struct Seat {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Held {
    /// Keeps a signal; `false` if the seat's bounds are reached, and the signal is dropped.
    #[must_use]
    pub fn put(&mut self, room: RoomId, peer: PeerId, message: Message) -> bool {
        let seat = self.0.entry((room, peer)).or_default();
        let bytes = seat.bytes + message.size();
        if seat.messages.len() >= MAX_MESSAGES || bytes > MAX_BYTES {
            return false;
        }
        seat.bytes = bytes;
        seat.messages.push_back(message);
        true
    }

    /// Takes what is held for a seat, in the order in which it came.
    pub fn take(&mut self, room: &RoomId, peer: &PeerId) -> VecDeque<Message> {
        self.0.remove(&(room.clone(), peer.clone())).unwrap_or_default().messages
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
        let mut held = Held::default();
        assert_eq!((0..200).filter(|_| held.put(room.clone(), peer.clone(), message(1))).count(), 100);
        assert_eq!(held.take(&room, &peer).len(), 100);
        assert!(held.0.is_empty());
        assert_eq!((0..200).filter(|_| held.put(room.clone(), peer.clone(), message(64 * 1024))).count(), 4);
    }
}
