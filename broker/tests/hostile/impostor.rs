//! What somebody tries who wants to be taken for another: credentials that are none, or another's, for client ids that
//! are in use, wait for their owners, or are free.

use crate::scene::{Door, ISSUER, KEY_ID, NAMED_SECRET, Scene, Tally, base64, base64url};
use crate::support::client::Hello;
use crate::support::identity::{PASSWORD, SECRET, hello, now, token};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use mqtt_protocol_core::mqtt::Version;
use serde_json::{Value, json};

const WHO: &str = "an impostor";

/// Client ids that Mallory wants: of a connected user, a connected bearer of a token, a session that waits, a seat that
/// waits, an operator, and nobody.
const WANTED: &[&str] = &["alice", "bob", "dave", "erin", "olga", "cam-42"];

/// What is changed below, whole: each would succeed if it were believed.
fn those_who_may_come_in(scene: &Scene, door: Door, version: Version) {
    let named = forge(&json!({"alg": "HS256", "kid": KEY_ID}), &claims("cam-42"), hs256(NAMED_SECRET.as_bytes()));
    let plain = forge(&json!({"alg": "HS256"}), &claims("cam-42"), hs256(SECRET.as_bytes()));
    let own = EncodingKey::from_rsa_pem(include_bytes!("../../../agent/tests/keys/rsa.pem")).unwrap();
    let rs256 = |message: &[u8]| crypto::sign(message, &own, Algorithm::RS256).unwrap();
    let rsa = forge(&json!({"alg": "RS256"}), &claims("cam-42"), rs256);
    for token in [good("cam-42"), named, plain, rsa] {
        let (client, code) = scene.knock(door, &hello(version, "cam-42", "", &token));
        assert_eq!(code, Some(0), "{token}");
        client.disconnect();
    }
    for id in ["mallory", "mallory:2"] {
        let (client, code) = scene.knock(door, &hello(version, id, "mallory", PASSWORD));
        assert_eq!(code, Some(0), "{id}");
        client.disconnect();
    }
    if matches!(door, Door::Tls | Door::Wss) {
        let (client, code) = scene.knock_as(door, &Hello::new(version, "mallory"), "mallory");
        assert_eq!(code, Some(0), "its own certificate");
        client.disconnect();
    }
}

fn claims(id: &str) -> Value {
    json!({"sub": id, "aud": "duet", "iss": ISSUER, "exp": now() + 3600, "rooms": ["*"]})
}

/// Everything through one door.
pub fn attack(scene: &mut Scene, door: Door, version: Version, tally: &mut Tally) {
    those_who_may_come_in(scene, door, version);
    for id in WANTED {
        let own = [
            ("shows nothing", None),
            ("shows its own password", Some(("mallory", PASSWORD.to_owned()))),
            ("shows a token for itself", Some(("", good("mallory")))),
        ];
        // Without a user name, for guesses at one are held back.
        let forged = tokens(id).into_iter().map(|(how, token)| (how, Some(("", token))));
        for (how, credentials) in own.into_iter().chain(forged) {
            let user = credentials.map(|(user, password)| (user.to_owned(), password));
            let hello = Hello { user, ..Hello::new(version, id) };
            let (_, code) = scene.knock(door, &hello);
            tally.attempt(WHO, how, code == Some(0), (id, door, version, &hello.user));
        }
        if matches!(door, Door::Tls | Door::Wss) {
            let (_, code) = scene.knock_as(door, &Hello::new(version, id), "mallory");
            tally.attempt(WHO, "shows its own certificate", code == Some(0), (id, door, version));
        }
        tally.canaries(WHO, scene.disturbed());
    }
    for (id, user) in
        [("alice:phone", "mallory"), ("mallory2", "mallory"), ("mallor", "mallory"), ("Mallory", "mallory")]
    {
        let (_, code) = scene.knock(door, &hello(version, id, user, PASSWORD));
        tally.attempt(WHO, "takes an id beside its name", code == Some(0), id);
    }
    for password in ["", "x", "Correct horse", "correct horse ", "correct horse\0", "$argon2id$v=19$m=8,t=1,p=1$"] {
        let (_, code) = scene.knock(door, &hello(version, "alice:2", "alice", password));
        tally.attempt(WHO, "guesses a password", code == Some(0), password);
        // What was guessed is forgotten when its owner comes in, so that the next guess is not held back.
        let (owner, code) = scene.knock(door, &hello(version, "alice:own", "alice", PASSWORD));
        assert_eq!(code, Some(0));
        owner.disconnect();
    }
    tally.canaries(WHO, scene.disturbed());
}

fn good(subject: &str) -> String {
    token(subject, &json!({"iss": ISSUER}))
}

/// A token put together by hand.
fn forge(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> String) -> String {
    let message = format!("{}.{}", base64url(&header.to_string()), base64url(&claims.to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{signature}")
}

fn hs256(secret: &[u8]) -> impl Fn(&[u8]) -> String {
    move |message| crypto::sign(message, &EncodingKey::from_secret(secret), Algorithm::HS256).unwrap()
}

/// Tokens for `id` that must not be believed.
fn tokens(id: &str) -> Vec<(&'static str, String)> {
    let claims = claims(id);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let signed = |claims: &Value| forge(&json!({"alg": "HS256", "typ": "JWT"}), claims, hs256(SECRET.as_bytes()));
    let whole = signed(&with("sub", "mallory".into()));
    let parts: Vec<&str> = whole.split('.').collect();
    let public = include_str!("../../../agent/tests/keys/rsa.pub.pem");
    let der = public.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let own = rcgen::KeyPair::generate().unwrap();
    let own = EncodingKey::from_ec_pem(own.serialize_pem().as_bytes()).unwrap();
    let es256 = |message: &[u8]| crypto::sign(message, &own, Algorithm::ES256).unwrap();
    let mine = json!({"kty": "oct", "k": base64url("mallory's own secret, long enough to be one")});
    let with_mine = hs256(b"mallory's own secret, long enough to be one");
    let mut tokens = vec![
        ("shows an expired token", signed(&with("exp", (now() - 60).into()))),
        ("shows an expired token", signed(&with("exp", 0.into()))),
        ("shows an expired token", signed(&with("exp", (-1).into()))),
        ("shows a token without an end", signed(&without("exp"))),
        ("shows a token without an end", signed(&with("exp", "2100-01-01".into()))),
        ("shows a token without an end", signed(&with("exp", Value::Null))),
        ("shows a token that is not valid yet", signed(&with("nbf", (now() + 600).into()))),
        ("shows a token for another audience", signed(&with("aud", "other".into()))),
        ("shows a token for another audience", signed(&with("aud", json!(["duet2", "Duet"])))),
        ("shows a token for another audience", signed(&without("aud"))),
        ("shows a token of another issuer", signed(&with("iss", "them".into()))),
        ("shows a token of another issuer", signed(&without("iss"))),
        ("shows a token for nobody", signed(&without("sub"))),
        ("shows a token for somebody else", signed(&with("sub", "mallory".into()))),
        ("shows a token for somebody else", signed(&with("sub", format!("{id}x").into()))),
        ("shows a token for somebody else", signed(&with("sub", json!([id])))),
        ("shows a token of another secret", forge(&json!({"alg": "HS256"}), &claims, hs256(b"duet"))),
        ("shows a token of another secret", forge(&json!({"alg": "HS256"}), &claims, hs256(b""))),
        ("shows a token of another key", forge(&json!({"alg": "ES256"}), &claims, es256)),
        ("brings its own key", forge(&json!({"alg": "HS256", "jwk": mine}), &claims, &with_mine)),
        ("brings its own key", forge(&json!({"alg": "HS256", "jku": "http://127.0.0.1:1/"}), &claims, &with_mine)),
        ("brings its own key", forge(&json!({"alg": "HS256", "x5c": [base64("mine")]}), &claims, &with_mine)),
        ("names another key", forge(&json!({"alg": "HS256", "kid": "key-2"}), &claims, hs256(NAMED_SECRET.as_bytes()))),
        ("names another key", forge(&json!({"alg": "HS256", "kid": KEY_ID}), &claims, &with_mine)),
        ("names another key", forge(&json!({"alg": "HS256", "kid": "/dev/null"}), &claims, hs256(b""))),
        ("uses a public key as a secret", forge(&json!({"alg": "HS256"}), &claims, hs256(public.as_bytes()))),
        ("uses a public key as a secret", forge(&json!({"alg": "HS256"}), &claims, hs256(public.trim().as_bytes()))),
        ("uses a public key as a secret", forge(&json!({"alg": "HS256"}), &claims, hs256(der.as_bytes()))),
        ("claims another algorithm", forge(&json!({"alg": "RS256"}), &claims, hs256(public.as_bytes()))),
        ("claims another algorithm", forge(&json!({"alg": "HS384"}), &claims, hs256(SECRET.as_bytes()))),
        (
            "has critical extensions",
            forge(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims, hs256(SECRET.as_bytes())),
        ),
        ("cuts a token", format!("{}.{}", parts[0], parts[1])),
        ("cuts a token", format!("{}.{}.", parts[0], parts[1])),
        ("cuts a token", whole[..whole.len() - 1].to_owned()),
        ("cuts a token", format!(".{}.{}", parts[1], parts[2])),
        ("changes a token", format!("{}.{}.{}", parts[0], base64url(&claims.to_string()), parts[2])),
        ("changes a token", format!("{whole}.{whole}")),
        ("changes a token", format!(" {}", good(id))),
        ("changes a token", good(id).replace('.', "..")),
        ("changes a token", good(id).chars().rev().collect()),
    ];
    for none in ["none", "None", "NONE", "nOnE", "", "null"] {
        let unsigned = forge(&json!({"alg": none}), &claims, |_| String::new());
        tokens.push(("shows an unsigned token", format!("{unsigned}{}", parts[2])));
        tokens.push(("shows an unsigned token", unsigned));
    }
    tokens
}

/// What is for operators, asked for by others; and the page's door, opened from another page.
pub fn over_http(scene: &Scene, tally: &mut Tally) {
    let basic = |user: &str, password: &str| format!("Basic {}", base64(&format!("{user}:{password}")));
    let bearer = |token: &str| format!("Bearer {token}");
    let mut shown = vec![
        String::new(),
        "Basic".into(),
        "Bearer ".into(),
        basic("mallory", PASSWORD),
        basic("alice", PASSWORD),
        basic("operator", "operator"),
        basic("operator", ""),
        bearer(&good("mallory")),
        bearer(&good("olga")),
        format!("Digest {}", base64("olga")),
    ];
    shown.extend(tokens("olga").iter().map(|(_, token)| bearer(token.trim())));
    for credentials in shown {
        let (status, _) = scene.ask("/api/rooms", &credentials);
        tally.attempt(WHO, "asks for the rooms over HTTP", status != "401", &credentials);
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil.example", "file://", "http://127.0.0.1:1"] {
        tally.attempt("another page", "opens a WebSocket", scene.site.opens_for(origin), origin);
    }
}
