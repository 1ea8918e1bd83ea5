//! Messages at QoS 1 to a client whose session ends with its connection: written and acknowledged without the protocol's
//! library, which makes packets and events of both. It is told of them when an acknowledgement is more than four bytes, or
//! does not come in one piece, and then reads that. Of sessions that are kept, and of QoS 2, the library has the state.

use super::packets;
use super::{Session, Transport};
use crate::frame::Message;
use crate::session::outbox::Delivery;
use std::num::NonZeroU16;
use std::time::Instant;

/// A message sent and not acknowledged.
pub(super) struct Sent {
    pub id: u16,
    /// Whether the library knows.
    is_told: bool,
    pub message: Message,
}

impl Sent {
    /// By the library.
    pub fn told(id: u16, message: Message) -> Self {
        Self { id, is_told: true, message }
    }
}

impl<S: Transport> Session<S> {
    /// Writes a message at QoS 1; `false` if there is no packet id, or it is expired or too large for the client.
    pub(super) fn write_at_least_once(&mut self, delivery: &Delivery, now: Instant) -> bool {
        let spare = self.spare_id.take().map(NonZeroU16::get);
        let Some(id) = spare.or_else(|| self.connection.acquire_packet_id().ok()) else { return false };
        if !self.write_publish(delivery, Some(id), now) {
            self.spare(id);
            return false;
        }
        self.in_flight += 1;
        self.unacknowledged.push(Sent { id, is_told: false, message: delivery.message.clone() });
        true
    }

    /// Takes a PUBACK from the beginning of `bytes`, where a packet begins, if it is for a message that the library does
    /// not know of; how long it was.
    pub(super) fn take_puback(&mut self, bytes: &[u8], now: Instant) -> Option<usize> {
        if bytes[0] != packets::PUBACK || self.unacknowledged.is_empty() {
            return None;
        }
        let &[_, 2, high, low, ..] = bytes else {
            self.tell_library();
            return None;
        };
        let id = u16::from_be_bytes([high, low]);
        self.unacknowledged.iter().find(|sent| sent.id == id && !sent.is_told)?;
        self.hub.counters.packets_received.add(1);
        self.heard = now;
        self.released(id);
        self.spare(id);
        Some(4)
    }

    /// Tells the library of all that it does not know of: what counts for it is the packet id.
    fn tell_library(&mut self) {
        for sent in self.unacknowledged.iter_mut().filter(|sent| !sent.is_told) {
            if let Ok(packet) = packets::stand_in(self.version, sent.id) {
                let _ = self.connection.send(packet); // has gone already
            }
            sent.is_told = true;
        }
    }

    /// A packet id that is free again. One is kept: mostly a client is sent one message after another.
    fn spare(&mut self, id: u16) {
        if let Some(other) = std::mem::replace(&mut self.spare_id, NonZeroU16::new(id)) {
            let _ = self.connection.release_packet_id(other.get()); // says that it did
        }
    }
}
