//! The address of a store, as the command line names it.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// `redis://host[:6379][/db]` or `rediss://…` over TLS, without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    url: Url,
    host: String,
    port: u16,
    db: i64,
}

/// Why an address names no store; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// No URL at all.
    #[error("{0:?} is no address of a store: right is redis://127.0.0.1:6379, redis://…/2 or rediss://…")]
    Url(String),
    /// User or password where every list of processes shows them. The address is not repeated.
    #[error("the store's address must not hold a user or password: give --store-username and --store-password-file")]
    Login,
    /// What follows the host is the number of a database.
    #[error("the address {0} has more than the number of a database after its host, as in redis://127.0.0.1/2")]
    Path(String),
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        // What is no address may still hold a password, and is then not repeated.
        if text.contains('@') {
            return Err(StoreUrlError::Login);
        }
        let no_url = || StoreUrlError::Url(text.into());
        let url = Url::parse(text).map_err(|_| no_url())?;
        let host = url.host_str().filter(|host| !host.is_empty()).map(ToOwned::to_owned);
        let Some(host) = host.filter(|_| matches!(url.scheme(), "redis" | "rediss")) else { return Err(no_url()) };
        let db = match url.path() {
            "" | "/" => Some(0),
            path => path[1..].parse::<u16>().ok().map(i64::from),
        };
        let Some(db) = db.filter(|_| url.query().is_none() && url.fragment().is_none()) else {
            return Err(StoreUrlError::Path(url.into()));
        };
        let port = url.port().unwrap_or(6379);
        Ok(Self { url, host, port, db })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Why a store's address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreSetupError {
    /// The file with the certificates.
    #[error("{path}: {why}; right is a PEM file with at least one certificate", path = .path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The client library refuses.
    #[error("{0}")]
    Client(#[from] redis::RedisError),
}

impl StoreUrl {
    /// A client that logs in as `username` with `password`, where they are given. Over TLS the certificates of `ca_file`
    /// are trusted, as PEM, or the system's.
    ///
    /// # Errors
    /// If there is no certificate to trust in the file.
    pub fn client(
        &self,
        username: Option<&str>,
        password: Option<&str>,
        ca_file: Option<&Path>,
    ) -> Result<Client, StoreSetupError> {
        let is_tls = self.url.scheme() == "rediss";
        // In the URL an IPv6 address is in brackets.
        let host = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = if is_tls {
            ConnectionAddr::TcpTls { host, port: self.port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, self.port)
        };
        let mut login = RedisConnectionInfo::default().set_db(self.db);
        if let Some(username) = username {
            login = login.set_username(username);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let info: ConnectionInfo = address.into_connection_info()?.set_redis_settings(login);
        if !is_tls {
            return Ok(Client::open(info)?);
        }
        // The client takes the process' provider, and panics where several could be meant.
        let _ = rumqttc::tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
        let root_cert = match ca_file {
            Some(path) => Some(
                std::fs::read(path)
                    .map_err(|error| StoreSetupError::CaFile { path: path.to_owned(), why: error.to_string() })?,
            ),
            None => None,
        };
        Ok(Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port, db) in [
            ("redis://127.0.0.1", "127.0.0.1", 6379, 0),
            ("redis://store.example.org:7000/2", "store.example.org", 7000, 2),
            ("rediss://[::1]:6380/", "[::1]", 6380, 0),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port, url.db), (host, port, db), "{text}");
            assert!(url.client(Some("duet"), Some("s3cret"), None).is_ok());
        }
    }

    #[test]
    fn errors_say_what_would_be_right_and_no_password() {
        let error = |text: &str| text.parse::<StoreUrl>().unwrap_err().to_string();
        for text in ["", "127.0.0.1:6379", "redis://", "http://127.0.0.1"] {
            assert!(error(text).contains("redis://127.0.0.1:6379"), "{text}: {}", error(text));
        }
        assert!(error("redis://127.0.0.1/two").contains("/2"));
        for text in ["redis://:s3cret@127.0.0.1", "redis://duet:s3cret@h/2", "s3cret@h"] {
            assert!(error(text).contains("--store-password-file") && !error(text).contains("s3cret"), "{text}");
        }
    }
}
