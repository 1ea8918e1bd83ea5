//! Whose client ids are that have no session, but may still have something: a seat that is away, or
//! words that are on their way to one. While it is so, nobody else gets the id.

use agent::access::{Grant, Role, principal};
use protocol::PeerId;
use std::collections::HashMap;
use std::sync::Arc;

/// The owners of client ids whose connections have ended.
#[derive(Debug, Default)]
pub struct Owners(HashMap<PeerId, Owner>);

#[derive(Debug)]
struct Owner {
    role: Role,
    grant: Option<Arc<Grant>>,
    /// Connections whose end the agent has not heard of. What they said before comes before that.
    under_way: u32,
}

impl Owners {
    /// A connection has ended, and the notice of it is on its way to the agent.
    pub fn ends(&mut self, id: &PeerId, role: Role, grant: Option<Arc<Grant>>) {
        let under_way = self.0.get(id).map_or(0, |owner| owner.under_way).saturating_add(1);
        self.0.insert(id.clone(), Owner { role, grant, under_way });
    }

    /// The notice has arrived.
    pub fn ended(&mut self, id: &PeerId) {
        if let Some(owner) = self.0.get_mut(id) {
            owner.under_way = owner.under_way.saturating_sub(1);
        }
    }

    /// A session without a connection has run out.
    pub fn expired(&mut self, id: &PeerId, role: Role, grant: Option<Arc<Grant>>) {
        self.0.entry(id.clone()).or_insert(Owner { role, grant, under_way: 0 });
    }

    /// Nothing of the client is left, or a session of it says whose it is; unless a notice is on its way.
    pub fn forget(&mut self, id: &PeerId) {
        if self.0.get(id).is_none_or(|owner| owner.under_way > 0) {
            return;
        }
        self.0.remove(id);
        if self.0.capacity() > 64 && self.0.len() * 4 < self.0.capacity() {
            self.0.shrink_to(self.0.len() * 2); // after a storm of ends
        }
    }

    /// Whether a notice of the client's end is on its way.
    pub fn is_ending(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|owner| owner.under_way > 0)
    }

    /// Whether the id is another's than of whoever has this role and grant.
    pub fn has_other(&self, id: &PeerId, role: Role, grant: Option<&Arc<Grant>>) -> bool {
        let owner = self.0.get(id);
        owner.is_some_and(|owner| principal(owner.role, owner.grant.as_ref()) != principal(role, grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_owners_until_the_agent_has_heard_of_every_end() {
        let (mut owners, alice) = (Owners::default(), PeerId::new("alice").unwrap());
        let others = |owners: &Owners| owners.has_other(&alice, Role::Operator, None);
        assert!(!others(&owners));
        owners.ends(&alice, Role::Peer, None);
        assert!(others(&owners) && !owners.has_other(&alice, Role::Peer, None));
        owners.ends(&alice, Role::Peer, None);
        owners.ended(&alice);
        owners.forget(&alice);
        assert!(others(&owners), "the second notice is on its way, and may have a join before it");
        owners.ended(&alice);
        assert!(others(&owners), "it may have a seat");
        owners.forget(&alice);
        assert!(!others(&owners) && owners.0.is_empty());
        owners.ended(&alice);
        owners.expired(&alice, Role::Peer, None);
        assert!(others(&owners));
        owners.forget(&alice);
        assert!(owners.0.is_empty());
    }

    #[test]
    fn a_storm_leaves_nothing() {
        let mut owners = Owners::default();
        let ids: Vec<PeerId> = (0..10_000).map(|n| PeerId::new(&format!("peer-{n}")).unwrap()).collect();
        ids.iter().for_each(|id| owners.ends(id, Role::Peer, None));
        for id in &ids {
            owners.ended(id);
            owners.forget(id);
        }
        assert!(owners.0.is_empty() && owners.0.capacity() < 256, "{}", owners.0.capacity());
    }
}
