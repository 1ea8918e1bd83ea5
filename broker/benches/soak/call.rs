//! Those who behave: two meet, call each other for a while, and go, as people do: most of them with a word. Each of their
//! signals has to come, and nothing else.

use crate::common::body::Kind;
use crate::common::peer::{Peer, negotiate};
use crate::world::{Actor, Manner, World};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long to wait for anything that should come soon.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of somebody who will fall silent, in seconds: longer than anybody here is silent in a call.
const SHORT_KEEP_ALIVE: u16 = 20;
/// Longer than the grace time of a seat, and what it takes to notice that somebody has gone.
const SEATS_KEPT: Duration = Duration::from_secs(45);
/// Signals that are sent to somebody who is away.
const KEPT: usize = 3;

/// Calls, one after another, until it is over.
pub async fn run(world: Arc<World>, mut actor: Actor, begin: Duration) {
    sleep(begin).await;
    // Half of the calls have names that come again, when nothing is left of the last one that had them.
    let mut free_from = Instant::now();
    while !world.is_over() {
        actor.round += 1;
        let is_again = actor.lots.bool() && Instant::now() >= free_from;
        let room = format!("call-{}-{}", actor.number, if is_again { 0 } else { actor.round });
        let ended = call(&world, &mut actor, &room).await;
        if is_again && !matches!(ended, Ok(true)) {
            free_from = Instant::now() + SEATS_KEPT;
        }
        if let Err(error) = ended {
            world.surprised("calls", &error.context(room));
        }
        if !world.is_over() {
            sleep(actor.time(0.5, 3.0)).await;
        }
    }
}

/// One call; whether nothing of it is left at the broker.
async fn call(world: &World, actor: &mut Actor, room: &str) -> Result<bool> {
    let names = [format!("{room}-a"), format!("{room}-b")];
    let falls_silent = actor.lots.u8(..20) == 0;
    let keep_alive = if falls_silent { SHORT_KEEP_ALIVE } else { 60 };
    let manners: [Manner; 2] = [actor.manner(), Manner { keep_alive, ..actor.manner() }];
    let set_up = async {
        let mut a = world.peer(actor, manners[0], room, &names[0], &names[1]).await?;
        a.ask("created").await?;
        let begin = Instant::now();
        let mut b = world.peer(actor, manners[1], room, &names[1], &names[0]).await?;
        b.ask("joined").await?;
        negotiate(world.site(), &mut a, &mut b, |ns| world.signal_took(ns)).await?;
        world.seen.lock().negotiations.push(begin.elapsed().as_nanos() as u64);
        anyhow::Ok((a, b))
    };
    let (mut a, mut b) = timeout(PATIENCE, set_up).await.context("a call is not set up")??;
    world.did("calls");

    // Half of them short, some of minutes, in which credentials for the relay are renewed.
    let signals = 2 + (-8.0 * (1.0 - actor.lots.f64()).ln()) as usize;
    let turning = actor.lots.usize(..signals);
    for number in 0..signals {
        sleep(actor.time(1.0, 4.0)).await;
        if world.is_over() {
            break;
        }
        if number == turning {
            match actor.lots.u8(..10) {
                0 => {
                    b.into_connection().cut(actor.lots.bool());
                    let qos = manners[0].qos.min(manners[1].qos);
                    b = come_back(world, actor, room, &names, &mut a, manners[1], qos).await.context("coming back")?;
                    world.did("comes back from a cut");
                }
                1 => {
                    let old = b;
                    b = world.peer(actor, manners[1], room, &names[1], &names[0]).await?;
                    timeout(PATIENCE, b.ask("joined")).await.context("no answer after a take-over")??;
                    timeout(PATIENCE, old.into_connection().closed()).await.context("who was taken over stays")?;
                    world.did("takes its own place over");
                }
                2..4 => {
                    let again = negotiate(world.site(), &mut a, &mut b, |ns| world.signal_took(ns));
                    timeout(PATIENCE, again).await.context("no second negotiation")??;
                    world.did("negotiates again");
                }
                _ => {}
            }
        }
        let (speaker, listener) = if number % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        speaker.say(world.site(), Kind::Candidate).await?;
        let heard = timeout(PATIENCE, listener.hear_kind(Kind::Candidate)).await;
        world.signal_took(heard.context("a signal does not come")??);
        // What has been heard at QoS 1 is acknowledged now, not with the next that is said.
        listener.settle().await?;
    }
    let end = async { end(world, actor, a, b, falls_silent).await };
    timeout(PATIENCE, end).await.context("a call does not end")?
}

/// Somebody who was cut off comes back within the grace time, and finds what was said meanwhile.
async fn come_back(
    world: &World,
    actor: &mut Actor,
    room: &str,
    names: &[String; 2],
    other: &mut Peer,
    manner: Manner,
    qos: u8,
) -> Result<Peer> {
    // At QoS 0, what is sent before the broker has noticed that the connection is cut is gone with it.
    let kept = if qos > 0 { KEPT } else { 0 };
    for _ in 0..kept {
        other.say(world.site(), Kind::Candidate).await?;
    }
    sleep(actor.time(0.0, 3.0)).await;
    let back = async {
        let mut peer = world.peer(actor, manner, room, &names[1], &names[0]).await?;
        peer.ask("joined").await?;
        for _ in 0..kept {
            peer.hear_kind(Kind::Candidate).await.context("what was said to somebody who was away")?;
        }
        peer.settle().await?;
        anyhow::Ok(peer)
    };
    timeout(PATIENCE, back).await.context("no answer")?
}

/// Both go; whether the broker can have noticed it by now.
async fn end(world: &World, actor: &mut Actor, mut a: Peer, mut b: Peer, falls_silent: bool) -> Result<bool> {
    if falls_silent && !world.is_over() {
        a.leave().await?;
        b.into_connection().closed().await;
        world.did("falls silent, and is thrown out");
        return Ok(false);
    }
    match actor.lots.u8(..10) {
        0..5 => {
            a.leave().await?;
            b.leave().await?;
            world.did("leaves with DISCONNECT");
            Ok(true)
        }
        5..7 => {
            for peer in [&mut a, &mut b] {
                peer.tell_agent(br#"{"type":"leave"}"#);
            }
            a.leave().await?;
            b.leave().await?;
            world.did("leaves with a word");
            Ok(true)
        }
        7 => {
            a.leave().await?;
            b.into_connection().cut(actor.lots.bool());
            world.did("is cut off, and gone");
            Ok(false)
        }
        _ => {
            b.into_connection().cut(actor.lots.bool());
            a.into_connection().cut(actor.lots.bool());
            world.did("is cut off, and gone");
            Ok(false)
        }
    }
}
