//! What comes in: messages as the broker sent them, what became of the connection, and the time.
//!
//! Everything that the model knows, it knows from these; a live source and a recording give the same ones.

use agent::service::status::Status;
use bytes::Bytes;
use protocol::Timestamp;

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it came, by the clock of whoever received it.
    pub at: Timestamp,
    /// Topic, as the broker wrote it.
    pub topic: Box<str>,
    /// Payload, whatever it holds.
    pub payload: Bytes,
    /// Quality of service of the delivery to us (0, 1 or 2), not of what the sender published.
    pub qos: u8,
    /// Whether the broker had it kept: it tells how things are, not what happens now (MQTT-3.3.1-8).
    pub retain: bool,
}

/// The connection to the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Link {
    /// Not there yet.
    #[default]
    Connecting,
    /// It stands, and what is subscribed to is confirmed.
    Connected,
    /// It is gone and tried again.
    Lost {
        /// Why, in words.
        why: String,
    },
    /// The broker does not want us; trying again as we are would not help.
    Refused {
        /// Why, in words.
        why: String,
    },
}

/// One thing that the model is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A message came.
    Message(Message),
    /// The connection changed.
    Link {
        /// When.
        at: Timestamp,
        /// What it is now.
        link: Link,
    },
    /// Messages came that had to be dropped unread, because they came faster than they could be taken.
    Lost {
        /// When this was noticed.
        at: Timestamp,
        /// How many since the last time.
        messages: u64,
    },
    /// An agent was asked how it is doing.
    Agent {
        /// When it answered, or was given up.
        at: Timestamp,
        /// Where it was asked.
        url: Box<str>,
        /// What it says, or why it says nothing, in words.
        said: Box<Result<Status, String>>,
    },
    /// A line of a recording that cannot be read.
    Unread {
        /// Time of the line before it.
        at: Timestamp,
        /// What is wrong, with the number of the line.
        why: String,
    },
    /// Time passes.
    Tick(Timestamp),
}

impl Input {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match *self {
            Input::Message(Message { at, .. })
            | Input::Link { at, .. }
            | Input::Lost { at, .. }
            | Input::Agent { at, .. }
            | Input::Unread { at, .. }
            | Input::Tick(at) => at,
        }
    }
}
