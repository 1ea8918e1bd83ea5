//! What a client's frames say (RFC 6455 §5), as they come: the payload of data is handed on in whatever pieces there are,
//! since MQTT does not care how it is cut, and is never gathered. Headers are tungstenite's to read and to write.

use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Most payload of a control frame (§5.5).
const LARGEST_CONTROL: u64 = 125;

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Of the frame of data that has begun, still to come.
    left: u32,
    /// From the next byte on, which is its lowest.
    mask: u32,
    /// Of the message that has begun, if one has; at most `max`, with what is left of its frame.
    message: Option<u32>,
    /// The frame is the last of its message.
    is_last: bool,
    max: u32,
}

/// What was taken of some bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    /// So many, from the beginning.
    pub used: usize,
    /// So many bytes of data are at the beginning now.
    pub data: usize,
    /// What was said between them, at last: of several pings the last one may be answered alone (§5.5.3).
    pub said: Option<Said>,
}

/// What a client says to the WebSocket itself.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// To be answered with a pong, and this.
    Ping(Box<[u8]>),
    /// To be answered with the same code, or the one that says what is wrong with it.
    Close(Option<CloseCode>),
}

/// What ends the connection: the code that says why (§7.4.1), and words.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{1}")]
pub(super) struct Violation(pub CloseCode, pub &'static str);

const fn protocol(why: &'static str) -> Violation {
    Violation(CloseCode::Protocol, why)
}

impl Frames {
    /// Of a client whose messages have `max` bytes at most.
    pub(super) fn new(max: u32) -> Self {
        Self { left: 0, mask: 0, message: None, is_last: false, max }
    }

    /// Takes what can be taken of `bytes`, up to a Close or the beginning of a frame.
    ///
    /// # Errors
    /// If what they begin with must not come; what must not come behind something else is found the next time.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Result<Taken, Violation> {
        let (mut used, mut data, mut said) = (0, 0, None);
        loop {
            let length = bytes[used..].len().min(self.left as usize);
            if length > 0 {
                unmask(&mut bytes[used..used + length], self.mask);
                self.mask = self.mask.rotate_right(8 * (length % 4) as u32);
                bytes.copy_within(used..used + length, data);
                (used, data) = (used + length, data + length);
                self.left -= length as u32;
            }
            if self.left == 0 && self.is_last {
                (self.message, self.is_last) = (None, false);
            }
            let mut rest = Cursor::new(&bytes[used..]);
            let header = match FrameHeader::parse(&mut rest) {
                Ok(None) => break,
                Ok(Some((header, length))) => self.judge(&header, length).map(|kind| (header, kind, length)),
                Err(_) => Err(protocol("a frame of no known kind")),
            };
            let (header, kind, length) = match header {
                Ok(frame) => frame,
                Err(_) if used > 0 => break,
                Err(violation) => return Err(violation),
            };
            let begin = used + rest.position() as usize;
            let mask = u32::from_le_bytes(header.mask.unwrap_or_default());
            match kind {
                OpCode::Data(_) => {
                    self.left = length as u32;
                    self.mask = mask;
                    self.message = Some(self.message.unwrap_or_default() + self.left);
                    self.is_last = header.is_final;
                    used = begin;
                }
                OpCode::Control(control) => {
                    let Some(payload) = bytes.get_mut(begin..begin + length as usize) else { break };
                    unmask(payload, mask);
                    used = begin + length as usize;
                    match control {
                        Control::Ping => said = Some(Said::Ping((&*payload).into())),
                        Control::Close => {
                            said = Some(Said::Close(close_code(payload)));
                            break;
                        }
                        Control::Pong | Control::Reserved(_) => {}
                    }
                }
            }
        }
        Ok(Taken { used, data, said })
    }

    /// What a frame is, if it may come now.
    fn judge(&self, header: &FrameHeader, length: u64) -> Result<OpCode, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(protocol("reserved bits without an extension"));
        }
        if header.mask.is_none() {
            return Err(protocol("a client's frame without a mask"));
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => Err(protocol("a control frame in parts")),
            OpCode::Control(_) if length > LARGEST_CONTROL => Err(protocol("a control frame of more than 125 bytes")),
            // MQTT-6.0.0-1.
            OpCode::Data(Data::Text) => Err(Violation(CloseCode::Unsupported, "MQTT packets come in binary messages")),
            OpCode::Data(Data::Continue) if self.message.is_none() => Err(protocol("a continuation of nothing")),
            OpCode::Data(Data::Binary) if self.message.is_some() => Err(protocol("a message within another")),
            OpCode::Data(_) if length > u64::from(self.max - self.message.unwrap_or_default()) => {
                Err(Violation(CloseCode::Size, "a message beyond all limits"))
            }
            kind => Ok(kind),
        }
    }
}

/// §5.3; eight bytes at a time, which compilers make more of.
fn unmask(bytes: &mut [u8], mask: u32) {
    let twice = u64::from(mask) << 32 | u64::from(mask);
    let (eights, rest) = bytes.as_chunks_mut::<8>();
    for bytes in eights {
        *bytes = (u64::from_le_bytes(*bytes) ^ twice).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.to_le_bytes().into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// The code in a Close, or the one to answer it with (§5.5.1, §7.4).
fn close_code(payload: &[u8]) -> Option<CloseCode> {
    match payload {
        [] => None,
        [high, low, reason @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            let is_right = code.is_allowed() && std::str::from_utf8(reason).is_ok();
            Some(if is_right { code } else { CloseCode::Protocol })
        }
        [_] => Some(CloseCode::Protocol),
    }
}

/// Appends a frame of the server's.
pub(super) fn write(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    // A `Vec` takes whatever is written.
    let _ = header.format(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// A control frame by itself.
pub(super) fn control(control: Control, payload: &[u8]) -> Box<[u8]> {
    let mut frame = Vec::with_capacity(2 + payload.len());
    write(&mut frame, OpCode::Control(control), payload);
    frame.into()
}

#[cfg(test)]
mod tests;
