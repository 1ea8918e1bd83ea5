//! The relays of `[ice]`: one, said by its addresses alone, or several as tables with credentials
//! of their own. The files that they name are read here; the secrets go no further than the agent.

use super::parse;
use agent::ice::{IceUrl, Secret, Turn};
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// What holds for relays that do not say otherwise.
pub(super) struct Defaults {
    pub(super) secret: Option<Secret>,
    pub(super) ttl: Duration,
}

/// A relay as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Relay {
    urls: Vec<String>,
    secret_file: Option<String>,
    ttl: Option<String>,
    username: Option<String>,
    credential_file: Option<String>,
}

/// Reads addresses with commas between them, or an array of tables as TOML has it.
pub(super) fn relays(text: &str, defaults: &Defaults) -> Result<Vec<Turn>, String> {
    let relays: Vec<Relay> = if is_tables(text) {
        let document: toml::Table =
            format!("turn = {text}").parse().map_err(|error: toml::de::Error| message(&error))?;
        let turn = document.get("turn").cloned().unwrap_or(toml::Value::Array(Vec::new()));
        turn.try_into().map_err(|error: toml::de::Error| message(&error))?
    } else {
        let urls: Vec<String> = parse::items(text).map(str::to_owned).collect();
        let relay = Relay { urls, secret_file: None, ttl: None, username: None, credential_file: None };
        if relay.urls.is_empty() { Vec::new() } else { vec![relay] }
    };
    if relays.is_empty() && defaults.secret.is_some() {
        return Err("there is a turn-secret-file, but no relay that it is for".into());
    }
    relays.into_iter().map(|relay| relay.turn(defaults)).collect()
}

/// Whether relays are written as tables.
pub(super) fn is_tables(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

/// Reads a file that holds a secret and nothing else; no file is no secret.
pub(super) fn secret_file(path: &str) -> Result<Option<Secret>, String> {
    if path.is_empty() { Ok(None) } else { read(Path::new(path)).map(Some) }
}

/// How long credentials live.
pub(super) fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = parse::duration(text)?;
    if ttl < agent::ice::MIN_TTL { Err("this is too short to renew them in time".into()) } else { Ok(ttl) }
}

impl Relay {
    fn turn(self, defaults: &Defaults) -> Result<Turn, String> {
        let name = self.urls.join(", ");
        let urls: Result<Vec<_>, _> = self.urls.iter().map(|url| IceUrl::turn(url)).collect();
        let urls = urls.map_err(|error| error.to_string())?;
        let turn = match (self.username, self.credential_file, self.secret_file) {
            (Some(username), Some(file), None) if self.ttl.is_none() => {
                Turn::fixed(urls, username, read(Path::new(&file))?)
            }
            (Some(_), Some(_), _) => {
                return Err(format!("{name} has a username of its own: it needs no secret_file and no ttl"));
            }
            (None, None, file) => {
                let own = file.map(|file| read(Path::new(&file))).transpose()?;
                let Some(secret) = own.or_else(|| defaults.secret.clone()) else {
                    return Err(format!(
                        "{name} has no credentials: it wants turn-secret-file, a secret_file, or username and credential_file"
                    ));
                };
                let life =
                    self.ttl.map_or(Ok(defaults.ttl), |text| ttl(&text).map_err(|e| format!("ttl {text:?}: {e}")))?;
                Turn::shared(urls, secret, life)
            }
            _ => return Err(format!("{name} has half of username and credential_file: both belong together")),
        };
        turn.map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> Result<Secret, String> {
    let place = |problem: String| format!("{}: {problem}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| place(error.to_string()))?;
    Secret::from_line(&text).map_err(|error| place(error.to_string()))
}

/// What TOML says is wrong, without the line that it shows: there may be a secret in it.
fn message(error: &toml::de::Error) -> String {
    error.message().trim().to_owned()
}
