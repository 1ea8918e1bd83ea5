//! The connection to the broker: kept, made again when lost, and never waited for by the rooms'
//! side nor waiting for it. A task that polled the connection and waited for the rooms, while the
//! rooms wait for the connection to take their messages, would hang with it.

use super::{BrokerUrl, ServiceError};
use protocol::topic::{AGENT_INBOX, CONTROL_INBOX};
use rumqttc::{
    ConnectReturnCode, ConnectionError, Event, EventLoop, Outgoing, Packet, Publish, QoS, Request, Subscribe,
    SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tracing::{debug, info, warn};

/// Every retained room state. Heard only for a moment after connecting, to find the states of
/// rooms that an earlier run left behind.
const STATES: &str = "rooms/+";

/// Unacknowledged messages that a broker can have under way: it has 65,535 packet identifiers.
const WINDOW: usize = 65_535;
/// Room for what was heard and is not handled yet: the window, and some messages at QoS 0, which
/// no window bounds and which may be dropped.
pub(super) const HEARD: usize = WINDOW + 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A broker that comes back has everybody back in five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How the connection is, for the rooms' side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Status {
    /// The subscriptions are granted and the connection stands.
    pub(super) listening: bool,
}

/// What the rooms' side hears, in order.
#[derive(Debug)]
pub(super) enum News {
    /// A message.
    Said(Publish),
    /// The broker has forgotten the agent: what was said before this it may have heard of, what was
    /// said until now it has not, wills among it.
    Forgotten,
}

/// The connection's side of the service.
pub(super) struct Link<F> {
    pub(super) eventloop: EventLoop,
    pub(super) broker: BrokerUrl,
    pub(super) heard: mpsc::Sender<News>,
    pub(super) status: watch::Sender<Status>,
    /// Called whenever the agent listens.
    pub(super) connected: F,
}

impl<F: Fn(&BrokerUrl)> Link<F> {
    /// Keeps the connection until the rooms' side has disconnected it.
    pub(super) async fn keep(mut self) -> Result<(), ServiceError> {
        let mut pause = FIRST_PAUSE;
        let mut was_in = false;
        loop {
            match self.eventloop.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                    if was_in && !ack.session_present {
                        // A place is left for it; see `pass_on`.
                        let _ = self.heard.try_send(News::Forgotten);
                    }
                    was_in = true;
                    self.listen();
                }
                Ok(Event::Incoming(Packet::SubAck(ack))) => {
                    self.check_granted(&ack.return_codes)?;
                    // What is retained is on its way; what rooms become later is our own doing.
                    self.eventloop.pending.push_back(Request::Unsubscribe(Unsubscribe::new(STATES)));
                    pause = FIRST_PAUSE;
                    self.status.send_modify(|status| status.listening = true);
                    info!(broker = %self.broker, "connected");
                    (self.connected)(&self.broker);
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => self.pass_on(publish),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(_) => {}
                Err(ConnectionError::RequestsDone) => return Ok(()),
                Err(error) => {
                    let mut had = false;
                    self.status.send_modify(|status| had = std::mem::take(&mut status.listening));
                    if let ConnectionError::ConnectionRefused(code) = &error
                        && !was_in
                        && let Some(why) = refusal(*code)
                    {
                        return Err(ServiceError::Refused { broker: self.broker.to_string(), why });
                    }
                    let what = if had { "connection lost" } else { "no connection" };
                    warn!(broker = %self.broker, %error, "{what}, trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Subscribes ahead of everything that waits to be sent, also when the broker still knows the
    /// subscriptions: whether it does is its business.
    fn listen(&mut self) {
        let filters = [AGENT_INBOX, CONTROL_INBOX, STATES];
        let subscribe =
            Subscribe::new_many(filters.map(|filter| SubscribeFilter::new(filter.into(), QoS::AtLeastOnce)));
        self.eventloop.pending.push_front(Request::Subscribe(subscribe));
    }

    fn check_granted(&self, codes: &[SubscribeReasonCode]) -> Result<(), ServiceError> {
        for (filter, code) in [AGENT_INBOX, CONTROL_INBOX].into_iter().zip(codes) {
            if *code == SubscribeReasonCode::Failure {
                return Err(ServiceError::Deaf { broker: self.broker.to_string(), filter });
            }
        }
        Ok(())
    }

    fn pass_on(&self, publish: Publish) {
        if publish.qos == QoS::AtMostOnce && self.heard.capacity() <= WINDOW {
            warn!(topic = publish.topic, "more comes in than can be answered: a message at QoS 0 is dropped");
            return;
        }
        // Full only with what was sent again after a reconnection while the first copy waits here.
        if self.heard.capacity() <= 1 {
            return warn!(topic = publish.topic, "a message that came twice is dropped");
        }
        if let Err(TrySendError::Closed(_)) = self.heard.try_send(News::Said(publish)) {
            debug!("a message came after the end");
        }
    }
}

/// What the broker says by a code that trying again does not change (MQTT 3.1.1, 3.2.2.3).
fn refusal(code: ConnectReturnCode) -> Option<&'static str> {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => Some("it does not speak MQTT 3.1.1"),
        ConnectReturnCode::BadClientId => Some("it does not take the client id; give another with --client-id"),
        ConnectReturnCode::BadUserNamePassword => Some("wrong user or password; give --username and --password-file"),
        ConnectReturnCode::NotAuthorized => {
            Some("not authorized; give --username and --password-file of a user that it knows")
        }
        ConnectReturnCode::Success | ConnectReturnCode::ServiceUnavailable => None,
    }
}
