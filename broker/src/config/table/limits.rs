//! Settings of `[limits]`: how much anybody may ask of the broker. README's table is checked against
//! this one.

use super::{Kind, PLAIN, POSITIVE_DURATION, Setting};

const NUMBER: &str = "a whole number from 1 to 10000000";
const NUMBER_OR_NONE: &str = "a whole number from 0 to 1000";
const SIZE: &str = "a size from 1KiB to 1GiB, such as 64KiB or 65536";

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
        key: "max-connect",
        value_name: "SIZE",
        help: "Largest CONNECT, with its will, before anybody has said who they are",
        allowed: "a size from 1KiB to 64KiB, such as 8KiB",
        default: || "8KiB".into(),
        ..PLAIN
    },
    Setting {
        key: "max-handshakes",
        value_name: "N",
        help: "Connections at once that have not sent their CONNECT",
        allowed: NUMBER,
        default: || "2000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-handshakes-per-address",
        value_name: "N",
        help: "Connections at once from one address that have not sent their CONNECT",
        allowed: NUMBER,
        default: || "200".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-connections",
        value_name: "N",
        help: "Clients connected at once",
        allowed: NUMBER,
        default: || "100000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-connections-per-address",
        value_name: "N",
        help: "Clients connected at once from one address",
        allowed: NUMBER,
        default: || "1000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "exempt",
        value_name: "NETWORKS",
        help: "Networks that the limits for one address do not concern, such as a reverse proxy's",
        allowed: "networks such as 192.0.2.7, 10.0.0.0/8 or fd00::/8, with commas between them",
        default: || "127.0.0.0/8,::1/128".into(),
        kind: Kind::List,
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
    Setting {
        key: "message-rate",
        value_name: "N",
        help: "Packets of a connection in a second, acknowledgements not counted",
        allowed: NUMBER,
        default: || "500".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "message-burst",
        value_name: "N",
        help: "Packets that a connection may send at once after a pause",
        allowed: NUMBER,
        default: || "2000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "byte-rate",
        value_name: "SIZE",
        help: "Bytes of a connection in a second",
        allowed: SIZE,
        default: || "1MiB".into(),
        ..PLAIN
    },
    Setting {
        key: "byte-burst",
        value_name: "SIZE",
        help: "Bytes that a connection may send at once after a pause",
        allowed: SIZE,
        default: || "4MiB".into(),
        ..PLAIN
    },
    Setting {
        key: "held-back-warning",
        value_name: "TIME",
        help: "Time for which a connection is held back without pause until it is told, and slowed to a hundredth",
        allowed: POSITIVE_DURATION,
        default: || "2s".into(),
        ..PLAIN
    },
    Setting {
        key: "held-back-limit",
        value_name: "TIME",
        help: "Time for which a connection is held back without pause until it is ended",
        allowed: POSITIVE_DURATION,
        default: || "30s".into(),
        ..PLAIN
    },
    Setting {
        key: "max-rooms",
        value_name: "N",
        help: "Rooms at once",
        allowed: NUMBER,
        default: || "100000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-rooms-per-peer",
        value_name: "N",
        help: "Rooms in which one peer is at once",
        allowed: NUMBER,
        default: || "16".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "joins-per-minute",
        value_name: "N",
        help: "Joins from one address in a minute",
        allowed: NUMBER,
        default: || "600".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-subscriptions",
        value_name: "N",
        help: "Subscriptions of one client",
        allowed: NUMBER,
        default: || "100".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-memory",
        value_name: "SIZE",
        help: "Memory of the process, the last fifth of which is for those inside; less where cgroup, `ulimit -v` or \
               machine allow less",
        allowed: "auto, or a size from 32MiB to 1TiB, such as 512MiB",
        default: || "auto".into(),
        ..PLAIN
    },
    Setting {
        key: "max-waiting-bytes",
        value_name: "SIZE",
        help: "Bytes that wait for all clients together; each queue may hold as much as is free",
        allowed: SIZE,
        default: || "256MiB".into(),
        ..PLAIN
    },
    Setting {
        key: "queue-messages",
        value_name: "N",
        help: "Messages that wait for a client that reads slowly",
        allowed: NUMBER,
        default: || "4096".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "queue-bytes",
        value_name: "SIZE",
        help: "Bytes that wait for a client that reads slowly",
        allowed: SIZE,
        default: || "1MiB".into(),
        ..PLAIN
    },
    Setting {
        key: "session-queue-messages",
        value_name: "N",
        help: "Messages that wait for a session without a connection",
        allowed: NUMBER,
        default: || "100".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "session-queue-bytes",
        value_name: "SIZE",
        help: "Bytes that wait for a session without a connection",
        allowed: SIZE,
        default: || "256KiB".into(),
        ..PLAIN
    },
    Setting {
        key: "max-will",
        value_name: "SIZE",
        help: "Largest payload of a will",
        allowed: SIZE,
        default: || "4KiB".into(),
        ..PLAIN
    },
    Setting {
        key: "max-user-properties",
        value_name: "N",
        help: "User properties of a message or will",
        allowed: NUMBER_OR_NONE,
        default: || "16".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-user-property-bytes",
        value_name: "SIZE",
        help: "Bytes of the user properties of a message or will",
        allowed: SIZE,
        default: || "4KiB".into(),
        ..PLAIN
    },
    Setting {
        key: "max-topic-aliases",
        value_name: "N",
        help: "Topic aliases that a client may set",
        allowed: NUMBER_OR_NONE,
        default: || "16".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-retained",
        value_name: "N",
        help: "Retained messages of all topics",
        allowed: NUMBER,
        default: || "10000".into(),
        kind: Kind::Number,
        ..PLAIN
    },
    Setting {
        key: "max-retained-bytes",
        value_name: "SIZE",
        help: "Bytes of all retained messages",
        allowed: SIZE,
        default: || "64MiB".into(),
        ..PLAIN
    },
];
