//! As whom the monitor logs in: what was given, or the token that a broker of this machine keeps for its operator.

use agent::service::BrokerUrl;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The user for whom a broker without users keeps a token.
pub const OPERATOR: &str = "operator";
/// The token's file in the broker's state folder.
pub const TOKEN_FILE: &str = "operator.token";

/// A user, and where the password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password, or where it is read.
    pub password: Password,
}

/// Where a password comes from. Files are read again at each login: a broker may have made a new token.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The first line of a file.
    File(PathBuf),
    /// The operator's token.
    Token(PathBuf),
    /// Known already.
    Given {
        /// The password.
        secret: String,
        /// Where it was given, in words.
        by: &'static str,
    },
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
            Password::Token(path) => f.debug_tuple("Token").field(path).finish(),
            Password::Given { by, .. } => f.debug_struct("Given").field("by", by).finish_non_exhaustive(),
        }
    }
}

/// A password that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}; right is a file with the password in its first line", path = .path.display())]
pub struct PasswordError {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong.
    pub error: io::Error,
}

impl Login {
    /// The operator's token in a broker's state folder, if there is one. It is only for a broker on this machine:
    /// to another it would be told a secret that is none of its business.
    #[must_use]
    pub fn of_this_machine(broker: &BrokerUrl, state_dir: &Path) -> Option<Self> {
        let token = state_dir.join(TOKEN_FILE);
        let found = is_loopback(broker.host()) && token.is_file();
        found.then(|| Self { username: OPERATOR.to_owned(), password: Password::Token(token) })
    }

    /// The password as it is now.
    ///
    /// # Errors
    /// If its file cannot be read or holds none.
    pub fn password(&self) -> Result<String, PasswordError> {
        match &self.password {
            Password::Given { secret, .. } => Ok(secret.clone()),
            Password::File(path) => {
                let text = read(path)?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
            Password::Token(path) => {
                let text = read(path)?;
                match text.trim() {
                    "" => Err(PasswordError { path: path.clone(), error: io::Error::other("there is no token in it") }),
                    token => Ok(token.to_owned()),
                }
            }
        }
    }
}

/// In which way: what is said when the broker refuses it.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "as {:?} with ", self.username)?;
        match &self.password {
            Password::File(path) => write!(f, "the password in {}", path.display()),
            Password::Token(path) => write!(f, "the token in {}", path.display()),
            Password::Given { by, .. } => write!(f, "the password {by}"),
        }
    }
}

fn read(path: &Path) -> Result<String, PasswordError> {
    std::fs::read_to_string(path).map_err(|error| PasswordError { path: path.to_owned(), error })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Where a broker of this account keeps its state: `$XDG_STATE_HOME/duet`, else `~/.local/state/duet` (XDG Base
/// Directory Specification).
#[must_use]
pub fn state_dir() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("duet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_for_brokers_of_this_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        let found = |url: &str| Login::of_this_machine(&url.parse().unwrap(), folder.path());
        assert_eq!(found("mqtt://127.0.0.1"), None, "there is none yet");
        std::fs::write(folder.path().join(TOKEN_FILE), "t0ken\n").unwrap();
        for url in ["mqtt://127.0.0.1", "mqtts://localhost:8883", "ws://[::1]:8080/mqtt", "mqtt://127.8.9.1"] {
            let login = found(url).unwrap();
            assert_eq!((login.username.as_str(), login.password().unwrap().as_str()), ("operator", "t0ken"), "{url}");
        }
        for url in ["mqtt://192.0.2.1", "mqtts://localhost.example.org", "wss://[2001:db8::1]/mqtt"] {
            assert_eq!(found(url), None, "{url}");
        }
    }

    #[test]
    fn passwords_are_never_shown_and_bad_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret \nmore\n").unwrap();
        let login = |password| Login { username: "bob".into(), password };
        assert_eq!(login(Password::File(path.clone())).password().unwrap(), "s3cret ");
        let given = login(Password::Given { secret: "s3cret".into(), by: "of DUET_MONITOR_PASSWORD" });
        assert_eq!(given.to_string(), "as \"bob\" with the password of DUET_MONITOR_PASSWORD");
        assert!(!format!("{given:?}").contains("s3cret"));
        std::fs::write(&path, " \n").unwrap();
        assert!(login(Password::Token(path)).password().unwrap_err().to_string().contains("no token in it"));
        let missing = login(Password::File("/no/such/file".into())).password().unwrap_err();
        assert!(missing.to_string().starts_with("/no/such/file: "));
    }
}
