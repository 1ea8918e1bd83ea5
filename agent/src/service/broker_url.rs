//! The address of an MQTT broker, as the command line names it.

use super::tls::{self, TlsError};
use rumqttc::{MqttOptions, Transport, v5};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use url::Url;

/// `mqtt://host[:port]`, `mqtts://host[:port]`, `ws://host[:port]/path` or `wss://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    scheme: Scheme,
    url: Url,
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Mqtt,
    Mqtts,
    Ws,
    Wss,
}

/// Why an address names no broker; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// No URL at all.
    #[error("{0:?} is no address of a broker: right is mqtt://127.0.0.1:1883, mqtts://…, ws://…/mqtt or wss://…/mqtt")]
    Url(String),
    /// A scheme that is not spoken.
    #[error("{0:?} is no scheme of a broker: known are mqtt, mqtts, ws and wss")]
    Scheme(String),
    /// User or password where every list of processes shows them. The address is not repeated.
    #[error("the broker's address must not hold a user or password: give --username and --password-file")]
    Login,
    /// MQTT over TCP has no path.
    #[error("the address {0} has a path, query or fragment: after mqtt:// and mqtts:// comes only host:port")]
    Path(String),
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        // What is no address of a broker may still hold a password, and is then not repeated.
        let or_login = |error| if text.contains('@') { BrokerUrlError::Login } else { error };
        let url = Url::parse(text).map_err(|_| or_login(BrokerUrlError::Url(text.into())))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BrokerUrlError::Login);
        }
        let (scheme, usual) = match url.scheme() {
            "mqtt" => (Scheme::Mqtt, 1883),
            "mqtts" => (Scheme::Mqtts, 8883),
            "ws" => (Scheme::Ws, 80),
            "wss" => (Scheme::Wss, 443),
            other => return Err(or_login(BrokerUrlError::Scheme(other.into()))),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| or_login(BrokerUrlError::Url(text.into())))?.to_owned();
        let over_tcp = matches!(scheme, Scheme::Mqtt | Scheme::Mqtts);
        if over_tcp && (!matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some()) {
            return Err(BrokerUrlError::Path(url.into()));
        }
        let port = url.port().unwrap_or(usual);
        Ok(Self { scheme, url, host, port })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl BrokerUrl {
    /// The name or address of the machine, as in the URL: IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How rumqttc reaches the broker as `client_id`. Over TLS the certificates of `ca_file` are
    /// trusted, as PEM, or the system's.
    ///
    /// # Errors
    /// If there is no certificate to trust.
    pub fn mqtt_options(&self, client_id: impl Into<String>, ca_file: Option<&Path>) -> Result<MqttOptions, TlsError> {
        let mut options = MqttOptions::new(client_id, self.address(), self.port);
        options.set_transport(self.transport(ca_file)?);
        Ok(options)
    }

    /// The same in MQTT 5.0.
    ///
    /// # Errors
    /// If there is no certificate to trust.
    pub fn mqtt_options_v5(
        &self,
        client_id: impl Into<String>,
        ca_file: Option<&Path>,
    ) -> Result<v5::MqttOptions, TlsError> {
        let mut options = v5::MqttOptions::new(client_id, self.address(), self.port);
        options.set_transport(self.transport(ca_file)?);
        Ok(options)
    }

    fn transport(&self, ca_file: Option<&Path>) -> Result<Transport, TlsError> {
        Ok(match self.scheme {
            Scheme::Mqtt => Transport::Tcp,
            Scheme::Ws => Transport::Ws,
            Scheme::Mqtts => Transport::tls_with_config(tls::client_config(ca_file)?),
            Scheme::Wss => Transport::wss_with_config(tls::client_config(ca_file)?),
        })
    }

    /// What rumqttc calls the host: over WebSocket, the whole URL.
    fn address(&self) -> String {
        match self.scheme {
            Scheme::Mqtt | Scheme::Mqtts => self.host.clone(),
            Scheme::Ws | Scheme::Wss => self.url.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, address, port) in [
            ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884),
            ("mqtt://broker.example.org", "broker.example.org", 1883),
            ("mqtt://[::1]", "[::1]", 1883),
            ("mqtts://broker.example.org/", "broker.example.org", 8883),
            ("ws://127.0.0.1:9001/mqtt", "ws://127.0.0.1:9001/mqtt", 9001),
            ("wss://broker.example.org/mqtt", "wss://broker.example.org/mqtt", 443),
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            assert_eq!((url.address().as_str(), url.port), (address, port), "{text}");
        }
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let error = |text: &str| text.parse::<BrokerUrl>().unwrap_err().to_string();
        for text in ["", "127.0.0.1:1883", "mqtt://", "mqtt:///x", "mqtt:host"] {
            assert!(error(text).contains("mqtt://127.0.0.1:1883"), "{text}: {}", error(text));
        }
        assert!(error("localhost:1883").ends_with("known are mqtt, mqtts, ws and wss"));
        assert!(error("http://127.0.0.1").ends_with("known are mqtt, mqtts, ws and wss"));
        assert!(error("mqtt://127.0.0.1/mqtt").contains("only host:port"));
        for text in ["mqtt://agent:s3cret@127.0.0.1", "agent:s3cret@h", "mqtt:s3cret@h", "s3cret@h", "mqtt://s3cret@h"]
        {
            assert!(error(text).contains("--password-file") && !error(text).contains("s3cret"), "{text}");
        }
    }
}
