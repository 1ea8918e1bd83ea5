//! What the lines at the top claim: how much clients publish, since when the broker is up, what is played.

use crate::scene::{Scene, morning};
use crate::stage::Stage;
use monitor::app::Origin;
use monitor::recording::Pace;
use monitor::wire::{Input, Link};

const SIZE: (u16, u16) = (80, 24);

fn played_at(speed: f64) -> Origin {
    Origin::Recording { file: "night.ndjson".into(), pace: Pace { speed: Some(speed), paused: false } }
}

#[test]
fn the_rate_is_what_clients_publish_and_not_the_figures_on_their_way_to_monitors() {
    let mut scene = Scene::new();
    let figure = |scene: &mut Scene, name: &str, value: u64| {
        scene.raw(&format!("$SYS/broker/{name}"), value.to_string(), true);
    };
    for second in 0..5 {
        figure(&mut scene, "messages/sent", second * 45);
        figure(&mut scene, "bytes/sent", second * 4_000);
        scene.tick(1_000);
    }
    assert!(Stage::new(&scene, SIZE).rows()[1].contains("msg/s 0 "), "nobody publishes");
    for second in 0..5 {
        figure(&mut scene, "messages/received", second * 9);
        figure(&mut scene, "bytes/received", second * 70);
        figure(&mut scene, "messages/sent", second * 45);
        scene.tick(1_000);
    }
    let all = Stage::new(&scene, SIZE).rows().swap_remove(1);
    assert!(all.contains("msg/s 9 ") && all.contains(" 70 B/s"), "{all}");
    for second in 0..5 {
        figure(&mut scene, "publish/messages/received", second * 3);
        figure(&mut scene, "publish/bytes/received", second * 50);
        figure(&mut scene, "messages/received", second * 9);
        scene.tick(1_000);
    }
    let published = Stage::new(&scene, SIZE).rows().swap_remove(1);
    assert!(published.contains("msg/s 3 ") && published.contains(" 50 B/s"), "{published}");
}

#[test]
fn the_uptime_is_seen_however_long_the_address_is() {
    let mut scene = Scene::new();
    scene.figures(273_600, 1_000).tick(1_000);
    for (width, host, version) in [(80, 15, true), (80, 50, false), (60, 25, false), (40, 80, false)] {
        let mut stage = Stage::new(&scene, (width, 24));
        stage.app.ui.origin = Origin::Broker { url: format!("mqtts://{}:8883", "h".repeat(host)) };
        let line = stage.rows().swap_remove(0);
        assert!(line.trim_end().ends_with(" · up 3d 4h"), "{width}: {line}");
        assert_eq!(line.contains("duet version 0.1.0"), version, "{width}: {line}");
    }
}

#[test]
fn a_recording_without_a_word_of_the_connection_is_not_shown_as_cut_off() {
    let mut scene = morning();
    scene.inputs.retain(|input| !matches!(input, Input::Link { .. }));
    let mut stage = Stage::new(&scene, SIZE);
    stage.app.ui.origin = played_at(4.0);
    let rows = stage.rows();
    assert!(
        rows[0].contains("replay of night.ndjson, 4 times as fast") && rows[0].contains(" · 03:31:1"),
        "{}",
        rows[0]
    );
    assert!(!stage.text().contains("CONNECTION"), "{}", stage.text());
    assert!(stage.text().contains("\n› "), "not old: {}", stage.text());

    // One that tells of a loss says so, as something that happened then.
    scene.link(Link::Lost { why: "reset".into() }).tick(2_000);
    let mut stage = Stage::new(&scene, (120, 40));
    stage.app.ui.origin = played_at(1.0);
    let line = stage.rows().swap_remove(0);
    assert!(line.contains("the connection was lost here for 2s: reset"), "{line}");
    stage.press("p");
    let line = stage.rows().swap_remove(0);
    assert!(line.contains("the connection was lost here") && line.ends_with(" PAUSED "), "{line}");
    assert!(stage.text().contains("\n›?"), "{}", stage.text());
}
