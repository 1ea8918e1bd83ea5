//! Figures as an operator reads them: short, with units, and never wider than the column they stand in.

use protocol::Timestamp;
use std::time::Duration;

/// A span in at most five columns: `12ms`, `1.2s`, `34s`, `5m`, `3h`, `12d`.
pub fn span(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{}.{}s", millis / 1_000, millis / 100 % 10),
        10_000..60_000 => format!("{}s", millis / 1_000),
        60_000..3_600_000 => format!("{}m", millis / 60_000),
        3_600_000..86_400_000 => format!("{}h", millis / 3_600_000),
        _ => match millis / 86_400_000 {
            days @ 0..10_000 => format!("{days}d"),
            _ => ">27y".to_owned(),
        },
    }
}

/// A span of whole seconds, as ages are shown: `0s`, `59s`, `5m`, `3h`, `12d`.
pub fn age(span_: Duration) -> String {
    if span_.as_secs() < 10 { format!("{}s", span_.as_secs()) } else { span(span_) }
}

/// A long span in two units: `3d 4h`, `5m 12s`.
pub fn long_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long after the message before: `+0.021`, `+12.345`, `+5m`.
pub fn delta(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..100_000 => format!("+{}.{:03}", millis / 1_000, millis % 1_000),
        _ => format!("+{}", self::span(span)),
    }
}

/// A count in full: `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most four columns: `999`, `1.2k`, `34k`, `5M`.
pub fn short_count(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..10_000 => format!("{}.{}k", count / 1_000, count / 100 % 10),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

/// An amount of bytes: `912 B`, `4.2 kB`, `13 MB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..10_000 => format!("{}.{} kB", bytes / 1_000, bytes / 100 % 10),
        10_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        10_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// The time of day in UTC with milliseconds: `10:12:33.123`.
pub fn clock(at: Timestamp) -> String {
    let millis = at.as_millis();
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        millis / 3_600_000 % 24,
        millis / 60_000 % 60,
        millis / 1_000 % 60,
        millis % 1_000
    )
}

/// `one room`, `2 rooms`: a number with its word in the right form.
pub fn number(n: u64, word: &str) -> String {
    if n == 1 { format!("one {word}") } else { format!("{} {word}s", count(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_and_counts_read_as_people_write_them() {
        let ms = Duration::from_millis;
        assert_eq!(
            [span(ms(12)), span(ms(1_290)), span(ms(34_000)), span(ms(7_300_000))],
            ["12ms", "1.2s", "34s", "2h"]
        );
        assert_eq!([age(ms(900)), age(ms(1_900)), age(ms(61_000))], ["0s", "1s", "1m"]);
        assert_eq!([delta(ms(21)), delta(ms(12_345)), delta(ms(300_000))], ["+0.021", "+12.345", "+5m"]);
        assert_eq!([count(7), count(1_234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([bytes(912), bytes(4_249), bytes(13_000_000)], ["912 B", "4.2 kB", "13 MB"]);
        assert_eq!(clock(Timestamp::from_millis(1_783_591_953_123)), "10:12:33.123");
        assert_eq!([number(1, "room"), number(1_200, "room")], ["one room", "1,200 rooms"]);
    }

    proptest! {
        #[test]
        fn short_is_short(n in any::<u64>()) {
            prop_assert!(span(Duration::from_millis(n)).len() <= 5);
            prop_assert!(age(Duration::from_millis(n)).len() <= 5);
            prop_assert!(delta(Duration::from_millis(n)).len() <= 7);
            prop_assert!(n >= 1_000_000_000_000 || short_count(n).len() <= 4);
        }
    }
}
