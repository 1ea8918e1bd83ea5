//! At random: whatever an engine sends, it hears yes only if the rules say yes.

use crate::world::{SECRET, World};
use agent::access::authorize::Rules;
use agent::access::{Identity, Role};
use agent::hooks::engine::{Decision, Engine, Question, Request};
use axum::body::{Body, to_bytes};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use protocol::PeerId;
use serde_json::json;
use url::form_urlencoded::Serializer;

/// Whether an answer says yes, as its engine reads it.
fn says_yes(engine: Engine, status: u16, body: &str) -> bool {
    let json = || serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    match engine {
        // What is neither is yes to nobody, and "ask the next" is as bad.
        Engine::Emqx | Engine::Rmqtt => status != 200 || json()["result"] != "deny",
        Engine::RabbitMq => status == 200 && body != "deny",
        Engine::VerneMq => status != 200 || !json()["result"]["error"].is_string(),
        Engine::Mosquitto => status == 200 || json()["ok"] != false,
    }
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

/// A question in the words of an engine: path, whether it is a form, hook, body.
fn question(engine: Engine, client: &str, publish: bool, topic: &str) -> (String, bool, Option<&'static str>, Vec<u8>) {
    let path = |what: &str| format!("/hooks/{}{what}", engine.name());
    let json = |value: serde_json::Value| value.to_string().into_bytes();
    match engine {
        Engine::Emqx => {
            let action = if publish { "publish" } else { "subscribe" };
            let body = json!({"clientid": client, "username": client, "action": action, "topic": topic});
            (path("/authorize"), false, None, json(body))
        }
        Engine::Rmqtt => {
            let access = if publish { "2" } else { "1" };
            let fields = [("access", access), ("clientid", client), ("username", client), ("topic", topic)];
            (path("/authorize"), true, None, form(&fields))
        }
        Engine::RabbitMq => {
            let key = topic.replace('/', ".").replace('+', "*");
            let fields = [
                ("username", client),
                ("vhost", "/"),
                ("resource", "topic"),
                ("name", "amq.topic"),
                ("permission", if publish { "write" } else { "read" }),
                ("routing_key", &key),
                ("variable_map.client_id", client),
            ];
            (path("/topic"), true, None, form(&fields))
        }
        Engine::VerneMq if publish => {
            let body = json!({"client_id": client, "username": client, "mountpoint": "", "topic": topic});
            (path(""), false, Some("auth_on_publish"), json(body))
        }
        Engine::VerneMq => {
            let topics = json!([{"topic": topic, "qos": 1}]);
            let body = json!({"client_id": client, "username": client, "mountpoint": "", "topics": topics});
            (path(""), false, Some("auth_on_subscribe_m5"), json(body))
        }
        Engine::Mosquitto => {
            let acc = if publish { 2 } else { 4 };
            let body = json!({"clientid": client, "username": client, "topic": topic, "acc": acc});
            (path("/acl"), false, None, json(body))
        }
    }
}

async fn ask(world: &World, engine: Engine, path: &str, is_form: bool, hook: Option<&str>, body: Vec<u8>) -> bool {
    let content_type = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    let mut request = axum::http::Request::post(path)
        .header("authorization", format!("Bearer {SECRET}"))
        .header("content-type", content_type);
    if let Some(hook) = hook {
        request = request.header("vernemq-hook", hook);
    }
    let answer = world.hooks.answer(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    says_yes(engine, status, std::str::from_utf8(&body).unwrap())
}

/// What the rules say of it, with nobody in any room but alice and bob in the lobby.
fn rules_say(client: &str, publish: bool, topic: &str) -> bool {
    let who = Identity { id: PeerId::new(client).unwrap(), role: Role::Peer, grant: None };
    let lobby = |room: &str, from: &str, to: &str| {
        let both = matches!((from, to), ("alice", "bob") | ("bob", "alice"));
        if room == "lobby" && both { Ok(()) } else { Err(String::new()) }
    };
    match publish {
        true => Rules::default().publish(&who, topic, lobby).is_ok(),
        false => Rules::default().subscribe(&who, topic).is_ok(),
    }
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("alice".into()), 4 => Just("bob".into()), 4 => Just("agent".into()), 4 => Just("lobby".into()),
        2 => Just("+".into()), 1 => Just("#".into()), 1 => Just("events".into()), 1 => "[a*%$ \u{ac00}&=]{0,3}",
    ]
}

fn topic() -> impl Strategy<Value = String> {
    let first = prop_oneof![8 => Just("rooms"), 1 => Just("control"), 1 => Just("$share/g/rooms"), 1 => Just("x")];
    let number = prop_oneof![6 => Just(3_usize), 1 => 0..5_usize];
    let levels = number.prop_flat_map(|number| prop::collection::vec(level(), number));
    (first, levels).prop_map(|(first, levels)| [vec![first.to_owned()], levels].concat().join("/"))
}

fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test())
}

#[test]
fn every_engine_hears_what_the_rules_say() {
    run(async || {
        let world = World::with_users().await;
        let mut runner = proptest::test_runner::TestRunner::default();
        let cases = (prop_oneof![Just("alice"), Just("bob")], any::<bool>(), topic());
        let mut heard_yes = 0;
        for _ in 0..1500 {
            let (client, publish, topic) = cases.new_tree(&mut runner).unwrap().current();
            let expected = rules_say(client, publish, &topic);
            for engine in Engine::ALL {
                // A wildcard in a routing key is not what it is in a topic, and a star may have been a plus.
                if engine == Engine::RabbitMq && (topic.contains('*') || publish && topic.contains('+')) {
                    continue;
                }
                let (path, is_form, hook, body) = question(engine, client, publish, &topic);
                let yes = ask(&world, engine, &path, is_form, hook, body).await;
                assert_eq!(yes, expected, "{engine:?}: {client} {publish} {topic:?}");
                heard_yes += usize::from(yes);
            }
        }
        assert!(heard_yes > 100, "most are refused: {heard_yes}");
    });
}

#[test]
fn nothing_broken_is_heard_as_yes() {
    run(async || {
        let world = World::with_users().await;
        let mut runner = proptest::test_runner::TestRunner::default();
        let broken =
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>(), any::<bool>());
        for _ in 0..2000 {
            let (which, at, byte, cut, publish) = broken.new_tree(&mut runner).unwrap().current();
            let engine = Engine::ALL[which.index(Engine::ALL.len())];
            // Refused as it is: broken, it must not become a permission.
            let (path, is_form, hook, mut body) = question(engine, "alice", publish, "rooms/hall/bob/carol");
            let at = at.index(body.len());
            if cut {
                body.truncate(at)
            } else {
                body[at] = byte
            }
            assert!(!ask(&world, engine, &path, is_form, hook, body.clone()).await, "{engine:?} {body:?}");
        }
    });
}

proptest! {
    #[test]
    fn no_bytes_are_more_than_a_question(
        engine in prop::sample::select(&Engine::ALL[..]), what in "[a-z]{0,12}", hook in prop::option::of("[a-z_5]{0,20}"),
        is_form: bool, body in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let request = Request { what: &what, hook: hook.as_deref(), is_form, body: &body };
        let question = engine.read(request);
        let is_act = matches!(question, Ok(Question::Act { ref acts, .. }) if !acts.is_empty());
        prop_assert!(question.is_err() || !is_act || !body.is_empty());
        let answer = engine.answer(request, &Decision::No);
        prop_assert!(!says_yes(engine, answer.status, &answer.body));
        let answer = engine.answer(request, &Decision::May(vec![]));
        prop_assert!(!says_yes(engine, answer.status, &answer.body), "nothing was asked for");
    }
}
