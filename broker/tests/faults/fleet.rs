//! Many pairs that negotiate for ever, and come back by themselves: peers of two makes, over rumqttc and (`peers.mjs`, in a
//! process of their own) over mqtt.js. A board knows which pairs have been through a negotiation.

use super::peers;
use super::support::Broker;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A peer's place: its room and its name.
pub type Seat = (String, String);

/// What has become of the peers.
#[derive(Default)]
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those that are in their room.
    inside: BTreeSet<String>,
    /// Through on one side, by session: whose.
    half: HashMap<String, String>,
    /// Those who have been through a negotiation with their fellow, and when first.
    through: BTreeMap<String, Instant>,
}

impl Board {
    pub fn is_in(&self, peer: &str) {
        self.change(|state| {
            state.inside.insert(peer.to_owned());
        });
    }

    pub fn is_lost(&self, peer: &str) {
        self.change(|state| {
            state.inside.remove(peer);
            state.through.remove(peer);
        });
    }

    pub fn is_through(&self, peer: &str, session: &str) {
        self.change(|state| match state.half.remove(session) {
            Some(other) if other != peer => {
                for peer in [other, peer.to_owned()] {
                    state.through.entry(peer).or_insert_with(Instant::now);
                }
            }
            _ => {
                state.half.insert(session.to_owned(), peer.to_owned());
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until it is so.
    fn until(&self, what: &str, patience: Duration, mut is_so: impl FnMut(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let (state, timeout) = self.changed.wait_timeout_while(state, patience, |state| !is_so(state)).unwrap();
        let State { inside, through, .. } = &*state;
        assert!(!timeout.timed_out(), "{what}: {} are in their rooms, {} through", inside.len(), through.len());
    }

    /// Waits until so many have been through a negotiation, since they were lost.
    pub fn through(&self, number: usize, patience: Duration) {
        self.until(&format!("{number} are to be through"), patience, |state| state.through.len() >= number);
    }

    /// Waits until all have noticed that their connections are gone.
    pub fn all_lost(&self, patience: Duration) {
        self.until("all are to notice", patience, |state| state.inside.is_empty());
        self.change(|state| state.half.clear());
    }
}

/// Peers over rumqttc, in a thread of their own. They end when dropped.
pub struct Ours {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ours {
    pub fn start(broker: SocketAddr, seats: Vec<Seat>, board: &Arc<Board>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let board = board.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for (room, me) in seats {
                    tokio::spawn(peers::live(broker, room, me, board.clone()));
                }
                let _ = stopped.await;
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Peers over mqtt.js, in a process of their own. It is killed when dropped.
pub struct MqttJs {
    child: Child,
}

impl MqttJs {
    /// With a keep-alive in seconds.
    pub fn start(broker: &Broker, keep_alive: u16, seats: &[Seat], board: &Arc<Board>) -> Self {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/node_modules/mqtt");
        assert!(modules.exists(), "{} is missing: run `npm ci` in web/", modules.display());
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/peers.mjs"))
            .args([format!("ws://{}/mqtt", broker.http), keep_alive.to_string()])
            .args(seats.iter().map(|(room, me)| format!("{room}/{me}")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node: {error}"));
        let (stdout, board) = (child.stdout.take().unwrap(), board.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match line.split(' ').collect::<Vec<_>>()[..] {
                    [peer, "in"] => board.is_in(peer),
                    [peer, "lost"] => board.is_lost(peer),
                    [peer, "through", session] => board.is_through(peer, session),
                    _ => panic!("{line}"),
                }
            }
        });
        Self { child }
    }

    /// Has a signal sent to the process, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for MqttJs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
