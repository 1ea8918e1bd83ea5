//! What the broker says of itself at its port for administration, and whether its account of messages adds up.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Every sample of `/metrics`, by its name and labels as written, without the `duet_` that all have.
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// As they are now. Blocks until they are there.
    pub fn read(admin: SocketAddr) -> Result<Self> {
        let mut socket = TcpStream::connect(admin).context("the port for administration takes no connection")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).context("no metrics in time")?;
        let (_, text) = answer.split_once("\r\n\r\n").context("metrics without headers")?;
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, value) = line.rsplit_once(' ').with_context(|| format!("a metric without a value: {line}"))?;
            let name = name.strip_prefix("duet_").with_context(|| format!("a metric of another: {line}"))?;
            anyhow::Ok((name.to_owned(), value.parse()?))
        });
        Ok(Self(samples.collect::<Result<_>>()?))
    }

    pub fn get(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().with_context(|| format!("no metric {name:?}"))
    }

    /// By how much the account of messages is wrong: accepted less delivered, refused, dropped and waiting.
    pub fn missing(&self) -> Result<f64> {
        let get = |name: &str| self.get(&format!("messages_{name}"));
        Ok(get("accepted_total")?
            - get("delivered_total")?
            - get("refused_total")?
            - get("dropped_total")?
            - get("waiting")?)
    }
}

/// No message may be lost in silence: what was accepted was delivered, refused or dropped by a rule, or waits; and when
/// those who were there have gone, nothing waits any more.
pub fn check_account(admin: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = Metrics::read(admin)?;
        let missing = metrics.missing()?;
        ensure!(missing == 0.0, "{missing} messages are neither delivered, refused, dropped nor waiting");
        let waiting = metrics.get("messages_waiting")?;
        if waiting == 0.0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{waiting} messages wait for ever");
    }
}
