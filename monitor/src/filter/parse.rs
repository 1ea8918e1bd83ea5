//! From what was typed to terms. Every error says where it is and what would be right.

use super::pattern::Pattern;
use super::{Filter, Key, Term};
use crate::model::Phase;
use std::iter::Peekable;
use std::str::Chars;

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct FilterError {
    /// Which character, from 1.
    pub at: usize,
    /// What is wrong there and what would be right.
    pub what: String,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// Characters read.
    read: usize,
}

/// A value as it was written: text between stars. Stars in quotes are text.
#[derive(Default)]
struct Written {
    parts: Vec<String>,
    part: String,
    empty: bool,
}

pub(super) fn terms(text: &str) -> Result<Vec<Term>, FilterError> {
    if text.len() > Filter::MAX_BYTES {
        let what = format!("a filter has at most {} bytes, this one has {}", Filter::MAX_BYTES, text.len());
        return Err(FilterError { at: 1, what });
    }
    let mut reader = Reader { rest: text.chars().peekable(), read: 0 };
    let mut terms = Vec::new();
    loop {
        while reader.rest.peek().is_some_and(|c| c.is_whitespace()) {
            reader.next();
        }
        if reader.rest.peek().is_none() {
            return Ok(terms);
        }
        terms.push(reader.term()?);
    }
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        self.read += 1;
        self.rest.next()
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let begin = self.read + 1;
        let negated = self.rest.peek() == Some(&'!');
        if negated {
            self.next();
        }
        let key = self.key()?;
        let value_at = self.read + 1;
        let mut patterns = Vec::new();
        loop {
            let at = self.read + 1;
            let value = self.value()?;
            if value.empty {
                let what = match key {
                    Some(key) => format!("after {}: comes a value, like {}", key.name(), example(key)),
                    None if negated => "after ! comes what shall not be there, like !refused".into(),
                    None => "a word is missing; the comma stands between two values, like type:offer,answer".into(),
                };
                return Err(FilterError {
                    at: if negated && key.is_none() && patterns.is_empty() { begin } else { at },
                    what,
                });
            }
            let anywhere = matches!(key, None | Some(Key::Text));
            patterns.push(Pattern::new(value.parts, anywhere));
            if self.rest.peek() != Some(&',') {
                break;
            }
            self.next();
        }
        if key == Some(Key::Phase) {
            for pattern in &patterns {
                if !Phase::NAMES.iter().any(|name| pattern.matches(name.as_bytes())) {
                    let what = format!("no phase is called that; phases are {}", Phase::NAMES.join(", "));
                    return Err(FilterError { at: value_at, what });
                }
            }
        }
        Ok(Term { negated, key, patterns })
    }

    /// Reads `key:`, if one stands here; leaves everything else where it is.
    fn key(&mut self) -> Result<Option<Key>, FilterError> {
        let mut ahead = self.rest.clone();
        let mut name = String::new();
        while let Some(c) = ahead.next_if(|c| !c.is_whitespace() && !matches!(c, '"' | ',' | '*' | '!' | ':')) {
            name.push(c);
        }
        if ahead.peek() != Some(&':') {
            return Ok(None);
        }
        let key = Key::ALL.into_iter().find(|key| key.name().eq_ignore_ascii_case(&name));
        let Some(key) = key else {
            let known: Vec<&str> = Key::ALL.iter().map(|key| key.name()).collect();
            let what = format!(
                "there is no key {name:?}; keys are {}; text with a colon in it stands in quotes",
                known.join(", ")
            );
            return Err(FilterError { at: self.read + 1, what });
        };
        for _ in 0..=name.chars().count() {
            self.next();
        }
        Ok(Some(key))
    }

    fn value(&mut self) -> Result<Written, FilterError> {
        let mut value = Written { empty: true, ..Written::default() };
        while let Some(&c) = self.rest.peek() {
            match c {
                ',' => break,
                c if c.is_whitespace() => break,
                '"' => self.quoted(&mut value)?,
                '*' => {
                    self.next();
                    value.parts.push(std::mem::take(&mut value.part));
                    value.empty = false;
                }
                c => {
                    self.next();
                    value.part.push(c);
                    value.empty = false;
                }
            }
        }
        value.parts.push(std::mem::take(&mut value.part));
        Ok(value)
    }

    fn quoted(&mut self, value: &mut Written) -> Result<(), FilterError> {
        let begin = self.read + 1;
        self.next();
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') if matches!(self.rest.peek(), Some('"' | '\\')) => value.part.extend(self.next()),
                Some(c) => value.part.push(c),
                None => return Err(FilterError { at: begin, what: "this quote is not closed; add another \"".into() }),
            }
            value.empty = false;
        }
    }
}

fn example(key: Key) -> &'static str {
    match key {
        Key::Room => "room:lobby",
        Key::Peer => "peer:cam*",
        Key::Kind => "kind:camera",
        Key::Type => "type:offer",
        Key::Text => "text:H264",
        Key::Phase => "phase:failed",
        Key::Finding => "finding:no-relay",
    }
}
