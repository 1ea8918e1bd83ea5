//! The events view: which lines of the stream are shown, and where it is looked at.

use super::ladder::Cursor;
use super::rooms::scrolled;
use crate::filter::Filter;
use crate::model::{Happening, Model};

/// What the lines were chosen by; they are chosen anew when this changed.
#[derive(Debug, Clone, PartialEq, Default)]
struct Source {
    span: Option<(u64, u64)>,
    filter: u64,
    until: Option<u64>,
}

/// The events view.
#[derive(Debug, Clone, Default)]
pub struct EventList {
    /// Where it is looked at.
    cursor: Cursor,
    /// Numbers of the lines that are shown, oldest first.
    lines: Vec<u64>,
    /// The room of the line at the cursor.
    room: Option<Box<str>>,
    top: usize,
    source: Source,
}

impl EventList {
    /// Numbers of the lines that are shown, oldest first.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// The first row on the screen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Whether it follows what comes.
    pub fn follows(&self) -> bool {
        self.cursor == Cursor::Tail
    }

    /// The row at the cursor.
    pub fn at(&self) -> usize {
        match self.cursor {
            Cursor::Tail => self.lines.len().saturating_sub(1),
            Cursor::At(seq) => self.lines.partition_point(|line| *line < seq).min(self.lines.len().saturating_sub(1)),
        }
    }

    /// Number of the line at the cursor.
    pub fn selected(&self) -> Option<u64> {
        self.lines.get(self.at()).copied()
    }

    /// The room of the line at the cursor, if it is about one.
    pub fn room(&self) -> Option<&str> {
        self.room.as_deref()
    }

    /// Moves the cursor by lines; up releases the end.
    pub fn step(&mut self, by: isize) {
        if by < 0 || self.cursor != Cursor::Tail {
            self.point(self.at().saturating_add_signed(by).min(self.lines.len().saturating_sub(1)));
        }
    }

    /// Puts the cursor on a row; gives whether it was there before.
    pub fn point(&mut self, row: usize) -> bool {
        let Some(&seq) = self.lines.get(row) else { return false };
        let same = self.selected() == Some(seq);
        self.cursor = Cursor::At(seq);
        same
    }

    /// To the last line, and follow.
    pub fn end(&mut self) {
        self.cursor = Cursor::Tail;
    }

    /// Chooses the lines anew if the stream, the filter or the pause changed.
    pub fn arrange(&mut self, model: &Model, filter: &Filter, number: u64, until: Option<u64>) {
        let log = model.events();
        let lines = log.lines();
        let span = lines.front().zip(lines.back()).map(|(first, last)| (first.seq, last.seq));
        let source = Source { span, filter: number, until };
        if source != self.source {
            let same = self.source.filter == number && self.source.until == until;
            let kept = match (span, &self.source.span) {
                // Only what is new is looked at.
                (Some((first, _)), Some((_, seen))) if same => {
                    let gone = self.lines.partition_point(|line| *line < first);
                    self.lines.drain(..gone);
                    *seen + 1
                }
                _ => {
                    self.lines.clear();
                    0
                }
            };
            let fresh = lines.range(log.index(kept)..);
            let shown = fresh.take_while(|line| until.is_none_or(|until| line.seq <= until));
            let passes = |line: &&Happening| {
                let room = line.room.as_ref().and_then(|room| model.room(room.as_str()));
                filter.event(line, room)
            };
            self.lines.extend(shown.filter(passes).map(|line| line.seq));
            self.source = source;
        }
        let line = self.selected().and_then(|seq| lines.get(log.index(seq)));
        self.room = line.and_then(|line| Some(line.room.as_ref()?.as_str().into()));
    }

    /// Moves what is on the screen as little as possible, so that the cursor is among its `rows` rows.
    pub fn scroll(&mut self, rows: usize) {
        self.top = scrolled(self.top, self.at(), self.lines.len(), rows);
    }
}
