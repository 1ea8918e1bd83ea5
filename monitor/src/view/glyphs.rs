//! The characters that lines, arrows and marks are drawn with: Unicode, or ASCII where a terminal or its font has
//! no more. Each is one column wide, and none of them is one that terminals turn into a coloured picture.

use crate::diagnosis::Severity;

/// One set of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Before the selected row.
    pub selected: &'static str,
    /// A seat whose peer is here.
    pub here: &'static str,
    /// A seat whose peer is away.
    pub away: &'static str,
    /// A free seat.
    pub free: &'static str,
    /// Broken.
    pub fault: &'static str,
    /// May become a fault.
    pub warning: &'static str,
    /// Worth knowing.
    pub note: &'static str,
    /// Well.
    pub good: &'static str,
    /// A message marked for comparison.
    pub marked: &'static str,
    /// Head of an arrow to the right.
    pub right: &'static str,
    /// Head of an arrow to the left.
    pub left: &'static str,
    /// Shaft of an arrow, and rules.
    pub line: &'static str,
    /// Shaft of an arrow that reached nobody.
    pub dashed: &'static str,
    /// Lifeline, and rules.
    pub bar: &'static str,
    /// Something happened at the agent.
    pub event: &'static str,
    /// An arrow ends in a refusal.
    pub refused: &'static str,
    /// Sorted from small to large.
    pub ascending: &'static str,
    /// Sorted from large to small.
    pub descending: &'static str,
    /// Between facts on one line.
    pub dot: &'static str,
    /// Text was cut here.
    pub cut: &'static str,
    /// More lies in this direction.
    pub up: &'static str,
    /// More lies in this direction.
    pub down: &'static str,
    /// Bars from low to high.
    pub spark: [&'static str; 8],
    /// Top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// The round thing before REC.
    pub record: &'static str,
}

impl Glyphs {
    /// For terminals that draw Unicode.
    pub const UNICODE: Glyphs = Glyphs {
        selected: "›",
        here: "●",
        away: "◌",
        free: "○",
        fault: "✗",
        warning: "!",
        note: "i",
        good: "✓",
        marked: "◆",
        right: "►",
        left: "◄",
        line: "─",
        dashed: "╌",
        bar: "│",
        event: "◇",
        refused: "✗",
        ascending: "↑",
        descending: "↓",
        dot: "·",
        cut: "…",
        up: "↑",
        down: "↓",
        spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        corners: ["┌", "┐", "└", "┘"],
        record: "●",
    };

    /// For all others.
    pub const ASCII: Glyphs = Glyphs {
        selected: ">",
        here: "@",
        away: "~",
        free: ".",
        fault: "x",
        warning: "!",
        note: "i",
        good: "+",
        marked: "*",
        right: ">",
        left: "<",
        line: "-",
        dashed: "-",
        bar: "|",
        event: "o",
        refused: "x",
        ascending: "^",
        descending: "v",
        dot: "-",
        cut: "~",
        up: "^",
        down: "v",
        spark: ["_", ".", "-", "-", "=", "=", "#", "#"],
        corners: ["+", "+", "+", "+"],
        record: "*",
    };

    /// The mark of a finding of this weight.
    pub const fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Error => self.fault,
            Severity::Warning => self.warning,
            Severity::Note => self.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    fn all(glyphs: &Glyphs) -> Vec<&'static str> {
        let g = glyphs;
        let mut all = vec![
            g.selected,
            g.here,
            g.away,
            g.free,
            g.fault,
            g.warning,
            g.note,
            g.good,
            g.marked,
            g.right,
            g.left,
            g.line,
            g.dashed,
            g.bar,
            g.event,
            g.refused,
            g.ascending,
            g.descending,
            g.dot,
            g.cut,
            g.up,
            g.down,
            g.record,
        ];
        all.extend(g.spark);
        all.extend(g.corners);
        all
    }

    #[test]
    fn each_is_one_column_wide() {
        for glyph in all(&Glyphs::UNICODE).into_iter().chain(all(&Glyphs::ASCII)) {
            assert_eq!(glyph.width(), 1, "{glyph}");
        }
    }

    #[test]
    fn ascii_is_ascii() {
        assert!(all(&Glyphs::ASCII).into_iter().all(str::is_ascii));
    }

    #[test]
    fn seats_and_severities_differ_in_both_sets() {
        for g in [Glyphs::UNICODE, Glyphs::ASCII] {
            assert!(g.here != g.away && g.away != g.free && g.here != g.free);
            assert!(g.fault != g.warning && g.warning != g.note && g.note != g.fault && g.good != g.fault);
        }
    }
}
