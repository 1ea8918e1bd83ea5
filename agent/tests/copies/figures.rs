//! What rooms cost that agents share: time, CPU of agents, store and broker, scripts, memory.
//! Not part of a test run: `cargo test --release -p agent --test copies -- --ignored --nocapture figures`.

use crate::mosquitto::{AGENTS, Client, Mosquitto, PATIENCE, Process};
use crate::redis::Redis;
use crate::{Agents, JOIN, NO_LEASE_ENDS, RACERS, connect, racers, read};
use std::ops::Range;
use std::time::{Duration, Instant};

const LEAVE: &[u8] = br#"{"type":"leave"}"#;
/// Rooms in which something is under way at once.
const AT_ONCE: usize = 250;
/// How many seats there are in all partitions.
const SEATS: &str = "local n = 0 for i = 0, 15 do n = n + redis.call('ZCARD', 'duet:{' .. i .. '}:seats') end return n";

#[test]
#[ignore = "figures, not a test"]
fn figures() {
    for agents in [1, 3] {
        let mut scene = Scene::new(agents);
        println!("{agents} agents over one store");
        let mut took: Vec<Duration> = (0..1000).flat_map(|room| [scene.ask(0, room), scene.ask(1, room)]).collect();
        took.sort();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        println!("  one join at a time: p50 {:?}, p99 {:?}", at(0.5), at(0.99));
        scene.leave(0..1000, &[0, 1]);

        for (what, rooms) in [("joins", 0..5000), ("joins again", 0..5000), ("joins", 5000..20_000)] {
            scene.measure(what, rooms.len() * 2, |scene| scene.join(rooms.clone()));
            if what == "joins" {
                scene.show_memory(rooms.end);
            }
        }
        scene.measure("leaves", 40_000, |scene| scene.leave(0..20_000, &[]));
        scene.measure("seconds without anybody", 5, |_| std::thread::sleep(Duration::from_secs(5)));
        scene.measure("whole rooms", 5000, |scene| {
            scene.join(0..5000);
            scene.leave(0..5000, &[]);
        });
    }
}

struct Scene {
    redis: Redis,
    mosquitto: Mosquitto,
    agents: Vec<Process>,
    clients: Vec<Client>,
    memory: u64,
}

/// What had been used up at a moment.
struct Used {
    at: Instant,
    agents: Duration,
    store: Duration,
    broker: Duration,
    scripts: u64,
    sweeps: u64,
}

impl Scene {
    fn new(agents: usize) -> Self {
        let (redis, peers) = (Redis::start(), racers());
        let mosquitto = Mosquitto::start_for(&peers);
        let start = Agents::of(&mosquitto, &redis, NO_LEASE_ENDS);
        let agents = AGENTS[..agents].iter().map(|id| start.at_work(id)).collect();
        let clients = connect(&mosquitto, &peers);
        let mut scene = Self { redis, mosquitto, agents, clients, memory: 0 };
        scene.memory = scene.info("memory", "used_memory:");
        scene
    }

    fn ask(&mut self, client: usize, room: usize) -> Duration {
        let asked = Instant::now();
        self.post(client, room, JOIN);
        answer(&mut self.clients[client]);
        asked.elapsed()
    }

    fn post(&self, client: usize, room: usize, payload: &[u8]) {
        self.clients[client].post(&format!("rooms/room-{room}/agent/racer-{client}"), false, payload);
    }

    /// Two join each room.
    fn join(&mut self, rooms: Range<usize>) {
        for begin in rooms.clone().step_by(AT_ONCE) {
            let some = begin..rooms.end.min(begin + AT_ONCE);
            some.clone().flat_map(|room| members(room).map(|client| (client, room))).for_each(|(client, room)| {
                self.post(client, room, JOIN);
            });
            some.flat_map(members).for_each(|client| answer(&mut self.clients[client]));
        }
    }

    /// All leave, those whose rooms they are or `who`, until nothing is left in the store.
    fn leave(&mut self, rooms: Range<usize>, who: &[usize]) {
        for begin in rooms.clone().step_by(AT_ONCE) {
            for room in begin..rooms.end.min(begin + AT_ONCE) {
                let members = if who.is_empty() { members(room).to_vec() } else { who.to_vec() };
                members.into_iter().for_each(|client| self.post(client, room, LEAVE));
            }
            // Not faster than it is done: what is measured is work, and no queue.
            self.wait_for(rooms.end - rooms.end.min(begin + AT_ONCE));
        }
    }

    /// Waits until so many rooms are left, with a seat or two in each.
    fn wait_for(&mut self, rooms: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found =
                self.redis.ask(&["eval", SEATS, "0"]).first().and_then(|line| line.parse().ok()).unwrap_or(usize::MAX);
            if found <= rooms * 2 {
                return;
            }
            assert!(Instant::now() < deadline, "{found} seats where {rooms} rooms are to be");
            self.clients.iter_mut().for_each(|client| while client.next(Duration::ZERO).is_some() {});
        }
    }

    fn info(&self, section: &str, field: &str) -> u64 {
        let info = self.redis.ask(&["info", section]);
        let value = info.iter().find_map(|line| line.strip_prefix(field)?.split([',', '\r']).next()?.parse().ok());
        value.unwrap_or_default()
    }

    fn used(&self) -> Used {
        // The sweep is the only script that asks for a range by score.
        let sweeps = self.info("commandstats", "cmdstat_zrangebyscore:calls=");
        Used {
            at: Instant::now(),
            agents: self.agents.iter().map(Process::cpu).sum(),
            store: self.redis.cpu(),
            broker: self.mosquitto.cpu(),
            scripts: self.info("commandstats", "cmdstat_evalsha:calls=") - sweeps,
            sweeps,
        }
    }

    fn measure(&mut self, what: &str, of: usize, does: impl FnOnce(&mut Self)) {
        let before = self.used();
        does(self);
        let after = self.used();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / of as f64;
        let (scripts, sweeps) = (after.scripts - before.scripts, after.sweeps - before.sweeps);
        println!(
            "  {of} {what} in {:.1} s, each: CPU of agents {:.0} µs, store {:.0} µs, broker {:.0} µs; {:.2} scripts; \
             {sweeps} sweeps of a partition",
            (after.at - before.at).as_secs_f64(),
            each(after.agents - before.agents),
            each(after.store - before.store),
            each(after.broker - before.broker),
            scripts as f64 / of as f64,
        );
    }

    fn show_memory(&self, rooms: usize) {
        let used = self.info("memory", "used_memory:") - self.memory;
        let agents: Vec<u64> = self.agents.iter().map(|agent| agent.resident() / 1024).collect();
        println!("  {rooms} rooms of two: {} bytes a room in the store; agents {agents:?} KiB", used / rooms as u64);
    }
}

fn members(room: usize) -> [usize; 2] {
    let first = room % (RACERS / 2) * 2;
    [first, first + 1]
}

fn answer(client: &mut Client) {
    loop {
        let (_, message) = client.next(PATIENCE).as_ref().and_then(read).expect("an answer");
        if ["created", "joined"].contains(&message["type"].as_str().unwrap()) {
            return;
        }
    }
}
