use super::*;
use crate::service::line::Order;
use crate::store::memory::Memory;
use crate::store::{Look, Spoken, Write, Written};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

const SHOWN: usize = 5_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks up rooms that the broker shows only as far as it is let.
struct Slow {
    memory: Memory,
    gate: Rc<Semaphore>,
    /// How many look-ups wait, and how many did at most.
    waiting: Rc<Cell<(usize, usize)>>,
}

impl Store for Slow {
    async fn look(&self, room: &RoomId) -> Result<Look, StoreError> {
        if room.as_str().starts_with("shown") {
            let (now, most) = self.waiting.get();
            self.waiting.set((now + 1, most.max(now + 1)));
            self.gate.acquire().await.unwrap().forget();
            self.waiting.set((self.waiting.get().0 - 1, self.waiting.get().1));
        }
        self.memory.look(room).await
    }

    async fn write(&self, room: &RoomId, write: &Write) -> Result<Written, StoreError> {
        self.memory.write(room, write).await
    }

    async fn spoken(&self, room: &RoomId, upto: u64) -> Result<Spoken, StoreError> {
        self.memory.spoken(room, upto).await
    }

    async fn due(&self) -> Result<Due, StoreError> {
        self.memory.due().await
    }

    async fn rooms_of(&self, peer: &PeerId) -> Result<Vec<RoomId>, StoreError> {
        self.memory.rooms_of(peer).await
    }

    async fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        self.memory.rooms().await
    }
}

/// The broker's side of an agent, with all of the agent that is asked what.
struct Bench {
    news: mpsc::Sender<News>,
    orders: UnboundedReceiver<Order>,
    gate: Rc<Semaphore>,
    waiting: Rc<Cell<(usize, usize)>>,
    acknowledged: usize,
}

impl Bench {
    /// A connection on which nothing was said yet.
    fn new() -> (Drive<Slow>, Self) {
        let (handle, orders) = Handle::new();
        let (news, heard) = mpsc::channel(2 * SHOWN);
        let (gate, waiting) = (Rc::new(Semaphore::new(0)), Rc::new(Cell::default()));
        let store = Slow { memory: Memory::new(now), gate: gate.clone(), waiting: waiting.clone() };
        let (_, asked) = mpsc::channel(1);
        let drive = Drive::new(store, Terms::default(), handle, heard, asked, "run".into());
        news.try_send(News::Listening).unwrap();
        (drive, Self { news, orders, gate, waiting, acknowledged: 0 })
    }

    /// One on which rooms are shown that the store does not have, and a join behind them.
    fn with_a_join_behind_what_is_shown() -> (Drive<Slow>, Self) {
        let (drive, bench) = Self::new();
        for number in 0..SHOWN {
            let (name, created_at) = (format!("shown-{number}"), "2026-09-21T14:13:20.000Z");
            let state = format!(r#"{{"room":"{name}","created_at":"{created_at}","peers":[],"rev":1}}"#);
            bench.news.try_send(said(&format!("rooms/{name}"), &state, true)).unwrap();
        }
        bench.news.try_send(said("rooms/lobby/agent/alice", r#"{"type":"join"}"#, false)).unwrap();
        (drive, bench)
    }

    /// What the agent says until it has nothing more to do. Only where time is paused, which goes on only then.
    async fn hears_all(&mut self) -> Vec<Publication> {
        let mut all = Vec::new();
        while let Ok(said) = tokio::time::timeout(Duration::from_secs(1), self.hears()).await {
            all.extend(said);
        }
        all
    }

    /// What the agent says next; it is told that the broker has it.
    async fn hears(&mut self) -> Vec<Publication> {
        loop {
            match tokio::time::timeout(PATIENCE, self.orders.recv()).await.expect("the agent says something").unwrap() {
                Order::Say(said, done) => {
                    let _ = done.send(());
                    return said;
                }
                Order::Acknowledge(..) => self.acknowledged += 1,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn said(topic: &str, payload: &str, retain: bool) -> News {
    let publish = rumqttc::Publish::new(topic, rumqttc::QoS::AtLeastOnce, payload);
    let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
    News::Said(Message { topic, payload, retain, must_arrive: true, receipt: Receipt::Three(Box::new(publish)) }, 0)
}

/// Runs a drive for as long as something is done with it.
async fn beside<T>(drive: Drive<Slow>, does: impl Future<Output = T>) -> T {
    tokio::select! {
        () = drive.run() => panic!("the drive ends before its news"),
        done = does => done,
    }
}

#[tokio::test]
async fn what_is_said_does_not_wait_for_what_is_shown() {
    let (drive, mut bench) = Bench::with_a_join_behind_what_is_shown();
    beside(drive, async {
        let answer = bench.hears().await;
        assert_eq!(answer[0].topic, "rooms/lobby/alice/agent", "{answer:?}");
        let (now, most) = bench.waiting.get();
        assert!(now == most && (1..=ROOMS_LATER).contains(&most), "{most} rooms that are shown are looked up at once");
        assert!(bench.acknowledged >= SHOWN, "the broker must not hold back what is said behind what is shown");
    })
    .await;
}

#[tokio::test]
async fn what_is_shown_and_is_not_so_is_put_right_in_the_end() {
    let (drive, mut bench) = Bench::with_a_join_behind_what_is_shown();
    beside(drive, async {
        bench.gate.add_permits(10 * SHOWN);
        let mut wrong: HashSet<String> = (0..SHOWN).map(|number| format!("rooms/shown-{number}")).collect();
        while !wrong.is_empty() {
            for Publication { topic, payload, retain } in bench.hears().await {
                assert!(!wrong.remove(&topic) || (payload.is_empty() && retain), "{topic} is gone");
            }
        }
        assert!(bench.waiting.get().1 <= ROOMS_LATER);
    })
    .await;
}

#[tokio::test]
async fn a_join_in_a_room_that_is_shown_waits_for_that_room_alone() {
    let (drive, mut bench) = Bench::with_a_join_behind_what_is_shown();
    let late = format!("shown-{}", SHOWN - 1);
    bench.news.send(said(&format!("rooms/{late}/agent/alice"), r#"{"type":"join"}"#, false)).await.unwrap();
    beside(drive, async {
        bench.hears().await;
        let is_looked_up = async {
            while bench.waiting.get().0 <= ROOMS_LATER {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_looked_up).await.expect("its room is looked up");
        bench.gate.add_permits(1000);
        for _ in 0..2 * ROOMS_LATER {
            if bench.hears().await[0].topic == format!("rooms/{late}/alice/agent") {
                return;
            }
        }
        panic!("a join waits for rooms that nobody asks about");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_takes_what_was_shown_on_it_along() {
    let (drive, mut bench) = Bench::with_a_join_behind_what_is_shown();
    bench.news.send(News::Lost).await.unwrap();
    beside(drive, async {
        bench.hears().await;
        bench.gate.add_permits(SHOWN);
        bench.hears_all().await;
        let looked_up = SHOWN - bench.gate.available_permits();
        assert!(looked_up <= ROOMS_LATER, "{looked_up} rooms are looked up that the next connection shows anew");
    })
    .await;
}

/// That the broker has forgotten everybody waits, but holds only for those who came before.
#[tokio::test(start_paused = true)]
async fn who_joins_after_the_broker_has_forgotten_all_is_not_lost() {
    const ROOMS_OF_BOB: usize = 2 * ROOMS_LATER;
    let (drive, mut bench) = Bench::new();
    let join =
        |number: usize, peer: &str| said(&format!("rooms/shown-{number}/agent/{peer}"), r#"{"type":"join"}"#, false);
    beside(drive, async {
        bench.gate.add_permits(ROOMS_OF_BOB);
        for number in 0..ROOMS_OF_BOB {
            bench.news.send(join(number, "bob")).await.unwrap();
        }
        bench.hears_all().await;
        bench.news.send(News::Forgotten).await.unwrap();
        bench.hears_all().await;
        assert_eq!(bench.waiting.get().0, ROOMS_LATER, "the others wait for their turn");
        for number in 0..ROOMS_OF_BOB {
            bench.news.send(join(number, "alice")).await.unwrap();
        }
        bench.gate.add_permits(10 * ROOMS_OF_BOB);
        let said = bench.hears_all().await;
        for number in 0..ROOMS_OF_BOB {
            let topic = format!("rooms/shown-{number}");
            let shown = said.iter().rfind(|publication| publication.topic == topic).expect("its state is shown");
            let state: protocol::RoomState = serde_json::from_str(&shown.payload).unwrap();
            let away: Vec<_> = state.peers.iter().map(|peer| (peer.id.as_str(), peer.away)).collect();
            assert_eq!(away, [("bob", true), ("alice", false)], "{topic}");
        }
    })
    .await;
}
