//! What crosses the backbone, frame by frame; on the other side a frame is taken apart without copying.
//!
//! ```text
//! kind u8 | flags u8 | len(from) u8 | len(topic) u16 | len(properties) u32 | from topic properties payload
//! ```
//! Besides messages, two notices travel here, so that they stay in order with what the same client
//! has said before: that its connection has ended, and that it was refused something.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use protocol::{ErrorCode, PeerId};

/// Quality of service, MQTT 4.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl Qos {
    /// From the two bits on the wire; 3 is refused by the parser before it comes here.
    pub fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        }
    }
}

/// What goes with a message besides its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// As published.
    pub qos: Qos,
    /// As published.
    pub retain: bool,
    /// Whether the sender's rights let it be the first in an empty room: what the agent must know
    /// when the message gets there, however long that takes.
    pub may_create: bool,
}

impl Flags {
    const RETAIN: u8 = 4;
    const JOIN_ONLY: u8 = 8;

    fn to_bits(self) -> u8 {
        let set = |flag, on| if on { flag } else { 0 };
        self.qos as u8 | set(Self::RETAIN, self.retain) | set(Self::JOIN_ONLY, !self.may_create)
    }

    fn from_bits(bits: u8) -> Self {
        Self { qos: Qos::from_bits(bits), retain: bits & Self::RETAIN != 0, may_create: bits & Self::JOIN_ONLY == 0 }
    }
}

/// An application message on its way from one client to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    from: Bytes,
    topic: ByteString,
    /// Properties to be passed on, encoded as MQTT 5.0 has them, without their length.
    pub properties: Bytes,
    /// The application's bytes.
    pub payload: Bytes,
    /// As published.
    pub qos: Qos,
    /// As published.
    pub retain: bool,
    /// See [`Flags::may_create`].
    pub may_create: bool,
}

impl Message {
    /// A message of the broker or the agent itself.
    pub fn own(topic: String, payload: Vec<u8>, qos: Qos) -> Self {
        Self {
            from: Bytes::new(),
            topic: topic.into(),
            properties: Bytes::new(),
            payload: payload.into(),
            qos,
            retain: false,
            may_create: true,
        }
    }

    /// Client id of the sender; empty for the broker itself.
    pub fn from(&self) -> &str {
        text(&self.from)
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic, as something that lives on without the message.
    pub fn shared_topic(&self) -> ByteString {
        self.topic.clone()
    }

    /// Bytes that the message holds, for bounds of queues.
    pub fn size(&self) -> usize {
        self.topic.len() + self.properties.len() + self.payload.len()
    }
}

/// One thing that crosses the backbone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message that access has allowed.
    Publish(Message),
    /// A client's connection has ended; everything it said came before.
    Ended {
        /// Which client.
        client: PeerId,
        /// Whether it ended without DISCONNECT.
        lost: bool,
    },
    /// Access has refused something of a client; it is to be told.
    Refused {
        /// Which client.
        client: PeerId,
        /// The room that it was about; none for a topic outside of rooms.
        room: Option<String>,
        /// Which rule.
        code: ErrorCode,
        /// What was wrong and what would be right.
        why: String,
    },
}

const PUBLISH: u8 = 0;
const ENDED: u8 = 1;
const REFUSED: u8 = 2;
const HEADER: usize = 9;
const CODES: [ErrorCode; 6] = [
    ErrorCode::BadMessage,
    ErrorCode::NotAMember,
    ErrorCode::Forbidden,
    ErrorCode::TooLarge,
    ErrorCode::RateLimited,
    ErrorCode::UnsupportedVersion,
];

/// Writes a message's frame to the end of `out`. `properties` gets the encoded properties appended.
pub fn publish(
    out: &mut BytesMut,
    from: &PeerId,
    topic: &str,
    flags: Flags,
    properties: impl FnOnce(&mut BytesMut),
    payload: &[u8],
) {
    let (start, from) = (out.len(), from.as_str());
    out.reserve(HEADER + from.len() + topic.len() + payload.len());
    header(out, PUBLISH, flags.to_bits(), from, topic);
    let before = out.len();
    properties(out);
    let length = u32::try_from(out.len() - before).unwrap_or(0);
    out[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
    out.put_slice(payload);
}

impl Frame {
    /// Writes a notice (or, less directly than [`publish`], a message) to the end of `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Frame::Publish(message) => {
                let start = out.len();
                let Message { qos, retain, may_create, .. } = *message;
                let flags = Flags { qos, retain, may_create };
                header(out, PUBLISH, flags.to_bits(), message.from(), message.topic());
                out.put_slice(&message.properties);
                let length = u32::try_from(message.properties.len()).unwrap_or(0);
                out[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
                out.put_slice(&message.payload);
            }
            Frame::Ended { client, lost } => header(out, ENDED, u8::from(*lost), client.as_str(), ""),
            Frame::Refused { client, room, code, why } => {
                let code = CODES.iter().position(|c| c == code).unwrap_or_default();
                let code = u8::try_from(code).unwrap_or_default();
                header(out, REFUSED, code, client.as_str(), room.as_deref().unwrap_or_default());
                out.put_slice(why.as_bytes());
            }
        }
    }

    /// Takes a frame apart; `None` if it is not one of ours.
    pub fn decode(frame: Bytes) -> Option<Self> {
        let head = frame.get(..HEADER)?;
        let (kind, flags, from) = (head[0], head[1], usize::from(head[2]));
        let topic = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let properties = usize::try_from(u32::from_be_bytes([head[5], head[6], head[7], head[8]])).ok()?;
        let topic_at = HEADER + from;
        let properties_at = topic_at + topic;
        let payload_at = properties_at.checked_add(properties)?;
        if payload_at > frame.len() {
            return None;
        }
        let client = || PeerId::new(text(&frame.slice(HEADER..topic_at))).ok();
        match kind {
            PUBLISH => {
                let Flags { qos, retain, may_create } = Flags::from_bits(flags);
                Some(Frame::Publish(Message {
                    from: frame.slice(HEADER..topic_at),
                    topic: frame.slice(topic_at..properties_at).try_into().ok()?,
                    properties: frame.slice(properties_at..payload_at),
                    payload: frame.slice(payload_at..),
                    qos,
                    retain,
                    may_create,
                }))
            }
            ENDED => Some(Frame::Ended { client: client()?, lost: flags != 0 }),
            REFUSED => {
                let room = text(&frame.slice(topic_at..properties_at)).to_owned();
                Some(Frame::Refused {
                    client: client()?,
                    room: Some(room).filter(|room| !room.is_empty()),
                    code: *CODES.get(usize::from(flags))?,
                    why: text(&frame.slice(payload_at..)).to_owned(),
                })
            }
            _ => None,
        }
    }
}

fn header(frame: &mut BytesMut, kind: u8, flags: u8, from: &str, topic: &str) {
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u8(u8::try_from(from.len()).unwrap_or(u8::MAX));
    frame.put_u16(u16::try_from(topic.len()).unwrap_or(u16::MAX));
    frame.put_u32(0);
    frame.put_slice(&from.as_bytes()[..from.len().min(usize::from(u8::MAX))]);
    frame.put_slice(&topic.as_bytes()[..topic.len().min(usize::from(u16::MAX))]);
}

/// The text that some part of a frame is: it was text when it was put there.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer() -> PeerId {
        PeerId::new("alice").unwrap()
    }

    fn encoded(frame: &Frame) -> Bytes {
        let mut out = BytesMut::from(&b"before"[..]);
        frame.encode(&mut out);
        out.split_off(6).freeze()
    }

    #[test]
    fn notices_arrive_as_sent() {
        for frame in [
            Frame::Ended { client: peer(), lost: true },
            Frame::Ended { client: peer(), lost: false },
            Frame::Refused { client: peer(), room: None, code: ErrorCode::Forbidden, why: "no".into() },
            Frame::Refused {
                client: peer(),
                room: Some("현관".into()),
                code: ErrorCode::UnsupportedVersion,
                why: String::new(),
            },
        ] {
            assert_eq!(Frame::decode(encoded(&frame)), Some(frame));
        }
    }

    proptest! {
        #[test]
        fn messages_arrive_as_sent(
            topic in "\\PC{0,40}", properties in any::<Vec<u8>>(), payload in any::<Vec<u8>>(),
            qos in 0..3u8, retain: bool, may_create: bool
        ) {
            let flags = Flags { qos: Qos::from_bits(qos), retain, may_create };
            let mut out = BytesMut::from(&b"before"[..]);
            publish(&mut out, &peer(), &topic, flags, |out| out.put_slice(&properties), &payload);
            let Some(Frame::Publish(message)) = Frame::decode(out.split_off(6).freeze()) else { panic!("no message") };
            prop_assert_eq!(message.from(), "alice");
            prop_assert_eq!(message.topic(), &topic);
            prop_assert_eq!(&message.properties[..], &properties[..]);
            prop_assert_eq!(&message.payload[..], &payload[..]);
            prop_assert_eq!((message.qos as u8, message.retain, message.may_create), (qos, retain, may_create));
            prop_assert_eq!(Frame::decode(encoded(&Frame::Publish(message.clone()))), Some(Frame::Publish(message)));
        }

        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
            Frame::decode(bytes.into());
        }
    }
}
