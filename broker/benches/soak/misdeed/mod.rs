//! Those who misbehave: one misdeed after another, each with what must come of it.

mod client;
mod http;
mod stranger;

use crate::common::connection::Transport;
use crate::world::{Actor, World};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long to wait for what must come of it.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy)]
enum Misdeed {
    MalformedPackets,
    WrongVersion,
    OversizedConnect,
    Guess,
    Silence,
    BadUpgrade,
    BadFrame,
    SlowHttp,
    Pages,
    ForbiddenTopics,
    OversizedMessage,
    FullRoom,
    TakeOvers,
    Flood,
    StubbornFlood,
    DeafReader,
    AbandonedSession,
    ManyRooms,
}

/// Each with its share of what is done. Those that take long, or much, have a small one.
const SHARES: [(Misdeed, &str, u32); 18] = [
    (Misdeed::MalformedPackets, "sends malformed packets", 10),
    (Misdeed::WrongVersion, "speaks a wrong version", 6),
    (Misdeed::OversizedConnect, "sends an oversized CONNECT", 4),
    (Misdeed::Guess, "guesses a password", 6),
    (Misdeed::Silence, "connects and says nothing", 4),
    (Misdeed::BadUpgrade, "asks for a WebSocket in a wrong way", 8),
    (Misdeed::BadFrame, "sends wrong WebSocket frames", 6),
    (Misdeed::SlowHttp, "sends HTTP byte by byte", 4),
    (Misdeed::Pages, "asks for pages", 6),
    (Misdeed::ForbiddenTopics, "uses topics that it may not", 8),
    (Misdeed::OversizedMessage, "sends oversized messages", 6),
    (Misdeed::FullRoom, "joins a full room", 8),
    (Misdeed::TakeOvers, "takes its place over and over", 6),
    (Misdeed::Flood, "floods up to its pace", 2),
    (Misdeed::StubbornFlood, "floods until it is thrown out", 1),
    (Misdeed::DeafReader, "stops reading", 3),
    (Misdeed::AbandonedSession, "leaves a session behind", 8),
    (Misdeed::ManyRooms, "joins more rooms than it may", 4),
];

/// Misdeeds, one after another, until it is over.
pub async fn run(world: Arc<World>, mut actor: Actor, begin: Duration) {
    sleep(begin).await;
    let all: u32 = SHARES.iter().map(|(.., share)| share).sum();
    while !world.is_over() {
        actor.round += 1;
        let mut lot = actor.lots.u32(..all);
        let drawn = SHARES.iter().find(|(.., share)| {
            let is_drawn = lot < *share;
            lot = lot.saturating_sub(*share);
            is_drawn
        });
        let Some(&(misdeed, name, _)) = drawn else { return };
        let done = timeout(PATIENCE, commit(&world, &mut actor, misdeed)).await.context("nothing came of it in time");
        match done {
            Ok(Ok(())) => world.did(name),
            // What is broken off at the end says nothing.
            Ok(Err(_)) | Err(_) if world.is_over() => {}
            Ok(Err(error)) | Err(error) => world.surprised(name, &error),
        }
        sleep(actor.time(0.5, 5.0)).await;
    }
}

async fn commit(world: &World, actor: &mut Actor, misdeed: Misdeed) -> Result<()> {
    match misdeed {
        Misdeed::MalformedPackets => stranger::malformed(world, actor).await,
        Misdeed::WrongVersion => stranger::wrong_version(world, actor).await,
        Misdeed::OversizedConnect => stranger::oversized_connect(world, actor).await,
        Misdeed::Guess => stranger::guess(world, actor).await,
        Misdeed::Silence => stranger::silence(world, actor).await,
        Misdeed::BadUpgrade => http::bad_upgrade(world, actor).await,
        Misdeed::BadFrame => http::bad_frame(world, actor).await,
        Misdeed::SlowHttp => http::slow(world, actor).await,
        Misdeed::Pages => http::pages(world, actor).await,
        Misdeed::ForbiddenTopics => client::forbidden_topics(world, actor).await,
        Misdeed::OversizedMessage => client::oversized(world, actor).await,
        Misdeed::FullRoom => client::full_room(world, actor).await,
        Misdeed::TakeOvers => client::take_overs(world, actor).await,
        Misdeed::Flood => client::flood(world, actor).await,
        Misdeed::StubbornFlood => client::stubborn_flood(world, actor).await,
        Misdeed::DeafReader => client::deaf_reader(world, actor).await,
        Misdeed::AbandonedSession => client::abandoned_session(world, actor).await,
        Misdeed::ManyRooms => client::many_rooms(world, actor).await,
    }
}

/// A name that nobody else has, and nobody has had.
fn fresh(actor: &Actor) -> String {
    format!("odd-{}-{}", actor.number, actor.round)
}

/// Writes these bytes, and reads until the server has closed; what it has said. It may close before it has read all.
async fn until_closed(mut socket: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = socket.write_all(bytes).await;
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said).await;
    said
}

/// Sends a request whose answer ends the connection; its status.
async fn status(world: &World, actor: &Actor, request: &str) -> Result<u16> {
    let socket = world.dial(actor, Transport::Ws).await?;
    let said = until_closed(socket, request.as_bytes()).await;
    let line = said.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status =
        line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    status.with_context(|| format!("no status for {request:?}: {:?}", String::from_utf8_lossy(line)))
}

fn is_client_error(status: u16, request: &str) -> Result<()> {
    ensure!((400..500).contains(&status), "{status} for {request:?}");
    Ok(())
}
