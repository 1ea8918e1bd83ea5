//! The agents view: where it is, what it says of hostile agents, and more of them than there is room for.

use crate::scene::{Scene, morning};
use crate::stage::Stage;
use agent::service::status::{Status, StoreStatus};
use monitor::app::View;

#[test]
fn the_agents_have_a_view_where_any_are_asked_and_only_there() {
    let mut stage = Stage::new(&morning(), (80, 24));
    assert!(!stage.text().contains("Agents"));
    stage.press("5");
    assert_eq!(stage.app.ui.view, View::Rooms);
    assert!(stage.text().contains("start with --agents http://"), "{}", stage.text());
    stage.press("<Tab><Tab><Tab><Tab>");
    assert_eq!(stage.app.ui.view, View::Rooms, "round without it");

    let mut stage = Stage::new(morning().agents(), (80, 24));
    stage.press("<Tab><Tab><Tab><Tab>");
    assert_eq!(stage.app.ui.view, View::Agents);
    assert!(stage.text().contains("agents 3") && stage.text().contains("agent-3"), "{}", stage.text());
    stage.press("p");
    let before = stage.text();
    let mut scene = Scene::new();
    scene.inputs.clear();
    scene.after(300_000).agent(8090, Err("nobody listens there"));
    stage.app.take(scene.inputs.remove(0));
    assert!(!stage.text().contains("nobody listens"), "frozen: {}", stage.text());
    assert_eq!(before.matches("working").count(), stage.text().matches("working").count());
    stage.press("p");
    assert!(stage.text().contains("agents 2/3") && stage.text().contains("nobody listens there"), "{}", stage.text());
    stage.press("<Esc>");
    assert_eq!(stage.app.ui.view, View::Rooms);
}

#[test]
fn whatever_an_agent_says_is_shown_within_bounds_and_steers_nothing() {
    let mut scene = Scene::new();
    let store = StoreStatus { kind: "\u{1b}[2J".into(), answers: true, requests: 0, failures: u64::MAX, micros: 0 };
    let (name, most) = ("\u{1b}]0;x\u{7}\u{202e}".repeat(40), u64::MAX);
    for turn in 0..2 {
        for port in 8090..8092 {
            let store = StoreStatus { requests: turn * most, micros: turn * most, ..store.clone() };
            let (agent, version) = (name.clone(), name.clone());
            let (uptime, heard, allowed, denied) = (most, turn * most, most, most);
            let status = Status { agent, version, uptime, connected: true, heard, allowed, denied, store };
            scene.agent(port, Ok(status)).agent(port + 9, Err(&name));
        }
        scene.tick(2_000);
    }
    for size in [(40, 10), (60, 20), (80, 24), (120, 40), (200, 50)] {
        let mut stage = Stage::new(&scene, size);
        for view in ["5", "4"] {
            let text = stage.press(view).text();
            assert!(text.lines().all(|row| !row.contains(|c: char| c.is_control() || c == '\u{202e}')), "{text:?}");
        }
    }
}

#[test]
fn more_agents_than_rows_are_scrolled() {
    let mut scene = Scene::new();
    for number in 0..40 {
        scene.agent(8090 + number, Err("nobody listens there"));
    }
    let mut stage = Stage::new(scene.tick(2_000), (80, 24));
    stage.press("5");
    let top = stage.text();
    assert!(top.contains("10.0.3.10:8090") && !top.contains("10.0.3.9:8090"), "{top}");
    stage.press("G");
    let end = stage.text();
    assert!(end.contains("10.0.3.9:8090"), "the last by name: {end}");
    stage.press("jjjjj<PgDn>");
    assert_eq!(stage.text(), end, "no further than to the last line");
    stage.press("g");
    assert_eq!(stage.text(), top);
}
