//! The files that say who may come in, read from disk.

use super::operator::{self, TokenError};
use crate::access::authenticate::Ways;
use crate::access::authenticate::tokens::{Key, KeyError, Tokens};
use crate::access::authenticate::users::{Users, UsersError};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::warn;
use zeroize::Zeroizing;

/// What the configuration says about who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The users file.
    pub users: Option<PathBuf>,
    /// File of the secret that signs tokens.
    pub jwt_secret: Option<PathBuf>,
    /// File of a PEM key that signs tokens, or its public half.
    pub jwt_key: Option<PathBuf>,
    /// File of a set of keys.
    pub jwks: Option<PathBuf>,
    /// Who must have issued a token.
    pub jwt_issuer: Option<String>,
    /// For whom a token must be.
    pub jwt_audience: String,
    /// How far the clocks of broker and issuer may differ.
    pub jwt_leeway: Duration,
    /// Whether anonymous clients are let in.
    pub anonymous: bool,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// One cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The users file is not there; it is not taken for an empty one.
    #[error("the users file {0} does not exist; `broker user add NAME --users {0}` makes it")]
    NoUsers(PathBuf),
    /// The users file has a mistake.
    #[error("the users file {path}, {error}")]
    Users {
        /// Which.
        path: PathBuf,
        /// What, and in which line.
        error: UsersError,
    },
    /// A key cannot be used.
    #[error("{path}: {error}")]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// See [`TokenError`].
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Access {
    /// Whether it takes more than to come to be let in.
    pub fn asks(&self) -> bool {
        self.users.is_some() || self.jwt_secret.is_some() || self.jwt_key.is_some() || self.jwks.is_some()
    }

    /// The files to be read again when they change.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.users, &self.jwt_secret, &self.jwt_key, &self.jwks].into_iter().flatten()
    }

    /// Reads them all. The operator's token is made if there is none, and needed.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn ways(&self, state_dir: &Path) -> Result<Ways, FilesError> {
        let users = self.users.as_deref().map(read_users).transpose()?;
        let operator = match users {
            Some(_) => None,
            None => Some(Zeroizing::new(operator::token(state_dir)?)),
        };
        Ok(Ways { users, tokens: self.tokens()?, operator, anonymous: self.anonymous })
    }

    /// What checks and signs tokens; none if no key is configured.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn tokens(&self) -> Result<Option<Tokens>, FilesError> {
        let mut keys = Vec::new();
        if let Some(path) = &self.jwt_secret {
            keys.push(read_key(path, Key::secret)?);
        }
        if let Some(path) = &self.jwt_key {
            keys.push(read_key(path, Key::pem)?);
        }
        if let Some(path) = &self.jwks {
            keys.extend(read_key(path, Key::set)?);
        }
        let tokens = || Tokens::new(keys, self.jwt_issuer.clone(), self.jwt_audience.clone(), self.jwt_leeway);
        Ok((self.jwt_secret.is_some() || self.jwt_key.is_some() || self.jwks.is_some()).then(tokens))
    }
}

/// A key file, read and judged.
///
/// # Errors
/// If it cannot be read, or holds no key.
pub fn read_key<K>(path: &Path, judge: impl FnOnce(&[u8]) -> Result<K, KeyError>) -> Result<K, FilesError> {
    let bytes = fs::read(path).map_err(|error| FilesError::Io { path: path.to_owned(), error })?;
    judge(&Zeroizing::new(bytes)).map_err(|error| FilesError::Key { path: path.to_owned(), error })
}

fn read_users(path: &Path) -> Result<Users, FilesError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FilesError::NoUsers(path.to_owned()),
        _ => FilesError::Io { path: path.to_owned(), error },
    };
    let text = fs::read_to_string(path).map_err(io)?;
    // Hashes are no passwords, but they can be guessed at in peace by whoever has them.
    if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
        warn!(path = %path.display(), "the users file can be read by others; chmod 600 makes it private");
    }
    Users::parse(&text).map_err(|error| FilesError::Users { path: path.to_owned(), error })
}
