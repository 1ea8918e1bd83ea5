//! A connection that carries MQTT packets, over TCP or WebSocket.

use super::wire;
use anyhow::{Context, Result, bail, ensure};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Transport {
    Tcp,
    Ws,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Ws => "WS",
        }
    }
}

pub struct Connection {
    socket: TcpStream,
    transport: Transport,
    /// Packets to be sent; over WebSocket still without frames.
    pub out: Vec<u8>,
    /// Bytes on their way to the socket.
    writing: Vec<u8>,
    /// What the socket gave, over WebSocket in frames.
    received: Vec<u8>,
    /// MQTT out of WebSocket frames.
    unframed: Vec<u8>,
    /// How much of the stream of packets has been taken.
    taken: usize,
    /// Why the server has closed the WebSocket.
    closed: Option<String>,
}

/// RFC 6455 §5.3 wants every frame masked; one key serves as well as many, for nobody is attacked here. It is not
/// zero, which servers may recognise.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x96, 0x0F];
const BINARY: u8 = 0x82;
/// The lower half of a frame's first byte, where it says that the connection ends.
const CLOSE: u8 = 8;

impl Connection {
    /// Connects from one of several loopback addresses: a hundred thousand connections a minute from one would come
    /// to ports that the kernel still remembers.
    pub async fn open(server: SocketAddr, transport: Transport, source: Ipv4Addr) -> Result<Self> {
        Self::over(dial(server, source, None).await?, server, transport).await
    }

    /// Over a socket that is connected already.
    pub async fn over(socket: TcpStream, server: SocketAddr, transport: Transport) -> Result<Self> {
        let (out, writing, received, unframed) = Default::default();
        let mut connection = Self { socket, transport, out, writing, received, unframed, taken: 0, closed: None };
        if transport == Transport::Ws {
            connection.upgrade(server, "/mqtt", "Sec-WebSocket-Protocol: mqtt\r\n").await?;
            connection.unframe()?;
        }
        Ok(connection)
    }

    /// Makes a WebSocket of it. What comes behind the answer is for whoever reads on.
    pub async fn upgrade(&mut self, server: SocketAddr, target: &str, headers: &str) -> Result<()> {
        self.writing = format!(
            "GET {target} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZHVldCBtZWFzdXJlcyBpdA==\r\n{headers}\r\n"
        )
        .into_bytes();
        self.write().await?;
        loop {
            self.read().await?;
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let status = self.received.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let said = String::from_utf8_lossy(status);
                ensure!(said.starts_with("HTTP/1.1 101"), "WebSocket handshake: {said}");
                self.received.drain(..end + 4);
                return Ok(());
            }
        }
    }

    /// Sends what is in `out`. May be given up and called again.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            match self.transport {
                Transport::Tcp if self.writing.is_empty() => std::mem::swap(&mut self.out, &mut self.writing),
                Transport::Tcp => self.writing.append(&mut self.out),
                Transport::Ws => frame(&mut self.writing, BINARY, &[&self.out]),
            }
            self.out.clear();
        }
        self.write().await
    }

    async fn write(&mut self) -> Result<()> {
        while !self.writing.is_empty() {
            match self.socket.try_write(&self.writing) {
                Ok(written) if written == self.writing.len() => self.writing.clear(),
                Ok(written) => drop(self.writing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.socket.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        self.received.reserve(4096);
        // read_buf, and not try_read: it knows that a short read has emptied the socket, and spares the next one.
        ensure!(self.socket.read_buf(&mut self.received).await? > 0, "the server closed the connection");
        Ok(())
    }

    /// Sends what is in `out`, then waits for more bytes. May be given up and called again.
    pub async fn fill(&mut self) -> Result<()> {
        self.flush().await?;
        let stream = if self.transport == Transport::Tcp { &mut self.received } else { &mut self.unframed };
        if self.taken == stream.len() {
            stream.clear();
        } else {
            stream.drain(..self.taken);
        }
        self.taken = 0;
        if let Some(why) = &self.closed {
            bail!("the server closed the WebSocket: {why}");
        }
        self.read().await?;
        if self.transport == Transport::Ws { self.unframe() } else { Ok(()) }
    }

    /// The next packet that is there in whole: its first byte, and what follows its fixed header.
    pub fn packet(&mut self) -> Result<Option<(u8, &[u8])>> {
        self.next(wire::first)
    }

    /// The same of any protocol: `first` tells how long the header is of what the stream begins with, and the whole of it.
    pub fn next(&mut self, first: impl FnOnce(&[u8]) -> Result<Option<(usize, usize)>>) -> Result<Option<(u8, &[u8])>> {
        let stream = if self.transport == Transport::Tcp { &self.received } else { &self.unframed };
        let rest = &stream[self.taken..];
        let Some((header, whole)) = first(rest)? else { return Ok(None) };
        self.taken += whole;
        Ok(Some((rest[0], &rest[header..whole])))
    }

    /// Takes the whole frames out of `received`.
    fn unframe(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some((header, whole)) = first_frame(&self.received[at..])? {
            let payload = &self.received[at + header..at + whole];
            match self.received[at] & 0x0F {
                0..=2 => self.unframed.extend_from_slice(payload),
                CLOSE => self.closed = Some(String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned()),
                opcode => bail!("the server sent a WebSocket frame of type {opcode}"),
            }
            at += whole;
        }
        self.received.drain(..at);
        Ok(())
    }

    /// Sends what is in `out`, and waits until the server has closed.
    pub async fn close(mut self) -> Result<()> {
        self.flush().await?;
        self.closed().await;
        Ok(())
    }

    /// Waits until the server has closed, and answers nothing meanwhile.
    pub async fn closed(mut self) {
        let mut nothing = [0; 512];
        while self.socket.read(&mut nothing).await.is_ok_and(|length| length > 0) {}
    }

    /// Vanishes without a word: the server hears of a reset, or of an end that nobody has announced.
    pub fn cut(self, is_reset: bool) {
        if is_reset {
            // Where it cannot be set, the connection ends all the same.
            let _ = self.socket.set_zero_linger();
        }
    }

    /// Whether the server has kept it open. What has come meanwhile is thrown away.
    pub fn is_open(&self) -> bool {
        let mut nothing = [0; 512];
        loop {
            match self.socket.try_read(&mut nothing) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// A socket from this address, which keeps about so many bytes that nobody has read.
pub async fn dial(server: SocketAddr, source: Ipv4Addr, unread: Option<u32>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = unread {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind((source, 0).into())?;
    let socket = socket.connect(server).await.context("cannot connect")?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The first frame in `bytes`, if all of it is there: the length of its header, and of the whole (RFC 6455 §5.2; a
/// server's are not masked).
pub fn first_frame(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let [_, second, rest @ ..] = bytes else { return Ok(None) };
    let (header, length) = match (second & 0x7F, rest) {
        (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (126, _) => return Ok(None),
        (127, rest) => match rest.first_chunk() {
            Some(length) => (10, usize::try_from(u64::from_be_bytes(*length))?),
            None => return Ok(None),
        },
        (length, _) => (2, usize::from(length)),
    };
    let whole = header + length;
    Ok((bytes.len() >= whole).then_some((header, whole)))
}

/// One masked frame with these bytes.
pub fn frame(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + 14);
    out.push(first);
    match length {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ ..65536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let begin = out.len();
    parts.iter().for_each(|part| out.extend_from_slice(part));
    for word in out[begin..].chunks_mut(4) {
        word.iter_mut().zip(MASK).for_each(|(byte, mask)| *byte ^= mask);
    }
}
