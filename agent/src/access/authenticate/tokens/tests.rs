use super::*;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef\n";

fn key(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn tokens(keys: Vec<Key>) -> Tokens {
    Tokens::new(keys, None, "duet".into(), Duration::from_secs(30))
}

fn claims(change: Value) -> Value {
    let mut claims = json!({"sub": "alice", "exp": NOW + 3600, "aud": "duet", "rooms": ["lobby"]});
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn sign(key: &Key, header: Header, claims: &Value) -> String {
    jsonwebtoken::encode(&header, claims, key.sign.as_ref().unwrap()).unwrap()
}

fn judge(change: Value) -> Result<Bearer, TokenError> {
    let key = Key::secret(SECRET).unwrap();
    let token = sign(&key, Header::new(Algorithm::HS256), &claims(change));
    tokens(vec![key]).judge(token.as_bytes(), at(NOW))
}

#[test]
fn claims_are_judged_as_written() {
    let alice = judge(json!({})).unwrap();
    assert_eq!((alice.id.as_str(), alice.role), ("alice", Role::Peer));
    assert_eq!(alice.grant.expires, Some(at(NOW + 3600 + 30)), "with leeway");
    assert_eq!(alice.grant.rights.as_ref().unwrap().to_string(), "lobby");
    for (change, error) in [
        (json!({"exp": NOW - 29}), None),
        (json!({"exp": NOW - 30}), Some(TokenError::Expired)),
        (json!({"exp": NOW as f64 - 29.5}), None),
        (json!({"exp": 1e300}), None),
        (json!({"nbf": NOW + 30}), None),
        (json!({"nbf": NOW + 31}), Some(TokenError::Early)),
        (json!({"aud": ["other", "duet"]}), None),
        (json!({"aud": "other"}), Some(TokenError::Audience)),
        (json!({"aud": []}), Some(TokenError::Audience)),
        (json!({"aud": null}), Some(TokenError::Audience)),
        (json!({"iss": "anybody"}), None),
        (json!({"role": "operator", "rooms": null}), None),
        (json!({"unknown": {"x": 1}}), None),
    ] {
        assert_eq!(judge(change.clone()).err(), error, "{change}");
    }
    for (change, why) in [
        (json!({"exp": null}), "exp is missing"),
        (json!({"exp": -1}), "exp is no time"),
        (json!({"exp": "tomorrow"}), "invalid type"),
        (json!({"nbf": -1}), "nbf is no time"),
        (json!({"sub": null}), "sub is missing"),
        (json!({"sub": "a/b"}), "must not contain '/'"),
        (json!({"sub": "agent"}), "reserved"),
        (json!({"role": "root"}), "allowed are peer and operator"),
        (json!({"role": "operator"}), "no rooms and no may"),
        (json!({"rooms": "lobby"}), "invalid type"),
        (json!({"rooms": [""]}), "must not be empty"),
        (json!({"may": ["jion"]}), "allowed are join and create"),
    ] {
        let error = judge(change.clone()).unwrap_err().to_string();
        assert!(error.contains("must not") && error.contains(why), "{change}: {error}");
    }
    assert_eq!(judge(json!({"rooms": null})).unwrap().grant.rights.as_ref().unwrap().to_string(), "no room");
    assert!(!judge(json!({"may": ["join"]})).unwrap().grant.rights.as_ref().unwrap().may_create());
    assert_eq!(judge(json!({"rooms": ["*"]})).unwrap().grant.rights, None, "everything");
}

#[test]
fn the_issuer_counts_where_it_is_configured() {
    let key = Key::secret(SECRET).unwrap();
    let mut tokens = tokens(vec![key.clone()]);
    tokens.issuer = Some("https://id.example".into());
    for (issuer, right) in
        [(json!("https://id.example"), true), (json!("https://evil.example"), false), (Value::Null, false)]
    {
        let token = sign(&key, Header::new(Algorithm::HS256), &claims(json!({"iss": issuer})));
        let judged = tokens.judge(token.as_bytes(), at(NOW));
        assert_eq!(judged.err(), (!right).then_some(TokenError::Issuer), "{issuer}");
    }
}

#[test]
fn each_key_checks_what_it_or_its_private_half_has_signed() {
    for (name, algorithm) in [("rsa", Algorithm::RS256), ("p256", Algorithm::ES256), ("ed25519", Algorithm::EdDSA)] {
        let private = Key::pem(&key(&format!("{name}.pem"))).unwrap();
        let public = Key::pem(&key(&format!("{name}.pub.pem"))).unwrap();
        assert_eq!((private.algorithm, public.algorithm), (algorithm, algorithm));
        assert!(private.signs() && !public.signs());
        let token = sign(&private, Header::new(algorithm), &claims(json!({})));
        assert!(is_token(token.as_bytes()));
        for key in [&private, &public] {
            assert!(tokens(vec![key.clone()]).judge(token.as_bytes(), at(NOW)).is_ok(), "{name}");
        }
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(private.sign.as_ref().unwrap(), algorithm).unwrap()).unwrap();
        jwk["kid"] = json!("key-1");
        let set = json!({"keys": [{"kty": "OKP", "crv": "X448", "x": "AA"}, jwk]}).to_string();
        let set = tokens(Key::set(set.as_bytes()).unwrap());
        for (kid, right) in [(None, true), (Some("key-1"), true), (Some("key-2"), false)] {
            let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
            let token = sign(&private, header, &claims(json!({})));
            assert_eq!(set.judge(token.as_bytes(), at(NOW)).is_ok(), right, "{name} {kid:?}");
        }
    }
}

#[test]
fn forged_tokens_are_not_accepted() {
    let secret = Key::secret(SECRET).unwrap();
    let private = Key::pem(&key("rsa.pem")).unwrap();
    let all =
        tokens(vec![secret.clone(), Key::pem(&key("rsa.pub.pem")).unwrap(), Key::pem(&key("p256.pub.pem")).unwrap()]);
    let good = sign(&private, Header::new(Algorithm::RS256), &claims(json!({})));
    assert!(all.judge(good.as_bytes(), at(NOW)).is_ok());
    // The public key taken for a secret, as it is and trimmed.
    let public = key("rsa.pub.pem");
    let confused = [&public[..], public.trim_ascii_end()].map(|bytes| {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(json!({})), &EncodingKey::from_secret(bytes))
            .unwrap()
    });
    let parts: Vec<&str> = good.split('.').collect();
    let none = "eyJhbGciOiJub25lIn0"; // {"alg":"none"}
    let hs384 = jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims(json!({})), secret.sign.as_ref().unwrap());
    let stranger = Key::secret(b"another secret of the same length").unwrap();
    let critical = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
    for (what, token) in [
        ("a public key as secret", confused[0].clone()),
        ("a public key as secret, trimmed", confused[1].clone()),
        ("no algorithm", format!("{none}.{}.", parts[1])),
        ("no algorithm, with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        (
            "another's claims",
            format!(
                "{}.{}.{}",
                parts[0],
                sign(&secret, Header::new(Algorithm::HS256), &claims(json!({"sub": "bob"}))).split('.').nth(1).unwrap(),
                parts[2]
            ),
        ),
        ("an algorithm that the secret does not have", hs384.unwrap()),
        ("another secret", sign(&stranger, Header::new(Algorithm::HS256), &claims(json!({})))),
        ("critical extensions", sign(&secret, critical, &claims(json!({})))),
        ("nothing", "..".into()),
        ("no JSON", "AAAA.AAAA.AAAA".into()),
        ("a part too many", format!("{good}.x")),
    ] {
        assert!(all.judge(token.as_bytes(), at(NOW)).is_err(), "{what}");
    }
    assert!(tokens(vec![]).judge(good.as_bytes(), at(NOW)).is_err());
}

#[test]
fn keys_that_are_none_are_said() {
    assert_eq!(Key::secret(b"short").unwrap_err(), KeyError::ShortSecret(5));
    assert_eq!(Key::secret(&[b'\n'; 40]).unwrap_err(), KeyError::ShortSecret(0));
    assert_eq!(Key::secret(&key("rsa.pem")).unwrap_err(), KeyError::PemAsSecret);
    assert_eq!(Key::pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").unwrap_err(), KeyError::NoPem);
    assert_eq!(
        Key::pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap_err(),
        KeyError::NoPem
    );
    assert_eq!(Key::pem(SECRET).unwrap_err(), KeyError::NoPem);
    assert_eq!(Key::pem(&key("p384.pub.pem")).unwrap_err(), KeyError::NoPem);
    assert!(matches!(Key::set(b"{}").unwrap_err(), KeyError::NoSet(_)));
    assert_eq!(Key::set(br#"{"keys":[]}"#).unwrap_err(), KeyError::EmptySet(0));
    let short = json!({"keys": [{"kty": "oct", "k": "c2hvcnQ"}, {"kty": "oct", "use": "enc", "k": "A".repeat(64)}]});
    assert_eq!(Key::set(short.to_string().as_bytes()).unwrap_err(), KeyError::EmptySet(2));
    assert!(!format!("{:?}", Key::secret(SECRET).unwrap()).contains("0123"), "secrets are not shown");
}

#[test]
fn a_token_is_told_from_a_password() {
    for (password, token) in
        [("eyJhbGciOiJIUzI1NiJ9.e30.AA", true), ("ey.", false), ("a.b.c", false), ("eyJ.e30.p@ss", false)]
    {
        assert_eq!(is_token(password.as_bytes()), token, "{password}");
    }
}
