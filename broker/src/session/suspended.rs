//! What of a session outlives its connection, besides subscriptions and queue (MQTT 4.1): messages
//! sent and not acknowledged, and QoS 2 messages received and not released.

use mqtt_protocol_core::mqtt::common::HashSet;
use mqtt_protocol_core::mqtt::packet::GenericStorePacket;
use mqtt_protocol_core::mqtt::role::Server;
use mqtt_protocol_core::mqtt::{Connection, Version};

/// Unfinished handshakes of one client.
pub struct Suspended {
    version: Version,
    sent: Vec<GenericStorePacket<u16>>,
    received: HashSet<u16>,
}

impl Suspended {
    /// What a connection leaves.
    pub fn of(connection: &Connection<Server>) -> Self {
        Self {
            version: connection.get_protocol_version(),
            sent: connection.get_stored_packets(),
            received: connection.get_qos2_publish_handled(),
        }
    }

    /// How many messages are not acknowledged.
    pub fn in_flight(&self) -> u16 {
        u16::try_from(self.sent.len()).unwrap_or(u16::MAX)
    }

    /// Goes on with them, before CONNACK is sent; `false` if the client now speaks another version,
    /// whose packets these are not.
    pub fn resume(self, connection: &mut Connection<Server>) -> bool {
        let same = self.version == connection.get_protocol_version();
        if same {
            connection.restore_packets(self.sent);
            connection.restore_qos2_publish_handled(self.received);
        }
        same
    }
}
