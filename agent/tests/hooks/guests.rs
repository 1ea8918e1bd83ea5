//! Who is let in, what is remembered of it, and what becomes of those who go.

use crate::world::{JWT_SECRET, OWN_PASSWORD, PASSWORD, World, now};
use agent::access::authenticate::tokens::{Audience, Claims, Key};
use serde_json::json;

fn token(sub: &str, rooms: &[&str], seconds: f64) -> String {
    let claims = Claims {
        sub: Some(sub.into()),
        exp: Some(now().as_millis() as f64 / 1000.0 + seconds),
        aud: Some(Audience::One("duet".into())),
        rooms: Some(rooms.iter().map(|room| (*room).to_owned()).collect()),
        ..Claims::default()
    };
    Key::secret(JWT_SECRET.as_bytes()).unwrap().sign(&claims).unwrap()
}

#[tokio::test]
async fn a_token_opens_what_it_says_and_an_engine_is_told_its_end() {
    let world = World::with_tokens().await;
    let good = token("cam", &["front"], 3600.0);
    let body = json!({"clientid": "cam", "username": "token", "password": good});
    let answer = world.emqx("authenticate", body).await;
    assert_eq!(answer["result"], "allow");
    assert!(answer["expire_at"].as_u64().unwrap() * 1000 > now().as_millis());
    assert!(world.may("cam", "token", "publish", "rooms/front/agent/cam").await);
    assert!(world.may("cam", "token", "subscribe", "rooms/+/cam/+").await);
    assert!(!world.may("cam", "token", "publish", "rooms/lobby/agent/cam").await, "its rights do not open it");
    assert!(!world.may("cam", "other", "publish", "rooms/front/agent/cam").await, "another user name");
    assert!(!world.enters("cam2", "token", &good).await, "for another client id");
    assert!(!world.enters("cam", "token", &token("cam", &["*"], -1.0)).await, "its time is over");
}

#[tokio::test]
async fn a_token_ends_what_it_opened() {
    let world = World::with_tokens().await;
    // Signed with a fraction of a second, so nobody has to wait for long.
    let claims = token("cam", &["*"], 1.5);
    assert!(world.enters("cam", "token", &claims).await);
    assert!(world.may("cam", "token", "publish", "rooms/front/agent/cam").await);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.may("cam", "token", "publish", "rooms/front/agent/cam").await {
        assert!(tokio::time::Instant::now() < deadline, "it never ends");
    }
}

#[tokio::test]
async fn who_is_not_known_may_nothing_where_tokens_say_what_one_may() {
    let world = World::with_tokens().await;
    for (client, user) in [("alice", "alice"), ("cam", "token"), ("zoe", "")] {
        assert!(!world.may(client, user, "subscribe", &format!("rooms/+/{client}/+")).await, "{client}");
    }
    // A token's bearer does not get, by a name beside it, what the user of that name may.
    assert!(world.enters("alice", "alice", &token("alice", &["front"], 3600.0)).await);
    assert!(!world.may("alice", "alice", "publish", "rooms/lobby/agent/alice").await);
}

#[tokio::test]
async fn users_are_known_by_name_to_an_agent_that_has_just_begun() {
    let world = World::with_users().await;
    assert!(world.may("alice:tab", "alice", "publish", "rooms/lobby/agent/alice:tab").await);
    assert!(!world.may("bob", "alice", "publish", "rooms/lobby/agent/bob").await);
    assert!(!world.may("zoe", "", "publish", "rooms/lobby/agent/zoe").await, "nobody is anonymous here");
    assert!(!world.may("zoe", "zoe", "publish", "rooms/lobby/agent/zoe").await, "no such user");
}

#[tokio::test]
async fn a_user_that_is_taken_out_of_the_file_may_nothing_more() {
    let world = World::with_users().await;
    assert!(world.enters("alice", "alice", PASSWORD).await);
    assert!(world.may("alice", "alice", "publish", "rooms/lobby/bob/alice").await);
    std::fs::write(world.folder.path().join("users.toml"), "[bob]\nrooms = [\"*\"]\n").unwrap();
    world.login.reload().unwrap();
    assert!(!world.may("alice", "alice", "publish", "rooms/lobby/bob/alice").await);
}

#[tokio::test]
async fn signals_pass_between_those_who_are_in_the_room_now() {
    let world = World::with_users().await;
    assert!(world.may("alice", "alice", "publish", "rooms/lobby/bob/alice").await);
    for (client, topic) in [
        ("alice", "rooms/lobby/alice/alice"),
        ("alice", "rooms/lobby/guest/alice"),
        ("alice", "rooms/hall/bob/alice"),
        ("guest", "rooms/lobby/alice/guest"),
    ] {
        assert!(!world.may(client, client, "publish", topic).await, "{client} to {topic}");
    }
    world.join("hall", "alice");
    world.join("hall", "guest");
    assert!(world.may("guest", "guest", "publish", "rooms/hall/alice/guest").await);
}

#[tokio::test]
async fn who_may_join_but_not_create_waits_for_somebody() {
    let world = World::with_users().await;
    assert!(!world.may("guest", "guest", "publish", "rooms/hall/agent/guest").await);
    world.join("hall", "alice");
    assert!(world.may("guest", "guest", "publish", "rooms/hall/agent/guest").await);
    assert!(!world.may("guest", "guest", "publish", "rooms/attic/agent/guest").await);
}

#[tokio::test]
async fn operators_read_everything_and_order_and_are_no_superusers() {
    let world = World::with_users().await;
    let body = json!({"clientid": "olga", "username": "olga", "password": PASSWORD});
    assert_eq!(world.emqx("authenticate", body).await, json!({"result": "allow", "is_superuser": false}));
    assert!(world.may("olga", "olga", "subscribe", "rooms/#").await);
    assert!(world.may("olga", "olga", "publish", "control/lobby").await);
    assert!(!world.may("olga", "olga", "publish", "rooms/lobby/alice/agent").await);
    assert!(!world.may("alice", "alice", "publish", "control/lobby").await);
}

#[tokio::test]
async fn nobody_is_the_agent_but_by_its_password() {
    let world = World::with_tokens().await;
    assert!(world.enters("agent-2", "agent", OWN_PASSWORD).await);
    for (client, user, password) in [
        ("agent", "agent", ""),
        ("agent", "agent", PASSWORD),
        ("agent", "agent", &token("agent2", &["*"], 60.0)),
        ("alice", "agent", &token("alice", &["*"], 60.0)),
        ("agent", "alice", PASSWORD),
        ("agent-2", "token", &token("agent-2", &["*"], 60.0)),
    ] {
        assert!(!world.enters(client, user, password).await, "{client} as {user}");
    }
    for (action, topic, may) in [
        ("subscribe", "$share/duet/rooms/+/agent/+", true),
        ("subscribe", "$share/duet/control/+", true),
        ("subscribe", "rooms/+", true),
        ("subscribe", "$SYS/brokers/+/clients/+/disconnected", true),
        ("subscribe", "#", false),
        ("subscribe", "$share/duet/#", false),
        ("subscribe", "rooms/+/alice/+", false),
        ("publish", "rooms/lobby/alice/agent", true),
        ("publish", "rooms/lobby", true),
        ("publish", "rooms/lobby/events", true),
        ("publish", "rooms/lobby/bob/alice", false),
        ("publish", "rooms/lobby/agent/alice", false),
        ("publish", "control/lobby", false),
        ("publish", "anything", false),
    ] {
        assert_eq!(world.may("agent-2", "agent", action, topic).await, may, "{action} {topic}");
    }
}

#[tokio::test]
async fn nobody_gets_the_client_id_of_somebody_else_who_is_in_a_room() {
    let world = World::with_tokens().await;
    assert!(world.enters("alice", "alice", PASSWORD).await);
    assert!(!world.enters("alice", "token", &token("alice", &["*"], 60.0)).await, "alice is in the lobby");
    assert!(world.enters("alice", "alice", PASSWORD).await, "and comes back herself");
    world.emqx("event", json!({"event": "client.disconnected", "clientid": "alice", "reason": "normal"})).await;
    assert!(world.enters("alice", "token", &token("alice", &["*"], 60.0)).await, "she has left");
}

#[tokio::test]
async fn without_users_and_keys_those_on_this_machine_come_in_and_nobody_else() {
    let world = World::with(|access, _| access.anonymous = true).await;
    for (client, from, result) in [("zoe", "127.0.0.1", "allow"), ("yan", "::1", "allow"), ("xia", "192.0.2.1", "deny")]
    {
        let body = json!({"clientid": client, "username": "", "password": "", "peerhost": from});
        assert_eq!(world.emqx("authenticate", body).await["result"], result, "{client} from {from}");
    }
    assert!(world.may("zoe", "", "publish", "rooms/hall/agent/zoe").await);
    assert!(!world.may("zoe", "zoe", "publish", "rooms/hall/agent/zoe").await, "a name that nobody has");
    let operator = std::fs::read_to_string(world.folder.path().join("operator.token")).unwrap();
    assert!(world.enters("watch", "operator", operator.trim()).await);
    assert!(!world.enters("watch", "operator", "0000").await);
}

#[tokio::test]
async fn those_who_go_leave_their_seat_away_or_free() {
    let world = World::with_users().await;
    let gone =
        |client: &str, reason: &str| json!({"event": "client.disconnected", "clientid": client, "reason": reason});
    for reason in ["takenover", "discarded"] {
        world.emqx("event", gone("alice", reason)).await;
        assert!(world.rooms.lock().is_member("lobby", "alice") && !world.rooms.lock().is_away("lobby", "alice"));
    }
    world.emqx("event", gone("alice", "keepalive_timeout")).await;
    assert!(world.rooms.lock().is_away("lobby", "alice"));
    world.emqx("event", gone("alice", "normal")).await;
    assert!(!world.rooms.lock().is_member("lobby", "alice"));

    let web_hook = |reason: &str| {
        json!({"action": "client_disconnected", "clientid": "bob", "username": "bob", "reason": reason}).to_string()
    };
    for (reason, away, member) in
        [("Kicked", false, true), ("KeepaliveTimeout", true, true), ("Disconnect", false, false)]
    {
        world.ask("/hooks/rmqtt/event", "application/json", None, web_hook(reason).as_bytes()).await;
        let rooms = world.rooms.lock();
        assert_eq!((rooms.is_away("lobby", "bob"), rooms.is_member("lobby", "bob")), (away, member), "{reason}");
    }
}

#[tokio::test]
async fn an_engine_that_does_not_say_who_took_a_place_is_not_believed_while_the_newcomer_is_new() {
    let world = World::with_users().await;
    assert!(world.enters("alice", "alice", PASSWORD).await);
    for (client, away) in [("alice", false), ("bob", true)] {
        let body = json!({"mountpoint": "", "client_id": client}).to_string();
        world.ask("/hooks/vernemq", "application/json", Some("on_client_offline"), body.as_bytes()).await;
        assert_eq!(world.rooms.lock().is_away("lobby", client), away, "{client}");
    }
}

#[tokio::test]
async fn rabbitmq_opens_nothing_but_ones_own_queue_and_the_exchange_of_mqtt() {
    let world = World::with_users().await;
    let form = "application/x-www-form-urlencoded";
    for (what, body, answer) in [
        ("user", "username=alice&password=s3cret&vhost=%2F", "deny"), // over AMQP
        ("user", "username=alice&password=s3cret&vhost=%2F&client_id=", "deny"),
        ("user", "username=olga&password=s3cret&vhost=%2F&client_id=olga", "allow monitoring"),
        ("vhost", "username=alice&vhost=%2F&ip=127.0.0.1", "deny"),
        ("vhost", "username=stranger&vhost=%2F&ip=127.0.0.1&client_id=stranger", "deny"),
        (
            "resource",
            "username=alice&client_id=alice&resource=queue&name=mqtt-subscription-aliceqos0&permission=read",
            "allow",
        ),
        (
            "resource",
            "username=alice&client_id=alice&resource=queue&name=mqtt-subscription-bobqos1&permission=read",
            "deny",
        ),
        ("resource", "username=alice&client_id=alice&resource=queue&name=other&permission=configure", "deny"),
        ("resource", "username=alice&client_id=alice&resource=exchange&name=amq.topic&permission=configure", "deny"),
        ("resource", "username=alice&client_id=alice&resource=exchange&name=amq.direct&permission=write", "deny"),
        (
            "topic",
            "username=alice&resource=topic&name=other&permission=write&routing_key=rooms.lobby.bob.alice&variable_map.client_id=alice",
            "deny",
        ),
        (
            "topic",
            "username=alice&resource=topic&name=amq.topic&permission=write&routing_key=rooms.lobby.bob.alice",
            "deny",
        ),
    ] {
        let heard = world.ask(&format!("/hooks/rabbitmq/{what}"), form, None, body.as_bytes()).await;
        assert_eq!(heard.body, answer, "{what} {body}");
    }
}

#[tokio::test]
async fn a_star_in_a_routing_key_is_a_wildcard_and_nobodys_name() {
    let world = World::with(|access, _| access.anonymous = true).await;
    let form = "application/x-www-form-urlencoded";
    for (key, answer) in [("rooms.*.*.*", "deny"), ("rooms.*.zoe.*", "deny"), ("rooms.lobby.agent.*", "deny")] {
        let body = format!(
            "resource=topic&name=amq.topic&permission=read&routing_key={key}&variable_map.client_id=*&username="
        );
        let heard = world.ask("/hooks/rabbitmq/topic", form, None, body.as_bytes()).await;
        assert_eq!(heard.body, answer, "{key} for the peer *");
    }
}
