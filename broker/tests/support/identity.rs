//! Users and tokens for tests.

use super::Broker;
use super::client::{Client, Hello};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version as Argon2Version};
use jsonwebtoken::{Algorithm as Signature, EncodingKey, Header};
use mqtt_protocol_core::mqtt::Version;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens are signed with.
pub const SECRET: &str = "a secret of tests, which is long enough";
/// The password of every user.
pub const PASSWORD: &str = "correct horse";

/// A user's table in the users file, with a hash that costs little.
pub fn user(name: &str, rest: &str) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Argon2Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap();
    format!("[{name}]\npassword = \"{hash}\"\n{rest}\n\n")
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token for `subject` that opens everything for an hour, with other claims in place of these.
pub fn token(subject: &str, other: &Value) -> String {
    let mut claims = json!({"sub": subject, "aud": "duet", "exp": now() + 3600, "rooms": ["*"]});
    for (name, value) in other.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Signature::HS256), &claims, &key).unwrap()
}

/// How somebody asks for a connection who shows user name and password.
pub fn hello(version: Version, id: &str, user: &str, password: &str) -> Hello {
    Hello { user: Some((user.into(), password.into())), ..Hello::new(version, id) }
}

/// A peer that comes with a token, and its inbox.
pub fn bearer(broker: &Broker, version: Version, id: &str, token: &str) -> Client {
    let (mut client, code) = Client::hello(broker, &hello(version, id, "token", token));
    assert_eq!(code, Some(0), "{id} is let in");
    assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
    client
}

/// A peer that comes as a user, and its inbox.
pub fn member(broker: &Broker, version: Version, id: &str, user: &str) -> Client {
    let (mut client, code) = Client::hello(broker, &hello(version, id, user, PASSWORD));
    assert_eq!(code, Some(0), "{id} is let in");
    assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
    client
}
