//! What the mouse means where: it finds what was drawn through the same layout.

use super::action::{Action, Effect, View};
use super::ui::Over;
use super::{App, update};
use crate::view::layout::{self, Screen};
use crate::view::tabs;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

impl App {
    /// Does what the mouse asks for.
    pub fn mouse(&mut self, event: MouseEvent) -> Option<Effect> {
        let (x, y) = (event.column, event.row);
        let action = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => Action::Click { x, y },
            MouseEventKind::ScrollUp => Action::Wheel { x, y, down: false },
            MouseEventKind::ScrollDown => Action::Wheel { x, y, down: true },
            _ => return None,
        };
        self.act(action)
    }
}

/// The left button: a tab shows its view, a heading sorts, a row is selected, the selected row is opened.
pub(super) fn click(app: &mut App, x: u16, y: u16) -> Option<Effect> {
    let screen = Screen::of(&app.ui)?;
    let at = Position { x, y };
    if app.ui.over.is_some() {
        // A click beside a question is no answer; beside the help it closes it.
        if matches!(app.ui.over, Some(Over::Help(_))) {
            app.ui.over = None;
        }
        return None;
    }
    if screen.tabs.contains(at) {
        if let Some((view, _)) = tabs(&app.ui).into_iter().find(|(_, part)| part.contains(&x)) {
            update::show(app, view);
        }
        return None;
    }
    if !screen.list.contains(at) {
        return None;
    }
    let Some(row) = y.checked_sub(screen.list.y + 1).map(usize::from) else {
        if app.ui.view == View::Rooms {
            let places = layout::columns(screen.list.width);
            let hit = places.iter().find(|place| (place.x..=place.x + place.width).contains(&x));
            if let Some(place) = hit {
                let sorting = app.ui.rooms.sorting().pick(place.column);
                app.ui.rooms.sort(sorting);
            }
        }
        return None;
    };
    let ui = &mut app.ui;
    let again = match ui.view {
        View::Rooms => {
            let row = ui.rooms.top() + row;
            row < ui.rooms.names().len() && {
                let again = ui.rooms.at() == row;
                ui.rooms.go(row);
                again
            }
        }
        View::Ladder => ui.ladder.point(ui.ladder.top() + row),
        View::Diagnosis => {
            let row = ui.diagnosis.top() + row;
            row < ui.diagnosis.items().len() && {
                let again = ui.diagnosis.at() == row;
                ui.diagnosis.go(row);
                again
            }
        }
        View::Events => ui.events.point(ui.events.top() + row),
        View::Agents => false,
    };
    if again {
        update::open(app);
    }
    None
}

/// The wheel: moves in what it is turned over.
pub(super) fn wheel(app: &mut App, x: u16, y: u16, down: bool) {
    const LINES: isize = 3;
    let by = if down { LINES } else { -LINES };
    let Some(screen) = Screen::of(&app.ui) else { return };
    match &app.ui.over {
        Some(Over::Help(_)) => update::step(app, by),
        Some(_) => {}
        None if screen.pane.contains(Position { x, y }) => update::scroll_pane(app, by),
        None => update::step(app, by),
    }
}
