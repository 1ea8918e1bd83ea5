//! The table of settings: flags, variables, file keys, help and defaults all come from here.

use std::path::PathBuf;

/// One setting.
pub struct Setting {
    /// Its name, as a flag without the dashes.
    pub key: &'static str,
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Which values there are.
    pub allowed: &'static str,
    /// Its value when nothing is said.
    pub default: fn() -> String,
    /// On or off; the bare flag means on.
    pub is_switch: bool,
    /// A list; in the file an array, elsewhere with commas.
    pub is_list: bool,
}

impl Setting {
    /// Its variable: `state-dir` is `DUET_STATE_DIR`.
    pub fn variable(&self) -> String {
        format!("DUET_{}", self.key.to_uppercase().replace('-', "_"))
    }

    /// Its key in the file: `state-dir` is `state_dir`.
    pub fn file_key(&self) -> String {
        self.key.replace('-', "_")
    }

    /// The default as the help shows it.
    pub fn shown_default(&self) -> String {
        match self.key {
            "state-dir" => "$XDG_STATE_HOME/duet or ~/.local/state/duet".into(),
            _ => Some((self.default)()).filter(|text| !text.is_empty()).unwrap_or_else(|| "none".into()),
        }
    }

    /// A value as the file would have it.
    pub fn toml(&self, text: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        if self.is_list {
            let items: Vec<String> = text.split(',').filter(|item| !item.is_empty()).map(quoted).collect();
            return format!("[{}]", items.join(", "));
        }
        if self.is_switch { text.to_owned() } else { quoted(text) }
    }
}

const PLAIN: Setting =
    Setting { key: "", value_name: "", help: "", allowed: "", default: String::new, is_switch: false, is_list: false };

/// All settings, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt",
        value_name: "ADDR",
        help: "Where to listen for MQTT over TCP; port 0 takes a free one",
        allowed: "an address and port such as 127.0.0.1:1883 or [::1]:1883",
        default: || "127.0.0.1:1883".into(),
        ..PLAIN
    },
    Setting {
        key: "http",
        value_name: "ADDR",
        help: "Where to serve the page and MQTT over WebSocket; port 0 takes a free one",
        allowed: "an address and port such as 127.0.0.1:8080 or [::1]:8080",
        default: || "127.0.0.1:8080".into(),
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
        key: "ice-servers",
        value_name: "URLS",
        help: "STUN servers for the peers, with commas between them",
        allowed: "URLs such as stun:stun.example.org:3478 (RFC 7064), with commas between them",
        is_list: true,
        ..PLAIN
    },
    Setting {
        key: "connect-timeout",
        value_name: "TIME",
        help: "Time that a new connection has until its CONNECT or its HTTP headers are there",
        allowed: POSITIVE_DURATION,
        default: || "5s".into(),
        ..PLAIN
    },
    Setting {
        key: "max-message",
        value_name: "SIZE",
        help: "Largest message",
        allowed: "a size from 1KiB to 16MiB, such as 64KiB or 65536",
        default: || "64KiB".into(),
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
        help: "Let anyone in who can reach an address that is not loopback",
        allowed: "true or false",
        default: || "false".into(),
        is_switch: true,
        ..PLAIN
    },
];

const DURATION: &str = "a time such as 10s, 500ms or 5m";
const POSITIVE_DURATION: &str = "a time above zero, such as 5s or 500ms";

/// `$XDG_STATE_HOME/duet`, else `~/.local/state/duet` (XDG Base Directory Specification).
fn state_dir() -> String {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("duet").to_string_lossy().into_owned()).unwrap_or_default()
}
