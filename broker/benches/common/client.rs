//! An MQTT client of either version that means well, as far as it goes: comes in, subscribes, says and hears.

use super::connection::Connection;
use super::wire::{self, Hello, Message, Version};
use anyhow::{Context, Result, bail, ensure};

/// Longer than any workload: nobody pings but to be measured.
pub const KEEP_ALIVE_SECONDS: u16 = 3600;

pub struct Client {
    pub connection: Connection,
    version: Version,
    packet_id: u16,
}

impl Client {
    /// Comes in, or tells with which code it was not let in.
    pub async fn connect(connection: Connection, hello: &Hello<'_>) -> Result<Self> {
        let (client, code) = Self::knock(connection, hello).await?;
        ensure!(code == 0, "CONNACK with {code:#x}");
        Ok(client)
    }

    /// Asks to come in; the code of CONNACK.
    pub async fn knock(mut connection: Connection, hello: &Hello<'_>) -> Result<(Self, u8)> {
        wire::connect(&mut connection.out, hello);
        let mut client = Self { connection, version: hello.version, packet_id: 0 };
        let code = client.answer(wire::CONNACK).await?;
        Ok((client, code))
    }

    /// Subscribes; the code of SUBACK.
    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> Result<u8> {
        wire::subscribe(&mut self.connection.out, self.version, filter, qos);
        self.answer(wire::SUBACK).await
    }

    /// The same where messages may come before the answer, and are passed over.
    pub async fn subscribe_among_messages(&mut self, filter: &str, qos: u8) -> Result<u8> {
        wire::subscribe(&mut self.connection.out, self.version, filter, qos);
        loop {
            while let Some((first, body)) = self.connection.packet()? {
                match first >> 4 {
                    wire::SUBACK => return wire::code(self.version, wire::SUBACK, body).context("a short SUBACK"),
                    wire::PUBLISH | wire::PUBACK => {}
                    _ => bail!("packet {first:#x} in place of SUBACK"),
                }
            }
            self.connection.fill().await?;
        }
    }

    /// Waits for the answer to the last packet. Nothing else may be on its way.
    async fn answer(&mut self, kind: u8) -> Result<u8> {
        loop {
            if let Some((first, body)) = self.connection.packet()? {
                ensure!(first >> 4 == kind, "packet {first:#x} in place of one of type {kind}");
                return wire::code(self.version, kind, body).context("an answer that is too short");
            }
            self.connection.fill().await?;
        }
    }

    /// Shows that it is there, and waits for the answer. Nothing else may be on its way.
    pub async fn ping(&mut self) -> Result<()> {
        self.connection.out.extend_from_slice(&wire::PINGREQ);
        loop {
            if let Some((first, _)) = self.connection.packet()? {
                ensure!(first >> 4 == wire::PINGRESP, "packet {first:#x} in place of PINGRESP");
                return Ok(());
            }
            self.connection.fill().await?;
        }
    }

    /// Says it with what is said next.
    pub fn publish(&mut self, topic: &str, qos: u8, payload: &[u8]) {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        wire::publish(&mut self.connection.out, self.version, topic, qos, self.packet_id, payload);
    }

    /// The next message, acknowledged, as `read` understands it; what that has no use for is passed over. May be given
    /// up and called again.
    pub async fn hear<T>(&mut self, mut read: impl FnMut(Message<'_>) -> Result<Option<T>>) -> Result<T> {
        loop {
            while let Some((first, body)) = self.connection.packet()? {
                match first >> 4 {
                    wire::PUBLISH => {
                        let message =
                            wire::message(self.version, first, body).context("a PUBLISH that is too short")?;
                        let id = message.id;
                        let read = read(message)?;
                        if let Some(id) = id {
                            wire::puback(&mut self.connection.out, id);
                        }
                        if let Some(read) = read {
                            return Ok(read);
                        }
                    }
                    wire::PUBACK | wire::PINGRESP => {}
                    wire::DISCONNECT_TYPE => bail!("DISCONNECT with {:#x}", body.first().copied().unwrap_or_default()),
                    _ => bail!("packet {first:#x} in place of a message"),
                }
            }
            self.connection.fill().await?;
        }
    }

    pub async fn disconnect(mut self) -> Result<()> {
        self.connection.out.extend_from_slice(&wire::DISCONNECT);
        self.connection.close().await
    }
}
