//! The switchboard: who is connected, who subscribed to what, and who gets a message.
//!
//! A signal names its receiver in the topic, so it is delivered by one look-up of the client id.
//! Only operators hold wildcards over rooms, and they are few; other wildcards concern topics that
//! the configuration opens. The two kinds are kept apart, so that no filter of a peer, however
//! wide, is ever asked about a topic under `rooms/`, `control/` or `$`.

pub mod dispatch;
mod held;
mod owners;
mod retained;
pub mod shared;
mod subscribers;

use crate::audit::Audit;
use crate::frame::{Message, Qos};
use crate::limits::memory::Level;
use crate::limits::pool::{Pool, Share};
use crate::limits::{Bound, Limits};
use crate::session::outbox::{Delivery, Ending, Outbox, Put};
use crate::session::suspended::Suspended;
use crate::sys::Counters;
use agent::access::{Grant, Identity, Principal, Role, principal};
use agent::rooms::Rooms;
use ahash::HashMap;
use held::Held;
use owners::Owners;
use parking_lot::RwLock;
use protocol::{PeerId, Topic, filter, topic};
use retained::Retained;
use shared::Shared;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use subscribers::Subscribers;

/// The room in whose name a client is told of an error that is about no room.
pub const NO_ROOM: &str = "-";

/// For whom more bytes wait than these does not read, or too slowly for a time in which memory is short.
const SLOW: usize = 64 * 1024;

/// What is bounded here.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// What waits for a client that is connected.
    queue: Bound,
    /// What waits for one that is not.
    session_queue: Bound,
    rooms: usize,
    rooms_per_peer: usize,
}

/// One subscription of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Its filter.
    pub filter: Box<str>,
    /// Granted maximum.
    pub qos: Qos,
    /// Not what the client itself publishes (MQTT-3.8.3-3).
    pub no_local: bool,
    /// Whether the retain flag goes on as published (MQTT-3.3.1-12).
    pub retain_as_published: bool,
    /// Subscription identifier.
    pub id: Option<u32>,
    /// It is the whole inbox of the client that has it, as nearly all are, and nothing in there need be compared.
    pub is_inbox: bool,
}

struct Client {
    role: Role,
    grant: Option<Arc<Grant>>,
    line: Line,
    /// Its session leaves a will if it is lost.
    has_will: bool,
    subscriptions: Vec<Subscription>,
}

enum Line {
    Connected(Arc<Outbox>),
    Disconnected(Box<Persistent>),
}

/// A session without a connection (MQTT 4.1).
struct Persistent {
    queue: VecDeque<Delivery>,
    share: Share,
    expires: Instant,
    suspended: Suspended,
}

/// How a client is received.
pub enum Welcome {
    /// It has its place.
    In {
        /// What was kept of its earlier session, if it wants to go on with it.
        resumed: Option<Suspended>,
    },
    /// Another connection has the client id; it has been told to end.
    Occupied(Arc<Outbox>),
    /// Somebody else had the client id until now; whether it is free is clear when the agent has
    /// heard of it, which takes a moment.
    Ending,
    /// Somebody else has the client id: a connection, a session that waits, or a seat.
    Anothers,
}

/// See the module.
pub struct Switchboard {
    clients: HashMap<PeerId, Client>,
    /// Subscriptions of operators; asked for every topic.
    operators: Subscribers,
    /// Those that programs of operators share; asked for every topic.
    shared: Shared,
    /// Subscriptions of peers to opened topics; never asked for reserved topics.
    opened: Subscribers,
    retained: Retained,
    held: Held,
    owners: Owners,
    /// When which session without a connection ends.
    expiries: BTreeSet<(Instant, PeerId)>,
    wills: HashMap<PeerId, (Instant, Message)>,
    /// Rooms of which operators have not seen the latest count of messages.
    stale: HashSet<Box<str>>,
    bounds: Bounds,
    pool: Arc<Pool>,
    rooms: Arc<RwLock<Rooms>>,
    counters: Arc<Counters>,
    audit: Arc<Audit>,
}

impl Switchboard {
    /// Nobody is connected.
    pub fn new(
        rooms: Arc<RwLock<Rooms>>,
        limits: &Limits,
        pool: &Arc<Pool>,
        (counters, audit): (Arc<Counters>, Arc<Audit>),
    ) -> Self {
        Self {
            clients: HashMap::default(),
            operators: Subscribers::default(),
            shared: Shared::default(),
            opened: Subscribers::default(),
            retained: Retained::new(limits.retained),
            held: Held::new(pool),
            owners: Owners::default(),
            expiries: BTreeSet::new(),
            wills: HashMap::default(),
            stale: HashSet::new(),
            bounds: Bounds {
                queue: limits.queue,
                session_queue: limits.session_queue,
                rooms: limits.max_rooms,
                rooms_per_peer: limits.max_rooms_per_peer,
            },
            pool: pool.clone(),
            rooms,
            counters,
            audit,
        }
    }

    /// Receives a client. `clean` forgets what an earlier session of it left.
    pub fn connect(
        &mut self,
        who: &Identity,
        outbox: &Arc<Outbox>,
        clean: bool,
        has_will: bool,
        now: Instant,
    ) -> Welcome {
        let is_anothers = match self.clients.get(&who.id) {
            Some(client) => client.principal() != who.principal(),
            None => self.owners.has_other(&who.id, who.role, who.grant.as_ref()),
        };
        if is_anothers {
            let is_ending = !self.clients.contains_key(&who.id) && self.owners.is_ending(who.id.as_str());
            return if is_ending { Welcome::Ending } else { Welcome::Anothers };
        }
        if let Some(Client { line: Line::Connected(other), .. }) = self.clients.get(&who.id) {
            other.end(Ending::TakenOver);
            return Welcome::Occupied(other.clone());
        }
        if clean {
            // The earlier session ends now, and its will is due (MQTT-3.1.3-9).
            if let Some((due, _)) = self.wills.get_mut(&who.id) {
                *due = now;
            }
        } else {
            self.wills.remove(&who.id);
        }
        let earlier = self.clients.remove(&who.id);
        if let Some(Client { line: Line::Disconnected(session), .. }) = &earlier {
            self.expiries.remove(&(session.expires, who.id.clone()));
        }
        let earlier = match earlier {
            Some(Client { line: Line::Disconnected(session), subscriptions, role, .. })
                if !clean && role == who.role && session.expires > now =>
            {
                Some((session, subscriptions))
            }
            Some(client) => {
                self.forget_subscriptions(&who.id, &client);
                self.counters.dropped.add(client.waiting());
                None
            }
            None => None,
        };
        let (resumed, subscriptions) = match earlier {
            Some((session, subscriptions)) => {
                for delivery in session.queue {
                    self.count(outbox.put(delivery, self.bounds.queue));
                }
                (Some(session.suspended), subscriptions)
            }
            None => (None, Vec::new()),
        };
        let line = Line::Connected(outbox.clone());
        let client = Client { role: who.role, grant: who.grant.clone(), line, has_will, subscriptions };
        self.clients.insert(who.id.clone(), client);
        self.owners.forget(&who.id);
        Welcome::In { resumed }
    }

    /// A client's connection has ended. With `keep`, its session waits for it until then; without, signals
    /// that it was not sent or has not acknowledged (`unacknowledged`) are kept for its seats, if it has any.
    pub fn disconnect(
        &mut self,
        id: &PeerId,
        outbox: &Arc<Outbox>,
        keep: Option<(Suspended, Instant)>,
        unacknowledged: impl IntoIterator<Item = Message>,
    ) {
        let own = |client: &Client| matches!(&client.line, Line::Connected(other) if Arc::ptr_eq(other, outbox));
        if self.clients.get(id).is_some_and(own) {
            if let Some(client) = self.clients.get(id) {
                self.owners.ends(id, client.role, client.grant.clone());
            }
            match keep {
                Some((suspended, expires)) => {
                    if let Some(client) = self.clients.get_mut(id) {
                        let mut queue = outbox.drain();
                        let all = queue.len();
                        queue.retain(|delivery| delivery.qos > Qos::AtMostOnce);
                        let Bound { number, bytes: most } = self.bounds.session_queue;
                        let mut bytes = 0;
                        let fits = queue.iter().take(number).take_while(|delivery| {
                            bytes += delivery.message.size();
                            bytes <= most
                        });
                        let fitting = fits.count();
                        self.counters.dropped.add((all - fitting) as u64);
                        queue.truncate(fitting);
                        let mut share = Share::of(&self.pool);
                        share.add(queue.iter().map(|delivery| delivery.message.size()).sum());
                        self.expiries.insert((expires, id.clone()));
                        let session = Persistent { queue, share, expires, suspended };
                        client.line = Line::Disconnected(Box::new(session));
                    }
                }
                None => {
                    // Each is a message anew: it was delivered once, as far as anybody knows.
                    let unacknowledged = unacknowledged.into_iter().inspect(|_| self.counters.accepted.add(1));
                    let unsent = outbox.drain().into_iter().map(|delivery| delivery.message);
                    for message in unacknowledged.collect::<Vec<_>>().into_iter().chain(unsent) {
                        self.strand(id, message);
                    }
                    self.remove(id);
                }
            }
        }
        // Whoever was not its client any more has been handed nothing; but what is left is counted.
        self.counters.dropped.add(outbox.drain().len() as u64);
        outbox.release();
    }

    /// Ends the sessions of those whose grant is no longer good, with and without a connection.
    pub fn end_those(&mut self, is_good: impl Fn(Option<&Arc<Grant>>) -> bool) -> usize {
        let ended: Vec<PeerId> = self
            .clients
            .iter()
            .filter(|(_, client)| !is_good(client.grant.as_ref()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &ended {
            match self.clients.get(id).map(|client| &client.line) {
                Some(Line::Connected(outbox)) => outbox.end(Ending::NotAuthorized),
                Some(Line::Disconnected(session)) => {
                    self.expiries.remove(&(session.expires, id.clone()));
                    self.remove(id);
                    self.forget_owner(id);
                }
                None => {}
            }
        }
        ended.len()
    }

    /// Makes room, memory being short: of the sessions without a connection go those that would end soonest, an eighth
    /// of them; and at the worst, of those who do not read what waits for them, the ones for whom most waits, until half
    /// of it is gone. How many went of each.
    pub fn shed(&mut self, level: Level) -> (usize, usize) {
        if level == Level::Ample {
            return (0, 0);
        }
        let sessions = self.expiries.len().div_ceil(8);
        for _ in 0..sessions {
            let Some((_, id)) = self.expiries.pop_first() else { break };
            self.remove(&id);
            self.forget_owner(&id);
        }
        if level < Level::Critical {
            return (sessions, 0);
        }
        let outbox = |client: &Client| match &client.line {
            Line::Connected(outbox) => Some((outbox.bytes(), outbox.clone())),
            Line::Disconnected(_) => None,
        };
        let mut slow: Vec<_> = self.clients.values().filter_map(outbox).filter(|(bytes, _)| *bytes > SLOW).collect();
        slow.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let half = slow.iter().map(|(bytes, _)| *bytes).sum::<usize>() / 2;
        let (mut freed, mut ended) = (0, 0);
        for (bytes, outbox) in slow {
            if freed > half {
                break;
            }
            outbox.end(Ending::TooSlow);
            (freed, ended) = (freed + bytes, ended + 1);
        }
        (sessions, ended)
    }

    /// A session has ended for good. Its owner is remembered; see [`Owners`].
    fn remove(&mut self, id: &PeerId) {
        let Some(client) = self.clients.remove(id) else { return };
        self.counters.dropped.add(client.waiting());
        self.forget_subscriptions(id, &client);
        self.owners.expired(id, client.role, client.grant);
    }

    fn forget_subscriptions(&mut self, id: &PeerId, client: &Client) {
        for subscription in &client.subscriptions {
            self.displace(id, client.role, &subscription.filter);
        }
    }

    /// Puts a subscription where topics find it.
    fn place(&mut self, id: &PeerId, role: Role, subscription: Subscription) {
        if subscription.filter.starts_with(filter::SHARED) {
            self.shared.insert(id, subscription);
        } else if let Some(tree) = self.tree(role, &subscription.filter) {
            tree.insert(id, subscription);
        }
    }

    fn displace(&mut self, id: &PeerId, role: Role, filter: &str) {
        if filter.starts_with(filter::SHARED) {
            self.shared.remove(id, filter);
        } else if let Some(tree) = self.tree(role, filter) {
            tree.remove(id, filter);
        }
    }

    /// Whether somebody reads along what rooms say: an operator.
    fn is_watched(&self) -> bool {
        !self.operators.is_empty() || !self.shared.is_empty()
    }

    /// The tree in which a filter is kept; none for a peer's own inbox.
    fn tree(&mut self, role: Role, filter: &str) -> Option<&mut Subscribers> {
        match role {
            Role::Operator => Some(&mut self.operators),
            Role::Peer if !topic::is_reserved(filter) => Some(&mut self.opened),
            Role::Peer => None,
        }
    }

    /// Adds a subscription that access has granted; `true` if the client did not have it before.
    pub fn subscribe(&mut self, id: &PeerId, subscription: Subscription) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let role = client.role;
        let old = client.subscriptions.iter_mut().find(|old| old.filter == subscription.filter);
        let is_new = old.is_none();
        match old {
            Some(old) => *old = subscription.clone(),
            None => {
                client.subscriptions.reserve_exact(1); // mostly there is no other
                client.subscriptions.push(subscription.clone());
            }
        }
        self.place(id, role, subscription);
        is_new
    }

    /// Whether a client has a subscription that `topic` answers.
    pub fn listens(&self, id: &PeerId, topic: &str) -> bool {
        let listens = |client: &Client| client.subscriptions.iter().any(|own| filter::matches(&own.filter, topic));
        self.clients.get(id).is_some_and(listens)
    }

    /// How many subscriptions a client has.
    pub fn subscriptions_of(&self, id: &PeerId) -> usize {
        self.clients.get(id).map_or(0, |client| client.subscriptions.len())
    }

    /// Takes a subscription away; `false` if the client did not have it.
    pub fn unsubscribe(&mut self, id: &PeerId, filter: &str) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let Some(at) = client.subscriptions.iter().position(|s| &*s.filter == filter) else { return false };
        client.subscriptions.swap_remove(at);
        client.subscriptions.shrink_to_fit();
        let role = client.role;
        self.displace(id, role, filter);
        true
    }

    /// Queues what a new subscription is to be sent of what is retained (MQTT-3.3.1-9).
    pub fn send_retained(&mut self, id: &PeerId, subscription: &Subscription, now: Instant) {
        let Some(Client { line: Line::Connected(outbox), role, .. }) = self.clients.get(id) else { return };
        let deliver = |message: &Message, received: Instant| {
            let delivery = Delivery {
                qos: message.qos.min(subscription.qos),
                message: message.clone(),
                retain: true,
                subscriptions: subscription.id.into_iter().collect(),
                received,
            };
            self.counters.accepted.add(1);
            self.count(outbox.put(delivery, self.bounds.queue));
        };
        for (message, received) in self.retained.matching(&subscription.filter, now) {
            deliver(message, *received);
        }
        if *role == Role::Operator {
            for state in self.rooms.read().states() {
                let topic = Topic::State { room: state.room.as_str() }.to_string();
                if filter::matches(&subscription.filter, &topic) {
                    deliver(&Message::own(topic, dispatch::json(&state), Qos::AtLeastOnce), now);
                }
            }
        }
    }

    /// Keeps a will until its delay has passed (MQTT-3.1.3-9).
    pub fn delay_will(&mut self, id: &PeerId, will: Message, due: Instant) {
        self.wills.insert(id.clone(), (due, will));
    }

    /// Asks every connected client to end, after what is queued for it; or only those whose
    /// sessions leave wills.
    pub fn end_all(&self, ending: Ending, only_with_will: bool) {
        for client in self.clients.values().filter(|client| client.has_will || !only_with_will) {
            if let Line::Connected(outbox) = &client.line {
                outbox.end(ending);
            }
        }
    }

    /// Whether a connected client leaves a will.
    pub fn has_wills(&self) -> bool {
        self.clients.values().any(|client| client.has_will && matches!(client.line, Line::Connected(_)))
    }

    /// What there is to count, for `$SYS`.
    pub fn census(&self) -> Census {
        let connected = self.clients.values().filter(|c| matches!(c.line, Line::Connected(_))).count();
        Census {
            connected,
            disconnected: self.clients.len() - connected,
            subscriptions: self.clients.values().map(|c| c.subscriptions.len()).sum(),
            retained: self.retained.len(),
            retained_bytes: self.retained.bytes(),
            rooms: self.rooms.read().len(),
            waiting: self.held.waiting() as u64 + self.clients.values().map(Client::waiting).sum::<u64>(),
        }
    }

    fn count(&self, put: Put) {
        if put == Put::Dropped {
            self.counters.dropped.add(1);
        }
    }
}

impl Client {
    /// How many messages wait for it.
    fn waiting(&self) -> u64 {
        match &self.line {
            Line::Connected(outbox) => outbox.waiting() as u64,
            Line::Disconnected(session) => session.queue.len() as u64,
        }
    }

    fn principal(&self) -> &Principal {
        principal(self.role, self.grant.as_ref())
    }
}

/// What there is to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Clients with a connection.
    pub connected: usize,
    /// Persistent sessions without one.
    pub disconnected: usize,
    /// Subscriptions of all clients.
    pub subscriptions: usize,
    /// Retained messages.
    pub retained: usize,
    /// Bytes that they hold.
    pub retained_bytes: usize,
    /// Rooms with a member in them.
    pub rooms: usize,
    /// Messages that wait for a client, connected or not, or for a member that is away.
    pub waiting: u64,
}

#[cfg(test)]
mod tests;
