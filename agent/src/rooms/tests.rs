//! What only the inside of the registry shows: that nothing is left over.

use super::*;

fn peer(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

fn say(rooms: &mut Rooms, now: u64, room: &str, from: &str, payload: &str) -> Vec<Output> {
    let mut out = Vec::new();
    let input = Input::Message { room, from: &peer(from), payload: payload.as_bytes(), may_create: true };
    rooms.handle(Timestamp::from_millis(now), input, &mut out);
    out
}

const JOIN: &str = r#"{"type":"join"}"#;
const LEAVE: &str = r#"{"type":"leave"}"#;

#[test]
fn fifty_thousand_rooms_one_after_another_leave_nothing() {
    let mut rooms = Rooms::new(Config::default());
    for n in 0..50_000_u64 {
        let room = format!("room-{n}");
        say(&mut rooms, n, &room, "alice", JOIN);
        say(&mut rooms, n, &room, "bob", JOIN);
        assert_eq!(rooms.pass_signal(&room, "alice", "bob"), Verdict::Allowed);
        rooms.handle(Timestamp::from_millis(n), Input::Ended { peer: &peer("bob"), lost: true }, &mut Vec::new());
        say(&mut rooms, n, &room, "alice", LEAVE);
        rooms.handle(Timestamp::from_millis(n), Input::Ended { peer: &peer("bob"), lost: false }, &mut Vec::new());
    }
    assert_eq!((rooms.rooms.len(), rooms.seats.len(), rooms.deadlines.len(), rooms.effects.len()), (0, 0, 0, 0));
    assert!(rooms.rooms.capacity() < 64 && rooms.seats.capacity() < 64, "one room at a time needs little room");
}

#[test]
fn a_room_made_again_goes_on_counting_even_when_the_clock_was_set_back() {
    let mut rooms = Rooms::new(Config::default());
    let rev = |out: &[Output]| match out {
        [Output::Tell { message, .. }, ..] => message.rev,
        other => panic!("{other:?}"),
    };
    assert_eq!(rev(&say(&mut rooms, 1_000_000, "lobby", "alice", JOIN)), 1_000_000);
    say(&mut rooms, 1_000_000, "lobby", "alice", LEAVE);
    let again = rev(&say(&mut rooms, 5, "lobby", "alice", JOIN));
    assert_eq!(again, 1_000_003, "created, its event and left were three");
    let error = rooms.error("elsewhere", ErrorCode::NotAMember, "no", Timestamp::from_millis(5));
    let next = rev(&say(&mut rooms, 5, "elsewhere", "bob", JOIN));
    assert!(error.rev < next);
    let inside = rooms.error("lobby", ErrorCode::TooLarge, "no", Timestamp::from_millis(5));
    assert_eq!((inside.rev, rooms.state("lobby").unwrap().rev), (again + 2, again + 2), "after created and its event");
}

#[test]
fn a_room_costs_what_its_entry_says() {
    assert!(size_of::<Entry>() <= 152, "{} bytes", size_of::<Entry>());
    assert_eq!(size_of::<SmallVec<[RoomId; 1]>>(), 24);
}

#[test]
fn signals_are_counted_under_a_shared_borrow() {
    let mut rooms = Rooms::new(Config::default());
    say(&mut rooms, 0, "lobby", "alice", JOIN);
    say(&mut rooms, 0, "lobby", "bob", JOIN);
    let pass = || {
        for (room, from, to) in [("lobby", "alice", "bob"), ("lobby", "carol", "bob"), ("nowhere", "alice", "bob")] {
            rooms.pass_signal(room, from, to);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| pass()));
        }
    });
    assert_eq!(rooms.state("lobby").unwrap().messages, 4000);
}

#[test]
fn after_the_clock_was_set_back_a_new_room_begins_no_earlier_than_before() {
    let mut rooms = Rooms::new(Config::default());
    rooms.handle(Timestamp::from_millis(1_000_000), Input::Tick, &mut Vec::new());
    assert!(
        matches!(say(&mut rooms, 5, "lobby", "alice", JOIN)[0], Output::Tell { ref message, .. } if message.rev == 1_000_000)
    );
}
