//! The broker's account of its messages, as operators read it.

use super::{Broker, PATIENCE};
use std::time::Instant;

/// What became of every message that the broker has accepted, of which each receiver's copy is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    pub accepted: u64,
    pub delivered: u64,
    pub refused: u64,
    pub dropped: u64,
    pub waiting: u64,
}

impl Broker {
    /// The account as it is now, which is right at every moment.
    pub fn ledger(&self) -> Ledger {
        // Where the page is at HTTPS, figures are in the clear at the port for administration only.
        let text = match self.doors.get("admin") {
            Some(&admin) => {
                Self::http_at(admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            }
            None => self.operator_get("/metrics"),
        };
        let figure = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
        };
        let ledger = Ledger {
            accepted: figure("duet_messages_accepted_total"),
            delivered: figure("duet_messages_delivered_total"),
            refused: figure("duet_messages_refused_total"),
            dropped: figure("duet_messages_dropped_total"),
            waiting: figure("duet_messages_waiting"),
        };
        let Ledger { accepted, delivered, refused, dropped, waiting } = ledger;
        assert_eq!(accepted, delivered + refused + dropped + waiting, "a message is lost: {ledger:?}");
        ledger
    }

    /// The account when nothing waits any more.
    pub fn settled(&self) -> Ledger {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ledger = self.ledger();
            if ledger.waiting == 0 {
                return ledger;
            }
            assert!(Instant::now() < deadline, "messages wait for ever: {ledger:?}");
        }
    }
}
