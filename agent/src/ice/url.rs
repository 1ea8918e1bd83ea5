//! Addresses of ICE servers: the grammar of STUN (RFC 7064) and TURN (RFC 7065), checked before a
//! browser has to.

use std::fmt;
use url::Host;

/// Why an address names no ICE server that peers could use; each message says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// None of the four schemes.
    #[error(
        "{0:?} is no ICE server: it must begin with stun:, stuns:, turn: or turns:, as in stun:stun.example.org:3478"
    )]
    Scheme(String),
    /// `stun://…`, a common slip; the RFCs have no authority part.
    #[error("{0:?} has // after its scheme; right is {right}", right = .0.replacen("//", "", 1))]
    Slashes(String),
    /// No host, or none that DNS or IP know.
    #[error("{url:?} names no host: {host:?} is no domain name, IPv4 address or [IPv6 address]")]
    Host {
        /// The whole address.
        url: String,
        /// What stands where the host should.
        host: String,
    },
    /// No port between 1 and 65535.
    #[error("{url:?} has no valid port: {port:?} is no number from 1 to 65535")]
    Port {
        /// The whole address.
        url: String,
        /// What stands where the port should.
        port: String,
    },
    /// Something after `?` that the scheme does not have.
    #[error("{0:?} has an unknown query: only turn: and turns: have one, and it is ?transport=udp or ?transport=tcp")]
    Query(String),
    /// A relay where a server is named that needs no credentials: `RTCPeerConnection` refuses to
    /// be made with one that has none.
    #[error("{0:?} is a relay, which wants credentials: it belongs to turn; stun takes stun: and stuns:")]
    Relay(String),
    /// A STUN server where a relay is named.
    #[error("{0:?} is no relay: it belongs to stun; turn takes turn: and turns:")]
    NoRelay(String),
}

/// What kind of server, and how it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// STUN over UDP.
    Stun,
    /// STUN over TLS.
    Stuns,
    /// A relay over UDP or TCP.
    Turn,
    /// A relay over TLS or DTLS.
    Turns,
}

/// A valid address of an ICE server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceUrl {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    tcp: Option<bool>,
}

impl IceUrl {
    /// Reads `stun:host[:port]`, `stuns:…`, or `turn:host[:port][?transport=udp|tcp]`, `turns:…`.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| UrlError::Scheme(url.into()))?;
        // RFC 3986 §3.1: schemes are case-insensitive.
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "stun" => Scheme::Stun,
            "stuns" => Scheme::Stuns,
            "turn" => Scheme::Turn,
            "turns" => Scheme::Turns,
            _ => return Err(UrlError::Scheme(url.into())),
        };
        if rest.starts_with("//") {
            return Err(UrlError::Slashes(url.into()));
        }
        let (address, tcp) = match rest.split_once('?') {
            None => (rest, None),
            Some((address, "transport=udp")) if scheme.is_relay() => (address, Some(false)),
            Some((address, "transport=tcp")) if scheme.is_relay() => (address, Some(true)),
            Some(_) => return Err(UrlError::Query(url.into())),
        };
        let (host, port) = match address.rsplit_once(':') {
            // A colon within the brackets of an IPv6 address begins no port.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (address, None),
        };
        let port = match port.map(|port| (port, port.parse::<u16>())) {
            None => None,
            Some((digits, Ok(port))) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            Some((port, _)) => return Err(UrlError::Port { url: url.into(), port: port.into() }),
        };
        let host = Host::parse(host).map_err(|_| UrlError::Host { url: url.into(), host: host.into() })?;
        Ok(Self { scheme, host, port, tcp })
    }

    /// Reads the address of a STUN server, `stun:` or `stuns:`.
    ///
    /// # Errors
    /// Which part is wrong; or it is a relay's.
    pub fn stun(url: &str) -> Result<Self, UrlError> {
        let parsed = Self::parse(url)?;
        if parsed.scheme.is_relay() { Err(UrlError::Relay(url.into())) } else { Ok(parsed) }
    }

    /// Reads the address of a relay, `turn:` or `turns:`.
    ///
    /// # Errors
    /// Which part is wrong; or it is no relay's.
    pub fn turn(url: &str) -> Result<Self, UrlError> {
        let parsed = Self::parse(url)?;
        if parsed.scheme.is_relay() { Ok(parsed) } else { Err(UrlError::NoRelay(url.into())) }
    }

    /// What kind of server.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl Scheme {
    /// Whether the server relays, and so wants to know who asks.
    pub fn is_relay(self) -> bool {
        matches!(self, Scheme::Turn | Scheme::Turns)
    }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Stun => "stun",
            Scheme::Stuns => "stuns",
            Scheme::Turn => "turn",
            Scheme::Turns => "turns",
        };
        write!(f, "{scheme}:{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.tcp {
            Some(true) => f.write_str("?transport=tcp"),
            Some(false) => f.write_str("?transport=udp"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rfcs_own_examples_are_read() {
        for url in [
            "stun:example.org",
            "stuns:example.org",
            "stun:example.org:8000",
            "turn:example.org",
            "turns:example.org",
            "turn:example.org:8000",
            "turn:example.org?transport=udp",
            "turn:example.org?transport=tcp",
            "turns:example.org?transport=tcp",
            "stun:192.0.2.7:3478",
            "stun:[2001:db8::1]",
            "stun:[2001:db8::1]:3478",
        ] {
            assert_eq!(IceUrl::parse(url).map(|url| url.to_string()), Ok(url.to_owned()));
        }
        assert_eq!(IceUrl::parse("STUN:Example.org").unwrap().to_string(), "stun:example.org");
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let error = |url: &str| IceUrl::parse(url).unwrap_err().to_string();
        assert!(error("stun.example.org").contains("must begin with stun:"));
        assert!(error("http://example.org").contains("must begin with stun:"));
        assert!(error("stun://example.org").ends_with("right is stun:example.org"));
        assert!(error("stun:").contains("names no host"));
        assert!(error("stun:exa mple").contains("names no host"));
        assert!(error("stun:2001:db8::1").contains("names no host"));
        assert!(error("stun:user@example.org").contains("names no host"));
        for port in ["", "0", "+1", "65536", "x"] {
            assert!(error(&format!("stun:example.org:{port}")).contains("no valid port"), "{port}");
        }
        assert!(error("stun:example.org?transport=udp").contains("unknown query"));
        assert!(error("turn:example.org?transport=ext").contains("unknown query"));
        let relay = IceUrl::stun("turn:example.org").unwrap_err().to_string();
        assert!(relay.contains("wants credentials: it belongs to turn"), "{relay}");
        let none = IceUrl::turn("stuns:example.org").unwrap_err().to_string();
        assert!(none.contains("no relay: it belongs to stun"), "{none}");
    }

    proptest! {
        #[test]
        fn reads_what_it_writes_and_never_panics(url in "(stuns?|turns?|x):\\PC{0,20}", any in any::<String>()) {
            let _ = IceUrl::parse(&any);
            if let Ok(parsed) = IceUrl::parse(&url) {
                prop_assert_eq!(IceUrl::parse(&parsed.to_string()), Ok(parsed));
            }
        }
    }
}
