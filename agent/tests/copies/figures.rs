//! What a join costs: how long its answer takes, how many there are in a second, and how often the store is asked.
//! Not part of a test run: `cargo test --release -p agent --test copies -- --ignored --nocapture figures`.

use crate::mosquitto::{AGENTS, Client, Mosquitto};
use crate::redis::Redis;
use crate::{Agents, JOIN, PATIENCE, connect, racers, read};
use std::time::{Duration, Instant};

const FOR: Duration = Duration::from_secs(5);

#[test]
#[ignore = "figures, not a test"]
fn figures() {
    for agents in [1, 3] {
        let (redis, peers) = (Redis::start(), racers());
        let mosquitto = Mosquitto::start_for(&peers);
        let start = Agents::of(&mosquitto, &redis);
        let _agents: Vec<_> = AGENTS[..agents].iter().map(|id| start.at_work(id)).collect();
        let mut clients = connect(&mosquitto, &peers);
        // One at a time: two join each room and leave it.
        let mut took = Vec::new();
        let (begun, before, mut room) = (Instant::now(), scripts(&redis), 0);
        while begun.elapsed() < FOR {
            for client in [0, 1] {
                took.push(ask(&mut clients, client, room));
            }
            room += 1;
        }
        let a_room = (scripts(&redis) - before) as f64 / room as f64;
        took.sort();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        println!(
            "{agents} agents, one join at a time: {} joins, p50 {:?}, p99 {:?}; {a_room:.1} scripts a room of two joins",
            took.len(),
            at(0.5),
            at(0.99)
        );
        // Each client has some under way.
        let (begun, mut joins) = (Instant::now(), 0);
        while begun.elapsed() < FOR {
            for (n, client) in clients.iter().enumerate() {
                for _ in 0..50 {
                    room += 1;
                    client.post(&format!("rooms/room-{room}/agent/racer-{n}"), false, JOIN);
                }
            }
            for client in &mut clients {
                for _ in 0..50 {
                    answer(client);
                    joins += 1;
                }
            }
        }
        println!(
            "{agents} agents, 500 at a time: {:.0} joins a second",
            f64::from(joins) / begun.elapsed().as_secs_f64()
        );
    }
}

fn ask(clients: &mut [Client], n: usize, room: usize) -> Duration {
    let asked = Instant::now();
    clients[n].post(&format!("rooms/room-{room}/agent/racer-{n}"), false, JOIN);
    answer(&mut clients[n]);
    asked.elapsed()
}

fn answer(client: &mut Client) {
    loop {
        let (_, message) = client.next(PATIENCE).as_ref().and_then(read).expect("an answer");
        if ["created", "joined"].contains(&message["type"].as_str().unwrap()) {
            return;
        }
    }
}

/// Scripts that the store has run about rooms; the sweep's, sixteen a second for each agent, are among them.
fn scripts(redis: &Redis) -> u64 {
    let stats = redis.ask(&["info", "commandstats"]);
    let line = stats.iter().find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split_once("calls=")?.1.split_once(',')?.0.parse().ok());
    calls.unwrap_or_default()
}
