//! Requests that are no questions: each is answered with no, in the words of its engine, for another status or another
//! text would be a yes to some.

use crate::world::{SECRET, World};
use agent::hooks::MAX_BODY;
use agent::hooks::engine::{Decision, Engine, Request};
use agent::service::status::{Status, StoreStatus};
use serde_json::json;
use std::time::Duration;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// What `engine` is told when the answer is no.
fn no(engine: Engine) -> (u16, String) {
    let request = Request { what: "", hook: None, is_form: false, body: &[] };
    let answer = engine.answer(request, &Decision::No);
    (answer.status, answer.body)
}

/// Each engine's first question.
fn path(engine: Engine) -> &'static str {
    match engine {
        Engine::Emqx => "/hooks/emqx/authenticate",
        Engine::Rmqtt => "/hooks/rmqtt/authenticate",
        Engine::RabbitMq => "/hooks/rabbitmq/user",
        Engine::VerneMq => "/hooks/vernemq",
        Engine::Mosquitto => "/hooks/mosquitto/user",
    }
}

#[tokio::test]
async fn no_is_said_in_the_words_of_each_engine() {
    for (engine, status, body) in [
        (Engine::Emqx, 200, json!({"result": "deny"}).to_string()),
        (Engine::Rmqtt, 200, json!({"result": "deny", "superuser": false}).to_string()),
        (Engine::RabbitMq, 200, "deny".into()),
        (Engine::VerneMq, 200, json!({"result": {"error": "not_allowed"}}).to_string()),
        (Engine::Mosquitto, 403, json!({"ok": false, "error": "not allowed"}).to_string()),
    ] {
        assert_eq!(no(engine), (status, body), "{engine:?}");
    }
}

#[tokio::test]
async fn broken_questions_are_answered_with_no() {
    let world = World::with(|access, _| access.anonymous = true).await;
    let huge = format!("{{\"clientid\":\"zoe\",\"client_id\":\"zoe\",\"more\":\"{}\"}}", "x".repeat(MAX_BODY));
    let huge_form = format!("clientid=zoe&client_id=zoe&more={}", "x".repeat(MAX_BODY));
    for engine in Engine::ALL {
        for (content_type, hook, body) in [
            (JSON, Some("auth_on_register"), ""),
            (JSON, Some("auth_on_register"), "{"),
            (JSON, Some("auth_on_register"), "null"),
            (JSON, Some("auth_on_register"), "[]"),
            (JSON, Some("auth_on_register"), "{}"),
            (JSON, Some("auth_on_register"), r#"{"clientid": 7, "client_id": 7}"#),
            (JSON, Some("auth_on_register"), r#"{"clientid":"a","clientid":"b","client_id":"a","client_id":"b"}"#),
            (JSON, Some("auth_on_register"), &huge),
            (JSON, Some("next"), r#"{"clientid":"zoe","client_id":"zoe"} and more"#),
            (JSON, None, "\u{0}"),
            (FORM, Some("auth_on_register"), ""),
            (FORM, Some("auth_on_register"), "&&&=&=="),
            (FORM, Some("auth_on_register"), "clientid=a&clientid=b&client_id=a&client_id=b"),
            (FORM, Some("auth_on_register"), "clientid=%ff&client_id=%ff&username=%fe"),
            (FORM, Some("auth_on_register"), &huge_form),
            ("", None, "clientid=zoe"),
        ] {
            let heard = world.ask(path(engine), content_type, hook, body.as_bytes()).await;
            let what = format!("{engine:?} {content_type} {hook:?} {}", &body[..body.len().min(80)]);
            assert_eq!((heard.status, heard.body), no(engine), "{what}");
        }
        for what in ["nothing", "superuser", "", "authenticate/x", "..%2f"] {
            let path = format!("/hooks/{}/{what}", engine.name());
            let heard = world.ask(&path, JSON, None, br#"{"username":"zoe"}"#).await;
            assert_eq!((heard.status, heard.body), no(engine), "{path}");
        }
    }
    let figures = world.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"").await.body;
    assert!(figures.contains("duet_hooks_answers_total{engine=\"emqx\",result=\"allow\"} 0\n"), "{figures}");
    assert!(!figures.contains("duet_hooks_malformed_total 0\n"), "{figures}");
}

#[tokio::test]
async fn who_does_not_show_the_secret_asks_in_vain() {
    let world = World::with(|access, _| access.anonymous = true).await;
    let body = json!({"clientid": "zoe", "username": "", "password": ""}).to_string();
    let (right, wrong) = (SECRET.replace(' ', "%20"), "what+engines+shoe");
    let basic = |password: &str| {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.encode(format!("duet:{password}"))
    };
    for (method, query, authorization, yes) in [
        ("POST", String::new(), format!("Authorization: Bearer {SECRET}\r\n"), true),
        ("POST", String::new(), format!("authorization: bearer {SECRET}\r\n"), true),
        ("PUT", String::new(), format!("Authorization: Bearer {SECRET}\r\n"), true),
        ("POST", String::new(), format!("Authorization: Basic {}\r\n", basic(SECRET)), true),
        ("POST", format!("?secret={right}"), String::new(), true),
        ("POST", String::new(), String::new(), false),
        ("POST", String::new(), "Authorization: Bearer\r\n".into(), false),
        ("POST", String::new(), "Authorization: Bearer what engines sho\r\n".into(), false),
        ("POST", String::new(), format!("Authorization: Basic {}\r\n", basic("x")), false),
        ("POST", String::new(), "Authorization: Basic %%%\r\n".into(), false),
        ("POST", String::new(), "Authorization: Digest x\r\n".into(), false),
        ("POST", format!("?secret={wrong}"), String::new(), false),
        ("POST", format!("?secret={right}"), "Authorization: Bearer x\r\n".into(), false),
        ("GET", String::new(), format!("Authorization: Bearer {SECRET}\r\n"), false),
        ("DELETE", String::new(), format!("Authorization: Bearer {SECRET}\r\n"), false),
    ] {
        let head = format!(
            "{method} /hooks/emqx/authenticate{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\
             Content-Type: {JSON}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let heard = world.send(&head, body.as_bytes()).await;
        assert_eq!(heard.status, 200);
        let result = serde_json::from_str::<serde_json::Value>(&heard.body).unwrap()["result"].clone();
        assert_eq!(result, if yes { "allow" } else { "deny" }, "{method} {query} {authorization}");
    }
}

#[tokio::test]
async fn probes_are_answered_and_nothing_else_is_there() {
    let world = World::with_users().await;
    let get = async |path: &str| {
        world.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), b"").await
    };
    for (path, status) in [("/healthz", 200), ("/readyz", 503), ("/metrics", 200), ("/status", 200)] {
        assert_eq!(get(path).await.status, status, "{path}");
    }
    world.pulse.connected(true);
    assert_eq!(get("/readyz").await.status, 200);
    world.pulse.connected(false);
    assert_eq!(get("/readyz").await.status, 503, "of no use without its broker");
    for path in ["/", "/hooks", "/hooks/", "/hooks/hivemq/authenticate", "/mqtt"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn who_asks_hears_how_the_agent_is_doing_in_json_and_for_prometheus() {
    let world = World::with_users().await;
    let get = async |path: &str| {
        world.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), b"").await.body
    };
    world.pulse.connected(true);
    world.pulse.heard();
    world.pulse.asked(Duration::from_micros(1_500), true);
    world.pulse.asked(Duration::from_micros(500), false);
    assert!(!world.enters("alice", "alice", "wrong").await);
    let status: Status = serde_json::from_str(&get("/status").await).unwrap();
    let store = StoreStatus { kind: "redis".into(), answers: false, requests: 2, failures: 1, micros: 2_000 };
    let expected = Status {
        agent: "agent".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        uptime: status.uptime,
        connected: true,
        heard: 1,
        allowed: 0,
        denied: 1,
        store,
    };
    assert_eq!(status, expected);
    let metrics = get("/metrics").await;
    for line in [
        "duet_agent_connected 1",
        "duet_agent_heard_total 1",
        "duet_agent_store_up 0",
        "duet_agent_store_requests_total 2",
        "duet_agent_store_failures_total 1",
        "duet_agent_store_seconds_total 0.002",
        "duet_hooks_answers_total{engine=\"emqx\",result=\"deny\"} 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    world.pulse.asked(Duration::ZERO, true);
    let status: Status = serde_json::from_str(&get("/status").await).unwrap();
    assert!(status.store.answers, "it answers again");
}
