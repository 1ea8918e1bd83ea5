//! MQTT 3.1.1 and 5.0 as one: what an agent does with a connection, and what it sees on it.

use super::{BrokerUrl, TlsError};
use crate::store::Publication;
use rumqttc::v5;
use rumqttc::{AsyncClient, ClientError, ConnectReturnCode, EventLoop, NetworkOptions, Packet, QoS};
use std::path::Path;
use std::time::Duration;

/// Requests that wait for the connection.
const REQUESTS: usize = 1024;
/// QoS 1 messages to the broker that it has not acknowledged yet.
const IN_FLIGHT: u16 = 1000;
/// Messages of the broker that are not acknowledged yet, where it can be told (MQTT 5.0, 3.1.2.11.3): what an
/// agent has heard when it dies is heard again by others, or by nobody.
pub(super) const WINDOW: u16 = 1024;
/// What MQTT can say of a packet's length (MQTT 3.1.1, 2.2.3), and its fixed header. A smaller
/// limit would not refuse the message but the connection, again and again.
const MAX_PACKET: u32 = 268_435_455 + 5;

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1, with a session that the broker keeps.
    Three,
    /// 5.0, with shared subscriptions, and no session beyond the connection: what an agent that has gone would
    /// hear is for the others to hear.
    Five,
}

/// One connection after another.
pub(super) enum Wire {
    Three(Box<EventLoop>),
    Five(Box<v5::EventLoop>),
}

/// What is sent on them.
#[derive(Clone)]
pub(super) enum Sender {
    Three(AsyncClient),
    Five(v5::AsyncClient),
}

/// What is seen on a connection.
pub(super) enum Seen {
    /// The broker lets the agent in; whether it knows shared subscriptions (MQTT 5.0, 3.2.2.3.13).
    In { session_present: bool, shares: bool },
    /// Which subscriptions it grants, in the order in which they were asked for.
    Granted(Vec<bool>),
    /// A message.
    Message(Message),
    /// A message of ours got this packet identifier.
    Sent(u16),
    /// The broker has the message of this packet identifier.
    Taken(u16),
    /// DISCONNECT is sent.
    Closed,
    /// Nothing that matters.
    Other,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) retain: bool,
    pub(super) must_arrive: bool,
    pub(super) receipt: Receipt,
}

/// What a message is acknowledged with.
#[derive(Debug)]
pub(super) enum Receipt {
    Three(Box<rumqttc::Publish>),
    Five(Box<v5::mqttbytes::v5::Publish>),
}

/// Why there is no connection.
pub(super) struct NoConnection {
    pub(super) why: String,
    /// What would be right, where the broker refuses the agent.
    pub(super) refusal: Option<&'static str>,
    /// Nobody sends any more.
    pub(super) is_over: bool,
}

/// A connection of `client_id` to `broker`, not yet dialled.
pub(super) fn new(
    version: Version,
    broker: &BrokerUrl,
    client_id: &str,
    login: Option<&super::Login>,
    ca_file: Option<&Path>,
) -> Result<(Sender, Wire), TlsError> {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    match version {
        Version::Three => {
            let mut mqtt = broker.mqtt_options(client_id, ca_file)?;
            mqtt.set_keep_alive(Duration::from_secs(15))
                .set_clean_session(false)
                .set_manual_acks(true)
                .set_inflight(IN_FLIGHT)
                .set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
            if let Some(login) = login {
                mqtt.set_credentials(&login.username, &login.password);
            }
            let (client, mut eventloop) = AsyncClient::new(mqtt, REQUESTS);
            eventloop.set_network_options(network);
            Ok((Sender::Three(client), Wire::Three(Box::new(eventloop))))
        }
        Version::Five => {
            let mut mqtt = broker.mqtt_options_v5(client_id, ca_file)?;
            // Short: until it has run out, the broker gives a share of what is said to an agent whose machine is gone.
            mqtt.set_keep_alive(Duration::from_secs(5))
                .set_clean_start(true)
                .set_session_expiry_interval(Some(0))
                .set_receive_maximum(Some(WINDOW))
                .set_max_packet_size(Some(MAX_PACKET))
                .set_manual_acks(true)
                .set_outgoing_inflight_upper_limit(IN_FLIGHT);
            if let Some(login) = login {
                mqtt.set_credentials(&login.username, &login.password);
            }
            mqtt.set_network_options(network);
            let (client, eventloop) = v5::AsyncClient::new(mqtt, REQUESTS);
            Ok((Sender::Five(client), Wire::Five(Box::new(eventloop))))
        }
    }
}

impl Wire {
    /// What is seen next; dials where there is no connection.
    pub(super) async fn poll(&mut self) -> Result<Seen, NoConnection> {
        match self {
            Wire::Three(eventloop) => eventloop.poll().await.map(seen_three).map_err(|error| NoConnection {
                why: error.to_string(),
                is_over: matches!(error, rumqttc::ConnectionError::RequestsDone),
                refusal: match error {
                    rumqttc::ConnectionError::ConnectionRefused(code) => refusal_three(code),
                    _ => None,
                },
            }),
            Wire::Five(eventloop) => eventloop.poll().await.map(seen_five).map_err(|error| NoConnection {
                why: error.to_string(),
                is_over: matches!(error, v5::ConnectionError::RequestsDone),
                refusal: match error {
                    v5::ConnectionError::ConnectionRefused(code) => refusal_five(code),
                    _ => None,
                },
            }),
        }
    }

    /// Forgets whatever was to be sent: those who wanted it sent are told, and want it again.
    pub(super) fn clear(&mut self) {
        match self {
            Wire::Three(eventloop) => {
                eventloop.clean();
                eventloop.pending.clear();
                eventloop.state.collision = None;
                eventloop.state.events.clear();
            }
            Wire::Five(eventloop) => {
                eventloop.clean();
                eventloop.pending.clear();
                eventloop.state.collision = None;
                eventloop.state.events.clear();
            }
        }
    }
}

impl Sender {
    /// Whether there was room for it. At QoS 1.
    pub(super) fn publish(&self, publication: &Publication) -> bool {
        let Publication { topic, payload, retain } = publication;
        match self {
            Sender::Three(client) => {
                has_gone(client.try_publish(topic.clone(), QoS::AtLeastOnce, *retain, payload.clone()))
            }
            Sender::Five(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                has_gone_five(client.try_publish(topic.clone(), qos, *retain, payload.clone()))
            }
        }
    }

    /// Whether there was room for it.
    pub(super) fn acknowledge(&self, receipt: &Receipt) -> bool {
        match (self, receipt) {
            (Sender::Three(client), Receipt::Three(publish)) => has_gone(client.try_ack(publish)),
            (Sender::Five(client), Receipt::Five(publish)) => has_gone_five(client.try_ack(publish)),
            _ => true,
        }
    }

    /// At QoS 1. Only after connecting, when there is room.
    pub(super) fn subscribe(&self, filters: &[String]) {
        let _ = match self {
            Sender::Three(client) => has_gone(client.try_subscribe_many(
                filters.iter().map(|filter| rumqttc::SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce)),
            )),
            Sender::Five(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let filters = filters.iter().map(|filter| v5::mqttbytes::v5::Filter::new(filter.clone(), qos));
                has_gone_five(client.try_subscribe_many(filters))
            }
        };
    }

    pub(super) fn unsubscribe(&self, filter: &str) {
        let _ = match self {
            Sender::Three(client) => has_gone(client.try_unsubscribe(filter)),
            Sender::Five(client) => has_gone_five(client.try_unsubscribe(filter)),
        };
    }

    pub(super) fn disconnect(&self) -> bool {
        match self {
            Sender::Three(client) => has_gone(client.try_disconnect()),
            Sender::Five(client) => has_gone_five(client.try_disconnect()),
        }
    }
}

fn has_gone(tried: Result<(), ClientError>) -> bool {
    tried.is_ok()
}

fn has_gone_five(tried: Result<(), v5::ClientError>) -> bool {
    tried.is_ok()
}

fn seen_three(event: rumqttc::Event) -> Seen {
    use rumqttc::{Event, Outgoing, SubscribeReasonCode};
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => Seen::In { session_present: ack.session_present, shares: false },
        Event::Incoming(Packet::SubAck(ack)) => {
            Seen::Granted(ack.return_codes.iter().map(|code| *code != SubscribeReasonCode::Failure).collect())
        }
        Event::Incoming(Packet::Publish(mut publish)) => Seen::Message(Message {
            topic: std::mem::take(&mut publish.topic),
            payload: std::mem::take(&mut publish.payload).into(),
            retain: publish.retain,
            must_arrive: publish.qos != QoS::AtMostOnce,
            receipt: Receipt::Three(Box::new(publish)),
        }),
        Event::Incoming(Packet::PubAck(ack)) => Seen::Taken(ack.pkid),
        Event::Outgoing(Outgoing::Publish(id)) => Seen::Sent(id),
        Event::Outgoing(Outgoing::Disconnect) => Seen::Closed,
        _ => Seen::Other,
    }
}

fn seen_five(event: v5::Event) -> Seen {
    use rumqttc::Outgoing;
    use v5::Event;
    use v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => {
            let told = ack.properties.and_then(|properties| properties.shared_subscription_available);
            Seen::In { session_present: ack.session_present, shares: told != Some(0) }
        }
        Event::Incoming(Packet::SubAck(ack)) => {
            let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Seen::Granted(ack.return_codes.iter().map(is_granted).collect())
        }
        Event::Incoming(Packet::Publish(mut publish)) => Seen::Message(Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: std::mem::take(&mut publish.payload).into(),
            retain: publish.retain,
            must_arrive: publish.qos != v5::mqttbytes::QoS::AtMostOnce,
            receipt: Receipt::Five(Box::new(publish)),
        }),
        Event::Incoming(Packet::PubAck(ack)) => Seen::Taken(ack.pkid),
        Event::Outgoing(Outgoing::Publish(id)) => Seen::Sent(id),
        Event::Outgoing(Outgoing::Disconnect) => Seen::Closed,
        _ => Seen::Other,
    }
}

const VERSION: &str = "it does not speak the version of MQTT that --mqtt names";
const CLIENT_ID: &str = "it does not take the client id; give another with --id";
const PASSWORD: &str = "wrong user or password; give --username and --password-file";
const NOT_AUTHORIZED: &str = "not authorized; give --username and --password-file of a user that it knows";

/// What the broker says by a code that trying again does not change (MQTT 3.1.1, 3.2.2.3).
fn refusal_three(code: ConnectReturnCode) -> Option<&'static str> {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => Some(VERSION),
        ConnectReturnCode::BadClientId => Some(CLIENT_ID),
        ConnectReturnCode::BadUserNamePassword => Some(PASSWORD),
        ConnectReturnCode::NotAuthorized => Some(NOT_AUTHORIZED),
        ConnectReturnCode::Success | ConnectReturnCode::ServiceUnavailable => None,
    }
}

/// The same of MQTT 5.0, 3.2.2.2.
fn refusal_five(code: v5::mqttbytes::v5::ConnectReturnCode) -> Option<&'static str> {
    use v5::mqttbytes::v5::ConnectReturnCode as Code;
    match code {
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => Some(VERSION),
        Code::BadClientId | Code::ClientIdentifierNotValid => Some(CLIENT_ID),
        Code::BadUserNamePassword => Some(PASSWORD),
        Code::NotAuthorized | Code::Banned | Code::BadAuthenticationMethod => Some(NOT_AUTHORIZED),
        _ => None,
    }
}
