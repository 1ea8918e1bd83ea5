//! Where connections come in.

mod arrival;
pub mod http;
pub mod tcp;
pub mod tls;
mod websocket;

use crate::audit::{Refused, What};
use crate::hub::Hub;
use crate::limits::memory::Level;
pub use arrival::{Arrival, Transport};
use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tracing::{info, warn};

/// Connections that the kernel may hold until they are accepted: a thousand cameras may come back
/// at once after a power cut.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time in which the other side must take some of what is sent to it (RFC 5482): who asks for pages and never
/// reads them goes, as does who is cut off without a word.
const TAKES_NOTHING: Duration = Duration::from_secs(60);
/// Silence after which TCP asks whether the other side is still there, and the pause until it asks again (RFC 1122
/// §4.2.3.6). A client may promise no sign of life (keep-alive 0), and its machine vanish; together with the time in which
/// an answer must come, its seat is then kept for 75 s, and not for ever.
const IS_THERE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// Bytes that the kernel takes for a client beyond what is on its way to it. Otherwise it takes megabytes for one that does
/// not read, which count against a container's memory, and for no limit of ours.
const NOT_SENT: u32 = 64 * 1024;

/// Time without a failed accept after which all is well again: with few descriptors, failures and
/// successes take turns.
const RECOVERED: Duration = Duration::from_secs(1);

/// Binds a listener; the address may be taken again at once after a restart.
///
/// # Errors
/// With the address in words.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        set_for_connections(&socket);
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|error: io::Error| {
        let right = match error.kind() {
            io::ErrorKind::AddrNotAvailable => "; give an address of this machine, or 0.0.0.0 for all that come",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{right}"))
    })
}

/// What holds for every connection: a socket that is accepted has what its listener has, and each call for each of them
/// would cost.
fn set_for_connections(listener: &Socket) {
    for (option, set) in [
        ("TCP_NODELAY", listener.set_tcp_nodelay(true)),
        ("TCP_USER_TIMEOUT", listener.set_tcp_user_timeout(Some(TAKES_NOTHING))),
        ("SO_KEEPALIVE", listener.set_tcp_keepalive(&IS_THERE)),
        ("TCP_NOTSENT_LOWAT", listener.set_tcp_notsent_lowat(NOT_SENT)),
    ] {
        if let Err(error) = set {
            warn!(%error, "{option} cannot be set");
        }
    }
}

/// Accepts connections for one listener.
struct Acceptor {
    listener: TcpListener,
    hub: Arc<Hub>,
    /// When accepting failed last, until it has gone well for a while; said once.
    failed_at: Option<Instant>,
}

impl Acceptor {
    fn new(listener: TcpListener, hub: Arc<Hub>) -> Self {
        Self { listener, hub, failed_at: None }
    }

    /// The next connection, and where it comes from. A failure is said once
    /// and waited out. It is mostly a lack of file descriptors: then the connection that is at the
    /// door for longest gives its own up for the one that waits, and who is inside stays.
    async fn accept(&mut self, transport: Transport) -> (TcpStream, Arrival) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if self.failed_at.take_if(|failed_at| failed_at.elapsed() > RECOVERED).is_some() {
                        info!(%transport, "connections are accepted again");
                    }
                    self.hub.counters.sockets.add(1);
                    if self.hub.memory.level() == Level::Critical {
                        self.hub.door.displace_oldest(); // those at the door become no more
                    }
                    let place = self.hub.door.arrive(address.ip());
                    return (stream, Arrival::new(address, transport, place));
                }
                // The kernel looks for a free descriptor before it looks for a connection.
                Err(_) if !self.is_awaited() => tokio::time::sleep(ACCEPT_PAUSE).await,
                Err(error) => {
                    self.hub.counters.failed_accepts.add(1);
                    if self.failed_at.replace(Instant::now()).is_none() {
                        warn!(%error, %transport, "no connection can be accepted for now; those that are open go on");
                    }
                    self.hub.door.displace_oldest();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Whether a connection waits to be accepted.
    fn is_awaited(&self) -> bool {
        let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
        rustix::event::poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Shakes hands, as long as the connection need not give way. A failure is told to the audit.
async fn handshake(
    stream: TcpStream,
    arrival: &Arrival,
    tls: &tls::Tls,
    protocol: tls::Protocol,
    hub: &Hub,
) -> Option<tls::Client> {
    let handshake = pin!(tls.handshake(stream, protocol, hub.limits.connect_timeout));
    match arrival.place.as_ref()?.hold(handshake).await {
        Some(Ok(client)) => return Some(client),
        Some(Err(error)) => {
            let (why, address) = (error.to_string(), Some(arrival.address));
            hub.audit(Refused { what: What::Connection, why: &why, client: None, user: None, address });
        }
        None => hub.audit(Refused::gave_way(arrival.address)),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[tokio::test]
    async fn connections_have_what_their_listener_has() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_client, (stream, _)) = (connected.unwrap(), accepted.unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(TAKES_NOTHING));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOT_SENT);
    }
}
