//! From a fresh connection to a session: the CONNECT, and whether and how it is accepted.

use super::first::{self, First};
use super::outbox::{Ending, Outbox};
use super::packets::{self, NotConnected};
use super::{MAX_IN_FLIGHT, Session, Transport};
use crate::audit::{Refused, What};
use crate::frame::{self, Flags, Qos};
use crate::hub::Hub;
use crate::limits::door::{Full, Place};
use crate::limits::memory::Level;
use crate::listen::Arrival;
use crate::properties;
use crate::switchboard::Welcome;
use agent::access::authenticate::{Claim, Denied, Wanted};
use agent::access::{Identity, Role};
use agent::login::NotLetIn;
use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, Event};
use mqtt_protocol_core::mqtt::packet::{
    self, AssignedClientIdentifier, GenericPacket, Packet, Property, SessionExpiryInterval,
    SharedSubscriptionAvailable, TopicAliasMaximum,
};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use mqtt_protocol_core::mqtt::role::Server;
use mqtt_protocol_core::mqtt::{Connection, Version};
use protocol::PeerId;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::debug;

/// Messages of QoS 1 and 2 that a client may have under way to us (receive maximum).
const RECEIVE_MAXIMUM: u16 = 256;

/// Pause before looking again whether an id is free of which the former client has just gone.
const END_IS_HEARD: Duration = Duration::from_millis(5);

/// A will as accepted: what is published when the connection ends without a normal DISCONNECT.
pub(super) struct Will {
    /// Its frame, ready for the backbone.
    pub(super) frame: Bytes,
    /// How long it waits for the client to come back.
    pub(super) delay: Duration,
}

/// What a CONNECT says, of either version.
struct Hello<'a> {
    version: Version,
    client_id: &'a str,
    clean: bool,
    user: Option<&'a str>,
    password: Option<&'a [u8]>,
    will: Option<HelloWill<'a>>,
    /// Asked for after the connection's end.
    /// In seconds (MQTT 3.1.2.11.2).
    expiry: u32,
    authentication_method: bool,
    max_packet: u32,
    /// Messages of QoS 1 and 2 that it wants under way to it at most.
    receive_maximum: u16,
}

struct HelloWill<'a> {
    topic: &'a str,
    payload: &'a [u8],
    qos: Qos,
    retain: bool,
    properties: &'a [Property],
}

/// Receives a connection: waits for its CONNECT, answers it, and gives the session if it was
/// accepted. The caller bounds the time.
pub(super) async fn receive<S: Transport>(
    mut socket: S,
    arrival: Arrival,
    place: &Place,
    hub: Arc<Hub>,
) -> Option<Box<Session<S>>> {
    let options =
        ConnectionOptions::new().maximum_packet_size_recv(hub.limits.max_packet()).receive_maximum(RECEIVE_MAXIMUM);
    let mut connection = Connection::<Server>::with_options(Version::Undetermined, options);
    connection.set_auto_ping_response(true);
    let (events, rest) = match first::read(&mut socket, &hub, &mut connection).await? {
        First::Packet(events, rest) => (events, rest),
        First::OtherLevel => {
            let why = "it asks for another level of the protocol than 4 (3.1.1) and 5 (5.0)";
            let (what, address) = (What::Connect, Some(arrival.address));
            hub.audit(Refused { what, why, client: None, user: None, address });
            let answer = packets::other_level().map(|packet| packet.to_continuous_buffer());
            refuse(socket, &hub, answer.unwrap_or_default()).await;
            return None;
        }
        First::TooLarge(version) => {
            let why = format!("a CONNECT has at most {} bytes", hub.limits.max_connect);
            let (what, address) = (What::TooLarge, Some(arrival.address));
            hub.audit(Refused { what, why: &why, client: None, user: None, address });
            let answer = version
                .and_then(|version| packets::not_connected(version, NotConnected::TooLarge, &why, u32::MAX).ok());
            refuse(socket, &hub, answer.map(|p| p.to_continuous_buffer()).unwrap_or_default()).await;
            return None;
        }
    };

    let mut connect = None;
    let mut deadline = None;
    let mut answer = Vec::new();
    let mut problem = String::from("the first packet is no CONNECT");
    for event in events {
        match event {
            Event::NotifyPacketReceived(packet) => connect = Some(packet),
            Event::RequestTimerReset { duration_ms, .. } => deadline = Some(Duration::from_millis(duration_ms)),
            // The library itself answers a CONNECT that it cannot read.
            Event::RequestSendPacket { packet, .. } => answer.extend(packet.to_continuous_buffer()),
            Event::NotifyError(error) => problem = format!("no CONNECT that can be read: {error:?}"),
            _ => {}
        }
    }
    let hello = connect.as_ref().and_then(Hello::of);
    let Some(hello) = hello else {
        let (what, address) = (What::Malformed, Some(arrival.address));
        hub.audit(Refused { what, why: &problem, client: None, user: None, address });
        refuse(socket, &hub, answer).await;
        return None;
    };
    let audit = |what, why: &str| {
        let claim = hello.claim(&arrival);
        let user = claim.user_to_show();
        let (client, address) = (Some(hello.client_id), Some(arrival.address));
        hub.audit(Refused { what, why, client, user, address });
    };
    let version = hello.version;
    let (identity, assigned, will) = match judge(&hello, &arrival, &hub).await {
        Ok(judged) => judged,
        Err((why, reason)) => {
            audit(why.what(), &reason);
            let answer =
                packets::not_connected(version, why, &reason, hello.max_packet).map(|p| p.to_continuous_buffer());
            refuse(socket, &hub, answer.unwrap_or_default()).await;
            return None;
        }
    };

    let is_operator = identity.role == Role::Operator;
    let admitted = match hub.memory.for_newcomer() {
        Level::Tight | Level::Critical if !is_operator => Err(Full::Memory),
        _ => place.admit(arrival.transport, is_operator),
    };
    let admission = match admitted {
        Ok(admission) => admission,
        Err(full) => {
            let why = if full == Full::FromAddress { NotConnected::Quota } else { NotConnected::Busy };
            audit(What::Connect, &full.to_string());
            let answer = packets::not_connected(version, why, &full.to_string(), hello.max_packet);
            refuse(socket, &hub, answer.map(|p| p.to_continuous_buffer()).unwrap_or_default()).await;
            return None;
        }
    };
    let outbox = Outbox::new(&hub.pool);
    let resumed = loop {
        let welcome = hub.switchboard.lock().connect(&identity, &outbox, hello.clean, will.is_some(), Instant::now());
        match welcome {
            Welcome::In { resumed } => break resumed,
            Welcome::Occupied(other) => poll_fn(|context| other.poll_released(context)).await,
            Welcome::Ending => tokio::time::sleep(END_IS_HEARD).await,
            Welcome::Anothers => {
                let reason = "somebody else has this client identifier; choose another";
                audit(What::Takeover, reason);
                let answer = packets::not_connected(version, NotConnected::Forbidden, reason, hello.max_packet);
                refuse(socket, &hub, answer.map(|p| p.to_continuous_buffer()).unwrap_or_default()).await;
                return None;
            }
        }
    };
    // What was judged may have changed while it was; the session then begins only to be told so.
    if !hub.login.still_admits(identity.grant.as_ref()) {
        outbox.end(Ending::NotAuthorized);
    }
    hub.counters.connections.add(1);
    let in_flight = resumed.as_ref().map_or(0, |suspended| suspended.in_flight());
    let session_present = resumed.is_some_and(|suspended| suspended.resume(&mut connection));

    let expiry = hello.expiry.min(hub.limits.session_expiry_seconds());
    let mut properties = Vec::new();
    if version == Version::V5_0 {
        let mut add = |property: Result<Property, _>| properties.extend(property.ok());
        add(TopicAliasMaximum::new(hub.limits.max_topic_aliases).map(Property::TopicAliasMaximum));
        if identity.role == Role::Peer {
            add(SharedSubscriptionAvailable::new(0).map(Property::SharedSubscriptionAvailable));
        }
        if expiry < hello.expiry {
            add(SessionExpiryInterval::new(expiry).map(Property::SessionExpiryInterval));
        }
        if assigned {
            add(AssignedClientIdentifier::new(identity.id.as_str()).map(Property::AssignedClientIdentifier));
        }
    }
    debug!(client = %identity.id, from = %arrival, ?version, session_present, "connected");
    let (max_packet_out, receive_maximum) = (hello.max_packet, hello.receive_maximum);
    let session = Session::new(socket, arrival.address, hub, connection, identity, outbox, admission);
    let mut session = Box::new(session);
    session.max_packet_out = max_packet_out;
    session.max_in_flight = receive_maximum.min(MAX_IN_FLIGHT);
    session.will = will.map(Box::new);
    session.expiry = expiry;
    session.in_flight = if session_present { in_flight } else { 0 };
    session.stash = super::stash_of(rest.into());
    session.set_keep_alive(deadline);
    if let Ok(connack) = packets::connected(version, session_present, properties) {
        session.send(connack);
    }
    Some(session)
}

/// Answers and closes.
async fn refuse<S: Transport>(mut socket: S, hub: &Hub, answer: Vec<u8>) {
    hub.counters.bytes_sent.add(answer.len() as u64);
    super::write_last(&mut socket, &answer).await;
}

/// Decides whether a CONNECT is accepted, and in whose name.
async fn judge(
    hello: &Hello<'_>,
    arrival: &Arrival,
    hub: &Hub,
) -> Result<(Identity, bool, Option<Will>), (NotConnected, String)> {
    if hub.is_stopping() {
        return Err((NotConnected::Stopping, "the broker stops".into()));
    }
    if hello.authentication_method {
        let reason = "there are no authentication exchanges here; send user name and password, or neither";
        return Err((NotConnected::AuthenticationMethod, reason.into()));
    }
    let bad_id = |reason: String| (NotConnected::Identifier, reason);
    let (id, lots) = match hello.client_id {
        "" if hello.version == Version::V5_0 => (None, lots().map_err(bad_id)?),
        id => (Some(PeerId::new(id).map_err(|error| bad_id(error.to_string()))?), String::new()),
    };
    let claim = hello.claim(arrival);
    let person =
        hub.login.recognise(claim, arrival.address.ip()).await.map_err(|error| (code(&error), error.to_string()))?;
    let wanted = id.as_ref().map_or(Wanted::Any(&lots), Wanted::Id);
    let admitted = hub.login.ways().admit(person, wanted);
    let (identity, assigned) = admitted.map_err(|denied| (code_of(&denied), denied.to_string()))?;
    let will = hello.will.as_ref().map(|will| accept_will(will, &identity, hub)).transpose()?;
    Ok((identity, assigned, will))
}

fn accept_will(will: &HelloWill<'_>, who: &Identity, hub: &Hub) -> Result<Will, (NotConnected, String)> {
    if will.topic.is_empty() || will.topic.contains(['+', '#', '\0']) || !properties::may_be_published(will.properties)
    {
        let reason = "a will's topic, and its response topic, is not empty and has no wildcards in it (MQTT 4.7)";
        return Err((NotConnected::Will, reason.into()));
    }
    if !hub.rules.will(who, will.topic) {
        let reason = match who.role {
            Role::Peer => match who.rights() {
                None => format!("a will may only go to rooms/{{room}}/agent/{}", who.id),
                Some(rights) => {
                    format!("a will may only go to rooms/{{room}}/agent/{}; your rights open {rights}", who.id)
                }
            },
            Role::Operator => "an operator leaves no will".into(),
        };
        return Err((NotConnected::Will, reason));
    }
    if will.payload.len() > hub.limits.max_will {
        return Err((NotConnected::TooLarge, format!("a will has at most {} bytes", hub.limits.max_will)));
    }
    properties::check_user(will.properties, hub.limits.user_properties)
        .map_err(|reason| (NotConnected::Quota, reason))?;
    let delay = will.properties.iter().find_map(|property| match property {
        Property::WillDelayInterval(interval) => Some(interval.val()),
        _ => None,
    });
    let flags = Flags { qos: will.qos, retain: will.retain, may_create: who.may_create() };
    let mut frame = BytesMut::new();
    let encode = |out: &mut BytesMut| properties::encode(will.properties, out);
    frame::publish(&mut frame, &who.id, will.topic, flags, encode, will.payload);
    Ok(Will { frame: frame.freeze(), delay: Duration::from_secs(delay.unwrap_or(0).into()) })
}

fn code(error: &NotLetIn) -> NotConnected {
    match error {
        NotLetIn::Denied(denied) => code_of(denied),
        NotLetIn::TooOften(_) | NotLetIn::Busy => NotConnected::Busy,
    }
}

fn code_of(denied: &Denied) -> NotConnected {
    match denied {
        Denied::Credentials | Denied::Token(_) => NotConnected::Credentials,
        Denied::Nobody(_) | Denied::NotYours(_) => NotConnected::Forbidden,
    }
}

/// For the id of a client without one; nobody can guess it.
fn lots() -> Result<String, String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl<'a> Hello<'a> {
    /// What the client shows of itself.
    fn claim(&self, arrival: &'a Arrival) -> Claim<'a> {
        Claim { user: self.user, password: self.password, certificate: arrival.certificate.as_ref() }
    }

    fn of(packet: &'a Packet) -> Option<Self> {
        match packet {
            GenericPacket::V3_1_1Connect(connect) => Some(Self {
                version: Version::V3_1_1,
                client_id: connect.client_id(),
                clean: connect.clean_session(),
                user: connect.user_name(),
                password: connect.password(),
                will: connect.will_topic().map(|topic| HelloWill {
                    topic,
                    payload: connect.will_payload().unwrap_or_default(),
                    qos: qos(connect.will_qos()),
                    retain: connect.will_retain(),
                    properties: &[],
                }),
                expiry: if connect.clean_session() { 0 } else { u32::MAX },
                authentication_method: false,
                max_packet: u32::MAX,
                receive_maximum: u16::MAX,
            }),
            GenericPacket::V5_0Connect(connect) => {
                let mut hello = Self {
                    version: Version::V5_0,
                    client_id: connect.client_id(),
                    clean: connect.clean_start(),
                    user: connect.user_name(),
                    password: connect.password(),
                    will: connect.will_topic().map(|topic| HelloWill {
                        topic,
                        payload: connect.will_payload().unwrap_or_default(),
                        qos: qos(connect.will_qos()),
                        retain: connect.will_retain(),
                        properties: connect.will_props(),
                    }),
                    expiry: 0,
                    authentication_method: false,
                    max_packet: u32::MAX,
                    receive_maximum: u16::MAX,
                };
                for property in connect.props() {
                    match property {
                        Property::SessionExpiryInterval(v) => hello.expiry = v.val(),
                        Property::MaximumPacketSize(v) => hello.max_packet = v.val(),
                        Property::ReceiveMaximum(v) => hello.receive_maximum = v.val(),
                        Property::AuthenticationMethod(_) => hello.authentication_method = true,
                        _ => {}
                    }
                }
                Some(hello)
            }
            _ => None,
        }
    }
}

pub(super) fn qos(qos: packet::Qos) -> Qos {
    match qos {
        packet::Qos::AtMostOnce => Qos::AtMostOnce,
        packet::Qos::AtLeastOnce => Qos::AtLeastOnce,
        packet::Qos::ExactlyOnce => Qos::ExactlyOnce,
    }
}
