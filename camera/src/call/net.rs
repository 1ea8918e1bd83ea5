//! The sockets of a call, one for each address of the machine, and what comes in at them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Datagrams that may wait for the call. More would be late anyway.
const WAITING: usize = 256;
/// No datagram of WebRTC is larger.
const DATAGRAM: usize = 2048;

/// A datagram that has come.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Sockets at every address.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: HashMap<SocketAddr, Arc<UdpSocket>>,
    heard: mpsc::Receiver<Datagram>,
    /// Ends with the sockets.
    _listeners: JoinSet<()>,
}

impl Sockets {
    /// Opens a socket at each address, at a port that the system chooses. An address that has gone is left out.
    pub(super) async fn open(addresses: &[IpAddr]) -> Self {
        let (tell, heard) = mpsc::channel(WAITING);
        let mut sockets = HashMap::new();
        let mut listeners = JoinSet::new();
        for &address in addresses {
            match socket(address).await {
                Ok((local, socket)) => {
                    let socket = Arc::new(socket);
                    listeners.spawn(listen(socket.clone(), local, tell.clone()));
                    sockets.insert(local, socket);
                }
                Err(error) => warn!(%address, %error, "no socket at this address"),
            }
        }
        Self { sockets, heard, _listeners: listeners }
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.keys().copied()
    }

    /// The next datagram.
    pub(super) async fn next(&mut self) -> Option<Datagram> {
        self.heard.recv().await
    }

    /// Sends from one of them. What the network does not take now is lost, as it may be on the way.
    pub(super) fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.sockets.get(&from) else {
            return debug!(%from, "nothing can be sent from here");
        };
        if let Err(error) = socket.try_send_to(bytes, to) {
            debug!(%from, %to, %error, "a datagram is lost");
        }
    }
}

async fn socket(address: IpAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = UdpSocket::bind((address, 0)).await?;
    // Until the runtime has seen it once, nothing can be sent without waiting.
    socket.writable().await?;
    Ok((socket.local_addr()?, socket))
}

async fn listen(socket: Arc<UdpSocket>, to: SocketAddr, tell: mpsc::Sender<Datagram>) {
    let mut buffer = [0; DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let datagram = Datagram { from, to, bytes: buffer[..length].to_vec() };
                if tell.send(datagram).await.is_err() {
                    return;
                }
            }
            // What an earlier datagram met on its way (ICMP); the socket goes on.
            Err(error) => debug!(%to, %error, "a datagram did not arrive"),
        }
    }
}

/// The addresses of this machine at which others may reach it, and its loopback address only `with_loopback`: for
/// viewers on the same machine.
///
/// # Errors
/// If the system does not tell.
pub fn local_addresses(with_loopback: bool) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|interface| interface.ip())
        .filter(|address| match address {
            IpAddr::V4(v4) => !v4.is_link_local() && (with_loopback || !v4.is_loopback()),
            // Candidates have no place for the interface that a link-local address needs.
            IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_loopback(),
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
