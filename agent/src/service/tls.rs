//! Whom to trust when the broker is reached over TLS.

use rumqttc::TlsConfiguration;
use rumqttc::tokio_rustls::rustls::crypto::aws_lc_rs;
use rumqttc::tokio_rustls::rustls::pki_types::CertificateDer;
use rumqttc::tokio_rustls::rustls::pki_types::pem::PemObject;
use rumqttc::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why no certificate could be checked.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the certificates.
    #[error("{path}: {why}; right is a PEM file with at least one certificate", path = .path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system's certificates.
    #[error("the system has no trusted certificates{0}; name a PEM file with --ca-file")]
    NoneKnown(String),
    /// The library does not speak the versions that it should.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rumqttc::tokio_rustls::rustls::Error),
}

/// TLS that trusts the certificates of `ca_file`, or the system's. rumqttc's own default panics
/// where the system has an unreadable one.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<TlsConfiguration, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let wrong = |why: String| TlsError::CaFile { path: path.to_owned(), why };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|e| wrong(e.to_string()))?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(wrong("there is no certificate in it".into()));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
                return Err(TlsError::NoneKnown(why));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfiguration::from(config))
}
