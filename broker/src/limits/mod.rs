//! How much anybody may ask of the broker. The figures are settings of `[limits]`; what decides is
//! pure and is given the time.

pub mod door;
pub mod memory;
pub mod pace;
pub mod pool;
pub mod throttle;

use agent::access::source::Exempt;
use pace::Rate;
use std::time::Duration;

/// The limits in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time from the connection's begin to its CONNECT, and for the headers of an HTTP request.
    pub connect_timeout: Duration,
    /// Longest time that a session without a connection is kept.
    pub session_expiry: Duration,
    /// Clients connected at once; operators come in all the same.
    pub max_connections: usize,
    /// Clients connected at once from one address.
    pub max_connections_per_address: usize,
    /// Connections that have not sent CONNECT.
    pub max_handshakes: usize,
    /// The same, from one address.
    pub max_handshakes_per_address: usize,
    /// Addresses that the limits for one address do not concern.
    pub exempt: Exempt,
    /// Largest payload, in bytes.
    pub max_message: usize,
    /// Largest CONNECT, in bytes.
    pub max_connect: usize,
    /// Packets of one connection, other than acknowledgements.
    pub messages: Rate,
    /// Bytes of one connection.
    pub bytes: Rate,
    /// How long a connection is held back without pause until it is told so.
    pub held_back_warning: Duration,
    /// How long it is held back without pause until it is ended.
    pub held_back_limit: Duration,
    /// Rooms at once.
    pub max_rooms: usize,
    /// Rooms in which one peer is at once.
    pub max_rooms_per_peer: usize,
    /// Joins from one address.
    pub joins: Rate,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Memory that the process may have, in bytes, besides what surrounds it says; see [`memory`].
    pub max_memory: Option<u64>,
    /// Bytes that wait for all clients together; see [`pool`].
    pub max_waiting: usize,
    /// What waits for a client that reads slowly.
    pub queue: Bound,
    /// What waits for a session without a connection.
    pub session_queue: Bound,
    /// Largest payload of a will, in bytes.
    pub max_will: usize,
    /// User properties of a message or will.
    pub user_properties: Bound,
    /// Topic aliases that a client may set.
    pub max_topic_aliases: u16,
    /// Retained messages of all topics.
    pub retained: Bound,
}

/// A number of things and their bytes; what would exceed either is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How many.
    pub number: usize,
    /// Bytes of all together.
    pub bytes: usize,
}

impl Limits {
    /// Room for topic and properties beside the payload, so that a message which is only a little
    /// too large is answered with words and not with a closed connection.
    const BESIDE_PAYLOAD: usize = 16 * 1024;
    /// File descriptors that are not connections: listeners, the runtime, files that are read anew.
    const OTHER_DESCRIPTORS: usize = 64;

    /// The longest time that a session is kept, in whole seconds as MQTT counts them (3.1.2.11.2).
    pub fn session_expiry_seconds(&self) -> u32 {
        u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX)
    }

    /// Largest packet, and largest WebSocket message, in bytes.
    pub fn max_packet(&self) -> u32 {
        u32::try_from(self.max_message.max(self.max_connect) + Self::BESIDE_PAYLOAD).unwrap_or(u32::MAX)
    }

    /// Brings the numbers of connections and handshakes down to what a process with so many file
    /// descriptors can hold; `true` if they were higher. A quarter is for handshakes, at most.
    pub fn fit_descriptors(&mut self, descriptors: usize) -> bool {
        let there = descriptors.saturating_sub(Self::OTHER_DESCRIPTORS).max(8);
        let handshakes = self.max_handshakes.min(there / 4);
        let connections = self.max_connections.min(there - handshakes);
        let lowered = (handshakes, connections) != (self.max_handshakes, self.max_connections);
        (self.max_handshakes, self.max_connections) = (handshakes, connections);
        lowered
    }

    /// Brings down what may be kept to what so much memory can hold; `true` if it was more. A quarter is for what waits,
    /// an eighth for what is retained.
    pub fn fit_memory(&mut self, bytes: u64) -> bool {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let (waiting, retained) = (self.max_waiting.min(bytes / 4), self.retained.bytes.min(bytes / 8));
        let lowered = (waiting, retained) != (self.max_waiting, self.retained.bytes);
        (self.max_waiting, self.retained.bytes) = (waiting, retained);
        lowered
    }

    /// Those in force, by the names of their settings: pieces, bytes or seconds.
    pub fn figures(&self) -> [(&'static str, f64); 28] {
        #[expect(clippy::cast_precision_loss, reason = "no limit needs 53 bits")]
        let number = |value: usize| value as f64;
        let seconds = |time: Duration| time.as_secs_f64();
        [
            ("connect_timeout", seconds(self.connect_timeout)),
            ("max_connect", number(self.max_connect)),
            ("max_handshakes", number(self.max_handshakes)),
            ("max_handshakes_per_address", number(self.max_handshakes_per_address)),
            ("max_connections", number(self.max_connections)),
            ("max_connections_per_address", number(self.max_connections_per_address)),
            ("max_message", number(self.max_message)),
            ("message_rate", self.messages.per_period.into()),
            ("message_burst", self.messages.burst.into()),
            ("byte_rate", self.bytes.per_period.into()),
            ("byte_burst", self.bytes.burst.into()),
            ("held_back_warning", seconds(self.held_back_warning)),
            ("held_back_limit", seconds(self.held_back_limit)),
            ("max_rooms", number(self.max_rooms)),
            ("max_rooms_per_peer", number(self.max_rooms_per_peer)),
            ("joins_per_minute", self.joins.per_period.into()),
            ("max_subscriptions", number(self.max_subscriptions)),
            ("max_waiting_bytes", number(self.max_waiting)),
            ("queue_messages", number(self.queue.number)),
            ("queue_bytes", number(self.queue.bytes)),
            ("session_queue_messages", number(self.session_queue.number)),
            ("session_queue_bytes", number(self.session_queue.bytes)),
            ("max_will", number(self.max_will)),
            ("max_user_properties", number(self.user_properties.number)),
            ("max_user_property_bytes", number(self.user_properties.bytes)),
            ("max_topic_aliases", self.max_topic_aliases.into()),
            ("max_retained", number(self.retained.number)),
            ("max_retained_bytes", number(self.retained.bytes)),
        ]
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_kept_fits_the_memory_that_there_is() {
        for (mib, waiting, retained, lowered) in
            [(4096, 256, 64, false), (512, 128, 64, true), (64, 16, 8, true), (u64::MAX >> 20, 256, 64, false)]
        {
            let mut limits = crate::config::default_limits();
            assert_eq!(limits.fit_memory(mib << 20), lowered, "{mib} MiB");
            assert_eq!((limits.max_waiting >> 20, limits.retained.bytes >> 20), (waiting, retained), "{mib} MiB");
        }
    }

    #[test]
    fn connections_fit_the_descriptors_that_there_are() {
        for (descriptors, handshakes, connections, lowered) in
            [(1 << 20, 2000, 100_000, false), (20_000, 2000, 17_936, true), (1024, 240, 720, true), (0, 2, 6, true)]
        {
            let mut limits = crate::config::default_limits();
            assert_eq!(limits.fit_descriptors(descriptors), lowered, "{descriptors}");
            assert_eq!((limits.max_handshakes, limits.max_connections), (handshakes, connections), "{descriptors}");
        }
    }
}
