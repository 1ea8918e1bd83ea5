//! Requests that are no questions: each is answered with no, in the words of its engine, for another status or another
//! text would be a yes to some.

use crate::world::{SECRET, World};
use agent::hooks::MAX_BODY;
use agent::hooks::engine::{Decision, Engine, Request};
use serde_json::json;

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
        world.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), b"").await.status
    };
    assert_eq!((get("/healthz").await, get("/readyz").await, get("/metrics").await), (200, 503, 200));
    world.hooks.listening().set();
    assert_eq!(get("/readyz").await, 200);
    for path in ["/", "/hooks", "/hooks/", "/hooks/hivemq/authenticate", "/mqtt"] {
        assert_eq!(get(path).await, 404, "{path}");
    }
}
