//! Certificates for tests, and streams over TLS and WebSocket for [`super::client::Client`].

use super::client::Stream;
use super::{Broker, PATIENCE};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion, version,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

pub const BOTH_VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// An authority of its own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For `localhost` and 127.0.0.1.
    pub fn server(&self) -> Pair {
        self.sign(CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap())
    }

    /// For a client with this common name and a name of each other kind.
    pub fn client(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new([format!("{name}.example.org")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names.push(SanType::URI(format!("urn:{name}").try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name(format!("{name}@example.org").try_into().unwrap()));
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// A broker with MQTT over TLS and HTTPS besides its plain doors, and whom its clients trust.
pub struct Encrypted {
    pub broker: Broker,
    pub authority: Authority,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Encrypted {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(flags: &[&str]) -> Self {
        Self::configured(flags, "")
    }

    /// With further flags, and a configuration file.
    pub fn configured(flags: &[&str], file: &str) -> Self {
        let authority = Authority::new("authority");
        let folder = super::scratch_folder();
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        authority.server().write(&certificate, &key);
        let own = ["--mqtts", "127.0.0.1:0", "--https", "127.0.0.1:0", "--certificate"];
        let files = [certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let broker = Broker::with(&[&own[..], &files, flags].concat(), file);
        Self { broker, authority, certificate, key }
    }

    pub fn mqtts(&self) -> SocketAddr {
        self.broker.doors["mqtts"]
    }

    pub fn https(&self) -> SocketAddr {
        self.broker.doors["https"]
    }

    /// MQTT over TLS, with the latest version.
    pub fn tls(&self) -> Tls {
        self.dial(self.mqtts(), &trusting(&self.authority.pem, &version::TLS13, None)).unwrap()
    }

    /// MQTT over WebSocket over TLS.
    pub fn wss(&self) -> Ws<Tls> {
        let tls = self.dial(self.https(), &trusting(&self.authority.pem, &version::TLS13, None)).unwrap();
        upgrade(tls, &[]).unwrap()
    }

    /// A handshake at one of its doors.
    pub fn dial(&self, address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Tls> {
        dial(address, config)
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = self.certificate.parent().map(std::fs::remove_dir_all);
    }
}

impl Pair {
    /// The key first: the two belong together only when both are there.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(key, &self.key).unwrap();
        std::fs::write(certificate, &self.certificate).unwrap();
    }
}

/// What a client needs that trusts `authority`, speaks one version, and may show a certificate.
pub fn trusting(authority: &str, version: &'static SupportedProtocolVersion, own: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// A TLS connection, its handshake done.
pub struct Tls(StreamOwned<ClientConnection, TcpStream>);

pub fn dial(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Tls> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let connection =
        ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Tls(stream))
}

impl Tls {
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.0.conn.protocol_version()
    }

    /// The server's certificate, as DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Sends a request, and reads the answer to the end of the connection.
    pub fn http(mut self, request: &str) -> String {
        self.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        self.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Tls {
    fn tcp(&self) -> &TcpStream {
        &self.0.sock
    }
}

/// A WebSocket as a stream of bytes.
pub struct Ws<S: Stream> {
    socket: WebSocket<S>,
    rest: Vec<u8>,
}

/// Asks for a WebSocket at `/mqtt`, with further headers; the broker's answer in words if it refuses.
pub fn upgrade<S: Stream>(stream: S, headers: &[(&'static str, &str)]) -> Result<Ws<S>, String> {
    let mut request = "ws://localhost/mqtt".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(Ws { socket, rest: Vec::new() }),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            let body = answer.body().as_deref().unwrap_or_default();
            Err(format!("{} {}", answer.status(), String::from_utf8_lossy(body)))
        }
        Err(other) => Err(other.to_string()),
    }
}

impl<S: Stream> Read for Ws<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => self.rest = bytes.to_vec(),
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return Ok(0),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let length = self.rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

impl<S: Stream> Write for Ws<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(Message::binary(bytes.to_vec())).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().map_err(io::Error::other)
    }
}

impl<S: Stream> Stream for Ws<S> {
    fn tcp(&self) -> &TcpStream {
        self.socket.get_ref().tcp()
    }
}
