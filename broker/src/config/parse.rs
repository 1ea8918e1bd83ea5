//! From text to values; an error says what is wrong with the text, the caller what is allowed.

use super::Kind;
use crate::listen::http::Origin;
use agent::access::source::Exempt;
use agent::ice::IceUrl;
use bytesize::ByteSize;
use ipnet::IpNet;
use protocol::{filter, topic};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Longest time that any setting may have.
const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// An address to listen on, or nothing.
pub(super) fn listener(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" | "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "this is no address with a port".into()),
    }
}

pub(super) fn origins(text: &str) -> Result<Vec<Origin>, String> {
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins.map(|origin| Origin::new(origin).map_err(|error| format!("{origin}: {error}"))).collect()
}

/// A time that may be longer than what the broker itself waits for.
pub(super) fn long_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn log(text: &str) -> Result<String, String> {
    // The parser counts bytes where there are characters, and panics between them.
    if let Some(character) = text.chars().find(|character| !character.is_ascii()) {
        return Err(format!("{character:?} is no ASCII character, of which a filter is made"));
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("neither XDG_STATE_HOME nor HOME says where state is kept".into());
    }
    Ok(PathBuf::from(text))
}

/// A file, if one is named.
pub(super) fn file(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("this is empty".into()) } else { Ok(text.to_owned()) }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration > MAX_DURATION { Err("this is longer than 30 days".into()) } else { Ok(duration) }
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("this is no time at all".into()) } else { Ok(duration) }
}

pub(super) fn size(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let size: ByteSize = text.parse()?;
    let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    if (least..=most).contains(&bytes) { Ok(bytes) } else { Err(format!("these are {bytes} bytes")) }
}

/// How much memory there may be; none if what surrounds the process decides.
pub(super) fn memory(text: &str) -> Result<Option<u64>, String> {
    match text {
        "auto" => Ok(None),
        text => size(text, 32 << 20, 1 << 40).map(|bytes| Some(bytes as u64)),
    }
}

pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number: u32 = text.parse().map_err(|_| "this is no such number")?;
    if (least..=most).contains(&number) { Ok(number) } else { Err("this is beyond that".into()) }
}

/// Networks; an address stands for itself alone.
pub(super) fn networks(text: &str) -> Result<Exempt, String> {
    let network = |text: &str| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(address).ok_or_else(|| format!("{text:?} is no network"))
    };
    let networks = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(network);
    networks.collect::<Result<_, _>>().map(Exempt::new)
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "this is neither".into())
}

/// The items of a list with commas between them.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

pub(super) fn stun(text: &str) -> Result<Vec<IceUrl>, String> {
    items(text).map(|url| IceUrl::stun(url).map_err(|error| error.to_string())).collect()
}

/// Whether a filter may be opened.
pub(super) fn open_filter(text: &str) -> Result<(), String> {
    if !filter::is_valid(text) {
        return Err("this is no topic filter".into());
    }
    if topic::is_reserved(text) {
        return Err("rooms, control and $ keep their own rules".into());
    }
    Ok(())
}

/// A value of the file as text.
pub(super) fn scalar(value: &toml::Value, kind: Kind) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(switch) => Ok(switch.to_string()),
        toml::Value::Array(items) if kind == Kind::Relays && items.iter().any(toml::Value::is_table) => {
            Ok(value.to_string())
        }
        toml::Value::Array(items) if matches!(kind, Kind::List | Kind::Relays) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            items.map(|items| items.join(",")).ok_or_else(|| "its items must be text".into())
        }
        other => Err(format!("this is of type {}", other.type_str())),
    }
}

/// The filters of `[[access.topics]]`.
pub(super) fn topics(topics: &toml::Value) -> Result<Vec<String>, String> {
    const RIGHT: &str = "write [[access.topics]] with filter = \"…\"";
    let topics = topics.as_array().ok_or_else(|| format!("access.topics is a list of tables; {RIGHT}"))?;
    let filter = |topic: &toml::Value| {
        let table = topic.as_table().ok_or_else(|| format!("access.topics is a list of tables; {RIGHT}"))?;
        if let Some(key) = table.keys().find(|key| *key != "filter") {
            return Err(format!("unknown key access.topics.{key}; {RIGHT}"));
        }
        let filter = table.get("filter").and_then(toml::Value::as_str);
        filter.map(str::to_owned).ok_or_else(|| format!("access.topics needs a filter; {RIGHT}"))
    };
    topics.iter().map(filter).collect()
}
