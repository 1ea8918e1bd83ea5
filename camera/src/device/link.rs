//! The connection to the broker: kept, made again when lost, with every room joined again.
//!
//! MQTT 3.1.1, since every broker speaks it and nothing here needs more. The session is a clean one: what was under
//! way when a connection was lost belongs to a talk that has to be begun anew.

#![allow(clippy::disallowed_methods, reason = "how long a connection stood is asked of the clock")]

use super::seat::Seat;
use super::{DeviceError, Event, Options};
use crate::signal::Signal;
use protocol::{AgentMessage, Connection, Info, PeerId, RoomId, Said, Topic, topic::Inbox};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, NetworkOptions, Outgoing, Packet, Publish, QoS,
    SubscribeReasonCode,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A broker that comes back has everybody back in five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Between the connections of one of two that have the same name and throw each other out.
const CONTESTED_PAUSE: Duration = Duration::from_secs(30);
/// A connection that stood for less has not been a success.
const SETTLED: Duration = Duration::from_secs(10);
/// So many short connections in a row are no accident.
const CONTESTED: u32 = 3;
/// The broker notices a device that has vanished after one and a half of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Requests that may wait for the connection.
const REQUESTS: usize = 256;
/// Largest message that is taken, in bytes: four times what the broker passes on unless told otherwise.
const MAX_PACKET: usize = 256 * 1024;

/// What a device is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Join { room: RoomId, info: Option<Info> },
    Leave { room: RoomId },
    Send { room: RoomId, to: PeerId, signal: Signal },
    Report { room: RoomId, connection: Connection, detail: Option<String> },
    Close,
}

type Tell = mpsc::Sender<Result<Event, DeviceError>>;

/// Why the connection is not kept any longer.
enum End {
    /// Nobody wants it any more.
    Closed,
    Failed(DeviceError),
}

pub(super) struct Link {
    options: Options,
    client: AsyncClient,
    eventloop: EventLoop,
    tell: Tell,
    seats: HashMap<RoomId, Seat>,
    /// Since when the connection stands and the subscription is granted.
    listening: Option<Instant>,
    was_in: bool,
    /// Connections in a row that the broker let in and that ended soon.
    short: u32,
    pause: Duration,
    /// Why there is no connection, as it has been logged.
    told: Option<String>,
}

impl Link {
    pub(super) fn new(options: Options, tell: Tell) -> Result<Self, DeviceError> {
        let mut mqtt = options.broker.mqtt_options(options.id.as_str(), options.ca_file.as_deref())?;
        mqtt.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_max_packet_size(MAX_PACKET, MAX_PACKET);
        if let Some(login) = &options.login {
            mqtt.set_credentials(login.username.clone(), login.password.clone());
        }
        let (client, mut eventloop) = AsyncClient::new(mqtt, REQUESTS);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(5);
        eventloop.set_network_options(network);
        Ok(Self {
            options,
            client,
            eventloop,
            tell,
            seats: HashMap::new(),
            listening: None,
            was_in: false,
            short: 0,
            pause: FIRST_PAUSE,
            told: None,
        })
    }

    /// Keeps the connection until it is told to close, or cannot.
    pub(super) async fn keep(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let why = match self.converse(&mut orders).await {
                Ok(why) => why,
                Err(End::Closed) => return self.take_leave().await,
                Err(End::Failed(error)) => return drop(self.tell.send(Err(error)).await),
            };
            let (why, pause) = self.judge(why);
            // Once: a broker may be away for days.
            if self.told.as_ref() == Some(&why) {
                debug!(broker = %self.options.broker, ?pause, "still offline: {why}");
            } else {
                warn!(broker = %self.options.broker, ?pause, "offline: {why}; trying again until there is a connection");
                self.told = Some(why.clone());
            }
            if self.tell.send(Ok(Event::Offline { why })).await.is_err() || !self.rest(pause, &mut orders).await {
                return;
            }
        }
    }

    /// How long to wait after a connection that has ended, and what to say of it.
    fn judge(&mut self, why: String) -> (String, Duration) {
        let stood = self.listening.take().map(|since| since.elapsed());
        self.seats.values_mut().for_each(Seat::offline);
        self.eventloop.clean();
        self.eventloop.pending.clear();
        match stood {
            Some(stood) if stood >= SETTLED => (self.short, self.pause) = (0, FIRST_PAUSE),
            Some(_) => self.short += 1,
            None => {}
        }
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if self.short < CONTESTED {
            return (why, pause);
        }
        let why = format!(
            "{why}; {} connections in a row have been ended right after they were let in: is another device running \
             with the same id {}? Give each its own",
            self.short, self.options.id
        );
        (why, CONTESTED_PAUSE)
    }

    /// One connection, from dialling to its end; why it ended.
    async fn converse(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<String, End> {
        loop {
            // Not dropped for the sake of an order: dialling would begin anew.
            let event = {
                let poll = self.eventloop.poll();
                tokio::pin!(poll);
                loop {
                    let next = self.seats.iter().filter_map(|(room, seat)| Some((seat.again()?, room.clone()))).min();
                    let again = next.filter(|_| self.listening.is_some());
                    tokio::select! {
                        event = &mut poll => break event,
                        order = orders.recv() => {
                            let listening = self.listening.is_some();
                            obey(order.unwrap_or(Order::Close), &self.client, &self.options.id, &mut self.seats, listening)?;
                        }
                        room = rest_until(again.clone()), if again.is_some() => {
                            if let Some(seat) = self.seats.get_mut(&room) {
                                join(&self.client, &self.options.id, &room, seat);
                            }
                        }
                    }
                }
            };
            match event {
                Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => {
                    self.was_in = true;
                    let subscribed = self.client.try_subscribe(self.inbox(), QoS::AtLeastOnce);
                    subscribed.map_err(|_| End::Closed)?;
                }
                Ok(rumqttc::Event::Incoming(Packet::SubAck(ack))) => {
                    if ack.return_codes.first() == Some(&SubscribeReasonCode::Failure) {
                        let (broker, id) = (self.options.broker.to_string(), self.options.id.clone());
                        return Err(End::Failed(DeviceError::Deaf { broker, filter: self.inbox(), id }));
                    }
                    info!(broker = %self.options.broker, id = %self.options.id, "online");
                    self.listening = Some(Instant::now());
                    self.told = None;
                    self.tell(Event::Online).await?;
                    for (room, seat) in self.seats.iter_mut().filter(|(_, seat)| seat.wanted()) {
                        join(&self.client, &self.options.id, room, seat);
                    }
                }
                Ok(rumqttc::Event::Incoming(Packet::Publish(publish))) => self.hear(publish).await?,
                Ok(event) => debug!(?event),
                Err(ConnectionError::ConnectionRefused(code)) => {
                    let why = refusal(code);
                    if !self.was_in && code != ConnectReturnCode::ServiceUnavailable {
                        let broker = self.options.broker.to_string();
                        return Err(End::Failed(DeviceError::Refused { broker, why: why.into() }));
                    }
                    self.pause = LONGEST_PAUSE;
                    return Ok(format!("{} refuses the connection: {why}", self.options.broker));
                }
                Err(error) => return Ok(format!("no connection to {}: {error}", self.options.broker)),
            }
        }
    }

    fn inbox(&self) -> String {
        Inbox::filter(&self.options.id)
    }

    /// `&mut` so that the future can move between threads: the connection cannot be shared by two.
    async fn tell(&mut self, event: Event) -> Result<(), End> {
        self.tell.send(Ok(event)).await.map_err(|_| End::Closed)
    }

    async fn hear(&mut self, publish: Publish) -> Result<(), End> {
        let Some(event) = self.read(&publish) else { return Ok(()) };
        self.tell(event).await
    }

    /// What a message says, if it is for this device and means something.
    fn read(&mut self, publish: &Publish) -> Option<Event> {
        let me = self.options.id.as_str();
        let (room, from) = match Topic::parse(&publish.topic) {
            Ok(Topic::FromAgent { room, to }) if to == me => (room, None),
            Ok(Topic::Signal { room, to, from }) if to == me => (room, Some(from)),
            _ => return None,
        };
        let room: RoomId = room.parse().ok()?;
        let Some(from) = from else {
            let message = serde_json::from_slice::<AgentMessage>(&publish.payload);
            let message =
                message.inspect_err(|error| warn!(%room, %error, "the agent's message is not understood")).ok()?;
            if let Said::Error { code, message } = message.said {
                return Some(Event::Refused { code, message });
            }
            let said = self.seats.get_mut(&room)?.agent(message, Instant::now())?;
            return Some(Event::Agent { room, said });
        };
        let from: PeerId = from.parse().ok()?;
        if !self.seats.get(&room)?.hears(&from) {
            return None;
        }
        let signal = serde_json::from_slice::<Signal>(&publish.payload);
        let signal =
            signal.inspect_err(|error| warn!(%room, %from, %error, "the peer's message is not understood")).ok()?;
        Some(Event::Peer { room, from, signal })
    }

    /// Waits before the next attempt, orders going on; whether it is to be made.
    async fn rest(&mut self, pause: Duration, orders: &mut mpsc::UnboundedReceiver<Order>) -> bool {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                order = orders.recv() => {
                    let order = order.unwrap_or(Order::Close);
                    if obey(order, &self.client, &self.options.id, &mut self.seats, false).is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Frees every seat, and goes.
    async fn take_leave(&mut self) {
        if self.listening.is_none() {
            return;
        }
        for room in self.seats.keys() {
            say(&self.client, &self.options.id, room, None, &json!({"type": "leave"}));
        }
        if self.client.try_disconnect().is_ok() {
            use rumqttc::Event::Outgoing as Out;
            while !matches!(self.eventloop.poll().await, Ok(Out(Outgoing::Disconnect)) | Err(_)) {}
        }
    }
}

/// Does as told. Without a connection only the wishes are kept: which rooms, and as what.
fn obey(
    order: Order,
    client: &AsyncClient,
    me: &PeerId,
    seats: &mut HashMap<RoomId, Seat>,
    listening: bool,
) -> Result<(), End> {
    match order {
        Order::Join { room, info } => {
            let mut seat = Seat::new(info);
            if listening {
                join(client, me, &room, &mut seat);
            }
            seats.insert(room, seat);
        }
        Order::Leave { room } => {
            if seats.remove(&room).is_some() && listening {
                say(client, me, &room, None, &json!({"type": "leave"}));
            }
        }
        Order::Send { room, to, signal } if listening => match serde_json::to_value(&signal) {
            Ok(value) => say(client, me, &room, Some(&to), &value),
            Err(error) => warn!(%error, "a signal cannot be written"),
        },
        Order::Report { room, connection, detail } if listening => {
            let mut state = json!({"type": "state", "connection": connection});
            if let Some(detail) = detail {
                state["detail"] = detail.into();
            }
            say(client, me, &room, None, &state);
        }
        Order::Send { .. } | Order::Report { .. } => {}
        Order::Close => return Err(End::Closed),
    }
    Ok(())
}

fn join(client: &AsyncClient, me: &PeerId, room: &RoomId, seat: &mut Seat) {
    seat.asked(Instant::now());
    let mut message = json!({"type": "join", "v": protocol::VERSION});
    if let Some(info) = &seat.info {
        message["info"] = json!(info);
    }
    say(client, me, room, None, &message);
}

/// To the other member, or to the agent.
fn say(client: &AsyncClient, me: &PeerId, room: &RoomId, to: Option<&PeerId>, message: &Value) {
    let (room, me) = (room.as_str(), me.as_str());
    let topic = match to {
        Some(to) => Topic::Signal { room, to: to.as_str(), from: me },
        None => Topic::ToAgent { room, from: me },
    };
    if let Err(error) = client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, message.to_string()) {
        warn!(room, %error, "more is to be said than the connection takes");
    }
}

/// The room, when its time has come; never, if there is none.
async fn rest_until(again: Option<(Instant, RoomId)>) -> RoomId {
    match again {
        Some((at, room)) => {
            tokio::time::sleep_until(at.into()).await;
            room
        }
        None => std::future::pending().await,
    }
}

/// What the broker says by refusing (MQTT 3.1.1, 3.2.2.3), and what would be right.
fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not take the client id; give another with --id",
        ConnectReturnCode::BadUserNamePassword => "wrong user or password; give --username and --password-file",
        ConnectReturnCode::NotAuthorized => {
            "not authorized; give --username and --password-file of a user that it knows, and an --id that the user may \
             have: the user's name, or one that begins with it and a colon"
        }
        ConnectReturnCode::Success | ConnectReturnCode::ServiceUnavailable => "it is not available at present",
    }
}
