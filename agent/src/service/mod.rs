//! The rooms over an outside MQTT broker, as one more client of it.
//!
//! ```text
//! broker ──▶ link (keeps the connection) ──▶ drive (the clock, exchange with Rooms) ──▶ link ──▶ broker
//! ```
//!
//! MQTT 3.1.1, since every broker speaks it and nothing here needs more: the agent publishes to
//! no topic that it listens on. Its session is persistent, so what peers say while it is away
//! from the broker waits there. A message is acknowledged when its answers are on their way, so
//! the broker's own window bounds what is under way here.
//!
//! What only the broker of this project tells its agent is missing: that a connection ended
//! (peers set a will instead), that a signal was refused. Signals go from peer to peer through
//! the broker and never come here.

mod broker_url;
mod drive;
pub mod exchange;
mod link;
mod tls;

pub use broker_url::{BrokerUrl, BrokerUrlError};
pub use tls::TlsError;

use crate::rooms::Config;
use exchange::Exchange;
use rumqttc::{AsyncClient, NetworkOptions};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Where the broker is, who the agent is there, and what holds in its rooms.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerUrl,
    /// The agent's client identifier; not empty, and the same at every start, as the broker keeps
    /// what peers say meanwhile under it.
    pub client_id: String,
    /// User and password, if the broker wants them.
    pub login: Option<Login>,
    /// Certificates to trust instead of the system's, as PEM; for `mqtts` and `wss`.
    pub ca_file: Option<PathBuf>,
    /// What holds in the rooms.
    pub rooms: Config,
}

/// User and password; the password is not shown.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub username: String,
    /// Its password, which may be empty.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why the service cannot go on; whatever may pass by itself is tried again instead.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No certificates to check the broker's with.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The broker does not let the agent in. Only told at the start: later it may be about to
    /// get its users back.
    #[error("{broker} refuses the agent: {why}")]
    Refused {
        /// The broker.
        broker: String,
        /// What it says, and what would be right.
        why: &'static str,
    },
    /// The broker does not let the agent listen.
    #[error("{broker} refuses the subscription {filter}: its user needs the rights of `agent` in duet.acl")]
    Deaf {
        /// The broker.
        broker: String,
        /// What it may not hear.
        filter: &'static str,
    },
    /// The task that keeps the connection has panicked.
    #[error("the connection's task has ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// How long the last messages may take to go out at the end.
const FAREWELL: Duration = Duration::from_millis(1500);
/// Requests that wait for the connection: past that the rooms wait.
const REQUESTS: usize = 1024;
/// QoS 1 messages to the broker that it has not acknowledged yet.
const IN_FLIGHT: u16 = 1000;
/// What MQTT can say of a packet's length (MQTT 3.1.1, 2.2.3), and its fixed header. A smaller
/// limit would not refuse the message but the connection, again and again.
const MAX_PACKET: usize = 268_435_455 + 5;

/// Runs the agent until `stop` is ready; `connected` is called whenever it listens at the broker,
/// at the start and again after every loss.
///
/// # Errors
/// What only a person can put right.
pub async fn run(
    options: Options,
    connected: impl Fn(&BrokerUrl) + Send + 'static,
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let Options { broker, client_id, login, ca_file, rooms } = options;
    let mut mqtt = broker.mqtt_options(client_id, ca_file.as_deref())?;
    mqtt.set_keep_alive(Duration::from_secs(15))
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_inflight(IN_FLIGHT)
        .set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if let Some(Login { username, password }) = login {
        mqtt.set_credentials(username, password);
    }
    let (client, mut eventloop) = AsyncClient::new(mqtt, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);

    let (heard, hears) = mpsc::channel(link::HEARD);
    let (status, seen) = watch::channel(link::Status::default());
    let link = link::Link { eventloop, broker, heard, status, connected };
    let mut link = tokio::spawn(link.keep());
    let drive = drive::Drive { exchange: Exchange::new(rooms, drive::now()), client: client.clone(), hears };
    tokio::select! {
        ended = &mut link => return ended?,
        () = drive.run() => return link.await?,
        () = stop => {}
    }
    if seen.borrow().listening {
        let farewell = async {
            if client.disconnect().await.is_ok() {
                let _ = (&mut link).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
    link.abort();
    Ok(())
}
