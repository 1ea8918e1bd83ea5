//! Drives the rooms: what was heard and the time go in, what follows goes out. The only place of
//! the agent that reads the clock.

use super::link::Status;
use crate::rooms::{Input, Output, Rooms};
use protocol::{Control, ErrorCode, PeerId, Timestamp, Topic};
use rumqttc::{AsyncClient, Publish, QoS};
use serde::Serialize;
use std::time::SystemTime;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, trace, warn};

/// Longest message to the agent, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;

/// The rooms' side of the service.
pub(super) struct Drive {
    pub(super) rooms: Rooms,
    pub(super) client: AsyncClient,
    pub(super) hears: mpsc::Receiver<Publish>,
    pub(super) status: watch::Receiver<Status>,
}

impl Drive {
    /// Drives the rooms until the connection's side ends.
    pub(super) async fn run(mut self) {
        let mut forgotten = 0;
        let mut out = Vec::new();
        loop {
            tokio::select! {
                heard = self.hears.recv() => {
                    let Some(publish) = heard else { return };
                    self.take(&publish, &mut out).await;
                    self.send(&mut out).await;
                    // Now, not sooner: what waits for its answers counts as under way.
                    let _ = self.client.ack(&publish).await;
                }
                () = due(self.rooms.next_deadline()) => {
                    self.rooms.handle(now(), Input::Tick, &mut out);
                    self.send(&mut out).await;
                }
                changed = self.status.changed() => {
                    if changed.is_err() { return }
                    let latest = self.status.borrow_and_update().forgotten;
                    if latest != forgotten {
                        forgotten = latest;
                        self.show_every_room().await;
                    }
                }
            }
        }
    }

    async fn take(&mut self, publish: &Publish, out: &mut Vec<Output>) {
        match Topic::parse(&publish.topic) {
            // A broker that lets peers retain would have them join again at every start.
            Ok(Topic::ToAgent { .. } | Topic::Control { .. }) if publish.retain => {
                debug!(topic = publish.topic, "a retained message is ignored");
            }
            Ok(Topic::ToAgent { room, from }) => match PeerId::new(from) {
                Ok(from) if publish.payload.len() > MAX_MESSAGE => self.refuse(room, from, out),
                Ok(from) => {
                    // Which rights a peer has, only the broker knows, and its rules say `may join`
                    // or not; so whoever may join may create.
                    let input = Input::Message { room, from: &from, payload: &publish.payload, may_create: true };
                    self.rooms.handle(now(), input, out);
                }
                Err(error) => debug!(%error, "a message from nobody"),
            },
            Ok(Topic::Control { room }) => {
                if let Err(error) = Control::decode(&publish.payload) {
                    warn!(room, %error, "an order is not followed");
                }
                self.rooms.handle(now(), Input::Order { room, payload: &publish.payload }, out);
            }
            Ok(topic @ Topic::State { room }) if publish.retain && !publish.payload.is_empty() => {
                if self.rooms.state(room).is_none() {
                    info!(room, "a room of an earlier run is cleared away");
                    self.publish(topic, QoS::AtLeastOnce, true, Vec::new()).await;
                }
            }
            Ok(_) => {}
            Err(error) => debug!(topic = publish.topic, %error, "a message on a topic that is none"),
        }
    }

    fn refuse(&mut self, room: &str, peer: PeerId, out: &mut Vec<Output>) {
        let Ok(name) = room.parse() else { return };
        let (now, code) = (now(), ErrorCode::TooLarge);
        let why = format!("a message to the agent has at most {MAX_MESSAGE} bytes");
        let message = self.rooms.error(room, code, why.clone(), now);
        out.push(Output::Tell { room: name, to: peer.clone(), message });
        self.rooms.handle(now, Input::Refused { room, peer: &peer, code, why: &why }, out);
    }

    /// Sends in the order given; waits where the broker does not take more.
    async fn send(&self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            match output {
                Output::Tell { room, to, message } => {
                    let topic = Topic::FromAgent { room: room.as_str(), to: to.as_str() };
                    self.publish(topic, QoS::AtLeastOnce, false, json(&message)).await;
                }
                Output::Happened { room, event } => {
                    debug!(%room, rev = event.rev, what = ?event.what, "happened");
                    let topic = Topic::Events { room: room.as_str() };
                    self.publish(topic, QoS::AtMostOnce, false, json(&event)).await;
                }
                Output::Changed { room } => self.show(room.as_str()).await,
                // The broker passes signals by itself and keeps them, if at all, in the session
                // of the peer that is away.
                Output::Resume { .. } | Output::Forget { .. } => {}
            }
        }
    }

    async fn show(&self, room: &str) {
        let payload = self.rooms.state(room).map(|state| json(&state)).unwrap_or_default();
        self.publish(Topic::State { room }, QoS::AtLeastOnce, true, payload).await;
    }

    async fn show_every_room(&self) {
        info!(rooms = self.rooms.len(), "the broker has forgotten the agent: every room's state is published again");
        for state in self.rooms.states() {
            self.publish(Topic::State { room: state.room.as_str() }, QoS::AtLeastOnce, true, json(&state)).await;
        }
    }

    async fn publish(&self, topic: Topic<'_>, qos: QoS, retain: bool, payload: Vec<u8>) {
        let topic = topic.to_string();
        trace!(topic, bytes = payload.len(), "publish");
        if let Err(error) = self.client.publish(&topic, qos, retain, payload).await {
            debug!(topic, %error, "not sent");
        }
    }
}

fn json(message: &impl Serialize) -> Vec<u8> {
    // Names, numbers and JSON values cannot fail to become JSON; if they ever do, an empty
    // payload says nothing rather than something wrong.
    serde_json::to_vec(message).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Ready at `deadline`; never, if there is none.
async fn due(deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(now())).await,
        None => std::future::pending().await,
    }
}
