//! How the model does under a flood: time an event, bytes held, and what the process really has for them.
//!
//! `cargo bench -p monitor`. Every flood runs with the default bounds. `resident` is by how much the process had grown
//! at most since it started, as the kernel counts it (`/proc/self/statm`); what a flood leaves to the allocator is in
//! those after it.

use bytes::Bytes;
use monitor::model::{Bounds, Column, Model};
use monitor::wire::{Input, Link, Message};
use protocol::Timestamp;
use std::time::{Duration, Instant};

const EVENTS: u64 = 100_000;
/// Of large descriptions, which take their time to read.
const OFFERS: u64 = 10_000;

fn main() {
    let start = resident();
    println!("{:<44} {:>10} {:>9} {:>11} {:>12} {:>9}", "flood", "an event", "all", "held", "resident", "evicted");
    flood(start, EVENTS, "into one room, small", |n| (format!("rooms/lobby/{}", pair(n)), ring(n, 0)));
    flood(start, EVENTS, "into 10,000 rooms, small", |n| (format!("rooms/r{}/{}", n % 10_000, pair(n)), ring(n, 0)));
    flood(start, EVENTS, "into 100,000 rooms, small", |n| (format!("rooms/r{n}/{}", pair(n)), ring(n, 0)));
    flood(start, EVENTS, "joins with info into 10,000 rooms", |n| {
        (format!("rooms/r{}/agent/p{n}", n % 10_000), info())
    });
    flood(start, EVENTS, "states of 100,000 rooms", |n| (format!("rooms/r{n}"), state(n)));
    flood(start, EVENTS, "into 100 rooms, up to 64 KiB", |n| {
        (format!("rooms/r{}/{}", n % 100, pair(n)), ring(n, 65_000))
    });
    flood(start, OFFERS, "offers up to 64 KiB into 100 rooms", |n| {
        (format!("rooms/r{}/{}", n % 100, pair(n)), offer(n))
    });
    flood(start, EVENTS, "events that are refused", |n| (format!("rooms/r{}/events", n % 1000), refused(n)));
    ordering();
}

fn pair(n: u64) -> &'static str {
    if n.is_multiple_of(2) { "alice/bob" } else { "bob/alice" }
}

/// Numbers that look random and are the same in every run.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

fn ring(n: u64, most: u64) -> String {
    let length = if most == 0 { 0 } else { scattered(n) % most };
    format!(r#"{{"type":"ring","n":{n},"x":"{}"}}"#, "x".repeat(length as usize))
}

fn offer(n: u64) -> String {
    let line = r"a=candidate:1 1 udp 2122260223 192.0.2.7 61000 typ host generation 0 ufrag EsAw\r\n";
    let media = r"m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n";
    let lines = (scattered(n) % 64_000) as usize / line.len();
    let sdp: String = (0..lines).map(|i| if i.is_multiple_of(100) { media } else { line }).collect();
    format!(r#"{{"type":"offer","sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{sdp}"}}"#)
}

fn info() -> String {
    // The most memory for a kilobyte of JSON: small objects.
    format!(r#"{{"type":"join","info":{{"a":[{}]}}}}"#, vec![r#"{"":0}"#; 120].join(","))
}

fn state(n: u64) -> String {
    format!(
        r#"{{"room":"r{n}","created_at":"2026-09-21T14:13:20.000Z","peers":[{{"id":"alice","role":"created","since":"2026-09-21T14:13:20.000Z","away":false}},{{"id":"bob","role":"joined","since":"2026-09-21T14:13:20.000Z","away":false}}],"messages":7,"refused":0,"rev":{n}}}"#
    )
}

fn refused(n: u64) -> String {
    format!(
        r#"{{"time":"2026-09-21T14:13:20.006Z","rev":{n},"type":"refused","peer":"mallory","why":"not-a-member: mallory may not signal alice"}}"#
    )
}

fn flood(start: usize, events: u64, name: &str, make: impl Fn(u64) -> (String, String)) {
    let mut model = Model::new(Bounds::default());
    model.take(Input::Link { at: at(0), link: Link::Connected });
    let mut spent = Duration::ZERO;
    let mut most = 0;
    for n in 0..events {
        let (topic, payload) = make(n);
        // A hundred thousand within a second, a tick thirty times in it.
        let message =
            Message { at: at(n / 100), topic: topic.into(), payload: Bytes::from(payload), qos: 1, retain: false };
        let begin = clock();
        model.take(Input::Message(message));
        if n.is_multiple_of(events / 30) {
            model.take(Input::Tick(at(n / 100)));
        }
        spent += begin.elapsed();
        if n.is_multiple_of(1000) {
            most = most.max(resident());
        }
    }
    let grown = most.max(resident()).saturating_sub(start);
    let (figures, bounds) = (model.figures(), model.bounds());
    println!(
        "{name:<44} {:>7.2} µs {:>6.2} s {:>7.1} MiB {:>8.1} MiB {:>9}",
        spent.as_secs_f64() * 1e6 / events as f64,
        spent.as_secs_f64(),
        mib(figures.held),
        mib(grown),
        figures.evicted.messages + figures.evicted.events,
    );
    assert!(figures.held <= bounds.bytes, "held {} of {}", figures.held, bounds.bytes);
    assert!(grown <= bounds.bytes + bounds.bytes / 2, "the process grew by {grown}, the bound is {}", bounds.bytes);
}

/// Sorting the rooms, which a view does when it draws.
fn ordering() {
    let mut model = Model::new(Bounds::default());
    for n in 0..10_000 {
        let topic = format!("rooms/r{n}").into();
        model.take(Input::Message(Message { at: at(n), topic, payload: state(n).into(), qos: 1, retain: true }));
    }
    for column in Column::ALL {
        let begin = clock();
        let mut rooms: Vec<_> = model.rooms().collect();
        rooms.sort_by(|a, b| column.compare(a, b));
        println!("10,000 rooms by {column:?}: {:.2} ms", begin.elapsed().as_secs_f64() * 1e3);
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn clock() -> Instant {
    Instant::now()
}

/// Bytes of memory that the process has, by pages of 4 KiB.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
