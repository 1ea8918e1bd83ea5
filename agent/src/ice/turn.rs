//! One relay and the credentials that peers get for it.

use super::IceUrl;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use protocol::{IceServer, PeerId, Timestamp};
use sha1::Sha1;
use std::fmt;
use std::time::Duration;

/// Shortest life of credentials that are made here. They are renewed when a quarter of it is left,
/// which must be enough for a message.
pub const MIN_TTL: Duration = Duration::from_secs(5);
/// Longest life of credentials that are made here.
pub const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a relay cannot be used; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    /// No address at all.
    #[error("a relay needs at least one address, as in turn:turn.example.org:3478")]
    NoUrls,
    /// A secret or a credential of no characters: everybody would know it.
    #[error("it is empty; right is one line with the secret")]
    EmptySecret,
    /// No user for credentials that stay the same.
    #[error("the username is empty")]
    EmptyUsername,
    /// A life that is too short to renew it, or too long to be worth the name.
    #[error("credentials live from 5s to 30days, not {0:?}")]
    Ttl(Duration),
}

/// Something that only this program and the relay shall know; not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// From a file that holds the secret and nothing else: the end of its line does not count.
    ///
    /// # Errors
    /// [`TurnError::EmptySecret`].
    pub fn from_line(text: &str) -> Result<Self, TurnError> {
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() { Err(TurnError::EmptySecret) } else { Ok(Self(line.into())) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How peers prove to a relay that they may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credentials {
    /// Made for each peer from a secret that is shared with the relay.
    Shared { secret: Secret, ttl: Duration },
    /// The same for everybody, for ever.
    Fixed { username: String, credential: Secret },
}

/// A relay, under one or several addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    urls: Vec<IceUrl>,
    credentials: Credentials,
}

impl Turn {
    /// A relay that shares a secret with this program, as coturn with `use-auth-secret` does: each
    /// peer gets credentials of its own, which live for `ttl`, [`MIN_TTL`] to [`MAX_TTL`].
    ///
    /// # Errors
    /// No address, or such a life.
    pub fn shared(urls: Vec<IceUrl>, secret: Secret, ttl: Duration) -> Result<Self, TurnError> {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(TurnError::Ttl(ttl));
        }
        Self::new(urls, Credentials::Shared { secret, ttl })
    }

    /// A relay with one user for everybody (RFC 8489 §9.2, long-term credentials).
    ///
    /// # Errors
    /// No address, or no user.
    pub fn fixed(urls: Vec<IceUrl>, username: String, credential: Secret) -> Result<Self, TurnError> {
        if username.is_empty() {
            return Err(TurnError::EmptyUsername);
        }
        Self::new(urls, Credentials::Fixed { username, credential })
    }

    fn new(urls: Vec<IceUrl>, credentials: Credentials) -> Result<Self, TurnError> {
        if urls.is_empty() { Err(TurnError::NoUrls) } else { Ok(Self { urls, credentials }) }
    }

    /// How long credentials live; `None` if they do not end.
    pub fn ttl(&self) -> Option<Duration> {
        match self.credentials {
            Credentials::Shared { ttl, .. } => Some(ttl),
            Credentials::Fixed { .. } => None,
        }
    }

    /// The entry of `ice_servers` for `peer`.
    ///
    /// With a shared secret these are the time-limited credentials of draft-uberti-behave-turn-rest:
    /// the username is the end of their life in seconds since 1970, a colon, and the peer; the
    /// credential is the username's HMAC-SHA1 under the secret, in Base64.
    pub fn server(&self, peer: &PeerId, now: Timestamp) -> IceServer {
        let (username, credential) = match &self.credentials {
            Credentials::Shared { secret, ttl } => {
                let username = format!("{}:{peer}", now.plus(*ttl).as_millis() / 1000);
                let credential = STANDARD.encode(hmac_sha1(&secret.0, &username));
                (username, credential)
            }
            Credentials::Fixed { username, credential } => (username.clone(), credential.0.to_string()),
        };
        let urls = self.urls.iter().map(IceUrl::to_string).collect();
        IceServer { urls, username: Some(username), credential: Some(credential) }
    }
}

fn hmac_sha1(key: &str, message: &str) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> Vec<IceUrl> {
        urls.iter().map(|url| IceUrl::turn(url).unwrap()).collect()
    }

    fn secret() -> Secret {
        Secret::from_line("s3cret\n").unwrap()
    }

    #[test]
    fn a_relay_with_a_shared_secret_gives_each_peer_credentials_of_its_own() {
        let relay = urls(&["turn:turn.example.org:3478", "turns:turn.example.org?transport=tcp"]);
        let turn = Turn::shared(relay, secret(), Duration::from_secs(3600)).unwrap();
        let now = Timestamp::from_millis(1_790_000_000_999);
        let server = |peer| turn.server(&PeerId::new(peer).unwrap(), now);
        // From outside: printf %s 1790003600:alice | openssl dgst -sha1 -hmac s3cret -binary | base64
        assert_eq!(
            serde_json::json!(server("alice")),
            serde_json::json!({
                "urls": ["turn:turn.example.org:3478", "turns:turn.example.org?transport=tcp"],
                "username": "1790003600:alice",
                "credential": "kgQBu/Cc+u2I8+5tblYgVXGu4SE=",
            })
        );
        assert_eq!(server("a:b").username.unwrap(), "1790003600:a:b");
        assert_ne!(server("bob").credential, server("alice").credential);
        assert_eq!(turn.ttl(), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn a_relay_with_one_user_gives_everybody_the_same() {
        let turn = Turn::fixed(urls(&["turn:turn.example.org"]), "duet".into(), secret()).unwrap();
        let server = |peer, now| turn.server(&PeerId::new(peer).unwrap(), Timestamp::from_millis(now));
        assert_eq!(server("alice", 1), server("bob", 2_000_000));
        assert_eq!(
            serde_json::json!(server("alice", 1)),
            serde_json::json!({"urls": ["turn:turn.example.org"], "username": "duet", "credential": "s3cret"})
        );
        assert_eq!(turn.ttl(), None);
    }

    #[test]
    fn hmac_sha1_is_rfc_2202s() {
        let hex = |bytes: [u8; 20]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let digest = hmac_sha1("Jefe", "what do ya want for nothing?");
        assert_eq!(hex(digest), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let long = hmac_sha1(&"k".repeat(200), "m");
        assert_eq!(long.len(), 20, "longer than a block of SHA-1");
    }

    #[test]
    fn what_cannot_work_is_refused_with_words() {
        let relay = || urls(&["turn:turn.example.org"]);
        let hour = Duration::from_secs(3600);
        let cases = [
            (Turn::shared(Vec::new(), secret(), hour), "at least one address"),
            (Turn::shared(relay(), secret(), Duration::from_millis(4999)), "from 5s to 30days, not 4.999s"),
            (Turn::shared(relay(), secret(), MAX_TTL + Duration::from_secs(1)), "from 5s to 30days, not 2592001s"),
            (Turn::fixed(Vec::new(), "duet".into(), secret()), "at least one address"),
            (Turn::fixed(relay(), String::new(), secret()), "username is empty"),
        ];
        for (turn, right) in cases {
            let text = turn.unwrap_err().to_string();
            assert!(text.contains(right), "{text}");
        }
        for empty in ["", "\n", "\r\n"] {
            assert_eq!(Secret::from_line(empty), Err(TurnError::EmptySecret));
        }
        assert!(Turn::shared(relay(), secret(), MIN_TTL).is_ok() && Turn::shared(relay(), secret(), MAX_TTL).is_ok());
    }

    #[test]
    fn a_secret_is_a_line_and_not_shown() {
        for line in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(Secret::from_line(line), Ok(secret()));
        }
        assert_ne!(Secret::from_line(" s3cret \n"), Ok(secret()), "spaces may belong to it");
        let hour = Duration::from_secs(3600);
        let shared = Turn::shared(urls(&["turn:turn.example.org"]), secret(), hour).unwrap();
        let fixed = Turn::fixed(urls(&["turn:turn.example.org"]), "duet".into(), secret()).unwrap();
        let entry = fixed.server(&PeerId::new("alice").unwrap(), Timestamp::default());
        let shown = format!("{shared:?} {fixed:?} {entry:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
