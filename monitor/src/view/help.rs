//! All keys, from the table of keys; and what the signs on the screen mean.

use super::Line;
use super::lines as draw_lines;
use super::paint::{Pen, piece};
use crate::app::Ui;
use crate::app::keys::{Binding, Group, TABLE};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns of the keys.
const KEYS: usize = 22;
/// From this width on there are two columns.
const TWO_FROM: u16 = 180;

pub(super) fn draw(pen: &mut Pen<'_>, top: usize) {
    pen.clear();
    pen.put(1, 0, "All keys", pen.theme.heading);
    let area = pen.area();
    let mut body = pen.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
    let all = columns(&body);
    draw_lines(&mut body, &all, top);
}

/// The lines of the help on a screen of this width.
pub(super) fn lines(width: u16, ui: &Ui) -> Vec<Line> {
    let area = Rect { x: 0, y: 0, width, height: 1 };
    let mut buffer = Buffer::empty(area);
    columns(&Pen::new(&mut buffer, area, ui.theme, ui.glyphs))
}

fn columns(pen: &Pen<'_>) -> Vec<Line> {
    let mut blocks: Vec<Vec<Line>> = Group::ALL.iter().map(|group| block(pen, *group)).collect();
    blocks.insert(2, signs(pen));
    if pen.width() < TWO_FROM {
        return blocks.concat();
    }
    let total: usize = blocks.iter().map(Vec::len).sum();
    let mut left: Vec<Line> = Vec::new();
    let mut right: Vec<Line> = Vec::new();
    for block in blocks {
        if left.len() + block.len() / 2 <= total / 2 && right.is_empty() {
            left.extend(block)
        } else {
            right.extend(block)
        }
    }
    let half = usize::from(pen.width() / 2);
    let rows = left.len().max(right.len());
    left.resize(rows, Line::new());
    right.resize(rows, Line::new());
    left.into_iter()
        .zip(right)
        .map(|(mut line, beside)| {
            let used: usize = line.iter().map(|(text, _)| usize::from(pen.measure(text))).sum();
            line.push(piece(" ".repeat(half.saturating_sub(used)), Style::new()));
            line.extend(beside);
            line
        })
        .collect()
}

/// The keys of one heading.
fn block(pen: &Pen<'_>, group: Group) -> Vec<Line> {
    let mut lines = vec![vec![piece(format!(" {}", group.name()), pen.theme.heading)]];
    for binding in TABLE.iter().filter(|binding| binding.group == group) {
        lines.push(vec![
            piece(format!("   {:<KEYS$} ", names(binding)), pen.theme.accent),
            piece(binding.words, Style::new()),
        ]);
    }
    lines.push(Line::new());
    lines
}

/// All keys of a binding: `Up k`.
pub(super) fn names(binding: &Binding) -> String {
    binding.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
}

/// What the signs mean.
fn signs(pen: &Pen<'_>) -> Vec<Line> {
    let g = pen.glyphs;
    let theme = pen.theme;
    let seats = format!("{} {} {}", g.here, g.away, g.free);
    let severities = format!("{} {} {}", g.fault, g.warning, g.note);
    let all: [(String, &str); 9] = [
        (seats, "a seat whose peer is here; away, and kept for it; free"),
        (severities, "the call cannot connect like this; it may fail; worth knowing"),
        ("connected*".into(), "inferred from the signals; without * a peer said so itself"),
        ("?".into(), "before a room: nothing was heard of it since the connection was lost"),
        ("O>A".into(), "from the last offer to its answer"),
        ("ev lost bad".into(), "messages let go of; dropped unread; that cannot be read"),
        ("REF".into(), "joins and signals that were refused"),
        (
            format!("{}{} {}{}", g.line, g.right, g.dashed, g.refused),
            "a message; one that was refused and reached nobody",
        ),
        (format!("{} {}", g.event, g.marked), "something happened without a message; a message you marked"),
    ];
    let mut lines = vec![vec![piece(" Signs", theme.heading)]];
    for (sign, words) in all {
        let width = usize::from(pen.measure(&sign));
        let pad = " ".repeat(KEYS.saturating_sub(width));
        lines.push(vec![piece(format!("   {sign}{pad} "), theme.accent), piece(words, Style::new())]);
    }
    lines.push(Line::new());
    lines
}
