//! Settings of `[access]`: who may come in. The filters of `[[access.topics]]` have a shape of their own.

use super::{DURATION, PLAIN, Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "users",
        value_name: "FILE",
        help: "The users, their passwords and rights; `broker user` writes it",
        allowed: FILE,
        ..PLAIN
    },
    Setting {
        key: "jwt-secret",
        value_name: "FILE",
        help: "The secret with which tokens are signed (HS256)",
        allowed: FILE,
        ..PLAIN
    },
    Setting {
        key: "jwt-key",
        value_name: "FILE",
        help: "A PEM key with which tokens are signed, or its public half (RS256, ES256, EdDSA)",
        allowed: FILE,
        ..PLAIN
    },
    Setting {
        key: "jwks",
        value_name: "FILE",
        help: "A set of keys with which tokens are signed (RFC 7517)",
        allowed: FILE,
        ..PLAIN
    },
    Setting {
        key: "jwt-issuer",
        value_name: "NAME",
        help: "Who must have issued a token (iss); anybody with the key, if it is not said",
        allowed: "any text",
        ..PLAIN
    },
    Setting {
        key: "jwt-audience",
        value_name: "NAME",
        help: "For whom a token must be (aud)",
        allowed: "any text but none",
        default: || "duet".into(),
        ..PLAIN
    },
    Setting {
        key: "jwt-leeway",
        value_name: "TIME",
        help: "How far the clocks of broker and issuer may differ",
        allowed: DURATION,
        default: || "30s".into(),
        ..PLAIN
    },
];

const FILE: &str = "the path of a file";
