use super::*;
use crate::backbone;
use agent::access::authorize::Rules;
use agent::login::Login;
use agent::login::files::Access;
use agent::rooms::{Config, Rooms};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, duplex};

fn hub() -> Arc<Hub> {
    let limits = crate::config::default_limits();
    let (uplink, _) = backbone::start().unwrap();
    let access = Access {
        users: None,
        jwt_secret: None,
        jwt_key: None,
        jwks: None,
        jwt_issuer: None,
        jwt_audience: "duet".into(),
        jwt_leeway: Duration::ZERO,
        anonymous: true,
    };
    let state = tempfile::tempdir().unwrap();
    let login = Arc::new(Login::new(access, state.path().into(), Default::default()).unwrap());
    Arc::new(Hub::new(login, Rules::default(), limits, Rooms::new(Config::default()), uplink))
}

fn arrival(hub: &Hub) -> Arrival {
    let address: std::net::SocketAddr = (std::net::Ipv4Addr::LOCALHOST, 1).into();
    Arrival::new(address, crate::listen::Transport::Tcp, hub.door.arrive(address.ip()))
}

/// A socket that counts, and panics when it has been read from as often as it may be.
struct Trap<S> {
    socket: S,
    reads_left: u32,
    writes: Arc<AtomicUsize>,
}

impl<S> Trap<S> {
    fn new(socket: S, reads_left: u32) -> Self {
        Self { socket, reads_left, writes: Arc::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Trap<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_read(context, into))?;
        self.reads_left = self.reads_left.checked_sub(1).expect("the trap closes");
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Trap<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Transport for Trap<DuplexStream> {}

const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";

#[tokio::test]
async fn a_session_that_panics_gives_its_place_up() {
    let hub = hub();
    let (mut client, server) = duplex(1024);
    let session = tokio::spawn(serve(Trap::new(server, 1), arrival(&hub), hub.clone()));
    client.write_all(CONNECT).await.unwrap();
    let mut connack = [0; 4];
    client.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    assert_eq!((hub.sessions(), hub.switchboard.lock().census().connected), (1, 1));
    client.write_all(&[0xC0, 0]).await.unwrap();
    assert!(session.await.unwrap_err().is_panic());
    assert_eq!((hub.sessions(), hub.switchboard.lock().census().connected), (0, 0));
}

#[tokio::test]
async fn who_says_all_at_once_is_answered_at_once() {
    const SUBSCRIBE: &[u8] = b"\x82\x10\x00\x07\x00\x0brooms/+/x/+\x00";
    const PINGREQ: &[u8] = &[0xC0, 0];
    let hub = hub();
    let (mut client, server) = duplex(1024);
    let server = Trap::new(server, 1);
    let writes = server.writes.clone();
    client.write_all(&[CONNECT, SUBSCRIBE, PINGREQ].concat()).await.unwrap();
    tokio::spawn(serve(server, arrival(&hub), hub.clone()));
    let mut answer = [0; 11];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0, 0x90, 3, 0, 7, 0, 0xD0, 0]);
    assert_eq!(writes.load(Ordering::Relaxed), 1, "CONNACK, SUBACK and PINGRESP go together");
}

#[test]
fn only_the_flags_of_table_2_2_are_legal() {
    let legal: Vec<u8> = (0..=255).filter(|first| has_legal_flags(*first)).collect();
    let mut expected: Vec<u8> = (0x30..=0x3F).collect();
    expected.extend([0x62, 0x82, 0xA2]);
    expected.extend([0, 1, 2, 4, 5, 7, 9, 11, 12, 13, 14, 15].map(|kind| kind << 4));
    expected.sort_unstable();
    assert_eq!(legal, expected);
}

const PUBACK: [u8; 4] = [0x40, 2, 0, 7];

/// Connects, says something at QoS 1 and `more` behind it, in one go; the client's end.
async fn publishes(is_busy: bool, more: &[u8]) -> DuplexStream {
    const PUBLISH: &[u8] = b"\x32\x26\x00\x13rooms/lobby/agent/x\x00\x07{\"type\":\"join\"}";
    let hub = hub();
    if is_busy {
        hub.uplink.push(|out| out.extend_from_slice(&[0; 8 * 1024]));
    }
    let (mut client, server) = duplex(1024);
    tokio::spawn(serve(server, arrival(&hub), hub.clone()));
    client.write_all(CONNECT).await.unwrap();
    client.read_exact(&mut [0; 4]).await.unwrap();
    client.write_all(&[PUBLISH, more].concat()).await.unwrap();
    client
}

/// What comes while no timer runs out: so many bytes.
async fn comes_at_once(client: &mut DuplexStream, bytes: usize) -> Vec<u8> {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let mut answer = vec![0; bytes];
    tokio::time::timeout(Duration::ZERO, client.read_exact(&mut answer)).await.expect("it is there").unwrap();
    answer
}

#[tokio::test]
async fn a_message_is_acknowledged_at_once_when_nobody_is_ahead() {
    assert_eq!(comes_at_once(&mut publishes(false, &[]).await, 4).await, PUBACK);
}

#[tokio::test]
async fn an_acknowledgement_waits_for_something_to_go_with_while_others_are_ahead() {
    let mut client = publishes(true, &[]).await;
    let (begin, mut answer) = (Instant::now(), [0; 4]);
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, PUBACK);
    assert!(begin.elapsed() >= Duration::from_millis(1), "{:?}", begin.elapsed());
    const PINGREQ: [u8; 2] = [0xC0, 0];
    const PINGRESP: [u8; 2] = [0xD0, 0];
    let both = comes_at_once(&mut publishes(true, &PINGREQ).await, 6).await;
    assert_eq!(both, [&PUBACK[..], &PINGRESP].concat());
}

/// A session is the largest part of what a peer costs, and the allocator gives the next more 256 bytes at once.
#[test]
fn a_session_over_tcp_fits_into_a_kilobyte() {
    let size = size_of::<Session<tokio::net::TcpStream>>();
    assert!(size <= 1024, "{size} bytes");
}
