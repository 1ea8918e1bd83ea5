//! By clients that were let in.

use super::fresh;
use super::stranger::anonymous;
use crate::common::body::Kind;
use crate::common::client::Client;
use crate::common::connection::{Connection, Transport, dial};
use crate::common::peer::Peer;
use crate::common::wire::{self, Hello, Message, Version};
use crate::world::{Actor, Manner, World};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// As many packets as a connection may send at once, less what it has sent before. With more, how it is treated depends
/// on how fast the machine lets the broker read.
const FLOOD: std::ops::Range<usize> = 1_000..1_950;
/// Of a socket that nobody reads from, in bytes.
const DEAF: u32 = 4096;
/// What somebody is sent who does not read: more than the sockets take and the queue holds.
const UNREAD_BYTES: usize = 3 << 20;
const UNREAD_EACH: usize = 16 << 10;

/// What a message of the agent is about.
fn is_kind(message: &Message<'_>, kind: &str) -> bool {
    let wanted = format!(r#""type":"{kind}""#);
    message.topic.ends_with(b"/agent")
        && message.payload.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

/// Waits for a message of the agent of this kind, whatever else comes.
async fn until(client: &mut Client, kind: &str) -> Result<()> {
    let heard = client.hear(|message| Ok(is_kind(&message, kind).then_some(())));
    timeout(Duration::from_secs(60), heard).await.with_context(|| format!("no {kind}"))?
}

async fn enter(world: &World, actor: &mut Actor, id: &str) -> Result<(Client, Manner)> {
    let manner = actor.manner();
    let mut client = world.enter(actor, manner, id).await?;
    let granted = client.subscribe(&format!("rooms/+/{id}/+"), manner.qos).await?;
    ensure!(granted == manner.qos, "an inbox is answered with {granted:#x}");
    Ok((client, manner))
}

/// Listening to others, speaking for others, and speaking to those who are elsewhere.
pub async fn forbidden_topics(world: &World, actor: &mut Actor) -> Result<()> {
    let me = fresh(actor);
    let (mut client, manner) = enter(world, actor, &me).await?;
    for filter in ["#", "rooms/#", "$SYS/#", "rooms/+/somebody/+", "control/+"] {
        let code = client.subscribe(filter, 0).await?;
        ensure!(code >= 0x80, "{filter} is granted to a peer");
    }
    for topic in [
        "rooms/lobby/bob/alice".to_owned(),
        "rooms/lobby/agent/alice".to_owned(),
        format!("rooms/lobby/bob/{me}"),
        "control/lobby".to_owned(),
        "$SYS/broker/uptime".to_owned(),
        "elsewhere".to_owned(),
    ] {
        client.publish(&topic, manner.qos, br#"{"type":"bye"}"#);
        until(&mut client, "error").await.with_context(|| topic)?;
    }
    client.disconnect().await
}

/// A little too large is told, much too large ends the connection.
pub async fn oversized(world: &World, actor: &mut Actor) -> Result<()> {
    let me = fresh(actor);
    let (mut client, manner) = enter(world, actor, &me).await?;
    let topic = format!("rooms/lobby/agent/{me}");
    client.publish(&topic, manner.qos, &vec![b'x'; actor.lots.usize(66_000..70_000)]);
    until(&mut client, "error").await?;
    client.publish(&topic, manner.qos, &vec![b'x'; actor.lots.usize(100_000..200_000)]);
    // It may be closed before all of it is written.
    let _ = client.connection.flush().await;
    client.connection.closed().await;
    Ok(())
}

/// Three want into rooms for two.
pub async fn full_room(world: &World, actor: &mut Actor) -> Result<()> {
    let room = fresh(actor);
    let [mut a, b] = world.pair(actor, &room).await?;
    for number in 0..actor.lots.usize(1..4) {
        let (me, manner) = (format!("{room}-{number}"), actor.manner());
        let mut late = world.peer(actor, manner, &room, &me, "nobody").await?;
        late.ask("full").await?;
        late.leave().await?;
    }
    b.leave().await?;
    a.hear_agent("left").await?;
    a.leave().await
}

/// Two programs with one client id.
pub async fn take_overs(world: &World, actor: &mut Actor) -> Result<()> {
    let me = fresh(actor);
    let mut earlier: Option<Connection> = None;
    for _ in 0..actor.lots.usize(2..8) {
        let (client, _) = enter(world, actor, &me).await?;
        if let Some(earlier) = earlier.replace(client.connection) {
            earlier.closed().await;
        }
    }
    if let Some(last) = earlier {
        last.cut(actor.lots.bool());
    }
    Ok(())
}

/// As much as a connection may say, as fast as it can, to somebody who reads all of it.
pub async fn flood(world: &World, actor: &mut Actor) -> Result<()> {
    let room = fresh(actor);
    let [mut a, mut b] = world.pair(actor, &room).await?;
    let count = actor.lots.usize(FLOOD);
    let say = async {
        for number in 0..count {
            a.prepare(world.site(), Kind::Candidate);
            if number % 50 == 49 {
                a.settle().await?;
            }
        }
        a.settle().await
    };
    let hear = async {
        for number in 0..count {
            b.hear_kind(Kind::Candidate).await.with_context(|| format!("{} of {count}", number + 1))?;
        }
        b.settle().await
    };
    tokio::try_join!(say, hear)?;
    b.leave().await?;
    a.into_connection().cut(true);
    Ok(())
}

/// Without end, to nobody, until the broker has enough of it. What it is told meanwhile is read, or it would be thrown
/// out for that.
pub async fn stubborn_flood(world: &World, actor: &mut Actor) -> Result<()> {
    let (me, version) = (fresh(actor), actor.manner().version);
    let mut packets = Vec::new();
    wire::connect(&mut packets, &anonymous(version, &me));
    let (mut reader, mut writer) = world.dial(actor, Transport::Tcp).await?.into_split();
    writer.write_all(&packets).await?;
    packets.clear();
    let topic = format!("rooms/lobby/nobody/{me}");
    (0..100).for_each(|_| wire::publish(&mut packets, version, &topic, 0, 0, br#"{"type":"ready"}"#));
    let flood = async { while writer.write_all(&packets).await.is_ok() {} };
    let mut nothing = [0; 4096];
    let listen = async { while reader.read(&mut nothing).await.is_ok_and(|length| length > 0) {} };
    tokio::join!(flood, listen);
    Ok(())
}

/// Somebody is sent more than it reads, then vanishes; nobody else may notice.
pub async fn deaf_reader(world: &World, actor: &mut Actor) -> Result<()> {
    let room = fresh(actor);
    let names = [format!("{room}-a"), format!("{room}-b")];
    let (first, second) = (actor.manner(), actor.manner());
    let mut speaker = world.enter(actor, first, &names[0]).await?;
    ensure!(speaker.subscribe(&format!("rooms/+/{}/+", names[0]), 0).await? == 0, "no inbox");
    speaker.publish(&format!("rooms/{room}/agent/{}", names[0]), 0, br#"{"type":"join"}"#);
    until(&mut speaker, "created").await?;
    let socket = dial(world.address(second.transport), actor.address(), Some(DEAF)).await?;
    let connection = Connection::over(socket, world.address(second.transport), second.transport).await?;
    let client = world.enter_over(connection, actor, second, &names[1]).await?;
    let mut deaf =
        Peer::seat(client, &room, &names[1], &names[0], &format!("rooms/+/{}/+", names[1]), second.qos).await?;
    deaf.ask("joined").await?;
    let payload = [&br#"{"type":"candidate","candidate":""#[..], &vec![b'x'; UNREAD_EACH], b"\"}"].concat();
    for _ in 0..UNREAD_BYTES / UNREAD_EACH {
        speaker.publish(&format!("rooms/{room}/{}/{}", names[1], names[0]), first.qos, &payload);
        speaker.connection.flush().await?;
    }
    // That it is still served is the proof that it was not hurt.
    timeout(Duration::from_secs(60), speaker_lives(&mut speaker, &names[0])).await.context("the speaker waits")??;
    sleep(actor.time(0.0, 5.0)).await;
    deaf.into_connection().cut(actor.lots.bool());
    speaker.disconnect().await
}

async fn speaker_lives(speaker: &mut Client, id: &str) -> Result<()> {
    let code = speaker.subscribe_among_messages(&format!("rooms/+/{id}/+"), 0).await?;
    ensure!(code == 0, "an inbox is answered with {code:#x}");
    Ok(())
}

/// A session with messages in it, to which its client comes back, or not.
pub async fn abandoned_session(world: &World, actor: &mut Actor) -> Result<()> {
    let me = fresh(actor);
    let manner = actor.manner();
    let topic = format!("telemetry/{me}/state");
    let hello = Hello { version: manner.version, id: &me, is_clean: false, keep_alive: 60, expiry: 3600, login: None };
    let mut client = Client::connect(world.open(actor, manner.transport).await?, &hello).await?;
    ensure!(client.subscribe(&format!("telemetry/{me}/+"), 1).await? == 1, "no subscription");
    if actor.lots.bool() {
        client.disconnect().await?;
    } else {
        client.connection.cut(actor.lots.bool());
    }
    let other = format!("{me}-other");
    let mut speaker =
        Client::connect(world.open(actor, Transport::Tcp).await?, &anonymous(Version::V5, &other)).await?;
    for _ in 0..actor.lots.usize(1..20) {
        speaker.publish(&topic, 1, &[b'x'; 200]);
    }
    speaker.disconnect().await?;
    sleep(actor.time(0.0, 5.0)).await;
    if actor.lots.u8(..3) == 0 {
        return Ok(());
    }
    let mut client = Client::knock(world.open(actor, manner.transport).await?, &hello).await?.0;
    let own = topic.into_bytes();
    let came = client.hear(|message| Ok((message.topic == own).then_some(())));
    timeout(Duration::from_secs(60), came).await.context("a session has lost its messages")??;
    // It stays no longer.
    client.disconnect().await?;
    let hello = Hello { is_clean: true, expiry: 0, ..hello };
    Client::connect(world.open(actor, manner.transport).await?, &hello).await?.disconnect().await
}

/// One too many is refused; the others are left by vanishing.
pub async fn many_rooms(world: &World, actor: &mut Actor) -> Result<()> {
    let me = fresh(actor);
    let (mut client, manner) = enter(world, actor, &me).await?;
    for number in 0..20 {
        client.publish(&format!("rooms/{me}-{number}/agent/{me}"), manner.qos, br#"{"type":"join"}"#);
    }
    let (mut created, mut refused) = (0, 0);
    while created + refused < 20 {
        let heard = client.hear(|message| match () {
            () if is_kind(&message, "created") => Ok(Some(true)),
            () if is_kind(&message, "error") => Ok(Some(false)),
            () => bail!("{} in place of an answer", String::from_utf8_lossy(message.payload)),
        });
        if timeout(Duration::from_secs(60), heard).await.context("a join is not answered")?? {
            created += 1;
        } else {
            refused += 1;
        }
    }
    ensure!(created == 16, "{created} rooms for one peer");
    sleep(actor.time(0.0, 3.0)).await;
    client.connection.cut(actor.lots.bool());
    Ok(())
}
