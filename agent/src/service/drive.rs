//! Brings together what is heard, the store and what is to be said: hands each room its tasks in order, lets many rooms
//! work at once, and looks for what is due. The only place of the agent that reads the clock.

use super::later::Later;
use super::line::{Handle, News};
use super::wire::{Message, Receipt};
use crate::hooks::engine::sys;
use crate::hooks::seats::Ask;
use crate::store::turn::{Heard, Terms};
use crate::store::work::{Outside, Task, Unsaid, work};
use crate::store::{Due, Publication, SPEAK, Store, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::{Control, PeerId, RoomId, Timestamp, Topic};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, trace, warn};

/// Rooms that are worked on at once; what is heard beyond that waits.
const ROOMS: usize = 1024;
/// Those of them that are worked on for nothing but what can wait.
const ROOMS_LATER: usize = 64;
/// Questions of hooks that are answered at once; more wait.
const QUESTIONS: usize = 1024;
/// Tasks of a room that make one turn.
const TURN: usize = 64;
/// How long the broker may say nothing more before it is taken to have shown what it keeps.
const SHOWING: Duration = Duration::from_secs(2);
/// Between two questions what is due: among many rooms one is due at every moment.
const PACE: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The rooms' side of the service.
pub(super) struct Drive<S> {
    agent: Rc<Agent<S>>,
    news: mpsc::Receiver<News>,
    /// What authorisation hooks ask of the rooms.
    asked: mpsc::Receiver<Ask>,
    /// Rooms that the broker shows, until it is known which it does not.
    shown: Option<HashSet<RoomId>>,
    /// When that is known.
    known_at: Option<Instant>,
    later: Later,
    listening: bool,
}

struct Agent<S> {
    store: S,
    terms: Terms,
    line: Handle,
    tasks: RefCell<HashMap<RoomId, Tasks>>,
    /// This run of this agent.
    run: String,
    writes: Cell<u64>,
    /// When it is to be asked next what is due.
    sweep: Cell<Instant>,
    /// How often in a row the store did not answer.
    troubles: Cell<u32>,
    /// When the store began, as it said last.
    began: Cell<Option<u64>>,
}

/// What is to be done in a room, with what it is acknowledged by, and on which connection.
type Tasks = VecDeque<Task<(Receipt, u64)>>;
type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

impl<S: Store + 'static> Drive<S> {
    pub(super) fn new(
        store: S,
        terms: Terms,
        line: Handle,
        news: mpsc::Receiver<News>,
        asked: mpsc::Receiver<Ask>,
        run: String,
    ) -> Self {
        let agent = Agent {
            store,
            terms,
            line,
            tasks: RefCell::default(),
            run,
            writes: Cell::new(0),
            sweep: Cell::new(instant()),
            troubles: Cell::new(0),
            began: Cell::new(None),
        };
        Self {
            agent: Rc::new(agent),
            news,
            asked,
            shown: None,
            known_at: None,
            later: Later::default(),
            listening: false,
        }
    }

    /// Drives the rooms until the connection's side ends.
    pub(super) async fn run(mut self) {
        let mut rooms = FuturesUnordered::<Doing<(RoomId, Urgency)>>::new();
        let mut asking = FuturesUnordered::<Doing<Asked>>::new();
        let mut answering = FuturesUnordered::<Doing<Vec<(RoomId, Heard)>>>::new();
        let mut working_later = 0;
        let mut is_asking = false;
        let mut paced = instant();
        loop {
            let sweep_at = self.agent.sweep.get().max(paced);
            let begin: Vec<RoomId> = tokio::select! {
                news = self.news.recv(), if rooms.len() < ROOMS && answering.len() < QUESTIONS => match news {
                    None => return,
                    Some(News::Listening) => {
                        self.listening = true;
                        self.shown = Some(HashSet::new());
                        self.known_at = Some(instant() + SHOWING);
                        self.agent.sweep.set(instant());
                        Vec::new()
                    }
                    Some(News::Lost) => {
                        (self.listening, self.shown, self.known_at) = (false, None, None);
                        self.later.lose();
                        Vec::new()
                    }
                    Some(News::Forgotten) => {
                        info!("the broker has forgotten the agent: all who are in a room are taken for lost");
                        asking.push(self.agent.clone().ask_rooms(Asked::Forgotten));
                        Vec::new()
                    }
                    Some(News::Said(message, number)) => match sys::read(&message.topic, &message.payload) {
                        None => self.take(message, number).into_iter().collect(),
                        Some(gone) => {
                            let ended = self.take_gone(gone, message, number);
                            answering.extend(ended.map(|ask| self.agent.clone().answer(ask)));
                            Vec::new()
                        }
                    },
                },
                Some((room, urgency)) = rooms.next() => {
                    working_later -= usize::from(urgency == Urgency::Later);
                    self.agent.finished(&room).into_iter().collect()
                }
                Some(asked) = asking.next() => match asked {
                    Asked::Due(due) => {
                        is_asking = false;
                        self.agent.notice(due.began);
                        due.rooms.into_iter().filter_map(|room| self.add(room, Heard::Due, None)).collect()
                    }
                    Asked::Shown(found) => {
                        // Where the connection is lost by now, the next shows everything anew.
                        if let Some(shown) = self.shown.take() {
                            let missing = found.into_iter().filter(|room| !shown.contains(room));
                            missing.for_each(|room| self.later.add(room, Heard::Show));
                        }
                        Vec::new()
                    }
                    Asked::Forgotten(found) => {
                        found.into_iter().for_each(|room| self.later.add(room, Heard::Forgotten));
                        Vec::new()
                    }
                },
                Some(ask) = self.asked.recv(), if answering.len() < QUESTIONS => {
                    answering.push(self.agent.clone().answer(ask));
                    Vec::new()
                }
                Some(follows) = answering.next() => {
                    follows.into_iter().filter_map(|(room, heard)| self.add(room, heard, None)).collect()
                }
                () = tokio::time::sleep_until(sweep_at), if self.listening && !is_asking => {
                    is_asking = true;
                    paced = instant() + PACE;
                    // What becomes due meanwhile sets it to sooner.
                    self.agent.sweep.set(instant() + SPEAK);
                    asking.push(self.agent.clone().ask_due());
                    Vec::new()
                }
                () = until(self.known_at), if self.known_at.is_some() => {
                    self.known_at = None;
                    asking.push(self.agent.clone().ask_rooms(Asked::Shown));
                    Vec::new()
                }
            };
            for room in begin {
                rooms.push(self.agent.clone().work(room, Urgency::Now));
            }
            while working_later < ROOMS_LATER
                && rooms.len() < ROOMS
                && let Some((room, waiting)) = self.later.next()
            {
                if let Some(room) = self.agent.add_all(&room, waiting) {
                    rooms.push(self.agent.clone().work(room, Urgency::Later));
                    working_later += 1;
                }
            }
        }
    }

    /// Gives a room something to do, after what waits for it; the room, if it had nothing to do before.
    fn add(&mut self, room: RoomId, heard: Heard, receipt: Option<(Receipt, u64)>) -> Option<RoomId> {
        let begin = self.agent.add_all(&room, self.later.take(&room));
        begin.or(self.agent.add(room, heard, receipt))
    }

    /// Gives the room of a message something to do; the room, if it had nothing to do before.
    fn take(&mut self, message: Message, number: u64) -> Option<RoomId> {
        let Message { topic, payload, retain, receipt, .. } = message;
        let receipt = (receipt, number);
        let why = match self.read(&topic, payload, retain) {
            // The broker sends no more than it may have unacknowledged: what peers say must not wait for this in its queue
            // either. An agent that is killed before it has followed is shown everything anew.
            Ok(Some((room, heard @ Heard::Shown(_)))) => {
                self.later.add(room, heard);
                None
            }
            Ok(Some((room, heard))) => return self.add(room, heard, Some(receipt)),
            Ok(None) => None,
            Err(why) => Some(why),
        };
        if let Some(why) = why {
            debug!(topic, why, "nothing follows from a message");
        }
        self.agent.line.acknowledge(receipt);
        None
    }

    /// What is to be done about somebody who has gone. Acknowledged before it is done: each agent hears it, and
    /// where all of them are killed meanwhile, the lease makes up for it.
    fn take_gone(&self, gone: Result<Option<sys::Gone>, String>, message: Message, number: u64) -> Option<Ask> {
        let Message { topic, retain, receipt, .. } = message;
        self.agent.line.acknowledge((receipt, number));
        match gone {
            Ok(gone) => gone.filter(|_| !retain).map(|sys::Gone { peer, lost }| Ask::Ended { peer, lost }),
            Err(why) => {
                debug!(topic, why, "nothing follows from a message");
                None
            }
        }
    }

    fn read(&mut self, topic: &str, payload: Vec<u8>, retain: bool) -> Result<Option<(RoomId, Heard)>, String> {
        let room = |room: &str| room.parse::<RoomId>().map_err(|error| error.to_string());
        match Topic::parse(topic).map_err(|error| error.to_string())? {
            // A broker that lets peers retain would have them join again at every start.
            Topic::ToAgent { .. } | Topic::Control { .. } if retain => {
                Err("what is said to the agent must not be retained".into())
            }
            Topic::ToAgent { room: name, from } => {
                let from = PeerId::new(from).map_err(|error| error.to_string())?;
                Ok(Some((room(name)?, Heard::Message { from, payload })))
            }
            Topic::Control { room: name } => match Control::decode(&payload) {
                Ok(order) => Ok(Some((room(name)?, Heard::Order(order)))),
                Err(error) => {
                    warn!(topic, %error, "an order is not followed");
                    Ok(None)
                }
            },
            // Perhaps of a room that is gone, or not the last that was said.
            Topic::State { room: name } if retain && !payload.is_empty() => {
                let name = room(name)?;
                if let (Some(shown), Some(known_at)) = (&mut self.shown, &mut self.known_at) {
                    shown.insert(name.clone());
                    *known_at = instant() + SHOWING;
                }
                Ok(Some((name, Heard::Shown(payload))))
            }
            Topic::State { .. } | Topic::FromAgent { .. } | Topic::Signal { .. } | Topic::Events { .. } => Ok(None),
        }
    }
}

/// Why a room is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// For something that somebody waits for.
    Now,
    /// For what can wait.
    Later,
}

/// What the store was asked about more than one room.
enum Asked {
    /// What is due.
    Due(Due),
    /// Which rooms there are; those that the broker does not show are shown to it.
    Shown(Vec<RoomId>),
    /// Which rooms there are, of which the broker has forgotten everything.
    Forgotten(Vec<RoomId>),
}

impl<S: Store + 'static> Agent<S> {
    /// Adds a task; the room, if nobody works on it.
    fn add(&self, room: RoomId, heard: Heard, receipt: Option<(Receipt, u64)>) -> Option<RoomId> {
        let mut tasks = self.tasks.borrow_mut();
        let is_new = !tasks.contains_key(&room);
        let begin = is_new.then(|| room.clone());
        tasks.entry(room).or_default().push_back(Task { heard, receipt });
        begin
    }

    /// Adds tasks that nobody is to be told of; the room, if nobody works on it.
    fn add_all(&self, room: &RoomId, heard: Vec<Heard>) -> Option<RoomId> {
        heard.into_iter().fold(None, |begin, heard| begin.or(self.add(room.clone(), heard, None)))
    }

    /// A room has nothing to do any more; the room, if it has by now.
    fn finished(&self, room: &RoomId) -> Option<RoomId> {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.get(room).is_some_and(|tasks| !tasks.is_empty()) {
            return Some(room.clone());
        }
        tasks.remove(room);
        None
    }

    fn work(self: Rc<Self>, room: RoomId, urgency: Urgency) -> Doing<(RoomId, Urgency)> {
        Box::pin(async move {
            let next = || {
                let mut tasks = self.tasks.borrow_mut();
                let Some(tasks) = tasks.get_mut(&room) else { return Vec::new() };
                let most = tasks.len().min(TURN);
                tasks.drain(..most).collect()
            };
            work((&self.store, &*self), &room, &self.terms, next).await;
            (room, urgency)
        })
    }

    fn ask_due(self: Rc<Self>) -> Doing<Asked> {
        Box::pin(async move {
            loop {
                match self.store.due().await {
                    Ok(due) => {
                        self.answered();
                        // Others may write what is due sooner: never longer than it takes to miss a dead agent.
                        let next = due.next.unwrap_or(SPEAK).min(SPEAK);
                        self.sweep.set(self.sweep.get().min(instant() + next));
                        return Asked::Due(due);
                    }
                    Err(error) => self.trouble(&error).await,
                }
            }
        })
    }

    fn ask_rooms(self: Rc<Self>, why: fn(Vec<RoomId>) -> Asked) -> Doing<Asked> {
        Box::pin(async move {
            loop {
                match self.store.rooms().await {
                    Ok(rooms) => return why(rooms),
                    Err(error) => self.trouble(&error).await,
                }
            }
        })
    }

    /// Answers what hooks ask; what is to be done in rooms then. Who asks is told nothing while the store does not answer.
    fn answer(self: Rc<Self>, ask: Ask) -> Doing<Vec<(RoomId, Heard)>> {
        Box::pin(async move {
            match ask {
                Ask::Members { room, answer } => match self.store.look(&room).await {
                    Ok(look) => {
                        let seats = look.kept.iter().flat_map(|kept| kept.room.seats());
                        let _ = answer.send(seats.map(|(_, seat)| seat.peer().clone()).collect());
                        // What another agent left unsaid is for the one that looked to say; its own is being said.
                        let is_anothers = !look.speak.is_empty() && !self.tasks.borrow().contains_key(&room);
                        if is_anothers { vec![(room, Heard::Due)] } else { Vec::new() }
                    }
                    Err(error) => unanswered(&error),
                },
                Ask::SeatsOf { peer, answer } => match self.store.rooms_of(&peer).await {
                    Ok(rooms) => {
                        let _ = answer.send(rooms.len());
                        Vec::new()
                    }
                    Err(error) => unanswered(&error),
                },
                Ask::Ended { peer, lost } => loop {
                    match self.store.rooms_of(&peer).await {
                        Ok(rooms) => {
                            let ended = |room| (room, Heard::Ended { peer: peer.clone(), lost });
                            break rooms.into_iter().map(ended).collect();
                        }
                        Err(error) => self.trouble(&error).await,
                    }
                },
            }
        })
    }

    /// A store that began later than it did has lost everything; what the broker shows of rooms is then gone, too.
    fn notice(&self, began: u64) {
        if self.began.replace(Some(began)).is_some_and(|before| before != began) {
            warn!(
                "the store has lost all rooms: peers join again when their lease wants it, or when they are connected anew"
            );
            self.line.show();
        }
    }

    fn answered(&self) {
        if self.troubles.replace(0) > 0 {
            info!("the store answers again");
        }
    }
}

impl<S> Outside for Agent<S> {
    type Receipt = (Receipt, u64);

    async fn say(&self, said: Vec<Publication>) -> Result<(), Unsaid> {
        for Publication { topic, payload, .. } in &said {
            trace!(topic, bytes = payload.len(), "publish");
        }
        self.line.say(said).await
    }

    fn heard(&self, receipt: Self::Receipt) {
        self.line.acknowledge(receipt);
    }

    async fn trouble(&self, error: &StoreError) {
        let before = self.troubles.get();
        self.troubles.set(before.saturating_add(1));
        if before == 0 {
            warn!(%error, "the store does not answer: what is said to the agent waits, trying again");
        }
        tokio::time::sleep((FIRST_PAUSE * 2_u32.saturating_pow(before.min(10))).min(LONGEST_PAUSE)).await;
    }

    fn due_in(&self, time: Duration) {
        self.sweep.set(self.sweep.get().min(instant() + time));
    }

    fn name(&self) -> String {
        self.writes.set(self.writes.get() + 1);
        format!("{}/{}", self.run, self.writes.get())
    }
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[expect(clippy::disallowed_methods, reason = "here the clock comes in")]
fn instant() -> Instant {
    Instant::now()
}

fn unanswered(error: &StoreError) -> Vec<(RoomId, Heard)> {
    debug!(%error, "a question of hooks is not answered");
    Vec::new()
}

/// Ready at `at`; never, if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
