//! Settings of `[ice]`: what peers are given to find a way to each other.

use super::{Kind, PLAIN, Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "stun",
        value_name: "URLS",
        help: "STUN servers for the peers, with commas between them",
        allowed: "addresses such as stun:stun.example.org:3478 (RFC 7064), with commas between them",
        kind: Kind::List,
        ..PLAIN
    },
    Setting {
        key: "turn",
        value_name: "URLS",
        help: "A relay for the peers, under all its addresses, with commas between them; \
               or several relays, as the file has them",
        allowed: "addresses such as turn:turn.example.org:3478 (RFC 7065), with commas between them, or \
                  [{urls = [\"turn:…\"], secret_file = \"…\", ttl = \"1h\"}, \
                  {urls = [\"turn:…\"], username = \"…\", credential_file = \"…\"}]",
        kind: Kind::Relays,
        ..PLAIN
    },
    Setting {
        key: "turn-secret-file",
        value_name: "FILE",
        help: "Holds the secret shared with the relays (coturn: static-auth-secret) that name none of their own",
        allowed: "the path of a file that holds the secret and nothing else",
        ..PLAIN
    },
    Setting {
        key: "turn-ttl",
        value_name: "TIME",
        help: "How long credentials live that are made with a shared secret",
        allowed: "a time from 5s to 30days",
        default: || "1h".into(),
        ..PLAIN
    },
];
