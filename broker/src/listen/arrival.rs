//! Where a connection comes from: what a session knows of its client before the first byte of MQTT.

use crate::limits::door::Place;
use agent::access::CertificateNames;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// A connection that has arrived at a listener.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The other end's address.
    pub address: SocketAddr,
    /// When it was accepted; for a later request of an HTTP connection, when that came.
    pub since: Instant,
    /// What MQTT goes over.
    pub transport: Transport,
    /// The names in the client's certificate, if it showed one and it was verified.
    pub certificate: Option<Arc<CertificateNames>>,
    /// Its place at the door, until it is let in.
    pub place: Option<Arc<Place>>,
}

/// What MQTT goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A WebSocket over plain HTTP.
    Ws,
    /// A WebSocket over HTTPS.
    Wss,
}

impl Arrival {
    /// Arrived now, without a certificate.
    pub fn new(address: SocketAddr, transport: Transport, place: Arc<Place>) -> Self {
        Self { address, since: Instant::now(), transport, certificate: None, place: Some(place) }
    }
}

impl Transport {
    /// All there are.
    pub const ALL: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

    /// Whether the bytes are encrypted on their way.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        })
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.address, self.transport)?;
        if let Some(name) = self.certificate.as_ref().and_then(|names| names.iter().next()) {
            write!(f, ", certificate of {name:?}")?;
        }
        f.write_str(")")
    }
}
