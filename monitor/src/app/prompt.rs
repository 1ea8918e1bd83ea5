//! A line of text that is being written.

use crate::filter::{Filter, FilterError};
use unicode_segmentation::UnicodeSegmentation;

/// A filter while it is written, with what is wrong with it so far.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    text: String,
    /// Bytes before the cursor.
    cursor: usize,
}

impl Prompt {
    /// Longest filter, in bytes; more is not taken.
    pub const MAX_BYTES: usize = 1024;

    /// Begins with `text`, the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len() }
    }

    /// What is written so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is written before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// The filter, or what is wrong and where.
    ///
    /// # Errors
    /// Those of the filter's grammar.
    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::parse(&self.text)
    }

    /// Puts a character in at the cursor.
    pub fn insert(&mut self, c: char) {
        if self.text.len() + c.len_utf8() <= Self::MAX_BYTES {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    /// Takes the character before the cursor away, with its marks.
    pub fn erase(&mut self) {
        let from = self.previous();
        self.erase_from(from);
    }

    /// Takes the word before the cursor away, and the spaces behind it.
    pub fn erase_word(&mut self) {
        let from = self.before().trim_end().rfind(' ').map_or(0, |space| space + 1);
        self.erase_from(from);
    }

    /// Takes all before the cursor away.
    pub fn erase_all(&mut self) {
        self.erase_from(0);
    }

    /// Cursor to the left by a character.
    pub fn left(&mut self) {
        self.cursor = self.previous();
    }

    /// Cursor to the right by a character.
    pub fn right(&mut self) {
        self.cursor += self.text[self.cursor..].graphemes(true).next().map_or(0, str::len);
    }

    /// Cursor to the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// Cursor to the end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    fn previous(&self) -> usize {
        self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn erase_from(&mut self, from: usize) {
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_characters_go_as_a_whole() {
        let mut prompt = Prompt::new("room:현관 type:offer e\u{301}");
        prompt.erase();
        assert_eq!(prompt.text(), "room:현관 type:offer ");
        prompt.erase_word();
        assert_eq!(prompt.text(), "room:현관 ");
        prompt.left();
        prompt.erase();
        assert_eq!(prompt.text(), "room:현 ");
        prompt.insert('문');
        assert_eq!((prompt.text(), prompt.before()), ("room:현문 ", "room:현문"));
        prompt.erase_all();
        assert_eq!(prompt.text(), " ");
    }

    proptest! {
        #[test]
        fn the_cursor_stays_between_characters(keys in proptest::collection::vec((0u8..9, any::<char>()), 0..200)) {
            let mut prompt = Prompt::new("");
            for (key, c) in keys {
                match key {
                    0..3 => prompt.insert(c),
                    3 => prompt.erase(),
                    4 => prompt.erase_word(),
                    5 => prompt.left(),
                    6 => prompt.right(),
                    7 => prompt.home(),
                    _ => prompt.end(),
                }
                prop_assert!(prompt.text().is_char_boundary(prompt.cursor));
                prop_assert!(prompt.text().len() <= Prompt::MAX_BYTES);
            }
        }
    }
}
