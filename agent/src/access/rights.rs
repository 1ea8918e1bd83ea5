//! What a peer's credentials open to it: which rooms, and whether it may be the first there.

use super::glob::{Glob, GlobError};
use std::fmt;

/// What a peer may do in the rooms that its rights cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum May {
    /// Not even come in.
    Nothing,
    /// Come in where somebody is.
    Join,
    /// Come in, also as the first.
    Create,
}

impl May {
    /// From the words of a users file or a token: `join`, and `create`, which includes it.
    ///
    /// # Errors
    /// The first word that is neither.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        words.into_iter().try_fold(May::Nothing, |may, word| match word.trim() {
            "join" => Ok(may.max(May::Join)),
            "create" => Ok(May::Create),
            other => Err(format!("{other:?} is nothing that a peer may; allowed are join and create")),
        })
    }

    /// The words for it.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            May::Nothing => &[],
            May::Join => &["join"],
            May::Create => &["join", "create"],
        }
    }
}

/// Rights that are less than everything. See [`Rights::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    rooms: Box<[Glob]>,
    may: May,
}

impl Rights {
    /// The rooms that any of `rooms` stands for, and what may be done there; `None` if that is
    /// everything, so that whoever may everything costs no look at all.
    ///
    /// # Errors
    /// The first of `rooms` that is no pattern, and why.
    pub fn new<'a>(rooms: impl IntoIterator<Item = &'a str>, may: May) -> Result<Option<Self>, String> {
        let glob = |text: &'a str| Glob::new(text).map_err(|error: GlobError| format!("{text:?}: {error}"));
        let rooms: Box<[Glob]> = rooms.into_iter().map(glob).collect::<Result<_, _>>()?;
        let everything = may == May::Create && rooms.iter().any(Glob::is_all);
        Ok((!everything).then_some(Self { rooms, may }))
    }

    /// Whether a room is one of those that they open.
    pub fn covers(&self, room: &str) -> bool {
        self.may > May::Nothing && self.rooms.iter().any(|glob| glob.matches(room))
    }

    /// Whether its owner may be the first in an empty room.
    pub fn may_create(&self) -> bool {
        self.may == May::Create
    }
}

impl fmt::Display for Rights {
    /// As a refusal says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rooms.is_empty() || self.may == May::Nothing {
            return f.write_str("no room");
        }
        let names: Vec<String> = self.rooms.iter().map(Glob::to_string).collect();
        write!(f, "{}", names.join(", "))?;
        if self.may_create() { Ok(()) } else { f.write_str(" when somebody is there") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_open_what_they_name() {
        for (rooms, may, room, covered, shown) in [
            (&["cam-*", "현관"][..], May::Create, "cam-1", true, "cam-*, 현관"),
            (&["cam-*", "현관"], May::Create, "현관", true, "cam-*, 현관"),
            (&["cam-*", "현관"], May::Create, "lobby", false, "cam-*, 현관"),
            (&["*"], May::Join, "lobby", true, "* when somebody is there"),
            (&["*"], May::Nothing, "lobby", false, "no room"),
            (&[], May::Create, "lobby", false, "no room"),
        ] {
            let rights = Rights::new(rooms.iter().copied(), may).unwrap().unwrap();
            assert_eq!((rights.covers(room), &*rights.to_string()), (covered, shown), "{room}");
        }
        assert_eq!(Rights::new(["a", "*"], May::Create), Ok(None), "everything");
        assert!(Rights::new(["a", ""], May::Create).unwrap_err().starts_with("\"\": a room name must not be empty"));
    }

    #[test]
    fn create_includes_join() {
        assert_eq!(May::of(["create"]), Ok(May::Create));
        assert_eq!(May::of(["join"]), Ok(May::Join));
        assert_eq!(May::of(["join", "create"]), Ok(May::Create));
        assert_eq!(May::of([]), Ok(May::Nothing));
        assert!(May::of(["jion"]).unwrap_err().contains("allowed are join and create"));
    }
}
