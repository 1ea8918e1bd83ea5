//! What a filter finds when it looks at a room, a message or an event.

use super::Key;
use crate::model::{Entry, Happened, Happening, Party, Room, Said};

/// Whether a value passes.
type Test<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Something that has values.
pub(super) trait Subject {
    /// Whether any value under `key` passes; without a key, any at all.
    fn any(&self, key: Option<Key>, test: &mut Test<'_>) -> bool;
}

/// A room with everything in it.
pub(super) struct OfRoom<'a>(pub &'a Room);

/// A message.
pub(super) struct OfEntry<'a> {
    pub room: &'a Room,
    pub entry: &'a Entry,
}

/// An event.
pub(super) struct OfEvent<'a> {
    pub line: &'a Happening,
    pub room: Option<&'a Room>,
}

/// What only a room has.
fn room_has(room: &Room, key: Key, test: &mut Test<'_>) -> bool {
    match key {
        Key::Room => test(room.name().as_bytes()),
        Key::Phase => test(room.phase().name().as_bytes()),
        Key::Finding => room.findings().iter().any(|finding| test(finding.rule.as_bytes())),
        Key::Peer | Key::Kind | Key::Type | Key::Text => false,
    }
}

/// The kind that a peer in the room says it is.
fn kind_of(room: &Room, peer: &str, test: &mut Test<'_>) -> bool {
    room.seat(peer).and_then(|seat| seat.kind.as_deref()).is_some_and(|kind| test(kind.as_bytes()))
}

/// What only a message has.
fn entry_has(entry: &Entry, key: Key, test: &mut Test<'_>) -> bool {
    match key {
        Key::Peer => {
            [&entry.from, &entry.to].into_iter().filter_map(Party::peer).any(|peer| test(peer.as_str().as_bytes()))
        }
        Key::Type => {
            let claimed = match &entry.what {
                Said::Malformed { kind, .. } => kind.as_deref(),
                _ => None,
            };
            test(entry.what.kind().as_bytes()) || claimed.is_some_and(|kind| test(kind.as_bytes()))
        }
        Key::Text => test(&entry.payload),
        Key::Room | Key::Kind | Key::Phase | Key::Finding => false,
    }
}

/// Every key, the cheap ones first.
fn each(key: Option<Key>, mut any: impl FnMut(Key) -> bool) -> bool {
    match key {
        Some(key) => any(key),
        None => {
            [Key::Room, Key::Phase, Key::Finding, Key::Kind, Key::Peer, Key::Type, Key::Text].into_iter().any(&mut any)
        }
    }
}

impl Subject for OfRoom<'_> {
    fn any(&self, key: Option<Key>, test: &mut Test<'_>) -> bool {
        let room = self.0;
        each(key, |key| {
            let of_room = match key {
                Key::Room | Key::Phase | Key::Finding => return room_has(room, key, test),
                Key::Kind => return room.seats().iter().any(|seat| kind_of(room, seat.peer.as_str(), test)),
                Key::Peer => room.seats().iter().any(|seat| test(seat.peer.as_str().as_bytes())),
                // The messages that tell of it may be gone, or have come before we did.
                Key::Type => room.refused() > 0 && test(b"refused"),
                Key::Text => false,
            };
            of_room || room.ladder().iter().any(|entry| entry_has(entry, key, test))
        })
    }
}

impl Subject for OfEntry<'_> {
    fn any(&self, key: Option<Key>, test: &mut Test<'_>) -> bool {
        each(key, |key| match key {
            Key::Room | Key::Phase | Key::Finding => room_has(self.room, key, test),
            Key::Kind => {
                let mut peers = [&self.entry.from, &self.entry.to].into_iter().filter_map(|party| party.peer());
                peers.any(|peer| kind_of(self.room, peer.as_str(), test))
            }
            Key::Peer | Key::Type | Key::Text => entry_has(self.entry, key, test),
        })
    }
}

impl Subject for OfEvent<'_> {
    fn any(&self, key: Option<Key>, test: &mut Test<'_>) -> bool {
        each(key, |key| match key {
            Key::Room => self.line.room.as_ref().is_some_and(|room| test(room.as_str().as_bytes())),
            Key::Peer => self.line.peer().is_some_and(|peer| test(peer.as_bytes())),
            Key::Kind => self.room.zip(self.line.peer()).is_some_and(|(room, peer)| kind_of(room, peer, test)),
            Key::Type => test(self.line.kind().as_bytes()),
            Key::Phase | Key::Finding => self.room.is_some_and(|room| room_has(room, key, test)),
            Key::Text => {
                let more = match &self.line.what {
                    Happened::Audit(audit) => [audit.user.as_deref(), audit.address.as_deref()],
                    Happened::Unread { topic, .. } => [Some(&**topic), None],
                    _ => [None, None],
                };
                self.line.words().into_iter().chain(more.into_iter().flatten()).any(|words| test(words.as_bytes()))
            }
        })
    }
}
