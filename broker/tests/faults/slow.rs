//! A hundred clients that stop reading, and twenty that write without pause: what others notice of it. Rounds with them and
//! without take turns, so that whatever else the machine does meets both.

use super::support::client::{Client, Hello, V3, V5};
use super::support::{Broker, promise};
use mqtt_protocol_core::mqtt::Version;
use serde_json::json;
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const WRITERS: usize = 20;
/// Of each writer; with each it is in a room.
const READERS: usize = 5;
/// Pairs that mean well.
const PAIRS: usize = 4;
/// Between two signals of a pair.
const PACE: Duration = Duration::from_millis(4);

/// A peer, and its socket for ending it from outside.
fn peer(broker: &Broker, version: Version, id: &str) -> (Client, TcpStream) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&broker.mqtt.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).unwrap();
    let (mut client, code) = Client::over(stream.try_clone().unwrap(), &Hello::new(version, id));
    assert_eq!(code, Some(0), "{id} is let in");
    client.subscribe(&format!("rooms/+/{id}/+"), 0);
    (client, stream)
}

/// Those who do not mean well, while there are any.
struct Siege {
    sockets: Vec<TcpStream>,
    writers: Vec<JoinHandle<()>>,
}

impl Siege {
    fn begin(broker: &Broker, round: usize) -> Self {
        let (mut sockets, mut writers) = (Vec::new(), Vec::new());
        for writer in 0..WRITERS {
            let me = format!("writer-{round}-{writer}");
            let (mut client, socket) = peer(broker, V3, &me);
            sockets.push(socket);
            let mut flood = Vec::new();
            for reader in 0..READERS {
                let (room, id) = (format!("{me}-{reader}"), format!("reader-{round}-{writer}-{reader}"));
                let (mut reader, socket) = peer(broker, if reader % 2 == 0 { V3 } else { V5 }, &id);
                reader.join(&room);
                client.join(&room);
                sockets.push(socket); // from now on nobody reads from it
                let topic = format!("rooms/{room}/{id}/{me}");
                let payload = format!(r#"{{"type":"candidate","text":"{}"}}"#, "x".repeat(1000));
                let rest = 2 + topic.len() + payload.len();
                flood.extend([0x30, u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]);
                flood.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
                flood.extend(topic.as_bytes());
                flood.extend(payload.as_bytes());
            }
            let mut socket = sockets[sockets.len() - READERS - 1].try_clone().unwrap();
            writers.push(thread::spawn(move || {
                use std::io::Write;
                while socket.write_all(&flood).is_ok() {}
            }));
        }
        Self { sockets, writers }
    }

    fn end(self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        for writer in self.writers {
            writer.join().unwrap();
        }
    }
}

/// How long signals take from one who means well to another, all of this round.
fn round(pairs: &mut [(Client, Client)], length: Duration) -> Vec<Duration> {
    let end = Instant::now() + length;
    thread::scope(|scope| {
        let tasks: Vec<_> = pairs
            .iter_mut()
            .map(|(alice, bob)| {
                scope.spawn(move || {
                    let mut took = Vec::new();
                    while Instant::now() < end {
                        let begin = Instant::now();
                        let room = format!("room-{}", alice.id);
                        alice.signal(&room, &bob.id, &json!({"type": "candidate"}));
                        bob.expect(&["candidate"]);
                        took.push(begin.elapsed());
                        thread::sleep(PACE.saturating_sub(begin.elapsed()));
                    }
                    took
                })
            })
            .collect();
        tasks.into_iter().flat_map(|task| task.join().unwrap()).collect()
    })
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[test]
fn others_hardly_notice_a_hundred_who_do_not_read_and_twenty_who_write_without_pause() {
    let (rounds, length) = match std::env::var_os("DUET_FAULTS") {
        Some(_) => (5, Duration::from_secs(3)),
        None => (1, Duration::from_secs(1)),
    };
    let broker = Broker::with(&["--log=warn"], "");
    let mut pairs: Vec<_> = (0..PAIRS)
        .map(|number| {
            let [mut alice, mut bob] =
                ["alice", "bob"].map(|name| Client::peer(&broker, V5, &format!("{name}-{number}")));
            let room = format!("room-{}", alice.id);
            alice.join(&room);
            bob.join(&room);
            alice.expect(&["arrived"]);
            (alice, bob)
        })
        .collect();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        without.extend(round(&mut pairs, length));
        let siege = Siege::begin(&broker, number);
        with.extend(round(&mut pairs, length));
        siege.end();
    }
    for (who, times) in [("without", &mut without), ("with", &mut with)] {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent).as_secs_f64() * 1000.0);
        println!("figures {}", json!({"slow": who, "p50": p50, "p99": p99, "signals": times.len()}));
    }
    promise::kept("slow-readers", percentile(&mut with, 99));
    let ledger = broker.ledger();
    assert!(ledger.dropped > 0, "they were too slow, and lost what nobody had promised them: {ledger:?}");
}
