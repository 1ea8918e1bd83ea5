//! Agents that can be stopped anywhere, and the store that they share: each `await` of `agent::store::work` ends a step,
//! and the world says whose step is next, whether the store hears a request, and whether its answer arrives.

use super::history::History;
use agent::store::memory::Records;
use agent::store::turn::{Heard, Terms};
use agent::store::work::{Outside, Task, Unsaid, work};
use agent::store::{Due, Look, Publication, Spoken, Store, StoreError, Write, Written};
use fastrand::Rng;
use protocol::{PeerId, RoomId, Timestamp};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// Whether requests to the store and its answers get lost, and how many of them: one in so many.
    pub is_rough: bool,
    pub one_in: u32,
    /// Agents that do not reach the store.
    pub cut_off: BTreeSet<String>,
    writes: u64,
    pub lost_answers: u64,
    /// Requests that the store has answered.
    pub asked: u64,
}

pub type Shared = Rc<RefCell<Common>>;

impl Common {
    pub fn new(dice: Rng, now: u64) -> Self {
        let (records, history) = (Records::default(), History::default());
        let cut_off = BTreeSet::new();
        Self {
            dice,
            now,
            skew: 0,
            records,
            history,
            is_rough: true,
            one_in: 40,
            cut_off,
            writes: 0,
            lost_answers: 0,
            asked: 0,
        }
    }

    /// The store's time.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.skew))
    }

    fn is_lost(&mut self, asker: &str) -> bool {
        let is_lost = self.cut_off.contains(asker) || self.is_rough && self.dice.u32(0..self.one_in) == 0;
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
    waits: Cell<Wait>,
}

/// What the last step of an agent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A request is on its way to the store.
    Store,
    /// An answer is on its way from the store.
    Answer,
    /// What it has said is on its way to the broker, and then its acknowledgement.
    Broker,
    /// The store has not answered, and is not asked for a while.
    Trouble,
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
        let model = Model { me, common, line: RefCell::default(), waits: Cell::new(Wait::Store) };
        Self { model: Rc::new(model), began: None, rooms: BTreeMap::new(), tasks: Rc::default() }
    }

    /// Hears something about a room; whether it begins to work on that.
    pub fn hear(&mut self, room: &RoomId, heard: Heard, receipt: Option<u64>, terms: &Terms) -> bool {
        let task = Task { heard, receipt };
        self.tasks.borrow_mut().entry(room.clone()).or_default().push_back(task);
        let is_new = !self.rooms.contains_key(room);
        if is_new {
            self.begin(room, terms);
        }
        is_new
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
        self.go_on_in(&room, terms);
    }

    /// Goes on in this room; what it waits for then, or nothing, if nothing is left to be done there.
    pub fn go_on_in(&mut self, room: &RoomId, terms: &Terms) -> Option<Wait> {
        let doing = self.rooms.get_mut(room)?;
        if doing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.rooms.remove(room);
            if self.tasks.borrow().get(room).is_none_or(VecDeque::is_empty) {
                self.tasks.borrow_mut().remove(room);
                return None;
            }
            self.begin(room, terms);
            return Some(Wait::Answer);
        }
        Some(self.model.waits.get())
    }

    /// Rooms that it works on.
    pub fn at_work(&self) -> usize {
        self.rooms.len()
    }

    /// Asks what is due; whether the store has lost everything since it was asked last.
    pub fn sweep(&mut self, terms: &Terms) -> bool {
        let due = self.ask_due();
        for room in &due.rooms {
            self.hear(room, Heard::Due, None, terms);
        }
        self.began.replace(due.began).is_some_and(|before| before != due.began)
    }

    /// Asks what is due.
    pub fn ask_due(&mut self) -> Due {
        let mut common = self.model.common.borrow_mut();
        let now = common.time();
        common.records.due(now)
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
        self.waits_for(Wait::Store).await;
        if self.common.borrow_mut().is_lost(&self.me) {
            return Err(StoreError("the request is lost".into()));
        }
        let answer = {
            let mut common = self.common.borrow_mut();
            common.asked += 1;
            let now = common.time();
            does(&mut common, now)
        };
        self.waits_for(Wait::Answer).await;
        if self.common.borrow_mut().is_lost(&self.me) {
            return Err(StoreError("the answer is lost".into()));
        }
        Ok(answer)
    }

    /// Ends a step.
    async fn waits_for(&self, what: Wait) {
        self.waits.set(what);
        Step(false).await;
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
            self.waits_for(Wait::Broker).await;
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
        self.waits_for(Wait::Trouble).await;
    }

    fn due_in(&self, _: Duration) {}

    fn name(&self) -> String {
        let mut common = self.common.borrow_mut();
        common.writes += 1;
        format!("{}/{}", self.me, common.writes)
    }
}
