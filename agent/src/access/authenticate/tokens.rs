//! Signed tokens: JSON Web Tokens (RFC 7519) in the place of a password.
//!
//! The key decides the algorithm, never the token: a secret checks HS256 only, an RSA key RS256, a
//! P-256 key ES256, an Ed25519 key EdDSA (RFC 8725 §3.1). `none` is no algorithm here.

use crate::access::rights::{May, Rights};
use crate::access::{Grant, Principal, Role};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use protocol::{PeerId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Least length of a secret, in bytes (RFC 7518 §3.2).
pub const MIN_SECRET: usize = 32;

/// How tokens are checked.
pub struct Tokens {
    keys: Vec<Key>,
    /// Who must have issued them; anybody, if it is not said.
    pub issuer: Option<String>,
    /// For whom they must be.
    pub audience: String,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// One key. See the module for which algorithm it has.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    id: Option<String>,
    check: DecodingKey,
    /// Signs, if it is a secret or a private key.
    sign: Option<EncodingKey>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a file holds no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too little to guess.
    #[error("a secret has at least {MIN_SECRET} bytes, this one has {0}; `head -c 32 /dev/urandom | base64` makes one")]
    ShortSecret(usize),
    /// A key where a secret should be, which everybody may know.
    #[error("this is a PEM key, not a secret; set it as jwt-key")]
    PemAsSecret,
    /// Not what is wanted.
    #[error(
        "this is no PEM key that can be used; allowed are RSA, P-256 and Ed25519 keys, public or private (PKCS #8)"
    )]
    NoPem,
    /// No key set.
    #[error("this is no JWK set (RFC 7517 §5): {0}")]
    NoSet(String),
    /// A key set without a key for us.
    #[error(
        "none of the {0} keys in the set can be used; allowed are RSA, P-256, Ed25519 and oct keys that are for signatures"
    )]
    EmptySet(usize),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nobody that is trusted has signed it.
    #[error("the token's signature does not fit any key that is configured")]
    Signature,
    /// What it says cannot be understood, or may not be said.
    #[error("the token says what it must not: {0}")]
    Claims(String),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// Somebody else has issued it.
    #[error("the token is not from the issuer that is trusted")]
    Issuer,
    /// It is for something else.
    #[error("the token is for another audience")]
    Audience,
}

/// What an accepted token gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The client id.
    pub id: PeerId,
    /// Its role.
    pub role: Role,
    /// The rest.
    pub grant: Arc<Grant>,
}

/// What a token says, as we read and write it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The client id.
    pub sub: Option<String>,
    /// Seconds since 1970.
    #[serde(serialize_with = "whole")]
    pub exp: Option<f64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole")]
    pub nbf: Option<f64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "whole")]
    pub iat: Option<f64>,
    /// Who has issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For whom it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<Audience>,
    /// `peer` if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// None if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<String>>,
    /// Both if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may: Option<Vec<String>>,
}

/// Without a fraction, which not everybody reads.
fn whole<S: serde::Serializer>(seconds: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    seconds.map(|seconds| seconds as u64).serialize(to)
}

/// One or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several, of which one is enough.
    Several(Vec<String>),
}

/// Whether a password is meant to be a token: three parts with dots between them, of which the first
/// begins like a JSON object in base64url.
pub fn is_token(password: &[u8]) -> bool {
    let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (password.starts_with(b"ey") || password.starts_with(b"ew"))
        && password.iter().filter(|byte| **byte == b'.').count() == 2
        && password.iter().all(base64url)
}

impl Key {
    /// A shared secret, for HS256; white space at its end is not part of it.
    ///
    /// # Errors
    /// If it is too short, or a key.
    pub fn secret(bytes: &[u8]) -> Result<Self, KeyError> {
        let secret = bytes.trim_ascii_end();
        if secret.starts_with(b"-----BEGIN") {
            return Err(KeyError::PemAsSecret);
        }
        if secret.len() < MIN_SECRET {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            id: None,
            check: DecodingKey::from_secret(secret),
            sign: Some(EncodingKey::from_secret(secret)),
        })
    }

    /// A public or private key in PEM.
    ///
    /// # Errors
    /// If it is none, or none of ours.
    pub fn pem(text: &[u8]) -> Result<Self, KeyError> {
        let is_private = text.windows(11).any(|window| window == b"PRIVATE KEY");
        if is_private {
            let signs = [
                (Algorithm::RS256, EncodingKey::from_rsa_pem(text)),
                (Algorithm::ES256, EncodingKey::from_ec_pem(text)),
                (Algorithm::EdDSA, EncodingKey::from_ed_pem(text)),
            ];
            let found = signs.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
            let (algorithm, sign) = found.ok_or(KeyError::NoPem)?;
            let public = Jwk::from_encoding_key(&sign, algorithm).map_err(|_| KeyError::NoPem)?;
            let key = Self::jwk(&public).filter(|key| key.algorithm == algorithm).ok_or(KeyError::NoPem)?;
            return Ok(Self { id: None, sign: Some(sign), ..key });
        }
        let checks = [
            (Algorithm::RS256, DecodingKey::from_rsa_pem(text)),
            (Algorithm::ES256, DecodingKey::from_ec_pem(text)),
            (Algorithm::EdDSA, DecodingKey::from_ed_pem(text)),
        ];
        let found = checks.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
        let (algorithm, check) = found.ok_or(KeyError::NoPem)?;
        // An uncompressed point of P-256 (SEC 1 §2.3.3); other curves would never fit a signature.
        if algorithm == Algorithm::ES256 && !check.try_get_as_bytes().is_ok_and(|point| point.len() == 65) {
            return Err(KeyError::NoPem);
        }
        Ok(Self { algorithm, id: None, check, sign: None })
    }

    /// The keys of a JWK set; those for other purposes are left out.
    ///
    /// # Errors
    /// If it is none, or nothing is left.
    pub fn set(json: &[u8]) -> Result<Vec<Self>, KeyError> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| KeyError::NoSet(error.to_string()))?;
        let keys: Vec<Self> = set.keys.iter().filter_map(Self::jwk).collect();
        if keys.is_empty() { Err(KeyError::EmptySet(set.keys.len())) } else { Ok(keys) }
    }

    fn jwk(jwk: &Jwk) -> Option<Self> {
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
            _ => return None,
        };
        let named = jwk.common.key_algorithm.map(|name| format!("{name:?}"));
        if !is_for_signatures || named.is_some_and(|name| name != format!("{algorithm:?}")) {
            return None;
        }
        let check = DecodingKey::from_jwk(jwk).ok()?;
        let too_short =
            algorithm == Algorithm::HS256 && check.try_get_as_bytes().is_ok_and(|secret| secret.len() < MIN_SECRET);
        (!too_short).then(|| Self { algorithm, id: jwk.common.key_id.clone(), check, sign: None })
    }

    /// Whether it can sign.
    pub fn signs(&self) -> bool {
        self.sign.is_some()
    }

    /// Signs a token.
    ///
    /// # Errors
    /// If it is a public key.
    pub fn sign(&self, claims: &Claims) -> Result<String, String> {
        let key = self.sign.as_ref().ok_or("this key only checks; a private key or a secret signs")?;
        let header = Header { kid: self.id.clone(), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, key).map_err(|error| error.to_string())
    }
}

impl Tokens {
    /// With these keys.
    pub fn new(keys: Vec<Key>, issuer: Option<String>, audience: String, leeway: Duration) -> Self {
        Self { keys, issuer, audience, leeway }
    }

    /// The first key that signs.
    pub fn signing_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.signs())
    }

    /// Judges a token at the time `now`.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn judge(&self, token: &[u8], now: Timestamp) -> Result<Bearer, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Signature)?;
        // RFC 7515 §4.1.11: extensions that must be understood, of which we understand none.
        if header.crit.is_some() {
            return Err(TokenError::Claims("it has critical extensions".into()));
        }
        let fits = |key: &&Key| {
            key.algorithm == header.alg
                && match (&key.id, &header.kid) {
                    (Some(own), Some(named)) => own == named,
                    _ => true,
                }
        };
        let mut error = TokenError::Signature;
        for key in self.keys.iter().filter(fits) {
            // The signature only; claims are judged below, by the time that is given.
            let mut validation = Validation::new(key.algorithm);
            validation.required_spec_claims.clear();
            (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
            match jsonwebtoken::decode::<Claims>(token, &key.check, &validation) {
                Ok(data) => return self.judge_claims(data.claims, now),
                Err(e) if matches!(e.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) => {
                    error = TokenError::Claims(e.to_string());
                }
                Err(_) => {}
            }
        }
        Err(error)
    }

    fn judge_claims(&self, claims: Claims, now: Timestamp) -> Result<Bearer, TokenError> {
        let wrong = |what: &str| TokenError::Claims(what.into());
        let expires = claims.exp.ok_or_else(|| wrong("exp is missing"))?;
        let expires = moment(expires).ok_or_else(|| wrong("exp is no time"))?.plus(self.leeway);
        if expires <= now {
            return Err(TokenError::Expired);
        }
        if let Some(begin) = claims.nbf
            && moment(begin).ok_or_else(|| wrong("nbf is no time"))? > now.plus(self.leeway)
        {
            return Err(TokenError::Early);
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        let is_for_us = match &claims.aud {
            None => false,
            Some(Audience::One(audience)) => *audience == self.audience,
            Some(Audience::Several(audiences)) => audiences.contains(&self.audience),
        };
        if !is_for_us {
            return Err(TokenError::Audience);
        }
        let id = claims.sub.ok_or_else(|| wrong("sub is missing, which is the client id"))?;
        let id = PeerId::new(&id).map_err(|error| TokenError::Claims(format!("sub: {error}")))?;
        let role = match &claims.role {
            None => Role::Peer,
            Some(role) => role.parse().map_err(TokenError::Claims)?,
        };
        let rights = match role {
            Role::Peer => {
                let words = claims.may.as_ref().map(|words| May::of(words.iter().map(String::as_str)));
                let may = words.unwrap_or(Ok(May::Create)).map_err(TokenError::Claims)?;
                let rooms = claims.rooms.iter().flatten().map(String::as_str);
                Rights::new(rooms, may).map_err(TokenError::Claims)?
            }
            Role::Operator if claims.rooms.is_none() && claims.may.is_none() => None,
            Role::Operator => return Err(wrong("an operator sees every room and enters none: no rooms and no may")),
        };
        let grant = Grant { principal: Principal::Token, rights, expires: Some(expires) };
        Ok(Bearer { id, role, grant: Arc::new(grant) })
    }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction. Far beyond is as good as never.
fn moment(seconds: f64) -> Option<Timestamp> {
    const NEVER: f64 = 253_402_300_799.0; // the year 9999
    let in_range = seconds.is_finite() && seconds >= 0.0;
    in_range.then(|| Timestamp::from_millis(0).plus(Duration::from_secs_f64(seconds.min(NEVER))))
}

#[cfg(test)]
mod tests;
