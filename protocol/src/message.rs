//! What is said: by peers to the agent, by the agent to peers, by operators to the agent.
//! What peers say to each other passes untouched and is not read here.
//!
//! Every message of the agent carries `rev`, which only grows within a room name: whoever gets
//! one that is not newer than the last it saw there ignores it.

use crate::ids::PeerId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Why a message to the agent cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No JSON object with a known `type`, or a field of the wrong kind.
    #[error("{0}")]
    Bad(String),
    /// A join with a version that this agent does not speak.
    #[error("version {0} is not spoken here; this agent speaks version {version}", version = crate::VERSION)]
    Version(u64),
}

impl MessageError {
    /// The code that the sender is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            MessageError::Bad(_) => ErrorCode::BadMessage,
            MessageError::Version(_) => ErrorCode::UnsupportedVersion,
        }
    }
}

/// What a peer tells of itself when it joins: any JSON object up to [`Info::MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Info(Map<String, Value>);

impl Info {
    /// Largest `info`, in bytes of compact JSON.
    pub const MAX_BYTES: usize = 1024;
    /// Deepest nesting; more would stop JSON parsers that guard their stack from reading the
    /// messages which carry it.
    pub const MAX_DEPTH: usize = 64;

    /// A validated `info`.
    ///
    /// # Errors
    /// [`MessageError::Bad`] if it is too large or nested too deeply.
    pub fn new(object: Map<String, Value>) -> Result<Self, MessageError> {
        let value = Value::Object(object);
        let bytes = value.to_string().len();
        if bytes > Self::MAX_BYTES {
            return Err(MessageError::Bad(format!(
                "info has {bytes} bytes as compact JSON, allowed are {}",
                Self::MAX_BYTES
            )));
        }
        if depth(&value) > Self::MAX_DEPTH {
            return Err(MessageError::Bad(format!("info is nested deeper than {} levels", Self::MAX_DEPTH)));
        }
        match value {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(MessageError::Bad("info must be a JSON object".into())),
        }
    }

    /// The object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Info {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How a call is doing: `RTCPeerConnection.connectionState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are WebRTC's own")]
pub enum Connection {
    New,
    Connecting,
    Connected,
    Disconnected,
    Failed,
    Closed,
}

/// Reads JSON, which is text: serde_json does not look at the bytes of what it passes over, and what we take for JSON
/// would be none to the next reader (RFC 8259 §8.1).
fn from_json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(payload).map_err(|error| format!("not in UTF-8, {error}"))?;
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// What a peer says to the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerMessage {
    /// It wants a seat.
    Join {
        /// What the other peer shall be shown of it.
        info: Option<Info>,
    },
    /// It gives its seat up.
    Leave {
        /// Whether a will says so: the connection was lost, not closed.
        lost: bool,
    },
    /// How its call is doing.
    State {
        /// `RTCPeerConnection.connectionState`.
        connection: Connection,
        /// In its own words, at most [`PeerMessage::MAX_DETAIL`] bytes (what is longer is cut).
        detail: Option<String>,
    },
}

impl PeerMessage {
    /// Longest `detail` that is passed on, in bytes.
    pub const MAX_DETAIL: usize = 256;

    /// Reads a message to the agent.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        /// Every field that any of the messages has. A struct, so that serde refuses a known
        /// field which is there twice: two readers could take different ones.
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(rename = "type", borrow)]
            kind: std::borrow::Cow<'a, str>,
            v: Option<Value>,
            info: Option<Value>,
            connection: Option<Value>,
            detail: Option<Value>,
            reason: Option<Value>,
        }

        let fields: Fields = from_json(payload).map_err(|e| {
            let what = if e.starts_with("missing field `type`") {
                "the message has no `type`; known are join, leave and state".to_owned()
            } else {
                format!("the message is no JSON object with a `type` like {{\"type\":\"join\"}}: {e}")
            };
            MessageError::Bad(what)
        })?;
        match &*fields.kind {
            "join" => {
                match fields.v {
                    None => {}
                    Some(v) => match v.as_u64() {
                        Some(crate::VERSION) => {}
                        Some(other) => return Err(MessageError::Version(other)),
                        None => return Err(MessageError::Bad(format!("v must be a number like 1, not {}", shown(&v)))),
                    },
                }
                let info = match fields.info {
                    None | Some(Value::Null) => None,
                    Some(Value::Object(object)) => Some(Info::new(object)?),
                    Some(other) => {
                        return Err(MessageError::Bad(format!("info must be a JSON object, not {}", shown(&other))));
                    }
                };
                Ok(PeerMessage::Join { info })
            }
            "leave" => Ok(PeerMessage::Leave { lost: fields.reason.as_ref().and_then(Value::as_str) == Some("lost") }),
            "state" => {
                let connection = fields.connection.unwrap_or(Value::Null);
                let connection = Connection::deserialize(&connection).map_err(|_| {
                    MessageError::Bad(format!(
                        "connection must be one of new, connecting, connected, disconnected, failed, closed, not {}",
                        shown(&connection)
                    ))
                })?;
                let detail = fields.detail.and_then(|detail| match detail {
                    Value::String(text) => Some(cut(text, Self::MAX_DETAIL)),
                    _ => None,
                });
                Ok(PeerMessage::State { connection, detail })
            }
            other => Err(MessageError::Bad(format!(
                "the type {} is unknown to the agent; known are join, leave and state",
                shown(&Value::from(other))
            ))),
        }
    }
}

/// A value as an error shows it: short.
fn shown(value: &Value) -> String {
    cut(value.to_string(), 40)
}

/// At most `max` bytes of `text`, at a character's boundary.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// One entry of `RTCConfiguration.iceServers` (W3C WebRTC, RTCIceServer).
///
/// `Debug` does not show the credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` addresses.
    pub urls: Vec<String>,
    /// User of a TURN server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = self.credential.as_ref().map(|_| "…");
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .field("credential", &credential)
            .finish()
    }
}

/// The other peer, as one is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Its name.
    pub id: PeerId,
    /// What it told of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
}

/// Why a member is out, as the other one is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// By its own will.
    Left,
    /// Its connection was lost and it did not come back in time.
    Lost,
    /// An operator removed it.
    Removed,
}

/// Why a member is out, as it is told itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedReason {
    /// An operator removed it.
    Removed,
    /// An operator closed the room.
    RoomClosed,
    /// Another has its seat now.
    Replaced,
}

/// What kind of error an `error` message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The agent cannot read it.
    BadMessage,
    /// For members of that room only.
    NotAMember,
    /// Another's name, or a foreign topic.
    Forbidden,
    /// Larger than a message may be.
    TooLarge,
    /// Too many in too short a time.
    RateLimited,
    /// A join with an unknown version.
    UnsupportedVersion,
}

/// What the agent says to a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentMessage {
    /// The message itself.
    #[serde(flatten)]
    pub said: Said,
    /// Grows within a room name.
    pub rev: u64,
}

/// A message of the agent, without its `rev`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Said {
    /// The room was empty; you are its first peer.
    Created {
        /// Version of the protocol.
        v: u64,
        /// The room.
        room: String,
        /// Your name.
        you: PeerId,
        /// The other member; only in a resumed answer, if somebody came meanwhile.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<Other>,
        /// For `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// Whether this is an old answer again.
        resumed: bool,
        /// Within how many seconds the agent must hear of you, or take you for lost; without it, never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<u64>,
    },
    /// You are the second.
    Joined {
        /// Version of the protocol.
        v: u64,
        /// The room.
        room: String,
        /// Your name.
        you: PeerId,
        /// The one who was there.
        peer: Other,
        /// For `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// Whether this is an old answer again.
        resumed: bool,
        /// Within how many seconds the agent must hear of you, or take you for lost; without it, never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<u64>,
    },
    /// Two are inside; you are not.
    Full {
        /// The room.
        room: String,
    },
    /// The second came in.
    Arrived {
        /// Who.
        peer: Other,
    },
    /// The other one is out.
    Left {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// You are out.
    Closed {
        /// Why.
        reason: ClosedReason,
    },
    /// Fresh TURN credentials.
    IceServers {
        /// For `RTCPeerConnection.setConfiguration`.
        ice_servers: Vec<IceServer>,
    },
    /// Something you sent was not followed.
    Error {
        /// Which kind.
        code: ErrorCode,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// What an operator orders on `control/{room}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Control {
    /// Puts one peer out.
    Remove {
        /// Who.
        peer: PeerId,
    },
    /// Puts everybody out.
    Close,
}

impl Control {
    /// Reads an order.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        from_json(payload).map_err(|e| {
            MessageError::Bad(format!("an order is {{\"type\":\"remove\",\"peer\":…}} or {{\"type\":\"close\"}}: {e}"))
        })
    }
}
