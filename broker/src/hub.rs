//! What all sessions share.

use crate::audit::{Audit, Refused};
use crate::backbone::Uplink;
use crate::limits::Limits;
use crate::limits::door::Door;
use crate::limits::memory::Memory;
use crate::limits::pace::Clock;
use crate::limits::pool::Pool;
use crate::limits::throttle::Throttle;
use crate::switchboard::Switchboard;
use crate::switchboard::dispatch::Now;
use crate::sys::Counters;
use agent::access::authorize::Rules;
use agent::login::Login;
use agent::rooms::Rooms;
use parking_lot::{Mutex, RwLock};
use protocol::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

/// See the module.
pub struct Hub {
    /// Who is who.
    pub login: Arc<Login>,
    /// Who may do what.
    pub rules: Rules,
    /// How much anybody may ask.
    pub limits: Limits,
    /// Who is at the door and who is inside.
    pub door: Arc<Door>,
    /// How it stands with memory.
    pub memory: Memory,
    /// What waits for all clients together.
    pub pool: Arc<Pool>,
    /// Joins, by where they come from.
    pub joins: Mutex<Throttle>,
    /// The clock of all rates.
    pub clock: Clock,
    /// Who gets what.
    pub switchboard: Mutex<Switchboard>,
    /// The room agent's rooms; also the word on who may signal whom.
    pub rooms: Arc<RwLock<Rooms>>,
    /// Where messages go in.
    pub uplink: Arc<Uplink>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// What was refused.
    pub audit: Arc<Audit>,
    /// When the broker started.
    pub started: Instant,
    stopping: AtomicBool,
    sessions: AtomicUsize,
}

impl Hub {
    /// A hub without sessions.
    pub fn new(login: Arc<Login>, rules: Rules, limits: Limits, rooms: Rooms, uplink: Arc<Uplink>) -> Self {
        let rooms = Arc::new(RwLock::new(rooms));
        let counters = Arc::new(Counters::default());
        let audit = Arc::new(Audit::default());
        let memory = Memory::new(limits.max_memory);
        let pool = Pool::new(limits.max_waiting);
        let kept = (counters.clone(), audit.clone());
        Self {
            login,
            rules,
            door: Door::new(&limits),
            memory,
            joins: Mutex::new(Throttle::new(limits.joins)),
            clock: Clock::new(Instant::now()),
            switchboard: Mutex::new(Switchboard::new(rooms.clone(), &limits, &pool, kept)),
            rooms,
            uplink,
            counters,
            audit,
            limits,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            sessions: AtomicUsize::new(0),
            pool,
        }
    }

    /// Something was refused; see [`Audit::refused`].
    pub fn audit(&self, refused: Refused<'_>) {
        self.audit.refused(refused);
    }

    /// From now on nobody is let in.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::stop`] has been called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Sessions that have not ended.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn session_begins(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_ends(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The moment, on both clocks.
pub fn now() -> Now {
    Now { instant: Instant::now(), wall: Timestamp::from(SystemTime::now()) }
}
