//! What all sessions share.

use crate::access::authenticate::Users;
use crate::access::authorize::Rules;
use crate::audit::{Audit, Refused};
use crate::backbone::Uplink;
use crate::switchboard::Switchboard;
use crate::switchboard::dispatch::Now;
use crate::sys::Counters;
use agent::rooms::Rooms;
use parking_lot::{Mutex, RwLock};
use protocol::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Bounds that hold for every session.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time from the connection's begin to its CONNECT.
    pub connect_timeout: Duration,
    /// Largest payload, in bytes.
    pub max_message: usize,
    /// Longest time that a session without a connection is kept.
    pub session_expiry: Duration,
}

impl Limits {
    /// Room for topic and properties beside the payload, so that a message which is only a little
    /// too large is answered with words and not with a closed connection.
    const BESIDE_PAYLOAD: usize = 16 * 1024;

    /// Largest packet, in bytes.
    pub fn max_packet(&self) -> u32 {
        u32::try_from(self.max_message + Self::BESIDE_PAYLOAD).unwrap_or(u32::MAX)
    }
}

/// See the module.
pub struct Hub {
    /// Who is who.
    pub users: Users,
    /// Who may do what.
    pub rules: Rules,
    /// Bounds for sessions.
    pub limits: Limits,
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
    pub fn new(users: Users, rules: Rules, limits: Limits, rooms: Rooms, uplink: Arc<Uplink>) -> Self {
        let rooms = Arc::new(RwLock::new(rooms));
        let counters = Arc::new(Counters::default());
        let audit = Arc::new(Audit::default());
        Self {
            users,
            rules,
            limits,
            switchboard: Mutex::new(Switchboard::new(rooms.clone(), counters.clone(), audit.clone())),
            rooms,
            uplink,
            counters,
            audit,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            sessions: AtomicUsize::new(0),
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
