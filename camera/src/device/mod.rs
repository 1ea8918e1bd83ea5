//! The signaling of a device: one connection to the broker, one subscription, and the rooms it holds.
//!
//! The connection is made again when it is lost, and every room is joined again then. Nothing here knows of media.

mod link;
mod seat;

use crate::signal::Signal;
use agent::service::{BrokerUrl, Login, TlsError};
use link::{Link, Order};
use protocol::{Connection, ErrorCode, Info, PeerId, RoomId, Said};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// For the last words and the DISCONNECT.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the broker is, and who the device is there.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerUrl,
    /// The device's name, the same at every start: its seats are kept for that name when the connection is lost.
    pub id: PeerId,
    /// User and password, if the broker wants them.
    pub login: Option<Login>,
    /// Certificates to trust instead of the system's, as PEM; for `mqtts` and `wss`.
    pub ca_file: Option<PathBuf>,
}

impl Options {
    /// A device without a user.
    #[must_use]
    pub fn new(broker: BrokerUrl, id: PeerId) -> Self {
        Self { broker, id, login: None, ca_file: None }
    }
}

/// What a device hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The connection stands, and every room is being joined.
    Online,
    /// There is no connection; it is tried again. Calls that run go on.
    Offline {
        /// Why, for a person.
        why: String,
    },
    /// The room agent says something. [`Said::Full`] is followed by another attempt, by and by.
    Agent {
        /// In which room.
        room: RoomId,
        /// What.
        said: Said,
    },
    /// The other member says something.
    Peer {
        /// In which room.
        room: RoomId,
        /// Who.
        from: PeerId,
        /// What.
        signal: Signal,
    },
    /// The broker has refused something that was sent.
    Refused {
        /// Which kind of error.
        code: ErrorCode,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// Why a device cannot go on: what trying again does not mend.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no certificate to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The broker does not let it in.
    #[error("{broker} refuses the connection: {why}")]
    Refused {
        /// The broker.
        broker: String,
        /// Why, and what would be right.
        why: String,
    },
    /// The broker does not let it listen.
    #[error("{broker} refuses the subscription {filter}: {id} may not listen to its own inbox there")]
    Deaf {
        /// The broker.
        broker: String,
        /// The inbox.
        filter: String,
        /// The device.
        id: PeerId,
    },
}

/// A peer that waits in rooms for others.
#[derive(Debug)]
pub struct Device {
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::Receiver<Result<Event, DeviceError>>,
    link: tokio::task::JoinHandle<()>,
}

impl Device {
    /// Begins to connect, within a tokio runtime; [`Event::Online`] tells when the connection stands.
    ///
    /// # Errors
    /// If there is no certificate to trust.
    pub fn connect(options: Options) -> Result<Self, DeviceError> {
        let (orders, ordered) = mpsc::unbounded_channel();
        // Bounded: who does not take its events lets the connection wait, and the broker with it.
        let (tell, events) = mpsc::channel(64);
        let link = tokio::spawn(Link::new(options, tell)?.keep(ordered));
        Ok(Self { orders, events, link })
    }

    /// Takes a seat in a room, now and after every loss, and tells whoever comes there of itself.
    pub fn join(&self, room: &RoomId, info: Option<Info>) {
        self.order(Order::Join { room: room.clone(), info });
    }

    /// Gives a seat up.
    pub fn leave(&self, room: &RoomId) {
        self.order(Order::Leave { room: room.clone() });
    }

    /// Says something to the other member of a room. What is said without a connection is not kept: the call has to
    /// be begun anew then anyway.
    pub fn send(&self, room: &RoomId, to: &PeerId, signal: &Signal) {
        self.order(Order::Send { room: room.clone(), to: to.clone(), signal: signal.clone() });
    }

    /// Tells operators how the call in a room is doing.
    pub fn report(&self, room: &RoomId, connection: Connection, detail: Option<String>) {
        self.order(Order::Report { room: room.clone(), connection, detail });
    }

    /// What happens next; nothing once an error has been told.
    pub async fn next(&mut self) -> Option<Result<Event, DeviceError>> {
        self.events.recv().await
    }

    /// Leaves every room and says goodbye to the broker: seats are free at once.
    pub async fn close(mut self) {
        self.order(Order::Close);
        self.events.close();
        if tokio::time::timeout(FAREWELL, &mut self.link).await.is_err() {
            self.link.abort();
        }
    }

    fn order(&self, order: Order) {
        // Nobody listens any more once an error has been told.
        let _ = self.orders.send(order);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.link.abort();
    }
}
