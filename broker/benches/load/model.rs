//! The cost model: what was measured at some sizes, as a sum of so much for each message, byte, peer and room, and what
//! that says about sizes that no test machine has.

use crate::common::server::DUET;
use crate::report::{Of, Report};
use std::fmt::Write;

/// Peers for which the model is asked.
const CROWDS: [f64; 2] = [100_000.0, 1_000_000.0];
/// How long a call lasts, in the example.
const CALL_SECONDS: f64 = 300.0;
/// How often a peer that has nothing to say shows that it is there: the page's keep-alive.
const PING_SECONDS: f64 = 20.0;
const MIB: f64 = 1_048_576.0;

/// CPU time in µs of a second: `base + message·messages + byte·bytes`.
struct Relaying {
    base: f64,
    message: f64,
    byte: f64,
    /// By how much it is wrong where it is most wrong, of what was measured.
    worst: f64,
}

/// Resident bytes: `base + peer·peers + room·rooms`.
struct Sitting {
    base: f64,
    peer: f64,
    room: f64,
    worst: f64,
}

/// The model of each transport for which there are enough points, in words.
pub fn describe(report: &Report) -> String {
    let mut text = String::new();
    for transport in ["TCP", "WS"] {
        let (Some(relaying), Some(sitting)) = (relaying(report, transport), sitting(report, transport)) else {
            continue;
        };
        let _ = writeln!(
            text,
            "{transport}:\n\n\
             - CPU of a second: {:.0} µs + {:.1} µs a message + {:.2} ns a byte; at most {:.0} % off.\n\
             - Memory: {:.1} MiB + {:.0} bytes a peer + {:.0} bytes a room; at most {:.0} % off.",
            relaying.base,
            relaying.message,
            relaying.byte * 1e3,
            relaying.worst * 100.0,
            sitting.base / MIB,
            sitting.peer,
            sitting.room,
            sitting.worst * 100.0
        );
        let room = report.figure(ours("W1", "max", transport), "CPU µs/room");
        let ping = report.figure(ours("cost", "as many pings as there can be", transport), "CPU µs/ping");
        if let (Some(room), Some(ping)) = (room, ping) {
            text.push_str(&extrapolate(&relaying, &sitting, room, ping));
        }
        text.push('\n');
    }
    text
}

/// What the model says of many peers, two to a room, who call each other one time after another.
fn extrapolate(relaying: &Relaying, sitting: &Sitting, room_us: f64, ping_us: f64) -> String {
    let mut text =
        format!("- A room negotiated, from connecting to leaving: {room_us:.0} µs. A ping: {ping_us:.1} µs.\n");
    text.push_str("\n| peers | rooms | rooms negotiated/s | pings/s | CPUs | memory, GiB |\n");
    text.push_str("|---:|---:|---:|---:|---:|---:|\n");
    for peers in CROWDS {
        let rooms = peers / 2.0;
        let (calls, pings) = (rooms / CALL_SECONDS, peers / PING_SECONDS);
        let us = relaying.base + calls * room_us + pings * ping_us;
        let bytes = sitting.base + sitting.peer * peers + sitting.room * rooms;
        let (cpus, gib) = (us / 1e6, bytes / MIB / 1024.0);
        let _ = writeln!(text, "| {peers:.0} | {rooms:.0} | {calls:.0} | {pings:.0} | {cpus:.2} | {gib:.2} |");
    }
    text
}

fn ours<'a>(workload: &'a str, phase: &'a str, transport: &'a str) -> Of<'a> {
    Of { workload, phase, server: DUET, transport, qos: 0 }
}

/// From rates of a few hundred messages a second, each of which wakes the broker up, to as many as there can be. A second
/// in which nobody says anything costs less than the base: that is the price of being woken up all the time.
fn relaying(report: &Report, transport: &str) -> Option<Relaying> {
    let mut points = Vec::new();
    for phase in report.phases("cost", DUET, transport) {
        let figure = |name: &str| report.figure(ours("cost", phase, transport), name);
        let Some(size) = figure("bytes/message") else { continue };
        let (each, rate) = (figure("CPU µs/message")?, figure("messages/s")?);
        points.push(([1.0, rate, rate * size], each * rate));
    }
    let ([base, message, byte], worst) = fit(&points)?;
    Some(Relaying { base, message, byte, worst })
}

fn sitting(report: &Report, transport: &str) -> Option<Sitting> {
    let mut points = Vec::new();
    for phase in report.phases("cost", DUET, transport) {
        let figure = |name: &str| report.figure(ours("cost", phase, transport), name);
        let (Some(peers), Some(rooms)) = (figure("peers"), figure("rooms")) else { continue };
        points.push(([1.0, peers, rooms], figure("resident MiB")? * MIB));
    }
    let ([base, peer, room], worst) = fit(&points)?;
    Some(Sitting { base, peer, room, worst })
}

/// Least squares, by the normal equations: the factors for which the sums of factor times term come nearest to the values,
/// each deviation being taken as a share of the value; and the largest such share.
fn fit(points: &[([f64; 3], f64)]) -> Option<([f64; 3], f64)> {
    // Terms differ by many orders of magnitude; each is taken as a share of its largest.
    let scale: [f64; 3] = std::array::from_fn(|at| points.iter().map(|(terms, _)| terms[at].abs()).fold(0.0, f64::max));
    let mut rows = [[0.0; 4]; 3];
    for (terms, value) in points {
        let terms: [f64; 3] = std::array::from_fn(|at| terms[at] / scale[at] / value);
        for (row, own) in rows.iter_mut().zip(terms) {
            row.iter_mut().zip(terms).for_each(|(cell, other)| *cell += own * other);
            row[3] += own;
        }
    }
    for at in 0..3 {
        let best = (at..3).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, best);
        let pivot = rows[at];
        // Points that do not tell the terms apart; also if there are none.
        if !pivot[at].is_normal() {
            return None;
        }
        for (_, row) in rows.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let factor = row[at] / pivot[at];
            row.iter_mut().zip(pivot).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    let factors: [f64; 3] = std::array::from_fn(|at| rows[at][3] / rows[at][at] / scale[at]);
    let said = |terms: &[f64; 3]| terms.iter().zip(factors).map(|(term, factor)| term * factor).sum::<f64>();
    let worst = points.iter().map(|(terms, value)| (said(terms) / value - 1.0).abs()).fold(0.0, f64::max);
    Some((factors, worst))
}
