use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority, a certificate of it for `localhost`, and the key.
fn pair() -> (String, String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (authority, params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

/// What is said to files with this content.
fn said(certificate: &str, key: &str, client_ca: Option<&str>) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let files = Files {
        certificate: write("cert.pem", certificate),
        key: write("key.pem", key),
        client_ca: client_ca.map(|text| write("ca.pem", text)),
    };
    let read = files.read().and_then(|read| read.server_config().map(drop));
    read.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn a_pair_is_taken() {
    let (authority, certificate, key) = pair();
    assert_eq!(said(&certificate, &key, None), Ok(()));
    assert_eq!(said(&format!("{certificate}{authority}"), &key, Some(&authority)), Ok(()));
    assert_eq!(said(&format!("some words\n{certificate}"), &format!("{certificate}{key}"), None), Ok(()));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let (authority, certificate, key) = pair();
    let (_, _, other_key) = pair();
    let encrypted = key.replace("PRIVATE KEY-----", "ENCRYPTED PRIVATE KEY-----");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let request = certificate.replace("CERTIFICATE-----", "CERTIFICATE REQUEST-----");
    let half = &certificate[..certificate.len() / 2];
    let swapped = format!("{authority}{certificate}");
    for (certificate, key, expected) in [
        ("", &*key, "cert.pem: the file is empty; right is a PEM file with the server's certificate first"),
        (" \n", &key, "cert.pem: the file is empty"),
        ("hello", &key, "cert.pem: there is no certificate in it"),
        (&*key, &key, "cert.pem: there is a private key in it, and no certificate"),
        (&request, &key, "cert.pem: there is a request for a certificate in it"),
        (half, &key, "cert.pem: it is broken"),
        (&certificate, "", "key.pem: the file is empty; right is a PEM file with the certificate's private key"),
        (&certificate, "hello", "key.pem: there is no private key in it"),
        (&certificate, &certificate, "key.pem: there is a certificate in it, and no key"),
        (&certificate, &encrypted, "key.pem: the key is encrypted"),
        (&certificate, old_encrypted, "key.pem: the key is encrypted"),
        (&certificate, &other_key, "the key in key.pem does not belong to the certificate in cert.pem"),
        (&swapped, &key, "cert.pem: the certificates are in the wrong order: the key belongs to number 2"),
    ] {
        let error = said(certificate, key, None).unwrap_err();
        assert!(error.starts_with(expected), "{error}\nin place of\n{expected}");
    }
    let error = said(&certificate, &key, Some(&key)).unwrap_err();
    assert!(error.starts_with("ca.pem: there is a private key in it, and no certificate; right is"), "{error}");
    let missing = Files { certificate: "/nowhere/cert.pem".into(), key: "key.pem".into(), client_ca: None };
    let error = missing.read().err().unwrap().to_string();
    assert!(error.starts_with("/nowhere/cert.pem: No such file"), "{error}");
}

#[test]
fn what_clients_will_refuse_is_warned_of() {
    let (authority, certificate, _) = pair();
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let chain = [der(&certificate), der(&authority)];
    let at = |year: u64| UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_557_600);
    // rcgen's certificates are valid from 1975 to 4096.
    assert_eq!(warnings(&chain, at(2030)), Vec::<String>::new());
    assert!(warnings(&chain, at(4200))[0].contains("number 1 expired on"));
    assert!(warnings(&chain, at(4200))[1].contains("number 2 expired on"));
    assert!(warnings(&chain, at(1972))[0].contains("is valid only from"));
    let end = UNIX_EPOCH + Duration::from_secs(67_090_000_000);
    let eve = (0..400).map(|day| warnings(&chain, end + Duration::from_secs(day * 24 * 3600)));
    assert!(eve.flatten().any(|warning| warning.contains("number 1 expires on")), "a week before");
    let strangers = [der(&certificate), der(&pair().1)];
    assert!(warnings(&strangers, at(2030))[0].contains("number 2 is not the issuer of number 1"));
}
