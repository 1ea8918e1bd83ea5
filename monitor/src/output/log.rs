//! A line for every message and finding, for people.

use super::{BOLD, CYAN, DIM, Item, RED, Style, YELLOW, clock, essence};
use crate::diagnosis::Severity;
use crate::model::{AgentState, Entry, Room, Said};
use crate::text::{escape, fit};
use crate::wire::Link;
use std::io::{self, Write};

/// Columns of the room's name and of who speaks to whom; longer ones push the rest aside.
const ROOM: usize = 16;
const PARTIES: usize = 24;
const KIND: usize = 12;

/// Writes an item as one line; a finding as three more that explain it.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut impl Write, item: &Item<'_>, style: Style) -> io::Result<()> {
    match item {
        Item::Entry { room, entry } => message(out, room, entry, style),
        Item::Found { at, room, finding } => {
            let colour = if finding.severity == Severity::Error { RED } else { YELLOW };
            let what = format!("{}: {}", finding.severity, finding.rule);
            writeln!(
                out,
                "{} {} {} {}",
                style.paint(DIM, &clock(*at)),
                column(room.name(), ROOM),
                style.paint(colour, &what),
                escape(&finding.seen)
            )?;
            writeln!(out, "{:12} {:ROOM$}   means {}", "", "", escape(&finding.means))?;
            writeln!(out, "{:12} {:ROOM$}   try   {}", "", "", escape(&finding.try_this))
        }
        Item::Gone { at, room, rule } => {
            writeln!(out, "{} {} {rule}: no longer so", style.paint(DIM, &clock(*at)), column(room.name(), ROOM))
        }
        Item::Link { at, link } => {
            let (colour, words) = match link {
                Link::Connecting => (DIM, "connecting".to_owned()),
                Link::Connected => (DIM, "connected".to_owned()),
                Link::Lost { why } => (YELLOW, format!("connection lost: {}; trying again", escape(why))),
                Link::Refused { why } => (RED, format!("refused: {}; trying again", escape(why))),
            };
            writeln!(out, "{} {}", style.paint(DIM, &clock(*at)), style.paint(colour, &format!("-- {words}")))
        }
        Item::Agent { at, agent } => {
            let colour = if agent.state == AgentState::Working { DIM } else { RED };
            let words = format!("-- agent {}: {}", escape(agent.name()), escape(agent.state.words()));
            writeln!(out, "{} {}", style.paint(DIM, &clock(*at)), style.paint(colour, &words))
        }
        Item::Lost { at, messages } => {
            let words = format!("-- {messages} messages came faster than they could be taken, and are missing here");
            writeln!(out, "{} {}", style.paint(DIM, &clock(*at)), style.paint(YELLOW, &words))
        }
        Item::Unread { at, why } => {
            let words = format!("-- {}", escape(why));
            writeln!(out, "{} {}", style.paint(DIM, &clock(*at)), style.paint(YELLOW, &words))
        }
    }
}

fn message(out: &mut impl Write, room: &Room, entry: &Entry, style: Style) -> io::Result<()> {
    let parties = format!("{} {} {}", escape(entry.from.name()), style.arrow(), escape(entry.to.name()));
    let colour = match entry.what {
        Said::Refused { .. } | Said::Malformed { .. } => RED,
        Said::Offer(_) | Said::Answer(_) => BOLD,
        _ => CYAN,
    };
    writeln!(
        out,
        "{} {} {} {} {}",
        style.paint(DIM, &clock(entry.at)),
        column(room.name(), ROOM),
        column(&parties, PARTIES),
        style.paint(colour, &column(entry.what.kind(), KIND)),
        essence(entry, style.redaction)
    )
}

/// At least so many columns, and all of the text.
fn column(text: &str, columns: usize) -> String {
    let text = escape(text);
    if crate::text::width(&text) < columns { fit(&text, columns) } else { text.into_owned() }
}
