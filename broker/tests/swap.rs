//! The certificate and the users change while two hundred clients are connected and speak: whoever is not concerned
//! does not notice, and newcomers get what is new.

mod support;

use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::client::{Client, Hello, V3, V5};
use support::identity::{PASSWORD, hello, user};
use support::tls::Encrypted;
use support::{PATIENCE, scratch_folder};

/// Pairs that talk to each other.
const PAIRS: usize = 100;

/// Pairs of clients, each in a thread and a room of its own, half over TLS and half over WSS.
struct Load {
    stop: Arc<AtomicBool>,
    /// Signals that have arrived, for each pair.
    said: Arc<Vec<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(doors: &Encrypted) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let said: Arc<Vec<AtomicU64>> = Arc::new((0..PAIRS).map(|_| AtomicU64::new(0)).collect());
        let mut threads = Vec::new();
        let ready = Arc::new(Barrier::new(PAIRS + 1));
        for pair in 0..PAIRS {
            let mut clients =
                [(format!("user-{pair}"), V3), (format!("user-{pair}:other"), V5)].map(|(id, version)| {
                    let hello = hello(version, &id, &format!("user-{pair}"), PASSWORD);
                    let (mut client, code) = if pair % 2 == 0 {
                        Client::over(doors.tls(), &hello)
                    } else {
                        Client::over(doors.wss(), &hello)
                    };
                    assert_eq!(code, Some(0), "{id}");
                    assert_eq!(client.subscribe(&format!("rooms/+/{id}/+"), 1), 1);
                    client.join(&format!("room-{pair}"));
                    client
                });
            clients[0].expect(&["arrived"]);
            let (stop, said, ready) = (stop.clone(), said.clone(), ready.clone());
            threads.push(std::thread::spawn(move || {
                ready.wait();
                let [one, other] = &mut clients;
                while !stop.load(Ordering::Relaxed) {
                    let number = said[pair].load(Ordering::Relaxed);
                    let words = json!({"type": "ring", "number": number});
                    one.signal(&format!("room-{pair}"), &other.id, &words);
                    assert_eq!(other.message().json(), words, "pair {pair}");
                    other.signal(&format!("room-{pair}"), &one.id, &words);
                    assert_eq!(one.message().json(), words, "pair {pair}");
                    said[pair].fetch_add(1, Ordering::Relaxed);
                    // Well below the rate at which a connection is held back.
                    std::thread::sleep(Duration::from_millis(50));
                }
            }));
        }
        ready.wait();
        Self { stop, said, threads }
    }

    /// Waits until every pair has been heard again, both ways, after this moment.
    fn goes_on(&self) {
        let before: Vec<u64> = self.said.iter().map(|said| said.load(Ordering::Relaxed)).collect();
        let deadline = Instant::now() + PATIENCE;
        for (pair, before) in before.iter().enumerate() {
            // The exchange that was under way does not count.
            while self.said[pair].load(Ordering::Relaxed) < before + 2 {
                assert!(
                    !self.threads[pair].is_finished() && Instant::now() < deadline,
                    "pair {pair} has fallen silent"
                );
                std::thread::yield_now();
            }
        }
    }

    fn ends(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.said.iter().map(|said| said.load(Ordering::Relaxed)).sum()
    }
}

fn write(path: &Path, text: &str) {
    let draft = path.with_extension("new");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, path).unwrap();
}

#[test]
fn certificate_and_users_change_under_load_and_only_those_concerned_notice() {
    let folder = scratch_folder();
    let users = folder.join("users.toml");
    let pairs: String = (0..PAIRS).map(|pair| user(&format!("user-{pair}"), "rooms = [\"room-*\"]")).collect();
    let of = |name: &str| user(name, "rooms = [\"*\"]");
    let (removed, changed) = (of("removed"), of("changed"));
    write(&users, &[&*pairs, &removed, &changed].concat());
    let doors = Encrypted::with(&["--users", users.to_str().unwrap()]);
    let load = Load::start(&doors);
    let come = |name: &str| Client::over(doors.tls(), &hello(V5, name, name, PASSWORD));
    let [(mut removed, _), (mut changed, _)] = ["removed", "changed"].map(come);
    assert_eq!(come("newcomer").1, Some(0x86), "not yet");
    let first = doors.tls().certificate();
    load.goes_on();

    doors.authority.server().write(&doors.certificate, &doors.key);
    doors.broker.logs("newcomers get the certificate as read again");
    assert_ne!(doors.tls().certificate(), first);
    load.goes_on();

    write(&users, &[&*pairs, &user("changed", "rooms = [\"lobby\"]"), &of("newcomer")].concat());
    doors.broker.logs("users and keys are read again");
    for (client, why) in [(&mut removed, "is no user any more"), (&mut changed, "has other rights")] {
        assert_eq!(client.ends(), Some(0x87), "{why}");
    }
    assert_eq!(come("removed").1, Some(0x86));
    let (mut newcomer, code) = come("newcomer");
    assert_eq!(code, Some(0));
    newcomer.subscribe("rooms/+/newcomer/+", 1);
    assert_eq!(newcomer.join("anywhere")["type"], "created");
    load.goes_on();

    // Both at once, and a file that is broken meanwhile.
    write(&users, "[newcomer\n");
    doors.authority.server().write(&doors.certificate, &doors.key);
    doors.broker.logs("users and keys stay as they were");
    newcomer.ping();
    load.goes_on();
    write(&users, &[&*pairs, &of("newcomer")].concat());
    doors.broker.logs("users and keys are read again");
    load.goes_on();
    let exchanged = load.ends();
    println!("{} connections, {exchanged} exchanges, nobody dropped but two users", 2 * PAIRS);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_key_for_tokens_is_exchanged_without_ending_anybody() {
    let folder = scratch_folder();
    let (old, new) = ("the old secret, of more than 32 bytes", "the new secret, of more than 32 bytes");
    let secret = folder.join("secret");
    write(&secret, old);
    let doors = Encrypted::with(&["--jwt-secret", secret.to_str().unwrap()]);
    let token = |subject: &str, secret: &str| {
        let claims = json!({"sub": subject, "aud": "duet", "exp": support::identity::now() + 3600, "rooms": ["*"]});
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let come = |name: &str, secret: &str| {
        Client::over(doors.wss(), &Hello { user: Some(("token".into(), token(name, secret))), ..Hello::new(V5, name) })
    };
    let (mut earlier, code) = come("earlier", old);
    assert_eq!((code, come("later", new).1), (Some(0), Some(0x86)));
    write(&secret, new);
    doors.broker.logs("users and keys are read again");
    earlier.ping();
    assert_eq!((come("again", old).1, come("later", new).1), (Some(0x86), Some(0)));
    earlier.disconnect();
    let _ = std::fs::remove_dir_all(folder);
}
