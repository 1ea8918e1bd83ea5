//! What waits for all clients together. A bound for each queue alone would be none for the process: a hundred thousand
//! of a megabyte are a hundred gigabytes. So each may hold as much as is free (the dynamic thresholds of Choudhury and
//! Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): while few wait, one that does not
//! read may hold much; the more they are, the less each gets, and something is always left for those who have nothing yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that there are for all queues.
#[derive(Debug)]
pub struct Pool {
    used: AtomicUsize,
    most: AtomicUsize,
}

impl Pool {
    /// With so many bytes.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most: AtomicUsize::new(most) })
    }

    /// From now on there are so many. What waits already, waits on.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Bytes that wait.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn free(&self) -> usize {
        self.most.load(Ordering::Relaxed).saturating_sub(self.used())
    }
}

/// What one queue has of it; given back when dropped.
#[derive(Debug)]
pub struct Share {
    own: usize,
    pool: Arc<Pool>,
}

impl Share {
    /// Nothing yet.
    pub fn of(pool: &Arc<Pool>) -> Self {
        Self { own: 0, pool: pool.clone() }
    }

    /// Bytes in it.
    pub fn bytes(&self) -> usize {
        self.own
    }

    /// Whether there is room for `more` bytes. A queue that is empty takes one message, whatever the others hold: who
    /// reads is not hurt by those who don't.
    pub fn has_room(&self, more: usize) -> bool {
        self.own == 0 || self.own + more <= self.pool.free()
    }

    /// So many more wait.
    pub fn add(&mut self, bytes: usize) {
        self.own += bytes;
        self.pool.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many do not wait any more.
    pub fn sub(&mut self, bytes: usize) {
        self.own -= bytes;
        self.pool.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.sub(self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a queue with messages of one byte.
    fn fill(share: &mut Share) -> usize {
        while share.has_room(1) {
            share.add(1);
        }
        share.bytes()
    }

    #[test]
    fn one_holds_half_many_hold_little_and_who_has_nothing_gets_something() {
        let pool = Pool::new(1000);
        let mut first = Share::of(&pool);
        assert_eq!(fill(&mut first), 500);
        let mut others: Vec<_> = (0..8).map(|_| Share::of(&pool)).collect();
        let held: Vec<_> = others.iter_mut().map(fill).collect();
        assert!(held.is_sorted_by(|one, next| one >= next) && held.iter().all(|held| *held > 0), "{held:?}");
        assert!(pool.used() <= 1000);
        drop(others);
        first.sub(500);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn without_any_left_an_empty_queue_takes_one_message_all_the_same() {
        let pool = Pool::new(0);
        let mut share = Share::of(&pool);
        assert!(share.has_room(64 * 1024));
        share.add(64 * 1024);
        assert!(!share.has_room(1));
    }
}
