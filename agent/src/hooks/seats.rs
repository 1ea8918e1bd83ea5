//! A door to whatever holds the rooms: who is in this one, and that somebody's connection has ended. Those who ask do
//! not wait for long, and whoever answers may take its time.

use protocol::{PeerId, RoomId};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait.
const WAITING: usize = 1024;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked of whoever holds the rooms.
#[derive(Debug)]
pub enum Ask {
    /// Who is in a room, present or away.
    Members {
        /// Which.
        room: RoomId,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<PeerId>>,
    },
    /// In how many rooms a peer is, present or away.
    SeatsOf {
        /// Whose.
        peer: PeerId,
        /// Where the answer goes.
        answer: oneshot::Sender<usize>,
    },
    /// An engine says that a connection has ended.
    Ended {
        /// Whose.
        peer: PeerId,
        /// Without a DISCONNECT.
        lost: bool,
    },
}

/// The side of those who ask.
#[derive(Debug, Clone)]
pub struct Seats(mpsc::Sender<Ask>);

/// Nobody who holds the rooms has answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rooms do not answer now; try again")]
pub struct NoAnswer;

impl Seats {
    /// Both sides of the door.
    pub fn door() -> (Self, mpsc::Receiver<Ask>) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), asked)
    }

    /// Who is in a room, present or away.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub async fn members(&self, room: RoomId) -> Result<Vec<PeerId>, NoAnswer> {
        self.ask(|answer| Ask::Members { room, answer }).await
    }

    /// In how many rooms a peer is, present or away.
    ///
    /// # Errors
    /// If nobody answers in time.
    pub async fn seats_of(&self, peer: PeerId) -> Result<usize, NoAnswer> {
        self.ask(|answer| Ask::SeatsOf { peer, answer }).await
    }

    /// Passes on that a connection has ended.
    ///
    /// # Errors
    /// If nobody takes it in time.
    pub async fn ended(&self, peer: PeerId, lost: bool) -> Result<(), NoAnswer> {
        let sent = tokio::time::timeout(PATIENCE, self.0.send(Ask::Ended { peer, lost })).await;
        sent.map_err(|_| NoAnswer)?.map_err(|_| NoAnswer)
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(question(answer)).await.map_err(|_| NoAnswer)?;
            answered.await.map_err(|_| NoAnswer)
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| NoAnswer)?
    }
}
