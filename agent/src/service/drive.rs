//! Drives the rooms: what was heard and the time go in, what follows goes out. The only place of
//! the agent that reads the clock.

use super::exchange::{Exchange, Heard, Publication, Unheard};
use super::link::News;
use crate::rooms::Output;
use protocol::Timestamp;
use rumqttc::{AsyncClient, Publish, QoS};
use std::time::SystemTime;
use tokio::sync::mpsc;
use tracing::{debug, info, trace, warn};

/// The rooms' side of the service.
pub(super) struct Drive {
    pub(super) exchange: Exchange,
    pub(super) client: AsyncClient,
    pub(super) hears: mpsc::Receiver<News>,
}

impl Drive {
    /// Drives the rooms until the connection's side ends.
    pub(super) async fn run(mut self) {
        let mut out = Vec::new();
        loop {
            tokio::select! {
                heard = self.hears.recv() => match heard {
                    Some(News::Said(publish)) => {
                        self.take(&publish, &mut out);
                        self.send(&mut out).await;
                        // Now, not sooner: what waits for its answers counts as under way.
                        let _ = self.client.ack(&publish).await;
                    }
                    Some(News::Forgotten) => {
                        self.exchange.forgotten(now(), &mut out);
                        self.send(&mut out).await;
                        self.show_every_room().await;
                    }
                    None => return,
                },
                () = due(self.exchange.rooms().next_deadline()) => {
                    self.exchange.tick(now(), &mut out);
                    self.send(&mut out).await;
                }
            }
        }
    }

    fn take(&mut self, publish: &Publish, out: &mut Vec<Output>) {
        let Publish { topic, payload, retain, .. } = publish;
        match self.exchange.hear(now(), Heard { topic, payload, retain: *retain }, out) {
            Ok(()) => {}
            Err(Unheard::Order(error)) => warn!(topic, %error, "an order is not followed"),
            Err(error) => debug!(topic, %error, "nothing follows from a message"),
        }
    }

    /// Sends in the order given; waits where the broker does not take more.
    async fn send(&self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            if let Output::Happened { room, event } = &output {
                debug!(%room, rev = event.rev, what = ?event.what, "happened");
            }
            if let Some(publication) = self.exchange.publication(&output) {
                self.publish(publication).await;
            }
        }
    }

    async fn show_every_room(&self) {
        let rooms = self.exchange.rooms().len();
        info!(rooms, "the broker has forgotten the agent: every room's state is published again");
        for publication in self.exchange.every_room() {
            self.publish(publication).await;
        }
    }

    async fn publish(&self, publication: Publication) {
        let Publication { topic, payload, must_arrive, retain } = publication;
        trace!(topic, bytes = payload.len(), "publish");
        let qos = if must_arrive { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        if let Err(error) = self.client.publish(&topic, qos, retain, payload).await {
            debug!(topic, %error, "not sent");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Ready at `deadline`; never, if there is none.
async fn due(deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(now())).await,
        None => std::future::pending().await,
    }
}
