//! The configuration that is shipped for each engine: it can be read, asks at paths that there are, for what is
//! understood there, and is closed where the engine itself would be open.

use agent::hooks::engine::{Engine, Request};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn shipped(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/engines").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is behind `/hooks/` in a text, without the query.
fn paths(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '?' | '\'');
    let rest = text.match_indices("/hooks/").map(|(at, _)| &text[at..]);
    rest.map(|rest| rest[..rest.find(ends).unwrap_or(rest.len())].to_owned()).collect()
}

/// Whether something is asked for at a path: an empty question is refused for being empty, not for being none.
fn is_asked(path: &str, hook: Option<&str>) -> bool {
    let Some((engine, what)) = Engine::at(path) else { return false };
    let is_form = engine == Engine::RabbitMq;
    let why = engine.read(Request { what, hook, is_form, body: b"" }).unwrap_err();
    !why.contains(" asks ") && !why.contains("header")
}

/// `key = value` or `key value`, without comments.
fn lines(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: Vec<_> = lines
        .map(|line| {
            let (key, value) = line.split_once([' ', '=']).unwrap_or_else(|| panic!("no setting: {line}"));
            (key.trim().to_owned(), value.trim().trim_start_matches('=').trim().to_owned())
        })
        .collect();
    let number = pairs.len();
    let settings: BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(settings.len(), number, "a key comes twice");
    settings
}

#[test]
fn every_path_that_is_asked_at_is_there() {
    for (name, number) in [
        ("emqx/duet.hocon", 3),
        ("rmqtt/rmqtt-auth-http.toml", 2),
        ("rmqtt/rmqtt-web-hook.toml", 1),
        ("rabbitmq/rabbitmq.conf", 4),
        ("mosquitto-go-auth/mosquitto.conf", 2),
    ] {
        let paths = paths(&shipped(name));
        assert_eq!(paths.len(), number, "{name}: {paths:?}");
        for path in paths {
            assert!(is_asked(&path, None), "{name}: {path}");
        }
    }
}

#[test]
fn emqx_sends_what_is_read_and_is_closed_where_nobody_decides() {
    let text = shipped("emqx/duet.hocon");
    for (what, fields) in [
        ("authenticate", &["clientid", "username", "password", "peerhost"][..]),
        ("authorize", &["clientid", "username", "action", "topic"]),
    ] {
        let rest = &text[text.find(&format!("/hooks/emqx/{what}")).unwrap()..];
        let body = &rest[rest.find("body {").unwrap()..];
        let mut sent = serde_json::Map::new();
        for line in body.lines().skip(1).take_while(|line| line.trim() != "}") {
            let (name, value) = line.split_once('=').unwrap();
            assert_eq!(value.trim(), format!("\"${{{}}}\"", name.trim()));
            sent.insert(name.trim().into(), if name.trim() == "action" { "publish".into() } else { "x".into() });
        }
        assert_eq!(
            sent.keys().collect::<Vec<_>>(),
            fields.iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
        let body = serde_json::to_vec(&sent).unwrap();
        Engine::Emqx.read(Request { what, hook: None, is_form: false, body: &body }).unwrap();
    }
    for closed in ["no_match = deny", "cache { enable = false }", "enable_pipelining = 1"] {
        assert!(text.contains(closed), "{closed}");
    }
    let (opened, ended) = (text.matches(['{', '[']).count(), text.matches(['}', ']']).count());
    assert_eq!(opened, ended, "brackets");
}

#[test]
fn rmqtt_sends_what_is_read_and_is_closed_where_nobody_decides() {
    let auth: toml_edit::DocumentMut = shipped("rmqtt/rmqtt-auth-http.toml").parse().unwrap();
    for (request, what) in [("http_auth_req", "authenticate"), ("http_acl_req", "authorize")] {
        let params = auth[request]["params"].as_inline_table().unwrap();
        let form = params.iter().map(|(name, value)| match value.as_str().unwrap() {
            "%A" => format!("{name}=1"),
            _ => format!("{name}=x"),
        });
        let form = form.collect::<Vec<_>>().join("&");
        Engine::Rmqtt.read(Request { what, hook: None, is_form: true, body: form.as_bytes() }).unwrap();
        let content_type = auth[request]["headers"]["content-type"].as_str();
        assert_eq!(content_type, Some("application/x-www-form-urlencoded"));
    }
    assert_eq!(auth["deny_if_error"].as_bool(), Some(true));
    assert_eq!(auth["disconnect_if_expiry"].as_bool(), Some(true));
    let acl: toml_edit::DocumentMut = shipped("rmqtt/rmqtt-acl.toml").parse().unwrap();
    let last = acl["rules"].as_array().unwrap().iter().last().unwrap();
    assert_eq!(last.to_string().trim(), r#"["deny", "all"]"#);
    let hook: toml_edit::DocumentMut = shipped("rmqtt/rmqtt-web-hook.toml").parse().unwrap();
    assert!(hook["rule"]["client_disconnected"].is_array());
}

#[test]
fn vernemq_asks_for_what_is_answered_and_asks_nobody_else() {
    let settings = lines(&shipped("vernemq/vernemq.conf"));
    let hooks: Vec<_> = settings.iter().filter(|(key, _)| key.ends_with(".hook")).collect();
    assert_eq!(hooks.len(), 8);
    for (key, hook) in hooks {
        let endpoint = &settings[&key.replace(".hook", ".endpoint")];
        let path = &paths(endpoint)[0];
        assert!(is_asked(path, Some(hook)), "{hook} at {path}");
    }
    for (key, value) in [
        ("allow_anonymous", "off"),
        ("plugins.vmq_passwd", "off"),
        ("plugins.vmq_acl", "off"),
        ("plugins.vmq_webhooks", "on"),
        ("allow_multiple_sessions", "off"),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
}

#[test]
fn mosquitto_and_rabbitmq_ask_nobody_else() {
    let mosquitto = lines(&shipped("mosquitto-go-auth/mosquitto.conf"));
    for (key, value) in [
        ("allow_anonymous", "false"),
        ("auth_opt_backends", "http"),
        ("auth_opt_cache", "false"),
        ("auth_opt_disable_superuser", "true"),
    ] {
        assert_eq!(mosquitto[key], value, "{key}");
    }
    let rabbitmq = lines(&shipped("rabbitmq/rabbitmq.conf"));
    for (key, value) in
        [("auth_backends.1", "http"), ("auth_http.http_method", "post"), ("mqtt.allow_anonymous", "false")]
    {
        assert_eq!(rabbitmq[key], value, "{key}");
    }
    assert!(!rabbitmq.contains_key("auth_backends.2"));
}
