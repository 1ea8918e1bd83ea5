//! The operator's token: made at the first start, kept readable by its owner alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the token's file in the state folder.
pub const FILE: &str = "operator.token";
const TOKEN_BYTES: usize = 32;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The folder or file cannot be made or read.
    #[error("the operator's token {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else may read it.
    #[error("the operator's token {0} can be read by others; make it private (chmod 600) or delete it")]
    NotPrivate(PathBuf),
    /// It holds no token.
    #[error("the operator's token {0} is empty; delete it, and a new one is made at the next start")]
    Empty(PathBuf),
}

/// The token in `folder`; made, with the folder, if there is none.
///
/// # Errors
/// If it cannot be made or read, or others can read it.
pub fn token(folder: &Path) -> Result<String, TokenError> {
    let path = folder.join(FILE);
    let io = |error| TokenError::Io { path: path.clone(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    match create(&path) {
        Ok(token) => return Ok(token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let mut file = fs::File::open(&path).map_err(io)?;
    if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
        return Err(TokenError::NotPrivate(path));
    }
    let mut token = String::new();
    file.read_to_string(&mut token).map_err(io)?;
    match token.trim() {
        "" => Err(TokenError::Empty(path)),
        token => Ok(token.to_owned()),
    }
}

/// Written whole under another name first, so that nobody ever reads half of it; of two brokers
/// that start at once, one makes it and both read the same.
fn create(path: &Path) -> io::Result<String> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{token}")?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked.map(|()| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_private() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("below");
        let first = token(&folder).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(token(&folder).unwrap(), first);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("state");
        token(&folder).unwrap();
        fs::set_permissions(folder.join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(token(&folder), Err(TokenError::NotPrivate(_))));
        fs::write(folder.join(FILE), "\n").unwrap();
        fs::set_permissions(folder.join(FILE), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(token(&folder), Err(TokenError::Empty(_))));
    }
}
