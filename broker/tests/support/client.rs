//! A client for tests: blocking, of either version, and able to misbehave.

use super::{Broker, PATIENCE};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, Packet, Property, Qos, SubEntry, SubOpts, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use mqtt_protocol_core::mqtt::role;
use mqtt_protocol_core::mqtt::{Connection, Version};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub const V3: Version = Version::V3_1_1;
pub const V5: Version = Version::V5_0;
pub const BOTH: [Version; 2] = [V3, V5];

/// A message as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub properties: Vec<Property>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// How a connection is asked for.
#[derive(Clone)]
pub struct Hello {
    pub version: Version,
    pub id: String,
    pub clean: bool,
    pub user: Option<(String, String)>,
    pub will: Option<(String, String)>,
    pub will_qos: Qos,
    pub will_retain: bool,
    pub will_properties: Vec<Property>,
    pub properties: Vec<Property>,
    pub keep_alive: u16,
}

impl Hello {
    pub fn new(version: Version, id: &str) -> Self {
        Self {
            version,
            id: id.into(),
            clean: true,
            user: None,
            will: None,
            will_qos: Qos::AtLeastOnce,
            will_retain: false,
            will_properties: vec![],
            properties: vec![],
            keep_alive: 60,
        }
    }

    pub fn packet(&self) -> Packet {
        if self.version == V5 {
            let mut connect = v5_0::Connect::builder()
                .client_id(&*self.id)
                .unwrap()
                .clean_start(self.clean)
                .keep_alive(self.keep_alive)
                .props(self.properties.clone());
            if let Some((user, password)) = &self.user {
                connect = connect.user_name(&**user).unwrap().password(password.clone().into_bytes()).unwrap();
            }
            if let Some((topic, payload)) = &self.will {
                let payload = payload.clone().into_bytes();
                connect = connect.will_message(&**topic, payload, self.will_qos, self.will_retain).unwrap();
                connect = connect.will_props(self.will_properties.clone());
            }
            return connect.build().unwrap().into();
        }
        let mut connect = v3_1_1::Connect::builder()
            .client_id(&*self.id)
            .unwrap()
            .clean_session(self.clean)
            .keep_alive(self.keep_alive);
        if let Some((user, password)) = &self.user {
            connect = connect.user_name(&**user).unwrap().password(password.clone().into_bytes()).unwrap();
        }
        if let Some((topic, payload)) = &self.will {
            let payload = payload.clone().into_bytes();
            connect = connect.will_message(&**topic, payload, self.will_qos, self.will_retain).unwrap();
        }
        connect.build().unwrap().into()
    }
}

/// What a client's bytes go over. A read that finds nothing in time is `WouldBlock` or `TimedOut`.
pub trait Stream: Read + Write + Send {
    /// The socket below.
    fn tcp(&self) -> &TcpStream;
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn tcp(&self) -> &TcpStream {
        (**self).tcp()
    }
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

pub struct Client {
    socket: Box<dyn Stream>,
    connection: Connection<role::Client>,
    version: Version,
    pub id: String,
    packets: VecDeque<Packet>,
    messages: VecDeque<Received>,
    closed: bool,
    /// Whether messages of QoS 1 and 2 are acknowledged.
    pub acknowledges: bool,
    /// Whether answers are looked over that the client's own state does not expect, because bytes
    /// were sent behind its back.
    pub tolerant: bool,
    has_barrier: bool,
    /// What CONNACK said of a session that was there before.
    pub session_present: bool,
    /// How long something is waited for.
    pub patience: Duration,
}

impl Client {
    /// Connects and expects to be let in.
    pub fn connect(broker: &Broker, version: Version, id: &str) -> Self {
        let (client, code) = Self::hello(broker, &Hello::new(version, id));
        assert_eq!(code, Some(0), "{id} is let in");
        client
    }

    /// Connects, subscribes to its inbox, and waits until that is granted.
    pub fn peer(broker: &Broker, version: Version, id: &str) -> Self {
        let mut client = Self::connect(broker, version, id);
        assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
        client
    }

    /// Connects with the operator's token.
    pub fn operator(broker: &Broker, version: Version, filter: &str) -> Self {
        let mut hello = Hello::new(version, "watcher");
        hello.user = Some(("operator".into(), broker.token()));
        let (mut client, code) = Self::hello(broker, &hello);
        assert_eq!(code, Some(0));
        assert!(client.subscribe(filter, 1) <= 2, "{filter}");
        client
    }

    /// Connects; the code of CONNACK, if there was one.
    pub fn hello(broker: &Broker, hello: &Hello) -> (Self, Option<u8>) {
        let mut client = Self::dial(broker.mqtt, hello);
        let code = client.connack_code();
        (client, code)
    }

    fn connack_code(&mut self) -> Option<u8> {
        self.wait(|client| {
            let (code, present) = match client.packets.pop_front()? {
                GenericPacket::V3_1_1Connack(p) => (p.return_code() as u8, p.session_present()),
                GenericPacket::V5_0Connack(p) => (p.reason_code() as u8, p.session_present()),
                other => panic!("{other:?} in place of CONNACK"),
            };
            client.session_present = present;
            Some(code)
        })
    }

    /// Connects; the whole CONNACK.
    pub fn connack(broker: &Broker, hello: &Hello) -> (Self, Packet) {
        let mut client = Self::dial(broker.mqtt, hello);
        let connack = client.wait(|client| client.packets.pop_front()).expect("a CONNACK");
        (client, connack)
    }

    fn dial(address: SocketAddr, hello: &Hello) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        Self::begin(Box::new(socket), hello)
    }

    /// Connects over a stream that is there already, such as those of [`super::tls`]; the code of CONNACK, if
    /// there was one.
    pub fn over(stream: impl Stream + 'static, hello: &Hello) -> (Self, Option<u8>) {
        let mut client = Self::begin(Box::new(stream), hello);
        let code = client.connack_code();
        (client, code)
    }

    fn begin(socket: Box<dyn Stream>, hello: &Hello) -> Self {
        let mut connection = Connection::<role::Client>::new(hello.version);
        connection.set_auto_pub_response(false);
        let mut client = Self {
            socket,
            connection,
            version: hello.version,
            id: hello.id.clone(),
            packets: VecDeque::new(),
            messages: VecDeque::new(),
            closed: false,
            acknowledges: true,
            tolerant: false,
            has_barrier: false,
            session_present: false,
            patience: PATIENCE,
        };
        client.send(hello.packet());
        client
    }

    pub fn send(&mut self, packet: Packet) {
        let events = self.connection.send(packet);
        self.handle(events);
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        if self.socket.write_all(bytes).and_then(|()| self.socket.flush()).is_err() {
            self.closed = true;
        }
    }

    fn handle(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => self.raw(&packet.to_continuous_buffer()),
                Event::NotifyPacketReceived(packet) => self.received(packet),
                Event::NotifyError(_) if self.tolerant => {}
                Event::NotifyError(error) => panic!("{}: {error:?}", self.id),
                _ => {}
            }
        }
    }

    fn received(&mut self, packet: Packet) {
        let (received, id) = match &packet {
            GenericPacket::V3_1_1Publish(p) => (
                Received {
                    topic: p.topic_name().into(),
                    payload: p.payload().as_slice().into(),
                    qos: p.qos() as u8,
                    retain: p.retain(),
                    dup: p.dup(),
                    properties: vec![],
                },
                p.packet_id(),
            ),
            GenericPacket::V5_0Publish(p) => (
                Received {
                    topic: p.topic_name().into(),
                    payload: p.payload().as_slice().into(),
                    qos: p.qos() as u8,
                    retain: p.retain(),
                    dup: p.dup(),
                    properties: p.props().clone(),
                },
                p.packet_id(),
            ),
            GenericPacket::V3_1_1Pubrel(p) => {
                let id = p.packet_id();
                return self.send(v3_1_1::Pubcomp::builder().packet_id(id).build().unwrap().into());
            }
            GenericPacket::V5_0Pubrel(p) => {
                let id = p.packet_id();
                return self.send(v5_0::Pubcomp::builder().packet_id(id).build().unwrap().into());
            }
            _ => return self.packets.push_back(packet),
        };
        let qos = received.qos;
        self.messages.push_back(received);
        let Some(id) = id.filter(|_| self.acknowledges) else { return };
        let answer: Packet = match (self.version == V5, qos) {
            (false, 1) => v3_1_1::Puback::builder().packet_id(id).build().unwrap().into(),
            (false, _) => v3_1_1::Pubrec::builder().packet_id(id).build().unwrap().into(),
            (true, 1) => v5_0::Puback::builder().packet_id(id).build().unwrap().into(),
            (true, _) => v5_0::Pubrec::builder().packet_id(id).build().unwrap().into(),
        };
        self.send(answer);
    }

    /// Reads until `done` gives something, the connection ends, or patience does.
    fn wait<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(result) = done(self) {
                return Some(result);
            }
            if self.closed {
                return None;
            }
            assert!(Instant::now() < deadline, "{} waited in vain; {:?}", self.id, self.messages);
            self.read(Duration::from_secs(1));
        }
    }

    fn read(&mut self, patience: Duration) {
        let mut buffer = [0; 16 * 1024];
        self.socket.tcp().set_read_timeout(Some(patience)).unwrap();
        match self.socket.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(length) => {
                let mut cursor = Cursor::new(&buffer[..length]);
                while usize::try_from(cursor.position()).unwrap() < length {
                    let events = self.connection.recv(&mut cursor);
                    self.handle(events);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.closed = true,
        }
    }

    /// Waits for a packet that is no message.
    pub fn packet(&mut self) -> Option<Packet> {
        self.wait(|client| client.packets.pop_front())
    }

    /// The code with which the broker granted (0 to 2) or refused.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        self.subscribe_with(filter, SubOpts::new().set_qos(Qos::try_from(qos).unwrap()), vec![])
    }

    pub fn subscribe_with(&mut self, filter: &str, options: SubOpts, properties: Vec<Property>) -> u8 {
        let id = self.connection.acquire_packet_id().unwrap();
        let entry = vec![SubEntry::new(filter, options).unwrap()];
        let packet: Packet = match self.version == V5 {
            false => v3_1_1::Subscribe::builder().packet_id(id).entries(entry).build().unwrap().into(),
            true => v5_0::Subscribe::builder().packet_id(id).entries(entry).props(properties).build().unwrap().into(),
        };
        self.send(packet);
        match self.packet().expect("a SUBACK") {
            GenericPacket::V3_1_1Suback(p) => p.return_codes()[0] as u8,
            GenericPacket::V5_0Suback(p) => p.reason_codes()[0] as u8,
            other => panic!("{other:?} in place of SUBACK"),
        }
    }

    pub fn unsubscribe(&mut self, filter: &str) -> Option<u8> {
        let id = self.connection.acquire_packet_id().unwrap();
        let packet: Packet = match self.version == V5 {
            false => {
                v3_1_1::Unsubscribe::builder().packet_id(id).entries(vec![filter]).unwrap().build().unwrap().into()
            }
            true => v5_0::Unsubscribe::builder().packet_id(id).entries(vec![filter]).unwrap().build().unwrap().into(),
        };
        self.send(packet);
        match self.packet().expect("an UNSUBACK") {
            GenericPacket::V3_1_1Unsuback(_) => None,
            GenericPacket::V5_0Unsuback(p) => Some(p.reason_codes()[0] as u8),
            other => panic!("{other:?} in place of UNSUBACK"),
        }
    }

    /// Publishes and goes through the handshake; the code of PUBACK or PUBREC under 5.0.
    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: u8) -> Option<u8> {
        self.publish_with(topic, payload, qos, false, vec![])
    }

    pub fn publish_with(
        &mut self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        qos: u8,
        retain: bool,
        properties: Vec<Property>,
    ) -> Option<u8> {
        let id = (qos > 0).then(|| self.connection.acquire_packet_id().unwrap());
        let level = Qos::try_from(qos).unwrap();
        let packet: Packet = if self.version == V5 {
            let mut p = v5_0::Publish::builder().topic_name(topic).unwrap().qos(level).retain(retain).props(properties);
            if let Some(id) = id {
                p = p.packet_id(id);
            }
            p.payload(payload.as_ref()).build().unwrap().into()
        } else {
            let mut p = v3_1_1::Publish::builder().topic_name(topic).unwrap().qos(level).retain(retain);
            if let Some(id) = id {
                p = p.packet_id(id);
            }
            p.payload(payload.as_ref()).build().unwrap().into()
        };
        self.send(packet);
        if qos == 0 {
            return None;
        }
        match self.packet()? {
            GenericPacket::V3_1_1Puback(_) => None,
            GenericPacket::V5_0Puback(p) => Some(p.reason_code().map_or(0, |code| code as u8)),
            GenericPacket::V3_1_1Pubrec(p) => {
                self.send(v3_1_1::Pubrel::builder().packet_id(p.packet_id()).build().unwrap().into());
                assert!(matches!(self.packet(), Some(GenericPacket::V3_1_1Pubcomp(_))));
                None
            }
            GenericPacket::V5_0Pubrec(p) => {
                let code = p.reason_code().map_or(0, |code| code as u8);
                if code < 0x80 {
                    self.send(v5_0::Pubrel::builder().packet_id(p.packet_id()).build().unwrap().into());
                    assert!(matches!(self.packet(), Some(GenericPacket::V5_0Pubcomp(_))));
                }
                Some(code)
            }
            other => panic!("{other:?} in place of an acknowledgement"),
        }
    }

    /// Says something to the agent.
    pub fn say(&mut self, room: &str, message: &Value) {
        self.publish(&format!("rooms/{room}/agent/{}", self.id), message.to_string(), 1);
    }

    /// Joins; the answer.
    pub fn join(&mut self, room: &str) -> Value {
        self.say(room, &json!({"type": "join"}));
        self.expect(&["created", "joined", "full", "error"])
    }

    pub fn signal(&mut self, room: &str, to: &str, message: &Value) -> Option<u8> {
        self.publish(&format!("rooms/{room}/{to}/{}", self.id), message.to_string(), 1)
    }

    /// The next message, whatever it is.
    pub fn message(&mut self) -> Received {
        self.wait(|client| client.messages.pop_front()).unwrap_or_else(|| panic!("{}: closed", self.id))
    }

    /// The next message, which must be of one of these types.
    pub fn expect(&mut self, types: &[&str]) -> Value {
        let message = self.message();
        let json = message.json();
        let found = json["type"].as_str().unwrap_or_default();
        assert!(types.contains(&found), "{}: {json} in place of {types:?} on {}", self.id, message.topic);
        json
    }

    /// Makes sure that nothing more has come, of all that the broker had accepted so far: an error
    /// that is asked for crosses the backbone after it.
    pub fn nothing(&mut self) {
        let barrier = format!("rooms/-/{}/agent", self.id);
        if !self.has_barrier {
            self.has_barrier = true;
            assert!(self.subscribe(&barrier, 0) == 0);
        }
        self.publish("$barrier", "", 0);
        let message = self.message();
        assert_eq!(message.topic, barrier, "{} hears nothing, but {message:?}", self.id);
    }

    /// Everything that has come, of all that the broker had accepted so far; and whether the
    /// connection is still there.
    pub fn heard(&mut self) -> (Vec<Received>, bool) {
        let mut heard = Vec::new();
        if !self.closed {
            self.publish("$barrier", "", 0);
        }
        let is_barrier = |message: &Received| {
            message.topic.starts_with("rooms/-/") && String::from_utf8_lossy(&message.payload).contains("outside rooms")
        };
        while let Some(message) = self.wait(|client| client.messages.pop_front()) {
            if is_barrier(&message) {
                return (heard, true);
            }
            heard.push(message);
        }
        (heard, false)
    }

    /// Whether nothing has been read that was not asked for yet.
    pub fn is_quiet(&self) -> bool {
        self.messages.is_empty()
    }

    /// A ping and its answer.
    pub fn ping(&mut self) {
        self.raw(&[0xC0, 0]);
        self.wait(|client| {
            let at = client.packets.iter().position(|packet| {
                matches!(packet, GenericPacket::V3_1_1Pingresp(_) | GenericPacket::V5_0Pingresp(_))
            })?;
            client.packets.remove(at)
        })
        .unwrap_or_else(|| panic!("{}: closed in place of PINGRESP", self.id));
    }

    /// The reason of the broker's DISCONNECT, and that the connection ends; `None` if it ends
    /// without one.
    pub fn ends(&mut self) -> Option<u8> {
        let mut code = None;
        self.wait(|client| {
            while let Some(packet) = client.packets.pop_front() {
                if let GenericPacket::V5_0Disconnect(p) = packet {
                    code = p.reason_code().map(|code| code as u8);
                }
            }
            None::<()>
        });
        code
    }

    /// DISCONNECT, and waits for the end.
    pub fn disconnect(mut self) {
        self.raw(&[0xE0, 0]);
        self.ends();
    }

    /// Ends without a word.
    pub fn lose(self) {
        let _ = self.socket.tcp().shutdown(Shutdown::Both);
    }
}
