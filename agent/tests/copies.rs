//! Three agents over one Redis beside Debian's Mosquitto: who races is told the same as by one agent, and agents that are
//! killed take nothing with them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "copies/figures.rs"]
mod figures;
#[path = "support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;
#[path = "copies/pair.rs"]
mod pair;
#[path = "support/redis.rs"]
mod redis;

use mosquitto::{AGENTS, Client, Mosquitto, PATIENCE, Process};
use pair::{Meeting, Peer};
use protocol::Topic;
use redis::Redis;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RACERS: usize = 10;
const ROOMS: usize = 1000;
/// Rooms that are raced for at the same time.
const RACES: usize = 100;
/// Pairs that meet while agents are killed, and how many at the same time.
const PAIRS: usize = 500;
const PAIRS_AT_ONCE: usize = 50;
/// What the agents are told; short, since a message that an agent had heard when it was killed is lost.
const LEASE: Duration = Duration::from_secs(3);
/// Where nobody renews a lease, and nobody shall lose a seat by it however slow the machine is.
const NO_LEASE_ENDS: Duration = Duration::from_secs(600);
const JOIN: &[u8] = br#"{"type":"join"}"#;

fn racers() -> Vec<String> {
    (0..RACERS).map(|n| format!("racer-{n}")).collect()
}

fn connect(mosquitto: &Mosquitto, peers: &[String]) -> Vec<Client> {
    let connect = |peer: &String| {
        let mut client = Client::connect(mosquitto.port, peer, None);
        assert!(client.subscribe(&format!("rooms/+/{peer}/+")));
        client
    };
    peers.iter().map(connect).collect()
}

/// How agents are started.
struct Agents {
    port: u16,
    flags: Vec<String>,
}

impl Agents {
    fn of(mosquitto: &Mosquitto, redis: &Redis, lease: Duration) -> Self {
        let lease = format!("{}s", lease.as_secs());
        let flags = ["--grace", "1s", "--lease", &lease, "--store", &redis.url()].map(str::to_owned);
        Self { port: mosquitto.port, flags: flags.into() }
    }

    fn at_work(&self, id: &str) -> Process {
        let agent = mosquitto::copy(self.port, id, &self.flags);
        agent.wait_for("agent connected").unwrap();
        agent
    }
}

fn read((topic, payload): &(String, Vec<u8>)) -> Option<(usize, Value)> {
    let Ok(Topic::FromAgent { room, .. }) = Topic::parse(topic) else { return None };
    Some((room.strip_prefix("room-")?.parse().ok()?, serde_json::from_slice(payload).unwrap()))
}

/// The last `rev` that each racer has seen in each room.
type Revs = Vec<BTreeMap<usize, u64>>;

/// The first answer of each of the racers in each of the rooms.
fn race(clients: &mut [Client], revs: &mut Revs, rooms: std::ops::Range<usize>) -> Vec<BTreeMap<String, usize>> {
    for room in rooms.clone() {
        for (n, client) in clients.iter().enumerate() {
            client.post(&format!("rooms/room-{room}/agent/racer-{n}"), false, JOIN);
        }
    }
    let mut counts = vec![BTreeMap::new(); rooms.len()];
    for (n, client) in clients.iter_mut().enumerate() {
        let mut answers = BTreeMap::new();
        while answers.len() < rooms.len() {
            let heard = client.next(PATIENCE).unwrap_or_else(|| panic!("racer-{n} has {} answers", answers.len()));
            let Some((room, message)) = read(&heard) else { continue };
            let (kind, rev) = (message["type"].as_str().unwrap(), message["rev"].as_u64().unwrap());
            // What one agent was slow to say, another one has said again.
            if revs[n].get(&room).is_some_and(|last| rev <= *last) {
                continue;
            }
            revs[n].insert(room, rev);
            if ["created", "joined", "full"].contains(&kind) {
                let first = answers.insert(room, kind.to_owned());
                assert_eq!(first, None, "racer-{n} is answered twice in room-{room}");
            }
        }
        for (room, kind) in answers {
            *counts[room - rooms.start].entry(kind).or_default() += 1;
        }
    }
    counts
}

#[test]
fn of_ten_who_race_to_three_agents_one_creates_one_joins_and_eight_are_told_that_it_is_full() {
    let (redis, peers) = (Redis::start(), racers());
    let mosquitto = Mosquitto::start_for(&peers);
    let agents = Agents::of(&mosquitto, &redis, NO_LEASE_ENDS);
    let _agents = AGENTS.map(|id| agents.at_work(id));
    let mut clients = connect(&mosquitto, &peers);
    let begun = Instant::now();
    let mut revs = vec![BTreeMap::new(); RACERS];
    let wanted = BTreeMap::from([("created".to_owned(), 1), ("joined".to_owned(), 1), ("full".to_owned(), 8)]);
    for begin in (0..ROOMS).step_by(RACES) {
        let rooms = begin..begin + RACES;
        for (room, counts) in rooms.clone().zip(race(&mut clients, &mut revs, rooms)) {
            assert_eq!(counts, wanted, "in room-{room}");
        }
        // The next ones have the agents for themselves.
        for room in begin..begin + RACES {
            for (n, client) in clients.iter().enumerate() {
                client.post(&format!("rooms/room-{room}/agent/racer-{n}"), false, br#"{"type":"leave"}"#);
            }
        }
    }
    println!("{} joins in {:?}", ROOMS * RACERS, begun.elapsed());
}

#[test]
fn agents_are_killed_and_every_pair_meets_and_no_room_has_three_or_stays_full() {
    let (redis, peers) = (Redis::start(), racers());
    let mosquitto = Mosquitto::start_for(&peers);
    let agents = Agents::of(&mosquitto, &redis, LEASE);
    let mut running = AGENTS.map(|id| agents.at_work(id));
    let is_over = AtomicBool::new(false);
    let clients = connect(&mosquitto, &peers);
    let kills = std::thread::scope(|scope| {
        let (is_over, agents, running) = (&is_over, &agents, &mut running);
        let killer = scope.spawn(move || {
            let mut dice = fastrand::Rng::with_seed(8);
            let mut kills = 0;
            while !is_over.load(Ordering::Relaxed) {
                let n = dice.usize(0..running.len());
                running[n].signal("KILL");
                running[n].wait();
                running[n] = agents.at_work(AGENTS[n]);
                kills += 1;
                std::thread::sleep(Duration::from_millis(dice.u64(50..500)));
            }
            (kills, running.iter().map(Process::output).collect::<String>())
        });
        let met = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meet(clients, &peers)));
        is_over.store(true, Ordering::Relaxed);
        let (kills, output) = killer.join().unwrap();
        if let Err(panic) = met {
            println!("{output}");
            std::panic::resume_unwind(panic);
        }
        kills
    });
    println!("{kills} agents killed");
    assert!(kills > 5, "{kills} agents killed");

    let mut operator = Client::connect(mosquitto.port, "operator", None);
    assert!(operator.subscribe("rooms/+"));
    let mut shown = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    let keys = || redis.ask(&["keys", "duet:*:room:*"]);
    while !keys().is_empty() {
        assert!(Instant::now() < deadline, "left in the store: {:?}", keys());
        while let Some((topic, payload)) = operator.next(Duration::from_millis(100)) {
            shown.insert(topic, payload);
        }
    }
    while let Some((topic, payload)) = operator.next(Duration::from_millis(500)) {
        shown.insert(topic, payload);
    }
    shown.retain(|_, payload| !payload.is_empty());
    assert_eq!(shown.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "the broker shows rooms that are gone");
}

/// All pairs, some at a time.
fn meet(clients: Vec<Client>, names: &[String]) {
    let mut peers: Vec<Peer> = clients.into_iter().zip(names).map(|(client, name)| Peer::new(client, name)).collect();
    let mut waiting: Vec<Meeting> = (0..PAIRS).rev().map(Meeting::new).collect();
    let mut going: Vec<Meeting> = Vec::new();
    while !(waiting.is_empty() && going.is_empty()) {
        while going.len() < PAIRS_AT_ONCE
            && let Some(next) = waiting.pop()
        {
            going.push(next);
        }
        for peer in &mut peers {
            peer.hear();
        }
        going.retain_mut(|meeting| !meeting.go_on(&mut peers));
    }
}

#[test]
fn a_store_that_goes_is_waited_for_and_nobody_is_answered_wrongly() {
    let (mut redis, peers) = (Redis::start(), racers());
    let mosquitto = Mosquitto::start_for(&peers[..2]);
    let agent = Agents::of(&mosquitto, &redis, LEASE).at_work(AGENTS[0]);
    let mut clients = connect(&mosquitto, &peers[..2]);
    redis.kill();
    clients[0].post("rooms/room-1/agent/racer-0", false, JOIN);
    agent.wait_for("the store does not answer").unwrap();
    assert_eq!(clients[0].next(Duration::from_millis(500)), None);
    redis.run();
    let (_, answer) = clients[0].next(PATIENCE).as_ref().and_then(read).unwrap();
    assert_eq!(answer["type"], "created");
    agent.wait_for("the store answers again").unwrap();
    assert_eq!(agent.output().matches("the store does not answer").count(), 1, "{}", agent.output());

    // A store that has lost everything begins anew, with later numbers.
    redis.kill();
    redis.run();
    clients[1].post("rooms/room-1/agent/racer-1", false, JOIN);
    let (_, again) = clients[1].next(PATIENCE).as_ref().and_then(read).unwrap();
    assert_eq!(again["type"], "created");
    assert!(again["rev"].as_u64() > answer["rev"].as_u64());
}

#[test]
fn who_says_nothing_any_more_is_lost_when_lease_and_grace_time_have_run_out() {
    let (redis, peers) = (Redis::start(), racers());
    let mosquitto = Mosquitto::start_for(&peers[..2]);
    let agents = Agents::of(&mosquitto, &redis, LEASE);
    let _agents = AGENTS.map(|id| agents.at_work(id));
    let mut clients = connect(&mosquitto, &peers[..2]);
    clients[0].post("rooms/room-1/agent/racer-0", false, JOIN);
    let (_, answer) = clients[0].next(PATIENCE).as_ref().and_then(read).unwrap();
    assert_eq!(answer["lease"], json!(LEASE.as_secs()));
    clients[1].post("rooms/room-1/agent/racer-1", false, JOIN);
    let mut left = 0;
    let begun = Instant::now();
    let mut renewed = begun;
    while begun.elapsed() < LEASE * 2 {
        if renewed.elapsed() > LEASE / 3 {
            clients[0].post("rooms/room-1/agent/racer-0", false, JOIN);
            renewed = Instant::now();
        }
        let heard = clients[0].next(Duration::from_millis(50));
        if let Some((_, message)) = heard.as_ref().and_then(read)
            && message["type"] == "left"
        {
            assert_eq!((&message["peer"], &message["reason"]), (&json!("racer-1"), &json!("lost")));
            assert!(begun.elapsed() >= LEASE, "{:?}", begun.elapsed());
            left += 1;
        }
    }
    assert_eq!(left, 1, "three agents, and one says so");
}

#[test]
fn a_store_is_reached_over_tls_with_a_password_that_nobody_sees() {
    let (redis, peers) = (Redis::start_with_tls(), racers());
    let mosquitto = Mosquitto::start_for(&peers[..1]);
    let mut agents = Agents::of(&mosquitto, &redis, LEASE);
    agents.flags.extend(["--ca-file".into(), redis.keep("ca.pem", &redis.read("store.pem"))]);
    let mut refused = mosquitto::copy(mosquitto.port, AGENTS[0], &agents.flags);
    assert_eq!(refused.wait().code(), Some(1));
    let output = refused.output();
    assert!(output.contains("refuses the agent") && output.contains("--store-password-file"), "{output}");

    agents.flags.extend(["--store-password-file".into(), redis.keep("password", &format!("{}\n", redis::PASSWORD))]);
    let agent = agents.at_work(AGENTS[0]);
    let mut clients = connect(&mosquitto, &peers[..1]);
    clients[0].post("rooms/room-1/agent/racer-0", false, JOIN);
    let (_, answer) = clients[0].next(PATIENCE).as_ref().and_then(read).unwrap();
    assert_eq!(answer["type"], "created");
    assert!(!agent.output().contains(redis::PASSWORD), "{}", agent.output());
}

#[test]
fn an_agent_says_that_its_broker_shares_no_subscriptions() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let broker = std::thread::spawn(move || {
        let (mut agent, _) = listener.accept().unwrap();
        let mut connect = [0; 1024];
        assert!(agent.read(&mut connect).unwrap() > 0);
        // CONNACK: success, and one property, 0x2A: Shared Subscription Available, 0.
        agent.write_all(&[0x20, 5, 0, 0, 2, 0x2A, 0]).unwrap();
        // Until the agent has gone.
        let _ = agent.read_to_end(&mut Vec::new());
    });
    let redis = Redis::start();
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["--broker", &format!("mqtt://{address}"), "--store", &redis.url()])
        .output()
        .unwrap();
    broker.join().unwrap();
    let said = String::from_utf8_lossy(&program.stderr).into_owned();
    assert!(
        !program.status.success() && said.contains("no shared subscriptions") && said.contains("--mqtt 3"),
        "{said}"
    );
}
