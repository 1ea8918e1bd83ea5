//! MQTT 3.1.1 on the wire, as much of it as the load needs: cheap to write, cheap to read.
//!
//! Not a client for anything else: the load must cost less than what it measures.

use anyhow::{Result, bail};

pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const SUBACK: u8 = 9;
pub const PINGRESP: u8 = 13;

pub const PINGREQ: [u8; 2] = [0xC0, 0];
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// Longer than any workload: nobody pings but to be measured.
const KEEP_ALIVE_SECONDS: u16 = 3600;

pub fn connect(out: &mut Vec<u8>, client: &str) {
    packet(out, 0x10, &[b"\0\x04MQTT\x04\x02", &KEEP_ALIVE_SECONDS.to_be_bytes(), &length(client), client.as_bytes()]);
}

pub fn subscribe(out: &mut Vec<u8>, filter: &str, qos: u8) {
    packet(out, 0x82, &[&[0, 1], &length(filter), filter.as_bytes(), &[qos]]);
}

/// `id` is written for QoS 1 only.
pub fn publish(out: &mut Vec<u8>, topic: &str, qos: u8, id: u16, payload: &[u8]) {
    let id = id.to_be_bytes();
    let id = if qos > 0 { &id[..] } else { &[] };
    packet(out, PUBLISH << 4 | qos << 1, &[&length(topic), topic.as_bytes(), id, payload]);
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

/// Takes apart what follows the fixed header of a PUBLISH that begins with `flags`.
pub fn message(flags: u8, body: &[u8]) -> Option<Message<'_>> {
    let (length, rest) = body.split_first_chunk()?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    if flags & 0x06 == 0 {
        return Some(Message { topic, id: None, payload: rest });
    }
    let (id, payload) = rest.split_first_chunk()?;
    Some(Message { topic, id: Some(*id), payload })
}
