//! `broker cert`: a self-signed certificate and its key, for trying TLS out. Not a certificate authority: for
//! devices and browsers that are not told to trust it, get a certificate from one.

use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// What it is called by.
pub const NAME: &str = "cert";
/// Name of the file with the certificate.
pub const CERTIFICATE: &str = "cert.pem";
/// Name of the file with its key.
pub const KEY: &str = "key.pem";

/// As long as browsers take one for (CA/Browser Forum, Baseline Requirements, until 2026).
const VALID: Duration = Duration::days(397);
/// Clocks of devices may be behind ours.
const BEFORE: Duration = Duration::days(1);

/// Its command line.
pub fn command() -> Command {
    Command::new(NAME)
        .about("Make a self-signed certificate and its key, to try TLS out")
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("NAME")
                .required(true)
                .action(ArgAction::Append)
                .help("A name or IP address by which clients call the broker; may be said several times"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .default_value(".")
                .value_parser(value_parser!(PathBuf))
                .help(format!("Folder for {CERTIFICATE} and {KEY}; made if it is not there")),
        )
}

/// Makes the pair, and says how to use it.
///
/// # Errors
/// If a name is none, a file is there already, or cannot be written.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let hosts: Vec<String> = flags.get_many::<String>("host").unwrap_or_default().cloned().collect();
    let folder = flags.get_one::<PathBuf>("out").cloned().unwrap_or_default();
    let (certificate, key) = pair(&hosts, OffsetDateTime::now_utc())?;
    let (certificate_path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
    for path in [&certificate_path, &key_path] {
        if path.exists() {
            bail!("{} is there already; delete it, or name another folder with --out", path.display());
        }
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    write(&key_path, 0o600, &key)?;
    write(&certificate_path, 0o644, &certificate)?;
    let (certificate, key) = (certificate_path.display(), key_path.display());
    let host = &hosts[0];
    let url = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let help = format!(
        "certificate {certificate} and key {key} for {} are valid for {} days\n\
         start   broker --mqtts 127.0.0.1:8883 --https 127.0.0.1:8443 --certificate {certificate} --key {key}\n\
         page    https://{url}:8443/  (the browser asks whether to trust it)\n\
         device  mosquitto_pub --cafile {certificate} -h {host} -p 8883 …\n",
        hosts.join(", "),
        VALID.whole_days(),
    );
    // A closed pipe is no error: the files are there.
    let _ = std::io::stdout().write_all(help.as_bytes());
    Ok(())
}

/// Certificate and key as PEM. A certificate of its own making, not an authority's: whoever trusts it
/// trusts it alone.
fn pair(hosts: &[String], now: OffsetDateTime) -> anyhow::Result<(String, String)> {
    for host in hosts {
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| (1..=63).contains(&label.len()))
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
        if !is_name && host.parse::<std::net::IpAddr>().is_err() {
            bail!(
                "--host {host:?} is no host name or IP address; right are cam.example.org, localhost or 192.0.2.7, without \
                 port or https://"
            );
        }
    }
    let mut params = CertificateParams::new(hosts).context("--host")?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, hosts[0].as_str());
    params.distinguished_name.push(DnType::OrganizationName, "Duet, self-signed");
    params.not_before = now - BEFORE;
    params.not_after = now + VALID - BEFORE;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file that must not be there yet, with its mode from the first byte on.
fn write(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    };
    match create() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!("{} is there already", path.display()),
        result => result.with_context(|| format!("cannot write {}", path.display())),
    }
}
