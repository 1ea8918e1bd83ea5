//! What comes first on a connection, as bytes: read until it is whole, no more of it than a CONNECT may have.

use super::Transport;
use crate::hub::Hub;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event;
use mqtt_protocol_core::mqtt::role::Server;
use mqtt_protocol_core::mqtt::{Connection, Version};
use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

/// Bytes of a packet up to the protocol level of a CONNECT (MQTT 3.1.2.2).
const HEAD: usize = 12;
/// Most bytes of a fixed header (MQTT 2.1).
const FIXED_HEADER: usize = 5;

/// What came first.
pub(super) enum First {
    /// One packet, what it led to, and the bytes that came after it.
    Packet(Vec<Event>, Vec<u8>),
    /// A packet that says it is larger than a CONNECT may be; its version, if that has words for it.
    TooLarge(Option<Version>),
    /// A CONNECT of another protocol level than 4 and 5.
    OtherLevel,
}

/// Reads until one packet is complete.
pub(super) async fn read<S: Transport>(
    socket: &mut S,
    hub: &Hub,
    connection: &mut Connection<Server>,
) -> Option<First> {
    let mut bytes = Vec::new();
    let first = loop {
        let read = poll_fn(|context| {
            super::with_scratch(|scratch| {
                let read = ready!(super::read(socket, context, scratch))?;
                bytes.extend_from_slice(read);
                Poll::Ready(io::Result::Ok(read.len()))
            })
        });
        match read.await {
            Ok(0) | Err(_) => return None,
            Ok(length) => hub.counters.bytes_received.add(length as u64),
        }
        // A CONNECT with flags is none (MQTT-2.1.3-1; 3.1.1: MQTT-2.2.2-2); the library does not look at them.
        if bytes.first().is_some_and(|first| !super::has_legal_flags(*first)) {
            break First::Packet(Vec::new(), Vec::new());
        }
        let whole = match size(&bytes) {
            // Not handed to the library, which would wait for all of it.
            Some(size) if size > hub.limits.max_connect && bytes.len() < HEAD => continue,
            Some(size) if size > hub.limits.max_connect => break First::TooLarge(version(&bytes)),
            Some(size) => size,
            None => FIXED_HEADER, // whose length has no end; the library says so
        };
        if bytes.len() < whole {
            continue;
        }
        if has_other_level(&bytes) {
            break First::OtherLevel;
        }
        if !has_legal_connect_flags(&bytes) {
            break First::Packet(Vec::new(), Vec::new());
        }
        if let Some(packet) = bytes.get_mut(..whole) {
            accept_no_aliases(packet);
        }
        let mut cursor = Cursor::new(&bytes[..]);
        let events = connection.recv(&mut cursor);
        let at = usize::try_from(cursor.position()).unwrap_or(bytes.len());
        break First::Packet(events, bytes.get(at..).unwrap_or_default().to_vec());
    };
    hub.counters.packets_received.add(1);
    Some(first)
}

/// The size that a packet says it has, with its fixed header (MQTT 2.2.3).
fn size(head: &[u8]) -> Option<usize> {
    let (remaining, digits) = variable_integer(head.get(1..)?)?;
    Some(1 + digits + remaining)
}

/// A variable byte integer and how many bytes it takes (MQTT 1.5.5).
fn variable_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

const NAME: &[u8] = b"\0\x04MQTT";

/// Whether a CONNECT is one of MQTT, of a level that the library would not answer (3.1.1: MQTT-3.1.2-2).
fn has_other_level(connect: &[u8]) -> bool {
    level_and_flags(connect).is_some_and(|(level, _)| !matches!(level, 4 | 5))
}

/// Whether the flags of a CONNECT are such as may be together (MQTT-3.1.2-3, -11 to -15, 3.1.1: also -22); the library
/// does not look at all of them. What is no CONNECT has none.
fn has_legal_connect_flags(connect: &[u8]) -> bool {
    const RESERVED: u8 = 0x01;
    const WILL: u8 = 0x04;
    const WILL_QOS: u8 = 0x18;
    const WILL_RETAIN: u8 = 0x20;
    const PASSWORD: u8 = 0x40;
    const USER: u8 = 0x80;
    let Some((level, flags)) = level_and_flags(connect) else { return true };
    let has = |flag| flags & flag != 0;
    !has(RESERVED)
        && (has(WILL) || !has(WILL_QOS | WILL_RETAIN))
        && flags & WILL_QOS != WILL_QOS
        && (level != 4 || has(USER) || !has(PASSWORD))
}

/// Protocol level and flags of a CONNECT of MQTT.
fn level_and_flags(connect: &[u8]) -> Option<(u8, u8)> {
    match after_name(connect)? {
        [level, flags, ..] => Some((*level, *flags)),
        _ => None,
    }
}

/// The version of a CONNECT, if it is 5.0.
fn version(head: &[u8]) -> Option<Version> {
    after_name(head)?.starts_with(b"\x05").then_some(Version::V5_0)
}

/// What comes after the protocol's name in a CONNECT of MQTT.
fn after_name(connect: &[u8]) -> Option<&[u8]> {
    let at = 2 + connect.iter().skip(1).take_while(|byte| *byte & 0x80 != 0).count();
    let rest = connect.get(at..)?.strip_prefix(NAME)?;
    (connect.first() == Some(&0x10)).then_some(rest)
}

/// A client that accepts no topic aliases may say so by a maximum of 0 (MQTT 3.1.2.11.5), on which the library panics.
/// It is told 1, which comes to the same: nothing that we send has an alias.
fn accept_no_aliases(connect: &mut [u8]) {
    const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    if let Some(at) = find_property(connect, TOPIC_ALIAS_MAXIMUM)
        && let Some([0, low @ 0]) = connect.get_mut(at..at + 2)
    {
        *low = 1;
    }
}

/// Where the value of a property of two bytes in a CONNECT of 5.0 begins, if it is there and what comes before is well
/// formed.
fn find_property(connect: &[u8], wanted: u8) -> Option<usize> {
    version(connect)?;
    let (_, digits) = variable_integer(connect.get(1..)?)?;
    // Name, level, flags, keep-alive.
    let mut at = 1 + digits + NAME.len() + 1 + 1 + 2;
    let (length, digits) = variable_integer(connect.get(at..)?)?;
    at += digits;
    let end = at + length;
    while at < end {
        let id = *connect.get(at)?;
        at += 1;
        if id == wanted {
            return (at + 2 <= end).then_some(at);
        }
        let text = |at: usize| Some(2 + usize::from(u16::from_be_bytes([*connect.get(at)?, *connect.get(at + 1)?])));
        at += match id {
            0x17 | 0x19 => 1,                          // request problem or response information
            0x21 => 2,                                 // receive maximum
            0x11 | 0x27 => 4,                          // session expiry interval, maximum packet size
            0x15 | 0x16 => text(at)?,                  // authentication method and data
            0x26 => text(at)? + text(at + text(at)?)?, // user property
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_packet_says_of_itself_is_read_from_its_first_bytes() {
        for (head, bytes, is_5) in [
            (&b""[..], None, false),
            (b"\x10", None, false),
            (b"\x10\xff", None, false),
            (b"\x10\xff\xff\xff\xff\x01", None, false),
            (b"\x10\x10\0\x04MQTT\x05", Some(18), true),
            (b"\x10\x10\0\x04MQTT\x04", Some(18), false),
            (b"\x10\x80\x80\x01\0\x04MQTT\x05", Some(4 + 16384), true),
            (b"\x30\x80\x80\x01\0\x04MQTT\x05", Some(4 + 16384), false),
            (b"\x10\xff\xff\xff\x7f\0\x04MQTT\x05", Some(5 + 268_435_455), true),
        ] {
            assert_eq!((size(head), version(head).is_some()), (bytes, is_5), "{head:?}");
        }
    }

    #[test]
    fn no_aliases_are_one_and_nothing_else_is_changed() {
        let connect = |properties: &[u8]| {
            let rest = [&b"\0\x04MQTT\x05\x02\0\x3c"[..], &[properties.len() as u8], properties, b"\0\x01x"].concat();
            [&[0x10, rest.len() as u8], &rest[..]].concat()
        };
        let others =
            b"\x11\0\0\0\x3c\x21\0\x05\x27\0\0\x01\0\x19\x01\x17\0\x26\0\x01\x22\0\x02\0\0\x15\0\x03\x22\0\0\x16\0\0";
        for (before, maximum, told) in [
            (&b""[..], &b"\x22\0\0"[..], &b"\x22\0\x01"[..]),
            (others, b"\x22\0\0", b"\x22\0\x01"),
            (others, b"\x22\0\x05", b"\x22\0\x05"),
            (others, b"\x22\x01\0", b"\x22\x01\0"),
            (others, b"", b""),
            (b"\x99", b"\x22\0\0", b"\x22\0\0"),
            (others, b"\x22\0", b"\x22\0"),
        ] {
            let mut bytes = connect(&[before, maximum].concat());
            accept_no_aliases(&mut bytes);
            assert_eq!(bytes, connect(&[before, told].concat()), "{maximum:?}");
        }
        for cut in 0..40 {
            let whole = connect(&[&others[..], b"\x22\0\0"].concat());
            accept_no_aliases(&mut whole[..cut].to_vec());
        }
        let mut older = b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\x03\x22\0\0".to_vec();
        let same = older.clone();
        accept_no_aliases(&mut older);
        assert_eq!(older, same);
    }
}
