//! A broker, listened to: the connection is kept, made again when lost, and everything that comes is stamped and
//! handed on without ever waiting for whoever takes it.
//!
//! MQTT 3.1.1, since every broker speaks it and nothing here needs more. Subscribed to with QoS 0: what a broker
//! may have under way unacknowledged would otherwise bound how much a far monitor sees in a second, and nobody
//! sends again what was lost with a connection.

#![allow(clippy::disallowed_methods, reason = "sources are where the time comes from")]

use super::agents::{self, AgentUrl, Said};
use super::clock::{Clock, Seconds};
use super::login::Login;
use super::queue::{Closed, Sender};
use super::{Notice, Request, SourceError};
use crate::wire::{Input, Link, Message};
use agent::service::BrokerUrl;
use protocol::topic::CONTROL_INBOX;
use protocol::{Timestamp, Topic};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, NetworkOptions, Outgoing, Packet, Publish, QoS,
    StateError, SubAck, SubscribeFilter, SubscribeReasonCode,
};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

/// What is asked for: the whole flow, the broker's figures, and what operators order. Without the first there is
/// nothing to see.
const FILTERS: [&str; 3] = ["rooms/#", "$SYS/#", CONTROL_INBOX];

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After a refusal, which somebody has to do something about; brokers count wrong logins.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// A connection that stood for less has not been a success, and the pauses go on growing.
const SETTLED: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// For the DISCONNECT at the end.
const FAREWELL: Duration = Duration::from_millis(300);
/// Subscriptions and orders that wait for the connection.
const REQUESTS: usize = 64;
/// What MQTT can say of a packet's length (MQTT 3.1.1, 2.2.3), and its fixed header. A smaller limit would not
/// refuse the message but the connection, again and again.
const MAX_PACKET: usize = 268_435_455 + 5;

/// Where to listen, and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub broker: BrokerUrl,
    /// The client identifier; see [`client_id`].
    pub client_id: String,
    /// User and password, if there are any.
    pub login: Option<Login>,
    /// Certificates to trust instead of the system's, as PEM; for `mqtts` and `wss`.
    pub ca_file: Option<PathBuf>,
    /// Agents to be asked how they are doing.
    pub agents: Vec<AgentUrl>,
}

/// A client identifier that no other monitor has: two with the same would throw each other out for ever.
#[must_use]
pub fn client_id() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("monitor-{:08x}", random >> 32)
}

/// Stamps what comes and tells the seconds between.
struct Feed {
    clock: Clock,
    seconds: Seconds,
    out: Sender,
}

impl Feed {
    fn give(&mut self, input: impl FnOnce(Timestamp) -> Input) -> Result<(), Closed> {
        let at = self.time()?;
        self.out.offer(input(at))
    }

    fn link(&mut self, link: Link) -> Result<(), Closed> {
        self.give(|at| Input::Link { at, link })
    }

    fn message(&mut self, publish: Publish) -> Result<(), Closed> {
        let Publish { topic, payload, qos, retain, .. } = publish;
        self.give(|at| Input::Message(Message { at, topic: topic.into(), payload, qos: qos as u8, retain }))
    }

    fn agent(&mut self, (url, said): Said) -> Result<(), Closed> {
        self.give(|at| Input::Agent { at, url: url.into(), said: Box::new(said) })
    }

    /// Tells the seconds that have passed; the time now.
    fn time(&mut self) -> Result<Timestamp, Closed> {
        let now = self.clock.now();
        for second in self.seconds.until(now) {
            self.out.offer(Input::Tick(second))?;
        }
        Ok(now)
    }
}

/// What becomes of an order is told here, in words.
type Told = mpsc::UnboundedSender<Notice>;

/// An order that the broker has not confirmed yet.
struct Ordered {
    words: String,
    /// Its packet identifier, once it went out.
    packet: Option<u16>,
}

struct Live {
    options: Options,
    client: AsyncClient,
    eventloop: EventLoop,
    feed: Feed,
    /// What agents say.
    said: mpsc::Receiver<Said>,
    ordered: VecDeque<Ordered>,
    told: Told,
    /// Since when the subscriptions are granted.
    listening: Option<Instant>,
    was_in: bool,
    pause: Duration,
}

/// Listens until nobody takes inputs or gives orders any more.
///
/// # Errors
/// What trying again does not mend: at the start a refused login, later nothing; at any time that the broker does
/// not let this user read.
pub(super) async fn listen(
    options: Options,
    mut requests: mpsc::Receiver<Request>,
    told: Told,
    out: Sender,
) -> Result<(), SourceError> {
    let mut mqtt = options.broker.mqtt_options(options.client_id.clone(), options.ca_file.as_deref())?;
    mqtt.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_max_packet_size(MAX_PACKET, MAX_PACKET);
    let (client, mut eventloop) = AsyncClient::new(mqtt, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    eventloop.set_network_options(network);
    let feed = Feed { clock: Clock::new(), seconds: Seconds::default(), out };
    let (_asking, said) = agents::ask(&options.agents);
    let mut live = Live {
        options,
        client,
        eventloop,
        feed,
        said,
        ordered: VecDeque::new(),
        told,
        listening: None,
        was_in: false,
        pause: FIRST_PAUSE,
    };
    match live.keep(&mut requests).await {
        Err(End::Closed) => Ok(()),
        Err(End::Failed(error)) => Err(error),
        Ok(()) => {
            live.take_leave().await;
            Ok(())
        }
    }
}

/// Why listening ended before it was asked to.
enum End {
    Closed,
    Failed(SourceError),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        End::Closed
    }
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        End::Failed(error)
    }
}

impl Live {
    async fn keep(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<(), End> {
        self.feed.link(Link::Connecting)?;
        loop {
            self.log_in()?;
            let until = Instant::now();
            let Some(why) = self.converse(requests).await? else { return Ok(()) };
            let settled = self.listening.take().is_some_and(|since| since.elapsed() > SETTLED);
            self.pause = if settled { FIRST_PAUSE } else { self.pause };
            for ordered in self.ordered.drain(..) {
                fault(&self.told, format!("{}: the connection was lost before the broker confirmed it", ordered.words));
            }
            warn!(broker = %self.options.broker, after = ?until.elapsed(), pause = ?self.pause, "{why:?}");
            let pause = if matches!(why, Link::Refused { .. }) { REFUSED_PAUSE } else { self.pause };
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            self.feed.link(why)?;
            if !self.rest(pause, requests).await? {
                return Ok(());
            }
        }
    }

    /// Reads the password, which may be another than the last time.
    fn log_in(&mut self) -> Result<(), End> {
        let Some(login) = &self.options.login else { return Ok(()) };
        match login.password() {
            Ok(password) => {
                self.eventloop.mqtt_options.set_credentials(login.username.clone(), password);
                Ok(())
            }
            Err(error) if !self.was_in => Err(SourceError::Password(error).into()),
            Err(error) => {
                warn!(%error, "the password as it was is tried again");
                Ok(())
            }
        }
    }

    /// One connection, from dialling to its end; why it ended, or `None` when nobody gives orders any more.
    async fn converse(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<Option<Link>, End> {
        loop {
            // Not dropped for the sake of a second or an order: dialling would begin anew.
            let mut poll = Box::pin(self.eventloop.poll());
            let event = loop {
                let wait = Seconds::wait(self.feed.clock.now());
                tokio::select! {
                    event = &mut poll => break event,
                    request = requests.recv() => match request {
                        Some(request) => {
                            self::request(&self.client, request, self.listening, &mut self.ordered, &self.told);
                        }
                        None => return Ok(None),
                    },
                    Some(said) = self.said.recv() => self.feed.agent(said)?,
                    () = tokio::time::sleep(wait) => { self.feed.time()?; }
                }
            };
            drop(poll);
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    self.was_in = true;
                    let filters = FILTERS.map(|filter| SubscribeFilter::new(filter.into(), QoS::AtMostOnce));
                    if let Err(error) = self.client.try_subscribe_many(filters) {
                        return Ok(Some(Link::Lost { why: error.to_string() }));
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(ack))) => self.granted(&ack)?,
                Ok(Event::Incoming(Packet::Publish(publish))) => self.feed.message(publish)?,
                Ok(Event::Outgoing(Outgoing::Publish(packet))) => {
                    if let Some(ordered) = self.ordered.iter_mut().find(|ordered| ordered.packet.is_none()) {
                        ordered.packet = Some(packet);
                    }
                }
                Ok(Event::Incoming(Packet::PubAck(ack))) => {
                    if let Some(at) = self.ordered.iter().position(|ordered| ordered.packet == Some(ack.pkid)) {
                        let words = self.ordered.remove(at).map(|ordered| ordered.words).unwrap_or_default();
                        let _ = self.told.send(Notice { text: format!("{words}: ordered"), fault: false });
                    }
                }
                Ok(event) => debug!(?event),
                Err(ConnectionError::ConnectionRefused(code)) => {
                    let why = refusal(code, self.options.login.as_ref());
                    if !self.was_in && code != ConnectReturnCode::ServiceUnavailable {
                        return Err(SourceError::Refused { broker: self.options.broker.to_string(), why }.into());
                    }
                    return Ok(Some(Link::Refused { why }));
                }
                Err(error) => return Ok(Some(Link::Lost { why: words(&error, &self.options.broker) })),
            }
        }
    }

    fn granted(&mut self, ack: &SubAck) -> Result<(), End> {
        let refused = |at: usize| ack.return_codes.get(at) == Some(&SubscribeReasonCode::Failure);
        if refused(0) {
            let how = how(self.options.login.as_ref());
            return Err(SourceError::Deaf { broker: self.options.broker.to_string(), filter: FILTERS[0], how }.into());
        }
        for (at, filter) in FILTERS.into_iter().enumerate().filter(|(at, _)| refused(*at)) {
            debug_assert!(at > 0);
            warn!(broker = %self.options.broker, filter, "the broker refuses this subscription; what it would show is missing");
        }
        // Not for what was subscribed to once more.
        if self.listening.is_none() {
            self.listening = Some(Instant::now());
            info!(broker = %self.options.broker, "connected");
            self.feed.link(Link::Connected)?;
        }
        Ok(())
    }

    /// Waits before the next attempt, time and orders going on; whether there is still somebody who gives orders.
    async fn rest(&mut self, pause: Duration, requests: &mut mpsc::Receiver<Request>) -> Result<bool, End> {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            let wait = Seconds::wait(self.feed.clock.now());
            tokio::select! {
                () = &mut over => return Ok(true),
                request = requests.recv() => match request {
                    Some(request) => self::request(&self.client, request, None, &mut self.ordered, &self.told),
                    None => return Ok(false),
                },
                Some(said) = self.said.recv() => self.feed.agent(said)?,
                () = tokio::time::sleep(wait) => { self.feed.time()?; }
            }
        }
    }

    async fn take_leave(&mut self) {
        if self.listening.is_none() || self.client.try_disconnect().is_err() {
            return;
        }
        let farewell = async {
            while !matches!(self.eventloop.poll().await, Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)) {}
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}

/// Passes on what was asked for, if there is a connection: an order that went out later would surprise.
fn request(
    client: &AsyncClient,
    request: Request,
    listening: Option<Instant>,
    ordered: &mut VecDeque<Ordered>,
    told: &Told,
) {
    let order = match request {
        Request::Order(order) => order,
        Request::States => {
            // Who subscribes again is sent what is retained again (MQTT-3.8.4-3).
            if listening.is_some()
                && let Err(error) = client.try_subscribe(FILTERS[0], QoS::AtMostOnce)
            {
                warn!(%error, "the retained states cannot be asked for again");
            }
            return;
        }
    };
    let words = order.to_string();
    if listening.is_none() {
        return fault(told, format!("{words}: not ordered, there is no connection to the broker"));
    }
    let topic = Topic::Control { room: &order.room }.to_string();
    let published = serde_json::to_vec(&order.control)
        .map_err(|error| error.to_string())
        .and_then(|order| client.try_publish(topic, QoS::AtLeastOnce, false, order).map_err(|error| error.to_string()));
    match published {
        Ok(()) => ordered.push_back(Ordered { words, packet: None }),
        Err(error) => fault(told, format!("{words}: not ordered, {error}")),
    }
}

fn fault(told: &Told, text: String) {
    let _ = told.send(Notice { text, fault: true });
}

fn how(login: Option<&Login>) -> String {
    login.map_or_else(|| "without a user".to_owned(), ToString::to_string)
}

/// What the broker says by refusing (MQTT 3.1.1, 3.2.2.3), as whom we came, and what would be right.
fn refusal(code: ConnectReturnCode, login: Option<&Login>) -> String {
    let how = how(login);
    let give = "give --username with --password-file, or --token-file with the broker's operator.token";
    match code {
        ConnectReturnCode::BadUserNamePassword => format!("wrong user or password ({how}); {give}"),
        ConnectReturnCode::NotAuthorized => format!("not authorized ({how}); {give}"),
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1".to_owned(),
        ConnectReturnCode::BadClientId => "it does not take the client id; give another with --client-id".to_owned(),
        ConnectReturnCode::ServiceUnavailable => "it has no room for us at present".to_owned(),
        ConnectReturnCode::Success => "it says yes and no".to_owned(),
    }
}

/// What is wrong with a connection.
fn words(error: &ConnectionError, broker: &BrokerUrl) -> String {
    match error {
        ConnectionError::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            format!("nobody listens at {broker}")
        }
        ConnectionError::NetworkTimeout => format!("{broker} does not answer"),
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker does not answer any more".to_owned(),
        ConnectionError::MqttState(StateError::ConnectionAborted | StateError::Io(_)) => {
            "the broker closed the connection".to_owned()
        }
        ConnectionError::Tls(error) => certificates(error.to_string()),
        ConnectionError::Io(error) => certificates(error.to_string()),
        other => certificates(other.to_string()),
    }
}

/// Names the flag that most often mends what TLS complains about.
fn certificates(error: String) -> String {
    if error.contains("UnknownIssuer") || error.contains("CaUsedAsEndEntity") {
        format!("{error}; name the certificate to trust with --ca-file")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::login::Password;
    use crate::source::{Order, queue};

    #[test]
    fn no_two_monitors_have_the_same_client_id() {
        let (one, two) = (client_id(), client_id());
        assert_ne!(one, two);
        assert_eq!(one.len(), "monitor-".len() + 8);
        assert!(protocol::PeerId::check(&one).is_ok(), "{one}");
    }

    #[test]
    fn a_refused_login_is_told_with_the_way_that_was_tried_and_what_would_be_right() {
        let token = Login { username: "operator".into(), password: Password::Token("state/operator.token".into()) };
        let said = refusal(ConnectReturnCode::BadUserNamePassword, Some(&token));
        assert!(said.starts_with("wrong user or password (as \"operator\" with the token in state/operator.token)"));
        assert!(said.contains("--password-file"), "{said}");
        assert!(refusal(ConnectReturnCode::NotAuthorized, None).contains("without a user"));
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_told_in_words_and_tried_again_until_nobody_asks() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let broker: BrokerUrl = format!("mqtt://127.0.0.1:{port}").parse().unwrap();
        let options = Options { broker, client_id: client_id(), login: None, ca_file: None, agents: Vec::new() };
        let (sender, mut inputs) = queue::bounded(1 << 20);
        let (requests, taken) = mpsc::channel(1);
        let (told, mut notices) = mpsc::unbounded_channel();
        let listens = tokio::spawn(listen(options, taken, told, sender));
        let mut lost = 0;
        while lost < 2 {
            let patience = Duration::from_secs(20);
            let input = tokio::time::timeout(patience, inputs.next()).await.expect("a word in time").unwrap();
            if let Input::Link { link: Link::Lost { why }, .. } = input {
                assert_eq!(why, format!("nobody listens at mqtt://127.0.0.1:{port}"));
                lost += 1;
            }
        }
        let order = Order { room: "lobby".into(), control: protocol::Control::Close };
        requests.send(Request::Order(order)).await.unwrap();
        let notice = notices.recv().await.unwrap();
        assert!(notice.fault && notice.text.contains("lobby") && notice.text.contains("no connection"), "{notice:?}");
        drop(requests);
        listens.await.unwrap().unwrap();
    }
}
