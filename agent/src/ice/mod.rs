//! What peers are given for their `RTCPeerConnection`: the ICE servers of the configuration, for
//! relays with credentials. Pure: who asks and the time go in. Whoever configures it reads the
//! files in which secrets lie.

mod turn;
mod url;

pub use turn::{MAX_TTL, MIN_TTL, Secret, Turn, TurnError};
pub use url::{IceUrl, Scheme, UrlError};

use protocol::{IceServer, PeerId, Timestamp};
use std::time::Duration;

/// STUN servers and relays; none, unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ice {
    stun: Vec<IceUrl>,
    turn: Vec<Turn>,
    renewal: Option<Duration>,
}

impl Ice {
    /// Servers that need no credentials, and relays; peers are told of them in this order.
    pub fn new(stun: Vec<IceUrl>, turn: Vec<Turn>) -> Self {
        // With a quarter of its life left there is time to bring the new one, and to use it.
        let renewal = turn.iter().filter_map(Turn::ttl).min().map(|ttl| ttl * 3 / 4);
        Self { stun, turn, renewal }
    }

    /// What `peer` is given at `now`.
    pub fn servers(&self, peer: &PeerId, now: Timestamp) -> Vec<IceServer> {
        let stun =
            self.stun.iter().map(|url| IceServer { urls: vec![url.to_string()], username: None, credential: None });
        stun.chain(self.turn.iter().map(|turn| turn.server(peer, now))).collect()
    }

    /// How long after [`Self::servers`] a peer needs new ones: three quarters of the shortest
    /// life, a multiple of a millisecond and never zero. `None` if nothing given ever ends.
    pub fn renewal(&self) -> Option<Duration> {
        self.renewal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(host: &str, ttl: u64) -> Turn {
        let urls = vec![IceUrl::turn(&format!("turn:{host}")).unwrap()];
        Turn::shared(urls, Secret::from_line("s3cret").unwrap(), Duration::from_secs(ttl)).unwrap()
    }

    fn fixed(host: &str) -> Turn {
        let urls = vec![IceUrl::turn(&format!("turn:{host}")).unwrap()];
        Turn::fixed(urls, "duet".into(), Secret::from_line("s3cret").unwrap()).unwrap()
    }

    #[test]
    fn peers_get_stun_servers_first_and_then_relays() {
        let stun = ["stun:a.example", "stuns:b.example:5349"].map(|url| IceUrl::stun(url).unwrap());
        let ice = Ice::new(stun.into(), vec![relay("c.example", 60), fixed("d.example")]);
        let servers = ice.servers(&PeerId::new("alice").unwrap(), Timestamp::from_millis(5_000));
        let seen: Vec<_> = servers.iter().map(|server| (server.urls.join(" "), server.username.as_deref())).collect();
        let expected = [
            ("stun:a.example", None),
            ("stuns:b.example:5349", None),
            ("turn:c.example", Some("65:alice")),
            ("turn:d.example", Some("duet")),
        ];
        assert_eq!(seen, expected.map(|(urls, username)| (urls.to_owned(), username)));
        assert!(Ice::default().servers(&PeerId::new("alice").unwrap(), Timestamp::default()).is_empty());
    }

    #[test]
    fn the_shortest_life_says_when_to_renew() {
        let renewal = |turn| Ice::new(Vec::new(), turn).renewal();
        assert_eq!(renewal(vec![relay("a.example", 3600), relay("b.example", 60)]), Some(Duration::from_secs(45)));
        assert_eq!(renewal(vec![fixed("a.example"), relay("b.example", 5)]), Some(Duration::from_millis(3750)));
        assert_eq!((renewal(vec![fixed("a.example")]), renewal(Vec::new())), (None, None));
    }
}
