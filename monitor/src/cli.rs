//! What the program is told: flags and environment, read and judged before anything connects or is drawn.

use agent::service::BrokerUrl;
use anyhow::{Context, bail};
use clap::builder::FalseyValueParser;
use clap::{Parser, ValueEnum};
use monitor::filter::Filter;
use monitor::model::Bounds;
use monitor::recording::SPEEDS;
use monitor::source::agents::AgentUrl;
use monitor::source::live;
use monitor::source::login::{Login, OPERATOR, Password, state_dir};
use monitor::view::Palette;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Where the password is looked for when no file is named. Never a flag: every list of processes shows those.
const PASSWORD: &str = "DUET_MONITOR_PASSWORD";
/// In place of a file: ask on the terminal.
const ASK: &str = "-";

const EXAMPLES: &str = "\
Examples:
  monitor                                       the broker of this machine
  monitor --filter 'phase:failed'               only rooms whose call failed
  monitor --record night.ndjson                 and keep what is seen
  monitor --replay night.ndjson --speed 4       see it again
  monitor --mode summary --replay night.ndjson  what became of every room, and why
  monitor --mode json | jq .                    for programs

Keys: press ? in the monitor. Exit codes: 0 ended when asked to, 1 failed, 2 wrong command line,
3 the broker refuses the login or the subscription.";

/// Shows every room of a broker, the ladder of every negotiation, and why a call does not connect.
///
/// Only what is on the wire is used: the rooms' states and events, the messages between peers, and the
/// broker's own figures. A broker on this machine is logged into with the token that it keeps for its
/// operator; elsewhere a user with the operator role is needed.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
struct Flags {
    /// The broker: mqtt://host[:1883], mqtts://host[:8883], ws://host[:80]/path or wss://host[:443]/path
    #[arg(
        long,
        value_name = "URL",
        env = "DUET_MONITOR_BROKER",
        default_value = "mqtt://127.0.0.1:1883",
        help_heading = "Broker"
    )]
    broker: BrokerUrl,

    /// The user; `operator` if a password or token is given without one
    #[arg(long, visible_alias = "user", value_name = "NAME", env = "DUET_MONITOR_USERNAME", help_heading = "Broker")]
    username: Option<String>,

    /// A file with the user's password in its first line, or - to be asked for it; without it, the
    /// password is taken from the environment variable DUET_MONITOR_PASSWORD
    #[arg(long, value_name = "FILE", env = "DUET_MONITOR_PASSWORD_FILE", help_heading = "Broker")]
    password_file: Option<PathBuf>,

    /// A file with the operator's token, or - to be asked for it
    #[arg(
        long,
        value_name = "FILE",
        env = "DUET_MONITOR_TOKEN_FILE",
        conflicts_with = "password_file",
        help_heading = "Broker"
    )]
    token_file: Option<PathBuf>,

    /// The state folder of the broker on this machine, where its operator.token is looked for
    /// [default: $XDG_STATE_HOME/duet, else ~/.local/state/duet]
    #[arg(long, value_name = "DIR", env = "DUET_STATE_DIR", help_heading = "Broker")]
    state_dir: Option<PathBuf>,

    /// Certificates to trust instead of the system's, as PEM; for mqtts and wss
    #[arg(long, visible_alias = "ca", value_name = "FILE", env = "DUET_MONITOR_CA_FILE", help_heading = "Broker")]
    ca_file: Option<PathBuf>,

    /// Agents beside an engine, with commas between them, as http://127.0.0.1:8090 (their --http): shows how each is
    /// doing, and the store that they share
    #[arg(
        long,
        value_name = "URLS",
        env = "DUET_MONITOR_AGENTS",
        value_delimiter = ',',
        conflicts_with = "replay",
        help_heading = "Broker"
    )]
    agents: Vec<AgentUrl>,

    /// The MQTT client identifier [default: monitor- and eight random digits]
    #[arg(
        long,
        value_name = "ID",
        env = "DUET_MONITOR_CLIENT_ID",
        value_parser = client_id,
        help_heading = "Broker"
    )]
    client_id: Option<String>,

    /// Allow no orders: nobody is removed and no room is closed from here
    #[arg(long, env = "DUET_MONITOR_READ_ONLY", value_parser = FalseyValueParser::new(), help_heading = "Broker")]
    read_only: bool,

    /// What to show it as [default: tui on a terminal, log elsewhere]
    #[arg(long, value_enum, value_name = "MODE", env = "DUET_MONITOR_MODE", help_heading = "Output")]
    mode: Option<Mode>,

    /// Show only what matches, as 'room:lobby peer:cam* type:offer text:H264 !refused'
    #[arg(
        long,
        value_name = "FILTER",
        env = "DUET_MONITOR_FILTER",
        default_value = "",
        hide_default_value = true,
        help_heading = "Output"
    )]
    filter: String,

    /// End after so much time, as 30s or 5m; a summary is printed then
    #[arg(long = "for", value_name = "TIME", value_parser = duration, help_heading = "Output")]
    time: Option<Duration>,

    /// Show addresses, ICE user fragments and passwords as they are; a recording keeps them too
    #[arg(long, env = "DUET_MONITOR_REVEAL", value_parser = FalseyValueParser::new(), help_heading = "Output")]
    reveal: bool,

    /// dark, light or colour-blind
    #[arg(
        long,
        value_name = "NAME",
        env = "DUET_MONITOR_THEME",
        default_value = "dark",
        hide_default_value = true,
        help_heading = "Output"
    )]
    theme: Palette,

    /// Draw with ASCII characters alone
    #[arg(long, env = "DUET_MONITOR_ASCII", value_parser = FalseyValueParser::new(), help_heading = "Output")]
    ascii: bool,

    /// Write everything that comes to a file, as NDJSON that --replay reads; readable by its owner alone
    #[arg(long, value_name = "FILE", conflicts_with = "replay", help_heading = "Recordings")]
    record: Option<PathBuf>,

    /// Show a recording in place of a broker
    #[arg(long, value_name = "FILE", help_heading = "Recordings")]
    replay: Option<PathBuf>,

    /// How many times as fast as it happened a recording plays
    /// [default: 1 on a terminal, as fast as it can be read elsewhere]
    #[arg(long, value_name = "FACTOR", requires = "replay", value_parser = speed, help_heading = "Recordings")]
    speed: Option<f64>,

    /// Messages that are kept of a room; older ones go, and are counted
    #[arg(
        long,
        value_name = "N",
        env = "DUET_MONITOR_MESSAGES",
        default_value_t = 2000,
        value_parser = at_least_one,
        help_heading = "Bounds"
    )]
    messages: usize,

    /// Memory for what is kept in all, as 64MiB; rooms that have ended go first
    #[arg(
        long,
        value_name = "SIZE",
        env = "DUET_MONITOR_MEMORY",
        default_value = "64MiB",
        value_parser = memory,
        help_heading = "Bounds"
    )]
    memory: usize,

    /// Where to log to [default: nowhere on a full screen, stderr otherwise]
    #[arg(long, value_name = "FILE", env = "DUET_MONITOR_LOG", help_heading = "Log")]
    log: Option<PathBuf>,

    /// What to log: error, warn, info, debug or trace, or a filter as monitor=debug,rumqttc=warn
    #[arg(
        long,
        value_name = "FILTER",
        env = "DUET_LOG",
        default_value = "warn",
        value_parser = log_filter,
        help_heading = "Log"
    )]
    log_filter: String,
}

/// What is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Screens to walk through, on a terminal
    Tui,
    /// A line for every message and finding, for people
    Log,
    /// A JSON object a line for every message and finding, for programs
    Json,
    /// Every room's outcome and findings, at the end
    Summary,
}

/// Where inputs come from.
#[derive(Debug)]
pub(crate) enum Origin {
    Live(Box<live::Options>),
    Replay { path: PathBuf, speed: Option<f64> },
}

/// What the flags mean.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) mode: Mode,
    pub(crate) filter: Filter,
    pub(crate) filter_text: String,
    pub(crate) time: Option<Duration>,
    pub(crate) reveal: bool,
    pub(crate) read_only: bool,
    pub(crate) palette: Palette,
    pub(crate) ascii: bool,
    pub(crate) record: Option<PathBuf>,
    pub(crate) bounds: Bounds,
    pub(crate) log: Option<PathBuf>,
    pub(crate) log_filter: EnvFilter,
}

/// What else than flags counts.
struct Surroundings {
    /// `DUET_MONITOR_PASSWORD`.
    password: Option<String>,
    state_dir: Option<PathBuf>,
    /// Both stdin and stdout.
    is_terminal: bool,
    ask: fn(&str) -> std::io::Result<String>,
}

impl Settings {
    /// From the command line and the environment; ends the process where clap does.
    pub(crate) fn read() -> anyhow::Result<Self> {
        Flags::parse().settings(Surroundings {
            password: std::env::var(PASSWORD).ok(),
            state_dir: state_dir(),
            is_terminal: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            ask: |what| rpassword::prompt_password(what),
        })
    }
}

impl Flags {
    fn settings(self, around: Surroundings) -> anyhow::Result<Settings> {
        let filter = Filter::parse(&self.filter).with_context(|| format!("--filter {:?}", self.filter))?;
        let mode = self.mode.unwrap_or(if around.is_terminal { Mode::Tui } else { Mode::Log });
        if mode == Mode::Tui && !around.is_terminal {
            bail!("--mode tui needs a terminal for input and output; elsewhere log, json and summary are possible");
        }
        let origin = match &self.replay {
            Some(path) => {
                let usual = (mode == Mode::Tui).then_some(1.0);
                Origin::Replay { path: path.clone(), speed: self.speed.or(usual) }
            }
            None => Origin::Live(Box::new(live::Options {
                login: self.login(&around)?,
                client_id: self.client_id.clone().unwrap_or_else(live::client_id),
                broker: self.broker,
                ca_file: self.ca_file,
                agents: self.agents,
            })),
        };
        Ok(Settings {
            origin,
            mode,
            filter,
            filter_text: self.filter,
            time: self.time,
            reveal: self.reveal,
            read_only: self.read_only,
            palette: self.theme,
            ascii: self.ascii,
            record: self.record,
            bounds: Bounds { messages_per_room: self.messages, bytes: self.memory, ..Bounds::default() },
            log: self.log,
            log_filter: EnvFilter::try_new(&self.log_filter).context("--log-filter")?,
        })
    }

    fn login(&self, around: &Surroundings) -> anyhow::Result<Option<Login>> {
        let ask = |what: &str| -> anyhow::Result<Password> {
            let secret = (around.ask)(what).context("there is no terminal to ask on; name a file instead of -")?;
            Ok(Password::Given { secret, by: "that was typed" })
        };
        let password = match (&self.password_file, &self.token_file) {
            (Some(path), _) if path.as_os_str() == ASK => Some(ask("Password: ")?),
            (Some(path), _) => Some(Password::File(path.clone())),
            (None, Some(path)) if path.as_os_str() == ASK => Some(ask("Token: ")?),
            (None, Some(path)) => Some(Password::Token(path.clone())),
            (None, None) => around
                .password
                .clone()
                .map(|secret| Password::Given { secret, by: "of the environment variable DUET_MONITOR_PASSWORD" }),
        };
        let state_dir = self.state_dir.as_ref().or(around.state_dir.as_ref());
        Ok(match (self.username.clone(), password) {
            (username, Some(password)) => {
                Some(Login { username: username.unwrap_or_else(|| OPERATOR.into()), password })
            }
            // The token is that of `operator`, and no password for anybody else.
            (Some(username), None) if username != OPERATOR => {
                let none = Password::Given { secret: String::new(), by: "left empty" };
                Some(Login { username, password: none })
            }
            (_, None) => state_dir.and_then(|folder| Login::of_this_machine(&self.broker, folder)),
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; right is a time like 30s or 5m"))
}

fn speed(text: &str) -> Result<f64, String> {
    let right = || format!("right is a number from {} to {}, as 4 or 0.5", SPEEDS.start(), SPEEDS.end());
    text.parse().ok().filter(|speed| SPEEDS.contains(speed)).ok_or_else(right)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "right is a whole number above 0".into())
}

fn memory(text: &str) -> Result<usize, String> {
    let size: bytesize::ByteSize = text.parse().map_err(|e| format!("{e}; right is a size like 64MiB"))?;
    usize::try_from(size.as_u64()).ok().filter(|n| *n >= 1 << 20).ok_or_else(|| "at least 1MiB is needed".into())
}

fn client_id(text: &str) -> Result<String, String> {
    protocol::PeerId::check(text).map_err(|e| e.to_string())?;
    Ok(text.into())
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map_err(|e| format!("{e}; right is info, debug or a filter as monitor=debug"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn around() -> Surroundings {
        Surroundings { password: None, state_dir: None, is_terminal: false, ask: |_| Ok("typed".into()) }
    }

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        Flags::try_parse_from([&["monitor"], args].concat())
    }

    fn login(args: &[&str], around: Surroundings) -> Option<(String, String)> {
        match parse(args).unwrap().settings(around).unwrap().origin {
            Origin::Live(live) => live.login.map(|login| (login.username.clone(), login.password().unwrap())),
            Origin::Replay { .. } => None,
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn defaults_need_nothing() {
        let settings = parse(&[]).unwrap().settings(around()).unwrap();
        assert_eq!(settings.mode, Mode::Log, "not a terminal");
        let Origin::Live(live) = settings.origin else { panic!() };
        assert_eq!((live.broker.to_string().as_str(), live.login), ("mqtt://127.0.0.1:1883", None));
        let terminal = Surroundings { is_terminal: true, ..around() };
        assert_eq!(parse(&[]).unwrap().settings(terminal).unwrap().mode, Mode::Tui);
    }

    #[test]
    fn bad_values_name_their_flag_and_what_would_be_right() {
        for (args, right) in [
            (["--broker", "http://127.0.0.1"], "known are mqtt, mqtts, ws and wss"),
            (["--mode", "gui"], "tui, log, json, summary"),
            (["--for", "soon"], "a time like 30s"),
            (["--speed", "0"], "a number from 0.01 to 1000"),
            (["--speed", "NaN"], "a number from 0.01 to 1000"),
            (["--messages", "0"], "above 0"),
            (["--memory", "much"], "64MiB"),
            (["--memory", "1KiB"], "at least 1MiB"),
            (["--theme", "pink"], "dark, light and colour-blind"),
            (["--client-id", "a b"], "--client-id"),
            (["--log-filter", "monitor=loud"], "right is info"),
            (["--speed", "2"], "--replay"),
            (["--agents", "127.0.0.1:8090"], "right is http://127.0.0.1:8090"),
        ] {
            let error = parse(&args).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains(args[0]) && text.contains(right), "{text}");
        }
        let error = parse(&["--filter", "nope:x"]).unwrap().settings(around()).unwrap_err();
        assert!(format!("{error:#}").contains("--filter"), "{error:#}");
        let error = parse(&["--mode", "tui"]).unwrap().settings(around()).unwrap_err();
        assert!(error.to_string().contains("needs a terminal"), "{error}");
    }

    #[test]
    fn who_logs_in_is_what_was_said_or_else_the_operator_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("operator.token"), "t0ken\n").unwrap();
        std::fs::write(path("password"), "s3cret\n").unwrap();
        let state = || Surroundings { state_dir: Some(folder.path().into()), ..around() };
        let with_variable = || Surroundings { password: Some("of-env".into()), ..state() };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));

        assert_eq!(login(&[], state()), pair("operator", "t0ken"));
        assert_eq!(login(&["--state-dir", "/nowhere"], state()), None);
        assert_eq!(login(&["--broker", "mqtt://192.0.2.1"], state()), None, "no token for strangers");
        assert_eq!(login(&["--user", "operator"], state()), pair("operator", "t0ken"));
        assert_eq!(login(&["--user", "bob"], state()), pair("bob", ""));
        assert_eq!(login(&["--user", "bob"], with_variable()), pair("bob", "of-env"));
        assert_eq!(login(&[], with_variable()), pair("operator", "of-env"));
        let file = path("password");
        assert_eq!(login(&["--user", "bob", "--password-file", &file], with_variable()), pair("bob", "s3cret"));
        assert_eq!(login(&["--token-file", &path("operator.token")], around()), pair("operator", "t0ken"));
        assert_eq!(login(&["--user", "bob", "--password-file", "-"], around()), pair("bob", "typed"));
        assert_eq!(login(&["--token-file", "-"], state()), pair("operator", "typed"));
    }

    #[test]
    fn nothing_that_a_list_of_processes_shows_is_a_password() {
        let help = Flags::command().render_long_help().to_string();
        assert!(!help.contains("--password <") && !help.contains("--token <"), "{help}");
        let error = parse(&["--broker", "mqtt://operator:s3cret@127.0.0.1"]).unwrap_err().to_string();
        assert!(error.contains("--password-file") && error.contains("must not hold"), "{error}");
    }

    #[test]
    fn a_recording_plays_at_its_own_pace_only_where_somebody_watches() {
        let speed = |args: &[&str], is_terminal| match parse(args)
            .unwrap()
            .settings(Surroundings { is_terminal, ..around() })
        {
            Ok(Settings { origin: Origin::Replay { speed, .. }, .. }) => speed,
            other => panic!("{other:?}"),
        };
        assert_eq!(speed(&["--replay", "x"], true), Some(1.0));
        assert_eq!(speed(&["--replay", "x"], false), None);
        assert_eq!(speed(&["--replay", "x", "--speed", "4"], false), Some(4.0));
    }
}
