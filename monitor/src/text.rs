//! Text from peers on the way to a screen or a file: nothing in it may steer a terminal, reorder a line or hide.
//!
//! Every view and every output passes what peers said through [`escape`]; columns are cut with [`clip`].

use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Most combining marks on one character; more would climb over the lines around it.
const MAX_MARKS: usize = 4;

/// `text` with every character visible that would be invisible or do something: control characters as their symbols
/// (`␛`, `␊`), the others by number (`\u{202e}`). Text without such characters is not copied. What has been escaped is
/// not changed by escaping it again.
pub fn escape(text: &str) -> Cow<'_, str> {
    let mut marks = 0;
    let Some(first) = text.char_indices().find(|(_, c)| must_go(*c, &mut marks)).map(|(at, _)| at) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    // Marks are counted from the beginning of the character they stand on, which may lie before `first`.
    for (at, c) in text.char_indices() {
        let go = must_go(c, &mut marks);
        match c {
            _ if at < first || !go => escaped.push(c),
            '\0'..='\x1f' => escaped.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\x7f' => escaped.push('␡'),
            _ => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// Bytes as text: what is no UTF-8 becomes U+FFFD, the rest is escaped.
pub fn escape_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => escape(text),
        Cow::Owned(text) => Cow::Owned(escape(&text).into_owned()),
    }
}

/// Whether a character must not reach a terminal as it is. `marks` counts combining marks in a row.
fn must_go(c: char, marks: &mut usize) -> bool {
    if is_mark(c) {
        *marks += 1;
        return *marks > MAX_MARKS;
    }
    *marks = 0;
    c.is_control() || is_hidden(c)
}

/// Characters of Unicode that show nothing, reorder what is around them, or break a line: bidirectional controls (UAX
/// #9), zero-width ones, fillers, tags, variation selectors beyond those of emoji, non-characters.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// The blocks of combining marks that stand on any script; those of a single script come in twos at most by
/// themselves.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{0e31}' | '\u{0e34}'..='\u{0e3a}'
        | '\u{0e47}'..='\u{0e4e}')
        && c != '\u{034f}'
}

/// How many columns a terminal gives `text`.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text`, cut to at most `columns` columns; if something is cut, `…` ends it. Never cuts a character from its marks.
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    clip_with(text, columns, "…")
}

/// As [`clip`], with another sign for what is cut (`~` where there is only ASCII).
pub fn clip_with<'a>(text: &'a str, columns: usize, sign: &str) -> Cow<'a, str> {
    // A character takes at least a byte, so short text need not be measured exactly to be known to fit.
    if text.len() <= columns && text.is_ascii() || text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let sign = if sign.width() <= columns { sign } else { "" };
    let room = columns - sign.width();
    let (mut end, mut used) = (0, 0);
    for (at, grapheme) in text.grapheme_indices(true) {
        let wide = grapheme.width();
        if used + wide > room {
            break;
        }
        used += wide;
        end = at + grapheme.len();
    }
    Cow::Owned(format!("{}{sign}", &text[..end]))
}

/// `text` in exactly `columns` columns: cut if it is longer, followed by spaces if it is shorter.
pub fn fit(text: &str, columns: usize) -> String {
    let mut fitted = clip(text, columns).into_owned();
    let missing = columns.saturating_sub(fitted.width());
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn harmless_text_is_not_copied() {
        for text in
            ["lobby", "현관 카메라", "café", "cafe\u{301}", "❤\u{fe0f} 🎥", "مرحبا", "日本", "\\u{202e}", "␛[0m"]
        {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn what_steers_a_terminal_is_shown_instead() {
        assert_eq!(escape("\x1b[31mred\x1b]0;title\x07"), "␛[31mred␛]0;title␇");
        assert_eq!(escape("a\r\nb\tc\0\x7f"), "a␍␊b␉c␀␡");
        assert_eq!(escape("\u{9b}31m\u{85}"), "\\u{9b}31m\\u{85}");
    }

    #[test]
    fn what_reorders_or_hides_is_shown_by_number() {
        assert_eq!(escape("evil\u{202e}gpj.exe"), "evil\\u{202e}gpj.exe");
        for hidden in
            ['\u{200b}', '\u{200d}', '\u{2066}', '\u{feff}', '\u{3164}', '\u{ad}', '\u{2028}', '\u{e0041}', '\u{ffff}']
        {
            let text = format!("a{hidden}b");
            assert_eq!(escape(&text), format!("a{}b", hidden.escape_unicode()), "{hidden:?}");
        }
    }

    #[test]
    fn towers_of_marks_are_cut_down() {
        let zalgo = format!("e{}", "\u{301}".repeat(40));
        let escaped = escape(&zalgo);
        assert_eq!(escaped.matches('\u{301}').count(), MAX_MARKS);
        assert!(escaped.ends_with("\\u{301}"));
    }

    #[test]
    fn bytes_that_are_no_text_are_seen_as_such() {
        assert_eq!(escape_bytes(b"a\xff\x1bb"), "a\u{fffd}␛b");
    }

    #[test]
    fn clipping_counts_columns_not_characters() {
        assert_eq!(clip("lobby", 5), "lobby");
        assert_eq!(clip("lobby", 4), "lob…");
        assert_eq!(clip("현관 카메라", 6), "현관 …");
        assert_eq!(clip("현관", 3), "현…", "a wide character does not fit into one column");
        assert_eq!(clip("cafe\u{301}s", 4), "caf…", "the mark stays with its letter");
        assert_eq!(clip("lobby", 1), "…");
        assert_eq!(clip("lobby", 0), "");
        assert_eq!(clip_with("lobby", 4, "~"), "lob~");
        assert_eq!(fit("현", 4), "현  ");
    }

    proptest! {
        #[test]
        fn nothing_that_is_escaped_can_do_harm(text in any::<String>()) {
            let escaped = escape(&text).into_owned();
            prop_assert!(escaped.chars().all(|c| !c.is_control() && !is_hidden(c)), "{:?}", escaped);
            prop_assert_eq!(escape(&escaped), escaped.as_str());
        }

        #[test]
        fn a_clipped_text_fits(text in any::<String>(), columns in 0usize..40) {
            let escaped = escape(&text);
            prop_assert!(clip(&escaped, columns).width() <= columns);
            prop_assert_eq!(fit(&escaped, columns).width(), columns);
        }
    }
}
