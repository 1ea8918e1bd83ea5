//! Whom a client certificate names.

use agent::access::CertificateNames;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tracing::debug;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The names in a certificate that has been verified. One that cannot be read all the same names nobody.
pub(super) fn of(certificate: &CertificateDer<'_>) -> CertificateNames {
    let certificate = match X509Certificate::from_der(certificate) {
        Ok((_, certificate)) => certificate,
        Err(error) => {
            debug!(%error, "a client certificate cannot be read");
            return CertificateNames::default();
        }
    };
    let common_name = certificate.subject().iter_common_name().last();
    let mut names = CertificateNames {
        common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
        ..CertificateNames::default()
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    for name in alternative.into_iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
            GeneralName::URI(name) => names.uri.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => names.email.push((*name).to_owned()),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn common_name_and_alternative_names_are_found() {
        let mut params = CertificateParams::new(["cam-42.example.org".to_owned(), "192.0.2.7".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "현관");
        params.subject_alt_names.push(SanType::URI("urn:cam:42".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("cam@example.org".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = of(certificate.der());
        let all: Vec<&str> = names.iter().collect();
        assert_eq!(all, ["현관", "cam-42.example.org", "urn:cam:42", "cam@example.org"]);
        assert_eq!(names.common_name.as_deref(), Some("현관"));
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(of(&CertificateDer::from_slice(b"\x30\x03\x02\x01\x01")), CertificateNames::default());
    }
}
