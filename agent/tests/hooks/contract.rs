//! Requests as each engine sends them, recorded or from its documentation, and what it is to be told.

use crate::world::World;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    engine: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "type")]
    content_type: String,
    requests: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    path: String,
    /// If it is another than the fixture's.
    #[serde(rename = "type")]
    content_type: Option<String>,
    hook: Option<String>,
    /// JSON, or a form as text.
    body: Value,
    status: Option<u16>,
    /// JSON, or text.
    answer: Value,
}

async fn answered_as(fixture: &str) {
    let fixture: Fixture = serde_json::from_str(fixture).unwrap();
    let world = World::with_users().await;
    assert!(!fixture.requests.is_empty());
    for asked in &fixture.requests {
        let what = format!("{}: {} {:?} {}", fixture.engine, asked.path, asked.hook, asked.body);
        let body = asked.body.as_str().map_or_else(|| asked.body.to_string(), str::to_owned);
        let content_type = asked.content_type.as_ref().unwrap_or(&fixture.content_type);
        let heard = world.ask(&asked.path, content_type, asked.hook.as_deref(), body.as_bytes()).await;
        assert_eq!(heard.status, asked.status.unwrap_or(200), "{what}");
        match &asked.answer {
            Value::String(text) => assert_eq!(heard.body, *text, "{what}"),
            json => {
                assert_eq!(heard.content_type, "application/json", "{what}");
                assert_eq!(serde_json::from_str::<Value>(&heard.body).unwrap(), *json, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn emqx_is_answered_in_its_words() {
    answered_as(include_str!("fixtures/emqx.json")).await;
}

#[tokio::test]
async fn rmqtt_is_answered_in_its_words() {
    answered_as(include_str!("fixtures/rmqtt.json")).await;
}

#[tokio::test]
async fn rabbitmq_is_answered_in_its_words() {
    answered_as(include_str!("fixtures/rabbitmq.json")).await;
}

#[tokio::test]
async fn vernemq_is_answered_in_its_words() {
    answered_as(include_str!("fixtures/vernemq.json")).await;
}

#[tokio::test]
async fn mosquitto_go_auth_is_answered_in_its_words() {
    answered_as(include_str!("fixtures/mosquitto.json")).await;
}
