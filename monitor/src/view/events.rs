//! The events view: what happens in the whole system, one line each.

use super::layout::Screen;
use super::nothing;
use super::paint::{Pen, piece};
use super::words;
use crate::app::Ui;
use crate::model::{AgentState, Happened, Happening, Model};
use crate::wire::Link;
use protocol::{Connection, Reason, What};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    let mut pen = pen.part(screen.list);
    let theme = pen.theme;
    let wide = pen.width() >= 70;
    let clock = if wide { 12 } else { 8 };
    let room_at = 2 + clock + 1;
    let room_width = (pen.width() / 5).clamp(8, 28);
    let kind_at = room_at + room_width + 1;
    let kind_width = 13;
    let who_at = kind_at + kind_width + 1;
    let heading = theme.dim.add_modifier(Modifier::BOLD);
    for (x, title) in [(2, "TIME"), (room_at, "ROOM"), (kind_at, "WHAT"), (who_at, "WHO AND WHY")] {
        pen.put(x, 0, title, heading);
    }
    let list = ui.events.lines();
    if list.is_empty() {
        let area = pen.area();
        let mut body = pen.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        let words = if ui.sieve.text.is_empty() {
            vec![
                "nothing has happened yet".to_owned(),
                "what happens in any room, or at the broker, is told here".into(),
            ]
        } else {
            vec![format!("no event passes the filter {}", ui.sieve.text), "\\ shows all".into()]
        };
        return nothing(&mut body, &words);
    }
    let log = model.events();
    for (y, (at, seq)) in (1..pen.height()).zip(list.iter().enumerate().skip(ui.events.top())) {
        let Some(line) = log.lines().get(log.index(*seq)).filter(|line| line.seq == *seq) else { continue };
        if at == ui.events.at() {
            pen.highlight(y, theme.selected);
            pen.put(0, y, pen.glyphs.selected, theme.selected.add_modifier(Modifier::BOLD));
        }
        let time = words::clock(line.at);
        pen.put(2, y, &time[..usize::from(clock)], theme.dim);
        let room = line.room.as_ref().map_or("-", |room| room.as_str());
        let style = if line.room.is_some() { Style::new().add_modifier(Modifier::BOLD) } else { theme.dim };
        pen.cell(room_at, y, room_width, room, style);
        pen.cell(kind_at, y, kind_width, line.kind(), style_of(&pen, line));
        let (who, rest) = said(line, ui);
        pen.line(who_at, y, &[piece(who, theme.accent), piece(rest, Style::new())]);
    }
}

fn style_of(pen: &Pen<'_>, line: &Happening) -> Style {
    let theme = pen.theme;
    match &line.what {
        Happened::Room(what) => match what {
            What::Refused { .. } | What::BadMessage { .. } | What::Full { .. } => theme.warning,
            What::State { connection: Connection::Failed, .. } => theme.fault,
            What::State { connection: Connection::Connected, .. } => theme.good,
            What::Away { .. } | What::Removed { .. } | What::Closed | What::Left { reason: Reason::Lost, .. } => {
                theme.warning
            }
            _ => Style::new(),
        },
        Happened::Link(Link::Connected) => theme.good,
        Happened::Link(_) | Happened::Restarted | Happened::Lost { .. } | Happened::Unread { .. } => theme.fault,
        Happened::Audit(_) => theme.warning,
        Happened::Agent { state: AgentState::Working, .. } => theme.good,
        Happened::Agent { .. } => theme.fault,
        Happened::Gone => Style::new(),
    }
}

/// Whom it is about, and what there is to say of it.
fn said(line: &Happening, ui: &Ui) -> (String, String) {
    let who = line.peer().map_or_else(String::new, |peer| format!("{peer} "));
    let why = line.words().map(|why| ui.redaction.text(why).into_owned());
    let mut parts: Vec<String> = Vec::new();
    match &line.what {
        Happened::Room(What::Arrived { to, .. }) => parts.push(format!("told to {to}")),
        Happened::Room(What::Left { reason, .. }) => parts.push(
            match reason {
                Reason::Left => "by its own will",
                Reason::Lost => "lost: its connection did not come back in time",
                Reason::Removed => "removed by an operator",
            }
            .into(),
        ),
        Happened::Room(What::State { connection, .. }) => {
            parts.push(
                serde_json::to_value(connection).ok().and_then(|c| Some(c.as_str()?.to_owned())).unwrap_or_default(),
            );
        }
        Happened::Room(What::Full { .. }) => parts.push("turned away: two are inside".into()),
        Happened::Room(What::Away { .. }) => parts.push("its connection is lost; its seat is kept for a while".into()),
        Happened::Gone => parts.push("not there any more since the connection came back".into()),
        Happened::Lost { messages } => {
            parts.push(format!("{} came faster than they could be taken", words::number(*messages, "message")));
        }
        Happened::Restarted => parts.push("the broker was started anew".into()),
        Happened::Audit(audit) => {
            parts.extend(audit.user.as_ref().map(|user| format!("user {user}")));
            parts.extend(audit.address.as_ref().map(|from| format!("from {}", ui.redaction.text(from))));
        }
        Happened::Unread { topic, .. } if !topic.is_empty() => parts.push(topic.to_string()),
        _ => {}
    }
    parts.extend(why);
    (who, parts.join(": "))
}
