//! Screens: what the model holds, drawn as the [`Ui`] says. Drawing changes nothing and reads no clock, so that the
//! same model and the same state always give the same screen, live or replayed.

mod agents;
mod detail;
mod diagnosis;
mod dialog;
mod events;
mod footer;
mod glyphs;
mod header;
mod help;
mod ladder;
pub mod layout;
mod paint;
mod rooms;
mod theme;
pub mod words;

pub use glyphs::Glyphs;
pub use header::tabs;
pub use theme::{Depth, Palette, Theme, UnknownPalette};

use crate::app::{Over, Ui, View};
use crate::model::Model;
use layout::{LEAST_HEIGHT, LEAST_WIDTH, Screen};
use paint::{Pen, Piece};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

/// A line of a pane: pieces one after another.
type Line = Vec<Piece<'static>>;

/// Draws a frame.
pub fn draw(frame: &mut ratatui::Frame<'_>, model: &Model, ui: &Ui) {
    if let Some(cursor) = paint(frame.buffer_mut(), model, ui) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws into a buffer; gives where the cursor stands if something is being written.
pub fn paint(buffer: &mut Buffer, model: &Model, ui: &Ui) -> Option<Position> {
    let area = buffer.area;
    let mut pen = Pen::new(buffer, area, ui.theme, ui.glyphs);
    pen.clear();
    let size = (area.width, area.height);
    let Some(screen) = Screen::of(ui).filter(|_| size == ui.size) else {
        too_small(&mut pen);
        return None;
    };
    header::draw(&mut pen, &screen, model, ui);
    if let Some(Over::Help(top)) = ui.over {
        let body = Rect { height: screen.footer.y - screen.tabs.y, ..screen.tabs };
        help::draw(&mut pen.part(body), top);
    } else {
        match ui.view {
            View::Rooms => rooms::draw(&mut pen, &screen, model, ui),
            View::Ladder => ladder::draw(&mut pen, &screen, model, ui),
            View::Diagnosis => diagnosis::draw(&mut pen, &screen, model, ui),
            View::Events => events::draw(&mut pen, &screen, model, ui),
            View::Agents => agents::draw(&mut pen, &screen, model, ui),
        }
    }
    dialog::draw(&mut pen, &screen, ui);
    footer::draw(&mut pen, &screen, ui)
}

/// How many lines what can be scrolled beside the list has, and how many of them are on the screen.
pub(crate) fn pane_length(model: &Model, ui: &Ui) -> Option<(usize, usize)> {
    let screen = Screen::of(ui)?;
    if let Some(Over::Help(_)) = ui.over {
        let rows = usize::from(screen.footer.y - screen.tabs.y).saturating_sub(1);
        return Some((help::lines(screen.footer.width, ui).len(), rows));
    }
    match ui.view {
        View::Ladder => Some(ladder::pane_length(&screen, model, ui)),
        View::Diagnosis => Some(diagnosis::pane_length(&screen, model, ui)),
        View::Agents => Some(agents::pane_length(&screen, model, ui)),
        View::Rooms | View::Events => None,
    }
}

fn too_small(pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let words = format!("window too small: {LEAST_WIDTH}×{LEAST_HEIGHT} needed, this is {width}×{height}");
    let lines = paint::wrap(&words, width);
    for (y, line) in (0..).zip(&lines) {
        pen.put(0, y, line, Style::new());
    }
}

/// Words in the middle of a part in which there is nothing to show.
fn nothing(pen: &mut Pen<'_>, lines: &[String]) {
    let width = pen.width();
    let wrapped: Vec<String> = lines.iter().flat_map(|line| paint::wrap(line, width.saturating_sub(4))).collect();
    let top = pen.height().saturating_sub(wrapped.len() as u16) / 3;
    for (y, line) in (top..).zip(&wrapped) {
        let x = width.saturating_sub(pen.measure(line)) / 2;
        let style = if y == top { pen.theme.heading } else { pen.theme.dim };
        pen.put(x, y, line, style);
    }
}

/// Draws lines from `top` on, and how much is above and below at the right of the first and the last row.
fn lines(pen: &mut Pen<'_>, lines: &[Line], top: usize) {
    let rows = usize::from(pen.height());
    let top = top.min(lines.len().saturating_sub(1));
    for (y, line) in (0..pen.height()).zip(lines.iter().skip(top)) {
        pen.line(0, y, line);
    }
    let below = lines.len().saturating_sub(top + rows);
    let dim = pen.theme.dim;
    let (up, down) = (pen.glyphs.up, pen.glyphs.down);
    for (y, sign, count) in [(0, up, top), (pen.height().saturating_sub(1), down, below)] {
        if count > 0 && rows > 2 {
            let text = format!(" {sign}{count}");
            let x = pen.width().saturating_sub(pen.measure(&text));
            pen.put(x, y, &text, dim);
        }
    }
}
