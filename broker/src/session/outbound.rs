//! What goes to a client: deliveries become packets, packets become bytes, and bytes go to the socket.

use super::handshakes::Sent;
use super::outbox::{Delivery, Ending};
use super::packets;
use super::{MAX_UNWRITTEN, Session, Transport};
use crate::frame::Qos;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, Packet};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tracing::debug;

/// So much is copied rather than written from where it is.
const LITTLE: usize = 1024;

/// What has been taken from the outbox.
pub(super) enum Taken {
    /// All that may go now; more of it wakes the session.
    All,
    /// As much as is written in one go. There may be more, and nothing that wakes the session for it.
    Enough,
    /// The connection is to end.
    Ending(Ending),
}

thread_local! {
    /// Where the session that has its turn puts what it writes.
    static WRITING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<S: Transport> Session<S> {
    /// Begins a turn: a session that has little left to write uses the thread's buffer; whether it does.
    pub(super) fn borrow_writing(&mut self) -> bool {
        let is_lent = self.unwritten.len() <= LITTLE;
        if is_lent {
            let mut writing = WRITING.take();
            writing.extend_from_slice(self.to_write());
            (self.unwritten, self.written) = (writing, 0);
        }
        is_lent
    }

    /// Ends a turn. What the socket did not take is kept, in no more room than it needs.
    pub(super) fn return_writing(&mut self, is_lent: bool) {
        if is_lent || self.unwritten.is_empty() {
            let rest = self.to_write().to_vec();
            let mut writing = std::mem::replace(&mut self.unwritten, rest);
            self.written = 0;
            writing.clear();
            writing.shrink_to(MAX_UNWRITTEN);
            WRITING.set(writing);
        }
    }

    /// Hands a packet to the library, and does what it says.
    pub(super) fn send(&mut self, packet: Packet) {
        let events = self.connection.send(packet);
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => self.write_packet(&packet),
                Event::NotifyPacketIdReleased(id) => self.released(id),
                Event::NotifyError(error) => debug!(client = %self.who.id, ?error, "not sent"),
                _ => {}
            }
        }
    }

    pub(super) fn write_packet(&mut self, packet: &Packet) {
        self.hub.counters.packets_sent.add(1);
        if matches!(packet, GenericPacket::V3_1_1Publish(_) | GenericPacket::V5_0Publish(_)) {
            self.hub.counters.publishes_sent.add(1);
        }
        for part in packet.to_buffers() {
            self.unwritten.extend_from_slice(&part);
        }
    }

    /// Turns queued deliveries into packets, as far as the client may be sent.
    pub(super) fn take_from_outbox(&mut self, context: &mut Context<'_>, now: Instant) -> Taken {
        while self.to_write().len() < MAX_UNWRITTEN {
            match self.outbox.poll(context) {
                Poll::Pending => return Taken::All,
                Poll::Ready(Some(ending)) => return Taken::Ending(ending),
                Poll::Ready(None) => {}
            }
            let may_send = self.in_flight < self.max_in_flight;
            let next = self.outbox.take_if(|delivery| may_send || delivery.qos == Qos::AtMostOnce);
            let Some(delivery) = next else { return Taken::All };
            self.deliver(&delivery, now);
        }
        Taken::Enough
    }

    fn deliver(&mut self, delivery: &Delivery, now: Instant) {
        let is_sent = match delivery.qos {
            Qos::AtMostOnce => self.write_publish(delivery, None, now),
            Qos::AtLeastOnce if self.expiry == 0 => self.write_at_least_once(delivery, now),
            _ => self.send_remembered(delivery, now),
        };
        let counters = &self.hub.counters;
        if is_sent { counters.delivered.add(1) } else { counters.dropped.add(1) }
    }

    /// Writes a message, at QoS 1 with `id`; `false` if it has expired, or is larger than the client accepts.
    pub(super) fn write_publish(&mut self, delivery: &Delivery, id: Option<u16>, now: Instant) -> bool {
        let (out, limit) = (&mut self.unwritten, self.max_packet_out);
        let is_written = packets::write_publish(out, self.version, delivery, id, limit, now);
        if is_written {
            self.hub.counters.packets_sent.add(1);
            self.hub.counters.publishes_sent.add(1);
        }
        is_written
    }

    /// Sends a message of which the library has the state; `false` if there is no packet id, or it is expired or larger
    /// than the client accepts (MQTT-3.1.2-25).
    fn send_remembered(&mut self, delivery: &Delivery, now: Instant) -> bool {
        let Ok(id) = self.connection.acquire_packet_id() else { return false };
        let limit = usize::try_from(self.max_packet_out).unwrap_or(usize::MAX);
        match packets::publish(self.version, delivery, id, now) {
            Some(Ok(packet)) if packet.size() <= limit => {
                self.in_flight += 1;
                if self.expiry == 0 {
                    self.unacknowledged.push(Sent::told(id, delivery.message.clone()));
                }
                self.send(packet);
                true
            }
            _ => {
                self.connection.release_packet_id(id);
                false
            }
        }
    }

    /// What is to be written still.
    pub(super) fn to_write(&self) -> &[u8] {
        &self.unwritten[self.written as usize..]
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_only_waiting(context) {
            return Pin::new(&mut self.socket).poll_flush(context);
        }
        while !self.to_write().is_empty() {
            let rest = &self.unwritten[self.written as usize..];
            let written = ready!(Pin::new(&mut self.socket).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.hub.counters.bytes_sent.add(written as u64);
            self.written += u32::try_from(written).unwrap_or_default();
        }
        self.unwritten.clear();
        self.written = 0;
        Pin::new(&mut self.socket).poll_flush(context)
    }
}
