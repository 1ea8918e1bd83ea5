//! What a session runs over.

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// TCP, or what looks like such a stream of bytes.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    /// What is written from now on is the last, and may wait for the end of the connection to go out with it: each
    /// segment by itself costs both sides as much.
    fn expect_end(&self) {}
}

impl Transport for TcpStream {
    fn expect_end(&self) {
        // What goes out by itself arrives as well.
        let _ = SockRef::from(self).set_tcp_cork(true);
    }
}

impl Transport for Box<TlsStream<TcpStream>> {
    fn expect_end(&self) {
        self.get_ref().0.expect_end();
    }
}

/// A connection that hyper has answered on, whatever it is.
impl Transport for TokioIo<Upgraded> {}

/// A pipe within the process.
impl Transport for DuplexStream {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_is_last_waits_for_the_end_and_comes_with_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (mut stream, _)) = (connected.unwrap(), accepted.unwrap());
        stream.expect_end();
        assert!(SockRef::from(&stream).tcp_cork().unwrap());
        stream.write_all(b"last").await.unwrap();
        drop(stream);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
    }
}
