//! What the clipboard gets: what is selected, as it is shown, private details hidden as on the screen.

use super::action::View;
use super::{App, payload, worst};
use crate::diagnosis::Finding;
use crate::model::Happening;
use crate::redact::Redaction;
use crate::sdp;
use crate::view::words;

/// What is selected, as text.
pub(super) fn selected(app: &App) -> Option<String> {
    let (model, ui) = (&app.model, &app.ui);
    match ui.view {
        View::Rooms => {
            let name = ui.room()?;
            let found = ui.findings(model, name);
            let mut lines = vec![format!("room {name}")];
            lines.extend(worst(found).map(finding));
            Some(lines.join("\n"))
        }
        View::Ladder => {
            let room = model.room(ui.ladder.room.as_deref()?)?;
            match (ui.ladder.detail, ui.ladder.pair()) {
                (Some(detail), Some((older, newer))) if detail.compare => {
                    let (older, newer) = (room.entry(older)?, room.entry(newer)?);
                    let changes = payload::compare(&older.payload, &newer.payload, ui.redaction);
                    let lines = changes.iter().map(|change| match change {
                        sdp::Change::Same(line) => format!(" {line}"),
                        sdp::Change::Removed(line) => format!("-{line}"),
                        sdp::Change::Added(line) => format!("+{line}"),
                    });
                    Some(lines.collect::<Vec<_>>().join("\n"))
                }
                _ => {
                    let entry = room.entry(ui.ladder.selected()?)?;
                    Some(ui.redaction.payload(&entry.payload))
                }
            }
        }
        View::Diagnosis => {
            let room = ui.diagnosis.room()?;
            Some(format!("room {room}\n{}", finding(ui.finding(model)?)))
        }
        View::Events => {
            let log = model.events();
            let line = log.lines().get(log.index(ui.events.selected()?))?;
            Some(event(line, ui.redaction))
        }
        View::Agents => None,
    }
}

fn finding(finding: &Finding) -> String {
    format!(
        "{} ({})\nseen:  {}\nmeans: {}\ntry:   {}",
        finding.rule, finding.severity, finding.seen, finding.means, finding.try_this
    )
}

fn event(line: &Happening, redaction: Redaction) -> String {
    let words = [line.room.as_ref().map(|room| room.as_str()), Some(line.kind()), line.peer()];
    let mut text = words::clock(line.at);
    for word in words.into_iter().flatten() {
        text.push(' ');
        text.push_str(word);
    }
    if let Some(why) = line.words() {
        text.push_str(": ");
        text.push_str(&redaction.text(why));
    }
    text
}
