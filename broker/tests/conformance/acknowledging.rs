//! How a client acknowledges what it is sent at QoS 1.

use super::wire::Wire;
use super::{lasting, open};
use crate::support::Broker;
use crate::support::client::{BOTH, Client, Hello, V3, V5};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Property, ReceiveMaximum, WillDelayInterval};
use std::collections::VecDeque;

/// As many messages as a client is sent at once that has not said how many it takes.
const AT_ONCE: usize = 64;

/// One that is sent `at_once` messages on topic `a`.
fn reader(broker: &Broker, version: Version, at_once: usize) -> Wire {
    let mut hello = Hello::new(version, "reader");
    if at_once < AT_ONCE {
        let receive_maximum = ReceiveMaximum::new(u16::try_from(at_once).unwrap()).unwrap();
        hello.properties = vec![Property::ReceiveMaximum(receive_maximum)];
    }
    let mut reader = Wire::connect(broker, &hello);
    assert_eq!(reader.ask(0x82, 1, &[("a", 1)]), [1]);
    reader
}

/// A message of one byte at QoS 1: its packet identifier.
fn message(reader: &mut Wire, payload: u8) -> u16 {
    let packet = reader.packet().unwrap();
    assert_eq!((packet[0], packet.last()), (0x32, Some(&payload)), "{packet:x?}");
    u16::from_be_bytes([packet[5], packet[6]])
}

/// What may follow a packet identifier in PUBACK (MQTT 3.4): a reason code, which ends the handshake whatever it is, and
/// properties.
fn endings(version: Version) -> &'static [&'static [u8]] {
    match version {
        V5 => &[b"", b"\x00", b"\x97", b"\x00\x00", b"\x10\x04\x1f\x00\x01x"],
        _ => &[b""],
    }
}

/// Sends a PUBACK, and `cut` bytes of it so that they are read by themselves.
fn acknowledge(reader: &mut Wire, id: u16, ending: &[u8], cut: usize) {
    let length = u8::try_from(2 + ending.len()).unwrap();
    let puback = [&[0x40, length][..], &id.to_be_bytes(), ending].concat();
    if cut > 0 {
        reader.send(&[&[0xC0, 0], &puback[..cut]].concat());
        assert_eq!(reader.packet().unwrap(), [0xD0, 0]);
    }
    reader.send(&puback[cut..]);
}

#[test]
fn an_acknowledgement_makes_room_for_one_message_however_it_is_written_and_wherever_it_is_cut() {
    let broker = open();
    for (version, at_once) in [(V3, AT_ONCE), (V5, AT_ONCE), (V5, 3), (V5, 1)] {
        let mut reader = reader(&broker, version, at_once);
        let mut sender = Client::connect(&broker, version, "sender");
        let mut numbers = 0..=u8::MAX;
        let mut under_way = VecDeque::new();
        for number in numbers.by_ref().take(at_once) {
            sender.publish("a", [number], 1);
            under_way.push_back(message(&mut reader, number));
        }
        let cuts = [0, 1, 2, 3].iter().flat_map(|cut| endings(version).iter().map(move |ending| (*cut, *ending)));
        for ((cut, ending), number) in cuts.cycle().take(60).zip(numbers) {
            sender.publish("a", [number], 1);
            sender.ping();
            assert!(reader.is_quiet(), "{at_once} are under way");
            // Not always the first.
            let place = usize::from(number / 4 % 2) * (under_way.len() - 1);
            acknowledge(&mut reader, under_way.remove(place).unwrap(), ending, cut);
            under_way.push_back(message(&mut reader, number));
            let mut others: Vec<u16> = under_way.iter().copied().collect();
            others.sort_unstable();
            others.dedup();
            assert_eq!(others.len(), at_once, "no identifier is used twice");
        }
    }
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_ends_the_connection() {
    let broker = open();
    for version in BOTH {
        for is_under_way in [false, true] {
            for (again, cut) in [(true, 0), (true, 2), (false, 0), (false, 3)] {
                let mut reader = reader(&broker, version, AT_ONCE);
                let mut sender = Client::connect(&broker, version, "sender");
                sender.publish("a", b"0", 1);
                let id = message(&mut reader, b'0');
                acknowledge(&mut reader, id, b"", 0);
                if is_under_way {
                    sender.publish("a", b"1", 1);
                    sender.publish("a", b"2", 1);
                    let (first, _) = (message(&mut reader, b'1'), message(&mut reader, b'2'));
                    acknowledge(&mut reader, first, b"", 0);
                    acknowledge(&mut reader, if again { first } else { 99 }, b"", cut);
                } else {
                    acknowledge(&mut reader, if again { id } else { 99 }, b"", cut);
                }
                assert_eq!(reader.ends(), (version == V5).then_some(0x82));
            }
        }
    }
}

#[test]
fn an_acknowledgement_is_a_sign_of_life_and_so_is_a_message() {
    let broker = open();
    let [mut reader, mut writer] = [("reader", 1), ("writer", 0)].map(|(id, qos)| {
        let mut hello = Hello::new(V3, id);
        hello.keep_alive = 2;
        let mut wire = Wire::connect(&broker, &hello);
        assert_eq!(wire.ask(0x82, 1, &[("a", qos)]), [qos]);
        wire
    });
    // The broker's own clock says when the time is over.
    for (id, delay) in [("two", 2), ("four", 4)] {
        let mut mortal = lasting(V5, id);
        mortal.will = Some(("a".into(), delay.to_string()));
        mortal.will_properties = vec![Property::WillDelayInterval(WillDelayInterval::new(delay).unwrap())];
        Client::hello(&broker, &mortal).0.lose();
    }
    for payload in [b'2', b'4'] {
        let id = message(&mut reader, payload);
        acknowledge(&mut reader, id, b"", 0);
        assert_eq!(writer.packet().unwrap(), [0x30, 4, 0, 1, b'a', payload]);
        writer.send(b"\x30\x04\x00\x01b!");
    }
    assert!(reader.is_quiet() && writer.is_quiet());
}
