//! A connection on which every byte is the test's own.

use crate::support::client::{Hello, V5};
use crate::support::{Broker, PATIENCE};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use std::io::{Read, Write};
use std::net::TcpStream;

/// See the module.
pub struct Wire {
    socket: TcpStream,
    pub version: Version,
}

impl Wire {
    /// A connection that has said nothing.
    pub fn silent(broker: &Broker) -> Self {
        let socket = TcpStream::connect(broker.mqtt).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, version: V5 }
    }

    /// One that is let in.
    pub fn connect(broker: &Broker, hello: &Hello) -> Self {
        let mut wire = Self { version: hello.version, ..Self::silent(broker) };
        wire.send(&hello.packet().to_continuous_buffer());
        let connack = wire.packet().unwrap();
        assert_eq!((connack[0], connack[connack.len().min(4) - 1]), (0x20, 0), "{connack:x?}");
        wire
    }

    pub fn new(broker: &Broker, version: Version, id: &str) -> Self {
        Self::connect(broker, &Hello::new(version, id))
    }

    /// Bytes, as long as the other side takes them.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// One packet, whole; `None` when the connection has ended.
    pub fn packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0];
        self.socket.read_exact(&mut packet).ok()?;
        let mut length = 0;
        for place in 0.. {
            let mut byte = [0];
            self.socket.read_exact(&mut byte).ok()?;
            packet.push(byte[0]);
            length |= usize::from(byte[0] & 0x7F) << (7 * place);
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let head = packet.len();
        packet.resize(head + length, 0);
        self.socket.read_exact(&mut packet[head..]).ok()?;
        Some(packet)
    }

    /// Whether nothing has come before the answer to a ping.
    pub fn is_quiet(&mut self) -> bool {
        self.send(&[0xC0, 0]);
        self.packet().as_deref() == Some(&[0xD0, 0])
    }

    /// The connection has ended; the reason of its DISCONNECT, none where there was none.
    pub fn ends(&mut self) -> Option<u8> {
        let mut reason = None;
        while let Some(packet) = self.packet() {
            if packet[0] == 0xE0 {
                reason = packet.get(2).copied();
            }
        }
        // Not for want of patience.
        assert!(matches!(self.socket.read(&mut [0]), Ok(0)) || self.is_reset(), "the connection is still there");
        reason
    }

    fn is_reset(&self) -> bool {
        let error = self.socket.take_error();
        !matches!(error, Ok(None))
            || self.socket.peek(&mut [0]).is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock)
    }

    /// A PUBLISH on topic `a` with flags (DUP, QoS, RETAIN).
    pub fn publish(&mut self, flags: u8, id: u16, payload: u8) {
        let [high, low] = id.to_be_bytes();
        match self.version {
            V5 => self.send(&[0x30 | flags, 7, 0, 1, b'a', high, low, 0, payload]),
            _ => self.send(&[0x30 | flags, 6, 0, 1, b'a', high, low, payload]),
        }
    }

    /// An acknowledgement of a kind (its first byte).
    pub fn acknowledge(&mut self, kind: u8, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.send(&[kind, 2, high, low]);
    }

    /// Whether the next packet is an acknowledgement of this kind.
    pub fn expect(&mut self, kind: u8, id: u16) {
        let [high, low] = id.to_be_bytes();
        let packet = self.packet();
        let is_it = packet.as_deref().is_some_and(|p| p.len() >= 4 && p[0] == kind && p[2..4] == [high, low]);
        assert!(is_it, "{packet:x?} in place of {kind:x} {id}");
    }

    /// SUBSCRIBE or UNSUBSCRIBE (its first byte) with filters, with options of each for SUBSCRIBE; the codes.
    pub fn ask(&mut self, kind: u8, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
        self.try_ask(kind, id, filters).expect("an answer")
    }

    /// The same; `None` if the connection ends instead.
    pub fn try_ask(&mut self, kind: u8, id: u16, filters: &[(&str, u8)]) -> Option<Vec<u8>> {
        let mut body = id.to_be_bytes().to_vec();
        let has_properties = self.version == V5;
        body.extend(has_properties.then_some(0));
        for (filter, options) in filters {
            body.extend(u16::try_from(filter.len()).unwrap().to_be_bytes());
            body.extend(filter.as_bytes());
            body.extend((kind == 0x82).then_some(*options));
        }
        self.send(&[&[kind, u8::try_from(body.len()).unwrap()][..], &body].concat());
        let answer = self.packet()?;
        if answer[0] == 0xE0 {
            return None;
        }
        assert_eq!((answer[0], &answer[2..4]), (if kind == 0x82 { 0x90 } else { 0xB0 }, &id.to_be_bytes()[..]));
        Some(answer[if has_properties { 5 } else { 4 }..].to_vec())
    }
}
