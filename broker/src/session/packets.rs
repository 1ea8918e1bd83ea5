//! Packets of both protocol versions, as the broker sends them: the one place that knows how 3.1.1
//! and 5.0 differ on the way out.

use super::outbox::{Delivery, Ending};
use crate::audit::What;
use crate::frame::Qos;
use crate::properties;
use agent::access::authorize::NotGranted;
use bytes::BufMut;
use mqtt_protocol_core::mqtt::packet::{self, GenericPacket, Packet, Property, SubscriptionIdentifier, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, PubackReasonCode, PubrecReasonCode, SubackReasonCode,
    SubackReturnCode, UnsubackReasonCode,
};
use mqtt_protocol_core::mqtt::{Version, result_code::MqttError};
use std::time::Instant;

/// The first byte of PUBACK (MQTT 3.4.1).
pub const PUBACK: u8 = 0x40;

/// Why a CONNECT is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotConnected {
    /// The client identifier breaks the rules.
    Identifier,
    /// User name or password is wrong.
    Credentials,
    /// Another's session or client id, or nobody is let in who does not say who it is.
    Forbidden,
    /// A will for a topic that it may not go to, or one that is too large.
    Will,
    /// It asks for an authentication exchange, which is not offered.
    AuthenticationMethod,
    /// The broker stops.
    Stopping,
    /// As many are connected as there may be.
    Busy,
    /// The client, or its address, has as much as it may have.
    Quota,
    /// The CONNECT, or its will, is too large.
    TooLarge,
}

impl NotConnected {
    /// What was refused with it.
    pub fn what(self) -> What {
        match self {
            NotConnected::Will => What::Will,
            NotConnected::TooLarge => What::TooLarge,
            _ => What::Connect,
        }
    }
}

/// What becomes of a published message, for PUBACK and PUBREC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is on its way.
    Yes,
    /// Access refused it.
    Forbidden,
    /// It, or what it asks for, is more than there may be.
    TooMuch,
}

/// Builders fail only for values that the types here cannot have.
type Built = Result<Packet, MqttError>;

/// CONNACK that refuses (3.1.1: table 3.1; 5.0: 3.2.2.2), with the reason in words under 5.0, if the packet is then not
/// larger than the client takes (MQTT-3.2.2-19).
pub fn not_connected(version: Version, why: NotConnected, reason: &str, limit: u32) -> Built {
    if version == Version::V5_0 {
        let code = match why {
            NotConnected::Identifier => ConnectReasonCode::ClientIdentifierNotValid,
            NotConnected::Credentials => ConnectReasonCode::BadUserNameOrPassword,
            NotConnected::Forbidden | NotConnected::Will => ConnectReasonCode::NotAuthorized,
            NotConnected::AuthenticationMethod => ConnectReasonCode::BadAuthenticationMethod,
            NotConnected::Stopping => ConnectReasonCode::ServerUnavailable,
            NotConnected::Busy => ConnectReasonCode::ServerBusy,
            NotConnected::Quota => ConnectReasonCode::QuotaExceeded,
            NotConnected::TooLarge => ConnectReasonCode::PacketTooLarge,
        };
        let refusal = |reason| v5_0::Connack::builder().session_present(false).reason_code(code).props(reason).build();
        let reasoned = refusal(vec![Property::ReasonString(packet::ReasonString::new(reason)?)])?;
        let fits = reasoned.size() <= usize::try_from(limit).unwrap_or(usize::MAX);
        return Ok(if fits { reasoned.into() } else { refusal(Vec::new())?.into() });
    }
    let code = match why {
        NotConnected::Identifier => ConnectReturnCode::IdentifierRejected,
        NotConnected::Credentials => ConnectReturnCode::BadUserNameOrPassword,
        NotConnected::Forbidden | NotConnected::Will | NotConnected::AuthenticationMethod => {
            ConnectReturnCode::NotAuthorized
        }
        NotConnected::TooLarge => ConnectReturnCode::NotAuthorized,
        NotConnected::Stopping | NotConnected::Busy | NotConnected::Quota => ConnectReturnCode::ServerUnavailable,
    };
    Ok(v3_1_1::Connack::builder().session_present(false).return_code(code).build()?.into())
}

/// CONNACK to a client that speaks another level of the protocol (3.1.1: MQTT-3.1.2-2).
pub fn other_level() -> Built {
    let code = ConnectReturnCode::UnacceptableProtocolVersion;
    Ok(v3_1_1::Connack::builder().session_present(false).return_code(code).build()?.into())
}

/// CONNACK that accepts.
pub fn connected(version: Version, session_present: bool, properties: Vec<Property>) -> Built {
    if version == Version::V5_0 {
        return Ok(v5_0::Connack::builder()
            .session_present(session_present)
            .reason_code(ConnectReasonCode::Success)
            .props(properties)
            .build()?
            .into());
    }
    Ok(v3_1_1::Connack::builder()
        .session_present(session_present)
        .return_code(ConnectReturnCode::Accepted)
        .build()?
        .into())
}

/// PUBACK or PUBREC for a message of QoS 1 or 2. 3.1.1 knows no refusal there.
pub fn acknowledged(version: Version, qos: Qos, id: u16, accepted: Accepted) -> Option<Built> {
    match (qos, version == Version::V5_0) {
        (Qos::AtMostOnce, _) => None,
        (Qos::AtLeastOnce, false) => Some(v3_1_1::Puback::builder().packet_id(id).build().map(Into::into)),
        (Qos::ExactlyOnce, false) => Some(v3_1_1::Pubrec::builder().packet_id(id).build().map(Into::into)),
        (Qos::AtLeastOnce, true) => {
            let packet = v5_0::Puback::builder().packet_id(id);
            let packet = match accepted {
                Accepted::Yes => packet,
                Accepted::Forbidden => packet.reason_code(PubackReasonCode::NotAuthorized),
                Accepted::TooMuch => packet.reason_code(PubackReasonCode::QuotaExceeded),
            };
            Some(packet.build().map(Into::into))
        }
        (Qos::ExactlyOnce, true) => {
            let packet = v5_0::Pubrec::builder().packet_id(id);
            let packet = match accepted {
                Accepted::Yes => packet,
                Accepted::Forbidden => packet.reason_code(PubrecReasonCode::NotAuthorized),
                Accepted::TooMuch => packet.reason_code(PubrecReasonCode::QuotaExceeded),
            };
            Some(packet.build().map(Into::into))
        }
    }
}

/// Whether a packet answers one of ours; a client that is sent much sends many.
pub fn is_acknowledgement(packet: &Packet) -> bool {
    use GenericPacket as P;
    matches!(
        packet,
        P::V3_1_1Puback(_)
            | P::V3_1_1Pubrec(_)
            | P::V3_1_1Pubrel(_)
            | P::V3_1_1Pubcomp(_)
            | P::V5_0Puback(_)
            | P::V5_0Pubrec(_)
            | P::V5_0Pubrel(_)
            | P::V5_0Pubcomp(_)
    )
}

/// PUBREL, the sender's second step of QoS 2.
pub fn release(version: Version, id: u16) -> Built {
    if version == Version::V5_0 {
        return Ok(v5_0::Pubrel::builder().packet_id(id).build()?.into());
    }
    Ok(v3_1_1::Pubrel::builder().packet_id(id).build()?.into())
}

/// PUBCOMP, the receiver's last step of QoS 2.
pub fn complete(version: Version, id: u16) -> Built {
    if version == Version::V5_0 {
        return Ok(v5_0::Pubcomp::builder().packet_id(id).build()?.into());
    }
    Ok(v3_1_1::Pubcomp::builder().packet_id(id).build()?.into())
}

/// SUBACK, one verdict for each filter.
pub fn subscribed(version: Version, id: u16, verdicts: &[Result<Qos, NotGranted>]) -> Built {
    if version == Version::V5_0 {
        let codes = verdicts.iter().map(|verdict| match verdict {
            Ok(Qos::AtMostOnce) => SubackReasonCode::GrantedQos0,
            Ok(Qos::AtLeastOnce) => SubackReasonCode::GrantedQos1,
            Ok(Qos::ExactlyOnce) => SubackReasonCode::GrantedQos2,
            Err(NotGranted::Forbidden) => SubackReasonCode::NotAuthorized,
            Err(NotGranted::Invalid) => SubackReasonCode::TopicFilterInvalid,
            Err(NotGranted::Shared) => SubackReasonCode::SharedSubscriptionsNotSupported,
            Err(NotGranted::TooMany) => SubackReasonCode::QuotaExceeded,
        });
        return Ok(v5_0::Suback::builder().packet_id(id).reason_codes(codes.collect()).build()?.into());
    }
    let codes = verdicts.iter().map(|verdict| match verdict {
        Ok(Qos::AtMostOnce) => SubackReturnCode::SuccessMaximumQos0,
        Ok(Qos::AtLeastOnce) => SubackReturnCode::SuccessMaximumQos1,
        Ok(Qos::ExactlyOnce) => SubackReturnCode::SuccessMaximumQos2,
        Err(_) => SubackReturnCode::Failure,
    });
    Ok(v3_1_1::Suback::builder().packet_id(id).return_codes(codes.collect()).build()?.into())
}

/// UNSUBACK; for each filter, whether it had been subscribed to.
pub fn unsubscribed(version: Version, id: u16, existed: &[bool]) -> Built {
    if version == Version::V5_0 {
        let codes = existed.iter().map(|existed| match existed {
            true => UnsubackReasonCode::Success,
            false => UnsubackReasonCode::NoSubscriptionExisted,
        });
        return Ok(v5_0::Unsuback::builder().packet_id(id).reason_codes(codes.collect()).build()?.into());
    }
    Ok(v3_1_1::Unsuback::builder().packet_id(id).build()?.into())
}

/// DISCONNECT under 5.0; 3.1.1 has none from the server.
pub fn disconnect(version: Version, code: DisconnectReasonCode) -> Option<Built> {
    (version == Version::V5_0).then(|| Ok(v5_0::Disconnect::builder().reason_code(code).build()?.into()))
}

/// The reason that a client is given for the end of its connection.
pub fn reason(ending: Ending) -> DisconnectReasonCode {
    match ending {
        Ending::TakenOver => DisconnectReasonCode::SessionTakenOver,
        Ending::ShuttingDown => DisconnectReasonCode::ServerShuttingDown,
        Ending::TooSlow => DisconnectReasonCode::QuotaExceeded,
        Ending::NotAuthorized => DisconnectReasonCode::NotAuthorized,
        Ending::Expired => DisconnectReasonCode::MaximumConnectTime,
    }
}

/// PUBLISH of QoS 1 or 2. `None` if the message has expired.
pub fn publish(version: Version, delivery: &Delivery, id: u16, now: Instant) -> Option<Built> {
    let Delivery { message, qos, retain, .. } = delivery;
    let qos = match qos {
        Qos::AtMostOnce => packet::Qos::AtMostOnce,
        Qos::AtLeastOnce => packet::Qos::AtLeastOnce,
        Qos::ExactlyOnce => packet::Qos::ExactlyOnce,
    };
    let properties = properties_of(delivery, now)?;
    Some(build_publish(version, message.topic(), qos, *retain, id, properties, &message.payload))
}

/// What the library is given in place of a PUBLISH of QoS 1 that has been written without it.
pub fn stand_in(version: Version, id: u16) -> Built {
    build_publish(version, "-", packet::Qos::AtLeastOnce, false, id, Vec::new(), &[])
}

fn build_publish(
    version: Version,
    topic: &str,
    qos: packet::Qos,
    retain: bool,
    id: u16,
    properties: Vec<Property>,
    payload: &[u8],
) -> Built {
    if version == Version::V5_0 {
        let packet = v5_0::Publish::builder().topic_name(topic)?.qos(qos).retain(retain).packet_id(id);
        return Ok(packet.props(properties).payload(payload).build()?.into());
    }
    let packet = v3_1_1::Publish::builder().topic_name(topic)?.qos(qos).retain(retain).packet_id(id);
    Ok(packet.payload(payload).build()?.into())
}

fn properties_of(delivery: &Delivery, now: Instant) -> Option<Vec<Property>> {
    let waited = now.saturating_duration_since(delivery.received).as_secs();
    let mut properties = properties::decode(&delivery.message.properties, waited)?;
    let ids = delivery.subscriptions.iter().filter_map(|id| SubscriptionIdentifier::new(*id).ok());
    properties.extend(ids.map(Property::SubscriptionIdentifier));
    Some(properties)
}

/// Writes a PUBLISH straight into `out`, of QoS 1 if it has an id, of QoS 0 otherwise: most of what is sent.
/// Nothing is written, and `false` given, if the message has expired or would be larger than
/// `limit`, the receiver's maximum packet size (MQTT-3.1.2-24).
pub fn write_publish(
    out: &mut Vec<u8>,
    version: Version,
    delivery: &Delivery,
    id: Option<u16>,
    limit: u32,
    now: Instant,
) -> bool {
    let message = &delivery.message;
    let mut encoded = Vec::new();
    let properties: &[u8] = if version != Version::V5_0 {
        if properties_of(delivery, now).is_none() {
            return false;
        }
        &[]
    } else if message.properties.is_empty() && delivery.subscriptions.is_empty() {
        &[]
    } else {
        let Some(properties) = properties_of(delivery, now) else { return false };
        properties.iter().for_each(|property| encoded.extend_from_slice(&property.to_continuous_buffer()));
        &encoded
    };
    let topic = message.topic().as_bytes();
    let mut remaining = 2 + topic.len() + properties.len() + message.payload.len();
    if id.is_some() {
        remaining += 2;
    }
    if version == Version::V5_0 {
        remaining += length_of_variable(properties.len());
    }
    if 1 + length_of_variable(remaining) + remaining > usize::try_from(limit).unwrap_or(usize::MAX) {
        return false;
    }
    out.put_u8(0x30 | u8::from(id.is_some()) << 1 | u8::from(delivery.retain));
    put_variable(out, remaining);
    out.put_u16(u16::try_from(topic.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(topic);
    if let Some(id) = id {
        out.put_u16(id);
    }
    if version == Version::V5_0 {
        put_variable(out, properties.len());
        out.extend_from_slice(properties);
    }
    out.extend_from_slice(&message.payload);
    true
}

/// Variable byte integer, MQTT 1.5.5.
fn put_variable(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or_default();
        value >>= 7;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return;
        }
    }
}

fn length_of_variable(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Message;
    use bytes::Bytes;
    use mqtt_protocol_core::mqtt::packet::GenericPacketTrait;

    fn delivery(payload: usize, properties: &[u8]) -> Delivery {
        let mut message = Message::own("rooms/lobby/bob/alice".into(), vec![b'x'; payload], Qos::AtMostOnce);
        message.properties = Bytes::copy_from_slice(properties);
        Delivery {
            message,
            qos: Qos::AtMostOnce,
            retain: true,
            subscriptions: if properties.is_empty() { vec![] } else { vec![7] },
            received: Instant::now(),
        }
    }

    #[test]
    fn qos_0_and_1_are_written_as_the_library_writes_them() {
        let now = Instant::now();
        for (payload, id) in
            [0, 90, 127, 128, 16_000, 17_000, 3_000_000].into_iter().flat_map(|n| [(n, None), (n, Some(258))])
        {
            for properties in [&[][..], &[3, 0, 1, b'a'][..]] {
                let delivery = delivery(payload, properties);
                let (topic, body) = (delivery.message.topic(), &delivery.message.payload[..]);
                for version in [Version::V3_1_1, Version::V5_0] {
                    let properties = properties_of(&delivery, now).unwrap();
                    let expected = match id {
                        Some(id) => build_publish(version, topic, packet::Qos::AtLeastOnce, true, id, properties, body),
                        None if version == Version::V5_0 => v5_0::Publish::builder()
                            .topic_name(topic)
                            .unwrap()
                            .retain(true)
                            .props(properties)
                            .payload(body)
                            .build()
                            .map(Into::into),
                        None => {
                            let packet = v3_1_1::Publish::builder().topic_name(topic).unwrap().retain(true);
                            packet.payload(body).build().map(Into::into)
                        }
                    };
                    let expected = expected.unwrap();
                    let mut out = Vec::new();
                    let size = u32::try_from(expected.size()).unwrap();
                    assert!(write_publish(&mut out, version, &delivery, id, size, now));
                    assert!(out == expected.to_continuous_buffer(), "{version:?}, {payload}, {id:?}");
                    out.clear();
                    let is_written = write_publish(&mut out, version, &delivery, id, size - 1, now);
                    assert!(!is_written && out.is_empty(), "over the receiver's limit");
                }
            }
        }
    }
}
