//! What the program is told about authorisation hooks for MQTT engines.

use super::{line, time};
use agent::access::authorize::Rules;
use agent::access::source::Exempt;
use agent::hooks::Hooks;
use agent::hooks::gate::{Gate, Own, UNTOLD};
use agent::hooks::seats::Seats;
use agent::login::Login;
use agent::login::files::Access;
use agent::service::status::Pulse;
use anyhow::{Context, bail};
use clap::Args;
use ipnet::IpNet;
use protocol::{filter, topic};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use zeroize::Zeroizing;

/// Who may come in at an engine that asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Authorisation hooks")]
pub(super) struct HooksFlags {
    /// Answer MQTT engines over HTTP at this address: who may come in, what it may do; takes notice of who has gone.
    /// See docs/engines. The agent itself comes in by --username
    #[arg(long, value_name = "ADDR", env = "DUET_AGENT_HTTP", requires = "username")]
    http: Option<SocketAddr>,

    /// Let --http be another address than loopback; engines must then show the secret
    #[arg(long, env = "DUET_AGENT_ALLOW_REMOTE_HTTP", requires_all = ["http", "http_secret_file"])]
    allow_remote_http: bool,

    /// A file that holds the secret that engines show, and nothing else
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_HTTP_SECRET_FILE", requires = "http")]
    http_secret_file: Option<PathBuf>,

    /// The users, their passwords and rights, as the broker has them (broker user add)
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_USERS", requires = "http")]
    users: Option<PathBuf>,

    /// The secret that signs tokens (HS256), 32 bytes or more
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_JWT_SECRET", requires = "http")]
    jwt_secret: Option<PathBuf>,

    /// PEM: the public half of the key that signs tokens (RSA, P-256 or Ed25519)
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_JWT_KEY", requires = "http")]
    jwt_key: Option<PathBuf>,

    /// A set of such keys (RFC 7517)
    #[arg(long, value_name = "FILE", env = "DUET_AGENT_JWKS", requires = "http")]
    jwks: Option<PathBuf>,

    /// The iss that a token must have; anybody's with the key, if it is not said
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_JWT_ISSUER", requires = "http")]
    jwt_issuer: Option<String>,

    /// The aud that a token must have
    #[arg(long, value_name = "NAME", env = "DUET_AGENT_JWT_AUDIENCE", default_value = "duet")]
    jwt_audience: String,

    /// How far the clocks of agent and issuer may differ
    #[arg(long, value_name = "TIME", env = "DUET_AGENT_JWT_LEEWAY", default_value = "30s", value_parser = time)]
    jwt_leeway: Duration,

    /// Let in who does not say who it is, from everywhere. Without users and keys, those on this machine come in anyway
    #[arg(long, env = "DUET_AGENT_ALLOW_ANONYMOUS", requires = "http")]
    allow_anonymous: bool,

    /// Filters that everybody may publish and subscribe to besides the rooms, with commas between them; %c stands for
    /// the client id
    #[arg(long, value_name = "FILTERS", env = "DUET_AGENT_OPEN_TOPICS", value_delimiter = ',', requires = "http")]
    #[arg(value_parser = open_filter)]
    open_topics: Vec<String>,

    /// Where the operator's token is kept, while there are no users [default: $XDG_STATE_HOME/duet or ~/.local/state/duet]
    #[arg(long, value_name = "DIR", env = "DUET_AGENT_STATE_DIR", requires = "http")]
    state_dir: Option<PathBuf>,
}

/// What the flags mean.
pub(crate) struct HooksSettings {
    pub(crate) address: SocketAddr,
    secret: Option<Zeroizing<String>>,
    access: Access,
    state_dir: PathBuf,
    open_topics: Vec<String>,
    is_private: bool,
}

impl HooksFlags {
    pub(super) fn settings(self) -> anyhow::Result<Option<HooksSettings>> {
        let Some(address) = self.http else { return Ok(None) };
        if !address.ip().is_loopback() && !self.allow_remote_http {
            bail!(
                "--http {address}: whoever can reach it may ask anything; listen on 127.0.0.1, or say --allow-remote-http \
                 and --http-secret-file"
            );
        }
        let secret =
            self.http_secret_file.map(|file| line("--http-secret-file", &file)).transpose()?.map(Zeroizing::new);
        if secret.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET) {
            bail!(
                "--http-secret-file: a secret has at least {MIN_SECRET} characters; `head -c 32 /dev/urandom | base64` makes one"
            );
        }
        let mut access = Access {
            users: self.users,
            jwt_secret: self.jwt_secret,
            jwt_key: self.jwt_key,
            jwks: self.jwks,
            jwt_issuer: self.jwt_issuer,
            jwt_audience: self.jwt_audience,
            jwt_leeway: self.jwt_leeway,
            anonymous: false,
        };
        // As in the broker: without a way to say who one is everybody is anonymous, which is fit for one machine only.
        let is_private = !access.asks() && !self.allow_anonymous;
        if is_private && !address.ip().is_loopback() {
            bail!(
                "--http {address}: the engine is on another machine, and nobody would have to say who they are; name \
                 --users or keys for tokens, or say --allow-anonymous if that is what you want"
            );
        }
        access.anonymous = self.allow_anonymous || is_private;
        let state_dir =
            self.state_dir.or_else(state_dir).context("--state-dir: neither XDG_STATE_HOME nor HOME is set")?;
        Ok(Some(HooksSettings { address, secret, access, state_dir, open_topics: self.open_topics, is_private }))
    }
}

impl HooksSettings {
    /// The hooks, and what lets people in behind them.
    pub(crate) fn hooks(self, own: Own, seats: Seats, pulse: Arc<Pulse>) -> anyhow::Result<(Arc<Hooks>, Arc<Login>)> {
        if self.access.anonymous && !self.is_private {
            warn!("whoever can reach the engine comes in: --allow-anonymous");
        }
        let loopback: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), UNTOLD];
        let mut exempt: Vec<IpNet> = loopback.map(IpNet::from).into();
        exempt.push(IpNet::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8)?);
        let login = Arc::new(Login::new(self.access, self.state_dir, Exempt::new(exempt))?);
        let gate = Gate::new(login.clone(), Rules::new(self.open_topics), own, seats, self.is_private);
        Ok((Hooks::new(gate, self.secret, pulse), login))
    }
}

/// Least length of the secret that engines show.
const MIN_SECRET: usize = 16;

/// `$XDG_STATE_HOME/duet`, else `~/.local/state/duet`: where the broker would keep it.
fn state_dir() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("duet"))
}

fn open_filter(text: &str) -> Result<String, String> {
    if !filter::is_valid(text) {
        return Err("this is no topic filter".into());
    }
    if topic::is_reserved(text) {
        return Err("rooms, control and $ keep their own rules".into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use clap::Parser;

    fn settings(args: &[&str], password: Option<&str>) -> Result<bool, String> {
        let flags = Flags::try_parse_from([&["agent"], args].concat()).map_err(|error| error.to_string())?;
        let settings = flags.settings(password.map(str::to_owned), None).map_err(|error| format!("{error:#}"))?;
        Ok(settings.hooks.is_some())
    }

    #[test]
    fn who_can_ask_and_who_can_come_in_must_fit_where_it_listens() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).to_str().unwrap().to_owned()
        };
        let (secret, short) = (file("secret", "0123456789abcdef\n"), file("short", "0123\n"));
        let near = ["--http", "127.0.0.1:8090", "--username", "agent"];
        let far = ["--http", "192.0.2.1:8090", "--username", "agent", "--allow-remote-http"];
        for (args, wrong) in [
            (near.to_vec(), None),
            ([&near[..], &["--http-secret-file", &secret]].concat(), None),
            ([&near[..], &["--http-secret-file", &short]].concat(), Some("at least 16 characters")),
            ([&near[..], &["--http-secret-file", "/no/such/file"]].concat(), Some("/no/such/file")),
            ([&far[..], &["--http-secret-file", &secret, "--users", "u"]].concat(), None),
            ([&far[..], &["--http-secret-file", &secret, "--allow-anonymous"]].concat(), None),
            ([&far[..], &["--http-secret-file", &secret]].concat(), Some("nobody would have to say who they are")),
            ([&far[..], &["--users", "u"]].concat(), Some("--http-secret-file")),
            (far[..4].to_vec(), Some("whoever can reach it may ask anything")),
            (near[..2].to_vec(), Some("--username")),
            (vec!["--users", "u"], Some("--http")),
            (vec!["--allow-anonymous"], Some("--http")),
            ([&near[..], &["--open-topics", "a/#,rooms/#"]].concat(), Some("keep their own rules")),
            ([&near[..], &["--open-topics", "a#"]].concat(), Some("no topic filter")),
        ] {
            match (settings(&args, Some("s3cret")), wrong) {
                (Ok(has_hooks), None) => assert!(has_hooks, "{args:?}"),
                (Err(error), Some(wrong)) => assert!(error.contains(wrong), "{args:?}: {error}"),
                (found, _) => panic!("{args:?}: {found:?}"),
            }
        }
        assert_eq!(settings(&[], None), Ok(false), "off by default");
        assert!(settings(&near, None).unwrap_err().contains("DUET_AGENT_PASSWORD"));
    }
}
