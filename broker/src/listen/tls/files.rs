//! Certificate, key and authority as files: read, judged, and said in words when something is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tracing::warn;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that is valid for less than this is worth a word.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where the certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate, then those that lead to its authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Authorities of client certificates (PEM); without, no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It has no or bad content.
    #[error("{path}: {problem}; right is {right}", path = .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What would be right.
        right: &'static str,
    },
    /// Certificate and key are of different pairs.
    #[error(
        "the key in {key} does not belong to the certificate in {certificate}; right are the two files of one pair",
        key = .key.display(), certificate = .certificate.display()
    )]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// SIGHUP cannot be listened for.
    #[error("the certificate's files cannot be watched: {0}")]
    Watch(#[source] std::io::Error),
    /// The library refuses what was read.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

const A_CERTIFICATE: &str = "a PEM file with the server's certificate first, then those of its issuers";
const A_KEY: &str = "a PEM file with the certificate's private key, not encrypted (PKCS#8, PKCS#1 or SEC1)";
const AN_AUTHORITY: &str = "a PEM file with at least one certificate of an authority";

/// What was read, and fits together.
pub(super) struct Read {
    certified: Arc<CertifiedKey>,
    authorities: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl Files {
    /// All that are read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca)
    }

    /// Reads and judges them; warns of a certificate that clients will not take.
    pub(super) fn read(&self) -> Result<Read, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&self.certificate, A_CERTIFICATE)?;
        let key = private_key(&self.key)?;
        let wrong_key = |error: rustls::Error| content(&self.key, format!("this key cannot be used: {error}"), A_KEY);
        let key = provider.key_provider.load_private_key(key).map_err(wrong_key)?;
        let certified = CertifiedKey::new(chain, key);
        if let Err(error) = certified.keys_match() {
            return Err(self.mismatch(&certified, error));
        }
        for warning in warnings(&certified.cert, SystemTime::now()) {
            warn!("{}: {warning}", self.certificate.display());
        }
        let authorities = self.client_ca.as_deref().map(authorities).transpose()?;
        Ok(Read { certified: Arc::new(certified), authorities, provider })
    }

    fn mismatch(&self, certified: &CertifiedKey, error: rustls::Error) -> TlsError {
        let belongs = |certificate: &CertificateDer<'static>| {
            CertifiedKey::new(vec![certificate.clone()], certified.key.clone()).keys_match().is_ok()
        };
        match error {
            rustls::Error::InconsistentKeys(_) => match certified.cert.iter().position(belongs) {
                None => TlsError::Mismatch { key: self.key.clone(), certificate: self.certificate.clone() },
                Some(at) => {
                    let problem =
                        format!("the certificates are in the wrong order: the key belongs to number {}", at + 1);
                    content(&self.certificate, problem, A_CERTIFICATE)
                }
            },
            error => content(&self.certificate, format!("its certificate cannot be read: {error}"), A_CERTIFICATE),
        }
    }
}

impl Read {
    /// The library's configuration of it. Who shows no certificate comes in all the same: operators, browsers and
    /// probes use the same ports, and what somebody without a certificate may do is decided at CONNECT.
    pub(super) fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let builder = match &self.authorities {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), self.provider.clone());
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certified.clone())));
        // Connections are few and long: what resuming would save is not worth keeping a state for each.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn content(path: &Path, problem: impl Into<String>, right: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), problem: problem.into(), right }
}

fn read(path: &Path, right: &'static str) -> Result<Vec<u8>, TlsError> {
    let text = fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })?;
    if text.trim_ascii().is_empty() {
        return Err(content(path, "the file is empty", right));
    }
    Ok(text)
}

fn has(text: &[u8], words: &str) -> bool {
    text.windows(words.len()).any(|window| window == words.as_bytes())
}

fn certificates(path: &Path, right: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path, right)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| content(path, format!("it is broken: {error}"), right))?;
    if !found.is_empty() {
        return Ok(found);
    }
    let problem = if has(&text, "PRIVATE KEY-----") {
        "there is a private key in it, and no certificate"
    } else if has(&text, "CERTIFICATE REQUEST-----") {
        "there is a request for a certificate in it, and no certificate"
    } else {
        "there is no certificate in it"
    };
    Err(content(path, problem, right))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path, A_KEY)?;
    if has(&text, "ENCRYPTED PRIVATE KEY-----") || has(&text, "Proc-Type: 4,ENCRYPTED") {
        let problem =
            "the key is encrypted, and nobody is there to type its password (openssl pkey -in FILE decrypts it)";
        return Err(content(path, problem, A_KEY));
    }
    let mut found = PrivateKeyDer::pem_slice_iter(&text);
    match found.next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) => Err(content(path, format!("it is broken: {error}"), A_KEY)),
        None if has(&text, "CERTIFICATE-----") => Err(content(path, "there is a certificate in it, and no key", A_KEY)),
        None => Err(content(path, "there is no private key in it", A_KEY)),
    }
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in certificates(path, AN_AUTHORITY)?.into_iter().enumerate() {
        let problem = |error| format!("certificate number {} cannot be used: {error}", number + 1);
        roots.add(certificate).map_err(|error| content(path, problem(error), AN_AUTHORITY))?;
    }
    Ok(Arc::new(roots))
}

/// What clients will find wrong with a chain at `now`, though it can be served.
fn warnings(chain: &[CertificateDer<'_>], now: SystemTime) -> Vec<String> {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, parsed)| parsed).collect();
    let mut warnings = Vec::new();
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let soon = now.saturating_add(i64::try_from(SOON.as_secs()).unwrap_or(i64::MAX));
    for (number, certificate) in (1..).zip(&parsed) {
        let validity = certificate.validity();
        let (begin, end) = (validity.not_before, validity.not_after);
        if end.timestamp() < now {
            warnings.push(format!("certificate number {number} expired on {end}; clients will refuse it"));
        } else if begin.timestamp() > now {
            warnings.push(format!("certificate number {number} is valid only from {begin}; clients will refuse it"));
        } else if end.timestamp() < soon {
            warnings.push(format!("certificate number {number} expires on {end}"));
        }
    }
    for (number, pair) in (1..).zip(parsed.windows(2)) {
        if pair[0].issuer() != pair[1].subject() {
            let next = number + 1;
            warnings.push(format!(
                "certificate number {next} is not the issuer of number {number}; some clients will refuse the chain"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
