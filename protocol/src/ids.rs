//! Names of rooms and peers: validated once, then trusted everywhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name that the room agent has on the wire; no peer may have it.
pub const AGENT: &str = "agent";

/// Why a name is not allowed; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The empty string names nothing.
    #[error("a {0} must not be empty")]
    Empty(Kind),
    /// Longer than the limit, in bytes of UTF-8.
    #[error("a {kind} has at most {} bytes of UTF-8, this one has {length}", kind.max_bytes())]
    TooLong {
        /// Which name.
        kind: Kind,
        /// Its length in bytes.
        length: usize,
    },
    /// A character that the topic grammar or the contract excludes.
    #[error("a {kind} must not contain {character:?}; allowed is {}", kind.allowed())]
    Character {
        /// Which name.
        kind: Kind,
        /// The first character that is not allowed.
        character: char,
    },
    /// A room name that begins or ends with white space.
    #[error("a room name must not begin or end with a space")]
    OuterSpace,
    /// A room name that begins with `$`, which MQTT keeps for the server (MQTT-4.7.2-1).
    #[error("a room name must not begin with $, which MQTT keeps for servers")]
    Dollar,
    /// `agent`, as a peer.
    #[error("the peer id `agent` is reserved for the room agent; take another")]
    Reserved,
}

/// The characters of peer ids, by their bytes: printable ASCII without space and `/ + # $`.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'/' | b'+' | b'#' | b'$');
        byte += 1;
    }
    plain
};

/// Which kind of name an [`IdError`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A room name.
    Room,
    /// A peer id.
    Peer,
}

impl Kind {
    const fn max_bytes(self) -> usize {
        match self {
            Kind::Room => RoomId::MAX_BYTES,
            Kind::Peer => PeerId::MAX_BYTES,
        }
    }

    const fn allowed(self) -> &'static str {
        match self {
            Kind::Room => "any text without / + # and control characters",
            Kind::Peer => "printable ASCII without space and / + # $",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Room => "room name",
            Kind::Peer => "peer id",
        })
    }
}

/// A room's name: 1 to 128 bytes of UTF-8 without `/ + #` and control characters, no leading
/// `$`, no leading or trailing white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(Arc<str>);

/// A peer's name, which is its MQTT client identifier: 1 to 64 printable ASCII characters
/// without space and `/ + # $`, not `agent`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

impl RoomId {
    /// Longest room name, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Whether `name` may name a room.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn check(name: &str) -> Result<(), IdError> {
        if name.is_empty() {
            return Err(IdError::Empty(Kind::Room));
        }
        if name.len() > Self::MAX_BYTES {
            return Err(IdError::TooLong { kind: Kind::Room, length: name.len() });
        }
        if name.starts_with('$') {
            return Err(IdError::Dollar);
        }
        if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
            return Err(IdError::OuterSpace);
        }
        // Nearly all names are plain, and are seen to be so byte by byte.
        if name.bytes().all(|byte| PLAIN[usize::from(byte)]) {
            return Ok(());
        }
        let forbidden = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
        match name.chars().find(|&c| forbidden(c)) {
            Some(character) => Err(IdError::Character { kind: Kind::Room, character }),
            None => Ok(()),
        }
    }
}

impl PeerId {
    /// Longest peer id, in characters (each of them one byte).
    pub const MAX_BYTES: usize = 64;

    /// Whether `name` may name a peer.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn check(name: &str) -> Result<(), IdError> {
        if name.is_empty() {
            return Err(IdError::Empty(Kind::Peer));
        }
        if name.len() > Self::MAX_BYTES {
            return Err(IdError::TooLong { kind: Kind::Peer, length: name.len() });
        }
        if !name.bytes().all(|byte| PLAIN[usize::from(byte)]) {
            let plain = |c: char| u8::try_from(c).is_ok_and(|byte| PLAIN[usize::from(byte)]);
            if let Some(character) = name.chars().find(|&c| !plain(c)) {
                return Err(IdError::Character { kind: Kind::Peer, character });
            }
        }
        if name == AGENT {
            return Err(IdError::Reserved);
        }
        Ok(())
    }
}

macro_rules! name_type {
    ($name:ident) => {
        impl $name {
            /// The validated name.
            ///
            /// # Errors
            /// The first rule that `name` breaks.
            pub fn new(name: &str) -> Result<Self, IdError> {
                Self::check(name)?;
                Ok(Self(Arc::from(name)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(name: &str) -> Result<Self, IdError> {
                Self::new(name)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&name).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(RoomId);
name_type!(PeerId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_golden_names_are_judged_as_they_say() {
        #[derive(Deserialize)]
        struct Names {
            good: Vec<String>,
            bad: Vec<String>,
        }
        #[derive(Deserialize)]
        struct Golden {
            rooms: Names,
            peers: Names,
        }
        let golden: Golden = serde_json::from_str(include_str!("../fixtures/names.json")).unwrap();
        for name in &golden.rooms.good {
            assert_eq!(RoomId::check(name), Ok(()), "room {name:?}");
        }
        for name in &golden.rooms.bad {
            assert!(RoomId::check(name).is_err(), "room {name:?}");
        }
        for name in &golden.peers.good {
            assert_eq!(PeerId::check(name), Ok(()), "peer {name:?}");
        }
        for name in &golden.peers.bad {
            assert!(PeerId::check(name).is_err(), "peer {name:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_bytes() {
        assert!(RoomId::new(&"가".repeat(42)).is_ok());
        assert_eq!(
            RoomId::new(&"가".repeat(43)).unwrap_err().to_string(),
            "a room name has at most 128 bytes of UTF-8, this one has 129"
        );
        assert!(PeerId::new(&"p".repeat(64)).is_ok());
        assert!(PeerId::new(&"p".repeat(65)).is_err());
    }

    #[test]
    fn errors_say_what_is_allowed() {
        assert_eq!(
            PeerId::new("front door").unwrap_err().to_string(),
            "a peer id must not contain ' '; allowed is printable ASCII without space and / + # $"
        );
        assert_eq!(
            RoomId::new("a/b").unwrap_err().to_string(),
            "a room name must not contain '/'; allowed is any text without / + # and control characters"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_one_level_of_a_topic(name in any::<String>()) {
            if RoomId::check(&name).is_ok() {
                prop_assert!(!name.contains(['/', '+', '#', '\0']) && !name.is_empty() && name.len() <= 128);
            }
            if PeerId::check(&name).is_ok() {
                prop_assert!(name.bytes().all(|b| (0x21..0x7f).contains(&b)) && name.len() <= 64);
                prop_assert!(RoomId::check(&name).is_ok());
            }
        }
    }
}
