//! MQTT 3.1.1 and 5.0 on the wire, as much of them as the load needs: cheap to write, cheap to read.
//!
//! Not a client for anything else: the load must cost less than what it measures.

use anyhow::{Result, bail};

pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const SUBACK: u8 = 9;
pub const PINGRESP: u8 = 13;
pub const DISCONNECT_TYPE: u8 = 14;

pub const PINGREQ: [u8; 2] = [0xC0, 0];
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// How a connection is asked for.
#[derive(Clone, Copy)]
pub struct Hello<'a> {
    pub version: Version,
    pub id: &'a str,
    /// Forgets what an earlier session has left.
    pub is_clean: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// How long the session shall outlive the connection, in seconds; 3.1.1 knows only whether.
    pub expiry: u32,
    pub login: Option<(&'a str, &'a str)>,
}

/// As the byte of CONNECT has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    V3 = 4,
    V5 = 5,
}

impl Version {
    /// The properties of a packet that has none: their length, where there may be any.
    fn no_properties(self) -> &'static [u8] {
        if self == Self::V5 { &[0] } else { &[] }
    }
}

pub fn connect(out: &mut Vec<u8>, hello: &Hello<'_>) {
    let flags = u8::from(hello.is_clean) << 1 | if hello.login.is_some() { 0xC0 } else { 0 };
    let expiry = hello.expiry.to_be_bytes();
    let expires = [5, 0x11, expiry[0], expiry[1], expiry[2], expiry[3]];
    let properties = match hello.version {
        Version::V3 => &[][..],
        Version::V5 if hello.expiry > 0 => &expires[..],
        Version::V5 => &[0][..],
    };
    let (user, password) = hello.login.unwrap_or_default();
    let lengths = [length(user), length(password)];
    let login = [&lengths[0], user.as_bytes(), &lengths[1], password.as_bytes()];
    packet(
        out,
        0x10,
        &[
            b"\0\x04MQTT",
            &[hello.version as u8, flags],
            &hello.keep_alive.to_be_bytes(),
            properties,
            &length(hello.id),
            hello.id.as_bytes(),
            &if hello.login.is_some() { login.concat() } else { vec![] },
        ],
    );
}

pub fn subscribe(out: &mut Vec<u8>, version: Version, filter: &str, qos: u8) {
    packet(out, 0x82, &[&[0, 1], version.no_properties(), &length(filter), filter.as_bytes(), &[qos]]);
}

/// `id` is written for QoS 1 only.
pub fn publish(out: &mut Vec<u8>, version: Version, topic: &str, qos: u8, id: u16, payload: &[u8]) {
    let id = id.to_be_bytes();
    let id = if qos > 0 { &id[..] } else { &[] };
    packet(out, PUBLISH << 4 | qos << 1, &[&length(topic), topic.as_bytes(), id, version.no_properties(), payload]);
}

pub fn puback(out: &mut Vec<u8>, id: [u8; 2]) {
    out.extend_from_slice(&[PUBACK << 4, 2, id[0], id[1]]);
}

fn length(text: &str) -> [u8; 2] {
    (text.len() as u16).to_be_bytes()
}

fn packet(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(5 + length);
    out.push(first);
    while length > 0x7F {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The first packet in `bytes`, if all of it is there: the length of its fixed header, and of the whole.
pub fn first(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut length = 0;
    for (at, byte) in bytes.iter().skip(1).enumerate() {
        if at == 4 {
            bail!("a remaining length of five bytes");
        }
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let whole = at + 2 + length;
            return Ok((bytes.len() >= whole).then_some((at + 2, whole)));
        }
    }
    Ok(None)
}

/// A PUBLISH taken apart.
pub struct Message<'a> {
    pub topic: &'a [u8],
    pub id: Option<[u8; 2]>,
    pub payload: &'a [u8],
}

/// Takes apart what follows the fixed header of a PUBLISH that begins with `flags`. Properties are passed over.
pub fn message(version: Version, flags: u8, body: &[u8]) -> Option<Message<'_>> {
    let (length, rest) = body.split_first_chunk()?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (id, rest) = if flags & 0x06 == 0 {
        (None, rest)
    } else {
        let (id, rest) = rest.split_first_chunk()?;
        (Some(*id), rest)
    };
    let payload = if version == Version::V5 { rest.get(properties(rest)?..)? } else { rest };
    Some(Message { topic, id, payload })
}

/// How many bytes the properties take that these begin with, and their length.
fn properties(bytes: &[u8]) -> Option<usize> {
    // The same encoding as that of a packet's length, which follows one byte.
    let mut length = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(at + 1 + length);
        }
    }
    None
}

/// The code of a CONNACK, or of a SUBACK for one filter, where it comes after the properties.
pub fn code(version: Version, kind: u8, body: &[u8]) -> Option<u8> {
    let at = match (version, kind) {
        (_, CONNACK) => 1,
        (Version::V3, _) => 2,
        (Version::V5, _) => 2 + properties(body.get(2..)?)?,
    };
    body.get(at).copied()
}
