//! What is said to the scripts, and what they answer. Their names for things are in `script/room.lua`.

use super::PARTITIONS;
use crate::store::{Due, Entry, Kept, Look, StoreError, Write};
use protocol::{RoomId, Timestamp};
use redis::{FromRedisValue, Script, Value};
use std::time::Duration;

/// [`super::super::SPEAK`], as scripts are told.
pub(super) const SPEAK_MS: &str = "1000";
/// [`super::super::DUE`], [`super::super::SPEAK`], and by how much less a clock shows that was set back.
pub(super) const DUE_ARGS: &[&str] = &["256", SPEAK_MS, "2000"];

pub(super) type Keys = Vec<String>;

pub(super) struct Scripts {
    pub(super) look: Script,
    pub(super) write: Script,
    pub(super) spoken: Script,
    pub(super) due: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let about_a_room = |own: &str| Script::new(&format!("{}\n{own}", include_str!("../script/room.lua")));
        Self {
            look: about_a_room(include_str!("../script/look.lua")),
            write: about_a_room(include_str!("../script/write.lua")),
            spoken: about_a_room(include_str!("../script/spoken.lua")),
            due: Script::new(include_str!("../script/due.lua")),
        }
    }
}

/// FNV-1a: the same in every build, as partitions are for ever.
fn partition(room: &RoomId) -> u8 {
    let hash =
        room.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % u32::from(PARTITIONS)) as u8
}

fn key(prefix: &str, partition: u8, what: &str) -> String {
    format!("{prefix}{{{partition}}}:{what}")
}

/// A room's keys, as its scripts want them.
pub(super) fn keys(prefix: &str, room: &RoomId) -> Keys {
    let partition = partition(room);
    let key = |what: &str| key(prefix, partition, what);
    vec![key(&format!("room:{room}")), key("due"), key("counters"), key("seats")]
}

pub(super) fn due_keys(prefix: &str, partition: u8) -> Keys {
    vec![key(prefix, partition, "due"), key(prefix, partition, "counters")]
}

pub(super) fn seats(prefix: &str, partition: u8) -> String {
    key(prefix, partition, "seats")
}

/// What `write` is told besides what all are.
pub(super) fn write_args(write: &Write) -> Vec<String> {
    let Write { version, id, kept, said, due, first, floor, come, gone } = write;
    // Names, numbers and JSON values cannot fail to become JSON.
    let kept = kept.as_ref().map(|kept| serde_json::to_string(kept).unwrap_or_default()).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { serde_json::to_string(said).unwrap_or_default() };
    let due = due.map(|due| due.as_millis().to_string()).unwrap_or_default();
    let first = first.unwrap_or_default().to_string();
    let mut args = vec![version.to_string(), id.clone(), kept, said, due, first, floor.to_string()];
    args.push(come.len().to_string());
    args.extend(come.iter().chain(gone).map(ToString::to_string));
    args
}

/// How things stand, and whether the write is made that asked for it.
pub(super) fn look(room: &RoomId, answer: Vec<Value>) -> Result<(bool, Look), StoreError> {
    let mut fields = answer.into_iter();
    let is_made = next::<u8>(&mut fields)? == 1;
    let now = Timestamp::from_millis(next(&mut fields)?);
    let (floor, version, by) = (next(&mut fields)?, next(&mut fields)?, next(&mut fields)?);
    let kept: String = next(&mut fields)?;
    let kept = match kept.as_str() {
        "" => None,
        // Of another version of the agent, or another program's: those inside will join again.
        json => serde_json::from_str::<Kept>(json)
            .inspect_err(|error| tracing::warn!(%room, %error, "what the store has of a room is not understood"))
            .ok(),
    };
    let mut speak = Vec::new();
    while fields.len() > 0 {
        let (version, said) = (next(&mut fields)?, next::<String>(&mut fields)?);
        let said = serde_json::from_str(&said)
            .inspect_err(|error| tracing::warn!(%room, %error, "what is to be said in a room is not understood"))
            .unwrap_or_default();
        speak.push(Entry { version, said });
    }
    Ok((is_made, Look { now, floor, version, by, kept, speak }))
}

pub(super) fn due(answer: Vec<Value>) -> Result<Due, StoreError> {
    let mut fields = answer.into_iter();
    let began = next(&mut fields)?;
    let next_in: String = next(&mut fields)?;
    let next_in = next_in.parse().ok().map(Duration::from_millis);
    let mut rooms = Vec::new();
    while fields.len() > 0 {
        rooms.extend(next::<String>(&mut fields)?.parse::<RoomId>().ok());
    }
    Ok(Due { rooms, next: next_in, began })
}

fn next<T: FromRedisValue>(fields: &mut impl Iterator<Item = Value>) -> Result<T, StoreError> {
    let value = fields.next().ok_or_else(|| StoreError("the store's answer is cut short".into()))?;
    T::from_redis_value(value).map_err(|error| StoreError(format!("the store's answer is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DUE, SPEAK};

    #[test]
    fn scripts_are_told_the_numbers_of_the_contract() {
        assert_eq!(SPEAK_MS, SPEAK.as_millis().to_string());
        assert_eq!(DUE_ARGS[0], DUE.to_string());
    }

    #[test]
    fn all_keys_of_a_room_are_in_one_slot_and_rooms_are_spread() {
        let mut found = [0; PARTITIONS as usize];
        for n in 0..1600 {
            let room: RoomId = format!("room-{n}").parse().unwrap();
            let keys = keys("duet:", &room);
            let tag = |key: &str| key[key.find('{').unwrap()..=key.find('}').unwrap()].to_owned();
            assert!(keys.iter().all(|key| tag(key) == tag(&keys[0])), "{keys:?}");
            found[usize::from(partition(&room))] += 1;
        }
        assert!(found.iter().all(|rooms| (50..200).contains(rooms)), "{found:?}");
        let lobby = keys("duet:", &"lobby".parse().unwrap());
        assert_eq!(lobby, ["duet:{3}:room:lobby", "duet:{3}:due", "duet:{3}:counters", "duet:{3}:seats"]);
    }
}
