//! The connection to the broker: kept, and made again when lost. Whoever says something on it learns when the
//! broker has it, or that it may not have it. It never waits for the rooms' side.

use super::status::Pulse;
use super::wire::{Message, NoConnection, Receipt, Seen, Sender, WINDOW, Wire};
use super::{BrokerUrl, ServiceError};
use crate::hooks::engine::sys;
use crate::store::Publication;
use crate::store::work::Unsaid;
use protocol::topic::{AGENT_INBOX, CONTROL_INBOX};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, error::TrySendError};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

/// Every retained room state. Heard only for a moment after connecting, to see what the broker shows.
const STATES: &str = "rooms/+";
/// The agents' group: a message goes to one of them (MQTT 5.0, 4.8.2).
const SHARE: &str = "$share/duet/";

/// Unacknowledged messages that a broker can have under way in MQTT 3.1.1: it has 65,535 packet identifiers.
const IDENTIFIERS: usize = 65_535;
/// Room for what was heard and is not handled yet: those, and some messages at QoS 0, which no window bounds and which
/// may be dropped.
pub(super) const HEARD: usize = IDENTIFIERS + WINDOW as usize;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A broker that comes back has everybody back in five seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What the rooms' side hears, in order.
#[derive(Debug)]
pub(super) enum News {
    /// The subscriptions are granted; what the broker shows of rooms comes next.
    Listening,
    /// A message, and on which connection.
    Said(Message, u64),
    /// The broker has forgotten the agent: what was said before this it may have heard of, what was
    /// said until now it has not, wills among it.
    Forgotten,
    /// The connection is lost.
    Lost,
}

/// What the rooms' side wants.
#[derive(Debug)]
pub(super) enum Order {
    Say(Vec<Publication>, oneshot::Sender<()>),
    Acknowledge(Receipt, u64),
    Show,
    Close,
}

/// The rooms' end of the line.
#[derive(Debug, Clone)]
pub(super) struct Handle(UnboundedSender<Order>);

impl Handle {
    /// A line's two ends for orders.
    pub(super) fn new() -> (Self, UnboundedReceiver<Order>) {
        let (orders, taken) = mpsc::unbounded_channel();
        (Self(orders), taken)
    }

    /// Ready when the broker has everything.
    pub(super) async fn say(&self, said: Vec<Publication>) -> Result<(), Unsaid> {
        let (done, is_done) = oneshot::channel();
        self.0.send(Order::Say(said, done)).map_err(|_| Unsaid)?;
        is_done.await.map_err(|_| Unsaid)
    }

    /// Acknowledges what was heard on the connection `number`, if that still stands.
    pub(super) fn acknowledge(&self, (receipt, number): (Receipt, u64)) {
        let _ = self.0.send(Order::Acknowledge(receipt, number));
    }

    /// Has the broker show once more what it keeps of rooms.
    pub(super) fn show(&self) {
        let _ = self.0.send(Order::Show);
    }

    /// Sends what waits and disconnects.
    pub(super) fn close(&self) {
        let _ = self.0.send(Order::Close);
    }
}

/// The connection's side of the service.
pub(super) struct Line<F> {
    wire: Wire,
    desk: Desk,
    broker: BrokerUrl,
    is_shared: bool,
    hears_presence: bool,
    news: mpsc::Sender<News>,
    orders: UnboundedReceiver<Order>,
    pulse: Arc<Pulse>,
    /// Called whenever the agent listens.
    connected: F,
}

/// What is on its way to the broker.
struct Desk {
    sender: Sender,
    listening: bool,
    /// Which connection this is.
    number: u64,
    /// What waits for room.
    waiting: VecDeque<Outgoing>,
    /// For each message that has no packet identifier yet, oldest first, what it is part of.
    nameless: VecDeque<u64>,
    /// For each packet identifier that is not acknowledged yet.
    named: HashMap<u16, u64>,
    /// How many messages of a saying are not acknowledged, and who waits for them.
    sayings: HashMap<u64, (usize, oneshot::Sender<()>)>,
    last_saying: u64,
}

enum Outgoing {
    Publication(u64, Publication),
    Acknowledgement(Receipt),
    Disconnect,
}

impl<F: Fn(&BrokerUrl)> Line<F> {
    pub(super) fn new(
        (sender, wire): (Sender, Wire),
        broker: BrokerUrl,
        hears_presence: bool,
        news: mpsc::Sender<News>,
        (pulse, connected): (Arc<Pulse>, F),
    ) -> (Handle, Self) {
        let (handle, orders) = Handle::new();
        let is_shared = matches!(wire, Wire::Five(_));
        let desk = Desk {
            sender,
            listening: false,
            number: 0,
            waiting: VecDeque::new(),
            nameless: VecDeque::new(),
            named: HashMap::new(),
            sayings: HashMap::new(),
            last_saying: 0,
        };
        (handle, Self { wire, desk, broker, is_shared, hears_presence, news, orders, pulse, connected })
    }

    /// Keeps the connection until the rooms' side has closed it.
    pub(super) async fn keep(mut self) -> Result<(), ServiceError> {
        let mut pause = FIRST_PAUSE;
        let mut was_in = false;
        loop {
            match self.converse().await {
                Ok(Seen::In { shares: false, .. }) if self.is_shared => {
                    return Err(ServiceError::Unshared { broker: self.broker.to_string() });
                }
                Ok(Seen::In { session_present, .. }) => {
                    if was_in && !session_present && !self.is_shared {
                        // A place is left for it; see `pass_on`.
                        let _ = self.news.try_send(News::Forgotten);
                    }
                    was_in = true;
                    self.desk.sender.subscribe(&self.filters());
                }
                Ok(Seen::Granted(_)) if self.desk.listening => self.desk.sender.unsubscribe(STATES),
                Ok(Seen::Granted(granted)) => {
                    self.check_granted(&granted)?;
                    // What is retained is on its way; what rooms become later is the agents' own doing.
                    self.desk.sender.unsubscribe(STATES);
                    pause = FIRST_PAUSE;
                    self.desk.listening = true;
                    self.pulse.connected(true);
                    info!(broker = %self.broker, "connected");
                    let _ = self.news.try_send(News::Listening);
                    (self.connected)(&self.broker);
                }
                Ok(Seen::Message(message)) => self.pass_on(message),
                Ok(Seen::Sent(id)) => self.desk.sent(id),
                Ok(Seen::Taken(id)) => self.desk.taken(id),
                Ok(Seen::Closed) => return Ok(()),
                Ok(Seen::Other) => {}
                Err(NoConnection { is_over: true, .. }) => return Ok(()),
                Err(NoConnection { why, refusal, .. }) => {
                    self.pulse.connected(false);
                    if let Some(why) = refusal.filter(|_| !was_in) {
                        return Err(ServiceError::Refused { broker: self.broker.to_string(), why });
                    }
                    let what = if self.desk.listening { "connection lost" } else { "no connection" };
                    warn!(broker = %self.broker, error = why, "{what}, trying again in {pause:?}");
                    if !self.lose(pause).await {
                        return Ok(());
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// What is seen next; takes orders meanwhile.
    async fn converse(&mut self) -> Result<Seen, NoConnection> {
        self.desk.hand_on();
        // Not dropped for the sake of an order: dialling would begin anew.
        let poll = self.wire.poll();
        tokio::pin!(poll);
        loop {
            tokio::select! {
                seen = &mut poll => return seen,
                order = self.orders.recv() => match order.unwrap_or(Order::Close) {
                    Order::Close if !self.desk.listening => return Ok(Seen::Closed),
                    order => {
                        self.desk.take(order);
                        self.desk.hand_on();
                    }
                }
            }
        }
    }

    /// Tells everybody that the connection is lost, and waits; whether another attempt is wanted.
    async fn lose(&mut self, pause: Duration) -> bool {
        if self.desk.lose() {
            let _ = self.news.try_send(News::Lost);
        }
        self.wire.clear();
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                order = self.orders.recv() => match order {
                    // Whoever wants something said is told that it is not, by the end of its channel.
                    Some(Order::Say(..) | Order::Acknowledge(..) | Order::Show) => {}
                    Some(Order::Close) | None => return false,
                },
            }
        }
    }

    fn filters(&self) -> Vec<String> {
        let share = if self.is_shared { SHARE } else { "" };
        let mut filters = vec![format!("{share}{AGENT_INBOX}"), format!("{share}{CONTROL_INBOX}")];
        if self.hears_presence {
            // Each agent by itself: engines differ in what they share of `$SYS`.
            filters.push(sys::DISCONNECTED.to_owned());
        }
        filters.push(STATES.to_owned());
        filters
    }

    fn check_granted(&self, granted: &[bool]) -> Result<(), ServiceError> {
        for (filter, is_granted) in self.filters().into_iter().zip(granted) {
            // Without seeing what is retained it can do its work nevertheless.
            if !is_granted && filter != STATES {
                return Err(ServiceError::Deaf { broker: self.broker.to_string(), filter });
            }
        }
        Ok(())
    }

    fn pass_on(&self, message: Message) {
        self.pulse.heard();
        if !message.must_arrive && self.news.capacity() <= IDENTIFIERS {
            warn!(topic = message.topic, "more comes in than can be answered: a message at QoS 0 is dropped");
            return;
        }
        // Full only with what was sent again after a reconnection while the first copy waits here.
        if self.news.capacity() <= 4 {
            return warn!(topic = message.topic, "a message that came twice is dropped");
        }
        if let Err(TrySendError::Closed(_)) = self.news.try_send(News::Said(message, self.desk.number)) {
            debug!("a message came after the end");
        }
    }
}

impl Desk {
    fn take(&mut self, order: Order) {
        match order {
            Order::Say(said, done) if said.is_empty() => drop(done.send(())),
            Order::Say(said, done) if self.listening => {
                self.last_saying += 1;
                self.sayings.insert(self.last_saying, (said.len(), done));
                let part = |publication| Outgoing::Publication(self.last_saying, publication);
                self.waiting.extend(said.into_iter().map(part));
            }
            // The end of its channel tells.
            Order::Say(..) => {}
            Order::Acknowledge(receipt, number) if number == self.number => {
                self.waiting.push_back(Outgoing::Acknowledgement(receipt));
            }
            Order::Acknowledge(..) => {}
            Order::Show if self.listening => self.sender.subscribe(&[STATES.to_owned()]),
            Order::Show => {}
            Order::Close => self.waiting.push_back(Outgoing::Disconnect),
        }
    }

    /// Hands on what there is room for.
    fn hand_on(&mut self) {
        while let Some(next) = self.waiting.front().filter(|_| self.listening) {
            let has_gone = match next {
                Outgoing::Publication(saying, publication) => {
                    let has_gone = self.sender.publish(publication);
                    self.nameless.extend(has_gone.then_some(*saying));
                    has_gone
                }
                Outgoing::Acknowledgement(receipt) => self.sender.acknowledge(receipt),
                Outgoing::Disconnect => self.sender.disconnect(),
            };
            if !has_gone {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn sent(&mut self, id: u16) {
        // A packet that waited for its identifier to become free is told of again.
        if !self.named.contains_key(&id)
            && let Some(saying) = self.nameless.pop_front()
        {
            self.named.insert(id, saying);
        }
    }

    fn taken(&mut self, id: u16) {
        let Some(saying) = self.named.remove(&id) else { return };
        let Some((left, _)) = self.sayings.get_mut(&saying) else { return };
        *left -= 1;
        if *left == 0
            && let Some((_, done)) = self.sayings.remove(&saying)
        {
            let _ = done.send(());
        }
    }

    /// The connection is lost, and nobody's message has arrived for certain; whether it stood.
    fn lose(&mut self) -> bool {
        self.number += 1;
        self.waiting.clear();
        self.nameless.clear();
        self.named.clear();
        self.sayings.clear();
        std::mem::take(&mut self.listening)
    }
}
