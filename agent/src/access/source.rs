//! Who counts as one: an IPv4 address, or the /64 of an IPv6 address, of which a single machine may
//! use any. Addresses for which others stand, such as a reverse proxy's, are exempt.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};

/// The machine, or as near to it as an address tells, that something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// An IPv4 address, also one that came mapped into IPv6 (RFC 4291 §2.5.5.2).
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Source::V6(network)
            }
        }
    }
}

/// Networks whose addresses are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exempt(Vec<IpNet>);

impl Exempt {
    /// With these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// What is to be counted for an address; none if it is exempt.
    pub fn source(&self, address: IpAddr) -> Option<Source> {
        let address = address.to_canonical();
        let is_exempt = self.0.iter().any(|network| network.contains(&address));
        (!is_exempt).then(|| address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_as_one() {
        let exempt = Exempt::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let source = |text: &str| exempt.source(text.parse().unwrap());
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert!(source(one).is_some());
            assert_eq!(source(one) == source(other), same, "{one} and {other}");
        }
        for free in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(source(free), None, "{free}");
            assert!(Exempt::default().source(free.parse().unwrap()).is_some());
        }
    }
}
