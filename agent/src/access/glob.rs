//! Names with wildcards: `cam-*` stands for every room whose name begins with `cam-`.
//!
//! `*` is any run of characters, `?` is any one, and a backslash takes the character after it as it
//! is, since room names may contain all three. Characters are Unicode's scalar values.

use std::fmt;

/// A pattern, taken apart once.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob(Box<[Piece]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    This(char),
    One,
    Run,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It would match nothing.
    #[error("a room name must not be empty; * stands for all rooms")]
    Empty,
    /// A backslash at the end.
    #[error("there is nothing after the last backslash, which takes the next character as it is")]
    Backslash,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is empty, or ends with a backslash that takes nothing.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let mut pieces = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                // Several in a row are one.
                '*' if pieces.last() == Some(&Piece::Run) => continue,
                '*' => Piece::Run,
                '?' => Piece::One,
                '\\' => Piece::This(characters.next().ok_or(GlobError::Backslash)?),
                other => Piece::This(other),
            });
        }
        if pieces.is_empty() { Err(GlobError::Empty) } else { Ok(Self(pieces.into())) }
    }

    /// Whether it stands for every name.
    pub fn is_all(&self) -> bool {
        *self.0 == [Piece::Run]
    }

    /// The one name that it stands for, if it has no wildcard.
    pub fn literal(&self) -> Option<String> {
        let character = |piece: &Piece| if let Piece::This(c) = piece { Some(*c) } else { None };
        self.0.iter().map(character).collect()
    }

    /// Whether it stands for `name`. At most pieces × characters steps: on a mismatch only the
    /// latest run is made longer.
    pub fn matches(&self, name: &str) -> bool {
        let pieces = &self.0;
        let (mut at, mut rest) = (0, name);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut characters = rest.chars();
            let next = characters.next();
            let goes_on = match (pieces.get(at), next) {
                (Some(Piece::Run), _) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(Piece::One), Some(_)) => true,
                (Some(Piece::This(wanted)), Some(found)) => *wanted == found,
                _ => false,
            };
            if goes_on {
                at += 1;
                rest = characters.as_str();
                continue;
            }
            let Some((after, from)) = retry else { return false };
            let mut longer = from.chars();
            if longer.next().is_none() {
                return false;
            }
            retry = Some((after, longer.as_str()));
            (at, rest) = (after, longer.as_str());
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Run => f.write_str("*"),
            Piece::One => f.write_str("?"),
            Piece::This(special @ ('*' | '?' | '\\')) => write!(f, "\\{special}"),
            Piece::This(character) => write!(f, "{character}"),
        })
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a time to begin with")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same in its shortest form, however slow.
    fn plainly(pieces: &[Piece], name: &[char]) -> bool {
        match (pieces.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((Piece::Run, after)), _) => (0..=name.len()).any(|n| plainly(after, &name[n..])),
            (Some((Piece::One, after)), Some((_, rest))) => plainly(after, rest),
            (Some((Piece::This(wanted), after)), Some((found, rest))) => wanted == found && plainly(after, rest),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn a_pattern_stands_for_what_is_written() {
        for (pattern, name, matches) in [
            ("cam-*", "cam-42", true),
            ("cam-*", "cam-", true),
            ("cam-*", "Cam-42", false),
            ("cam-*", "my-cam-42", false),
            ("*-cam-*", "my-cam-42", true),
            ("cam-?", "cam-4", true),
            ("cam-?", "cam-42", false),
            ("cam-?", "cam-", false),
            ("현?", "현관", true),
            ("현관", "현관", true),
            ("🚪*", "🚪 앞문", true),
            ("*", "anything", true),
            ("**", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            (r"what\?", "what?", true),
            (r"what\?", "whats", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"a\\b", r"a\b", true),
            ("lobby", "lobby2", false),
            ("lobby2", "lobby", false),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name), matches, "{pattern} and {name}");
        }
        assert_eq!(Glob::new(""), Err(GlobError::Empty));
        assert_eq!(Glob::new("a\\"), Err(GlobError::Backslash));
        assert!(Glob::new("***").unwrap().is_all() && !Glob::new("?*").unwrap().is_all());
        assert_eq!(Glob::new(r"what\?").unwrap().literal().as_deref(), Some("what?"));
        assert_eq!(Glob::new("what?").unwrap().literal(), None);
    }

    #[test]
    fn no_pattern_takes_long() {
        let glob = Glob::new(&"*a".repeat(64)).unwrap();
        let begin = std::time::Instant::now();
        assert!(!glob.matches(&format!("{}b", "a".repeat(127))));
        assert!(begin.elapsed().as_millis() < 100);
    }

    proptest! {
        #[test]
        fn it_agrees_with_its_shortest_form(pattern in "[ab*?\\\\가]{1,8}", name in "[ab*?\\\\가]{0,10}") {
            if let Ok(glob) = Glob::new(&pattern) {
                let characters: Vec<char> = name.chars().collect();
                prop_assert_eq!(glob.matches(&name), plainly(&glob.0, &characters));
                prop_assert_eq!(Glob::new(&glob.to_string()), Ok(glob));
            }
        }
    }
}
