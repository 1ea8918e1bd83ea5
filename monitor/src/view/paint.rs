//! A pen for a part of the screen: whatever is written with it is escaped, is cut by the columns it takes, and
//! stays within its part. Nothing else in the views touches the buffer.

use super::glyphs::Glyphs;
use super::theme::Theme;
use crate::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::borrow::Cow;

/// A pen. Columns and rows count from the upper left of its part.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    /// What the styles are.
    pub theme: Theme,
    /// What the characters are.
    pub glyphs: Glyphs,
}

/// A piece of a line: text and how it is written.
pub type Piece<'a> = (Cow<'a, str>, Style);

/// A piece of a line.
pub fn piece<'a>(text: impl Into<Cow<'a, str>>, style: Style) -> Piece<'a> {
    (text.into(), style)
}

impl<'a> Pen<'a> {
    /// A pen for `area`, as far as the buffer reaches.
    pub fn new(buffer: &'a mut Buffer, area: Rect, theme: Theme, glyphs: Glyphs) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme, glyphs }
    }

    /// A pen for `area` of the screen; it writes nowhere outside of this pen's part.
    pub fn part(&mut self, area: Rect) -> Pen<'_> {
        let area = area.intersection(self.area);
        Pen { buffer: self.buffer, area, theme: self.theme, glyphs: self.glyphs }
    }

    /// This pen for a smaller part.
    pub fn narrow(self, area: Rect) -> Self {
        Self { area: area.intersection(self.area), ..self }
    }

    /// Columns.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.area.height
    }

    /// Its part of the screen.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Writes at (x, y), cut where the part ends; gives the column after it.
    pub fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        self.cell(x, y, self.area.width.saturating_sub(x), text, style)
    }

    /// Writes at (x, y) in at most `width` columns; what does not fit is cut and the cut is shown. Gives the column
    /// after it.
    pub fn cell(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let width = width.min(self.area.width.saturating_sub(x));
        if y >= self.area.height || width == 0 {
            return x;
        }
        let text = self.legible(text);
        let text = text::clip_with(&text, usize::from(width), self.glyphs.cut);
        let (end, _) = self.buffer.set_stringn(self.area.x + x, self.area.y + y, &text, usize::from(width), style);
        end - self.area.x
    }

    /// Writes at the right end of `width` columns that begin at (x, y).
    pub fn right(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let text = self.legible(text).into_owned();
        let taken = u16::try_from(text::width(&text)).unwrap_or(u16::MAX).min(width);
        self.cell(x + (width - taken), y, taken, &text, style);
    }

    /// Writes pieces one after another; gives the column after the last.
    pub fn line(&mut self, x: u16, y: u16, pieces: &[Piece<'_>]) -> u16 {
        pieces.iter().fold(x, |x, (text, style)| self.put(x, y, text, *style))
    }

    /// Columns that `text` takes when it is written with this pen.
    pub fn measure(&self, text: &str) -> u16 {
        u16::try_from(text::width(&self.legible(text))).unwrap_or(u16::MAX)
    }

    /// Repeats a character of one column along a row.
    pub fn rule(&mut self, x: u16, y: u16, width: u16, glyph: &str, style: Style) {
        let width = width.min(self.area.width.saturating_sub(x));
        if y < self.area.height {
            for column in 0..width {
                self.buffer.set_stringn(self.area.x + x + column, self.area.y + y, glyph, 1, style);
            }
        }
    }

    /// Lays a style over a whole row.
    pub fn highlight(&mut self, y: u16, style: Style) {
        if y < self.area.height {
            self.buffer.set_style(Rect { y: self.area.y + y, height: 1, ..self.area }, style);
        }
    }

    /// Empties its part, so that something can be drawn over what is there.
    pub fn clear(&mut self) {
        for position in self.area.positions() {
            self.buffer[position].reset();
        }
    }

    /// A frame around its part, with a title; gives a pen for the inside.
    pub fn frame(&mut self, title: &str, style: Style) -> Pen<'_> {
        let Rect { width, height, .. } = self.area;
        if width < 2 || height < 2 {
            return self.part(Rect::ZERO);
        }
        let Glyphs { line, bar, corners: [top_left, top_right, bottom_left, bottom_right], .. } = self.glyphs;
        for (y, left, right) in [(0, top_left, top_right), (height - 1, bottom_left, bottom_right)] {
            self.rule(1, y, width - 2, line, style);
            self.put(0, y, left, style);
            self.put(width - 1, y, right, style);
        }
        for y in 1..height - 1 {
            self.put(0, y, bar, style);
            self.put(width - 1, y, bar, style);
        }
        if !title.is_empty() && width > 6 {
            self.cell(2, 0, width - 4, &format!(" {title} "), style.add_modifier(Modifier::BOLD));
        }
        let area = self.area;
        self.part(Rect { x: area.x + 1, y: area.y + 1, width: width - 2, height: height - 2 })
    }

    /// `text` as it may reach the terminal: escaped, and without what an ASCII terminal cannot draw.
    pub(super) fn legible<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let escaped = text::escape(text);
        if self.glyphs != Glyphs::ASCII || escaped.is_ascii() {
            return escaped;
        }
        let mut plain = String::with_capacity(escaped.len());
        for c in escaped.chars() {
            match c {
                '\0'..='\x7f' => plain.push(c),
                '…' => plain.push('~'),
                '–' | '—' | '─' | '·' => plain.push('-'),
                '→' => plain.push_str("->"),
                '←' => plain.push_str("<-"),
                '‘' | '’' => plain.push('\''),
                '“' | '”' => plain.push('"'),
                '×' => plain.push('x'),
                '≥' => plain.push_str(">="),
                '≤' => plain.push_str("<="),
                _ => plain.extend(std::iter::repeat_n('?', unicode_width::UnicodeWidthChar::width(c).unwrap_or(0))),
            }
        }
        Cow::Owned(plain)
    }
}

/// `text` in lines of at most `width` columns, broken between words where that is possible. Line breaks in the text
/// stay. `width` 0 gives nothing.
pub fn wrap(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width);
    if width == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            let wide = text::width(word);
            if used > 0 && used + 1 + wide > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            if wide <= width {
                line.push_str(word);
                used += wide;
                continue;
            }
            use unicode_segmentation::UnicodeSegmentation;
            for grapheme in word.graphemes(true) {
                let wide = text::width(grapheme);
                if used + wide > width && used > 0 {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push_str(grapheme);
                used += wide;
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::theme::{Depth, Palette};
    use super::*;
    use proptest::prelude::*;

    fn pen<'a>(buffer: &'a mut Buffer, area: Rect, glyphs: Glyphs) -> Pen<'a> {
        Pen::new(buffer, area, Theme::new(Palette::Dark, Depth::None), glyphs)
    }

    fn row(buffer: &Buffer, y: u16) -> String {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        line
    }

    #[test]
    fn cells_are_cut_by_columns_and_the_cut_is_seen() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 3));
        let mut pen = pen(&mut buffer, Rect::new(0, 0, 10, 3), Glyphs::UNICODE);
        pen.cell(0, 0, 5, "현관 카메라", Style::new());
        pen.cell(0, 1, 6, "lobby-of-the-house", Style::new());
        pen.right(0, 2, 10, "7", Style::new());
        assert_eq!(row(&buffer, 0).trim_end(), "현관…");
        assert_eq!(row(&buffer, 1).trim_end(), "lobby…");
        assert_eq!(row(&buffer, 2), "         7");
    }

    #[test]
    fn escapes_and_reordering_do_not_pass() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 1));
        pen(&mut buffer, Rect::new(0, 0, 40, 1), Glyphs::UNICODE).put(0, 0, "\x1b[2J\u{202e}x\u{7}", Style::new());
        assert_eq!(row(&buffer, 0).trim_end(), "␛[2J\\u{202e}x␇");
    }

    #[test]
    fn an_ascii_terminal_gets_ascii() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 1));
        pen(&mut buffer, Rect::new(0, 0, 40, 1), Glyphs::ASCII).put(0, 0, "현관 → café…", Style::new());
        assert_eq!(row(&buffer, 0).trim_end(), "???? -> caf?~");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("no relay candidate came", 10), ["no relay", "candidate", "came"]);
        assert_eq!(wrap("abcdefghijkl mn", 5), ["abcde", "fghij", "kl mn"]);
        assert_eq!(wrap("현관카메라", 4), ["현관", "카메", "라"]);
        assert_eq!(wrap("a\nb", 4), ["a", "b"]);
        assert!(wrap("a", 0).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_written_outside(
            text in "\\PC{0,30}|[가-힣]{0,20}|[a\u{301}\u{200d}👩‍👧\x1b]{0,20}",
            (x, y, width) in (0u16..30, 0u16..8, 0u16..30), (left, top, columns, rows) in (0u16..12, 0u16..5, 0u16..12, 0u16..5)
        ) {
            let mut buffer = Buffer::filled(Rect::new(0, 0, 12, 5), ratatui::buffer::Cell::new("."));
            let area = Rect::new(left, top, columns, rows);
            let mut pen = pen(&mut buffer, area, Glyphs::UNICODE);
            pen.cell(x, y, width, &text, Style::new());
            pen.right(x, y, width, &text, Style::new());
            pen.frame(&text, Style::new());
            for position in buffer.area.positions().filter(|position| !area.contains(*position)) {
                prop_assert_eq!(buffer[position].symbol(), ".");
            }
        }

        #[test]
        fn wrapped_lines_fit_and_lose_no_word(text in "[a-z가-힣 ]{0,80}", width in 2u16..30) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| text::width(line) <= usize::from(width)));
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
