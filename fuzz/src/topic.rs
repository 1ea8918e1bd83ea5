//! Names, topics and filters: up to four lines, taken as a filter that is open, a filter that is
//! wanted, a topic, and a peer's id.

use agent::access::authorize::Rules;
use protocol::filter;
use protocol::topic::{Inbox, Topic, is_reserved};
use protocol::{PeerId, RoomId};

/// See the module and the crate.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (open, wanted, topic, id) = (line(), line(), line(), line());
    names(id);
    parsed(topic);
    filters(open, wanted, topic);
    if let Ok(me) = PeerId::new(id) {
        inbox(wanted, topic, &me);
    }
}

fn names(id: &str) {
    if let Ok(room) = RoomId::new(id) {
        assert_eq!(room.as_str(), id);
        assert!((1..=128).contains(&id.len()) && !id.contains(['/', '+', '#', '\0']) && !id.starts_with('$'));
        assert!(!id.contains(char::is_control));
        assert_eq!(id.trim(), id);
    }
    if let Ok(peer) = PeerId::new(id) {
        assert_eq!(peer.as_str(), id);
        assert!((1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) && id != "agent");
        assert!(!id.contains(['/', '+', '#', '$']));
    }
}

/// A topic that is taken apart is the one that is built from its parts, and lies where only the
/// contract's rules hold.
fn parsed(text: &str) {
    let Ok(topic) = Topic::parse(text) else { return };
    assert_eq!(topic.to_string(), text);
    assert!(is_reserved(text) && RoomId::check(topic.room()).is_ok());
    match topic {
        Topic::ToAgent { from, .. } => assert!(PeerId::check(from).is_ok()),
        Topic::FromAgent { to, .. } => assert!(PeerId::check(to).is_ok()),
        Topic::Signal { to, from, .. } => assert!(PeerId::check(to).is_ok() && PeerId::check(from).is_ok()),
        Topic::State { .. } | Topic::Events { .. } | Topic::Control { .. } => {}
    }
}

/// What lies within an open filter opens nothing that the filter does not.
fn filters(open: &str, wanted: &str, topic: &str) {
    let is_topic = !topic.is_empty() && !topic.contains(['+', '#', '\0']);
    if !filter::is_valid(open) || !filter::is_valid(wanted) || !is_topic {
        return;
    }
    assert_eq!(filter::matches(wanted, topic), plainly(wanted, topic), "{wanted:?} and {topic:?}");
    if filter::covers(open, wanted) && filter::matches(wanted, topic) {
        assert!(filter::matches(open, topic), "{open:?} covers {wanted:?}, which matches {topic:?}");
    }
}

/// MQTT 4.7 in its shortest form, by recursion.
fn plainly(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter.split_first(), topic.split_first()) {
            (Some((&"#", _)), _) => true,
            (Some((&"+", filter)), Some((_, topic))) => levels(filter, topic),
            (Some((wanted, filter)), Some((found, topic))) => wanted == found && levels(filter, topic),
            (None, None) => true,
            _ => false,
        }
    }
    let split = |text| str::split(text, '/').collect::<Vec<_>>();
    let is_hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
    !is_hidden && levels(&split(filter), &split(topic))
}

/// Whatever a peer is granted where the contract's rules hold, it hears only its own inbox.
fn inbox(wanted: &str, topic: &str, me: &PeerId) {
    let Some(inbox) = Inbox::parse(wanted, me) else { return };
    assert!(filter::is_valid(wanted), "{wanted:?}");
    let matches = filter::matches(wanted, topic);
    match Topic::parse(topic) {
        Ok(Topic::FromAgent { room, to }) => assert!(!matches || to == me.as_str() && inbox.wants(room, "agent")),
        Ok(Topic::Signal { room, to, from }) => assert!(!matches || to == me.as_str() && inbox.wants(room, from)),
        Ok(_) => assert!(!matches, "{wanted:?} and {topic:?}"),
        Err(_) => {}
    }
    // As the rules judge it.
    let identity = crate::session::anonymous(me.clone());
    assert!(Rules::default().subscribe(&identity, wanted).is_ok());
}
