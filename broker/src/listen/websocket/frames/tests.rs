use super::*;
use proptest::prelude::*;
use tungstenite::protocol::frame::Frame;

const MAX: u32 = 1000;

/// A client's frame.
fn frame(opcode: OpCode, is_final: bool, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { is_final, opcode, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

fn binary(payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Data(Data::Binary), true, [1, 2, 3, 4], payload)
}

fn control_frame(kind: Control, payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Control(kind), true, [9, 8, 7, 6], payload)
}

/// What comes out of `bytes` in one go.
fn take(frames: &mut Frames, bytes: &[u8]) -> (Vec<u8>, usize, Option<Said>) {
    let mut bytes = bytes.to_vec();
    let taken = frames.take(&mut bytes).unwrap();
    (bytes[..taken.data].to_vec(), taken.used, taken.said)
}

#[test]
fn a_message_has_a_limit_in_one_frame_and_in_many() {
    let limit = |sizes: &[u32]| {
        let mut frames = Frames::new(MAX);
        for (number, size) in sizes.iter().enumerate() {
            let kind = if number == 0 { Data::Binary } else { Data::Continue };
            let is_final = number + 1 == sizes.len();
            frames.take(&mut frame(OpCode::Data(kind), is_final, [0; 4], &vec![0; *size as usize]))?;
        }
        // It is over, so that another may be as large.
        frames.take(&mut binary(&[0; MAX as usize])).map(|_| ())
    };
    for sizes in [&[MAX][..], &[0, MAX], &[MAX, 0], &[MAX - 1, 0, 1], &[1; MAX as usize]] {
        assert_eq!(limit(sizes), Ok(()), "{sizes:?}");
    }
    for sizes in [&[MAX + 1][..], &[MAX, 1], &[MAX / 2, MAX / 2, 1], &[1; MAX as usize + 1]] {
        assert_eq!(limit(sizes).unwrap_err().0, CloseCode::Size, "{sizes:?}");
    }
}

#[test]
fn what_must_not_come_is_found_behind_what_may() {
    let mut frames = Frames::new(MAX);
    let (good, bad) = (binary(b"data"), [0xC2, 0x80, 0, 0, 0, 0]);
    assert_eq!(take(&mut frames, &[&good[..], &bad].concat()), (b"data".to_vec(), good.len(), None));
    assert_eq!(frames.take(&mut bad.clone()).unwrap_err().0, CloseCode::Protocol);
}

#[test]
fn the_last_ping_is_answered_and_a_close_is_the_end() {
    let mut frames = Frames::new(MAX);
    let pings = [control_frame(Control::Ping, b"1"), binary(b"a"), control_frame(Control::Ping, b"2"), binary(b"b")];
    let pings = [pings.concat(), control_frame(Control::Pong, b"3")].concat();
    assert_eq!(take(&mut frames, &pings), (b"ab".to_vec(), pings.len(), Some(Said::Ping((*b"2").into()))));
    let close = control_frame(Control::Close, &[0x0F, 0xA1]);
    let said = Some(Said::Close(Some(CloseCode::Library(4001))));
    assert_eq!(take(&mut frames, &[&close[..], &binary(b"c")].concat()), (Vec::new(), close.len(), said));
}

#[test]
fn a_close_is_answered_with_its_code_or_with_what_is_wrong_with_it() {
    for (payload, answer) in [
        (&b""[..], None),
        (b"\x03\xE8", Some(CloseCode::Normal)),
        (b"\x03\xE9gone", Some(CloseCode::Away)),
        (b"\x03", Some(CloseCode::Protocol)),
        (b"\x03\xED", Some(CloseCode::Protocol)), // 1005 is never said
        (b"\x03\xE8\xFF", Some(CloseCode::Protocol)),
    ] {
        assert_eq!(close_code(payload), answer, "{payload:?}");
    }
}

/// Frames of a client as it may send them, and what they say.
fn conversation() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Option<Said>)> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..300);
    let message = proptest::collection::vec((payload(), any::<[u8; 4]>(), proptest::option::of(0..126usize)), 1..4);
    proptest::collection::vec(message, 0..6).prop_map(|messages| {
        let (mut wire, mut data, mut said) = (Vec::new(), Vec::new(), None);
        for message in messages {
            let parts = message.len();
            for (number, (payload, mask, ping)) in message.into_iter().enumerate() {
                let kind = if number == 0 { Data::Binary } else { Data::Continue };
                wire.extend(frame(OpCode::Data(kind), number + 1 == parts, mask, &payload));
                data.extend(payload);
                if let Some(length) = ping {
                    wire.extend(frame(OpCode::Control(Control::Ping), true, mask, &vec![7; length]));
                    said = Some(Said::Ping(vec![7; length].into()));
                }
            }
        }
        (wire, data, said)
    })
}

proptest! {
    #[test]
    fn however_frames_are_cut_they_say_the_same((wire, data, said) in conversation(), cuts in proptest::collection::vec(1..200usize, 1..40)) {
        let mut frames = Frames::new(MAX);
        let (mut heard, mut last) = (Vec::new(), None);
        let mut ahead: Vec<u8> = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.into_iter().chain([wire.len()]) {
            let (piece, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            ahead.extend(piece);
            let taken = frames.take(&mut ahead).unwrap();
            heard.extend(&ahead[..taken.data]);
            ahead.drain(..taken.used);
            last = taken.said.or(last);
            prop_assert!(ahead.len() < 14 + 125, "only the beginning of a frame waits");
        }
        prop_assert_eq!((heard, last, ahead.len()), (data, said, 0));
    }

    #[test]
    fn nothing_makes_it_panic_or_give_more_than_it_got(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frames = Frames::new(MAX);
        let mut bytes = bytes;
        while let Ok(taken) = frames.take(&mut bytes) {
            prop_assert!(taken.data <= taken.used && taken.used <= bytes.len());
            if taken.used == 0 {
                break;
            }
            bytes.drain(..taken.used);
        }
    }

    #[test]
    fn what_is_written_is_what_the_library_would_write(payload in proptest::collection::vec(any::<u8>(), 0..70_000)) {
        let mut expected = Vec::new();
        Frame::message(payload.clone(), OpCode::Data(Data::Binary), true).format(&mut expected).unwrap();
        let mut written = Vec::new();
        write(&mut written, OpCode::Data(Data::Binary), &payload);
        prop_assert_eq!(written, expected);
    }
}
