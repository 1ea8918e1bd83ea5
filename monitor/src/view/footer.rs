//! The last line: what the keys do, what became of something, or the filter that is being written with what is
//! wrong with it.

use super::layout::Screen;
use super::paint::Pen;
use crate::app::{Action, Prompt, Ui, keys};
use crate::app::{Over, keys::Binding};
use crate::text;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, ui: &Ui) -> Option<Position> {
    if let Some(Over::Prompt(prompt)) = &ui.over {
        return Some(write(pen, screen, prompt));
    }
    let mut line = pen.part(screen.footer);
    let theme = line.theme;
    if let (Some(notice), None) = (&ui.notice, &ui.over) {
        let (sign, style) =
            if notice.fault { (line.glyphs.fault, theme.warning) } else { (line.glyphs.good, theme.good) };
        let x = line.put(1, 0, sign, style);
        line.put(x + 1, 0, &notice.text, theme.heading);
    } else {
        hints(&mut line, ui);
    }
    None
}

/// As many keys as fit, the way to the help and out in any case.
fn hints(pen: &mut Pen<'_>, ui: &Ui) {
    let shown = |binding: &&Binding| !binding.short.is_empty();
    let all: Vec<&Binding> = keys::bindings(ui.focus()).filter(shown).collect();
    let width_of =
        |pen: &Pen<'_>, binding: &Binding| pen.measure(&binding.keys[0].name()) + 1 + pen.measure(binding.short) + 2;
    let always = |binding: &Binding| matches!(binding.action, Action::Help | Action::Quit);
    let reserved: u16 = all.iter().filter(|binding| always(binding)).map(|binding| width_of(pen, binding)).sum();
    let mut free = (pen.width() + 1).saturating_sub(reserved);
    let mut x = 1;
    let (accent, dim) = (pen.theme.accent, pen.theme.dim);
    for binding in all {
        let width = width_of(pen, binding);
        if !always(binding) {
            if width > free {
                continue;
            }
            free -= width;
        }
        x = pen.put(x, 0, &binding.keys[0].name(), accent);
        x = pen.put(x + 1, 0, binding.short, dim) + 2;
    }
}

/// The filter, and over it what is wrong, beginning where it is wrong.
fn write(pen: &mut Pen<'_>, screen: &Screen, prompt: &Prompt) -> Position {
    let theme = pen.theme;
    let width = screen.footer.width;
    let inside = usize::from(width.saturating_sub(2));
    // What is before the cursor is shown as far as it fits, its end in any case.
    let before = prompt.before();
    let mut from = 0;
    while text::width(&text::escape(&before[from..])) >= inside {
        from += before[from..].chars().next().map_or(1, char::len_utf8);
    }
    let column = |end: usize| {
        let part = prompt.text().get(from..end.max(from)).unwrap_or_default();
        1 + u16::try_from(text::width(&text::escape(part))).unwrap_or(u16::MAX)
    };
    let mut line = pen.part(screen.footer);
    line.put(0, 0, if from == 0 { "/" } else { line.glyphs.cut }, theme.accent);
    line.put(1, 0, &prompt.text()[from..], Style::new());
    if prompt.text().is_empty() {
        line.put(2, 0, "room:lobby type:offer text:H264 phase:failed !refused", theme.dim);
    }
    if let Err(error) = prompt.filter() {
        let above = Rect { y: screen.footer.y.saturating_sub(2), height: 2, ..screen.footer };
        let mut above = pen.part(above);
        above.clear();
        let place = prompt.text().char_indices().nth(error.at.saturating_sub(1));
        let at = column(place.map_or(prompt.text().len(), |(byte, _)| byte)).min(width.saturating_sub(1));
        above.put(1, 0, &error.what, theme.fault);
        above.put(at, 1, "^", theme.fault);
    }
    Position { x: column(before.len()).min(width.saturating_sub(1)), y: screen.footer.y }
}
