//! What the program is told: flags and environment, read and judged before anything connects.

mod hooks;

use agent::hooks::gate::Own;
use agent::ice::{Ice, IceUrl, Secret, Turn};
use agent::service::{BrokerUrl, Login, Options, Password, StoreOptions, Version};
use agent::store::redis::StoreUrl;
use agent::store::turn::Terms;
use anyhow::Context;
use clap::{Args, Parser, ValueEnum};
pub(crate) use hooks::HooksSettings;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

/// Where the password is looked for when no file is named.
const PASSWORD: &str = "DUET_AGENT_PASSWORD";
/// Where the store's password is looked for when no file is named.
const STORE_PASSWORD: &str = "DUET_AGENT_STORE_PASSWORD";
/// How long a peer is taken to be there that says nothing, where several agents share the rooms.
const LEASE: Duration = Duration::from_secs(60);
const MIN_LEASE: Duration = Duration::from_secs(3);
/// The longest grace time that makes sense: for a day the room would be haunted.
const MAX_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The room agent: admits peers to rooms over any MQTT broker, two at most in each.
///
/// The broker must let the agent read rooms/+/agent/+, control/+ and rooms/+, and write rooms/+/+/agent,
/// rooms/+ and rooms/+/events. Several agents may share the rooms: give them one --store, and each an --id.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Flags {
    /// The broker: mqtt://host[:1883], mqtts://host[:8883], ws://host[:80]/path or wss://host[:443]/path
    #[arg(long, value_name = "URL", env = "DUET_AGENT_BROKER", default_value = "mqtt://127.0.0.1:1883")]
    broker: BrokerUrl,

    /// How long the seat of a peer is kept whose connection is lost, as 10s or 1m 30s
    #[arg(long, value_name = "TIME", env = "DUET_AGENT_GRACE", default_value = "10s", value_parser = grace)]
    grace: Duration,

    /// How long a peer is taken to be there that says nothing; it then joins again in good time. 0s relies on wills and
    /// on what the broker tells; with a --store it is 60s, without one 0s
    #[arg(long, value_name = "TIME", env = "DUET_AGENT_LEASE", value_parser = lease)]
    lease: Option<Duration>,

    /// Hear of those who have gone at $SYS/brokers/+/clients/+/disconnected, where EMQX and RMQTT say it: a seat is then
    /// given up without a will. Needless where they tell it over HTTP (--http)
    #[arg(long, env = "DUET_AGENT_SYS_PRESENCE")]
    sys_presence: bool,

    #[command(flatten)]
    ice: IceFlags,

    /// The agent's user at the broker
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_USERNAME")]
    username: Option<String>,

    /// A file that holds the user's password, and nothing else; without it the password is taken
    /// from the environment variable DUET_AGENT_PASSWORD
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,

    /// The agent's MQTT client identifier, the same at every start, and no other agent's
    #[arg(long = "id", alias = "client-id", value_name = "ID", env = "DUET_AGENT_ID")]
    #[arg(default_value = protocol::ids::AGENT, value_parser = client_id)]
    id: String,

    /// MQTT 3.1.1 (3), or 5.0 (5), in which several agents share what is said to them; without a --store it is 3,
    /// with one it is 5, and 3 lets one agent work at brokers that know no shared subscriptions
    #[arg(long, value_name = "VERSION", env = "DUET_AGENT_MQTT")]
    mqtt: Option<Mqtt>,

    #[command(flatten)]
    store: StoreFlags,

    #[command(flatten)]
    hooks: hooks::HooksFlags,

    /// Certificates to trust instead of the system's, as PEM; for mqtts, wss and rediss
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// What to log on stderr: error, warn, info, debug or trace, or a filter as agent=debug,rumqttc=warn
    #[arg(long, value_name = "FILTER", env = "DUET_LOG", default_value = "info", value_parser = log_filter)]
    log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mqtt {
    #[value(name = "3")]
    Three,
    #[value(name = "5")]
    Five,
}

/// Where several agents keep their rooms.
#[derive(Debug, Args)]
struct StoreFlags {
    /// Redis or Valkey that keeps the rooms for all agents, as redis://host[:6379][/db], or rediss:// over TLS; without
    /// it they are in this agent's memory
    #[arg(long, value_name = "URL", env = "DUET_AGENT_STORE")]
    store: Option<StoreUrl>,

    /// What every key in the store begins with
    #[arg(long, value_name = "TEXT", env = "DUET_AGENT_STORE_PREFIX", default_value = "duet:", value_parser = prefix)]
    store_prefix: String,

    /// The agents' user at the store, if it is not the default one
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_STORE_USERNAME", requires = "store")]
    store_username: Option<String>,

    /// A file that holds the store's password, and nothing else; without it the password is taken from the
    /// environment variable DUET_AGENT_STORE_PASSWORD, if that is set
    #[arg(long, value_name = "FILE", requires = "store")]
    store_password_file: Option<PathBuf>,
}

impl StoreFlags {
    fn options(self, password: Option<String>) -> anyhow::Result<Option<StoreOptions>> {
        let Some(url) = self.store else { return Ok(None) };
        let password = match &self.store_password_file {
            Some(path) => Some(line("--store-password-file", path)?),
            None => password,
        };
        let (prefix, username) = (self.store_prefix, self.store_username);
        Ok(Some(StoreOptions { url, prefix, username, password: password.map(Password) }))
    }
}

/// What peers are given for their RTCPeerConnection.
#[derive(Debug, Args)]
struct IceFlags {
    /// STUN servers that peers shall use, as stun:stun.example.org:3478, with commas between them
    #[arg(long, value_name = "URLS", env = "DUET_AGENT_STUN", value_delimiter = ',', value_parser = IceUrl::stun)]
    stun: Vec<IceUrl>,

    /// A relay that peers may use, under all its addresses, as turn:turn.example.org:3478, with commas
    /// between them; it wants --turn-secret-file, or --turn-username and --turn-credential-file
    #[arg(long, value_name = "URLS", env = "DUET_AGENT_TURN", value_delimiter = ',', value_parser = IceUrl::turn)]
    turn: Vec<IceUrl>,

    /// A file that holds the secret shared with the relay (coturn: static-auth-secret) and nothing else:
    /// each peer gets credentials of its own, which are renewed while it is in a room
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_TURN_SECRET_FILE", requires = "turn")]
    #[arg(conflicts_with_all = ["turn_username", "turn_credential_file"])]
    turn_secret_file: Option<PathBuf>,

    /// How long credentials live that are made with the shared secret, from 5s to 30days
    #[arg(long, value_name = "TIME", env = "DUET_AGENT_TURN_TTL", default_value = "1h", value_parser = time)]
    turn_ttl: Duration,

    /// The relay's user, where all peers have the same
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_TURN_USERNAME")]
    #[arg(requires_all = ["turn", "turn_credential_file"])]
    turn_username: Option<String>,

    /// A file that holds that user's password, and nothing else
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_TURN_CREDENTIAL_FILE", requires = "turn_username")]
    turn_credential_file: Option<PathBuf>,
}

impl IceFlags {
    fn ice(self) -> anyhow::Result<Ice> {
        let relay = match (self.turn_secret_file, self.turn_username, self.turn_credential_file) {
            _ if self.turn.is_empty() => None,
            (Some(file), ..) => {
                let secret = secret("--turn-secret-file", &file)?;
                Some(Turn::shared(self.turn, secret, self.turn_ttl).context("--turn-ttl")?)
            }
            (None, Some(username), Some(file)) => {
                let credential = secret("--turn-credential-file", &file)?;
                Some(Turn::fixed(self.turn, username, credential).context("--turn-username")?)
            }
            _ => anyhow::bail!(
                "--turn: a relay wants credentials; say --turn-secret-file, or --turn-username and --turn-credential-file"
            ),
        };
        Ok(Ice::new(self.stun, relay.into_iter().collect()))
    }
}

fn secret(flag: &str, file: &Path) -> anyhow::Result<Secret> {
    let place = || format!("{flag} {}", file.display());
    Secret::from_line(&std::fs::read_to_string(file).with_context(place)?).with_context(place)
}

/// What the flags mean.
pub(crate) struct Settings {
    pub(crate) service: Options,
    /// The hooks, and how agents show themselves to them.
    pub(crate) hooks: Option<(HooksSettings, Own)>,
    pub(crate) log: EnvFilter,
}

impl Settings {
    /// From the command line and the environment; ends the process where clap does.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Flags::parse().settings(std::env::var(PASSWORD).ok(), std::env::var(STORE_PASSWORD).ok())
    }
}

impl Flags {
    fn settings(self, password: Option<String>, store_password: Option<String>) -> anyhow::Result<Settings> {
        let password = match &self.password_file {
            Some(path) => line("--password-file", path)?,
            None => password.unwrap_or_default(),
        };
        let login = self.username.map(|username| Login { username, password });
        let own = login.as_ref().map(|login| Own {
            user: login.username.clone(),
            password: Zeroizing::new(login.password.clone()),
            client: self.id.clone(),
        });
        let hooks = self.hooks.settings()?.zip(own);
        if hooks.as_ref().is_some_and(|(_, own)| own.password.is_empty()) {
            anyhow::bail!(
                "--http: the agent comes in by --username and a password; give --password-file, or set {PASSWORD}"
            );
        }
        let store = self.store.options(store_password)?;
        let version = match (self.mqtt, &store) {
            (Some(Mqtt::Five), None) => anyhow::bail!(
                "--mqtt 5: agents that share what is said to them share their rooms, too; give them one --store"
            ),
            (Some(Mqtt::Three), _) | (None, None) => Version::Three,
            (_, Some(_)) => Version::Five,
        };
        let lease = self.lease.unwrap_or(if store.is_some() { LEASE } else { Duration::ZERO });
        let lease = (!lease.is_zero()).then_some(lease);
        let terms = Terms { grace: self.grace, lease, ice: self.ice.ice()? };
        let (broker, client_id, ca_file) = (self.broker, self.id, self.ca_file);
        Ok(Settings {
            service: Options {
                broker,
                client_id,
                login,
                ca_file,
                version,
                store,
                terms,
                hears_presence: self.sys_presence,
            },
            hooks,
            log: EnvFilter::try_new(&self.log).context("--log")?,
        })
    }
}

/// What a file holds, without the end of its line.
fn line(flag: &str, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{flag} {}", path.display()))?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).unwrap_or(&text);
    Ok(line.to_owned())
}

/// Answers tell whole seconds, and clients join again at a third of them.
fn lease(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
    if !time.is_zero() && !(MIN_LEASE..=MAX_GRACE).contains(&time) {
        return Err("from 3s to 24h are allowed, or 0s".into());
    }
    Ok(time)
}

fn prefix(text: &str) -> Result<String, String> {
    if text.contains(['{', '}']) {
        return Err("must not hold { or }, which say in which slot of a cluster a key is".into());
    }
    Ok(text.into())
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; right is a time like 10s or 1m 30s"))
}

fn grace(text: &str) -> Result<Duration, String> {
    let time = time(text)?;
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
        let settings = parse(&[]).unwrap().settings(None, None).unwrap().service;
        assert_eq!(settings.broker.to_string(), "mqtt://127.0.0.1:1883");
        assert_eq!((settings.terms.grace, settings.client_id.as_str()), (Duration::from_secs(10), "agent"));
        assert_eq!((settings.version, settings.store.is_none()), (Version::Three, true));
        assert!(settings.login.is_none());
    }

    #[test]
    fn bad_values_name_their_flag_and_what_would_be_right() {
        for (args, right) in [
            (["--broker", "http://127.0.0.1"], "known are mqtt, mqtts, ws and wss"),
            (["--broker", "localhost"], "mqtt://127.0.0.1:1883"),
            (["--grace", "soon"], "a time like 10s"),
            (["--grace", "25h"], "at most 24h"),
            (["--lease", "1s"], "from 3s"),
            (["--store", "http://127.0.0.1"], "redis://127.0.0.1:6379"),
            (["--store-prefix", "{a}"], "slot"),
            (["--store-username", "x"], "--store <URL>"),
            (["--stun", "stun:a.example,stun.example.org"], "must begin with stun:"),
            (["--stun", "turn:turn.example.org"], "belongs to turn"),
            (["--turn", "stun:stun.example.org"], "belongs to stun"),
            (["--turn-ttl", "soon"], "a time like 10s"),
            (["--turn-secret-file", "x"], "--turn <URLS>"),
            (["--turn-credential-file", "x"], "--turn-username"),
            (["--id", ""], "must not be empty"),
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
        let login = from_file.settings(Some("other".into()), None).unwrap().service.login.unwrap();
        assert_eq!(login.password, "s3cret ");
        assert!(!format!("{login:?}").contains("s3cret"));
        let from_environment = parse(&["--username", "agent"]).unwrap().settings(Some("s3cret".into()), None).unwrap();
        assert_eq!(from_environment.service.login.unwrap().password, "s3cret");
        let missing = parse(&["--username", "agent", "--password-file", "/no/such/file"]).unwrap();
        assert!(format!("{:#}", missing.settings(None, None).err().unwrap()).contains("--password-file /no/such/file"));
    }

    #[test]
    fn peers_are_given_the_servers_that_the_flags_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let file = path.to_str().unwrap();
        let ice = |args: &[&str]| parse(args).unwrap().settings(None, None).map(|settings| settings.service.terms.ice);
        let relay = || vec![IceUrl::turn("turn:c.example").unwrap(), IceUrl::turn("turns:c.example").unwrap()];
        let secret = || Secret::from_line("s3cret").unwrap();

        let stun = ["stun:a.example", "stun:b.example"].map(|url| IceUrl::stun(url).unwrap());
        let made = Ice::new(stun.into(), vec![Turn::shared(relay(), secret(), Duration::from_secs(60)).unwrap()]);
        let (stun, turn) = ("--stun=stun:a.example,stun:b.example", "--turn=turn:c.example,turns:c.example");
        assert_eq!(ice(&[stun, turn, "--turn-secret-file", file, "--turn-ttl", "1m"]).unwrap(), made);

        let made = Ice::new(Vec::new(), vec![Turn::fixed(relay(), "duet".into(), secret()).unwrap()]);
        assert_eq!(ice(&[turn, "--turn-username", "duet", "--turn-credential-file", file]).unwrap(), made);

        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let empty = folder.path().join("empty");
        for (args, right) in [
            (&[turn][..], "a relay wants credentials"),
            (&[turn, "--turn-secret-file", "/no/such/file"], "--turn-secret-file /no/such/file"),
            (&[turn, "--turn-secret-file", empty.to_str().unwrap()], "it is empty"),
            (&[turn, "--turn-secret-file", file, "--turn-ttl", "1s"], "--turn-ttl: credentials live from 5s"),
        ] {
            let text = format!("{:#}", ice(args).unwrap_err());
            assert!(text.contains(right), "{text}");
        }
        for args in [
            [turn, "--turn-username", "duet", "--turn-ttl", "1m"],
            [turn, "--turn-secret-file", file, "--turn-username", "duet"],
        ] {
            assert!(parse(&args).is_err(), "{args:?}");
        }
    }
}
