//! The ladder of one room: its rows, the cursor on them, marks, and what is open beside it.

use super::lanes::{Lane, Lanes, Names, Row};
use super::rooms::scrolled;
use crate::filter::Filter;
use crate::model::Room;

/// Where a list that grows at its end is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor {
    /// At the last row, whichever comes.
    #[default]
    Tail,
    /// At this one, by its number in the model.
    At(u64),
}

/// A message that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detail {
    /// The difference of the marked messages instead of the message at the cursor.
    pub compare: bool,
    /// The first line that is shown.
    pub top: usize,
}

/// What the rows were made from; they are made anew when this changed.
#[derive(Debug, Clone, PartialEq, Default)]
struct Source {
    room: Option<Box<str>>,
    /// First and last message of the room, and how many.
    span: Option<(u64, u64, usize)>,
    /// Number of the filter.
    filter: u64,
    /// The last message that is shown while paused.
    until: Option<u64>,
}

/// The ladder.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    /// Which room.
    pub room: Option<Box<str>>,
    /// Where it is looked at.
    pub cursor: Cursor,
    /// What is open.
    pub detail: Option<Detail>,
    /// Messages as they came instead of parsed.
    pub raw: bool,
    /// The first line of the side pane that is shown, while nothing is opened.
    pub side_top: usize,
    /// Marked messages, at most two, the older mark first.
    marks: Vec<u64>,
    /// Whether the diagnosis has something to say of the room.
    pub wrong: bool,
    rows: Vec<Row>,
    /// Who has which lane from which row on; a lane that was free before its owner came counts as theirs.
    stretches: Vec<(usize, Names)>,
    top: usize,
    source: Source,
    hidden: usize,
    side: bool,
}

impl Ladder {
    /// Turns to another room: at its end, nothing marked, nothing opened.
    pub fn open(&mut self, room: &str) {
        if self.room.as_deref() != Some(room) {
            *self = Self { room: Some(room.into()), raw: self.raw, ..Self::default() };
        }
    }

    /// The rows, as the filter leaves them.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether somebody stands on the side.
    pub fn side(&self) -> bool {
        self.side
    }

    /// Messages that the filter hides.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The first row on the screen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Who has which lane at this row.
    pub fn names_at(&self, row: usize) -> Names {
        let until = self.stretches.partition_point(|(from, _)| *from <= row);
        self.stretches[..until].last().map(|(_, names)| names.clone()).unwrap_or_default()
    }

    /// Whether a message is marked: as the first or the second.
    pub fn mark(&self, seq: u64) -> Option<usize> {
        self.marks.iter().position(|&mark| mark == seq)
    }

    /// The two marked messages, the older one first.
    pub fn pair(&self) -> Option<(u64, u64)> {
        match *self.marks {
            [a, b] => Some((a.min(b), a.max(b))),
            _ => None,
        }
    }

    /// Marks the message at the cursor, or takes its mark away; a third mark takes the place of the oldest. Gives how
    /// many are marked.
    pub fn toggle_mark(&mut self) -> usize {
        if let Some(seq) = self.selected() {
            match self.mark(seq) {
                Some(at) => drop(self.marks.remove(at)),
                None => {
                    if self.marks.len() == 2 {
                        self.marks.remove(0);
                    }
                    self.marks.push(seq);
                }
            }
        }
        self.marks.len()
    }

    /// The message at the cursor.
    pub fn selected(&self) -> Option<u64> {
        match self.rows.get(self.at()?)? {
            Row::Arrow { seq, .. } => Some(*seq),
            Row::Names { .. } => None,
        }
    }

    /// The row at the cursor. A message that is no longer shown gives its place to the next one.
    pub fn at(&self) -> Option<usize> {
        let last = self.rows.iter().rposition(|row| matches!(row, Row::Arrow { .. }))?;
        match self.cursor {
            Cursor::Tail => Some(last),
            Cursor::At(wanted) => {
                let at = self.rows.iter().position(|row| matches!(row, Row::Arrow { seq, .. } if *seq >= wanted));
                Some(at.unwrap_or(last))
            }
        }
    }

    /// Number of the message at the cursor among those that are shown, from 1, and how many these are.
    pub fn place(&self) -> Option<(usize, usize)> {
        let at = self.at()?;
        let arrows = |rows: &[Row]| rows.iter().filter(|row| matches!(row, Row::Arrow { .. })).count();
        Some((arrows(&self.rows[..=at]), arrows(&self.rows)))
    }

    /// Moves the cursor by messages: up releases the tail; down past the last message takes it up again only if it
    /// already was there.
    pub fn step(&mut self, by: isize) {
        let Some(at) = self.at() else { return };
        if by >= 0 && self.cursor == Cursor::Tail {
            return;
        }
        let arrows: Vec<(usize, u64)> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(row, it)| match it {
                Row::Arrow { seq, .. } => Some((row, *seq)),
                Row::Names { .. } => None,
            })
            .collect();
        let Some(place) = arrows.iter().position(|(row, _)| *row == at) else { return };
        let wanted = place.saturating_add_signed(by).min(arrows.len() - 1);
        self.to(Cursor::At(arrows[wanted].1));
    }

    /// Puts the cursor somewhere; what is open begins at its top again.
    pub fn to(&mut self, cursor: Cursor) {
        if self.cursor != cursor {
            self.cursor = cursor;
            self.side_top = 0;
            if let Some(detail) = &mut self.detail
                && !detail.compare
            {
                detail.top = 0;
            }
        }
    }

    /// To the first message.
    pub fn first(&mut self) {
        let first = self.rows.iter().find_map(|row| match row {
            Row::Arrow { seq, .. } => Some(*seq),
            Row::Names { .. } => None,
        });
        if let Some(seq) = first {
            self.to(Cursor::At(seq));
        }
    }

    /// Puts the cursor on what stands in a row; gives whether it was there before.
    pub fn point(&mut self, row: usize) -> bool {
        let Some(Row::Arrow { seq, .. }) = self.rows.get(row) else { return false };
        let same = self.selected() == Some(*seq);
        if !same {
            self.to(Cursor::At(*seq));
        }
        same
    }

    /// Makes the rows anew if the room, the filter or the pause changed.
    pub fn arrange(&mut self, room: Option<&Room>, filter: &Filter, number: u64, until: Option<u64>) {
        let span = room.and_then(|room| {
            let ladder = room.ladder();
            Some((ladder.front()?.seq, ladder.back()?.seq, ladder.len()))
        });
        let source = Source { room: self.room.clone(), span, filter: number, until };
        if source == self.source {
            return;
        }
        self.source = source;
        self.rows.clear();
        self.hidden = 0;
        self.side = false;
        self.stretches.clear();
        let entries = room.into_iter().flat_map(|room| room.ladder().iter().map(move |entry| (room, entry)));
        let mut lanes = Lanes::default();
        // A change of names waits for a message that is shown.
        let mut waiting = (false, false);
        let mut shown = Names::default();
        for (at, (room, entry)) in entries.enumerate() {
            if until.is_some_and(|until| entry.seq > until) {
                break;
            }
            let (from, to) = lanes.place(entry, room.ladder().range(at + 1..));
            let replaced = lanes.names().replaces(&shown);
            waiting = (waiting.0 || replaced.0, waiting.1 || replaced.1);
            shown = lanes.names().clone();
            if filter.entry(room, entry) {
                if let (left, right @ true) | (left @ true, right) = waiting {
                    self.stretches.push((self.rows.len(), shown.clone()));
                    self.rows.push(Row::Names { left, right });
                    waiting = (false, false);
                }
                match self.stretches.last_mut() {
                    Some((_, names)) => names.clone_from(&shown),
                    None => self.stretches.push((0, shown.clone())),
                }
                self.side |= from.max(to) == Lane::Side;
                self.rows.push(Row::Arrow { seq: entry.seq, from, to });
            } else {
                self.hidden += 1;
            }
        }
        let marks = std::mem::take(&mut self.marks);
        self.marks = marks.into_iter().filter(|mark| room.is_some_and(|room| room.entry(*mark).is_some())).collect();
    }

    /// Moves what is on the screen as little as possible, so that the cursor is among its `rows` rows.
    pub fn scroll(&mut self, rows: usize) {
        let at = match self.cursor {
            Cursor::Tail => self.rows.len().saturating_sub(1),
            Cursor::At(_) => self.at().unwrap_or(0),
        };
        self.top = scrolled(self.top, at, self.rows.len(), rows);
    }
}
