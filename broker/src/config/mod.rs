//! Configuration: flags over environment over file over default, from one table.
//!
//! Everything is read and judged before anything is bound. An error names the key, where the value
//! comes from, and what is allowed.

mod listeners;
mod parse;
mod relays;
mod table;

use crate::limits::pace::Rate;
use crate::limits::{Bound, Limits};
use agent::ice::Ice;
use agent::login::files::Access;
use clap::{Arg, ArgAction, ArgMatches, Command};
pub use listeners::Listeners;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use table::{Kind, SECTIONS, Section, Setting, settings};

/// The file that is read if it is there and no other is named.
pub const FILE: &str = "duet.toml";

/// The effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where connections come in.
    pub listen: Listeners,
    /// What is logged, as a tracing filter.
    pub log: String,
    /// Where the operator's token lies.
    pub state_dir: PathBuf,
    /// How long the seat of a lost peer is kept.
    pub grace: Duration,
    /// What peers are given for their `RTCPeerConnection`.
    pub ice: Ice,
    /// How much anybody may ask of the broker.
    pub limits: Limits,
    /// Time between two publications of `$SYS`.
    pub sys_interval: Duration,
    /// Who is let in.
    pub access: Access,
    /// Filters that are opened besides the rooms; `%c` stands for the client id.
    pub topics: Vec<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag,
    /// A variable of the environment.
    Environment,
    /// The configuration file.
    File(PathBuf),
    /// Nothing was said.
    Default,
}

/// A value as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// As written; the items of a list with commas between them.
    pub text: String,
    /// Where.
    pub source: Source,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that is not allowed.
    #[error("{key} = {value:?} ({origin}): {problem}; allowed is {allowed}")]
    Value {
        /// Which setting.
        key: String,
        /// As written.
        value: String,
        /// Where.
        origin: String,
        /// What is wrong.
        problem: String,
        /// What would be right.
        allowed: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key {key:?}; known are {known}")]
    Unknown {
        /// The key.
        key: String,
        /// Where.
        origin: String,
        /// Those that exist.
        known: String,
    },
    /// The file cannot be read.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The broker would let strangers in.
    #[error(
        "{key} = {address} ({origin}) is open to others, and nobody who connects would have to say who they are; \
         name --users or keys for tokens, listen on 127.0.0.1, or say --allow-anonymous if that is what you want"
    )]
    Open {
        /// Which listener.
        key: &'static str,
        /// Its address.
        address: SocketAddr,
        /// Where it comes from.
        origin: String,
    },
    /// The figures would be open to strangers.
    #[error(
        "admin = {address} ({origin}) shows the broker's figures to everybody who can reach it; \
         listen on 127.0.0.1, or say --allow-remote-admin if that is what you want"
    )]
    OpenAdmin {
        /// Its address.
        address: SocketAddr,
        /// Where it comes from.
        origin: String,
    },
    /// One setting needs another.
    #[error("{key} = {value:?} ({origin}) needs {lacking}; a pair to try with is made by: broker cert --host NAME")]
    Lacks {
        /// Which was given.
        key: &'static str,
        /// Its value.
        value: String,
        /// Where it comes from.
        origin: String,
        /// Which is needed.
        lacking: &'static str,
    },
}

/// Everything that was given, by key, before it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    values: BTreeMap<&'static str, Given>,
    topics: Vec<String>,
    topics_source: Source,
}

/// A setting as a flag.
fn arg(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.key).long(setting.key).value_name(setting.value_name).help(format!(
        "{} [default: {}; environment: {}]",
        setting.help,
        setting.shown_default(),
        setting.variable()
    ));
    if setting.kind == Kind::Switch {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg.num_args(1)
    }
}

/// Which file is read, as a flag.
fn config_arg() -> Arg {
    let help = format!("Configuration file [default: {FILE}, if it is there; environment: DUET_CONFIG]");
    Arg::new("config").long("config").value_name("FILE").help(help)
}

/// The flags of a subcommand that needs some of the settings.
pub(crate) fn args(keys: &'static [&'static str]) -> impl Iterator<Item = Arg> {
    std::iter::once(config_arg()).chain(settings().filter(|setting| keys.contains(&setting.key)).map(arg))
}

/// What a subcommand's flags, the environment and the file say together.
///
/// # Errors
/// As of [`Layers::gather`] and [`Layers::judge`].
pub(crate) fn of_subcommand(flags: &ArgMatches) -> Result<Config, ConfigError> {
    Layers::gather(flags, environment())?.judge()
}

/// The variables of this process that can be read.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

/// The command line.
pub fn command() -> Command {
    let heading = |section: &'static Section| move |setting| arg(setting).help_heading(section.heading);
    let args = SECTIONS.iter().flat_map(|section| section.settings.iter().map(heading(section)));
    Command::new("broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Duet: WebRTC signaling over MQTT. One process with broker, room agent and page.")
        .after_help(
            "Values are taken from flags, then DUET_* variables, then the configuration file, then the defaults.",
        )
        .arg(config_arg())
        .args(args)
        // What stands before a subcommand would be nobody's.
        .args_conflicts_with_subcommands(true)
        .subcommands(crate::commands::all())
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Show the effective values and where each comes from, and exit"),
        )
}

impl Layers {
    /// Gathers what the command line, the environment and the file say.
    ///
    /// # Errors
    /// If the file cannot be read, or somewhere an unknown key stands.
    pub fn gather(
        flags: &ArgMatches,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut variables = BTreeMap::new();
        let mut file = flags.get_one::<String>("config").map(PathBuf::from);
        for (name, value) in environment {
            // The other programs of this workspace have variables of their own.
            let others = ["DUET_AGENT_", "DUET_CAMERA_", "DUET_MONITOR_"];
            if !name.starts_with("DUET_") || others.iter().any(|other| name.starts_with(other)) {
                continue;
            }
            if name == "DUET_CONFIG" {
                file = file.or(Some(PathBuf::from(value)));
                continue;
            }
            let Some(setting) = settings().find(|setting| setting.variable() == name) else {
                let known: Vec<String> = settings().map(Setting::variable).collect();
                return Err(ConfigError::Unknown { key: name, origin: "environment".into(), known: known.join(", ") });
            };
            variables.insert(setting.key, value);
        }
        let (path, must_exist) = match file {
            Some(path) => (path, true),
            None => (PathBuf::from(FILE), false),
        };
        let Written { values: written, topics } = read_file(&path, must_exist)?;
        let mut values = BTreeMap::new();
        for setting in settings() {
            // A subcommand has only some of them.
            let flag = flags.try_get_one::<String>(setting.key).ok().flatten();
            let given = if let Some(text) = flag {
                Given { text: text.clone(), source: Source::Flag }
            } else if let Some(text) = variables.remove(setting.key) {
                Given { text, source: Source::Environment }
            } else if let Some(text) = written.get(setting.key) {
                Given { text: text.clone(), source: Source::File(path.clone()) }
            } else {
                Given { text: (setting.default)(), source: Source::Default }
            };
            values.insert(setting.key, given);
        }
        let topics_source = if topics.is_empty() { Source::Default } else { Source::File(path) };
        Ok(Self { values, topics, topics_source })
    }

    /// Judges the values.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn judge(&self) -> Result<Config, ConfigError> {
        let allow_anonymous = self.value("allow-anonymous", parse::switch)?;
        let access = self.judge_access(allow_anonymous)?;
        let config = Config {
            listen: self.listeners()?,
            log: self.value("log", parse::log)?,
            state_dir: self.value("state-dir", parse::folder)?,
            grace: self.value("grace", parse::duration)?,
            ice: self.ice()?,
            limits: self.limits()?,
            sys_interval: self.value("sys-interval", parse::positive_duration)?,
            access,
            topics: self.topics.clone(),
        };
        for topic in &config.topics {
            parse::open_filter(topic).map_err(|problem| ConfigError::Value {
                key: "access.topics.filter".into(),
                value: topic.clone(),
                origin: self.topics_source.to_string(),
                problem,
                allowed: "a topic filter outside rooms, control and $, in which %c stands for the client id".into(),
            })?;
        }
        Ok(config)
    }

    fn ice(&self) -> Result<Ice, ConfigError> {
        let secret = self.value("turn-secret-file", relays::secret_file)?;
        let defaults = relays::Defaults { secret, ttl: self.value("turn-ttl", relays::ttl)? };
        let turn = self.value("turn", |text| relays::relays(text, &defaults))?;
        Ok(Ice::new(self.value("stun", parse::stun)?, turn))
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let number = |key| self.value(key, |text| parse::number(text, 1, 10_000_000));
        let few = |key| self.value(key, |text| parse::number(text, 0, 1000));
        let size = |key| self.value(key, |text| parse::size(text, 1 << 10, 1 << 30));
        let bytes = |key| size(key).map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        let bound = |number: u32, bytes: usize| Bound { number: number as usize, bytes };
        let joins = number("joins-per-minute")?;
        Ok(Limits {
            connect_timeout: self.value("connect-timeout", parse::positive_duration)?,
            session_expiry: self.value("session-expiry", parse::duration)?,
            max_connections: number("max-connections")? as usize,
            max_connections_per_address: number("max-connections-per-address")? as usize,
            max_handshakes: number("max-handshakes")? as usize,
            max_handshakes_per_address: number("max-handshakes-per-address")? as usize,
            exempt: self.value("exempt", parse::networks)?,
            max_message: self.value("max-message", |text| parse::size(text, 1 << 10, 16 << 20))?,
            max_connect: self.value("max-connect", |text| parse::size(text, 1 << 10, 64 << 10))?,
            messages: Rate::per_second(number("message-rate")?, number("message-burst")?),
            bytes: Rate::per_second(bytes("byte-rate")?, bytes("byte-burst")?),
            held_back_warning: self.value("held-back-warning", parse::positive_duration)?,
            held_back_limit: self.value("held-back-limit", parse::positive_duration)?,
            max_rooms: number("max-rooms")? as usize,
            max_rooms_per_peer: number("max-rooms-per-peer")? as usize,
            joins: Rate { per_period: joins, period: Duration::from_secs(60), burst: joins },
            max_subscriptions: number("max-subscriptions")? as usize,
            max_memory: self.value("max-memory", parse::memory)?,
            max_waiting: size("max-waiting-bytes")?,
            queue: bound(number("queue-messages")?, size("queue-bytes")?),
            session_queue: bound(number("session-queue-messages")?, size("session-queue-bytes")?),
            max_will: size("max-will")?,
            user_properties: bound(few("max-user-properties")?, size("max-user-property-bytes")?),
            max_topic_aliases: u16::try_from(few("max-topic-aliases")?).unwrap_or_default(),
            retained: bound(number("max-retained")?, size("max-retained-bytes")?),
        })
    }

    /// Without a way to say who one is everybody is anonymous, which is fit for loopback only. With
    /// one nobody is, on loopback either: a proxy there may stand for the world.
    fn judge_access(&self, allow_anonymous: bool) -> Result<Access, ConfigError> {
        Ok(Access {
            users: self.value("users", parse::file)?,
            jwt_secret: self.value("jwt-secret", parse::file)?,
            jwt_key: self.value("jwt-key", parse::file)?,
            jwks: self.value("jwks", parse::file)?,
            jwt_issuer: self.value("jwt-issuer", |text| Ok(Some(text.to_owned()).filter(|text| !text.is_empty())))?,
            jwt_audience: self.value("jwt-audience", parse::name)?,
            jwt_leeway: self.value("jwt-leeway", parse::duration)?,
            anonymous: allow_anonymous || !self.asks(),
        })
    }

    fn value<T>(&self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        let text = self.values.get(key).map_or("", |given| &given.text);
        parse(text).map_err(|problem| ConfigError::Value {
            key: key.into(),
            // Somebody may have written a secret where its file belongs.
            value: if key == "turn" && relays::is_tables(text) { "…" } else { text }.into(),
            origin: self.origin(key),
            problem,
            allowed: settings().find(|s| s.key == key).map_or("", |s| s.allowed).into(),
        })
    }

    fn origin(&self, key: &str) -> String {
        let setting = settings().find(|setting| setting.key == key);
        match (self.values.get(key).map(|given| &given.source), setting) {
            (Some(Source::Flag), _) => format!("from --{key}"),
            (Some(Source::Environment), Some(setting)) => format!("from {}", setting.variable()),
            (Some(source), _) => source.to_string(),
            (None, _) => String::new(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("from a flag"),
            Source::Environment => f.write_str("from the environment"),
            Source::File(path) => write!(f, "from {}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Layers {
    /// The effective values as a configuration file, each with where it comes from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in SECTIONS {
            if !section.name.is_empty() && !section.settings.is_empty() {
                writeln!(f, "\n[{}]", section.name)?;
            }
            for setting in section.settings {
                let Some(given) = self.values.get(setting.key) else { continue };
                let value = setting.toml(&given.text);
                writeln!(f, "{} = {value}  # {}", setting.file_key(), self.origin(setting.key))?;
            }
        }
        for topic in &self.topics {
            let filter = toml::Value::String(topic.clone());
            writeln!(f, "\n[[access.topics]]  # {}\nfilter = {filter}", self.topics_source)?;
        }
        Ok(())
    }
}

/// What a file says: values by key, and the filters that are opened.
#[derive(Default)]
struct Written {
    values: BTreeMap<&'static str, String>,
    topics: Vec<String>,
}

fn read_file(path: &Path, must_exist: bool) -> Result<Written, ConfigError> {
    let file_error = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(Written::default()),
        Err(error) => return Err(file_error(error.to_string())),
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| file_error(error.to_string()))?;
    let mut written = Written::default();
    let is_section = |key: &str| SECTIONS.iter().any(|section| section.name == key);
    for (key, value) in table {
        if !is_section(&key) {
            written.scalar(path, "", &key, &value)?;
            continue;
        }
        let toml::Value::Table(section) = value else {
            return Err(file_error(format!("{key} is a table; write [{key}] and its settings below")));
        };
        for (setting, value) in section {
            match (key.as_str(), setting.as_str()) {
                ("access", "topics") => written.topics = parse::topics(&value).map_err(file_error)?,
                _ => written.scalar(path, &key, &setting, &value)?,
            }
        }
    }
    Ok(written)
}

impl Written {
    /// Takes the value of one setting, found in `section`.
    fn scalar(&mut self, path: &Path, section: &str, key: &str, value: &toml::Value) -> Result<(), ConfigError> {
        let origin = || format!("in {}", path.display());
        let may_stand_here = |home: &Section, setting: &Setting| {
            setting.file_key() == key && (home.name == section || section.is_empty() && setting.also_at_top)
        };
        let found = SECTIONS.iter().find_map(|home| home.settings.iter().find(|s| may_stand_here(home, s)));
        let in_file = |section: &str, key: &str| match section {
            "" => key.to_owned(),
            section => format!("{section}.{key}"),
        };
        let Some(setting) = found else {
            let of = |section: &'static Section| section.settings.iter().map(|s| in_file(section.name, &s.file_key()));
            let mut known: Vec<String> = SECTIONS.iter().flat_map(of).collect();
            known.push("[[access.topics]]".into());
            let (key, known) = (in_file(section, key), known.join(", "));
            return Err(ConfigError::Unknown { key, origin: origin(), known });
        };
        let wrong = |problem: String| ConfigError::Value {
            key: in_file(section, key),
            value: if setting.kind == Kind::Relays { "…".into() } else { value.to_string() },
            origin: origin(),
            problem,
            allowed: setting.allowed.into(),
        };
        let text = parse::scalar(value, setting.kind).map_err(wrong)?;
        match self.values.insert(setting.key, text) {
            None => Ok(()),
            Some(_) => Err(wrong("it is written twice, in its section and before any section".into())),
        }
    }
}

/// What holds when nothing is configured, for the tests of others.
#[cfg(test)]
pub(crate) fn default_limits() -> Limits {
    let flags = command().get_matches_from(["broker", "--state-dir=unused"]);
    Layers::gather(&flags, std::iter::empty()).and_then(|layers| layers.limits()).expect("defaults are allowed")
}

#[cfg(test)]
mod tests;
