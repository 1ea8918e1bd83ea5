//! Who subscribed with which wildcard: a tree of topic levels, walked along a topic.

use super::Subscription;
use protocol::{PeerId, topic};
use std::collections::HashMap;

/// Subscriptions of many clients, found by topic.
#[derive(Debug, Default)]
pub struct Subscribers {
    root: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    levels: HashMap<Box<str>, Node>,
    here: Vec<(PeerId, Subscription)>,
}

impl Subscribers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a client's subscription, in place of an equal filter of its own (MQTT-3.8.4-3).
    pub fn insert(&mut self, client: &PeerId, subscription: Subscription) {
        let mut node = &mut self.root;
        for level in topic::levels(&subscription.filter) {
            node = node.levels.entry(level.into()).or_default();
        }
        match node.here.iter_mut().find(|(other, _)| other == client) {
            Some((_, old)) => *old = subscription,
            None => {
                node.here.push((client.clone(), subscription));
                self.count += 1;
            }
        }
    }

    /// Takes a client's subscription away.
    pub fn remove(&mut self, client: &PeerId, filter: &str) {
        fn remove<'a>(node: &mut Node, mut levels: impl Iterator<Item = &'a str>, client: &PeerId) -> bool {
            let Some(level) = levels.next() else {
                let before = node.here.len();
                node.here.retain(|(other, _)| other != client);
                return node.here.len() < before;
            };
            let Some(child) = node.levels.get_mut(level) else { return false };
            let removed = remove(child, levels, client);
            if child.here.is_empty() && child.levels.is_empty() {
                node.levels.remove(level);
            }
            removed
        }
        if remove(&mut self.root, topic::levels(filter), client) {
            self.count -= 1;
        }
    }

    /// Calls `found` for every subscription that matches `topic`; a client with several that match
    /// is found several times.
    pub fn matching<'a>(&'a self, topic: &str, found: &mut impl FnMut(&'a PeerId, &'a Subscription)) {
        fn walk<'a>(
            node: &'a Node,
            topic: Option<&str>,
            wildcards: bool,
            found: &mut impl FnMut(&'a PeerId, &'a Subscription),
        ) {
            let mut all =
                |node: &'a Node| node.here.iter().for_each(|(client, subscription)| found(client, subscription));
            if wildcards && let Some(rest) = node.levels.get("#") {
                all(rest);
            }
            let Some(topic) = topic else { return all(node) };
            let (level, rest) = match topic.split_once('/') {
                Some((level, rest)) => (level, Some(rest)),
                None => (topic, None),
            };
            if let Some(child) = node.levels.get(level) {
                walk(child, rest, true, found);
            }
            if wildcards && let Some(child) = node.levels.get("+") {
                walk(child, rest, true, found);
            }
        }
        if self.count > 0 {
            walk(&self.root, Some(topic), !topic.starts_with('$'), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::filter;

    fn subscription(filter: &str) -> Subscription {
        Subscription { filter: filter.into(), ..Subscription::default() }
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_matching_one_by_one_finds(
            filters in prop::collection::vec("[$ab+](/[ab+]){0,3}(/#)?|#", 1..12),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            topic in "[$ab](/[ab]){0,4}",
        ) {
            let mut tree = Subscribers::default();
            let mut list: Vec<(PeerId, String)> = Vec::new();
            for (i, filter) in filters.iter().enumerate() {
                let client = PeerId::new(&format!("c{}", i % 3)).unwrap();
                tree.insert(&client, subscription(filter));
                if !list.iter().any(|(c, f)| *c == client && f == filter) {
                    list.push((client, filter.clone()));
                }
            }
            for index in removed {
                if !list.is_empty() {
                    let (client, filter) = list.swap_remove(index.index(list.len()));
                    tree.remove(&client, &filter);
                    tree.remove(&client, &filter);
                }
            }
            prop_assert_eq!(tree.count, list.len());
            let mut found = Vec::new();
            tree.matching(&topic, &mut |client, s| found.push((client.clone(), s.filter.to_string())));
            list.retain(|(_, f)| filter::matches(f, &topic));
            found.sort();
            list.sort();
            prop_assert_eq!(found, list);
        }
    }

    #[test]
    fn nothing_is_left_when_all_are_gone() {
        let mut tree = Subscribers::default();
        let client = PeerId::new("c").unwrap();
        tree.insert(&client, subscription("a/b/+/#"));
        tree.remove(&client, "a/b");
        assert_eq!(tree.count, 1);
        tree.remove(&client, "a/b/+/#");
        assert!(tree.is_empty() && tree.root.levels.is_empty());
    }
}
