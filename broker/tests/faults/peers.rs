//! A peer over rumqttc: joins, negotiates with its fellow over and over, and comes back by itself. What `peers.mjs` is in
//! JavaScript. There is no media in it: a description is the name of the negotiation, and a candidate belongs to it.

use super::fleet::Board;
use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, Packet, QoS};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Before the first attempt to come back; doubled from one to the next, like a camera's.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Before a call that stands is negotiated anew.
const AGAIN: Duration = Duration::from_millis(500);

struct Talk {
    room: String,
    me: String,
    client: AsyncClient,
    board: Arc<Board>,
    was_created: bool,
    fellow: Option<String>,
    session: Option<String>,
    has_description: bool,
    has_candidate: bool,
    number: u64,
    again: Option<Instant>,
}

/// Until its task is dropped.
pub async fn live(broker: SocketAddr, room: String, me: String, board: Arc<Board>) {
    let mut options = MqttOptions::new(&me, broker.ip().to_string(), broker.port());
    options.set_keep_alive(Duration::from_secs(20)).set_clean_session(true);
    let (client, mut eventloop) = AsyncClient::new(options, 64);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);
    let mut talk = Talk {
        room,
        me,
        client,
        board,
        was_created: false,
        fellow: None,
        session: None,
        has_description: false,
        has_candidate: false,
        number: 0,
        again: None,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let again = talk.again;
        let due = async {
            match again {
                Some(again) => tokio::time::sleep_until(again).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            event = eventloop.poll() => event,
            () = due => {
                talk.offer();
                continue;
            }
        };
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                talk.client.try_subscribe(format!("rooms/+/{}/+", talk.me), QoS::AtLeastOnce).unwrap();
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                pause = FIRST_PAUSE;
                talk.say("agent", &json!({"type": "join"}));
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let from = publish.topic.rsplit('/').next().unwrap().to_owned();
                talk.hear(&from, &serde_json::from_slice(&publish.payload).unwrap());
            }
            Ok(_) => {}
            Err(_) => {
                talk.begin(None);
                talk.board.is_lost(&talk.me);
                eventloop.clean();
                eventloop.pending.clear();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl Talk {
    fn say(&self, to: &str, message: &Value) {
        let topic = format!("rooms/{}/{to}/{}", self.room, self.me);
        let _ = self.client.try_publish(topic, QoS::AtLeastOnce, false, message.to_string());
    }

    fn tell_fellow(&self, message: &Value) {
        if let Some(fellow) = &self.fellow {
            self.say(fellow, message);
        }
    }

    fn begin(&mut self, session: Option<String>) {
        (self.session, self.has_description, self.has_candidate, self.again) = (session, false, false, None);
    }

    fn candidate(&self) {
        let candidate = json!({"candidate": "", "usernameFragment": self.session});
        self.tell_fellow(&json!({"type": "candidate", "candidate": candidate}));
    }

    fn offer(&mut self) {
        self.number += 1;
        self.begin(Some(format!("{}.0.{}", self.me, self.number)));
        self.tell_fellow(&json!({"type": "offer", "sdp": self.session}));
        self.candidate();
    }

    /// Whether the negotiation is one that this one has offered.
    fn is_own(&self) -> bool {
        self.session
            .as_ref()
            .and_then(|session| session.strip_prefix(&self.me))
            .is_some_and(|rest| rest.starts_with('.'))
    }

    fn is_through(&self) -> bool {
        self.has_description && self.has_candidate
    }

    fn hear(&mut self, from: &str, message: &Value) {
        let is_fellow = self.fellow.as_deref() == Some(from);
        let is_this = |name: &Value| name.as_str().is_some() && name.as_str() == self.session.as_deref();
        match message["type"].as_str().unwrap() {
            kind @ ("created" | "joined") => {
                self.board.is_in(&self.me);
                self.was_created = kind == "created";
                if let Some(fellow) = message["peer"]["id"].as_str() {
                    self.fellow = Some(fellow.to_owned());
                }
                self.tell_fellow(&json!({"type": "ready"}));
            }
            "arrived" => self.fellow = message["peer"]["id"].as_str().map(str::to_owned),
            "left" => {
                self.fellow = None;
                self.begin(None);
            }
            "ready" if is_fellow => self.offer(),
            // Perfect negotiation: who was there first does not give way.
            "offer" if is_fellow && !(self.was_created && self.is_own() && !self.is_through()) => {
                self.begin(message["sdp"].as_str().map(str::to_owned));
                self.has_description = true;
                self.tell_fellow(&json!({"type": "answer", "sdp": message["sdp"]}));
                self.candidate();
            }
            "answer" if is_this(&message["sdp"]) => {
                self.has_description = true;
                self.look();
            }
            "candidate" if is_this(&message["candidate"]["usernameFragment"]) => {
                self.has_candidate = true;
                self.look();
            }
            _ => {}
        }
    }

    fn look(&mut self) {
        if let Some(session) = self.session.clone().filter(|_| self.is_through()) {
            self.board.is_through(&self.me, &session);
            if self.is_own() {
                self.again = Some(Instant::now() + AGAIN);
            }
        }
    }
}
