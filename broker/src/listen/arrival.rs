//! Where a connection comes from: what a session knows of its client before the first byte of MQTT.

use crate::limits::door::Place;
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

/// Whom a verified client certificate names (RFC 5280 §4.1.2.6 and §4.2.1.6), each as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject's common name; the last if there are several, being the most specific.
    pub common_name: Option<String>,
    /// Alternative names of type dNSName.
    pub dns: Vec<String>,
    /// Alternative names of type uniformResourceIdentifier.
    pub uri: Vec<String>,
    /// Alternative names of type rfc822Name.
    pub email: Vec<String>,
}

impl Arrival {
    /// Arrived now, without a certificate.
    pub fn new(address: SocketAddr, transport: Transport, place: Arc<Place>) -> Self {
        Self { address, since: Instant::now(), transport, certificate: None, place: Some(place) }
    }
}

impl CertificateNames {
    /// All names, the common name first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let alternative = self.dns.iter().chain(&self.uri).chain(&self.email);
        self.common_name.iter().chain(alternative).map(String::as_str)
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
