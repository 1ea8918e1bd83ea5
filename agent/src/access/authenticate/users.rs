//! The users file: TOML, one table for each user.
//!
//! ```toml
//! [cam-42]
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"  # none: the user comes with a certificate only
//! role = "peer"                # or "operator"; peer if it is not said
//! rooms = ["cam-*", "현관"]     # of a peer, which it needs; * stands for any text, ? for a character
//! may = ["join", "create"]     # both if it is not said; without create, only where somebody is
//! ```
//! Read and judged as a whole: a file with a mistake is no users file, and the error says the line.

use crate::access::rights::{May, Rights};
use crate::access::{Grant, Principal, Role};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use protocol::PeerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml_edit::{Document, Item, TableLike};

/// Longest name of a user, in bytes: room is left for what a client of it adds to it.
pub const MAX_NAME: usize = 48;
/// Most memory that checking a password may take, in KiB, since the file says how much it takes.
const MAX_MEMORY: u32 = 256 * 1024;
/// Most passes over it.
const MAX_PASSES: u32 = 16;

/// What a users file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    by_name: BTreeMap<Box<str>, User>,
    /// What checking costs that concerns nobody, so that it takes as long as if it did.
    decoy: Cost,
}

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its role.
    pub role: Role,
    /// What its clients get.
    pub grant: Arc<Grant>,
    hash: Option<Arc<str>>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("role", &self.role).field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl User {
    /// Whether it can come with a password.
    pub fn has_password(&self) -> bool {
        self.hash.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cost(Params);

/// What is wrong with a users file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct UsersError {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A password to be checked, which takes tens of milliseconds and megabytes on purpose.
pub struct Check {
    /// Of the user that was named, if there is one with a password.
    hash: Option<Arc<str>>,
    decoy: Cost,
}

impl Users {
    /// Reads a users file.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let line_at = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let file = Document::parse(text).map_err(|error| UsersError {
            line: line_at(error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        let mut by_name = BTreeMap::new();
        for (name, item) in file.as_table().iter() {
            let span = file.as_table().key(name).and_then(|key| key.span()).or(item.span());
            let mut place = Place { at: span.map_or(0, |span| span.start) };
            let user = user(name, item, &mut place).map_err(|problem| UsersError {
                line: line_at(place.at),
                problem: format!("user {name:?}: {problem}"),
            })?;
            by_name.insert(name.into(), user);
        }
        let first = by_name.values().find_map(|user: &User| user.hash.as_deref().and_then(cost_of));
        Ok(Self { by_name, decoy: Cost(first.unwrap_or_default()) })
    }

    /// These users in the place of others: those that are as before, password and all, keep their
    /// grant, the very same, by which their clients are told from those of users that have changed.
    #[must_use]
    pub fn replacing(mut self, before: &Self) -> Self {
        for (name, user) in &mut self.by_name {
            if let Some(same) = before.get(name).filter(|before| *before == user) {
                *user = same.clone();
            }
        }
        self
    }

    /// A user by name.
    pub fn get(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    /// All users, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &User)> {
        self.by_name.iter().map(|(name, user)| (&**name, user))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What there is to check when somebody comes with this name, whether or not there is such a
    /// user.
    pub fn check(&self, name: &str) -> Check {
        Check { hash: self.get(name).and_then(|user| user.hash.clone()), decoy: self.decoy.clone() }
    }
}

impl Check {
    /// Whether `password` is the user's. Takes as long if there is no such user.
    pub fn run(&self, password: &[u8]) -> bool {
        match &self.hash {
            Some(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            None => {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.decoy.0.clone());
                // The outcome concerns nobody; only the time that it takes is wanted.
                let _ = argon2.hash_password_into(password, b"nobody's salt", &mut [0; 32]);
                false
            }
        }
    }
}

/// Whether `name` may be a user's: a peer id without `:`, which separates it from what its clients
/// add, and at most [`MAX_NAME`] bytes.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    PeerId::check(name).map_err(|error| error.to_string())?;
    if name.contains(':') {
        return Err("a user name has no : in it, which separates it from what its clients add".into());
    }
    if name.len() > MAX_NAME {
        return Err(format!("a user name has at most {MAX_NAME} bytes, this one has {}", name.len()));
    }
    Ok(())
}

/// Where in the file the parser is.
struct Place {
    at: usize,
}

impl Place {
    fn enter(&mut self, item: &Item) {
        if let Some(span) = item.span() {
            self.at = span.start;
        }
    }
}

fn user(name: &str, item: &Item, place: &mut Place) -> Result<User, String> {
    check_name(name)?;
    let table = item.as_table_like().ok_or("a user is a table: write [name] and its fields below")?;
    if let Some((unknown, item)) = table.iter().find(|(key, _)| !["password", "role", "rooms", "may"].contains(key)) {
        place.enter(item);
        return Err(format!("unknown field {unknown:?}; known are password, role, rooms, may"));
    }
    let role = match text(table, "role", place)? {
        Some(role) => role.parse()?,
        None => Role::Peer,
    };
    let hash = text(table, "password", place)?;
    if let Some(hash) = hash {
        check_hash(hash)?;
    }
    let may = match list(table, "may", place)? {
        Some(words) => May::of(words)?,
        None => May::Create,
    };
    let rooms = list(table, "rooms", place)?;
    let rights = match (role, rooms) {
        (Role::Peer, Some(rooms)) => Rights::new(rooms, may)?,
        (Role::Peer, None) => return Err("rooms are missing: say which it may enter, or [\"*\"] for all".into()),
        (Role::Operator, None) if !table.contains_key("may") => None,
        (Role::Operator, _) => {
            return Err("an operator sees every room and enters none: leave rooms and may out".into());
        }
    };
    let grant = Grant { principal: Principal::User(name.into()), rights, expires: None };
    Ok(User { role, grant: Arc::new(grant), hash: hash.map(Arc::from) })
}

fn text<'a>(table: &'a dyn TableLike, key: &str, place: &mut Place) -> Result<Option<&'a str>, String> {
    let Some(item) = table.get(key) else { return Ok(None) };
    place.enter(item);
    item.as_str().map(Some).ok_or_else(|| format!("{key} is text in quotes"))
}

fn list<'a>(table: &'a dyn TableLike, key: &str, place: &mut Place) -> Result<Option<Vec<&'a str>>, String> {
    let Some(item) = table.get(key) else { return Ok(None) };
    place.enter(item);
    let items = item.as_array().and_then(|items| items.iter().map(toml_edit::Value::as_str).collect());
    items.map(Some).ok_or_else(|| format!("{key} is a list of text: [\"…\", \"…\"]"))
}

fn check_hash(hash: &str) -> Result<(), String> {
    let parsed = PasswordHash::new(hash);
    let is_argon2id = parsed.is_ok_and(|hash| hash.algorithm.as_str() == "argon2id" && hash.hash.is_some());
    let Some(cost) = cost_of(hash).filter(|_| is_argon2id) else {
        return Err("the password is no argon2id hash ($argon2id$v=19$…); `broker user add` makes one".into());
    };
    if cost.m_cost() > MAX_MEMORY || cost.t_cost() > MAX_PASSES {
        return Err(format!("the password's hash costs more than {} MiB or {MAX_PASSES} passes", MAX_MEMORY / 1024));
    }
    Ok(())
}

fn cost_of(hash: &str) -> Option<Params> {
    Params::try_from(&PasswordHash::new(hash).ok()?).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use argon2::PasswordHasher;

    /// A hash that costs little, for tests.
    pub fn hash(password: &str) -> String {
        let cheap = Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap);
        argon2.hash_password(password.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn a_file_is_read() {
        let text = format!(
            "# people\n[alice]\npassword = \"{}\"\nrooms = [\"lobby\", \"현*\"]\n\n[bob] # no password\nrooms = [\"*\"]\n\
             may = [\"join\"]\n[\"o.p\"]\nrole = \"operator\"\n[carol]\nrooms = [\"*\"]\n",
            hash("s3cret")
        );
        let users = Users::parse(&text).unwrap();
        assert_eq!(users.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["alice", "bob", "carol", "o.p"]);
        let alice = users.get("alice").unwrap();
        assert_eq!(alice.grant.principal, Principal::User("alice".into()));
        assert_eq!(alice.grant.rights.as_ref().unwrap().to_string(), "lobby, 현*");
        assert!(!users.get("bob").unwrap().grant.rights.as_ref().unwrap().may_create());
        assert_eq!(users.get("carol").unwrap().grant.rights, None, "everything");
        assert_eq!(users.get("o.p").unwrap().role, Role::Operator);
        assert!(users.check("alice").run(b"s3cret"));
        for (name, password) in [("alice", "S3cret"), ("alice", ""), ("bob", ""), ("bob", "s3cret"), ("dave", "s3cret")]
        {
            assert!(!users.check(name).run(password.as_bytes()), "{name} with {password:?}");
        }
        assert!(!format!("{users:?}").contains("argon2id"), "hashes are not shown");
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let text = format!("[alice]\nrooms = []\npassword = \"{}\"\n", hash("x"));
        assert_eq!(Users::parse(&text).unwrap().decoy.0.m_cost(), 8);
        assert_eq!(Users::parse("").unwrap().decoy.0, Params::default());
    }

    #[test]
    fn a_mistake_is_said_with_its_line() {
        let long = "x".repeat(49);
        let long = format!("[{long}]\nrooms = []");
        for (text, line, problem) in [
            (
                "[alice]\nrooms = [\"*\"]\nroom = \"x\"\n",
                3,
                "unknown field \"room\"; known are password, role, rooms, may",
            ),
            ("[alice]\n", 1, "rooms are missing"),
            ("\n[alice]\nrooms = \"lobby\"\n", 3, "rooms is a list"),
            ("[alice]\nrooms = [\"a\", 1]\n", 2, "rooms is a list"),
            ("[alice]\nrooms = [\"a\", \"\"]\n", 2, "must not be empty"),
            ("[alice]\nrooms = []\nmay = [\"jion\"]\n", 3, "allowed are join and create"),
            ("[alice]\nrooms = []\nrole = \"root\"\n", 3, "allowed are peer and operator"),
            ("[alice]\nrooms = []\npassword = \"s3cret\"\n", 3, "no argon2id hash"),
            (
                "[alice]\nrooms = []\npassword = \"$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAA\"\n",
                3,
                "no argon2id",
            ),
            (
                "[alice]\nrooms = []\npassword = \"$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAA\"\n",
                3,
                "costs more",
            ),
            ("[op]\nrole = \"operator\"\nrooms = [\"a\"]\n", 3, "leave rooms and may out"),
            ("[op]\nrole = \"operator\"\nmay = [\"join\"]\n", 3, "leave rooms and may out"),
            ("[alice]\nrooms = []\n[alice]\nrooms = []\n", 3, "duplicate"),
            ("[alice]\nrooms = [\n", 2, ""),
            ("alice = 1\n", 1, "a user is a table"),
            ("[\"a:b\"]\nrooms = []\n", 1, "has no :"),
            ("[\"a b\"]\nrooms = []\n", 1, "must not contain ' '"),
            ("[agent]\nrooms = []\n", 1, "reserved"),
            (&long, 1, "at most 48 bytes"),
        ] {
            let error = Users::parse(text).unwrap_err();
            assert!(error.problem.contains(problem), "{text}: {error}");
            assert_eq!(error.line, line, "{text}: {error}");
        }
    }
}
