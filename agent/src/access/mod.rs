//! Who a client is and what it may do. Decides; never does I/O, reads no clock, draws no lots.

pub mod authenticate;
pub mod authorize;
pub mod glob;
pub mod rights;
pub mod source;

use protocol::{PeerId, Timestamp};
use rights::Rights;
use std::sync::Arc;

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Meets others in rooms.
    Peer,
    /// Reads everything; may close a room or remove a peer.
    Operator,
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "peer" => Ok(Role::Peer),
            "operator" => Ok(Role::Operator),
            other => Err(format!("{other:?} is no role; allowed are peer and operator")),
        }
    }
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Peer => "peer",
            Role::Operator => "operator",
        }
    }
}

/// Who it is that has a client id. A session belongs to the one that opened it; another with the
/// same id does not get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody has been asked.
    Anonymous,
    /// The one operator that exists while no users are configured.
    Operator,
    /// A user of the users file.
    User(Arc<str>),
    /// The subject of a token, whose name is the client id.
    Token,
    /// The holder of a client certificate, of whose names one is the client id.
    Certificate,
}

/// What credentials give beyond the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose they are.
    pub principal: Principal,
    /// What they open; `None` is everything.
    pub rights: Option<Rights>,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A client whose claim to its id has been accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its MQTT client identifier.
    pub id: PeerId,
    /// Its role.
    pub role: Role,
    /// What its credentials give; none for an anonymous peer and for the one operator that exists
    /// while no users are configured. Shared: all clients of a user have the same.
    pub grant: Option<Arc<Grant>>,
}

/// Whom a verified client certificate names (RFC 5280 §4.1.2.6 and §4.2.1.6), each as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The subject's common name; the last if there are several, being the most specific.
    pub common_name: Option<String>,
    /// Alternative names of type dNSName.
    pub dns: Vec<String>,
    /// Alternative names of type uniformResourceIdentifier.
    pub uri: Vec<String>,
    /// Alternative names of type rfc822Name.
    pub email: Vec<String>,
}

impl CertificateNames {
    /// All names, the common name first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let alternative = self.dns.iter().chain(&self.uri).chain(&self.email);
        self.common_name.iter().chain(alternative).map(String::as_str)
    }
}

impl Identity {
    /// Whose the client is.
    pub fn principal(&self) -> &Principal {
        principal(self.role, self.grant.as_ref())
    }

    /// What it may; `None` is everything that its role may.
    pub fn rights(&self) -> Option<&Rights> {
        self.grant.as_ref()?.rights.as_ref()
    }

    /// Whether it may be the first in an empty room.
    pub fn may_create(&self) -> bool {
        self.rights().is_none_or(Rights::may_create)
    }

    /// When its credentials run out.
    pub fn expires(&self) -> Option<Timestamp> {
        self.grant.as_ref()?.expires
    }
}

/// Whose something is that has this role and grant.
pub fn principal(role: Role, grant: Option<&Arc<Grant>>) -> &Principal {
    match (grant, role) {
        (Some(grant), _) => &grant.principal,
        (None, Role::Operator) => &Principal::Operator,
        (None, Role::Peer) => &Principal::Anonymous,
    }
}
