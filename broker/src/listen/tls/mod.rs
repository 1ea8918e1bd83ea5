//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446) for the listeners: the certificate that newcomers get now, and their handshakes.
//!
//! A handshake runs in the connection's own task and under a limit; established connections keep the certificate that
//! they began with.

mod files;
mod names;

use agent::access::CertificateNames;
use agent::login::watch::{Cause, Watch};
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

/// Time for a handshake, if a CONNECT has not less.
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
    #[error("no TLS handshake within {}", humantime::format_duration(*.0))]
    TooLong(Duration),
}

impl Tls {
    /// Reads the files, and from now on again when they change. A file that is wrong then is said, and what was there
    /// before stays. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// What is wrong with which file now.
    pub fn start(files: Files) -> Result<Arc<Self>, TlsError> {
        let watch = Watch::new(files.paths().cloned()).map_err(TlsError::Watch)?;
        let (mqtt, http) = configs(&files)?;
        let tls = Arc::new(Self { files, mqtt: RwLock::new(mqtt), http: RwLock::new(http) });
        tokio::spawn(tls.clone().keep_fresh(watch));
        Ok(tls)
    }

    async fn keep_fresh(self: Arc<Self>, mut watch: Watch) {
        loop {
            let cause = watch.changed().await;
            if self.reload() {
                let why = if cause == Cause::Hangup { "SIGHUP" } else { "the files have changed" };
                let certificate = self.files.certificate.display();
                info!(%certificate, "newcomers get the certificate as read again: {why}");
            }
        }
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

    /// Does the handshake, for which `most` is the longest time.
    ///
    /// # Errors
    /// If it fails or takes too long, which harms nobody else.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        protocol: Protocol,
        most: Duration,
    ) -> Result<Client, HandshakeError> {
        let config = match protocol {
            Protocol::Mqtt => self.mqtt.read().clone(),
            Protocol::Http => self.http.read().clone(),
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let limit = HANDSHAKE.min(most);
        let stream = tokio::time::timeout(limit, handshake).await.map_err(|_| HandshakeError::TooLong(limit))??;
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
