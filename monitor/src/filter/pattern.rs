//! A value of a filter: text in which `*` stands for anything, compared without regard to case.

use memchr::memchr2_iter;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What must come one after the other, in lower case; between two of them stands a `*`.
    parts: Vec<String>,
    /// Whether all parts are ASCII, for which the text need not be copied into lower case.
    ascii: bool,
}

impl Pattern {
    /// From its parts, between which stands a `*` each. With `anywhere`, one stands before and after them, too.
    pub fn new(parts: Vec<String>, anywhere: bool) -> Self {
        let mut parts: Vec<String> = parts.iter().map(|part| lower(part)).collect();
        if anywhere {
            parts.insert(0, String::new());
            parts.push(String::new());
        }
        let ascii = parts.iter().all(|part| part.is_ascii());
        Self { parts, ascii }
    }

    /// Whether `text`, which need not be UTF-8, is met as a whole.
    pub fn matches(&self, text: &[u8]) -> bool {
        if self.ascii {
            self.matches_lower(text)
        } else {
            self.matches_lower(lower(&String::from_utf8_lossy(text)).as_bytes())
        }
    }

    /// Takes the first place for every part: what a later one could reach, an earlier one can.
    fn matches_lower(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text.eq_ignore_ascii_case(first.as_bytes()) };
        let Some(mut text) =
            text.split_at_checked(first.len()).filter(|(head, _)| same(head, first)).map(|(_, tail)| tail)
        else {
            return false;
        };
        for part in middle {
            match find(text, part.as_bytes()) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.len() >= last.len() && same(&text[text.len() - last.len()..], last)
    }
}

/// Letter by letter: `str::to_lowercase` writes Σ at the end of a word in another way than within.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn same(text: &[u8], part: &str) -> bool {
    text.eq_ignore_ascii_case(part.as_bytes())
}

/// The first place of `part`, which is in lower case.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let Some(first) = part.first() else { return Some(0) };
    memchr2_iter(*first, first.to_ascii_uppercase(), text)
        .find(|at| text.get(*at..at + part.len()).is_some_and(|here| here.eq_ignore_ascii_case(part)))
}
