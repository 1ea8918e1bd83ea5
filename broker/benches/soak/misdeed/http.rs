//! Over the port of pages and WebSockets.

use super::{fresh, is_client_error, status, until_closed};
use crate::common::connection::Transport;
use crate::common::wire;
use crate::world::{Actor, World};
use anyhow::{Result, ensure};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const UPGRADE: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZHVldCBzb2FrcyBhIGRheQ==\r\nSec-WebSocket-Protocol: mqtt\r\n";

/// Each wrong in one place.
pub async fn bad_upgrade(world: &World, actor: &mut Actor) -> Result<()> {
    let wrong = [
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Connection: Upgrade", "Connection: close"),
        ("Version: 13", "Version: 8"),
        ("Sec-WebSocket-Key: ZHVldCBzb2FrcyBhIGRheQ==\r\n", ""),
        ("Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Protocol: chat"),
        ("Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://elsewhere.example"),
    ];
    let (right, wrong) = wrong[actor.lots.usize(..wrong.len())];
    // Closed after it, so that the answer has an end.
    let headers = UPGRADE.replace(right, wrong).replace("Connection: Upgrade", "Connection: Upgrade, close");
    let request = format!("GET /mqtt HTTP/1.1\r\n{headers}\r\n");
    is_client_error(status(world, actor, &request).await?, &request)
}

/// What follows an upgrade that is right.
pub async fn bad_frame(world: &World, actor: &mut Actor) -> Result<()> {
    let mut socket = world.dial(actor, Transport::Ws).await?;
    socket.write_all(format!("GET /mqtt HTTP/1.1\r\n{UPGRADE}\r\n").as_bytes()).await?;
    let mut answer = [0; 512];
    let length = socket.read(&mut answer).await?;
    let answer = &answer[..length];
    ensure!(answer.starts_with(b"HTTP/1.1 101"), "no upgrade: {:?}", String::from_utf8_lossy(answer));
    let frames: [&[u8]; 5] = [
        b"\x82\x02\xC0\x00",                                 // not masked
        b"\x81\x82\0\0\0\0\xC0\x00",                         // text
        b"\x83\x82\0\0\0\0\xC0\x00",                         // a type that is reserved
        b"\xC2\x82\0\0\0\0\xC0\x00",                         // an extension that was not agreed on
        b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", // more bytes than there are
    ];
    until_closed(socket, frames[actor.lots.usize(..frames.len())]).await;
    Ok(())
}

/// Headers that do not end in time.
pub async fn slow(world: &World, actor: &mut Actor) -> Result<()> {
    let mut socket = world.dial(actor, Transport::Ws).await?;
    let mut said = [0; 512];
    for byte in format!("GET /mqtt HTTP/1.1\r\n{UPGRADE}\r\n").bytes() {
        if socket.write_all(&[byte]).await.is_err() {
            return Ok(());
        }
        tokio::select! {
            () = sleep(Duration::from_millis(500)) => {}
            read = socket.read(&mut said) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            }
        }
    }
    anyhow::bail!("headers that take minutes are waited for")
}

/// What anybody may ask for, and what not; some of it many times at once, on one connection.
pub async fn pages(world: &World, actor: &mut Actor) -> Result<()> {
    let asked =
        [("/", 200), ("/duet.js", 200), ("/healthz", 200), ("/readyz", 200), ("/metrics", 401), ("/api/rooms", 401)];
    let (path, expected) = asked[actor.lots.usize(..asked.len())];
    let request = |connection| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
    let all = request("keep-alive").repeat(actor.lots.usize(..5)) + &request("close");
    let came = status(world, actor, &all).await?;
    ensure!(came == expected, "{came} for {path}");
    let wrong =
        ["BREW / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\x7C", "GET\r\n\r\n"];
    let mut packet = Vec::new();
    wire::connect(&mut packet, &super::stranger::anonymous(wire::Version::V3, &fresh(actor)));
    let wrong = wrong.get(actor.lots.usize(..5)).map_or(&packet[..], |text| text.as_bytes());
    until_closed(world.dial(actor, Transport::Ws).await?, wrong).await;
    Ok(())
}
