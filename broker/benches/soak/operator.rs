//! Operators, who watch everything for a while and go.

use crate::world::{Actor, World};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(world: Arc<World>, mut actor: Actor, begin: Duration) {
    sleep(begin).await;
    while !world.is_over() {
        actor.round += 1;
        match timeout(PATIENCE, watch(&world, &mut actor)).await.context("an operator waits") {
            Ok(Ok(())) => world.did("an operator watches"),
            Ok(Err(_)) | Err(_) if world.is_over() => {}
            Ok(Err(error)) | Err(error) => world.surprised("operators", &error),
        }
        sleep(actor.time(1.0, 10.0)).await;
    }
}

async fn watch(world: &World, actor: &mut Actor) -> Result<()> {
    let filters: &[&str] = match actor.lots.u8(..3) {
        0 => &["$SYS/#"],
        1 => &["rooms/+", "rooms/+/events", "$SYS/#"],
        _ => &["rooms/#", "$SYS/#"],
    };
    let mut client = world.operator(actor, filters).await?;
    let time = actor.time(2.0, 20.0);
    // Figures come every second, whatever else does.
    client.hear(|_| Ok(Some(()))).await?;
    if let Ok(ended) = timeout(time, client.hear::<()>(|_| Ok(None))).await {
        return ended.context("an operator who reads is thrown out");
    }
    match actor.lots.u8(..4) {
        0 => {
            // Stops reading first; what is shown to it is dropped, or it is.
            sleep(actor.time(1.0, 5.0)).await;
            client.connection.cut(true);
            Ok(())
        }
        1 => {
            client.connection.cut(false);
            Ok(())
        }
        _ => client.disconnect().await,
    }
}
