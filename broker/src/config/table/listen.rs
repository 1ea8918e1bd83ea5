//! Settings of no section: listeners, state, and what the broker does at large.

use super::{DURATION, Kind, PLAIN, POSITIVE_DURATION, Setting};
use std::path::PathBuf;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt",
        value_name: "ADDR",
        help: "Where to listen for MQTT over TCP; port 0 takes a free one, off none",
        allowed: "an address and port such as 127.0.0.1:1883 or [::1]:1883, or off",
        default: || "127.0.0.1:1883".into(),
        ..PLAIN
    },
    Setting {
        key: "http",
        value_name: "ADDR",
        help: "Where to serve the page and MQTT over WebSocket; leads to HTTPS if that is on",
        allowed: "an address and port such as 127.0.0.1:8080 or [::1]:8080, or off",
        default: || "127.0.0.1:8080".into(),
        ..PLAIN
    },
    Setting {
        key: "mqtts",
        value_name: "ADDR",
        help: "Where to listen for MQTT over TLS",
        allowed: "an address and port such as 127.0.0.1:8883 or [::]:8883, or off",
        ..PLAIN
    },
    Setting {
        key: "https",
        value_name: "ADDR",
        help: "Where to serve the page and MQTT over WebSocket, encrypted",
        allowed: "an address and port such as 127.0.0.1:8443 or [::]:443, or off",
        ..PLAIN
    },
    Setting {
        key: "certificate",
        value_name: "FILE",
        help: "The server's certificate for mqtts and https, then those of its issuers (PEM); read again when it changes",
        allowed: "the path of a file",
        ..PLAIN
    },
    Setting {
        key: "key",
        value_name: "FILE",
        help: "The certificate's private key (PEM); read again when it changes",
        allowed: "the path of a file",
        ..PLAIN
    },
    Setting {
        key: "client-ca",
        value_name: "FILE",
        help: "Authorities of client certificates (PEM); clients are then asked for one, and may come without",
        allowed: "the path of a file",
        ..PLAIN
    },
    Setting {
        key: "admin",
        value_name: "ADDR",
        help: "Where to serve /metrics without credentials",
        allowed: "an address and port such as 127.0.0.1:9090, or off",
        ..PLAIN
    },
    Setting {
        key: "allow-remote-admin",
        value_name: "true|false",
        help: "Let admin listen on an address that is not loopback",
        allowed: "true or false",
        default: || "false".into(),
        kind: Kind::Switch,
        ..PLAIN
    },
    Setting {
        key: "origins",
        value_name: "ORIGINS",
        help: "Whose pages may open a WebSocket besides the broker's own, with commas between them",
        allowed: "origins such as https://app.example.org or http://localhost:5173, with commas between them",
        kind: Kind::List,
        ..PLAIN
    },
    Setting {
        key: "hsts",
        value_name: "TIME",
        help: "For how long browsers shall ask for this host over HTTPS only, on all its ports; 0s says nothing",
        allowed: "a time such as 0s or 365d",
        default: || "0s".into(),
        ..PLAIN
    },
    Setting {
        key: "log",
        value_name: "FILTER",
        help: "What to log to stderr",
        allowed: "off, error, warn, info, debug, trace, or directives such as info,broker=debug",
        default: || "info".into(),
        ..PLAIN
    },
    Setting {
        key: "state-dir",
        value_name: "DIR",
        help: "Where the operator's token is kept",
        allowed: "the path of a folder",
        default: state_dir,
        ..PLAIN
    },
    Setting {
        key: "grace",
        value_name: "TIME",
        help: "How long the seat of a peer is kept whose connection is lost",
        allowed: DURATION,
        default: || "10s".into(),
        ..PLAIN
    },
    Setting {
        key: "session-expiry",
        value_name: "TIME",
        help: "Longest time that a persistent session is kept without a connection",
        allowed: DURATION,
        default: || "5m".into(),
        ..PLAIN
    },
    Setting {
        key: "sys-interval",
        value_name: "TIME",
        help: "Time between two publications of $SYS",
        allowed: POSITIVE_DURATION,
        default: || "1s".into(),
        ..PLAIN
    },
    Setting {
        key: "allow-anonymous",
        value_name: "true|false",
        help: "Let in who does not say who it is, from everywhere",
        allowed: "true or false",
        default: || "false".into(),
        kind: Kind::Switch,
        ..PLAIN
    },
];

/// `$XDG_STATE_HOME/duet`, else `~/.local/state/duet` (XDG Base Directory Specification).
fn state_dir() -> String {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("duet").to_string_lossy().into_owned()).unwrap_or_default()
}
