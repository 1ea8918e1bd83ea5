//! The rooms view: a row a room, and what is wrong with the selected one in words below or beside.

use super::layout::{self, Place, Screen};
use super::paint::{Pen, piece, wrap};
use super::{Line, diagnosis, lines, nothing, words};
use crate::app::{Column, Origin, Row, Ui};
use crate::model::{Model, Phase, Seat};
use crate::wire::Link;
use protocol::{Connection, Timestamp};
use ratatui::style::{Modifier, Style};

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    table(&mut pen.part(screen.list), model, ui);
    let wide = screen.list.width < pen.width();
    let mut pane = pen.part(screen.pane);
    if let Some(row) = ui.room().and_then(|name| ui.row(model, name)) {
        if wide {
            beside(&mut pane, model, ui, &row);
        } else if pane.height() > 0 {
            below(&mut pane, model, ui, &row);
        }
    }
}

fn table(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let places = layout::columns(pen.width());
    heading(pen, &places, ui);
    let names = ui.rooms.names();
    if names.is_empty() {
        let height = pen.height().saturating_sub(1);
        let area = pen.area();
        let mut body = pen.part(ratatui::layout::Rect { y: area.y + 1, height, ..area });
        return nothing(&mut body, &why_empty(model, ui));
    }
    let now = ui.now(model);
    for (y, (at, name)) in (1..pen.height()).zip(names.iter().enumerate().skip(ui.rooms.top())) {
        let Some(row) = ui.row(model, name) else { continue };
        let selected = at == ui.rooms.at();
        if selected {
            pen.highlight(y, theme.selected);
            pen.put(0, y, pen.glyphs.selected, theme.selected.add_modifier(Modifier::BOLD));
        }
        let stale = ui.paused.is_none() && model.room(name).is_some_and(|room| model.stale(room));
        if stale {
            pen.put(1, y, "?", theme.warning);
        }
        for place in &places {
            cell(pen, place, y, &row, now, stale);
        }
    }
}

fn heading(pen: &mut Pen<'_>, places: &[Place], ui: &Ui) {
    let theme = pen.theme;
    let sorting = ui.rooms.sorting();
    for place in places {
        let mut title = place.column.title().to_owned();
        let mut style = theme.dim.add_modifier(Modifier::BOLD);
        if place.column == sorting.column {
            title.push_str(if sorting.descending { pen.glyphs.descending } else { pen.glyphs.ascending });
            style = theme.accent.add_modifier(Modifier::BOLD);
        }
        if is_number(place.column) {
            pen.right(place.x, 0, place.width, &title, style);
        } else {
            pen.cell(place.x, 0, place.width, &title, style);
        }
    }
}

const fn is_number(column: Column) -> bool {
    matches!(column, Column::Age | Column::Messages | Column::Exchange | Column::Refused)
}

fn cell(pen: &mut Pen<'_>, place: &Place, y: u16, row: &Row, now: Timestamp, stale: bool) {
    let theme = pen.theme;
    let quiet = if stale || row.phase == Phase::Ended { theme.dim } else { Style::new() };
    let (text, style) = match place.column {
        Column::Finding => match row.worst {
            Some(severity) => {
                let sign = pen.glyphs.severity(severity);
                let text = if row.findings > 1 { format!("{sign}{}", row.findings.min(99)) } else { sign.to_owned() };
                (text, theme.severity(severity))
            }
            None => return,
        },
        Column::Room => (row.name.to_string(), quiet.add_modifier(Modifier::BOLD)),
        Column::Seats => (seats(pen, &row.seats), quiet),
        Column::Phase => (phase(row.phase), phase_style(pen, row.phase, quiet)),
        Column::Why => match (row.rule, row.worst) {
            (Some(rule), Some(severity)) => (rule.to_owned(), theme.severity(severity)),
            _ => return,
        },
        Column::Age => (words::age(now.since(row.since)), quiet),
        Column::Messages => (words::short_count(row.messages), quiet),
        Column::Exchange => match row.exchange {
            Some(span) => (words::span(span), quiet),
            None => ("-".to_owned(), theme.dim),
        },
        Column::Refused => match row.refused {
            0 => ("-".to_owned(), theme.dim),
            refused => (words::short_count(refused), theme.warning),
        },
        Column::Peers => return peers(pen, place, y, &row.seats, quiet),
        Column::Last => match &row.last {
            Some(last) => {
                let ago = words::age(now.since(last.at));
                let who = last.peer.as_ref().map(|peer| format!(" {peer}")).unwrap_or_default();
                (format!("{ago:>4} {}{who}", last.kind), theme.dim)
            }
            None => return,
        },
    };
    if is_number(place.column) {
        pen.right(place.x, y, place.width, &text, style);
    } else {
        pen.cell(place.x, y, place.width, &text, style);
    }
}

/// Who sits there: with their kinds if all of that fits, else the names, each cut to its share of the width.
fn peers(pen: &mut Pen<'_>, place: &Place, y: u16, seats: &[Seat], style: Style) {
    let separator = format!(" {} ", pen.glyphs.dot);
    let gap = pen.measure(&separator);
    let gaps = gap.saturating_mul(u16::try_from(seats.len().saturating_sub(1)).unwrap_or(u16::MAX));
    let free = place.width.saturating_sub(gaps);
    let sum = |names: &[String]| names.iter().map(|name| pen.measure(name)).fold(0, u16::saturating_add);
    let mut names: Vec<String> = seats.iter().map(peer).collect();
    if sum(&names) > free {
        names = seats.iter().map(|seat| seat.peer.to_string()).collect();
    }
    let wanted: Vec<u16> = names.iter().map(|name| pen.measure(name)).collect();
    let end = place.x + place.width;
    let mut x = place.x;
    for (at, (name, width)) in names.iter().zip(shares(&wanted, free)).enumerate() {
        if at > 0 {
            x = pen.cell(x, y, end.saturating_sub(x), &separator, style);
        }
        x = pen.cell(x, y, width.min(end.saturating_sub(x)), name, style);
    }
}

/// Splits `free` columns among what wants so many each: what wants less than its share leaves the rest to the others.
fn shares(wanted: &[u16], free: u16) -> Vec<u16> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&at| wanted[at]);
    let mut given = vec![0; wanted.len()];
    let mut left = free;
    for (done, at) in order.into_iter().enumerate() {
        let others = u16::try_from(wanted.len() - done).unwrap_or(u16::MAX);
        given[at] = wanted[at].min(left / others);
        left -= given[at];
    }
    given
}

/// Both seats: here, away or free.
fn seats(pen: &Pen<'_>, seats: &[Seat]) -> String {
    let glyph = |seat: Option<&Seat>| match seat {
        Some(seat) if seat.away => pen.glyphs.away,
        Some(_) => pen.glyphs.here,
        None => pen.glyphs.free,
    };
    let mut text = format!("{}{}", glyph(seats.first()), glyph(seats.get(1)));
    if seats.len() > 2 {
        text.push_str(&format!("+{}", seats.len() - 2));
    }
    text
}

/// The phase in a word; the asterisk says that it was inferred.
pub(super) fn phase(phase: Phase) -> String {
    format!("{}{}", phase.name(), if phase.inferred() { "*" } else { "" })
}

pub(super) fn phase_style(pen: &Pen<'_>, phase: Phase, quiet: Style) -> Style {
    match phase {
        Phase::Failed => pen.theme.fault,
        Phase::Negotiating => pen.theme.accent,
        Phase::Connected { .. } => pen.theme.good,
        Phase::Waiting | Phase::Idle => quiet,
        Phase::Ended => pen.theme.dim,
    }
}

/// A peer with its kind: `cam1 camera`.
pub(super) fn peer(seat: &Seat) -> String {
    match &seat.kind {
        Some(kind) => format!("{} ({kind})", seat.peer),
        None => seat.peer.to_string(),
    }
}

fn connection(connection: Connection) -> &'static str {
    match connection {
        Connection::New => "new",
        Connection::Connecting => "connecting",
        Connection::Connected => "connected",
        Connection::Disconnected => "disconnected",
        Connection::Failed => "failed",
        Connection::Closed => "closed",
    }
}

fn why_empty(model: &Model, ui: &Ui) -> Vec<String> {
    if !ui.sieve.text.is_empty() && ui.rooms.census().all > 0 {
        let all = words::number(ui.rooms.census().all as u64, "room");
        return vec![
            format!("no room passes the filter {}", ui.sieve.text),
            format!("{all} in all; \\ shows them again"),
        ];
    }
    let live = matches!(ui.origin, Origin::Broker { .. });
    if live && *model.link() != Link::Connected {
        return vec!["nothing is known yet".into(), "rooms appear as soon as the connection stands".into()];
    }
    let mut lines = vec!["no rooms yet".to_owned()];
    lines.push(match &ui.page {
        Some(page) => format!("open {page} in two windows and type the same room name"),
        None => "a room appears here as soon as its first peer joins".to_owned(),
    });
    lines
}

/// Who sits there and how their calls are doing, as one line.
fn members(pen: &Pen<'_>, row: &Row) -> Line {
    let theme = pen.theme;
    let mut line: Line = Vec::new();
    for seat in &row.seats {
        let gap = if line.is_empty() { String::new() } else { format!(" {} ", pen.glyphs.dot) };
        line.push(piece(gap, theme.dim));
        line.push(piece(if seat.away { pen.glyphs.away } else { pen.glyphs.here }, theme.accent));
        line.push(piece(format!(" {}", peer(seat)), Style::new()));
        if seat.away {
            line.push(piece(" away", theme.warning));
        }
        match seat.connection {
            Some(said @ Connection::Failed) => line.push(piece(format!(" {}", connection(said)), theme.fault)),
            Some(said) => line.push(piece(format!(" {}", connection(said)), theme.dim)),
            None => {}
        }
    }
    if row.seats.is_empty() {
        line.push(piece("nobody is here", theme.dim));
    }
    line
}

/// Below the table: one line of who is there, the worst finding in words.
fn below(pen: &mut Pen<'_>, model: &Model, ui: &Ui, row: &Row) {
    let theme = pen.theme;
    pen.rule(0, 0, pen.width(), pen.glyphs.line, theme.dim);
    let name = format!(" {} ", row.name);
    let most = pen.width() / 2;
    let x = pen.cell(2, 0, most, &name, theme.heading);
    let mut who = members(pen, row);
    who.push(piece(" ", theme.dim));
    pen.line(x, 0, &who);
    let height = pen.height().saturating_sub(1);
    let area = pen.area();
    let mut body = pen.part(ratatui::layout::Rect { y: area.y + 1, height, ..area });
    let found = ui.findings(model, &row.name);
    if found.is_empty() {
        body.put(2, 0, &all_well(row), theme.dim);
    } else {
        diagnosis::worst_in_short(&mut body, found);
    }
}

fn all_well(row: &Row) -> String {
    match row.phase {
        Phase::Ended => "the room has ended; nothing was wrong at its end".into(),
        Phase::Waiting => "nothing is wrong as far as can be seen: one peer is here and waits for another".into(),
        Phase::Connected { said: false } => {
            "nothing is wrong as far as can be seen; connected* is inferred from the signals, no peer has said so"
                .into()
        }
        _ => "nothing is wrong as far as can be seen".into(),
    }
}

/// Beside the table, on wide screens: who is there, every finding, what was said last.
fn beside(pen: &mut Pen<'_>, model: &Model, ui: &Ui, row: &Row) {
    let theme = pen.theme;
    let bar = pen.glyphs.bar;
    for y in 0..pen.height() {
        pen.put(0, y, bar, theme.dim);
    }
    let area = pen.area();
    let mut pen = pen.part(ratatui::layout::Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area });
    let width = pen.width();
    let now = ui.now(model);
    let mut all: Vec<Line> = vec![vec![
        piece(row.name.to_string(), theme.heading.patch(theme.accent)),
        piece("  ", theme.dim),
        piece(phase(row.phase), phase_style(&pen, row.phase, Style::new())),
        piece(
            format!("  {} old, {}", words::age(now.since(row.since)), words::number(row.messages, "signal")),
            theme.dim,
        ),
    ]];
    for seat in &row.seats {
        let single = Row { seats: vec![seat.clone()], ..row.clone() };
        let mut line = members(&pen, &single);
        line.push(piece(format!("  for {}", words::age(now.since(seat.since))), theme.dim));
        all.push(line);
    }
    all.push(Vec::new());
    let found = ui.findings(model, &row.name);
    if found.is_empty() {
        all.extend(wrap(&all_well(row), width).into_iter().map(|line| vec![piece(line, theme.dim)]));
        all.push(Vec::new());
    }
    for finding in found {
        all.extend(diagnosis::in_full(&pen, finding, width));
        all.push(Vec::new());
    }
    let free = usize::from(pen.height()).saturating_sub(all.len() + 1);
    let shown = |seq: u64| ui.paused.as_ref().is_none_or(|frozen| seq <= frozen.seq);
    if let Some(room) = model.room(&row.name).filter(|_| free >= 3) {
        all.push(vec![piece("said last", theme.dim.add_modifier(Modifier::BOLD))]);
        let ladder = room.ladder();
        let last = ladder.range(..).rev().filter(|entry| shown(entry.seq)).take(free - 1);
        let mut said: Vec<Line> = last.map(|entry| super::ladder::in_short(&pen, entry, ui)).collect();
        said.reverse();
        all.extend(said);
    }
    lines(&mut pen, &all, 0);
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn what_is_short_leaves_its_share_to_what_is_long() {
        let cases: [(&[u16], u16, &[u16]); 6] = [
            (&[], 10, &[]),
            (&[30], 10, &[10]),
            (&[5, 5], 14, &[5, 5]),
            (&[30, 30], 14, &[7, 7]),
            (&[30, 5], 14, &[9, 5]),
            (&[3, 30, 30], 0, &[0, 0, 0]),
        ];
        for (wanted, free, given) in cases {
            assert_eq!(shares(wanted, free), given, "{wanted:?} in {free}");
        }
    }
}
