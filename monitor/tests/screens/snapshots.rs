//! Every view at the sizes that matter. Each snapshot holds the screen, its styles with 256 colours, and its styles
//! without any.

use crate::scene::{Scene, morning, status};
use crate::stage::Stage;
use monitor::app::Orders;
use monitor::view::Glyphs;
use monitor::wire::Link;

const SIZES: [(u16, u16); 3] = [(60, 20), (80, 24), (120, 40)];
const WIDE: (u16, u16) = (200, 50);

fn check(name: &str, scene: &Scene, sizes: &[(u16, u16)], prepare: impl Fn(&mut Stage)) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    for size in sizes {
        let mut stage = Stage::new(scene, *size);
        prepare(&mut stage);
        let name = format!("{name}@{}x{}", size.0, size.1);
        settings.bind(|| insta::assert_snapshot!(name, stage.shot()));
    }
}

fn check_keys(name: &str, keys: &str) {
    check(name, &morning(), &SIZES, |stage| {
        stage.press(keys);
    });
}

#[test]
fn rooms() {
    check_keys("rooms", "");
}

#[test]
fn rooms_wide() {
    check("rooms", &morning(), &[WIDE], |_| {});
}

#[test]
fn rooms_sorted_by_name_with_the_third_selected() {
    check_keys("rooms-sorted", "sjj");
}

#[test]
fn rooms_without_any() {
    check("rooms-none", Scene::new().tick(1_000), &SIZES, |_| {});
}

#[test]
fn rooms_before_there_is_a_connection() {
    let mut scene = Scene::new();
    scene.inputs.clear();
    scene.link(Link::Connecting).tick(10);
    check("rooms-connecting", &scene, &SIZES, |_| {});
}

#[test]
fn rooms_after_the_connection_was_lost() {
    let mut scene = morning();
    scene.link(Link::Lost { why: "connection refused (os error 111)".into() }).tick(12_000);
    check("rooms-lost", &scene, &SIZES, |_| {});
}

#[test]
fn rooms_that_a_filter_hides() {
    check_keys("rooms-filtered-out", "/room:nowhere<Enter>");
}

#[test]
fn a_filter_that_is_wrong() {
    check_keys("filter-wrong", "/room:lobby typ:offer");
}

#[test]
fn ladder_of_a_call_that_is_well_with_a_third_on_the_side() {
    check_keys("ladder", "/room:lobby<Enter><Enter>");
}

#[test]
fn ladder_wide() {
    check("ladder", &morning(), &[WIDE], |stage| {
        stage.press("<Enter>kkkkkkkk");
    });
}

#[test]
fn ladder_of_a_call_that_failed() {
    check_keys("ladder-failed", "/room:현관*<Enter><Enter>");
}

#[test]
fn an_offer_opened() {
    check_keys("offer", "/room:lobby type:offer<Enter><Enter><Enter>");
}

#[test]
fn an_offer_as_it_came() {
    check_keys("offer-raw", "/room:lobby type:offer<Enter><Enter><Enter>v");
}

#[test]
fn a_candidate_opened() {
    check_keys("candidate", "/room:lobby type:candidate<Enter><Enter>k<Enter>");
}

#[test]
fn two_messages_compared() {
    check_keys("compared", "/room:lobby type:offer,answer<Enter><Enter>mkmd");
}

#[test]
fn diagnosis() {
    check_keys("diagnosis", "3j");
}

#[test]
fn diagnosis_wide() {
    check("diagnosis", &morning(), &[WIDE], |stage| {
        stage.press("3");
    });
}

#[test]
fn diagnosis_of_nothing() {
    check("diagnosis-none", Scene::new().tick(1_000), &SIZES, |stage| {
        stage.press("3");
    });
}

#[test]
fn events() {
    check_keys("events", "4");
}

#[test]
fn agents_at_work() {
    check("agents", morning().agents(), &[SIZES[0], SIZES[1], SIZES[2], WIDE], |stage| {
        stage.press("5");
    });
}

#[test]
fn agents_in_trouble() {
    let mut scene = morning();
    let mut away = status("agent-2", 31, 961);
    (away.store.answers, away.store.failures) = (false, 12);
    let cut_off = agent::service::status::Status { connected: false, ..status("agent-3", 31, 961) };
    scene.agents().agent(8090, Err("nobody listens there")).agent(8091, Ok(away)).agent(8092, Ok(cut_off));
    scene.agent(8093, Err("it does not answer within 2 s")).tick(4_000);
    check("agents-trouble", &scene, &SIZES, |stage| {
        stage.press("5");
    });
    check("agents-trouble-events", &scene, &SIZES[1..2], |stage| {
        stage.press("4");
    });
}

#[test]
fn help() {
    check_keys("help", "?");
}

#[test]
fn questions() {
    check_keys("question-remove", "/room:lobby<Enter>x");
    check_keys("question-close", "/room:lobby<Enter>X");
    check_keys("question-export", "e");
}

#[test]
fn an_order_that_is_forbidden() {
    check("forbidden", &morning(), &SIZES, |stage| {
        stage.app.ui.orders = Orders::ReadOnly;
        stage.press("X");
    });
}

#[test]
fn paused_and_recording() {
    check("paused", &morning(), &SIZES, |stage| {
        stage.app.record(Some("night.ndjson".into()));
        stage.press("p");
        let mut scene = morning();
        scene.inputs.clear();
        scene.after(5_000).create("new-room", "zoe", "browser").tick(1_000);
        for input in scene.inputs {
            stage.app.take(input);
        }
    });
}

#[test]
fn ascii() {
    check("ascii-rooms", &morning(), &SIZES[1..2], |stage| stage.app.ui.glyphs = Glyphs::ASCII);
    check("ascii-ladder", &morning(), &SIZES[1..2], |stage| {
        stage.app.ui.glyphs = Glyphs::ASCII;
        stage.press("/room:lobby<Enter><Enter>");
    });
}

#[test]
fn too_small() {
    for size in [(39, 24), (80, 9), (12, 4), (1, 1)] {
        let mut stage = Stage::new(&morning(), size);
        let text = stage.text().split_whitespace().collect::<Vec<_>>().join(" ");
        if size.0 * size.1 > 40 {
            assert!(text.contains("40×10"), "{size:?}: {text}");
        }
    }
}
