//! How long a frame takes: bringing the lists up to date and drawing, with 10,000 rooms of which some change between
//! two frames. No frame may take longer than 33 ms, which is thirty frames a second.
//!
//! `cargo bench -p monitor --bench draw`. What counts is the time on a processor, as the kernel counts it for the thread
//! (`/proc/thread-self/schedstat`, right to a tick of some milliseconds): what other programs take is none of ours.

use bytes::Bytes;
use crossterm::event::{KeyCode, KeyEvent};
use monitor::app::{Action, App, Origin, Ui};
use monitor::model::{Bounds, Model};
use monitor::view;
use monitor::wire::{Input, Link, Message};
use protocol::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;
use std::time::Duration;

const ROOMS: u64 = 10_000;
const FRAMES: u64 = 150;
/// Messages between two frames: 3,000 a second.
const BETWEEN: u64 = 100;
const LONGEST: Duration = Duration::from_millis(33);

fn main() {
    println!("{:<40} {:>10} {:>10} {:>10}", "10,000 rooms, 200x50", "mean", "median", "longest");
    let cases = [
        ("rooms, by findings", ""),
        ("rooms, by last event, in the middle", "SsssssssssGkkkkkkkk"),
        ("rooms, with a filter", "/room:room-00* !phase:failed\n"),
        ("rooms, with a filter on messages", "/type:offer text:nothing\n"),
        ("ladder of 2,000 messages", "/room:busy\n\n"),
        ("ladder with a filter on messages", "/room:busy text:abc\n\n"),
        ("diagnosis", "3"),
        ("events", "4"),
        ("paused", "p"),
    ];
    let mut worst = Duration::ZERO;
    for (name, keys) in cases {
        worst = worst.max(measure(name, keys));
    }
    assert!(worst > Duration::ZERO, "the kernel does not count the time of threads");
    assert!(worst <= LONGEST, "the longest frame took {worst:?}, allowed are {LONGEST:?}");
}

fn measure(name: &str, keys: &str) -> Duration {
    let mut app = App::new(Model::new(Bounds::default()), Ui::new(Origin::Broker { url: "mqtt://127.0.0.1".into() }));
    app.take(Input::Link { at: at(0), link: Link::Connected });
    for n in 0..ROOMS {
        let room = format!("room-{n:05}");
        let peers = json!([
            {"id": "alice", "role": "created", "since": at(n), "away": false, "info": {"kind": "camera"}},
            {"id": "bob", "role": "joined", "since": at(n), "away": n.is_multiple_of(7), "connection": if n.is_multiple_of(50) { "failed" } else { "connected" }},
        ]);
        let state =
            json!({"room": room, "created_at": at(n), "peers": peers, "messages": n, "refused": n % 3, "rev": n});
        take(&mut app, n, &format!("rooms/{room}"), &state.to_string(), true);
        take(&mut app, n, &format!("rooms/{room}/bob/alice"), r#"{"type":"ready"}"#, false);
    }
    for n in 0..2_000 {
        take(&mut app, ROOMS + n, "rooms/busy/bob/alice", &format!(r#"{{"type":"ring","n":"{n:x}"}}"#), false);
    }
    app.take(Input::Tick(at(2 * ROOMS)));
    app.act(Action::Resize { width: 200, height: 50 });
    for c in keys.chars() {
        app.key(KeyEvent::from(if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) }));
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, 200, 50));
    let mut times: Vec<Duration> = (0..FRAMES)
        .map(|frame| {
            for n in 0..BETWEEN {
                let n = frame * BETWEEN + n;
                let room = if n.is_multiple_of(5) { "busy".into() } else { format!("room-{:05}", n * 7919 % ROOMS) };
                take(&mut app, 3 * ROOMS + n / 3, &format!("rooms/{room}/bob/alice"), r#"{"type":"ring"}"#, false);
            }
            let begin = on_processor();
            if app.changed() {
                app.refresh();
                view::paint(&mut buffer, &app.model, &app.ui);
            }
            on_processor().saturating_sub(begin)
        })
        .collect();
    times.sort_unstable();
    let longest = times[times.len() - 1];
    let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1);
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    println!("{name:<40} {:>10} {:>10} {:>10}", ms(mean), ms(times[times.len() / 2]), ms(longest));
    longest
}

fn take(app: &mut App, n: u64, topic: &str, payload: &str, retain: bool) {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    app.take(Input::Message(Message { at: at(n), topic: topic.into(), payload, qos: 1, retain }));
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

/// For how long this thread has run.
fn on_processor() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
