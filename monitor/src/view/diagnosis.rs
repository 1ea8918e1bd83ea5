//! Findings in words: seen, means, try. As a list of all of them, and as part of other views.

use super::layout::Screen;
use super::paint::{Pen, piece, wrap};
use super::{Line, lines, nothing};
use crate::app::{Ui, worst};
use crate::diagnosis::Finding;
use crate::model::Model;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Columns before the words: `means `.
const LABEL: u16 = 6;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    list(&mut pen.part(screen.list), model, ui);
    let beside = screen.list.width < pen.width();
    let mut pane = framed(pen, screen.pane, beside);
    if let Some(all) = pane_lines(&pane, model, ui) {
        lines(&mut pane, &all, ui.diagnosis.pane_top);
    }
}

/// A line between list and pane; gives a pen for what is left of the pane.
pub(super) fn framed<'p>(pen: &'p mut Pen<'_>, pane: Rect, beside: bool) -> Pen<'p> {
    let mut pen = pen.part(pane);
    let dim = pen.theme.dim;
    let area = pen.area();
    if beside {
        for y in 0..pen.height() {
            pen.put(0, y, pen.glyphs.bar, dim);
        }
    } else {
        pen.rule(0, 0, pen.width(), pen.glyphs.line, dim);
    }
    let inside = inner(area, beside);
    Pen::narrow(pen, inside)
}

/// What is left of a pane beside or below its line.
pub(super) fn inner(area: Rect, beside: bool) -> Rect {
    let (left, top) = if beside { (2, 0) } else { (1, 1) };
    let width = area.width.saturating_sub(left);
    let height = area.height.saturating_sub(top);
    Rect { x: area.x + area.width.min(left), y: area.y + area.height.min(top), width, height }
}

/// How many lines the pane has and how many of them are on the screen.
pub(super) fn pane_length(screen: &Screen, model: &Model, ui: &Ui) -> (usize, usize) {
    let beside = screen.list.width < screen.footer.width;
    let area = inner(screen.pane, beside);
    let mut buffer = ratatui::buffer::Buffer::empty(area);
    let pen = Pen::new(&mut buffer, area, ui.theme, ui.glyphs);
    (pane_lines(&pen, model, ui).map_or(0, |lines| lines.len()), usize::from(area.height))
}

fn list(pen: &mut Pen<'_>, model: &Model, ui: &Ui) {
    let theme = pen.theme;
    let items = ui.diagnosis.items();
    let room_width = (pen.width() / 5).clamp(10, 28);
    let rule_width = (pen.width() / 4).clamp(12, 28);
    let rule_at = 4 + room_width + 1;
    let seen_at = rule_at + rule_width + 1;
    let heading = theme.dim.add_modifier(Modifier::BOLD);
    for (x, title) in [(4, "ROOM"), (rule_at, "RULE"), (seen_at, "SEEN")] {
        pen.put(x, 0, title, heading);
    }
    if items.is_empty() {
        let area = pen.area();
        let height = area.height.saturating_sub(1);
        let mut body = pen.part(Rect { y: area.y + 1, height, ..area });
        let well = format!("{} nothing is wrong, as far as can be seen", body.glyphs.good);
        let mut words =
            vec![well, "what is found is told here in words: what was seen, what it means, what to try".into()];
        if !ui.sieve.text.is_empty() {
            words =
                vec![format!("nothing is found in the rooms that pass {}", ui.sieve.text), "\\ shows all rooms".into()];
        }
        return nothing(&mut body, &words);
    }
    for (y, (at, item)) in (1..pen.height()).zip(items.iter().enumerate().skip(ui.diagnosis.top())) {
        let Some(finding) = ui.findings(model, &item.room).get(item.index) else { continue };
        if at == ui.diagnosis.at() {
            pen.highlight(y, theme.selected);
            pen.put(0, y, pen.glyphs.selected, theme.selected.add_modifier(Modifier::BOLD));
        }
        let style = theme.severity(finding.severity);
        pen.put(2, y, pen.glyphs.severity(finding.severity), style);
        pen.cell(4, y, room_width, &item.room, Style::new().add_modifier(Modifier::BOLD));
        pen.cell(rule_at, y, rule_width, finding.rule, style);
        pen.put(seen_at, y, &finding.seen, Style::new());
    }
}

fn pane_lines(pen: &Pen<'_>, model: &Model, ui: &Ui) -> Option<Vec<Line>> {
    let finding = ui.finding(model)?;
    let room = ui.diagnosis.room()?;
    let mut all = in_full(pen, finding, pen.width());
    let said: Vec<Line> = finding
        .entries
        .iter()
        .filter_map(|seq| model.room(room)?.entry(*seq))
        .map(|entry| super::ladder::in_short(pen, entry, ui))
        .collect();
    if !said.is_empty() {
        all.push(Vec::new());
        all.push(vec![piece("the messages it is about (Enter shows them in the ladder)", pen.theme.dim)]);
        all.extend(said);
    }
    Some(all)
}

/// A finding with all its words: its name, then each label with the words beside it.
pub(super) fn in_full(pen: &Pen<'_>, finding: &Finding, width: u16) -> Vec<Line> {
    let style = pen.theme.severity(finding.severity);
    let mut all = vec![vec![
        piece(
            format!("{} {}", pen.glyphs.severity(finding.severity), finding.rule),
            style.add_modifier(Modifier::BOLD),
        ),
        piece(format!("  {}", finding.severity), pen.theme.dim),
    ]];
    for (label, words) in parts(finding) {
        all.extend(labelled(pen, label, words, width));
    }
    all
}

fn parts(finding: &Finding) -> [(&'static str, &str); 3] {
    [("seen", &finding.seen), ("means", &finding.means), ("try", &finding.try_this)]
}

fn labelled(pen: &Pen<'_>, label: &'static str, words: &str, width: u16) -> Vec<Line> {
    let strong = if label == "try" { pen.theme.heading } else { Style::new() };
    let words = crate::text::escape(words);
    wrap(&words, width.saturating_sub(LABEL))
        .into_iter()
        .enumerate()
        .map(|(at, line)| {
            let label = if at == 0 { label } else { "" };
            vec![piece(format!("{label:<6}"), pen.theme.dim), piece(line, strong)]
        })
        .collect()
}

/// The worst of some findings in the height there is: every label gets a line at least, what was seen and what to
/// try the most.
pub(super) fn worst_in_short(pen: &mut Pen<'_>, found: &[Finding]) {
    let Some(finding) = worst(found) else { return };
    let theme = pen.theme;
    let style = theme.severity(finding.severity);
    let sign = pen.glyphs.severity(finding.severity);
    let height = usize::from(pen.height());
    let mut x = pen.put(1, 0, &format!("{sign} {}", finding.rule), style.add_modifier(Modifier::BOLD));
    if found.len() > 1 {
        x = pen.put(x, 0, &format!("  and {} more", found.len() - 1), theme.dim);
    }
    let width = pen.width().saturating_sub(2);
    let mut blocks: Vec<Vec<Line>> =
        parts(finding).into_iter().map(|(label, words)| labelled(pen, label, words, width)).collect();
    if height < 4 {
        // No room for a line each: what was seen goes behind the name, what to try below.
        pen.put(x + 2, 0, &finding.seen, Style::new());
        blocks = vec![blocks.swap_remove(2)];
    }
    let mut free = height.saturating_sub(1);
    let mut give = vec![0; blocks.len()];
    while free > 0 {
        let wanting: Vec<usize> = (0..blocks.len()).filter(|&at| give[at] < blocks[at].len()).collect();
        if wanting.is_empty() {
            break;
        }
        for at in wanting {
            if free > 0 {
                give[at] += 1;
                free -= 1;
            }
        }
    }
    let mut y = 1;
    for (block, lines) in blocks.iter().zip(give) {
        for (at, line) in block.iter().take(lines).enumerate() {
            let end = pen.line(1, y, line);
            if at + 1 == lines && lines < block.len() {
                pen.put(end.min(pen.width().saturating_sub(1)), y, pen.glyphs.cut, theme.dim);
            }
            y += 1;
        }
    }
}
