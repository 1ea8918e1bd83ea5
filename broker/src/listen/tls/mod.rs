//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446) for the listeners: the certificate that newcomers get now, and their handshakes.
//!
//! A handshake runs in the connection's own task and under a limit; established connections keep the certificate that
//! they began with.

mod files;
mod names;

use super::CertificateNames;
use crate::watch::{Cause, Watch};
pub use files::{Files, TlsError};
use parking_lot::RwLock;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What is spoken inside, as the client may ask for it (RFC 7301). One certificate serves both listeners; whoever is
/// led from one to the other notices by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT itself.
    Mqtt,
    /// HTTP/1.1, and WebSocket with it.
    Http,
}

impl Protocol {
    fn id(self) -> &'static [u8] {
        match self {
            Protocol::Mqtt => b"mqtt",
            Protocol::Http => b"http/1.1",
        }
    }
}

/// The certificate as it is now; all listeners share it.
pub struct Tls {
    files: Files,
    mqtt: RwLock<Arc<ServerConfig>>,
    http: RwLock<Arc<ServerConfig>>,
}

/// A client with which the handshake is done.
pub struct Client {
    /// The encrypted stream; boxed, for rustls keeps a kilobyte beside its buffers.
    pub stream: Box<TlsStream<TcpStream>>,
    /// Whom its certificate names, if it showed one.
    pub certificate: Option<Arc<CertificateNames>>,
}

/// Why there is no encrypted stream.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other side speaks no TLS, ends, or cannot agree.
    #[error("no TLS handshake: {0}")]
    Failed(#[from] io::Error),
    /// It takes too long.
    #[error("no TLS handshake within {}s", HANDSHAKE.as_secs())]
    TooLong,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: Files) -> Result<Self, TlsError> {
        let (mqtt, http) = configs(&files)?;
        Ok(Self { files, mqtt: RwLock::new(mqtt), http: RwLock::new(http) })
    }

    /// Keeps the certificate as the files have it, for ever. A file that is wrong is said, and what was there before
    /// stays.
    ///
    /// # Errors
    /// If SIGHUP cannot be listened for.
    pub fn watch(self: &Arc<Self>) -> io::Result<impl Future<Output = ()> + use<>> {
        let mut watch = Watch::new(self.files.paths().cloned())?;
        let tls = self.clone();
        // What has changed between the first reading and the watch is not known to it.
        tls.reload();
        Ok(async move {
            loop {
                let cause = watch.changed().await;
                if tls.reload() {
                    let why = if cause == Cause::Hangup { "SIGHUP" } else { "the files have changed" };
                    info!(certificate = %tls.files.certificate.display(), "newcomers get the certificate as read again: {why}");
                }
            }
        })
    }

    fn reload(&self) -> bool {
        match configs(&self.files) {
            Ok((mqtt, http)) => {
                *self.mqtt.write() = mqtt;
                *self.http.write() = http;
                true
            }
            Err(error) => {
                warn!("{error}; the certificate as it was read before stays in use");
                false
            }
        }
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// If it fails or takes too long, which harms nobody else.
    pub async fn handshake(&self, stream: TcpStream, protocol: Protocol) -> Result<Client, HandshakeError> {
        let config = match protocol {
            Protocol::Mqtt => self.mqtt.read().clone(),
            Protocol::Http => self.http.read().clone(),
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, handshake).await.map_err(|_| HandshakeError::TooLong)??;
        let stream = Box::new(stream);
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|certificate| Arc::new(names::of(certificate)));
        Ok(Client { stream, certificate })
    }
}

fn configs(files: &Files) -> Result<(Arc<ServerConfig>, Arc<ServerConfig>), TlsError> {
    let read = files.read()?;
    let config = |protocol: Protocol| -> Result<_, TlsError> {
        let mut config = read.server_config()?;
        config.alpn_protocols = vec![protocol.id().to_vec()];
        Ok(Arc::new(config))
    };
    Ok((config(Protocol::Mqtt)?, config(Protocol::Http)?))
}
