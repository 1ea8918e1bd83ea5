//! What became of every room, and why, printed at the end.

use super::{BOLD, DIM, RED, Style, YELLOW, peers, span};
use crate::diagnosis::Severity;
use crate::filter::Filter;
use crate::model::{Model, Room};
use crate::text::escape;
use std::io::{self, Write};

/// Writes the rooms that pass the filter, those with the worst findings first, and what was counted.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut impl Write, model: &Model, filter: &Filter, style: Style) -> io::Result<()> {
    let mut rooms: Vec<&Room> = model.rooms().filter(|room| filter.room(room)).collect();
    rooms.sort_by_key(|room| (std::cmp::Reverse(worst(room)), room.since()));
    for room in &rooms {
        self::room(out, model, room, style)?;
    }
    let figures = model.figures();
    let with = rooms.iter().filter(|room| !room.findings().is_empty()).count();
    writeln!(out, "{} rooms, {with} with findings; {} messages", rooms.len(), figures.messages)?;
    let missing = [
        (figures.evicted.rooms, "rooms let go of to stay within bounds"),
        (figures.evicted.messages, "messages let go of to stay within bounds"),
        (figures.lost, "messages lost, which came faster than they could be taken"),
        (figures.malformed, "messages or lines that could not be read"),
    ];
    for (count, words) in missing.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "{}", style.paint(YELLOW, &format!("{count} {words}")))?;
    }
    Ok(())
}

fn room(out: &mut impl Write, model: &Model, room: &Room, style: Style) -> io::Result<()> {
    let mut facts = vec![outcome(room)];
    let peers: Vec<_> = peers(room).iter().map(|peer| escape(peer).into_owned()).collect();
    facts.push(if peers.is_empty() { "nobody".to_owned() } else { peers.join(" and ") });
    facts.push(format!("{} messages", room.messages()));
    if let Some(time) = room.answer_time() {
        facts.push(format!("answered within {}", span(time)));
    }
    if room.refused() > 0 {
        facts.push(format!("{} refused", room.refused()));
    }
    let until = room.ended_at().unwrap_or(model.now());
    facts.push(format!("{} long", span(until.since(room.since()))));
    writeln!(out, "{}  {}", style.paint(BOLD, &escape(room.name())), facts.join(", "))?;
    for finding in room.findings() {
        let colour = match finding.severity {
            Severity::Error => RED,
            Severity::Warning => YELLOW,
            Severity::Note => DIM,
        };
        let head = format!("{} {}", finding.severity, finding.rule);
        writeln!(out, "  {}  {}", style.paint(colour, &head), escape(&finding.seen))?;
        writeln!(out, "      means: {}", escape(&finding.means))?;
        writeln!(out, "      try:   {}", escape(&finding.try_this))?;
    }
    Ok(())
}

/// The phase that it is in, or had come to when it ended.
fn outcome(room: &Room) -> String {
    let phase = room.phase();
    if phase.inferred() { format!("{} (inferred)", phase.name()) } else { phase.name().to_owned() }
}

fn worst(room: &Room) -> Option<Severity> {
    room.findings().iter().map(|finding| finding.severity).max()
}
