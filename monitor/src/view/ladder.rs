//! The ladder view: lifelines, an arrow a message, and beside or below it the message itself or what is wrong.

use super::layout::{self, GUTTER, Screen};
use super::paint::{Pen, piece};
use super::{Line, detail, diagnosis, lines, nothing, rooms, words};
use crate::app::Ui;
use crate::app::lanes::{Lane, Names, Row};
use crate::diagnosis::Severity;
use crate::essence::essence;
use crate::model::{Entry, Model, Room, Said};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::time::Duration;

/// After so long without a message a gap is pointed out.
const SILENCE: Duration = Duration::from_secs(5);

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    let name = ui.ladder.room.as_deref();
    let room = name.and_then(|name| model.room(name));
    if screen.list.height > 0 {
        let mut list = pen.part(screen.list);
        match (name, room) {
            (_, Some(room)) => rungs(&mut list, room, model, ui),
            (Some(name), None) => nothing(
                &mut list,
                &[
                    format!("{name} is gone"),
                    "the room was evicted to make room for others; Esc goes back to the rooms".into(),
                ],
            ),
            (None, None) => nothing(&mut list, &["no room is selected".into(), "Esc goes back to the rooms".into()]),
        }
    }
    let Some(room) = room else { return };
    let Panes { message, findings } = panes(screen, room, model, ui);
    let beside = screen.list.height > 0 && screen.list.width < pen.width();
    if let Some(area) = message {
        let mut pane = diagnosis::framed(pen, area, beside);
        let title = pane_title(ui);
        let all = detail::lines_of(&pane, room, ui);
        let top = ui.ladder.detail.map_or(ui.ladder.side_top, |detail| detail.top);
        lines(&mut pane, &all, top);
        if !beside {
            let style = pen.theme.heading;
            pen.part(area).cell(2, 0, area.width.saturating_sub(4), &title, style);
        }
    }
    if let Some(area) = findings {
        let mut strip = pen.part(area);
        strip.rule(0, 0, area.width, strip.glyphs.line, strip.theme.dim);
        if beside {
            strip.put(0, 0, strip.glyphs.bar, strip.theme.dim);
        }
        let inside = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let mut body = strip.part(inside);
        let found = ui.findings(model, room.name());
        if beside {
            let mut all = Vec::new();
            let inner = diagnosis::inner(inside, true);
            for y in 0..body.height() {
                body.put(0, y, body.glyphs.bar, body.theme.dim);
            }
            let mut body = body.part(inner);
            for finding in found {
                all.extend(diagnosis::in_full(&body, finding, inner.width));
                all.push(Line::new());
            }
            all.pop();
            lines(&mut body, &all, 0);
        } else {
            diagnosis::worst_in_short(&mut body, found);
        }
    }
}

/// What stands beside or below the ladder.
struct Panes {
    message: Option<Rect>,
    findings: Option<Rect>,
}

fn panes(screen: &Screen, room: &Room, model: &Model, ui: &Ui) -> Panes {
    let area = screen.pane;
    if area.height == 0 {
        return Panes { message: None, findings: None };
    }
    let beside = screen.list.height > 0 && screen.list.width < screen.footer.width;
    let found = ui.findings(model, room.name());
    if !beside {
        return match ui.ladder.detail {
            Some(_) => Panes { message: Some(area), findings: None },
            None => Panes { message: None, findings: Some(area) },
        };
    }
    if found.is_empty() {
        return Panes { message: Some(area), findings: None };
    }
    // As much as the findings need, but never more than two fifths.
    let mut buffer = ratatui::buffer::Buffer::empty(area);
    let pen = Pen::new(&mut buffer, area, ui.theme, ui.glyphs);
    let width = area.width.saturating_sub(2);
    let needed: usize = found.iter().map(|finding| diagnosis::in_full(&pen, finding, width).len() + 1).sum();
    let height = u16::try_from(needed).unwrap_or(u16::MAX).min(area.height * 2 / 5);
    let message = Rect { height: area.height - height, ..area };
    Panes { message: Some(message), findings: Some(Rect { y: message.bottom(), height, ..area }) }
}

/// How many lines the message has and how many of them are on the screen.
pub(super) fn pane_length(screen: &Screen, model: &Model, ui: &Ui) -> (usize, usize) {
    let Some(room) = ui.ladder.room.as_deref().and_then(|room| model.room(room)) else { return (0, 0) };
    let Some(area) = panes(screen, room, model, ui).message else { return (0, 0) };
    let beside = screen.list.height > 0 && screen.list.width < screen.footer.width;
    let area = diagnosis::inner(area, beside);
    let mut buffer = ratatui::buffer::Buffer::empty(area);
    let pen = Pen::new(&mut buffer, area, ui.theme, ui.glyphs);
    (detail::lines_of(&pen, room, ui).len(), usize::from(area.height))
}

fn pane_title(ui: &Ui) -> String {
    match (ui.ladder.detail, ui.ladder.place()) {
        (Some(detail), _) if detail.compare => " what changed from the older to the newer ".into(),
        (_, Some((place, all))) => format!(" message {place} of {all} "),
        _ => String::new(),
    }
}

/// Lifelines, names, arrows.
fn rungs(pen: &mut Pen<'_>, room: &Room, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let rows = ui.ladder.rows();
    let side = ui.ladder.side();
    let places = layout::Ladder::of(pen.width(), side);
    let heading = theme.dim.add_modifier(Modifier::BOLD);
    pen.put(GUTTER + 1, 0, "TIME", heading);
    if let Some(delta) = places.delta {
        pen.right(delta, 0, 7, "DELTA", heading);
    }
    let top = ui.ladder.top();
    names(pen, 0, &ui.ladder.names_at(top), &places, Some(room), (true, true));
    if side {
        pen.cell(places.side.0, 0, places.side.1, "others", heading);
    }
    pen.put(places.essence, 0, "WHAT", heading);
    if rows.is_empty() {
        let area = pen.area();
        let mut body = pen.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        let words = if ui.ladder.hidden() > 0 {
            let hidden = words::number(ui.ladder.hidden() as u64, "message");
            vec![format!("no message passes the filter {}", ui.sieve.text), format!("{hidden} hidden; \\ shows all")]
        } else {
            vec!["nothing was said since the monitor looks".into(), "what comes appears here by itself".into()]
        };
        return nothing(&mut body, &words);
    }
    let cursor = ui.ladder.at();
    let found = ui.findings(model, room.name());
    let severity = |seq: u64| found.iter().filter(|f| f.entries.contains(&seq)).map(|f| f.severity).max();
    let before = rows[..top.min(rows.len())].iter().rev().find_map(arrow_of).and_then(|seq| room.entry(seq));
    let mut before = before.map(|entry| entry.at);
    for (y, (at, row)) in (1..pen.height()).zip(rows.iter().enumerate().skip(top)) {
        lifelines(pen, y, &places);
        match row {
            Row::Names { left, right } => {
                names(pen, y, &ui.ladder.names_at(at), &places, None, (*left, *right));
            }
            Row::Arrow { seq, from, to } => {
                let Some(entry) = room.entry(*seq) else { continue };
                let selected = cursor == Some(at);
                if selected {
                    pen.highlight(y, theme.selected);
                    pen.put(0, y, pen.glyphs.selected, theme.selected.add_modifier(Modifier::BOLD));
                }
                rung(pen, y, entry, (*from, *to), &places, before, severity(*seq), ui);
                before = Some(entry.at);
            }
        }
    }
}

fn arrow_of(row: &Row) -> Option<u64> {
    match row {
        Row::Arrow { seq, .. } => Some(*seq),
        Row::Names { .. } => None,
    }
}

fn lifelines(pen: &mut Pen<'_>, y: u16, places: &layout::Ladder) {
    let (bar, dim) = (pen.glyphs.bar, pen.theme.dim);
    for x in places.lanes {
        pen.put(x, y, bar, dim);
    }
}

/// Who has which lane, each name around its line; with its kind where there is room, if `room` is given to know it
/// from. Only the lanes that are asked for: left, right.
fn names(
    pen: &mut Pen<'_>,
    y: u16,
    names: &Names,
    places: &layout::Ladder,
    room: Option<&Room>,
    (left, right): (bool, bool),
) {
    let [at_left, agent, at_right] = places.lanes;
    let accent = pen.theme.accent.add_modifier(Modifier::BOLD);
    let quiet = pen.theme.dim.add_modifier(Modifier::BOLD);
    if room.is_some() {
        pen.cell(agent - 2, y, 5, "agent", quiet);
    }
    // Others' names are names, too: one column would not keep them apart.
    let end = if places.side.1 > 0 { places.side.0 - 1 } else { places.essence };
    let parts =
        [(left, &names.left, at_left, at_left - 1, agent - 3), (right, &names.right, at_right, agent + 4, end - 1)];
    for (_, name, line, from, to) in parts.into_iter().filter(|part| part.0) {
        let most = to.saturating_sub(from);
        let name = name.as_deref().unwrap_or("-");
        let called = room.and_then(|room| room.seat(name)).map(rooms::peer);
        let called = called.filter(|called| pen.measure(called) <= most).unwrap_or_else(|| name.to_owned());
        let width = pen.measure(&called).min(most);
        let x = line.saturating_sub(width / 2).min(to.saturating_sub(width)).max(from);
        pen.cell(x, y, most, &called, accent);
    }
}

#[expect(clippy::too_many_arguments, reason = "a row has as many parts")]
fn rung(
    pen: &mut Pen<'_>,
    y: u16,
    entry: &Entry,
    (from, to): (Lane, Lane),
    places: &layout::Ladder,
    before: Option<protocol::Timestamp>,
    severity: Option<Severity>,
    ui: &Ui,
) {
    let theme = pen.theme;
    if let Some(severity) = severity {
        pen.put(1, y, pen.glyphs.severity(severity), theme.severity(severity));
    }
    if ui.ladder.mark(entry.seq).is_some() {
        pen.put(2, y, pen.glyphs.marked, theme.accent.add_modifier(Modifier::BOLD));
    }
    let clock = words::clock(entry.at);
    pen.put(GUTTER + 1, y, &clock[clock.len() - usize::from(places.clock)..], theme.dim);
    if let (Some(x), Some(before)) = (places.delta, before) {
        let silence = entry.at.since(before);
        let style = if silence >= SILENCE { theme.warning } else { theme.dim };
        pen.right(x, y, 7, &words::delta(silence), style);
    }
    arrow(pen, y, entry, (from, to), places);
    let style = style_of(pen, &entry.what);
    let x = pen.put(places.essence, y, entry.what.kind(), style.add_modifier(Modifier::BOLD));
    pen.put(x + 1, y, &essence(&entry.what, ui.redaction), Style::new());
}

fn arrow(pen: &mut Pen<'_>, y: u16, entry: &Entry, (from, to): (Lane, Lane), places: &layout::Ladder) {
    let glyphs = pen.glyphs;
    // An arrow across a lifeline does not take on its style.
    let plain = Style::new().fg(Color::Reset).remove_modifier(Modifier::DIM);
    let style = plain.patch(style_of(pen, &entry.what));
    let column = |lane: Lane| match lane {
        Lane::Left => places.lanes[0],
        Lane::Agent => places.lanes[1],
        Lane::Right => places.lanes[2],
        Lane::Side => places.side.0.saturating_sub(1).max(places.lanes[2]),
    };
    for (lane, party) in [(from, &entry.from), (to, &entry.to)] {
        if lane == Lane::Side {
            pen.cell(places.side.0, y, places.side.1, party.name(), style);
        }
    }
    let (start, end) = (column(from), column(to));
    if start == end {
        pen.put(start, y, glyphs.event, style);
        return;
    }
    if let Said::Event(_) = entry.what {
        pen.put(places.lanes[1], y, glyphs.event, style);
        return;
    }
    let refused = matches!(entry.what, Said::Refused { .. });
    let shaft = if refused { glyphs.dashed } else { glyphs.line };
    let (left, right) = (start.min(end), start.max(end));
    pen.rule(left + 1, y, (right - left).saturating_sub(1), shaft, style);
    let (head, x) = match (start < end, refused) {
        (_, true) => (glyphs.refused, if start < end { right - 1 } else { left + 1 }),
        (true, false) => (glyphs.right, right - 1),
        (false, false) => (glyphs.left, left + 1),
    };
    pen.put(x, y, head, style);
}

/// How a message is written: what carries the negotiation stands out, what is broken, too.
fn style_of(pen: &Pen<'_>, said: &Said) -> Style {
    let theme = pen.theme;
    match said {
        Said::Offer(_) | Said::Answer(_) => theme.accent,
        Said::Refused { .. } | Said::Malformed { .. } => theme.fault,
        Said::State { connection: protocol::Connection::Failed, .. } => theme.fault,
        Said::State { connection: protocol::Connection::Connected, .. } => theme.good,
        Said::FromAgent(said) => match **said {
            protocol::Said::Error { .. } | protocol::Said::Full { .. } => theme.warning,
            _ => Style::new(),
        },
        Said::Bye | Said::Leave { .. } | Said::Order(_) | Said::Event(_) => theme.warning,
        _ => Style::new(),
    }
}

/// A message in a line without lifelines: time, who to whom, what.
pub(super) fn in_short(pen: &Pen<'_>, entry: &Entry, ui: &Ui) -> Line {
    let arrow = format!("{}{}", pen.glyphs.line, pen.glyphs.right);
    let clock = words::clock(entry.at);
    vec![
        piece(format!("{} ", &clock[3..]), pen.theme.dim),
        piece(format!("{} {arrow} {} ", entry.from, entry.to), pen.theme.dim),
        piece(entry.what.kind().to_owned(), style_of(pen, &entry.what).add_modifier(Modifier::BOLD)),
        piece(format!(" {}", essence(&entry.what, ui.redaction)), Style::new()),
    ]
}
