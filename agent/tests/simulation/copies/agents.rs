//! Agents that can be stopped anywhere, and the store that they share: each `await` of `agent::store::work` ends a step,
//! and the dice say whose step is next, whether the store hears a request, and whether its answer arrives.

use super::history::History;
use agent::store::memory::Records;
use agent::store::turn::{Heard, Terms};
use agent::store::work::{Outside, Task, Unsaid, work};
use agent::store::{Due, Look, Publication, Spoken, Store, StoreError, Write, Written};
use fastrand::Rng;
use protocol::{PeerId, RoomId, Timestamp};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What agents and the world have in common.
pub struct Common {
    pub dice: Rng,
    pub now: u64,
    /// What the store's clock is ahead of time.
    pub skew: i64,
    pub records: Records,
    pub history: History,
    /// Whether requests to the store and its answers get lost.
    pub is_rough: bool,
    writes: u64,
    pub lost_answers: u64,
}

pub type Shared = Rc<RefCell<Common>>;

impl Common {
    pub fn new(dice: Rng, now: u64) -> Self {
        let (records, history) = (Records::default(), History::default());
        Self { dice, now, skew: 0, records, history, is_rough: true, writes: 0, lost_answers: 0 }
    }

    /// The store's time.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.skew))
    }

    fn is_lost(&mut self) -> bool {
        let is_lost = self.is_rough && self.dice.u32(0..40) == 0;
        self.lost_answers += u64::from(is_lost);
        is_lost
    }
}

/// One run of an agent.
pub struct Agent {
    model: Rc<Model>,
    began: Option<u64>,
    rooms: BTreeMap<RoomId, Pin<Box<dyn Future<Output = ()>>>>,
    tasks: Rc<RefCell<BTreeMap<RoomId, VecDeque<Task<u64>>>>>,
}

/// The agent's side of store and broker.
struct Model {
    me: String,
    common: Shared,
    line: RefCell<Line>,
}

/// What goes to the broker.
#[derive(Default)]
struct Line {
    /// What the broker has not taken yet, with the number of its saying.
    outgoing: VecDeque<(u64, Publication)>,
    last: u64,
    /// What was acknowledged of what was heard.
    heard: Vec<u64>,
}

/// Ready at the second look: whoever awaits it may be stopped there.
struct Step(bool);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Agent {
    pub fn new(me: String, common: Shared) -> Self {
        let model = Model { me, common, line: RefCell::default() };
        Self { model: Rc::new(model), began: None, rooms: BTreeMap::new(), tasks: Rc::default() }
    }

    /// Hears something about a room.
    pub fn hear(&mut self, room: &RoomId, heard: Heard, receipt: Option<u64>, terms: &Terms) {
        let task = Task { heard, receipt };
        self.tasks.borrow_mut().entry(room.clone()).or_default().push_back(task);
        if !self.rooms.contains_key(room) {
            self.begin(room, terms);
        }
    }

    fn begin(&mut self, room: &RoomId, terms: &Terms) {
        let (model, tasks) = (self.model.clone(), self.tasks.clone());
        let (name, terms) = (room.clone(), terms.clone());
        let doing = async move {
            let next = || {
                let mut tasks = tasks.borrow_mut();
                tasks.get_mut(&name).map(|tasks| tasks.drain(..).collect()).unwrap_or_default()
            };
            work((&*model, &*model), &name, &terms, next).await;
        };
        self.rooms.insert(room.clone(), Box::pin(doing));
    }

    /// Goes on in one of its rooms, up to the next point at which it may be stopped.
    pub fn go_on(&mut self, dice: usize, terms: &Terms) {
        let Some(room) = self.rooms.keys().nth(dice % self.rooms.len().max(1)).cloned() else { return };
        let doing = self.rooms.get_mut(&room).unwrap();
        if doing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.rooms.remove(&room);
            if self.tasks.borrow().get(&room).is_some_and(|tasks| !tasks.is_empty()) {
                self.begin(&room, terms);
            }
        }
    }

    /// Asks what is due; whether the store has lost everything since it was asked last.
    pub fn sweep(&mut self, terms: &Terms) -> bool {
        let due = {
            let mut common = self.model.common.borrow_mut();
            let now = common.time();
            common.records.due(now)
        };
        due.rooms.iter().for_each(|room| self.hear(room, Heard::Due, None, terms));
        self.began.replace(due.began).is_some_and(|before| before != due.began)
    }

    /// What the broker takes next of what the agent says.
    pub fn says(&mut self) -> Option<Publication> {
        self.model.line.borrow_mut().outgoing.pop_front().map(|(_, publication)| publication)
    }

    /// What the agent has acknowledged.
    pub fn acknowledged(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.model.line.borrow_mut().heard)
    }

    /// The connection is lost with what the broker has not taken: whoever waits for it is told.
    pub fn cut(&mut self) {
        let mut line = self.model.line.borrow_mut();
        line.outgoing.clear();
        line.last += 1_000_000;
    }

    pub fn is_idle(&self) -> bool {
        self.rooms.is_empty() && self.model.line.borrow().outgoing.is_empty()
    }
}

impl Model {
    /// A request to the store; it is lost, or its answer is, or neither.
    async fn ask<T>(&self, does: impl FnOnce(&mut Common, Timestamp) -> T) -> Result<T, StoreError> {
        Step(false).await;
        if self.common.borrow_mut().is_lost() {
            return Err(StoreError("the request is lost".into()));
        }
        let answer = {
            let mut common = self.common.borrow_mut();
            let now = common.time();
            does(&mut common, now)
        };
        Step(false).await;
        if self.common.borrow_mut().is_lost() {
            return Err(StoreError("the answer is lost".into()));
        }
        Ok(answer)
    }
}

impl Store for Model {
    async fn look(&self, room: &RoomId) -> Result<Look, StoreError> {
        self.ask(|common, now| common.records.look(now, &self.me, room)).await
    }

    async fn write(&self, room: &RoomId, write: &Write) -> Result<Written, StoreError> {
        self.ask(|common, now| {
            let written = common.records.write(now, &self.me, room, write);
            if let Written::Done(_) = &written {
                common.history.written(room, write);
            }
            written
        })
        .await
    }

    async fn spoken(&self, room: &RoomId, upto: u64) -> Result<Spoken, StoreError> {
        self.ask(|common, now| common.records.spoken(now, &self.me, room, upto)).await
    }

    async fn due(&self) -> Result<Due, StoreError> {
        self.ask(|common, now| common.records.due(now)).await
    }

    async fn rooms_of(&self, peer: &PeerId) -> Result<Vec<RoomId>, StoreError> {
        let peer = peer.clone();
        self.ask(move |common, _| common.records.rooms_of(&peer)).await
    }

    async fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        self.ask(|common, _| common.records.rooms()).await
    }
}

impl Outside for Model {
    type Receipt = u64;

    async fn say(&self, said: Vec<Publication>) -> Result<(), Unsaid> {
        let number = {
            let mut line = self.line.borrow_mut();
            line.last += 1;
            let number = line.last;
            line.outgoing.extend(said.into_iter().map(|publication| (number, publication)));
            number
        };
        loop {
            Step(false).await;
            let line = self.line.borrow();
            if line.last >= number + 500_000 {
                return Err(Unsaid);
            }
            if line.outgoing.iter().all(|(of, _)| *of != number) {
                return Ok(());
            }
        }
    }

    fn heard(&self, receipt: u64) {
        self.line.borrow_mut().heard.push(receipt);
    }

    async fn trouble(&self, _: &StoreError) {
        Step(false).await;
    }

    fn due_in(&self, _: Duration) {}

    fn name(&self) -> String {
        let mut common = self.common.borrow_mut();
        common.writes += 1;
        format!("{}/{}", self.me, common.writes)
    }
}
