//! One connection: bytes in, MQTT packets, decisions, bytes out.
//!
//! The protocol itself (parsing, packet ids, handshakes of QoS 1 and 2, topic aliases, receive
//! maximum) is mqtt-protocol-core's, without I/O, but for what is said most (`publishing`,
//! `handshakes`). Here is what drives it: a task that reads when the backbone has room, hands on what
//! access allows, and writes what the switchboard queued.
//! An idle session holds no buffers; all sessions of a thread read into one scratch buffer, and pass
//! another on from turn to turn that they write from.

mod connect;
mod first;
mod handshakes;
mod held;
mod inbound;
mod outbound;
pub mod outbox;
mod packets;
mod publishing;
pub mod suspended;
mod timer;
mod transport;
mod waiting;

use crate::audit::{Refused, What};
use crate::backbone::{Class, Place};
use crate::frame::Frame;
use crate::hub::Hub;
use crate::limits::door::Admission;
use crate::limits::pace::Meter;
use crate::listen::Arrival;
use agent::access::Identity;
use bytes::{Buf, Bytes, BytesMut};
use connect::Will;
use handshakes::Sent;
use held::Held;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::result_code::{DisconnectReasonCode, MqttError};
use mqtt_protocol_core::mqtt::role::Server;
use mqtt_protocol_core::mqtt::{Connection, Version};
use outbound::Taken;
use outbox::{Ending, Outbox};
use protocol::ErrorCode;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use suspended::Suspended;
use thin_vec::ThinVec;
use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;
use tracing::debug;
pub use transport::Transport;
use waiting::Waiting;

/// Bytes that may wait for a slow socket before the session stops reading from it and taking from
/// its outbox.
const MAX_UNWRITTEN: usize = 64 * 1024;
/// Reads in one turn, before other sessions get theirs.
const READS_PER_TURN: usize = 8;
/// Packets in one turn, where others wait: a thousand sessions that all have much to say then keep
/// one that has little waiting for some tens of milliseconds.
const PACKETS_PER_TURN: usize = 4;
/// The same, of a session that is held back.
const PACKETS_PER_TURN_HELD_BACK: usize = 2;
/// Messages of QoS 1 and 2 under way to one client, if it does not ask for fewer (receive maximum).
const MAX_IN_FLIGHT: u16 = 64;
/// Time for the last bytes to a client.
const LAST_WRITE: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 32 * 1024]);
}

/// Lends the buffer into which the thread reads.
pub fn with_scratch<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| use_it(scratch))
}

fn read<'a, S: Transport>(
    socket: &mut S,
    context: &mut Context<'_>,
    scratch: &'a mut [u8],
) -> Poll<io::Result<&'a [u8]>> {
    let mut buffer = ReadBuf::new(scratch);
    ready!(Pin::new(socket).poll_read(context, &mut buffer))?;
    let length = buffer.filled().len();
    Poll::Ready(Ok(&scratch[..length]))
}

/// Writes the last bytes, within limits, and closes.
async fn write_last<S: Transport>(socket: &mut S, bytes: &[u8]) {
    if !bytes.is_empty() {
        socket.expect_end();
    }
    let write = async {
        socket.write_all(bytes).await?;
        socket.shutdown().await
    };
    // The other side may be gone already; there is nobody left to tell.
    let _ = tokio::time::timeout(LAST_WRITE, write).await;
}

/// Serves one connection, which came from `arrival`, to its end. The time until its CONNECT runs since it arrived.
///
/// Whatever a task passes on or awaits is part of it for as long as it runs. A session is most of what a client
/// costs, so it is there once, and what comes before and after it lies elsewhere while it lasts.
pub fn serve<S: Transport>(socket: S, arrival: Arrival, hub: Arc<Hub>) -> impl Future<Output = ()> + Send {
    let at_the_door = Box::pin(let_in(socket, arrival, hub));
    async {
        if let Some(mut session) = at_the_door.await {
            let end = poll_fn(|context| session.poll(context)).await;
            session.take_leave(end);
            Box::pin(session.write_last()).await;
        }
    }
}

/// Waits at the door for the CONNECT; no longer than it may, and only while it need not give way.
async fn let_in<S: Transport>(socket: S, mut arrival: Arrival, hub: Arc<Hub>) -> Option<Box<Session<S>>> {
    let place = arrival.place.take()?;
    let (address, limit) = (arrival.address, hub.limits.connect_timeout);
    let deadline = arrival.since + limit;
    let receive = connect::receive(socket, arrival, &place, hub.clone());
    let received = pin!(tokio::time::timeout_at(deadline.into(), receive));
    match place.hold(received).await {
        Some(Ok(session)) => session,
        Some(Err(_)) => {
            let why = format!("no CONNECT within {}", humantime::format_duration(limit));
            let (client, user, address) = (None, None, Some(address));
            hub.audit(Refused { what: What::Connection, why: &why, client, user, address });
            None
        }
        None => {
            hub.audit(Refused::gave_way(address));
            None
        }
    }
}

/// Whether the flags in a packet's first byte are those that its type has (MQTT-2.2.2-2, table 2.2);
/// the library does not look at them.
fn has_legal_flags(first: u8) -> bool {
    const PUBLISH: u8 = 3;
    const PUBREL: u8 = 6;
    const SUBSCRIBE: u8 = 8;
    const UNSUBSCRIBE: u8 = 10;
    match first >> 4 {
        PUBLISH => true, // DUP, QoS, RETAIN; judged by the library
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => first & 0xF == 0b0010,
        _ => first & 0xF == 0,
    }
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client sent DISCONNECT; whether it wants its will sent all the same (5.0: 0x04).
    Disconnected { with_will: bool },
    /// The connection is gone, or was given up.
    Lost,
    /// The broker ends it.
    Broker(Ending),
}

struct Session<S: Transport> {
    socket: S,
    /// The other end's.
    address: SocketAddr,
    hub: Arc<Hub>,
    connection: Connection<Server>,
    who: Identity,
    outbox: Arc<Outbox>,
    version: Version,
    max_packet_out: u32,
    will: Option<Box<Will>>,
    /// For how many seconds the session is kept after the connection.
    expiry: u32,
    in_flight: u16,
    /// As many may be, at QoS 1 and 2.
    max_in_flight: u16,
    /// Sent and not acknowledged, in order; of a session that ends with its connection, which the library remembers
    /// nothing of.
    unacknowledged: ThinVec<Sent>,
    /// A packet id that is nobody's, and not the library's to give.
    spare_id: Option<NonZeroU16>,
    /// Read, not yet handled: the backbone had no room, or others had their turn.
    stash: Option<Box<Bytes>>,
    /// Its place in the line for room in the backbone.
    line: Option<Place>,
    /// The next byte is not the first of a packet.
    mid_packet: bool,
    /// Not yet written, from `written` on; packets have less than 2^28 bytes.
    unwritten: Vec<u8>,
    written: u32,
    /// When the client last said something, and for how many milliseconds it may say nothing then; none: for ever
    /// (MQTT-3.1.2-22).
    heard: Instant,
    silence: Option<NonZeroU32>,
    timer: Option<Pin<Box<Sleep>>>,
    /// It has been polled once, and so wakes the task.
    timer_is_set: bool,
    left: bool,
    /// What the client has sent of what it may.
    messages: Meter,
    bytes: Meter,
    held: Option<Box<Held>>,
    waiting: Option<Box<Waiting>>,
    admission: Admission,
}

impl<S: Transport> Session<S> {
    fn new(
        socket: S,
        address: SocketAddr,
        hub: Arc<Hub>,
        connection: Connection<Server>,
        who: Identity,
        outbox: Arc<Outbox>,
        admission: Admission,
    ) -> Self {
        let version = connection.get_protocol_version();
        hub.session_begins();
        Self {
            socket,
            address,
            hub,
            connection,
            who,
            outbox,
            version,
            max_packet_out: u32::MAX,
            will: None,
            expiry: 0,
            in_flight: 0,
            max_in_flight: MAX_IN_FLIGHT,
            unacknowledged: ThinVec::new(),
            spare_id: None,
            stash: None,
            line: None,
            mid_packet: false,
            unwritten: Vec::new(),
            written: 0,
            heard: Instant::now(),
            silence: None,
            timer: None,
            timer_is_set: false,
            left: false,
            messages: Meter::default(),
            bytes: Meter::default(),
            held: None,
            waiting: None,
            admission,
        }
    }

    /// Says a last word, if there is one, and gives the place up.
    fn take_leave(&mut self, end: End) {
        debug!(client = %self.who.id, from = %self.address, ?end, "session ends");
        match end {
            End::Broker(Ending::TooSlow) => self.audit(What::Slow, "it does not read what it is sent"),
            End::Broker(Ending::Expired) => {
                self.audit(What::Expired, "its token has expired");
                self.tell_last(ErrorCode::Forbidden, "your token has expired; connect again with a new one");
            }
            End::Broker(Ending::NotAuthorized) => {
                self.audit(What::Connect, "its user has been removed or changed");
                let why = "your user has been removed or changed; connect again if you still may";
                self.tell_last(ErrorCode::Forbidden, why);
            }
            _ => {}
        }
        if let End::Broker(ending) = end
            && let Some(Ok(packet)) = packets::disconnect(self.version, packets::reason(ending))
        {
            self.send(packet);
        }
        self.leave(end);
    }

    async fn write_last(mut self: Box<Self>) {
        let unwritten = std::mem::take(&mut self.unwritten);
        write_last(&mut self.socket, &unwritten[self.written as usize..]).await;
    }

    /// Gives the place up: will, notice to the agent, and what is kept, in this order.
    fn leave(&mut self, end: End) {
        self.left = true;
        if let Some(place) = self.line.take() {
            self.hub.uplink.leave_line(place);
        }
        let now = Instant::now();
        let keep = (self.expiry > 0).then(|| now + Duration::from_secs(self.expiry.into()));
        // Whose rights have ended says nothing more, not even by a will.
        let is_silent = matches!(
            end,
            End::Disconnected { with_will: false } | End::Broker(Ending::NotAuthorized | Ending::Expired)
        );
        if let Some(will) = self.will.take()
            && !is_silent
        {
            // A delayed will is due when the session ends, at the latest (MQTT-3.1.3-9).
            match (keep, will.delay.is_zero(), Frame::decode(will.frame.clone())) {
                (Some(expires), false, Some(Frame::Publish(message))) => {
                    let due = expires.min(now + will.delay);
                    self.hub.switchboard.lock().delay_will(&self.who.id, message, due);
                }
                _ => self.push(|out| out.extend_from_slice(&will.frame)),
            }
        }
        let lost = !matches!(end, End::Disconnected { .. });
        let ended = Frame::Ended { client: self.who.id.clone(), lost };
        self.hub.uplink.push(|out| ended.encode(out));
        let keep = keep.map(|expires| (Suspended::of(&self.connection), expires));
        let unacknowledged = std::mem::take(&mut self.unacknowledged).into_iter().map(|sent| sent.message);
        self.hub.switchboard.lock().disconnect(&self.who.id, &self.outbox, keep, unacknowledged);
        self.hub.session_ends();
    }

    /// One turn.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let is_lent = self.borrow_writing();
        let done = self.take_turn(context, Instant::now());
        self.return_writing(is_lent);
        done
    }

    fn take_turn(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<End> {
        for _ in 0..READS_PER_TURN {
            let is_enough = match self.take_from_outbox(context, now) {
                Taken::Ending(ending) => return Poll::Ready(End::Broker(ending)),
                Taken::Enough => true,
                Taken::All => false,
            };
            // Before anything is written: what is answered then goes out with what was there, and who says goodbye
            // hears nothing more.
            let read = self.poll_read(context, now);
            if let Poll::Ready(Err(end)) = read {
                return Poll::Ready(end);
            }
            let is_written = match self.poll_write(context) {
                Poll::Ready(Err(error)) => {
                    debug!(client = %self.who.id, %error, "cannot write");
                    return Poll::Ready(End::Lost);
                }
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            match read {
                // It has more to say than fits in its turn.
                Poll::Ready(_) if self.stash.is_some() => break,
                Poll::Ready(_) => {}
                // The socket may take more, and there may be more.
                Poll::Pending if is_enough && is_written => {}
                // What is left unwritten waits for the socket.
                Poll::Pending => return self.poll_timer(context, now),
            }
        }
        // A client that never stops talking does not outlast its token by it.
        if self.who.expires().is_some()
            && let Poll::Ready(end) = self.poll_timer(context, now)
        {
            return Poll::Ready(end);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and handles what came. `Pending` when there is nothing to read, or the session
    /// must not read now.
    fn poll_read(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Result<(), End>> {
        if self.to_write().len() > MAX_UNWRITTEN {
            return Poll::Pending;
        }
        ready!(self.poll_held_back(context))?;
        let class = self.class();
        ready!(self.hub.uplink.poll_room(context, class, &mut self.line));
        if let Some(mut stash) = self.stash.take() {
            let handled = match self.feed(&stash, now) {
                Ok(handled) => handled,
                Err(end) => return Poll::Ready(Err(end)),
            };
            stash.advance(handled);
            self.stash = (!stash.is_empty()).then_some(stash);
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let Poll::Ready(read) = read(&mut self.socket, context, scratch) else {
                self.has_paused();
                return Poll::Pending;
            };
            match read {
                Ok([]) => Poll::Ready(Err(End::Lost)),
                Ok(bytes) => {
                    self.hub.counters.bytes_received.add(bytes.len() as u64);
                    self.spend_bytes(bytes.len(), now);
                    let handled = match self.feed(bytes, now) {
                        Ok(handled) => handled,
                        Err(end) => return Poll::Ready(Err(end)),
                    };
                    self.stash = stash_of(Bytes::copy_from_slice(&bytes[handled..]));
                    Poll::Ready(Ok(()))
                }
                Err(error) => {
                    debug!(client = %self.who.id, %error, "cannot read");
                    Poll::Ready(Err(End::Lost))
                }
            }
        })
    }

    /// Handles bytes packet by packet, as long as the backbone has room and it is this session's
    /// turn; says how many were handled. A packet may be far smaller than what it becomes (a topic
    /// alias stands for a long topic).
    fn feed(&mut self, bytes: &[u8], now: Instant) -> Result<usize, End> {
        let mut cursor = Cursor::new(bytes);
        for packet in 0.. {
            let at = usize::try_from(cursor.position()).unwrap_or(bytes.len());
            if at >= bytes.len() {
                return Ok(bytes.len());
            }
            let may_write = self.to_write().len() <= MAX_UNWRITTEN;
            let in_turn = if self.held.is_none() { PACKETS_PER_TURN } else { PACKETS_PER_TURN_HELD_BACK };
            let is_turn = packet < in_turn && !self.is_held_back() && may_write;
            if !is_turn || !self.hub.uplink.has_room(self.class()) {
                return Ok(at);
            }
            if !self.mid_packet {
                if !has_legal_flags(bytes[at]) {
                    return Err(self.violation(DisconnectReasonCode::MalformedPacket));
                }
                if let Some(length) = self.take_puback(&bytes[at..], now) {
                    cursor.set_position((at + length) as u64);
                    continue;
                }
                if let Some(length) = self.take_publish(&bytes[at..], now)? {
                    cursor.set_position((at + length) as u64);
                    continue;
                }
            }
            let events = self.connection.recv(&mut cursor);
            self.mid_packet = events.is_empty(); // a whole packet always leads to something
            self.handle(events, now)?;
        }
        Ok(bytes.len())
    }

    /// In which line this session waits for room.
    fn class(&self) -> Class {
        if self.held.is_some() { Class::HeldBack } else { Class::Ordinary }
    }

    fn handle(&mut self, events: Vec<Event>, now: Instant) -> Result<(), End> {
        let too_large = |event: &Event| matches!(event, Event::NotifyError(MqttError::PacketTooLarge));
        if events.iter().any(too_large) {
            self.audit(What::TooLarge, "a packet beyond all limits");
            self.tell_too_large();
        }
        let mut end = Ok(());
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    self.hub.counters.packets_received.add(1);
                    if !packets::is_acknowledgement(&packet) {
                        self.spend_message(now);
                    }
                    self.received(packet, now)?;
                }
                Event::RequestSendPacket { packet, .. } => self.write_packet(&packet),
                Event::NotifyPacketIdReleased(id) => self.released(id),
                Event::RequestTimerReset { .. } => self.heard = now,
                Event::RequestTimerCancel(_) => self.silence = None,
                Event::NotifyError(error) => {
                    if error != MqttError::PacketTooLarge {
                        self.audit(What::Malformed, &format!("{error:?}"));
                    }
                    end = Err(End::Lost);
                }
                Event::RequestClose => end = Err(End::Lost),
            }
        }
        end
    }

    /// A handshake is over.
    fn released(&mut self, id: u16) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.acknowledged(id);
    }

    /// The client has a message, and need not get it again.
    fn acknowledged(&mut self, id: u16) {
        // Mostly the first.
        if let Some(at) = self.unacknowledged.iter().position(|sent| sent.id == id) {
            self.unacknowledged.remove(at);
            if self.unacknowledged.is_empty() {
                self.unacknowledged = ThinVec::new(); // an idle session holds no memory for it
            }
        }
    }

    /// Hands a message on.
    fn push(&self, write: impl FnOnce(&mut BytesMut)) {
        self.hub.counters.accepted.add(1);
        self.hub.counters.under_way.add(1);
        self.hub.uplink.push(write);
    }

    fn audit(&self, what: What, why: &str) {
        let (client, address) = (Some(self.who.id.as_str()), Some(self.address));
        self.hub.audit(Refused { what, why, client, user: None, address });
    }

    /// Ends the connection for something that the client must not do.
    fn violation(&mut self, code: DisconnectReasonCode) -> End {
        self.audit(What::Malformed, &format!("{code:?}"));
        self.end_with(code)
    }

    /// Ends the connection; a client of 5.0 is told why.
    fn end_with(&mut self, code: DisconnectReasonCode) -> End {
        if let Some(Ok(packet)) = packets::disconnect(self.version, code) {
            self.send(packet);
        }
        End::Lost
    }
}

/// What was read and is not yet handled, if there is any.
fn stash_of(rest: Bytes) -> Option<Box<Bytes>> {
    (!rest.is_empty()).then(|| Box::new(rest))
}

impl<S: Transport> Drop for Session<S> {
    /// A session that is dropped without its end (its task panicked) leaves like a lost one.
    fn drop(&mut self) {
        if !self.left {
            self.leave(End::Lost);
        }
    }
}

#[cfg(test)]
mod tests;
