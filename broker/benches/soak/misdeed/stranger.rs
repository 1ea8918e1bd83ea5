//! Over MQTT's own port, by those who are not let in, or thrown out at once.

use super::{fresh, until_closed};
use crate::common::client::Client;
use crate::common::connection::{Connection, Transport};
use crate::common::wire::{self, Hello, Version};
use crate::world::{Actor, Manner, World};
use anyhow::{Result, ensure};

/// Each wrong by itself, whoever sends it and when.
const MALFORMED: [&[u8]; 9] = [
    &[0x00, 0x00],                                     // type 0 is reserved
    &[0xF8, 0x00],                                     // flags of an AUTH
    &[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],       // QoS 3
    &[0x80, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00], // flags of a SUBSCRIBE
    &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],             // a length of five bytes
    &[0x30, 0x03, 0x00, 0x09, b'a'],                   // a topic longer than its packet
    &[0x30, 0x03, 0x00, 0x01, 0xFF],                   // a topic that is no UTF-8
    &[0x32, 0x05, 0x00, 0x01, b'a', 0x00, 0x00],       // packet id 0
    &[0x82, 0x02, 0x00, 0x01],                         // a SUBSCRIBE for nothing
];

/// The same as first packet, or after a CONNECT that is right.
pub async fn malformed(world: &World, actor: &mut Actor) -> Result<()> {
    let (id, manner) = (fresh(actor), actor.manner());
    let bytes = MALFORMED[actor.lots.usize(..MALFORMED.len())];
    let socket = world.dial(actor, Transport::Tcp).await?;
    if actor.lots.bool() {
        until_closed(socket, bytes).await;
        return Ok(());
    }
    let mut packets = Vec::new();
    wire::connect(&mut packets, &anonymous(manner.version, &id));
    packets.extend_from_slice(bytes);
    let said = until_closed(socket, &packets).await;
    ensure!(said.first() == Some(&(wire::CONNACK << 4)), "{said:?} in place of CONNACK");
    Ok(())
}

pub async fn wrong_version(world: &World, actor: &mut Actor) -> Result<()> {
    let packets: [&[u8]; 4] = [
        b"\x10\x0F\0\x06MQIsdp\x03\x02\0\x3C\0\x01a",
        b"\x10\x0D\0\x04MQTT\x03\x02\0\x3C\0\x01a",
        b"\x10\x0E\0\x04MQTT\x06\x02\0\x3C\0\0\x01a",
        b"\x10\x0D\0\x04HTTP\x04\x02\0\x3C\0\x01a",
    ];
    let packet = packets[actor.lots.usize(..packets.len())];
    let said = until_closed(world.dial(actor, Transport::Tcp).await?, packet).await;
    let is_let_in = matches!(said[..], [0x20, _, _, 0, ..]);
    ensure!(!is_let_in, "{packet:?} is let in");
    Ok(())
}

pub async fn oversized_connect(world: &World, actor: &mut Actor) -> Result<()> {
    let (version, password) = (actor.manner().version, "x".repeat(actor.lots.usize(9_000..60_000)));
    let mut packet = Vec::new();
    let id = fresh(actor);
    let hello = Hello { login: Some(("somebody", &password)), ..anonymous(version, &id) };
    wire::connect(&mut packet, &hello);
    let said = until_closed(world.dial(actor, Transport::Tcp).await?, &packet).await;
    ensure!(!matches!(said[..], [0x20, _, _, 0, ..]), "a CONNECT of {} bytes is let in", packet.len());
    Ok(())
}

/// A password that is wrong, or a token that nobody has signed. Those who share its address would have to wait for it.
pub async fn guess(world: &World, actor: &mut Actor) -> Result<()> {
    let (id, manner) = (fresh(actor), actor.manner());
    let forged = format!("{}x", world.token(&id)?);
    let (user, password) = match actor.lots.u8(..3) {
        0 => ("operator", "letmein"),
        1 => ("somebody", "letmein"),
        _ => ("", &*forged),
    };
    let hello = Hello { login: Some((user, password)), ..anonymous(manner.version, &id) };
    let Manner { transport, .. } = manner;
    let connection = Connection::open(world.address(transport), transport, actor.address_of_its_own()).await?;
    let (_, code) = Client::knock(connection, &hello).await?;
    ensure!(code != 0, "a wrong password of {user:?} is taken");
    Ok(())
}

pub async fn silence(world: &World, actor: &mut Actor) -> Result<()> {
    let transport = actor.manner().transport;
    until_closed(world.dial(actor, transport).await?, b"").await;
    Ok(())
}

pub fn anonymous(version: Version, id: &str) -> Hello<'_> {
    Hello { version, id, is_clean: true, keep_alive: 60, expiry: 0, login: None }
}
