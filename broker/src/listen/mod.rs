//! Where connections come in.

mod arrival;
pub mod http;
pub mod tcp;
pub mod tls;
mod websocket;

use crate::audit::{Refused, What};
use crate::hub::Hub;
pub use arrival::{Arrival, CertificateNames, Transport};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

/// Connections that the kernel may hold until they are accepted: a thousand cameras may come back
/// at once after a power cut.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time in which the other side must take some of what is sent to it (RFC 5482): who asks for pages and never
/// reads them goes, as does who is cut off without a word.
const TAKES_NOTHING: Duration = Duration::from_secs(60);

/// Binds a listener; the address may be taken again at once after a restart.
///
/// # Errors
/// With the address in words.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bind = || {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// The next connection and where it comes from, without Nagle's delay. A failure is logged and waited out; what is open
/// goes on.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    warn!(%error, "TCP_NODELAY cannot be set");
                }
                if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(TAKES_NOTHING)) {
                    warn!(%error, "TCP_USER_TIMEOUT cannot be set");
                }
                return (stream, address);
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection that ends before it has said anything.
fn refused(hub: &Hub, address: SocketAddr, error: &tls::HandshakeError) {
    let why = error.to_string();
    hub.audit(Refused { what: What::Connection, why: &why, client: None, user: None, address: Some(address) });
}
