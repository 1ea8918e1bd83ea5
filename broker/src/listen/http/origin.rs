//! Whose pages may open a WebSocket. A browser lets any page open one to any host, and sends along who the page is
//! (RFC 6455 §10.2); devices send nothing. Pure.

use std::fmt;
use url::{Host, Url};

/// The origin of a page: scheme, host and port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Reads `https://host` or `https://host:port`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn new(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("pages have the scheme http or https, not {}", url.scheme()));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err("an origin is scheme, host and port, and nothing more".into());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// Whether its host is this machine by a name that no DNS server can give another meaning: `localhost` and what is
    /// below it (RFC 6761 §6.3), or a loopback address.
    fn is_of_this_machine(&self) -> bool {
        let url = Url::parse(&self.0).ok();
        url.as_ref().and_then(Url::host).is_some_and(|host| match host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decides about a WebSocket. `origin` is what the request says in each of its `Origin` headers, `host` what it says
/// in `Host`. Allowed are those who are no page, pages of this very host and port, and `others`.
///
/// The scheme is not compared for this host: before a proxy that ends TLS the page has https, and we see http.
///
/// `is_private` says that being on this machine is all it takes to be let in. Then this host must go by a name of this
/// machine: any page can have its own name lead here (DNS rebinding), and would be a page of this very host.
///
/// # Errors
/// A sentence for whoever reads the answer.
pub(in crate::listen) fn judge(
    origin: &[&str],
    host: Option<&str>,
    is_private: bool,
    others: &[Origin],
) -> Result<(), String> {
    let said = match origin {
        [] => return Ok(()),
        [said] => *said,
        _ => return Err("there is more than one Origin header".into()),
    };
    let refused =
        |why: &str| Err(format!("pages of {:?} may not connect here{why}", said.chars().take(100).collect::<String>()));
    let Ok(origin) = Origin::new(said) else {
        return refused(": this is no origin that can be checked");
    };
    let (scheme, _) = said.split_once("://").unwrap_or_default();
    let own = host.and_then(|host| Origin::new(&format!("{scheme}://{host}")).ok());
    let is_own = own.as_ref() == Some(&origin) && (!is_private || origin.is_of_this_machine());
    if is_own || others.contains(&origin) {
        return Ok(());
    }
    refused("; add it to origins if they should")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_named_pages_and_devices_connect() {
        let others = ["https://app.example.org", "http://localhost:5173"].map(|text| Origin::new(text).unwrap());
        for (origin, host, allowed) in [
            (&[][..], Some("broker.example"), true),
            (&[], None, true),
            (&["https://broker.example"], Some("broker.example"), true),
            (&["https://broker.example"], Some("broker.example:443"), true),
            (&["http://broker.example"], Some("broker.example:80"), true),
            (&["https://BROKER.example"], Some("broker.EXAMPLE"), true),
            (&["https://broker.example:8443"], Some("broker.example:8443"), true),
            (&["http://127.0.0.1:8080"], Some("127.0.0.1:8080"), true),
            (&["http://[::1]:8080"], Some("[::1]:8080"), true),
            (&["https://app.example.org"], Some("broker.example"), true),
            (&["https://app.example.org:443"], None, true),
            (&["http://localhost:5173"], Some("localhost:8080"), true),
            (&["http://localhost:8081"], Some("localhost:8080"), false),
            (&["https://broker.example"], Some("broker.example:8443"), false),
            (&["https://broker.example"], None, false),
            (&["https://evil.example"], Some("broker.example"), false),
            (&["https://broker.example.evil.example"], Some("broker.example"), false),
            (&["https://evil.example/broker.example"], Some("broker.example"), false),
            (&["https://broker.example@evil.example"], Some("broker.example"), false),
            (&["http://app.example.org"], Some("broker.example"), false),
            (&["https://app.example.org:8443"], Some("broker.example"), false),
            (&["null"], Some("broker.example"), false),
            (&["null"], Some("null"), false),
            (&[""], Some("broker.example"), false),
            (&["file://"], Some("broker.example"), false),
            (&["chrome-extension://broker.example"], Some("broker.example"), false),
            (&["https://evil.example"], Some("evil.example@broker.example"), false),
            (&["https://broker.example", "https://broker.example"], Some("broker.example"), false),
        ] {
            let judged = judge(origin, host, false, &others);
            assert_eq!(judged.is_ok(), allowed, "{origin:?} at {host:?}: {judged:?}");
        }
    }

    #[test]
    fn where_everybody_on_this_machine_is_let_in_no_other_name_leads_here() {
        let others = [Origin::new("https://duet.example.org").unwrap()];
        for (origin, host, allowed) in [
            ("http://localhost:8080", "localhost:8080", true),
            ("http://LOCALHOST:8080", "localhost:8080", true),
            ("http://app.localhost:8080", "app.localhost:8080", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.1.2.3", "127.1.2.3", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://duet.example.org", "duet.example.org", true),
            ("http://rebound.example:8080", "rebound.example:8080", false),
            ("http://localhost.rebound.example:8080", "localhost.rebound.example:8080", false),
            ("http://notlocalhost", "notlocalhost", false),
            ("http://192.0.2.1:8080", "192.0.2.1:8080", false),
            ("http://0.0.0.0:8080", "0.0.0.0:8080", false),
        ] {
            let judged = judge(&[origin], Some(host), true, &others);
            assert_eq!(judged.is_ok(), allowed, "{origin:?} at {host:?}: {judged:?}");
        }
        assert_eq!(judge(&[], Some("rebound.example"), true, &[]), Ok(()), "a page says whose it is");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(Origin::new("HTTPS://App.Example:443/").unwrap().to_string(), "https://app.example");
        for text in
            ["app.example", "*", "https://a/b", "https://a?b", "https://a#b", "https://u@a", "ftp://a", "null", ""]
        {
            assert!(Origin::new(text).is_err(), "{text}");
        }
    }
}
