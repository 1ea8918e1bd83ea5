//! Shared subscriptions (MQTT 5.0, 4.8.2): the members of a group share what matches its filter, each message goes
//! to one of them. Operators' programs have them, which are few: groups are asked one by one.

use super::Subscription;
use protocol::{PeerId, filter};
use std::collections::VecDeque;

/// All groups.
#[derive(Debug, Default)]
pub struct Shared(Vec<Group>);

#[derive(Debug)]
struct Group {
    /// Group and filter, as subscribed to.
    wanted: Box<str>,
    /// Whose turn it is comes first.
    members: VecDeque<(PeerId, Subscription)>,
}

impl Group {
    fn filter(&self) -> &str {
        filter::shared(&self.wanted).map_or("", |(_, filter)| filter)
    }
}

impl Shared {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a client to a group, in place of its own earlier subscription.
    pub fn insert(&mut self, client: &PeerId, subscription: Subscription) {
        let at = self.0.iter().position(|group| group.wanted == subscription.filter).unwrap_or_else(|| {
            self.0.push(Group { wanted: subscription.filter.clone(), members: VecDeque::new() });
            self.0.len() - 1
        });
        let members = &mut self.0[at].members;
        match members.iter_mut().find(|(member, _)| member == client) {
            Some((_, old)) => *old = subscription,
            None => members.push_back((client.clone(), subscription)),
        }
    }

    /// Takes a client out of a group.
    pub fn remove(&mut self, client: &PeerId, wanted: &str) {
        self.0.retain_mut(|group| {
            if *group.wanted == *wanted {
                group.members.retain(|(member, _)| member != client);
            }
            !group.members.is_empty()
        });
    }

    /// Calls `found` with one member of each group that wants `topic`: the next in turn that is ready, or, if none
    /// is, the next.
    pub fn matching(
        &mut self,
        topic: &str,
        is_ready: impl Fn(&PeerId) -> bool,
        mut found: impl FnMut(&PeerId, &Subscription),
    ) {
        for group in self.0.iter_mut().filter(|group| filter::matches(group.filter(), topic)) {
            let at = group.members.iter().position(|(member, _)| is_ready(member)).unwrap_or_default();
            let Some((member, subscription)) = group.members.remove(at) else { continue };
            found(&member, &subscription);
            group.members.push_back((member, subscription));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_take_turns_and_those_who_are_not_ready_are_passed_over() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|id| PeerId::new(id).unwrap());
        let wanted = |filter: &str| Subscription { filter: filter.into(), ..Subscription::default() };
        let mut shared = Shared::default();
        for member in [&alice, &bob, &carol] {
            shared.insert(member, wanted("$share/g/a/+"));
        }
        shared.insert(&alice, wanted("$share/g/a/+"));
        shared.insert(&bob, wanted("$share/h/#"));
        let mut next = |is_ready: fn(&PeerId) -> bool| {
            let mut found = Vec::new();
            shared.matching("a/b", is_ready, |member, _| found.push(member.to_string()));
            found
        };
        assert_eq!(next(|_| true), ["alice", "bob"]);
        assert_eq!(next(|member| *member != *"bob"), ["carol", "bob"], "alone in its group it is chosen all the same");
        assert_eq!(next(|_| true), ["bob", "bob"]);
        assert_eq!(next(|_| true), ["alice", "bob"]);
        shared.remove(&bob, "$share/h/#");
        for member in [&alice, &bob, &carol] {
            assert!(!shared.is_empty());
            shared.remove(member, "$share/g/a/+");
        }
        assert!(shared.is_empty());
    }
}
