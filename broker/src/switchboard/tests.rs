//! What the switchboard does while the notice of a connection's end is on its way to the agent, and another
//! connection of the same peer is there already.

use super::dispatch::Now;
use super::*;
use crate::frame::Frame;
use agent::rooms::Config;
use protocol::Timestamp;

const JOIN: &str = r#"{"type":"join"}"#;

struct Scene {
    switchboard: Switchboard,
    pool: Arc<Pool>,
    now: Now,
}

impl Scene {
    fn new() -> Self {
        let rooms = Arc::new(RwLock::new(Rooms::new(Config::default())));
        let limits = crate::config::default_limits();
        let pool = Pool::new(limits.max_waiting);
        let switchboard = Switchboard::new(rooms, &limits, &pool, Default::default());
        Self { switchboard, pool, now: Now { instant: Instant::now(), wall: Timestamp::from_millis(1_000_000) } }
    }

    fn connect(&mut self, id: &str) -> Arc<Outbox> {
        self.connect_as(Role::Peer, id, &format!("rooms/+/{id}/+"))
    }

    fn connect_as(&mut self, role: Role, id: &str, filter: &str) -> Arc<Outbox> {
        let id = PeerId::new(id).unwrap();
        let outbox = Outbox::new(&self.pool);
        let who = Identity { id: id.clone(), role, grant: None };
        let welcome = self.switchboard.connect(&who, &outbox, true, false, self.now.instant);
        assert!(matches!(welcome, Welcome::In { resumed: None }));
        let filter = filter.into();
        self.switchboard.subscribe(&id, Subscription { filter, qos: Qos::AtLeastOnce, ..Subscription::default() });
        outbox
    }

    fn say(&mut self, topic: &str, payload: &str) {
        let message = Message::own(topic.into(), payload.into(), Qos::AtLeastOnce);
        self.switchboard.handle(Frame::Publish(message), self.now);
    }
}

/// The payloads that wait, without `rev`, which has a test elsewhere.
fn waiting(outbox: &Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.take_if(|_| true))
        .map(|delivery| {
            let text = String::from_utf8_lossy(&delivery.message.payload).into_owned();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn a_new_connection_hears_nothing_that_was_meant_for_the_one_before() {
    let mut scene = Scene::new();
    let (first, bob) = (scene.connect("alice"), scene.connect("bob"));
    scene.say("rooms/lobby/agent/alice", JOIN);
    scene.say("rooms/lobby/agent/bob", JOIN);
    assert_eq!((waiting(&first), waiting(&bob)), (vec!["created".into(), "arrived".into()], vec!["joined".into()]));
    scene.say("rooms/lobby/alice/bob", r#"{"type":"1"}"#);
    let alice = PeerId::new("alice").unwrap();
    scene.switchboard.disconnect(&alice, &first, None, []);
    let second = scene.connect("alice");
    // On their way when the connection ended: a signal, and a join of the first connection.
    scene.say("rooms/lobby/alice/bob", r#"{"type":"2"}"#);
    scene.say("rooms/lobby/agent/alice", JOIN);
    assert_eq!(waiting(&second), [""; 0]);
    scene.switchboard.handle(Frame::Ended { client: alice.clone(), lost: true }, scene.now);
    scene.say("rooms/lobby/alice/bob", r#"{"type":"3"}"#);
    assert_eq!(waiting(&second), [""; 0]);
    scene.say("rooms/lobby/agent/alice", JOIN);
    scene.say("rooms/lobby/alice/bob", r#"{"type":"4"}"#);
    assert_eq!(waiting(&second), ["created", "1", "2", "3", "4"]);
    assert_eq!(waiting(&bob), [""; 0]);
}

#[test]
fn what_was_kept_waits_for_a_join_of_the_connection_that_is_there() {
    let mut scene = Scene::new();
    let (first, _bob) = (scene.connect("alice"), scene.connect("bob"));
    let alice = PeerId::new("alice").unwrap();
    scene.say("rooms/lobby/agent/alice", JOIN);
    scene.say("rooms/lobby/agent/bob", JOIN);
    let end =
        |scene: &mut Scene| scene.switchboard.handle(Frame::Ended { client: alice.clone(), lost: true }, scene.now);
    waiting(&first);
    scene.switchboard.disconnect(&alice, &first, None, []);
    end(&mut scene);
    scene.say("rooms/lobby/alice/bob", r#"{"type":"kept"}"#);
    // A connection joins and ends at once; its join is handled when the next one is there.
    let second = scene.connect("alice");
    scene.switchboard.disconnect(&alice, &second, None, []);
    let third = scene.connect("alice");
    scene.say("rooms/lobby/agent/alice", JOIN);
    end(&mut scene);
    assert_eq!(waiting(&third), [""; 0]);
    scene.say("rooms/lobby/agent/alice", JOIN);
    assert_eq!(waiting(&third), ["created", "kept"]);
}

#[test]
fn what_an_operator_was_shown_and_not_sent_goes_with_it() {
    let mut scene = Scene::new();
    let (alice, _bob) = (scene.connect("alice"), scene.connect("bob"));
    let watcher = scene.connect_as(Role::Operator, "watcher", "rooms/#");
    scene.say("rooms/lobby/agent/alice", JOIN);
    scene.say("rooms/lobby/agent/bob", JOIN);
    let [alice_id, watcher_id] = ["alice", "watcher"].map(|id| PeerId::new(id).unwrap());
    waiting(&alice);
    scene.switchboard.disconnect(&alice_id, &alice, None, []);
    scene.switchboard.handle(Frame::Ended { client: alice_id.clone(), lost: true }, scene.now);
    scene.say("rooms/lobby/alice/bob", r#"{"type":"kept"}"#);
    // Sent, and not acknowledged.
    let copies: Vec<_> = std::iter::from_fn(|| watcher.take_if(|_| true)).map(|delivery| delivery.message).collect();
    assert!(copies.iter().any(|copy| copy.topic() == "rooms/lobby/alice/bob"));
    scene.switchboard.disconnect(&watcher_id, &watcher, None, copies);
    scene.switchboard.handle(Frame::Ended { client: watcher_id, lost: true }, scene.now);
    assert_eq!(scene.switchboard.held.waiting(), 1, "what is kept for alice, and nothing for the operator");
}
