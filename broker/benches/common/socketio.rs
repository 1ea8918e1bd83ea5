//! A client of what the tutorials build on socket.io 4: Socket.IO 5 over Engine.IO 4, over WebSocket from the start. A
//! browser begins with long polling, which costs the server more.

use super::connection::{self, Connection, Transport};
use anyhow::{Result, bail, ensure};
use std::net::{Ipv4Addr, SocketAddr};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// Of Engine.IO.
const OPEN: &[u8] = b"0";
const PING: &[u8] = b"2";
const PONG: &[u8] = b"3";
/// Of Socket.IO, in a message of Engine.IO.
const CONNECT: &[u8] = b"40";
const DISCONNECT: &[u8] = b"41";
const EVENT: &[u8] = b"42";

pub struct SocketIo {
    /// The stream of bytes: here a frame is what a packet is to MQTT.
    pub connection: Connection,
    room: String,
}

impl SocketIo {
    /// Connects, and is in no room yet.
    pub async fn connect(server: SocketAddr, source: Ipv4Addr, room: &str) -> Result<Self> {
        let mut connection = Connection::open(server, Transport::Tcp, source).await?;
        connection.upgrade(server, "/socket.io/?EIO=4&transport=websocket", "").await?;
        let mut client = Self { connection, room: room.to_owned() };
        client.answer(OPEN).await?;
        client.say(&[CONNECT]);
        client.answer(CONNECT).await?;
        Ok(client)
    }

    /// Asks to be let into the room.
    pub fn join(&mut self) {
        let room = self.room.clone();
        self.say(&[EVENT, br#"["join",""#, room.as_bytes(), br#""]"#]);
    }

    /// Says it to the other one, with what is said next. The signal is JSON.
    pub fn emit(&mut self, kind: &str, signal: &[u8]) {
        let room = self.room.clone();
        let begin = format!(r#"["{kind}",{{"room":"{room}","signal":"#);
        self.say(&[EVENT, begin.as_bytes(), signal, b"}]"]);
    }

    /// The next event, as `read` understands its name and its argument; what that has no use for is passed over. May be
    /// given up and called again.
    pub async fn hear<T>(&mut self, mut read: impl FnMut(&[u8], &[u8]) -> Result<Option<T>>) -> Result<T> {
        loop {
            while let Some(text) = self.text()? {
                if text == PING {
                    self.say(&[PONG]);
                    continue;
                }
                let event = text.strip_prefix(EVENT).and_then(|event| event.strip_prefix(br#"[""#)?.strip_suffix(b"]"));
                let Some(event) = event else { bail!("{} in place of an event", String::from_utf8_lossy(text)) };
                let end = event.iter().position(|byte| *byte == b'"').unwrap_or(event.len());
                let (name, argument) = event.split_at(end);
                if let Some(read) = read(name, argument.strip_prefix(br#"","#).unwrap_or_default())? {
                    return Ok(read);
                }
            }
            self.connection.fill().await?;
        }
    }

    pub async fn disconnect(mut self) -> Result<()> {
        self.say(&[DISCONNECT]);
        connection::frame(&mut self.connection.out, CLOSE, &[]);
        self.connection.close().await
    }

    fn say(&mut self, parts: &[&[u8]]) {
        connection::frame(&mut self.connection.out, TEXT, parts);
    }

    /// Waits for what begins like this.
    async fn answer(&mut self, kind: &[u8]) -> Result<()> {
        loop {
            if let Some(text) = self.text()? {
                ensure!(text.starts_with(kind), "socket.io said {}", String::from_utf8_lossy(text));
                return Ok(());
            }
            self.connection.fill().await?;
        }
    }

    /// What the next frame says, if it is there.
    fn text(&mut self) -> Result<Option<&[u8]>> {
        let Some((first, text)) = self.connection.next(connection::first_frame)? else { return Ok(None) };
        ensure!(first == TEXT, "the server sent a WebSocket frame that begins with {first:#x}");
        Ok(Some(text))
    }
}
