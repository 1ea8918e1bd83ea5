//! What keys, mouse and messages do to what is seen.

use crate::scene::{Scene, morning};
use crate::stage::Stage;
use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use monitor::app::keys::{self, Focus, TABLE};
use monitor::app::{Action, Cursor, Effect, Format, Orders, Origin, View};
use monitor::recording::Pace;
use monitor::wire::Input;
use proptest::prelude::*;
use protocol::{Control, Timestamp};
use serde_json::json;

const SIZE: (u16, u16) = (80, 24);

fn mouse(stage: &mut Stage, kind: MouseEventKind, column: u16, row: u16) {
    stage.app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
}

const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

/// The row of the table that has the mark of the selection.
fn marked(stage: &mut Stage) -> String {
    let rows = stage.rows();
    rows.into_iter().find(|row| row.starts_with('›')).unwrap_or_default()
}

fn more(stage: &mut Stage, scene: &mut Scene) {
    for input in std::mem::take(&mut scene.inputs) {
        stage.app.take(input);
    }
}

#[test]
fn a_recording_is_stopped_and_its_speed_changed_within_what_people_call_one() {
    let mut stage = Stage::new(&morning(), SIZE);
    let origin = |speed| Origin::Recording { file: "night".into(), pace: Pace { speed: Some(speed), paused: false } };
    stage.app.ui.origin = origin(1.0);
    stage.press("p+--p");
    let played: Vec<_> = [(1.0, true), (2.0, true), (1.0, true), (0.5, true), (0.5, false)]
        .map(|(speed, paused)| Effect::Play(Pace { speed: Some(speed), paused }))
        .into();
    assert_eq!(stage.effects, played);
    for (speed, key, most) in [(600.0, "=", "1000 times"), (0.015, "-", "0.01 times")] {
        stage.app.ui.origin = origin(speed);
        stage.press(&key.repeat(2));
        assert!(stage.rows()[0].contains(most), "{}", stage.text());
    }

    let mut live = Stage::new(&morning(), SIZE);
    live.press("+");
    assert!(live.effects.is_empty() && live.text().contains("--replay FILE"), "{}", live.text());
}

#[test]
fn until_somebody_moves_the_worst_room_is_on_top_and_selected() {
    let mut scene = Scene::new();
    scene.create("a-room", "alice", "browser").tick(100);
    let mut stage = Stage::new(&scene, SIZE);
    assert!(marked(&mut stage).contains("a-room"));
    scene.inputs.clear();
    scene.create("z-room", "cam", "camera").join("z-room", ("cam", "camera"), ("bob", "browser"));
    scene.call("z-room", ("cam", "bob"), ("H264", "VP8")).connection("z-room", "bob", "failed").tick(100);
    more(&mut stage, &mut scene);
    assert!(marked(&mut stage).contains("z-room"), "{}", stage.text());
}

#[test]
fn the_selection_stays_on_its_room_while_rows_move() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("jj");
    let room = stage.app.ui.rooms.selected().expect("a room is selected").to_owned();
    let at = stage.app.ui.rooms.at();
    for keys in ["s", "s", "S", "s", "s", "S", "s"] {
        stage.press(keys);
        assert_eq!(stage.app.ui.rooms.selected(), Some(&*room));
        assert!(marked(&mut stage).contains(&room[..4]), "{room}: {}", stage.text());
    }
    // New rooms above and below.
    stage.press("/<C-u><Enter>");
    while stage.app.ui.rooms.sorting().column != monitor::app::Column::Room {
        stage.press("s");
    }
    let mut scene = Scene::new();
    scene.after(3_600_000);
    for name in ["aaa", "bbb", "ccc", "zzz"] {
        scene.create(name, "p", "browser");
    }
    more(&mut stage, &mut scene);
    stage.app.refresh();
    assert_eq!(stage.app.ui.rooms.selected(), Some(&*room));
    assert_ne!(stage.app.ui.rooms.at(), at, "the rows did move");
}

#[test]
fn equal_rooms_keep_their_order_by_name_both_ways_round() {
    let mut scene = Scene::new();
    for name in ["delta", "alpha", "charlie", "bravo"] {
        scene.create(name, "p", "browser");
    }
    let mut stage = Stage::new(scene.tick(100), SIZE);
    while stage.app.ui.rooms.sorting().column != monitor::app::Column::Phase {
        stage.press("s");
    }
    let names = |stage: &Stage| stage.app.ui.rooms.names().iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&stage), ["alpha", "bravo", "charlie", "delta"]);
    stage.press("S");
    assert_eq!(names(&stage), ["alpha", "bravo", "charlie", "delta"]);
}

#[test]
fn every_column_sorts_both_ways_by_a_click_on_its_heading() {
    let mut stage = Stage::new(&morning(), (120, 40));
    let rows = stage.rows();
    let heading = rows.iter().position(|row| row.contains("ROOM") && row.contains("PHASE")).expect("a heading");
    for (title, column) in [("ROOM", 3), ("MSGS", 3), ("AGE", 1)] {
        let x = rows[heading].find(title).expect("a title") as u16 + column;
        mouse(&mut stage, CLICK, x, heading as u16);
        let first = stage.app.ui.rooms.sorting();
        mouse(&mut stage, CLICK, x, heading as u16);
        assert_eq!(stage.app.ui.rooms.sorting(), first.reversed(), "{title}");
    }
}

#[test]
fn a_click_selects_and_a_second_one_opens() {
    let mut stage = Stage::new(&morning(), SIZE);
    let row = stage.rows().iter().position(|row| row.contains(" lobby ")).expect("the lobby") as u16;
    mouse(&mut stage, CLICK, 20, row);
    assert_eq!(stage.app.ui.rooms.selected(), Some("lobby"));
    assert_eq!(stage.app.ui.view, View::Rooms);
    mouse(&mut stage, CLICK, 20, row);
    assert_eq!(stage.app.ui.view, View::Ladder);
    mouse(&mut stage, CLICK, 1, 2);
    assert_eq!(stage.app.ui.view, View::Rooms, "a click on a tab");
}

#[test]
fn the_ladder_follows_its_end_until_one_looks_up_and_again_after_end() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("2");
    let mut scene = Scene::new();
    scene.after(200_000);
    let last = |stage: &mut Stage| stage.text().contains("LATEST-1");
    for text in ["LATEST-1", "LATEST-2", "LATEST-3"] {
        scene.after(10).signal("lobby", "alice", "bob", json!({"type": text}));
    }
    let inputs = std::mem::take(&mut scene.inputs);
    stage.app.take(inputs[1].clone());
    assert!(last(&mut stage), "it follows: {}", stage.text());
    stage.press("kkk");
    let before = stage.app.ui.ladder.selected();
    stage.app.take(inputs[2].clone());
    stage.app.refresh();
    assert_eq!(stage.app.ui.ladder.selected(), before, "it does not follow while one looks up");
    assert!(!stage.text().contains("following"));
    stage.press("<End>");
    stage.app.take(inputs[3].clone());
    assert!(stage.text().contains("LATEST-3") && stage.text().contains("following"), "{}", stage.text());
    assert_eq!(stage.app.ui.ladder.cursor, Cursor::Tail);
}

#[test]
fn the_wheel_releases_the_end_too() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("2");
    mouse(&mut stage, MouseEventKind::ScrollUp, 40, 10);
    assert_ne!(stage.app.ui.ladder.cursor, Cursor::Tail);
}

#[test]
fn a_pause_freezes_what_is_drawn_and_counts_what_waits() {
    for keys in ["", "/room:lobby<Enter><Enter>", "3", "4"] {
        let mut stage = Stage::new(&morning(), (120, 40));
        stage.press(keys).press("p");
        let body = |stage: &mut Stage| stage.rows()[2..].join("\n");
        let before = body(&mut stage);
        let mut scene = morning();
        scene.inputs.clear();
        scene.after(1_000).create("aaaa", "zoe", "browser");
        scene
            .signal("lobby", "alice", "bob", json!({"type": "ready"}))
            .connection("lobby", "bob", "failed")
            .tick(5_000);
        let messages = scene.inputs.iter().filter(|input| matches!(input, Input::Message(_))).count();
        more(&mut stage, &mut scene);
        assert_eq!(body(&mut stage), before, "{keys}");
        assert!(stage.rows()[0].contains(&format!("PAUSED, {messages} wait")), "{}", stage.rows()[0]);
        stage.press("p");
        assert_ne!(body(&mut stage), before, "{keys}: what waited is shown");
    }
}

#[test]
fn passwords_fragments_and_addresses_are_on_no_screen() {
    let secrets = ["secret-password-of-ice", "EsAw", "Q7vT", "c2VjcmV0", "10.0.7.9", "10.0.9.4", "203.0.113.7"];
    let walks = [
        "",
        "/room:lobby<Enter><Enter>",
        "/room:lobby type:offer<Enter><Enter><Enter>",
        "/room:lobby type:offer<Enter><Enter><Enter>v",
        "/room:lobby type:candidate<Enter><Enter><Home><Enter>",
        "/room:lobby type:candidate<Enter><Enter><Home><Enter>v",
        "/room:lobby type:created<Enter><Enter><Enter>",
        "/room:lobby type:offer,answer<Enter><Enter>mkmd",
        "3",
        "4",
    ];
    for size in [(80, 60), (200, 60)] {
        for keys in walks {
            let mut stage = Stage::new(&morning(), size);
            let text = stage.press(keys).press("y").text();
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} after {keys} at {size:?}:\n{text}");
            }
            for effect in &stage.effects {
                let Effect::Copy(copied) = effect else { continue };
                assert!(!secrets.iter().any(|secret| copied.contains(secret)), "{keys}: {copied}");
            }
        }
    }
    let mut stage = Stage::new(&morning(), (80, 60));
    stage.app.ui.redaction.reveal = true;
    let text = stage.press("/room:lobby type:offer<Enter><Enter><Enter>v").text();
    assert!(text.contains("secret-password-of-ice") && text.contains("REVEALED"), "{text}");
}

#[test]
fn nothing_from_a_peer_steers_the_terminal() {
    for keys in ["", "/room:evil*<Enter><Enter>", "/room:evil*<Enter><Enter>k<Enter>v", "3", "4"] {
        let text = Stage::new(&morning(), (120, 40)).press(keys).text();
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{keys}: {text:?}");
    }
}

#[test]
fn what_is_cut_ends_in_a_sign_and_nothing_runs_into_the_next_column() {
    let mut stage = Stage::new(&morning(), (60, 20));
    let text = stage.text();
    assert!(text.contains("intensive-ca… ●●"), "{text}");
    for row in stage.rows() {
        assert_eq!(unicode_width::UnicodeWidthStr::width(&*row), 60, "{row:?}");
    }
}

#[test]
fn a_removal_names_its_peer_and_asks_first() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("x");
    assert!(stage.effects.is_empty());
    assert!(stage.text().contains("1 removes alice"), "{}", stage.text());
    stage.press("3");
    assert!(stage.effects.is_empty(), "a key that is no answer does nothing");
    stage.press("2");
    let control = Control::Remove { peer: "bob".parse().expect("a name") };
    assert_eq!(stage.effects, [Effect::Order { room: "lobby".into(), control }]);
}

#[test]
fn closing_is_asked_about_the_room_that_was_selected_even_if_rows_move() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("X");
    let mut scene = morning();
    scene.inputs.clear();
    scene.after(1_000).create("lobby-2", "zoe", "browser").tick(1_000);
    more(&mut stage, &mut scene);
    stage.press("<Enter>");
    assert!(stage.effects.is_empty(), "Enter alone closes nothing");
    stage.press("y");
    assert_eq!(stage.effects, [Effect::Order { room: "lobby".into(), control: Control::Close }]);
}

#[test]
fn looking_only_gives_no_orders_and_says_why() {
    for (orders, words) in [(Orders::ReadOnly, "--read-only"), (Orders::Replay, "recording")] {
        for key in ["x", "X"] {
            let mut stage = Stage::new(&morning(), SIZE);
            stage.app.ui.orders = orders;
            stage.press("/room:lobby<Enter>").press(key).press("y12");
            assert!(!stage.effects.iter().any(|effect| matches!(effect, Effect::Order { .. })), "{:?}", stage.effects);
            let mut stage = Stage::new(&morning(), SIZE);
            stage.app.ui.orders = orders;
            assert!(stage.press("/room:lobby<Enter>").press(key).text().contains(words));
        }
    }
}

#[test]
fn exports_copies_and_records_are_asked_of_the_outside() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("em");
    assert_eq!(stage.effects, [Effect::Export { room: "lobby".into(), format: Format::Markdown }]);
    stage.effects.clear();
    stage.press("R");
    assert_eq!(stage.effects, [Effect::Record(true)]);
    stage.app.record(Some("night.ndjson".into()));
    assert!(stage.text().contains("REC night.ndjson"));
    stage.effects.clear();
    stage.press("R");
    assert_eq!(stage.effects, [Effect::Record(false)]);
    stage.effects.clear();
    stage.press("<Enter>y");
    assert!(matches!(&stage.effects[..], [Effect::Copy(text)] if text.contains("type")), "{:?}", stage.effects);
}

#[test]
fn a_wrong_filter_is_told_at_its_place_and_the_old_one_stays() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("/<C-u>room:lobby typ:offer<Enter>");
    let rows = stage.rows();
    let caret = rows[22].find('^').expect("a sign under the place");
    assert_eq!(&rows[23][caret..caret + 4], "typ:", "{rows:#?}");
    assert_eq!(stage.app.ui.sieve.text, "room:lobby");
    stage.press("<Esc>");
    assert_eq!((stage.app.ui.sieve.text.as_str(), stage.app.ui.over.is_none()), ("room:lobby", true));
}

#[test]
fn the_cursor_stands_behind_what_is_written() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/현관").text();
    let cursor = stage.cursor.expect("a cursor");
    assert_eq!((cursor.x, cursor.y), (5, 23));
}

#[test]
fn the_help_names_every_key_of_the_table_and_the_footer_shows_what_holds_here() {
    let mut stage = Stage::new(&morning(), (120, 100));
    let help = stage.press("?").text();
    for binding in TABLE {
        assert!(help.contains(binding.words), "{}", binding.words);
        for key in binding.keys {
            assert!(help.contains(&key.name()), "{}", key.name());
        }
    }
    for (keys, focus) in [
        ("", Focus::Rooms),
        ("2", Focus::Ladder),
        ("2<Enter>", Focus::Detail),
        ("3", Focus::Diagnosis),
        ("4", Focus::Events),
    ] {
        let mut stage = Stage::new(&morning(), (200, 50));
        stage.press(keys);
        assert_eq!(stage.app.ui.focus(), focus);
        let footer = stage.rows().pop().expect("a footer");
        for binding in keys::bindings(focus).filter(|binding| !binding.short.is_empty()) {
            let hint = format!("{} {}", binding.keys[0].name(), binding.short);
            assert!(footer.contains(&hint), "{hint} in {footer}");
        }
    }
    for size in [(40, 10), (60, 20)] {
        let footer = Stage::new(&morning(), size).rows().pop().expect("a footer");
        assert!(footer.contains("? help") && footer.contains("q quit"), "{footer}");
    }
}

#[test]
fn every_action_that_keys_can_ask_for_has_a_key() {
    use Action::*;
    let wanted = [
        Quit,
        Help,
        Show(View::Rooms),
        Show(View::Ladder),
        Show(View::Diagnosis),
        Show(View::Events),
        Show(View::Agents),
        NextView,
        PreviousView,
        Open,
        Back,
        Up,
        Down,
        PageUp,
        PageDown,
        Top,
        End,
        DetailUp,
        DetailDown,
        Raw,
        Mark,
        Compare,
        SortNext,
        SortReverse,
        Filter,
        ClearFilter,
        Pause,
        Faster,
        Slower,
        Copy,
        Export,
        ExportAs(Format::Text),
        ExportAs(Format::Markdown),
        ExportAs(Format::Json),
        Record,
        Remove,
        RemovePeer(0),
        RemovePeer(1),
        Close,
        CloseRoom,
        Theme,
        Erase,
        EraseWord,
        EraseAll,
        CursorLeft,
        CursorRight,
        CursorHome,
        CursorEnd,
        Accept,
    ];
    for action in wanted {
        // An action that is added must be named here, or say why keys cannot ask for it.
        match action {
            Quit | Help | Show(_) | NextView | PreviousView | Open | Back | Up | Down | PageUp | PageDown | Top
            | End | DetailUp | DetailDown | Raw | Mark | Compare | SortNext | SortReverse | Filter | ClearFilter
            | Pause | Faster | Slower | Copy | Export | ExportAs(_) | Record | Remove | RemovePeer(_) | Close
            | CloseRoom | Theme | Erase | EraseWord | EraseAll | CursorLeft | CursorRight | CursorHome | CursorEnd
            | Accept => {}
            // Any character, the mouse, the terminal.
            Type(_) | Click { .. } | Wheel { .. } | Resize { .. } => {}
        }
        assert!(TABLE.iter().any(|binding| binding.action == action), "{action:?}");
    }
}

#[test]
fn a_finding_and_an_event_lead_to_the_message() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("3<Enter>");
    assert_eq!(stage.app.ui.view, View::Ladder);
    assert!(stage.app.ui.ladder.selected().is_some());
    let room = stage.app.ui.ladder.room.clone();
    stage.press("<Esc>");
    assert_eq!(stage.app.ui.rooms.selected(), room.as_deref(), "back in the list on the same room");
}

#[test]
fn a_room_that_went_while_its_ladder_is_open_is_said_to_be_gone() {
    let mut stage = Stage::new(&morning(), SIZE);
    stage.press("/room:lobby<Enter>").press("2");
    stage.app.model = Scene::new().tick(1_000).model();
    assert!(stage.text().contains("lobby is gone"), "{}", stage.text());
    stage.press("jjk<Enter>myde<Esc>").press("v");
}

#[test]
fn ten_thousand_rooms_are_one_screen() {
    let mut scene = Scene::new();
    for number in 0..10_000 {
        scene.create(&format!("room-{number:05}"), "p", "browser");
    }
    let mut stage = Stage::new(scene.tick(1_000), (120, 40));
    assert!(stage.text().contains("10,000"), "{}", stage.text());
    stage.press("s<End>");
    assert!(marked(&mut stage).contains("room-09999"), "{}", stage.text());
}

/// What an operator, a terminal and a broker may do in any order.
#[derive(Debug, Clone)]
enum Deed {
    Key(char),
    Named(u8),
    Click(u16, u16),
    Wheel(u16, u16, bool),
    Resize(u16, u16),
    Take(usize),
    Tick(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => proptest::sample::select("jkghlqGmdvJKsSp+-TeyxXR/?1234\\ nta:*!가".chars().collect::<Vec<_>>()).prop_map(Deed::Key),
        3 => (0u8..12).prop_map(Deed::Named),
        1 => (0u16..210, 0u16..60).prop_map(|(x, y)| Deed::Click(x, y)),
        1 => (0u16..210, 0u16..60, any::<bool>()).prop_map(|(x, y, down)| Deed::Wheel(x, y, down)),
        1 => (1u16..210, 1u16..60).prop_map(|(x, y)| Deed::Resize(x, y)),
        4 => (0usize..400).prop_map(Deed::Take),
        1 => (0u32..100_000).prop_map(Deed::Tick),
    ]
}

const NAMED: [&str; 12] =
    ["<Enter>", "<Esc>", "<Tab>", "<S-Tab>", "<Up>", "<Down>", "<PgUp>", "<PgDn>", "<Home>", "<End>", "<BS>", "<C-w>"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_nothing_panics_and_the_selection_stays_on_its_room(deeds in proptest::collection::vec(deed(), 1..120)) {
        let pool = morning().inputs;
        let mut stage = Stage::new(&Scene::new(), (80, 24));
        for input in &pool[..pool.len() / 2] {
            stage.app.take(input.clone());
        }
        let mut now = 0;
        for deed in deeds {
            stage.app.refresh();
            let before = stage.app.ui.rooms.selected().map(str::to_owned);
            let moves = !matches!(deed, Deed::Take(_) | Deed::Tick(_) | Deed::Resize(..));
            match deed {
                Deed::Key(c) => stage.act_on(&c.to_string()),
                Deed::Named(which) => stage.act_on(NAMED[usize::from(which)]),
                Deed::Click(x, y) => stage.act(Action::Click { x, y }),
                Deed::Wheel(x, y, down) => stage.act(Action::Wheel { x, y, down }),
                Deed::Resize(width, height) => stage.act(Action::Resize { width, height }),
                Deed::Take(which) => stage.app.take(pool[which % pool.len()].clone()),
                Deed::Tick(millis) => {
                    now += u64::from(millis);
                    stage.app.take(Input::Tick(Timestamp::from_millis(crate::scene::START + now)));
                }
            }
            stage.text();
            let rooms = &stage.app.ui.rooms;
            if let Some(selected) = rooms.selected()
                && let Some(name) = rooms.names().get(rooms.at())
                && stage.app.ui.view == View::Rooms
            {
                prop_assert_eq!(&**name, selected, "row and name of the selection are one");
            }
            let touched = rooms.moved();
            if !moves && touched && before.as_deref().is_some_and(|room| rooms.names().iter().any(|name| &**name == room)) {
                prop_assert_eq!(rooms.selected(), before.as_deref(), "only whoever looks moves the selection");
            }
        }
    }
}

/// Two peers with names longer than any column, and a third who is refused.
fn long_names() -> Scene {
    let mut scene = Scene::new();
    let (first, second) = ("first-camera-above-the-northern-entrance", "second-desk-of-the-night-watch");
    scene.create("hall", first, "camera").join("hall", (first, "camera"), (second, "browser"));
    scene.say("rooms/hall/agent/third-who-knocks-in-vain", json!({"type": "join", "v": 1}));
    scene.say("rooms/hall/third-who-knocks-in-vain/agent", json!({"type": "full", "room": "hall", "rev": 1}));
    scene.tick(1_000);
    scene
}

#[test]
fn names_of_lanes_are_cut_before_they_touch_what_stands_beside_them() {
    for width in 50..=200 {
        let mut stage = Stage::new(&long_names(), (width, 24));
        stage.press("<Enter>");
        let rows = stage.rows();
        let heading = rows.iter().find(|row| row.contains("WHAT")).expect("a heading");
        assert!(
            heading.contains(" agent ") && heading.contains("  others ") && heading.contains(" WHAT"),
            "{width}: {heading}"
        );
        assert!(heading.contains(" first") && heading.contains(" seco"), "{width}: {heading}");
    }
}

#[test]
fn both_peers_have_their_share_of_the_column() {
    for width in [120, 130, 200] {
        let mut stage = Stage::new(&long_names(), (width, 40));
        let row = marked(&mut stage);
        assert!(row.contains("first…") || row.contains("first-"), "{width}: {row}");
        assert!(row.contains("· secon"), "{width}: {row}");
    }
}

#[test]
fn nothing_tells_the_quality_of_service_of_the_monitors_own_subscription() {
    let mut stage = Stage::new(&morning(), (120, 40));
    stage.press("/room:lobby type:offer<Enter><Enter><Enter>");
    let text = stage.text();
    assert!(text.contains("m-line") && !text.contains("QoS"), "{text}");
}
