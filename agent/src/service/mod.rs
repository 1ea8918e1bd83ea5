//! The rooms over an outside MQTT broker, as one more client of it, or several that share them.
//!
//! ```text
//! broker ──▶ line (keeps the connection) ──▶ drive ──▶ work, in each room ──▶ store
//!        ◀──                             ◀─────────────┘ (what is to be said)
//! ```
//!
//! One agent speaks MQTT 3.1.1, since every broker does. Its session is persistent, so what peers say while it is away
//! from the broker waits there. Several agents, which share a [store](crate::store), speak MQTT 5.0 with shared
//! subscriptions, and keep no sessions: what one of them cannot hear is for the others to hear.
//!
//! A message is acknowledged when what follows from it is in the store; only the notice that somebody has gone, and what the
//! broker shows of rooms, is at once.
//!
//! What the broker of this project tells its agent may be missing: that a connection ended (peers set a will instead, where
//! the broker does not say it, see [`hooks::engine`](crate::hooks::engine)), that a signal was refused. Signals go from peer to peer through
//! the broker and never come here.

mod broker_url;
mod drive;
mod later;
mod line;
mod metered;
pub mod status;
mod tls;
mod wire;

pub use broker_url::{BrokerUrl, BrokerUrlError};
pub use tls::TlsError;
pub use wire::Version;

use crate::hooks::seats::Ask;
use crate::store::memory::Memory;
use crate::store::redis::{Redis, StoreSetupError, StoreUrl, Unready};
use crate::store::turn::Terms;
use crate::store::{Store, StoreError};
use metered::Metered;
use status::Pulse;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

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
    /// Which MQTT is spoken; 5.0 where several agents share a store.
    pub version: Version,
    /// Where the rooms are kept, if not in this program's memory.
    pub store: Option<StoreOptions>,
    /// What holds in the rooms.
    pub terms: Terms,
    /// Whether the broker says who has gone at [`DISCONNECTED`](crate::hooks::engine::sys::DISCONNECTED).
    pub hears_presence: bool,
}

/// Where several agents keep their rooms.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The store.
    pub url: StoreUrl,
    /// What every key begins with.
    pub prefix: String,
    /// The user, where it is not the store's own.
    pub username: Option<String>,
    /// The password, if the store wants one.
    pub password: Option<Password>,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
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
        filter: String,
    },
    /// The broker says that it has no shared subscriptions.
    #[error(
        "{broker} has no shared subscriptions, by which agents share what is said to them: turn them on there (RMQTT: the \
         plugin rmqtt-shared-subscription), or run one agent with --mqtt 3"
    )]
    Unshared {
        /// The broker.
        broker: String,
    },
    /// The store's address or certificates cannot be used.
    #[error(transparent)]
    StoreSetup(#[from] StoreSetupError),
    /// No connection to the store can be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not let the agent in. Only told at the start.
    #[error("{store} refuses the agent: {why}; give --store-username and --store-password-file")]
    StoreRefused {
        /// The store.
        store: String,
        /// What it says.
        why: String,
    },
    /// The task that keeps the connection has panicked.
    #[error("the connection's task has ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// How long the last messages may take to go out at the end.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Runs the agent until `stop` is ready; `connected` is called whenever it listens at the broker,
/// at the start and again after every loss. What is `asked` of the rooms meanwhile is answered, and how it is doing
/// is told by its `pulse`.
///
/// # Errors
/// What only a person can put right.
pub async fn run(
    options: Options,
    pulse: Arc<Pulse>,
    connected: impl Fn(&BrokerUrl) + Send + 'static,
    asked: mpsc::Receiver<Ask>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let Options { broker, client_id, login, ca_file, version, store, terms, hears_presence } = options;
    let wire = wire::new(version, &broker, &client_id, login.as_ref(), ca_file.as_deref())?;
    match store {
        None => {
            let store = Memory::new(drive::now);
            serve(wire, (broker, hears_presence), (store, client_id), terms, (pulse, connected), asked, stop).await
        }
        Some(StoreOptions { url, prefix, username, password }) => {
            let password = password.as_ref().map(|Password(password)| password.as_str());
            let client = url.client(username.as_deref(), password, ca_file.as_deref())?;
            // An earlier run of the same agent is another speaker.
            let run = format!("{client_id}/{}/{}", std::process::id(), drive::now().as_millis());
            let store = Redis::new(client, prefix, run.clone())?;
            match store.check().await {
                Ok(()) => {}
                Err(Unready::Refused(why)) => return Err(ServiceError::StoreRefused { store: url.to_string(), why }),
                Err(Unready::Away(error)) => warn!(store = %url, %error, "the store does not answer yet"),
            }
            serve(wire, (broker, hears_presence), (store, run), terms, (pulse, connected), asked, stop).await
        }
    }
}

async fn serve<S: Store + 'static>(
    wire: (wire::Sender, wire::Wire),
    (broker, hears_presence): (BrokerUrl, bool),
    (store, run): (S, String),
    terms: Terms,
    (pulse, connected): (Arc<Pulse>, impl Fn(&BrokerUrl) + Send + 'static),
    asked: mpsc::Receiver<Ask>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let (news, hears) = mpsc::channel(line::HEARD);
    let (handle, line) = line::Line::new(wire, broker, hears_presence, news, (pulse.clone(), connected));
    let mut line = tokio::spawn(line.keep());
    let store = Metered::new(store, pulse);
    let drive = drive::Drive::new(store, terms, handle.clone(), hears, asked, run);
    tokio::select! {
        ended = &mut line => return ended?,
        () = drive.run() => return line.await?,
        () = stop => {}
    }
    handle.close();
    let _ = tokio::time::timeout(FAREWELL, &mut line).await;
    line.abort();
    Ok(())
}
