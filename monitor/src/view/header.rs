//! The two lines at the top (where it comes from and how much) and the line of tabs (which view, what is broken).

use super::agents;
use super::layout::Screen;
use super::paint::{Pen, Piece, piece};
use super::words;
use crate::app::{Column, Origin, Ui, View};
use crate::model::{Happened, Model, Rate};
use crate::recording::Pace;
use crate::wire::Link;
use ratatui::style::{Modifier, Style};
use std::ops::Range;
use std::time::Duration;

/// Columns of an address or a file's name that are worth more than what follows it.
const LEAST_SOURCE: u16 = 12;
/// The shortest history that says something.
const LEAST_HISTORY: u16 = 6;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    let mut top = pen.part(screen.header);
    origin(&mut top, model, ui);
    if top.height() > 1 {
        figures(&mut top, model, ui);
    }
    tab_line(&mut pen.part(screen.tabs), model, ui);
}

/// Broker, version, uptime; or, across the line, that the connection is gone.
fn origin(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let end = marks(pen, model, ui);
    let width = pen.width().saturating_sub(end);
    let mut pen = pen.part(ratatui::layout::Rect { width, ..pen.area() });
    if let Some(alarm) = alarm(model, ui) {
        pen.highlight(0, theme.alarm);
        let alarm = format!(" {} {alarm}", pen.glyphs.fault);
        pen.put(0, 0, &alarm, theme.alarm);
        return;
    }
    let mut x = pen.put(1, 0, "duet monitor", theme.heading) + 2;
    let broker = model.broker();
    let version = broker.version.as_deref().map(str::to_owned);
    let (source, facts) = match &ui.origin {
        Origin::Broker { url } if *model.link() == Link::Connecting => {
            pen.put(x, 0, &format!("connecting to {url} ..."), theme.warning);
            return;
        }
        Origin::Broker { url } => {
            x = pen.line(x, 0, &[piece(pen.glyphs.here, theme.good), piece(" ", theme.good)]);
            let uptime = broker.uptime.map(|seconds| format!("up {}", words::long_span(Duration::from_secs(seconds))));
            (url.clone(), [version, uptime])
        }
        Origin::Recording { file, pace } => (played(file, *pace), [version, played_to(model)]),
    };
    // The last fact stays longest, since it moves: the version goes for it, and the address is cut, down to its least.
    let separator = format!(" {} ", pen.glyphs.dot);
    let cost = |fact: &str| pen.measure(fact) + pen.measure(&separator);
    let whole = pen.measure(&source);
    let free = pen.width().saturating_sub(x);
    let [version, last] = facts;
    let last = last.filter(|last| whole.min(LEAST_SOURCE) + cost(last) <= free);
    let free = free - last.as_deref().map_or(0, cost);
    let version = version.filter(|version| whole + cost(version) <= free);
    let most = free - version.as_deref().map_or(0, cost);
    x = pen.cell(x, 0, most, &source, theme.accent);
    for fact in [version, last].into_iter().flatten() {
        x = pen.line(x, 0, &[piece(separator.as_str(), theme.dim), piece(fact, Style::new())]);
    }
}

/// What is wrong with the connection, if what is shown is old for it.
fn alarm(model: &Model, ui: &Ui) -> Option<String> {
    match &ui.origin {
        Origin::Broker { url } => match model.link() {
            Link::Connected => None,
            Link::Connecting if ui.rooms.names().is_empty() => None,
            Link::Connecting => Some(format!("NO CONNECTION, what is shown is old: trying {url} again")),
            Link::Lost { why } => Some(format!("NO CONNECTION{}, what is shown is old: {url}: {why}", lost_for(model))),
            Link::Refused { why } => Some(format!("REFUSED by {url}: {why}")),
        },
        Origin::Recording { file, pace } if model.cut_off() => {
            let why = match model.link() {
                Link::Lost { why } | Link::Refused { why } => format!(": {why}"),
                Link::Connecting | Link::Connected => String::new(),
            };
            let at = played_to(model).map(|at| format!(" at {at}")).unwrap_or_default();
            let lost = lost_for(model);
            Some(format!("{}{at}: the connection was lost here{lost}{why}", played(file, *pace)))
        }
        Origin::Recording { .. } => None,
    }
}

/// What is played and how fast.
fn played(file: &str, pace: Pace) -> String {
    match pace.speed.filter(|speed| (speed - 1.0).abs() > f64::EPSILON) {
        Some(speed) => format!("replay of {file}, {speed} times as fast"),
        None => format!("replay of {file}"),
    }
}

/// The time of day in the recording, in seconds; `None` before it begins.
fn played_to(model: &Model) -> Option<String> {
    let now = model.now();
    (now != protocol::Timestamp::default()).then(|| words::clock(now).chars().take("10:12:33".len()).collect())
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
    if matches!(&ui.origin, Origin::Recording { pace, .. } if pace.paused) {
        marks.push(piece(" PAUSED ", theme.warning.add_modifier(Modifier::REVERSED)));
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

fn figures(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let wide = pen.width() >= 100;
    let broker = model.broker();
    let seen = model.figures();
    let flow = broker.messages.rate().unwrap_or(model.flow());
    let (messages, bytes) = (flow.now(), broker.bytes.rate().and_then(Rate::now));
    let whole = |rate: f64| rate.round().max(0.0) as u64;
    let mut facts: Vec<(&str, String, Style)> = Vec::new();
    if let Some(clients) = broker.clients {
        facts.push(("clients", words::count(clients), theme.heading));
    }
    if let Some((count, is_well)) = agents::fact(ui.agents(model)) {
        let style = if is_well { theme.heading } else { theme.fault.add_modifier(Modifier::BOLD) };
        facts.push(("agents", count, style));
    }
    facts.push(("rooms", words::count(seen.open as u64), theme.heading));
    if let Some(rate) = messages {
        facts.push(("msg/s", words::short_count(whole(rate)), theme.heading));
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
    let end = pen.width().saturating_sub(width + 1);
    pen.line(end, 1, &pieces);
    // What finds no room between is left out, and the history is shortened, rather than that a number is cut.
    let mut x = 1;
    for (name, value, style) in facts {
        if x + pen.measure(name) + 1 + pen.measure(&value) <= end {
            x = pen.line(x, 1, &[piece(name, theme.dim), piece(" ", theme.dim), piece(value, style)]) + 2;
        }
    }
    let bytes = bytes.map(|rate| words::bytes(whole(rate)) + "/s");
    let for_bytes = bytes.as_ref().map_or(0, |bytes| pen.measure(bytes) + 2);
    let most = match pen.width() {
        0..70 => 6,
        70..100 => 12,
        _ => 20,
    };
    let history_at = x.saturating_sub(1);
    let free = end.saturating_sub(history_at);
    let room = Some(free.saturating_sub(for_bytes)).filter(|room| *room >= LEAST_HISTORY).unwrap_or(free).min(most);
    if room >= LEAST_HISTORY {
        let history: Vec<f64> = flow.history().collect();
        let from = history.len().saturating_sub(usize::from(room));
        x = pen.put(history_at, 1, &sparkline(&history[from..], pen.glyphs.spark), theme.accent) + 2;
    }
    if let Some(bytes) = bytes.filter(|_| x + for_bytes <= end + 2) {
        let (number, _) = bytes.split_at(bytes.len() - 2);
        pen.line(x, 1, &[piece(number, theme.heading), piece("/s", theme.dim)]);
    }
}

/// Values as bars between nothing and the largest.
pub(super) fn sparkline(values: &[f64], bars: [&str; 8]) -> String {
    let most = values.iter().copied().fold(1.0, f64::max);
    let bar = |value: &f64| bars[((value / most * 7.0).round().clamp(0.0, 7.0)) as usize];
    values.iter().map(bar).collect()
}

/// Names of the views with the columns that they take.
pub fn tabs(ui: &Ui) -> Vec<(View, Range<u16>)> {
    let mut x = 0;
    let mut parts = Vec::new();
    for &view in ui.views() {
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
        View::Agents => {}
    }
    facts.join("  ")
}
