//! What the program is told: flags and environment, read and judged before anything connects.

use agent::service::{BrokerUrl, Login, Options};
use agent::{Config, ice};
use anyhow::Context;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Where the password is looked for when no file is named.
const PASSWORD: &str = "DUET_AGENT_PASSWORD";
/// The longest grace time that makes sense: for a day the room would be haunted.
const MAX_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The room agent: admits peers to rooms over any MQTT 3.1.1 broker, two at most in each.
///
/// The broker must let the agent read rooms/+/agent/+ and control/+, and write rooms/+/+/agent,
/// rooms/+ and rooms/+/events.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Flags {
    /// The broker: mqtt://host[:1883], mqtts://host[:8883], ws://host[:80]/path or wss://host[:443]/path
    #[arg(long, value_name = "URL", env = "DUET_AGENT_BROKER", default_value = "mqtt://127.0.0.1:1883")]
    broker: BrokerUrl,

    /// How long the seat of a peer is kept whose connection is lost, as 10s or 1m 30s
    #[arg(long, value_name = "TIME", env = "DUET_AGENT_GRACE", default_value = "10s", value_parser = grace)]
    grace: Duration,

    /// A STUN server that peers shall use, as stun:stun.example.org:3478; may be given several times
    #[arg(long = "ice-server", value_name = "ADDRESS", value_parser = ice::server)]
    ice_servers: Vec<protocol::IceServer>,

    /// The agent's user at the broker
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_USERNAME")]
    username: Option<String>,

    /// A file that holds the user's password, and nothing else; without it the password is taken
    /// from the environment variable DUET_AGENT_PASSWORD
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,

    /// The agent's MQTT client identifier, the same at every start
    #[arg(long, value_name = "ID", default_value = protocol::ids::AGENT, value_parser = client_id)]
    client_id: String,

    /// Certificates to trust instead of the system's, as PEM; for mqtts and wss
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// What to log on stderr: error, warn, info, debug or trace, or a filter as agent=debug,rumqttc=warn
    #[arg(long, value_name = "FILTER", env = "DUET_LOG", default_value = "info", value_parser = log_filter)]
    log: String,
}

/// What the flags mean.
pub(crate) struct Settings {
    pub(crate) service: Options,
    pub(crate) log: EnvFilter,
}

impl Settings {
    /// From the command line and the environment; ends the process where clap does.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Flags::parse().settings(std::env::var(PASSWORD).ok())
    }
}

impl Flags {
    fn settings(self, password: Option<String>) -> anyhow::Result<Settings> {
        let password = match &self.password_file {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("--password-file {}", path.display()))?;
                text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).unwrap_or(&text).to_owned()
            }
            None => password.unwrap_or_default(),
        };
        let login = self.username.map(|username| Login { username, password });
        let rooms = Config { grace: self.grace, ice_servers: self.ice_servers };
        Ok(Settings {
            service: Options { broker: self.broker, client_id: self.client_id, login, ca_file: self.ca_file, rooms },
            log: EnvFilter::try_new(&self.log).context("--log")?,
        })
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|e| format!("{e}; right is a time like 10s or 1m 30s"))?;
    if time > MAX_GRACE {
        return Err("at most 24h are allowed".into());
    }
    Ok(time)
}

fn client_id(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty: the broker keeps what peers say meanwhile under it".into());
    }
    // MQTT 3.1.1, 1.5.3: a string has at most 65,535 bytes and no U+0000.
    if text.len() > 65_535 || text.contains('\0') {
        return Err("has at most 65535 bytes and no U+0000".into());
    }
    Ok(text.into())
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map_err(|e| format!("{e}; right is info, debug or a filter as agent=debug"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        Flags::try_parse_from([&["agent"], args].concat())
    }

    #[test]
    fn defaults_need_nothing() {
        let settings = parse(&[]).unwrap().settings(None).unwrap().service;
        assert_eq!(settings.broker.to_string(), "mqtt://127.0.0.1:1883");
        assert_eq!((settings.rooms, settings.client_id.as_str()), (Config::default(), "agent"));
        assert!(settings.login.is_none());
    }

    #[test]
    fn bad_values_name_their_flag_and_what_would_be_right() {
        for (args, right) in [
            (["--broker", "http://127.0.0.1"], "known are mqtt, mqtts, ws and wss"),
            (["--broker", "localhost"], "mqtt://127.0.0.1:1883"),
            (["--grace", "soon"], "a time like 10s"),
            (["--grace", "25h"], "at most 24h"),
            (["--ice-server", "stun.example.org"], "must begin with stun:"),
            (["--ice-server", "turn:turn.example.org"], "username and a credential"),
            (["--client-id", ""], "must not be empty"),
            (["--log", "agent=loud"], "right is info"),
            (["--password-file", "x"], "--username"),
        ] {
            let error = parse(&args).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains(args[0]) && text.contains(right), "{text}");
        }
    }

    #[test]
    fn the_password_comes_from_its_file_or_the_environment_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret \r\n").unwrap();
        let path = path.to_str().unwrap();
        let from_file = parse(&["--username", "agent", "--password-file", path]).unwrap();
        let login = from_file.settings(Some("other".into())).unwrap().service.login.unwrap();
        assert_eq!(login.password, "s3cret ");
        assert!(!format!("{login:?}").contains("s3cret"));
        let from_environment = parse(&["--username", "agent"]).unwrap().settings(Some("s3cret".into())).unwrap();
        assert_eq!(from_environment.service.login.unwrap().password, "s3cret");
        let missing = parse(&["--username", "agent", "--password-file", "/no/such/file"]).unwrap();
        assert!(format!("{:#}", missing.settings(None).err().unwrap()).contains("--password-file /no/such/file"));
    }
}
