//! Settings of `[limits]`: how much anybody may ask of the broker.

use super::{PLAIN, POSITIVE_DURATION, Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "connect-timeout",
        value_name: "TIME",
        help: "Time that a new connection has until its CONNECT or its HTTP headers are there",
        allowed: POSITIVE_DURATION,
        default: || "5s".into(),
        also_at_top: true,
        ..PLAIN
    },
    Setting {
        key: "max-message",
        value_name: "SIZE",
        help: "Largest message",
        allowed: "a size from 1KiB to 16MiB, such as 64KiB or 65536",
        default: || "64KiB".into(),
        also_at_top: true,
        ..PLAIN
    },
];
