//! The two lines at the top (where it comes from and how much) and the line of tabs (which view, what is broken).

use super::layout::Screen;
use super::paint::{Pen, Piece, piece};
use super::words;
use crate::app::{Column, Origin, Ui, View};
use crate::model::{Happened, Model, Rate};
use crate::wire::Link;
use ratatui::style::{Modifier, Style};
use std::ops::Range;
use std::time::Duration;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    let mut top = pen.part(screen.header);
    origin(&mut top, model, ui);
    if top.height() > 1 {
        figures(&mut top, model);
    }
    tab_line(&mut pen.part(screen.tabs), model, ui);
}

/// Broker, version, uptime; or, across the line, that the connection is gone.
fn origin(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let dot = pen.glyphs.dot;
    let end = marks(pen, model, ui);
    let width = pen.width().saturating_sub(end);
    let mut pen = pen.part(ratatui::layout::Rect { width, ..pen.area() });
    let source = match &ui.origin {
        Origin::Broker { url } => url.clone(),
        Origin::Recording { file, speed } if (*speed - 1.0).abs() < f64::EPSILON => format!("replay of {file}"),
        Origin::Recording { file, speed } => format!("replay of {file}, {speed} times as fast"),
    };
    let live = matches!(ui.origin, Origin::Broker { .. });
    let alarm = match model.link() {
        Link::Connected => None,
        Link::Connecting if ui.rooms.names().is_empty() => {
            let x = pen.put(1, 0, "duet monitor", theme.heading);
            pen.put(x + 2, 0, &format!("connecting to {source} ..."), theme.warning);
            return;
        }
        Link::Connecting => Some(format!("NO CONNECTION, what is shown is old: trying {source} again")),
        Link::Lost { why } => Some(format!("NO CONNECTION{}, what is shown is old: {source}: {why}", lost_for(model))),
        Link::Refused { why } => Some(format!("REFUSED by {source}: {why}")),
    };
    if let Some(alarm) = alarm {
        pen.highlight(0, theme.alarm);
        let alarm = format!(" {} {alarm}", pen.glyphs.fault);
        pen.put(0, 0, &alarm, theme.alarm);
        return;
    }
    let here = pen.glyphs.here;
    let mut x = pen.put(1, 0, "duet monitor", theme.heading);
    x = pen.line(
        x + 2,
        0,
        &[
            piece(if live { here } else { "" }, theme.good),
            piece(if live { " " } else { "" }, theme.good),
            piece(source, theme.accent),
        ],
    );
    let broker = model.broker();
    let uptime = broker.uptime.map(|seconds| format!("up {}", words::long_span(Duration::from_secs(seconds))));
    for fact in [broker.version.as_deref().map(str::to_owned), uptime].into_iter().flatten() {
        x = pen.line(x, 0, &[piece(format!(" {dot} "), theme.dim), piece(fact, Style::new())]);
    }
}

/// How long the connection has been gone, as the events tell.
fn lost_for(model: &Model) -> String {
    let lines = model.events().lines();
    let stood = |what: &Happened| matches!(what, Happened::Link(Link::Connected));
    let since = lines
        .iter()
        .rev()
        .take_while(|line| !stood(&line.what))
        .filter(|line| matches!(line.what, Happened::Link(_)))
        .last();
    since.map_or_else(String::new, |line| format!(" for {}", words::age(model.now().since(line.at))))
}

/// Paused, recording: at the right end; gives how wide they are.
fn marks(pen: &mut Pen<'_>, model: &Model, ui: &Ui) -> u16 {
    let theme = pen.theme;
    let mut marks: Vec<Piece<'static>> = Vec::new();
    if ui.paused.is_some() {
        let waiting = words::count(ui.waiting(model));
        marks.push(piece(format!(" PAUSED, {waiting} wait "), theme.warning.add_modifier(Modifier::REVERSED)));
    }
    if let Some(file) = &ui.recording {
        let file = crate::text::clip(file, 24).into_owned();
        marks.push(piece(format!(" {} REC {file} ", pen.glyphs.record), theme.fault));
    }
    if ui.redaction.reveal {
        marks.push(piece(" REVEALED ", theme.warning));
    }
    let width: u16 = marks.iter().map(|(text, _)| pen.measure(text)).sum();
    let x = pen.width().saturating_sub(width);
    pen.line(x, 0, &marks);
    width
}

fn figures(pen: &mut Pen<'_>, model: &Model) {
    let theme = pen.theme;
    let wide = pen.width() >= 100;
    let broker = model.broker();
    let seen = model.figures();
    let both = |received: Option<f64>, sent: Option<f64>| match (received, sent) {
        (None, None) => None,
        (received, sent) => Some(received.unwrap_or(0.0) + sent.unwrap_or(0.0)),
    };
    let own = Rate::now(model.flow());
    let messages = both(broker.messages.received.now(), broker.messages.sent.now()).or(own);
    let bytes = both(broker.bytes.received.now(), broker.bytes.sent.now());
    let whole = |rate: f64| rate.round().max(0.0) as u64;
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(clients) = broker.clients {
        facts.push(("clients", words::count(clients)));
    }
    facts.push(("rooms", words::count(seen.open as u64)));
    if let Some(rate) = messages {
        facts.push(("msg/s", words::short_count(whole(rate))));
    }
    let mut x = 1;
    for (name, value) in &facts {
        x = pen.line(
            x,
            1,
            &[piece(format!("{name} "), theme.dim), piece(value.clone(), theme.heading), piece("  ", theme.dim)],
        );
    }
    let room = match pen.width() {
        0..70 => 6,
        70..100 => 12,
        _ => 20,
    };
    let history: Vec<f64> = match broker.messages.received.history().len() {
        0 => model.flow().history().collect(),
        _ => {
            let sent: Vec<f64> = broker.messages.sent.history().collect();
            let received: Vec<f64> = broker.messages.received.history().collect();
            let pairs = received.iter().rev().zip(sent.iter().rev().map(Some).chain(std::iter::repeat(None)));
            let mut sums: Vec<f64> = pairs.map(|(a, b)| a + b.copied().unwrap_or(0.0)).collect();
            sums.reverse();
            sums
        }
    };
    if !history.is_empty() {
        let from = history.len().saturating_sub(room);
        x = pen.put(x - 1, 1, &sparkline(&history[from..], pen.glyphs.spark), theme.accent) + 2;
    }
    if let Some(rate) = bytes {
        pen.line(x, 1, &[piece(words::bytes(whole(rate)), theme.heading), piece("/s", theme.dim)]);
    }
    let evicted = seen.evicted;
    let counts = [
        (if wide { "evicted" } else { "ev" }, evicted.messages + evicted.events + evicted.rooms),
        ("lost", seen.lost),
        (if wide { "malformed" } else { "bad" }, seen.malformed),
    ];
    let mut pieces: Vec<Piece<'static>> = Vec::new();
    for (name, count) in counts {
        let style = if count > 0 { theme.warning.add_modifier(Modifier::BOLD) } else { theme.dim };
        pieces.push(piece(format!("  {name} {}", words::short_count(count)), style));
    }
    let width: u16 = pieces.iter().map(|(text, _)| pen.measure(text)).sum();
    let x = pen.width().saturating_sub(width + 1);
    pen.line(x, 1, &pieces);
}

/// Values as bars between nothing and the largest.
fn sparkline(values: &[f64], bars: [&str; 8]) -> String {
    let most = values.iter().copied().fold(1.0, f64::max);
    let bar = |value: &f64| bars[((value / most * 7.0).round().clamp(0.0, 7.0)) as usize];
    values.iter().map(bar).collect()
}

/// Names of the views with the columns that they take.
pub fn tabs(ui: &Ui) -> Vec<(View, Range<u16>)> {
    let mut x = 0;
    let mut parts = Vec::new();
    for view in View::ALL {
        let width = text_of(view, ui).chars().count() as u16 + 2;
        parts.push((view, x..x + width));
        x += width;
    }
    parts
}

/// A tab's text without its brackets: every character is one column wide.
fn text_of(view: View, ui: &Ui) -> String {
    let number = View::ALL.iter().position(|&other| other == view).unwrap_or(0) + 1;
    let name = if ui.size.0 < 70 && view == View::Diagnosis { "Diag" } else { view.name() };
    format!("{number} {name}")
}

fn tab_line(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let mut end = 0;
    for (view, part) in tabs(ui) {
        let text = text_of(view, ui);
        end = if view == ui.view {
            pen.put(part.start, 0, &format!("[{text}]"), theme.accent.add_modifier(Modifier::BOLD))
        } else {
            pen.put(part.start, 0, &format!(" {text} "), theme.dim)
        };
    }
    let census = ui.rooms.census();
    let wide = pen.width() >= 100;
    let glyphs = pen.glyphs;
    let mut pieces = Vec::new();
    if census.faults > 0 {
        let count = words::count(census.faults as u64);
        let text = if wide { format!("{} {count} broken", glyphs.fault) } else { format!("{}{count}", glyphs.fault) };
        pieces.push(piece(text, theme.fault));
    }
    if census.warnings > 0 {
        let count = words::count(census.warnings as u64);
        let text =
            if wide { format!("{} {count} to watch", glyphs.warning) } else { format!("{}{count}", glyphs.warning) };
        pieces.push(piece(text, theme.warning));
    }
    if census.all > 0 && pieces.is_empty() {
        let text = if wide { format!("{} nothing wrong", glyphs.good) } else { glyphs.good.to_owned() };
        pieces.push(piece(text, theme.good));
    }
    for piece in pieces {
        end = pen.line(end + 1, 0, &[piece]);
    }
    let status = status(model, ui, glyphs.ascending, glyphs.descending);
    let width = pen.width().saturating_sub(end + 1);
    pen.right(end + 1, 0, width, &format!("{status} "), theme.dim);
}

/// What else holds for the view: order, place, filter.
fn status(model: &Model, ui: &Ui, ascending: &str, descending: &str) -> String {
    let mut facts: Vec<String> = Vec::new();
    if !ui.sieve.text.is_empty() {
        facts.push(format!("/{}", ui.sieve.text));
    }
    match ui.view {
        View::Rooms => {
            let sorting = ui.rooms.sorting();
            let arrow = if sorting.descending { descending } else { ascending };
            if sorting.column != Column::Finding || !sorting.descending {
                facts.push(format!("by {} {arrow}", sorting.column.words()));
            }
            let census = ui.rooms.census();
            if census.shown != census.all {
                facts.push(format!("{} of {}", words::count(census.shown as u64), words::count(census.all as u64)));
            } else if census.all > 0 {
                facts.push(format!(
                    "{} of {}",
                    words::count(ui.rooms.at() as u64 + 1),
                    words::count(census.all as u64)
                ));
            }
        }
        View::Ladder => {
            if let Some(room) = ui.ladder.room.as_deref().and_then(|room| model.room(room)) {
                if room.evicted() > 0 {
                    facts.push(format!("{} evicted", words::count(room.evicted())));
                }
                if ui.ladder.hidden() > 0 {
                    facts.push(format!("{} hidden", words::count(ui.ladder.hidden() as u64)));
                }
                if let Some((place, all)) = ui.ladder.place() {
                    let follows = ui.ladder.cursor == crate::app::Cursor::Tail && ui.paused.is_none();
                    facts.push(if follows { format!("{all}, following") } else { format!("{place} of {all}") });
                }
            }
        }
        View::Diagnosis => {
            let all = ui.diagnosis.items().len();
            if all > 0 {
                facts.push(format!("{} of {}", ui.diagnosis.at() + 1, words::count(all as u64)));
            }
        }
        View::Events => {
            let all = ui.events.lines().len();
            let follows = ui.events.follows() && ui.paused.is_none();
            if all > 0 {
                facts.push(if follows {
                    format!("{all}, following")
                } else {
                    format!("{} of {all}", ui.events.at() + 1)
                });
            }
        }
    }
    facts.join("  ")
}
