//! Topic filters by MQTT 4.7: which are valid, what they match, and which lies within which.

use protocol::topic;

/// Most levels that a filter may have; the tree of subscribers is walked by recursion.
pub const MAX_LEVELS: usize = 128;

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
