//! What a client publishes. Most of it is taken as it lies in what was read: the protocol's library copies each packet, and makes
//! events of it. What is not whole, sent again, at QoS 2, long, or has properties is the library's to read, and so is
//! whatever is wrong.

use super::{End, Session, Transport, packets};
use crate::frame::Qos;
use bytes::Buf;
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::Property;
use std::time::Instant;

/// The first byte of PUBLISH at QoS 0, and at QoS 1, sent for the first time (MQTT 3.3.1), without RETAIN.
const AT_MOST_ONCE: u8 = 0x30;
const AT_LEAST_ONCE: u8 = 0x32;
const RETAIN: u8 = 1;
/// A length that has another byte behind this one (MQTT 2.2.3).
const CONTINUES: u8 = 0x80;

/// A PUBLISH of either version.
#[derive(Debug, PartialEq)]
pub(super) struct Published<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    pub id: Option<u16>,
    pub properties: &'a [Property],
    /// Whether the library has read it, and so waits for its acknowledgement.
    pub is_known: bool,
}

impl<'a> Published<'a> {
    /// Reads one from the beginning of `bytes`, and how long the packet is; `None` if the library has to. Its length has two bytes
    /// at most, which is less than any limit of packets ([`crate::limits::Limits::max_packet`]).
    fn plain(bytes: &'a [u8], version: Version) -> Option<(Self, usize)> {
        let mut rest = bytes;
        let first = rest.try_get_u8().ok()?;
        let qos = match first & !RETAIN {
            AT_MOST_ONCE => Qos::AtMostOnce,
            AT_LEAST_ONCE => Qos::AtLeastOnce,
            _ => return None,
        };
        let length = match (rest.try_get_u8().ok()?, rest) {
            (length @ ..CONTINUES, _) => usize::from(length),
            (low, &[high @ 1..CONTINUES, ..]) => {
                rest.advance(1);
                usize::from(low & !CONTINUES) | usize::from(high) << 7
            }
            _ => return None,
        };
        let mut packet = rest.get(..length)?;
        let length = bytes.len() - rest.len() + length;
        let topic = usize::from(packet.try_get_u16().ok()?);
        let (topic, mut packet) = packet.split_at_checked(topic).filter(|(topic, _)| !topic.is_empty())?;
        let id = match qos {
            Qos::AtMostOnce => None,
            _ => Some(packet.try_get_u16().ok().filter(|id| *id != 0)?),
        };
        if version == Version::V5_0 && packet.try_get_u8().ok()? != 0 {
            return None; // it has properties
        }
        let topic = std::str::from_utf8(topic).ok()?;
        let retain = first & RETAIN != 0;
        Some((Self { topic, payload: packet, qos, retain, id, properties: &[], is_known: false }, length))
    }
}

impl<S: Transport> Session<S> {
    /// Takes a PUBLISH from the beginning of `bytes`, where a packet begins; how long it was, or `None` if the library has
    /// to read it.
    pub(super) fn take_publish(&mut self, bytes: &[u8], now: Instant) -> Result<Option<usize>, End> {
        let Some((published, length)) = Published::plain(bytes, self.version) else { return Ok(None) };
        self.hub.counters.packets_received.add(1);
        self.heard = now;
        self.spend_message(now);
        self.publish(&published, now)?;
        Ok(Some(length))
    }

    /// Writes PUBACK for what was accepted (MQTT 3.4; a reason code of 0 is left out).
    pub(super) fn write_puback(&mut self, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.hub.counters.packets_sent.add(1);
        self.unwritten.extend_from_slice(&[packets::PUBACK, 2, high, low]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use mqtt_protocol_core::mqtt::common::Cursor;
    use mqtt_protocol_core::mqtt::connection::{Connection, Event};
    use mqtt_protocol_core::mqtt::packet::{GenericPacket, v3_1_1, v5_0};
    use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, ConnectReturnCode};
    use mqtt_protocol_core::mqtt::role::Server;
    use proptest::prelude::*;

    /// The broker's end of a connection whose client has been let in.
    fn connected(version: Version) -> Connection<Server> {
        let mut connection = Connection::new(Version::Undetermined);
        let connect: &[u8] = match version {
            Version::V5_0 => b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x",
            _ => b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x",
        };
        assert!(!connection.recv(&mut Cursor::new(connect)).is_empty());
        let sent = match version {
            Version::V5_0 => {
                let connack = v5_0::Connack::builder().session_present(false).reason_code(ConnectReasonCode::Success);
                connection.send(connack.build().unwrap().into())
            }
            _ => {
                let connack = v3_1_1::Connack::builder().session_present(false);
                connection.send(connack.return_code(ConnectReturnCode::Accepted).build().unwrap().into())
            }
        };
        assert!(!sent.is_empty());
        connection
    }

    /// Topic, payload, QoS, RETAIN and packet id, and how long the packet is.
    type Read = (String, Vec<u8>, u8, bool, Option<u16>, usize);

    fn by_the_library(bytes: &[u8], version: Version) -> Option<Read> {
        let mut cursor = Cursor::new(bytes);
        let events = connected(version).recv(&mut cursor);
        let length = usize::try_from(cursor.position()).unwrap();
        events.into_iter().find_map(|event| match event {
            Event::NotifyPacketReceived(GenericPacket::V3_1_1Publish(p)) => {
                let payload = p.payload().as_slice().to_vec();
                Some((p.topic_name().into(), payload, p.qos() as u8, p.retain(), p.packet_id(), length))
            }
            Event::NotifyPacketReceived(GenericPacket::V5_0Publish(p)) => {
                let payload = p.payload().as_slice().to_vec();
                Some((p.topic_name().into(), payload, p.qos() as u8, p.retain(), p.packet_id(), length))
            }
            _ => None,
        })
    }

    fn taken(bytes: &[u8], version: Version) -> Option<Read> {
        let (p, length) = Published::plain(bytes, version)?;
        Some((p.topic.into(), p.payload.to_vec(), p.qos as u8, p.retain, p.id, length))
    }

    const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5_0];

    proptest! {
        /// Nothing is taken that the library reads otherwise, or refuses: packets nearly right, with anything behind them.
        #[test]
        fn what_is_taken_is_what_the_library_reads(
            version in prop::sample::select(&VERSIONS[..]),
            first in prop_oneof![3 => 0x30..=0x3Fu8, 1 => any::<u8>()],
            topic in prop_oneof![3 => "[a-z/é]{0,40}".prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..8)],
            id in prop_oneof![Just(vec![]), any::<[u8; 2]>().prop_map(Vec::from)],
            properties in prop_oneof![Just(vec![]), Just(vec![0]), Just(vec![2, 1, 1]), Just(vec![3, 0x23, 0, 1])],
            payload in prop::collection::vec(any::<u8>(), 0..300),
            (off, cut, behind) in (prop_oneof![8 => Just(0isize), 1 => -3..3isize], 0..6usize, any::<[u8; 3]>()),
        ) {
            let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
            for part in [&topic, &id, &properties, &payload] {
                body.extend_from_slice(part);
            }
            let length = body.len().saturating_add_signed(off);
            let mut bytes = vec![first];
            match u8::try_from(length) {
                Ok(short @ ..CONTINUES) => bytes.push(short),
                _ => bytes.extend([u8::try_from(length & 0x7F).unwrap() | CONTINUES, u8::try_from(length >> 7).unwrap()]),
            }
            bytes.extend(body);
            bytes.extend(behind);
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Some(taken) = taken(&bytes, version) {
                prop_assert_eq!(Some(taken), by_the_library(&bytes, version), "{:?}", bytes);
            }
        }
    }

    /// Whoever takes one has not to look at the limit of packets.
    #[test]
    fn the_longest_that_is_taken_is_within_every_limit() {
        let body = (1 << 14) - 1;
        let longest = [&[0x30, 0xFF, 0x7F, 0, 1, b't'][..], &vec![0; body - 3]].concat();
        assert!(Published::plain(&longest, Version::V3_1_1).is_some());
        let limits = Limits { max_message: 0, max_connect: 1 << 10, ..crate::config::default_limits() };
        assert!(longest.len() <= limits.max_packet() as usize, "{} bytes", longest.len());
    }

    #[test]
    fn the_library_reads_what_is_more_than_plain() {
        let long = [&[0x30, 0x80, 0x80, 1, 0, 1, b't'][..], &[0; 1 << 14]].concat();
        let left: [(&str, &[u8]); 8] = [
            ("nothing", b""),
            ("half of it", b"\x30\x05\x00\x01t1"),
            ("QoS 2", b"\x34\x05\x00\x01t\x00\x01"),
            ("sent again", b"\x3a\x06\x00\x01t\x00\x01!"),
            ("no topic, or one by its alias", b"\x30\x03\x00\x00!"),
            ("packet id 0", b"\x32\x05\x00\x01t\x00\x00"),
            ("a length in more bytes than it needs", b"\x30\x84\x00\x00\x01t!"),
            ("long", &long),
        ];
        for (what, bytes) in left {
            assert_eq!(Published::plain(bytes, Version::V3_1_1), None, "{what}");
        }
        assert_eq!(Published::plain(b"\x30\x07\x00\x01t\x02\x01\x01!", Version::V5_0), None, "with properties");
        let plain = |id, qos, retain| Published {
            topic: "t",
            payload: b"!",
            qos,
            retain,
            id,
            properties: &[],
            is_known: false,
        };
        let cases: [(&[u8], Version, Published<'_>); 3] = [
            (b"\x31\x04\x00\x01t!", Version::V3_1_1, plain(None, Qos::AtMostOnce, true)),
            (b"\x32\x06\x00\x01t\x01\x02!", Version::V3_1_1, plain(Some(258), Qos::AtLeastOnce, false)),
            (b"\x32\x07\x00\x01t\x01\x02\x00!", Version::V5_0, plain(Some(258), Qos::AtLeastOnce, false)),
        ];
        for (bytes, version, published) in cases {
            let more = [bytes, b"more"].concat();
            assert_eq!(Published::plain(&more, version), Some((published, bytes.len())));
        }
    }
}
