//! A store of which it is counted what it is asked, whether it answers, and how long that takes.

use super::status::Pulse;
use crate::store::{Due, Look, Spoken, Store, StoreError, Write, Written};
use protocol::{PeerId, RoomId};
use std::sync::Arc;
use tokio::time::Instant;

pub(super) struct Metered<S> {
    store: S,
    pulse: Arc<Pulse>,
}

impl<S> Metered<S> {
    pub(super) fn new(store: S, pulse: Arc<Pulse>) -> Self {
        Self { store, pulse }
    }

    #[expect(clippy::disallowed_methods, reason = "how long the store takes")]
    async fn count<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let begun = Instant::now();
        let answer = asked.await;
        self.pulse.asked(begun.elapsed(), answer.is_ok());
        answer
    }
}

impl<S: Store> Store for Metered<S> {
    async fn look(&self, room: &RoomId) -> Result<Look, StoreError> {
        self.count(self.store.look(room)).await
    }

    async fn write(&self, room: &RoomId, write: &Write) -> Result<Written, StoreError> {
        self.count(self.store.write(room, write)).await
    }

    async fn spoken(&self, room: &RoomId, upto: u64) -> Result<Spoken, StoreError> {
        self.count(self.store.spoken(room, upto)).await
    }

    async fn due(&self) -> Result<Due, StoreError> {
        self.count(self.store.due()).await
    }

    async fn rooms_of(&self, peer: &PeerId) -> Result<Vec<RoomId>, StoreError> {
        self.count(self.store.rooms_of(peer)).await
    }

    async fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        self.count(self.store.rooms()).await
    }
}
