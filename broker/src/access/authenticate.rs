//! Who is it? An operator shows the token that the broker keeps; anybody else is a peer without a
//! user name. Somebody with another user name is turned away rather than taken for anonymous.

use super::Role;
use subtle::ConstantTimeEq;

/// User name of the one operator that exists while no users are configured.
pub const OPERATOR: &str = "operator";

/// Why a CONNECT is not accepted (3.1.1: return code 4; 5.0: 0x86).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("user name or password is wrong")]
pub struct BadCredentials;

/// What the broker knows of its users.
pub struct Users {
    operator_token: String,
}

impl Users {
    /// With the operator's token.
    pub fn new(operator_token: String) -> Self {
        Self { operator_token }
    }

    /// The role that a CONNECT's credentials give.
    ///
    /// # Errors
    /// If a user is named and the password does not fit, or a password comes without a user.
    pub fn authenticate(&self, user: Option<&str>, password: Option<&[u8]>) -> Result<Role, BadCredentials> {
        match (user, password) {
            (None | Some(""), None | Some([])) => Ok(Role::Peer),
            (Some(OPERATOR), Some(token)) if bool::from(token.ct_eq(self.operator_token.as_bytes())) => {
                Ok(Role::Operator)
            }
            _ => Err(BadCredentials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_judged_as_written() {
        let users = Users::new("s3cret".into());
        for (user, password, role) in [
            (None, None, Ok(Role::Peer)),
            (Some(""), Some(&b""[..]), Ok(Role::Peer)),
            (Some("operator"), Some(b"s3cret"), Ok(Role::Operator)),
            (Some("operator"), Some(b"s3cre"), Err(BadCredentials)),
            (Some("operator"), Some(b"s3cret!"), Err(BadCredentials)),
            (Some("operator"), Some(b""), Err(BadCredentials)),
            (Some("operator"), None, Err(BadCredentials)),
            (Some("Operator"), Some(b"s3cret"), Err(BadCredentials)),
            (Some("alice"), None, Err(BadCredentials)),
            (Some("alice"), Some(b"s3cret"), Err(BadCredentials)),
            (None, Some(b"s3cret"), Err(BadCredentials)),
        ] {
            assert_eq!(users.authenticate(user, password), role, "{user:?}");
        }
    }
}
