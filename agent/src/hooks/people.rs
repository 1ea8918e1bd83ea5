//! Who has been let in, for as long as an engine may ask about them: it tells who it was by client id and user name
//! alone, when the token that said what that client may is long out of its hands.
//!
//! Bounded: the one that nothing was asked about for the longest time goes first. It is then nobody, and has to connect
//! again.

use crate::access::Identity;
use lru::LruCache;
use protocol::{PeerId, Timestamp};
use std::num::NonZeroUsize;

/// How many are remembered: as many as the broker lets in.
pub const MAX: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// See the module.
#[derive(Debug)]
pub struct People(LruCache<PeerId, Known>);

#[derive(Debug)]
struct Known {
    identity: Identity,
    /// The user name that it came with, whatever that says of it.
    user: Option<Box<str>>,
    /// When it came.
    since: Timestamp,
}

impl People {
    /// Nobody; at most `max`.
    pub fn new(max: NonZeroUsize) -> Self {
        Self(LruCache::new(max))
    }

    /// Remembers somebody in the place of whoever had the client id before.
    pub fn remember(&mut self, identity: Identity, user: Option<&str>, now: Timestamp) {
        self.0.put(identity.id.clone(), Known { identity, user: user.map(Into::into), since: now });
    }

    /// When whoever has the client id came, if anybody has it.
    pub fn since(&self, id: &PeerId) -> Option<Timestamp> {
        self.0.peek(id).map(|known| known.since)
    }

    /// Who came with this client id and this user name, if its time is not over.
    pub fn recall(&mut self, id: &PeerId, user: Option<&str>, now: Timestamp) -> Option<Identity> {
        let known = self.0.get(id).filter(|known| known.user.as_deref() == user)?;
        if known.identity.expires().is_some_and(|end| end <= now) {
            self.0.pop(id);
            return None;
        }
        Some(known.identity.clone())
    }

    /// Whoever has the client id now, if its time is not over.
    pub fn holder(&self, id: &PeerId, now: Timestamp) -> Option<&Identity> {
        let known = self.0.peek(id)?;
        known.identity.expires().is_none_or(|end| end > now).then_some(&known.identity)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Grant, Principal, Role};
    use std::sync::Arc;

    fn who(id: &str, end: u64) -> Identity {
        let grant = Grant { principal: Principal::Token, rights: None, expires: Some(Timestamp::from_millis(end)) };
        Identity { id: PeerId::new(id).unwrap(), role: Role::Peer, grant: Some(Arc::new(grant)) }
    }

    #[test]
    fn one_is_known_by_id_and_user_until_its_time_is_over_or_others_need_the_place() {
        let mut people = People::new(NonZeroUsize::new(2).unwrap());
        let at = Timestamp::from_millis;
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|id| who(id, 1000));
        people.remember(alice.clone(), Some("token"), at(0));
        people.remember(bob.clone(), None, at(0));
        assert_eq!(people.recall(&alice.id, Some("token"), at(999)), Some(alice.clone()));
        assert_eq!(people.recall(&alice.id, None, at(999)), None, "another user name");
        people.remember(carol.clone(), None, at(7));
        assert_eq!(people.recall(&bob.id, None, at(0)), None, "asked about longest ago");
        assert_eq!(people.recall(&alice.id, Some("token"), at(1000)), None, "its time is over");
        assert_eq!((people.len(), people.holder(&carol.id, at(0))), (1, Some(&carol)));
        assert_eq!(people.since(&carol.id), Some(at(7)));
    }
}
