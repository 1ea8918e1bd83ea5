//! Topic filters by MQTT 4.7: which are valid, what they match, and which lies within which.

use crate::topic;

/// Most levels that a filter may have; the tree of subscribers is walked by recursion.
pub const MAX_LEVELS: usize = 128;

/// What the filter of a shared subscription begins with (MQTT 5.0, 4.8.2).
pub const SHARED: &str = "$share/";

/// Name of the group and filter of a shared subscription; `None` if it is none, or breaks the rules for one
/// (MQTT-4.8.2-1, MQTT-4.8.2-2).
pub fn shared(wanted: &str) -> Option<(&str, &str)> {
    let (group, shared) = wanted.strip_prefix(SHARED)?.split_once('/')?;
    let is_group = !group.is_empty() && !group.contains(['+', '#', '\0']);
    (is_group && is_valid(shared)).then_some((group, shared))
}

/// Whether a filter is well formed: `#` alone at the end, `+` alone in its level, not empty, no NUL,
/// and not deeper than [`MAX_LEVELS`].
pub fn is_valid(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') || topic::levels(filter).count() > MAX_LEVELS {
        return false;
    }
    let mut levels = topic::levels(filter).peekable();
    while let Some(level) = levels.next() {
        match level {
            "#" => return levels.peek().is_none(),
            "+" => {}
            _ if level.contains(['+', '#']) => return false,
            _ => {}
        }
    }
    true
}

/// Whether `filter` matches `topic`. A wildcard in the first level does not match a topic that
/// begins with `$` (MQTT-4.7.2-1).
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic::levels(topic);
    for part in topic::levels(filter) {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Whether everything that `inner` matches is matched by `outer` too.
pub fn covers(outer: &str, inner: &str) -> bool {
    if inner.starts_with('$') && outer.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic::levels(inner);
    for part in topic::levels(outer) {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(level)) if level != "#" => {}
            (part, Some(level)) if part == level && level != "#" => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_standards_examples() {
        for (filter, topic, matched) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor/Clients", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        ] {
            assert_eq!(matches(filter, topic), matched, "{filter} {topic}");
        }
        for filter in ["#", "+", "+/tennis/#", "sport/+/player1", "/", "a//b"] {
            assert!(is_valid(filter), "{filter}");
        }
        assert!(is_valid(&"/".repeat(MAX_LEVELS - 1)) && !is_valid(&"/".repeat(MAX_LEVELS)));
        for filter in ["", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "a\0b"] {
            assert!(!is_valid(filter), "{filter}");
        }
    }

    #[test]
    fn a_group_has_a_name_and_a_filter() {
        for (wanted, parsed) in [
            ("$share/g/a/#", Some(("g", "a/#"))),
            ("$share/현관/+", Some(("현관", "+"))),
            ("$share/g//", Some(("g", "/"))),
            ("$share/g", None),
            ("$share/g/", None),
            ("$share//a", None),
            ("$share/g+/a", None),
            ("$share/#/a", None),
            ("$share/g/a#", None),
            ("$shared/g/a", None),
            ("a", None),
        ] {
            assert_eq!(shared(wanted), parsed, "{wanted}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(
            outer in "[ab+]{1}(/[ab+]){0,3}(/#)?", inner in "[ab+]{1}(/[ab+]){0,3}(/#)?", topic in "[ab]{1}(/[ab]){0,4}"
        ) {
            if covers(&outer, &inner) && matches(&inner, &topic) {
                prop_assert!(matches(&outer, &topic));
            }
            prop_assert!(covers(&outer, &outer) && covers("#", &outer));
        }
    }
}
