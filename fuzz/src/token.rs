//! Tokens, and the files by which they and users are judged: the first byte chooses what the rest is.

use agent::access::authenticate::tokens::{Audience, Claims, Key, TokenError, Tokens, is_token};
use agent::access::authenticate::users::{Users, check_name};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::Timestamp;
use serde_json::Value;
use std::time::Duration;

const SECRET: &[u8] = b"a secret that no input has in it, of more than 32 bytes";
const RSA: &[u8] = include_bytes!("../../agent/tests/keys/rsa.pub.pem");
const P256: &[u8] = include_bytes!("../../agent/tests/keys/p256.pub.pem");
const ED25519: &[u8] = include_bytes!("../../agent/tests/keys/ed25519.pub.pem");
/// 2027, in seconds.
const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 30;

/// See the module and the crate.
pub fn run(data: &[u8]) {
    thread_local! {
        static TOKENS: Tokens = tokens();
    }
    let Some((kind, rest)) = data.split_first() else { return };
    TOKENS.with(|tokens| match kind {
        b't' => forged(tokens, rest),
        b'c' => signed(tokens, rest),
        b'k' => key(rest),
        b'u' => users(rest),
        _ => {}
    });
}

fn tokens() -> Tokens {
    let keys = [Key::secret(SECRET), Key::pem(RSA), Key::pem(P256), Key::pem(ED25519)];
    let keys = keys.into_iter().map(|key| key.expect("our own keys")).collect();
    Tokens::new(keys, Some("us".into()), "duet".into(), Duration::from_secs(LEEWAY))
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW * 1000)
}

/// What nobody has signed is never accepted, and nothing that it claims is believed: of the whole only the header is
/// looked at.
fn forged(tokens: &Tokens, token: &[u8]) {
    let _ = is_token(token);
    let error = tokens.judge(token, now()).expect_err("nobody has signed it");
    let extensions = TokenError::Claims("it has critical extensions".into());
    assert!(error == TokenError::Signature || error == extensions, "{error}");
}

/// Who has signed claims is believed as far as the claims go and no further.
fn signed(tokens: &Tokens, claims: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(claims) else { return };
    let key = EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &json, &key).expect("JSON can be signed");
    let bearer = match tokens.judge(token.as_bytes(), now()) {
        Ok(bearer) => bearer,
        Err(error) => return assert_ne!(error, TokenError::Signature, "it is signed"),
    };
    assert!(is_token(token.as_bytes()), "it is taken for a token when it comes as a password");
    let Claims { sub, exp, nbf, iss, aud, .. } = serde_json::from_value(json).expect("it has been understood");
    let (now, leeway) = (NOW as f64, LEEWAY as f64);
    assert!(exp.is_some_and(|end| end + leeway > now) && nbf.is_none_or(|begin| begin <= now + leeway));
    assert_eq!((iss.as_deref(), sub.as_deref()), (Some("us"), Some(bearer.id.as_str())));
    assert!(match aud {
        None => false,
        Some(Audience::One(one)) => one == "duet",
        Some(Audience::Several(several)) => several.iter().any(|one| one == "duet"),
    });
    assert!(bearer.grant.expires.is_some(), "no token is for ever");
}

/// A file that holds keys, or says in words why not.
fn key(file: &[u8]) {
    for error in [Key::secret(file).err(), Key::pem(file).err(), Key::set(file).err()].into_iter().flatten() {
        assert!(!error.to_string().is_empty());
    }
}

/// A users file: every user in it has a name that a user may have.
fn users(file: &[u8]) {
    let Ok(text) = std::str::from_utf8(file) else { return };
    match Users::parse(text) {
        Ok(users) => users.iter().for_each(|(name, _)| assert_eq!(check_name(name), Ok(()))),
        Err(error) => assert!((1..=text.lines().count() + 1).contains(&error.line), "{error}"),
    }
}
