//! Who is it? Several ways to say so, tried in this order, each only where it is configured:
//!
//! 1. a client certificate, which the listener has verified, if the client says nothing else;
//! 2. a signed token in the place of the password;
//! 3. user and password, by the users file;
//! 4. the operator's token as its password, while there is no users file;
//! 5. nothing at all, where anonymous clients are let in.
//!
//! Whoever says who it is and is wrong is turned away, never taken for anonymous. Nothing here
//! waits: checking a password is handed back as work ([`Step::Check`]), since it takes its time.

pub mod throttle;
pub mod tokens;
pub mod users;

use super::{Grant, Identity, Principal, Role};
use crate::access::CertificateNames;
use protocol::{PeerId, Timestamp};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokens::{Bearer, TokenError, Tokens};
use users::{Check, User, Users};
use zeroize::Zeroizing;

/// User name of the one operator that exists while no users are configured.
pub const OPERATOR: &str = "operator";

/// The ways in that are configured.
pub struct Ways {
    /// The users file.
    pub users: Option<Users>,
    /// What checks tokens.
    pub tokens: Option<Tokens>,
    /// The operator's token; only without a users file.
    pub operator: Option<Zeroizing<String>>,
    /// Whether anonymous clients are let in.
    pub anonymous: bool,
}

/// What a client shows of itself.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// User name.
    pub user: Option<&'a str>,
    /// Password, or a token.
    pub password: Option<&'a [u8]>,
    /// The names in its certificate.
    pub certificate: Option<&'a Arc<CertificateNames>>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Which of the two is not said (3.1.1: return code 4; 5.0: 0x86).
    #[error("user name or password is wrong")]
    Credentials,
    /// (3.1.1: 4; 5.0: 0x86.)
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nothing was shown where something must be (3.1.1: 5; 5.0: 0x87).
    #[error("say who you are: {0}")]
    Nobody(&'static str),
    /// It is who it says, and wants what is not its own (3.1.1: 5; 5.0: 0x87).
    #[error("{0}")]
    NotYours(String),
}

impl Denied {
    /// Whether it may have been a guess, and counts as one. A token that was once good is none.
    pub fn is_guess(&self) -> bool {
        matches!(self, Denied::Credentials | Denied::Token(TokenError::Signature))
    }
}

/// Somebody who has been recognised, before it is clear under which client id it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// Nobody has been asked.
    Anonymous,
    /// The one operator that exists while no users are configured.
    Operator,
    /// A user of the users file.
    User(Box<str>, User),
    /// The bearer of a token.
    Bearer(Bearer),
    /// The holder of a certificate with these names.
    Holder(Arc<CertificateNames>),
}

/// How a claim is judged.
pub enum Step {
    /// At once.
    Known(Person),
    /// By work that takes its time; then ask [`Ways::checked`].
    Check(Check),
}

/// The client id that somebody wants to have.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// This one.
    Id(&'a PeerId),
    /// Any; made from these lots, 24 hexadecimal digits, where nothing else gives it (5.0 only).
    Any(&'a str),
}

impl Claim<'_> {
    /// The user name as it may be shown: some put their token where their name should be.
    pub fn user_to_show(&self) -> Option<&str> {
        self.user.filter(|user| !tokens::is_token(user.as_bytes()))
    }
}

impl Person {
    /// Its role, where there is no client id.
    pub fn role(&self) -> Role {
        match self {
            Person::Operator => Role::Operator,
            Person::User(_, user) => user.role,
            Person::Bearer(bearer) => bearer.role,
            Person::Anonymous | Person::Holder(_) => Role::Peer,
        }
    }
}

impl Ways {
    /// Judges what somebody shows at the time `now`.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn judge(&self, claim: Claim<'_>, now: Timestamp) -> Result<Step, Denied> {
        let user = claim.user.filter(|user| !user.is_empty());
        let password = claim.password.filter(|password| !password.is_empty());
        match (user, password, &self.tokens, &self.users) {
            (None, None, _, _) => match claim.certificate {
                Some(names) => Ok(Step::Known(Person::Holder(names.clone()))),
                None if self.anonymous => Ok(Step::Known(Person::Anonymous)),
                None => Err(Denied::Nobody(self.what_is_wanted())),
            },
            // The user name beside a token says nothing; under 3.1.1 there must be one.
            (_, Some(token), Some(tokens), _) if tokens::is_token(token) => {
                Ok(Step::Known(Person::Bearer(tokens.judge(token, now)?)))
            }
            (Some(user), _, _, Some(users)) => Ok(Step::Check(users.check(user))),
            (Some(OPERATOR), Some(password), _, None) => match &self.operator {
                Some(token) if bool::from(password.ct_eq(token.as_bytes())) => Ok(Step::Known(Person::Operator)),
                _ => Err(Denied::Credentials),
            },
            _ => Err(Denied::Credentials),
        }
    }

    /// The user whose password has been found right or wrong.
    ///
    /// # Errors
    /// If it is wrong, or the user has gone meanwhile.
    pub fn checked(&self, user: &str, is_right: bool) -> Result<Person, Denied> {
        let found = self.users.as_ref().and_then(|users| users.get(user));
        let found = found.filter(|_| is_right).ok_or(Denied::Credentials)?;
        Ok(Person::User(user.into(), found.clone()))
    }

    /// Gives somebody the client id that it wants, if it may have it; whether the id was assigned.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, person: Person, wanted: Wanted<'_>) -> Result<(Identity, bool), Denied> {
        let own = |id: &str| PeerId::new(id).map_err(|error| Denied::NotYours(error.to_string()));
        let assigned = matches!(wanted, Wanted::Any(_));
        let (id, role, grant) = match (person, wanted) {
            (Person::Anonymous, Wanted::Any(lots)) => (own(&format!("peer-{lots}"))?, Role::Peer, None),
            (Person::Operator, Wanted::Any(lots)) => (own(&format!("peer-{lots}"))?, Role::Operator, None),
            (Person::Anonymous, Wanted::Id(id)) => {
                let owner = id.as_str().split(':').next().unwrap_or_default();
                if self.users.as_ref().is_some_and(|users| users.get(owner).is_some()) {
                    let why =
                        format!("{id} belongs to the user {owner}: log in as {owner}, or choose another client id");
                    return Err(Denied::NotYours(why));
                }
                (id.clone(), Role::Peer, None)
            }
            (Person::Operator, Wanted::Id(id)) => (id.clone(), Role::Operator, None),
            (Person::User(name, user), Wanted::Any(lots)) => {
                let lots = lots.get(..12).unwrap_or(lots);
                (own(&format!("{name}:{lots}"))?, user.role, Some(user.grant))
            }
            (Person::User(name, user), Wanted::Id(id)) => {
                let rest = id.as_str().strip_prefix(&*name);
                if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                    let why = format!("the user {name} has the client ids {name} and {name}:…, not {id}");
                    return Err(Denied::NotYours(why));
                }
                (id.clone(), user.role, Some(user.grant))
            }
            (Person::Bearer(Bearer { id, role, grant }), wanted) => {
                if let Wanted::Id(wanted) = wanted
                    && *wanted != id
                {
                    return Err(Denied::NotYours(format!("the token is for the client id {id}, not {wanted}")));
                }
                (id, role, Some(grant))
            }
            (Person::Holder(names), wanted) => {
                let id = match wanted {
                    Wanted::Id(id) => names.iter().any(|name| id.as_str() == name).then(|| id.clone()),
                    Wanted::Any(_) => names.iter().find_map(|name| PeerId::new(name).ok()),
                };
                let id = id.ok_or_else(|| {
                    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                    Denied::NotYours(format!(
                        "the client id must be one of the certificate's names: {}",
                        names.join(", ")
                    ))
                })?;
                // What such a user may, the certificate's holder may; it stands for the password.
                match self.users.as_ref().and_then(|users| users.get(id.as_str())) {
                    Some(user) => (id, user.role, Some(user.grant.clone())),
                    None => {
                        let grant = Grant { principal: Principal::Certificate, rights: None, expires: None };
                        (id, Role::Peer, Some(Arc::new(grant)))
                    }
                }
            }
        };
        Ok((Identity { id, role, grant }, assigned))
    }

    /// Whether what was given by earlier ways still holds by these. Only users can change; see
    /// [`Users::replacing`]. Tokens have their own end.
    pub fn still_admits(&self, grant: Option<&Arc<Grant>>) -> bool {
        let Some(grant) = grant else { return true };
        let Principal::User(name) = &grant.principal else { return true };
        let user = self.users.as_ref().and_then(|users| users.get(name));
        user.is_some_and(|user| Arc::ptr_eq(&user.grant, grant))
    }

    fn what_is_wanted(&self) -> &'static str {
        match (&self.users, &self.tokens) {
            (Some(_), Some(_)) => "send user name and password, or a token as password",
            (Some(_), None) => "send user name and password",
            (None, Some(_)) => "send a token as password",
            (None, None) => "show a client certificate",
        }
    }
}

#[cfg(test)]
mod tests;
