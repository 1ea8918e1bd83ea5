//! The list of rooms: which are shown, in which order, and which one is selected.
//!
//! The order is made anew only when the model, the sorting or the filter changed, and holds no more of a room than
//! its name and what it is sorted by: what a row shows is read from the model when it is drawn, for the rows on the
//! screen alone.

use super::ui::Sieve;
use crate::diagnosis::{Finding, Severity};
use crate::filter::Filter;
use crate::model::{Last, Model, Phase, Room, Seat};
use protocol::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// How bad the worst finding is, and how many there are.
    Finding,
    /// The room's name.
    Room,
    /// Who sits there.
    Seats,
    /// How far the call is.
    Phase,
    /// The rule that found the worst.
    Why,
    /// For how long the room has been there.
    Age,
    /// Messages that passed.
    Messages,
    /// From the last offer to its answer.
    Exchange,
    /// What was refused.
    Refused,
    /// Names and kinds of the peers.
    Peers,
    /// What happened last.
    Last,
}

impl Column {
    /// All columns, from left to right.
    pub const ALL: [Column; 11] = [
        Column::Finding,
        Column::Room,
        Column::Seats,
        Column::Phase,
        Column::Why,
        Column::Peers,
        Column::Messages,
        Column::Exchange,
        Column::Age,
        Column::Refused,
        Column::Last,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Column::Finding => "!",
            Column::Room => "ROOM",
            Column::Seats => "SEATS",
            Column::Phase => "PHASE",
            Column::Why => "WHY",
            Column::Age => "AGE",
            Column::Messages => "MSGS",
            Column::Exchange => "O>A",
            Column::Refused => "REF",
            Column::Peers => "PEERS",
            Column::Last => "LAST",
        }
    }

    /// What it is sorted by, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Column::Finding | Column::Why => "findings",
            Column::Room => "name",
            Column::Seats => "seats",
            Column::Phase => "phase",
            Column::Age => "age",
            Column::Messages => "messages",
            Column::Exchange => "offer to answer",
            Column::Refused => "refusals",
            Column::Peers => "peers",
            Column::Last => "last event",
        }
    }

    /// Whether the first order one wants is from large to small.
    const fn large_first(self) -> bool {
        !matches!(self, Column::Room | Column::Peers | Column::Last)
    }

    /// The column that the next sorting goes by; those that say the same are passed over.
    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|&column| column == self).unwrap_or(0);
        match Self::ALL[(at + 1) % Self::ALL.len()] {
            Column::Why => Column::Peers,
            other => other,
        }
    }
}

/// By which column, and which way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorting {
    /// The column.
    pub column: Column,
    /// From large to small.
    pub descending: bool,
}

impl Default for Sorting {
    fn default() -> Self {
        Self::by(Column::Finding)
    }
}

impl Sorting {
    /// By this column, the way round one wants first: the worst, the most and the latest on top, names from A.
    pub fn by(column: Column) -> Self {
        let column = if column == Column::Why { Column::Finding } else { column };
        Self { column, descending: column.large_first() }
    }

    /// By the next column.
    pub fn next(self) -> Self {
        Self::by(self.column.next())
    }

    /// By this column; if it is by it already, the other way round.
    pub fn pick(self, column: Column) -> Self {
        let wanted = Self::by(column);
        if wanted.column == self.column { self.reversed() } else { wanted }
    }

    /// The other way round.
    pub fn reversed(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

/// What a room is sorted by; names decide between equals, so that rows never change places without a reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(Box<str>),
}

/// What a room is sorted by, of the room itself or of its row when the screen was frozen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub findings: &'a [Finding],
    pub seats: &'a [Seat],
    pub phase: Phase,
    pub since: Timestamp,
    pub last: Option<&'a Last>,
    pub messages: u64,
    pub exchange: Option<Duration>,
    pub refused: u64,
}

impl<'a> Facts<'a> {
    pub fn of(room: &'a Room) -> Self {
        Self {
            findings: room.findings(),
            seats: room.seats(),
            phase: room.phase(),
            since: room.since(),
            last: room.last(),
            messages: room.messages(),
            exchange: room.answer_time(),
            refused: room.refused(),
        }
    }

    pub fn of_row(row: &'a Row, findings: &'a [Finding]) -> Self {
        Self {
            findings,
            seats: &row.seats,
            phase: row.phase,
            since: row.since,
            last: row.last.as_ref(),
            messages: row.messages,
            exchange: row.exchange,
            refused: row.refused,
        }
    }
}

fn key(facts: Facts<'_>, column: Column) -> Key {
    Key::Number(match column {
        Column::Room => return Key::Text("".into()),
        Column::Peers => {
            let names: Vec<&str> = facts.seats.iter().map(|seat| seat.peer.as_str()).collect();
            return Key::Text(names.join(" ").into());
        }
        // A room without a finding but with a failed call stands above one that waits.
        Column::Finding | Column::Why => {
            let weight = match worst(facts.findings).map(|finding| finding.severity) {
                Some(Severity::Error) => 3,
                Some(Severity::Warning) => 2,
                Some(Severity::Note) => 1,
                None => 0,
            };
            (weight << 32) + (u64::from(facts.phase == Phase::Failed) << 31) + facts.findings.len() as u64
        }
        Column::Seats => facts.seats.iter().map(|seat| if seat.away { 10 } else { 11 }).sum(),
        Column::Phase => match facts.phase {
            Phase::Failed => 6,
            Phase::Negotiating => 5,
            Phase::Waiting => 4,
            Phase::Connected { said: false } => 3,
            Phase::Connected { said: true } => 2,
            Phase::Idle => 1,
            Phase::Ended => 0,
        },
        // The oldest is the one that began first.
        Column::Age => u64::MAX - facts.since.as_millis(),
        Column::Last => u64::MAX - facts.last.map_or(0, |last| last.at.as_millis()),
        Column::Messages => facts.messages,
        Column::Exchange => facts.exchange.map_or(0, |span| span.as_millis() as u64 + 1),
        Column::Refused => facts.refused,
    })
}

/// One room as a row shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: Box<str>,
    /// Who sits there.
    pub seats: Vec<Seat>,
    /// How far the call is.
    pub phase: Phase,
    /// Messages that passed.
    pub messages: u64,
    /// What was refused.
    pub refused: u64,
    /// From the last offer to its answer.
    pub exchange: Option<Duration>,
    /// When it began.
    pub since: Timestamp,
    /// What happened last.
    pub last: Option<Last>,
    /// The worst that was found.
    pub worst: Option<Severity>,
    /// The rule that found it.
    pub rule: Option<&'static str>,
    /// How much was found.
    pub findings: usize,
}

impl Row {
    /// What a row shows of this room.
    pub fn of(room: &Room) -> Self {
        let worst = worst(room.findings());
        Self {
            name: room.name().into(),
            seats: room.seats().to_vec(),
            phase: room.phase(),
            messages: room.messages(),
            refused: room.refused(),
            exchange: room.answer_time(),
            since: room.since(),
            last: room.last().cloned(),
            worst: worst.map(|finding| finding.severity),
            rule: worst.map(|finding| finding.rule),
            findings: room.findings().len(),
        }
    }
}

/// The worst of some findings; of equals the first.
pub fn worst(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().rev().max_by_key(|finding| finding.severity)
}

/// How many rooms are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Rooms that are shown.
    pub shown: usize,
    /// Rooms that there are.
    pub all: usize,
    /// Of all: something is broken.
    pub faults: usize,
    /// Of all: something may break, and nothing is broken.
    pub warnings: usize,
}

/// What a filter can see of a room: its last change, its phase, how much is found.
type Look = (u64, Phase, usize);

/// The rooms that are shown, in their order, and the selected one.
#[derive(Debug, Clone, Default)]
pub struct RoomList {
    sorting: Sorting,
    unsorted: bool,
    /// Names in order.
    names: Vec<Box<str>>,
    census: Census,
    selected: Option<Box<str>>,
    /// Where the selected room stands in `names`.
    at: usize,
    /// The first row on the screen.
    top: usize,
    /// What the filter said of a room, as long as the room stays as it was: to look into every message of every room
    /// anew would take longer than a frame may.
    sieved: HashMap<Box<str>, (Look, bool)>,
    /// Number of the filter that said it.
    filter: u64,
    /// Until somebody moves, the first row is the selected one, whichever room it is: whoever only looks always sees
    /// the worst.
    moved: bool,
}

impl RoomList {
    /// Names in order.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// What it is sorted by.
    pub fn sorting(&self) -> Sorting {
        self.sorting
    }

    /// How many there are.
    pub fn census(&self) -> Census {
        self.census
    }

    /// The selected room; it may have gone.
    pub fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// The row of the selected room.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The first row on the screen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Whether somebody has chosen the selected room; else it is whichever stands on top.
    pub fn moved(&self) -> bool {
        self.moved
    }

    /// Selects a room by name, whether it is shown or not.
    pub fn select(&mut self, name: &str) {
        self.moved = true;
        self.selected = Some(name.into());
        if let Some(at) = self.names.iter().position(|other| &**other == name) {
            self.at = at;
        }
    }

    /// Selects what stands in a row.
    pub fn go(&mut self, row: usize) {
        self.moved = true;
        self.at = row.min(self.names.len().saturating_sub(1));
        if let Some(name) = self.names.get(self.at) {
            self.selected = Some(name.clone());
        }
    }

    /// Holds on to the room that is selected now, as whoever looks into it means this one.
    pub fn hold(&mut self) {
        self.moved = true;
    }

    /// To the first row, and stay there.
    pub fn rest(&mut self) {
        self.go(0);
        self.moved = false;
    }

    /// Sorts another way from the next time on.
    pub fn sort(&mut self, sorting: Sorting) {
        self.sorting = sorting;
        self.unsorted = true;
    }

    /// Whether the sorting changed since the rooms were put into order.
    pub(super) fn unsorted(&self) -> bool {
        self.unsorted
    }

    /// Puts the rooms into order anew. The selection stays on its room; if that is no longer shown, it goes to the
    /// one that stands in its place. While the screen is frozen, `frozen` gives what is known of a room.
    pub(super) fn arrange<'a>(
        &mut self,
        model: &'a Model,
        sieve: &Sieve,
        frozen: Option<impl Fn(&str) -> Option<Facts<'a>>>,
    ) {
        if self.filter != sieve.number {
            self.sieved.clear();
            self.filter = sieve.number;
        }
        let mut census = Census::default();
        let mut rooms: Vec<(Key, &str)> = Vec::with_capacity(self.names.len() + 16);
        for room in model.rooms() {
            let facts = match &frozen {
                None => Facts::of(room),
                Some(frozen) => match frozen(room.name()) {
                    Some(facts) => facts,
                    None => continue,
                },
            };
            census.all += 1;
            match worst(facts.findings).map(|finding| finding.severity) {
                Some(Severity::Error) => census.faults += 1,
                Some(Severity::Warning) => census.warnings += 1,
                Some(Severity::Note) | None => {}
            }
            if passes(&mut self.sieved, &sieve.filter, room) {
                rooms.push((key(facts, self.sorting.column), room.name()));
            }
        }
        census.shown = rooms.len();
        let descending = self.sorting.descending;
        if self.sorting.column == Column::Room && descending {
            rooms.sort_unstable_by(|a, b| b.1.cmp(a.1));
        } else {
            rooms.sort_unstable_by(|a, b| {
                let order = if descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
                order.then_with(|| a.1.cmp(b.1))
            });
        }
        let same = rooms.len() == self.names.len() && rooms.iter().zip(&self.names).all(|(new, old)| new.1 == &**old);
        if !same {
            self.names = rooms.into_iter().map(|(_, name)| name.into()).collect();
        }
        if self.sieved.len() > 2 * census.all {
            self.sieved.retain(|name, _| model.room(name).is_some());
        }
        self.census = census;
        self.unsorted = false;
        self.find();
    }

    /// Brings row and name of the selection together again.
    fn find(&mut self) {
        if !self.moved {
            self.at = 0;
        } else if self.names.get(self.at) != self.selected.as_ref()
            && let Some(at) = self.names.iter().position(|name| Some(name) == self.selected.as_ref())
        {
            self.at = at;
        }
        self.at = self.at.min(self.names.len().saturating_sub(1));
        if let Some(name) = self.names.get(self.at)
            && self.selected.as_ref() != Some(name)
        {
            self.selected = Some(name.clone());
        }
    }

    /// Moves what is on the screen as little as possible, so that the selected row is among its `rows` rows.
    pub fn scroll(&mut self, rows: usize) {
        self.top = scrolled(self.top, self.at, self.names.len(), rows);
    }
}

fn passes(sieved: &mut HashMap<Box<str>, (Look, bool)>, filter: &Filter, room: &Room) -> bool {
    if filter.is_empty() {
        return true;
    }
    let look = (room.touched(), room.phase(), room.findings().len());
    match sieved.get_mut(room.name()) {
        Some((before, passes)) if *before == look => *passes,
        Some(known) => {
            *known = (look, filter.room(room));
            known.1
        }
        None => {
            let passes = filter.room(room);
            sieved.insert(room.name().into(), (look, passes));
            passes
        }
    }
}

/// The first of `rows` rows on the screen, moved from `top` as little as possible, so that `at` is among them and no
/// row stays empty while there is something to show.
pub(super) fn scrolled(top: usize, at: usize, length: usize, rows: usize) -> usize {
    let rows = rows.max(1);
    top.min(at).max((at + 1).saturating_sub(rows)).min(length.saturating_sub(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolling_moves_as_little_as_possible() {
        assert_eq!(scrolled(0, 5, 100, 10), 0);
        assert_eq!(scrolled(0, 10, 100, 10), 1);
        assert_eq!(scrolled(50, 10, 100, 10), 10);
        assert_eq!(scrolled(95, 99, 100, 10), 90, "no empty rows at the end");
        assert_eq!(scrolled(3, 0, 0, 0), 0);
    }

    #[test]
    fn sorting_walks_through_every_column_once() {
        let mut seen = vec![Sorting::default()];
        loop {
            let next = seen[seen.len() - 1].next();
            if next == seen[0] {
                break;
            }
            assert!(!seen.contains(&next), "{next:?}");
            seen.push(next);
        }
        assert_eq!(seen.len(), Column::ALL.len() - 1, "WHY says the same as the mark");
        assert_eq!(Sorting::default().pick(Column::Why), Sorting::default().reversed());
    }
}
