//! A peer of either broker: it joins, signals, and waits for what it is told.

use super::PATIENCE;
use rumqttc::{Client, Event, MqttOptions, Outgoing, Packet, QoS};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

pub struct Peer {
    id: String,
    client: Client,
    received: Receiver<(String, Value)>,
    acknowledged: Receiver<()>,
}

impl Peer {
    /// Connects and subscribes to its inbox.
    pub fn connect(broker: SocketAddr, id: &str) -> Self {
        Self::log_in(broker, id, None)
    }

    pub fn log_in(broker: SocketAddr, id: &str, password: Option<&str>) -> Self {
        let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(60)).set_max_packet_size(1 << 20, 1 << 20).set_inflight(1000);
        if let Some(password) = password {
            options.set_credentials(id, password);
        }
        let (client, mut connection) = Client::new(options, 10_000);
        client.subscribe(format!("rooms/+/{id}/+"), QoS::AtLeastOnce).unwrap();
        let (tell, received) = mpsc::channel();
        let (acknowledge, acknowledged) = mpsc::channel();
        let (subscribed, granted) = mpsc::channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        let _ = subscribed.send(());
                    }
                    Ok(Event::Incoming(Packet::PubAck(_))) => {
                        let _ = acknowledge.send(());
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                        let _ = tell.send((publish.topic, value));
                    }
                    Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        });
        granted.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{id} is not let in: {e}"));
        Self { id: id.into(), client, received, acknowledged }
    }

    /// Publishes at QoS 1, and waits until the broker has it.
    pub fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).unwrap();
        self.acknowledged.recv_timeout(PATIENCE).unwrap();
    }

    pub fn say(&self, room: &str, message: &Value) {
        self.publish(&format!("rooms/{room}/agent/{}", self.id), message.to_string());
    }

    pub fn signal(&self, room: &str, to: &str, message: &Value) {
        self.publish(&format!("rooms/{room}/{to}/{}", self.id), message.to_string());
    }

    /// Joins, and waits for the answer.
    pub fn join(&self, room: &str) -> Value {
        self.say(room, &json!({"type": "join"}));
        self.expect(&["created", "joined", "full", "error"])
    }

    /// Waits for a message of one of these types.
    pub fn expect(&self, types: &[&str]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, message) = self
                .received
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .unwrap_or_else(|e| panic!("{} waits in vain for {types:?}: {e}", self.id));
            if message["type"].as_str().is_some_and(|found| types.contains(&found)) {
                return message;
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.client.try_disconnect();
    }
}

/// Two peers in a room, and all that they say until their call stands.
pub fn call(broker: SocketAddr, room: &str) -> (Peer, Peer) {
    let (alice, bob) = (Peer::connect(broker, "alice"), Peer::connect(broker, "bob"));
    assert_eq!(alice.join(room)["type"], "created");
    assert_eq!(bob.join(room)["type"], "joined");
    talk(&alice, &bob, room);
    (alice, bob)
}

/// What two members say until their call stands.
pub fn talk(alice: &Peer, bob: &Peer, room: &str) {
    bob.signal(room, "alice", &json!({"type": "ready"}));
    alice.expect(&["ready"]);
    alice.signal(room, "bob", &json!({"type": "offer", "sdp": super::recorded::SDP}));
    bob.expect(&["offer"]);
    bob.signal(room, "alice", &json!({"type": "answer", "sdp": super::recorded::SDP.replace("actpass", "active")}));
    alice.expect(&["answer"]);
    let candidate = "candidate:1 1 udp 2122260223 192.0.2.17 49152 typ host generation 0 ufrag EsAw";
    for (from, to, name) in [(alice, bob, "bob"), (bob, alice, "alice")] {
        from.signal(
            room,
            name,
            &json!({"type": "candidate", "candidate":
            {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "EsAw"}}),
        );
        to.expect(&["candidate"]);
    }
    for peer in [alice, bob] {
        peer.say(room, &json!({"type": "state", "connection": "connected"}));
    }
}
