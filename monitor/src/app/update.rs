//! What an action does to the screen.

use super::action::{Action, Effect, View};
use super::copy;
use super::ladder::{Cursor, Detail};
use super::mouse;
use super::prompt::Prompt;
use super::ui::{Origin, Over, Ui};
use super::{App, Sorting};
use crate::recording::Pace;
use crate::view::layout::Screen;
use crate::view::{Theme, pane_length};
use protocol::Control;

/// Does it; gives what is to be done outside.
pub(super) fn update(app: &mut App, action: Action) -> Option<Effect> {
    match action {
        Action::Quit => return Some(Effect::Quit),
        Action::Resize { width, height } => app.ui.size = (width, height),
        Action::Click { x, y } => return mouse::click(app, x, y),
        Action::Wheel { x, y, down } => mouse::wheel(app, x, y, down),
        Action::Help => {
            app.ui.over = match app.ui.over.take() {
                Some(Over::Help(_)) => None,
                _ => Some(Over::Help(0)),
            }
        }
        Action::Show(view) => show(app, view),
        Action::NextView => show(app, app.ui.walk(1)),
        Action::PreviousView => show(app, app.ui.walk(app.ui.views().len() - 1)),
        Action::Open => open(app),
        Action::Back => back(&mut app.ui),
        Action::Up => step(app, -1),
        Action::Down => step(app, 1),
        Action::PageUp => page(app, -1),
        Action::PageDown => page(app, 1),
        Action::Top => top(app),
        Action::End => end(app),
        Action::DetailUp => scroll_pane(app, -1),
        Action::DetailDown => scroll_pane(app, 1),
        Action::Raw => {
            app.ui.ladder.raw = !app.ui.ladder.raw;
            app.ui.ladder.side_top = 0;
            if let Some(detail) = &mut app.ui.ladder.detail {
                *detail = Detail::default();
            }
        }
        Action::Mark => {
            if app.ui.ladder.toggle_mark() == 1 {
                tell(app, "one message is marked; mark another one, then d shows how they differ", false);
            }
        }
        Action::Compare => compare(app),
        Action::SortNext => sort(&mut app.ui, Sorting::next),
        Action::SortReverse => sort(&mut app.ui, Sorting::reversed),
        Action::Filter => app.ui.over = Some(Over::Prompt(Prompt::new(&app.ui.sieve.text))),
        Action::ClearFilter => drop(app.ui.sift("")),
        Action::Pause => match (&app.ui.origin, app.ui.paused.take()) {
            (Origin::Recording { .. }, _) => return play(app, |pace| Pace { paused: !pace.paused, ..pace }),
            (Origin::Broker { .. }, None) => app.ui.freeze(&app.model),
            (Origin::Broker { .. }, Some(_)) => {}
        },
        Action::Faster => return play(app, |pace| pace.times(2.0)),
        Action::Slower => return play(app, |pace| pace.times(0.5)),
        Action::Theme => {
            app.ui.theme = Theme::new(app.ui.theme.palette.next(), app.ui.theme.depth);
            tell(app, format!("colours: {}", app.ui.theme.palette.name()), false);
        }
        Action::Copy => match copy::selected(app) {
            Some(text) => return Some(Effect::Copy(text)),
            None => tell(app, "there is nothing to copy here", true),
        },
        Action::Export => match app.ui.room() {
            Some(room) => app.ui.over = Some(Over::Export(room.into())),
            None => tell(app, "there is no room whose ladder could be exported", true),
        },
        Action::ExportAs(format) => {
            if let Some(Over::Export(room)) = app.ui.over.take() {
                return Some(Effect::Export { room: room.into(), format });
            }
        }
        Action::Record => return Some(Effect::Record(app.ui.recording.is_none())),
        Action::Remove => ask(app, Question::Remove),
        Action::Close => ask(app, Question::Close),
        Action::RemovePeer(which) => {
            if let Some(Over::Remove(room, peers)) = app.ui.over.take() {
                match peers.get(which) {
                    Some(peer) => {
                        let control = Control::Remove { peer: peer.clone() };
                        return Some(Effect::Order { room: room.into(), control });
                    }
                    // A key that the question does not name leaves it as it is.
                    None => app.ui.over = Some(Over::Remove(room, peers)),
                }
            }
        }
        Action::CloseRoom => {
            if let Some(Over::Close(room, _)) = app.ui.over.take() {
                return Some(Effect::Order { room: room.into(), control: Control::Close });
            }
        }
        Action::Type(_)
        | Action::Erase
        | Action::EraseWord
        | Action::EraseAll
        | Action::CursorLeft
        | Action::CursorRight
        | Action::CursorHome
        | Action::CursorEnd => write(&mut app.ui, action),
        Action::Accept => accept(&mut app.ui),
    }
    None
}

/// Changes how the recording plays, if it is one.
fn play(app: &mut App, change: impl Fn(Pace) -> Pace) -> Option<Effect> {
    let Origin::Recording { pace, .. } = &mut app.ui.origin else {
        tell(app, "only a recording plays faster or slower: start with --replay FILE", true);
        return None;
    };
    *pace = change(*pace);
    Some(Effect::Play(*pace))
}

fn tell(app: &mut App, text: impl Into<String>, fault: bool) {
    let now = app.model.now();
    app.ui.tell(now, text, fault);
}

pub(super) fn show(app: &mut App, view: View) {
    let ui = &mut app.ui;
    if !ui.views().contains(&view) {
        return tell(app, "no agent is asked how it is doing: start with --agents http://HOST:PORT, its --http", true);
    }
    if view == View::Ladder && ui.view != View::Ladder {
        // From the list: the room that is selected there. From elsewhere: the one that was looked at last.
        let room = match ui.view {
            View::Rooms => ui.room(),
            _ => ui.ladder.room.as_deref().or(ui.rooms.selected()),
        };
        match room.map(str::to_owned) {
            Some(room) => {
                ui.rooms.hold();
                ui.ladder.open(&room);
            }
            None => return tell(app, "there is no room yet whose ladder could be shown", true),
        }
    }
    app.ui.view = view;
}

pub(super) fn open(app: &mut App) {
    let ui = &mut app.ui;
    match ui.view {
        View::Rooms => show(app, View::Ladder),
        View::Ladder => {
            if ui.ladder.detail.is_none() && ui.ladder.selected().is_some() {
                ui.ladder.detail = Some(Detail::default());
            }
        }
        View::Diagnosis => {
            let Some(room) = ui.diagnosis.room().map(str::to_owned) else { return };
            let seq = ui.finding(&app.model).and_then(|finding| finding.entries.last().copied());
            look_into(ui, &room, seq);
        }
        View::Events => {
            let seq = ui.events.selected();
            match ui.events.room().map(str::to_owned) {
                Some(room) => look_into(ui, &room, seq),
                None => tell(app, "this event is not of a room", true),
            }
        }
        View::Agents => {}
    }
}

/// To the ladder of a room, at a message if there is one.
fn look_into(ui: &mut Ui, room: &str, seq: Option<u64>) {
    ui.ladder.open(room);
    ui.rooms.select(room);
    ui.ladder.to(seq.map_or(Cursor::Tail, Cursor::At));
    ui.view = View::Ladder;
}

fn back(ui: &mut Ui) {
    if ui.over.take().is_some() {
        return;
    }
    match ui.view {
        View::Ladder if ui.ladder.detail.take().is_some() => {}
        View::Ladder => {
            if let Some(room) = ui.ladder.room.clone() {
                ui.rooms.select(&room);
            }
            ui.view = View::Rooms;
        }
        View::Rooms | View::Diagnosis | View::Events | View::Agents => ui.view = View::Rooms,
    }
}

pub(super) fn step(app: &mut App, by: isize) {
    let ui = &mut app.ui;
    if let Some(Over::Help(top)) = &mut ui.over {
        *top = top.saturating_add_signed(by);
        return limit(app);
    }
    match ui.view {
        View::Rooms => ui.rooms.go(ui.rooms.at().saturating_add_signed(by)),
        View::Ladder => ui.ladder.step(by),
        View::Diagnosis => ui.diagnosis.go(ui.diagnosis.at().saturating_add_signed(by)),
        View::Events => ui.events.step(by),
        View::Agents => scroll_pane(app, by),
    }
}

fn page(app: &mut App, direction: isize) {
    let Some(screen) = Screen::of(&app.ui) else { return };
    let step_of = |rows: usize| direction * isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1);
    // Page keys turn the page of what was opened.
    if app.ui.over.is_none() && app.ui.view == View::Ladder && app.ui.ladder.detail.is_some() {
        scroll_pane(app, step_of(usize::from(screen.pane.height.saturating_sub(1))));
    } else {
        step(app, step_of(screen.rows()));
    }
}

fn top(app: &mut App) {
    let ui = &mut app.ui;
    if let Some(Over::Help(top)) = &mut ui.over {
        *top = 0;
        return;
    }
    match ui.view {
        View::Rooms => ui.rooms.rest(),
        View::Ladder => ui.ladder.first(),
        View::Diagnosis => ui.diagnosis.go(0),
        View::Events => drop(ui.events.point(0)),
        View::Agents => ui.agents_top = 0,
    }
}

fn end(app: &mut App) {
    let ui = &mut app.ui;
    if let Some(Over::Help(top)) = &mut ui.over {
        *top = usize::MAX;
        return limit(app);
    }
    match ui.view {
        View::Rooms => ui.rooms.go(usize::MAX),
        View::Ladder => ui.ladder.to(Cursor::Tail),
        View::Diagnosis => ui.diagnosis.go(usize::MAX),
        View::Events => ui.events.end(),
        View::Agents => scroll_pane(app, isize::MAX),
    }
}

/// Scrolls what stands beside or below the list.
pub(super) fn scroll_pane(app: &mut App, by: isize) {
    let ui = &mut app.ui;
    match ui.view {
        View::Ladder => match &mut ui.ladder.detail {
            Some(detail) => detail.top = detail.top.saturating_add_signed(by),
            None => ui.ladder.side_top = ui.ladder.side_top.saturating_add_signed(by),
        },
        View::Diagnosis => ui.diagnosis.pane_top = ui.diagnosis.pane_top.saturating_add_signed(by),
        View::Agents => ui.agents_top = ui.agents_top.saturating_add_signed(by),
        View::Rooms | View::Events => {}
    }
    limit(app);
}

/// Nothing is scrolled further than to its last line.
fn limit(app: &mut App) {
    let Some((length, rows)) = pane_length(&app.model, &app.ui) else { return };
    let most = length.saturating_sub(rows);
    let ui = &mut app.ui;
    match (&mut ui.over, ui.view) {
        (Some(Over::Help(top)), _) => *top = (*top).min(most),
        (_, View::Ladder) => match &mut ui.ladder.detail {
            Some(detail) => detail.top = detail.top.min(most),
            None => ui.ladder.side_top = ui.ladder.side_top.min(most),
        },
        (_, View::Diagnosis) => ui.diagnosis.pane_top = ui.diagnosis.pane_top.min(most),
        (_, View::Agents) => ui.agents_top = ui.agents_top.min(most),
        _ => {}
    }
}

fn compare(app: &mut App) {
    if app.ui.ladder.pair().is_some() {
        app.ui.ladder.detail = Some(Detail { compare: true, top: 0 });
    } else {
        tell(app, "mark two messages with m first; d then shows how they differ", true);
    }
}

fn sort(ui: &mut Ui, change: impl Fn(Sorting) -> Sorting) {
    ui.rooms.sort(change(ui.rooms.sorting()));
}

enum Question {
    Remove,
    Close,
}

fn ask(app: &mut App, question: Question) {
    if let Some(why) = app.ui.orders.forbidden() {
        return tell(app, why, true);
    }
    let Some(room) = app.ui.room().and_then(|name| app.model.room(name)) else {
        return tell(app, "there is no room here to do this to", true);
    };
    let peers: Vec<_> = room.seats().iter().take(2).map(|seat| seat.peer.clone()).collect();
    let name: Box<str> = room.name().into();
    match question {
        Question::Remove if peers.is_empty() => tell(app, "there is nobody in this room to remove", true),
        Question::Remove => app.ui.over = Some(Over::Remove(name, peers)),
        Question::Close if peers.is_empty() => tell(app, "there is nobody in this room; it has ended", true),
        Question::Close => app.ui.over = Some(Over::Close(name, peers)),
    }
}

fn write(ui: &mut Ui, action: Action) {
    let Some(Over::Prompt(prompt)) = &mut ui.over else { return };
    match action {
        Action::Type(c) => prompt.insert(c),
        Action::Erase => prompt.erase(),
        Action::EraseWord => prompt.erase_word(),
        Action::EraseAll => prompt.erase_all(),
        Action::CursorLeft => prompt.left(),
        Action::CursorRight => prompt.right(),
        Action::CursorHome => prompt.home(),
        Action::CursorEnd => prompt.end(),
        _ => {}
    }
}

/// Uses the filter as written; a wrong one stays to be mended, with what is wrong shown at its place.
fn accept(ui: &mut Ui) {
    if let Some(Over::Prompt(prompt)) = &ui.over {
        let text = prompt.text().to_owned();
        if ui.sift(&text).is_ok() {
            ui.over = None;
        }
    }
}
