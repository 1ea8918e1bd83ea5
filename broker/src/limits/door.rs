//! Who is at the door and who is inside. A connection is at the door until its CONNECT has been
//! accepted; there is room for so many, from one address and in all. When it is taken, the
//! connection that has stood there longest gives way to the newcomer: an honest client needs the
//! door for milliseconds, and so gets in however many silent ones crowd it. Those from one address
//! displace each other before they displace anybody else.
//!
//! `Book` decides; [`Door`] is what listeners and sessions hold on to.

use super::Limits;
use crate::listen::Transport;
use crate::sys::Gauge;
use agent::access::source::{Exempt, Source};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Notify;

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many are connected as there may be.
    #[error("as many clients are connected as there may be; try again later")]
    Everywhere,
    /// The memory that is left is for those inside.
    #[error("there is no memory for more clients; try again later")]
    Memory,
    /// As many are connected from its address as there may be.
    #[error("as many clients are connected from this address as there may be")]
    FromAddress,
    /// It has had to give way meanwhile.
    #[error("too many connections have not sent CONNECT, and this one was the oldest")]
    GaveWay,
}

#[derive(Debug, Clone, Copy)]
struct Room {
    connections: usize,
    connections_per_address: usize,
    handshakes: usize,
    handshakes_per_address: usize,
}

/// The bookkeeping; `T` is what is kept of each connection at the door.
#[derive(Debug)]
struct Book<T> {
    room: Room,
    next: u64,
    /// By age.
    handshakes: BTreeMap<u64, (Option<Source>, T)>,
    connections: usize,
    sources: HashMap<Source, FromSource>,
}

#[derive(Debug, Default)]
struct FromSource {
    connections: usize,
    handshakes: BTreeSet<u64>,
}

impl<T> Book<T> {
    fn new(room: Room) -> Self {
        Self { room, next: 0, handshakes: BTreeMap::new(), connections: 0, sources: HashMap::new() }
    }

    /// One more comes to the door; it gets a number, and the one that gives way for it is given.
    fn arrive(&mut self, source: Option<Source>, kept: T) -> (u64, Option<T>) {
        let own = source.and_then(|source| self.sources.get(&source)).map(|from| &from.handshakes);
        let oldest_own = own.filter(|own| own.len() >= self.room.handshakes_per_address).and_then(BTreeSet::first);
        let oldest = self.handshakes.first_key_value().map(|(number, _)| number);
        let crowded = self.handshakes.len() >= self.room.handshakes;
        let displaced = oldest_own.or(oldest.filter(|_| crowded)).copied();
        let displaced = displaced.and_then(|number| self.depart(number));
        let number = self.next;
        self.next += 1;
        self.handshakes.insert(number, (source, kept));
        if let Some(source) = source {
            self.sources.entry(source).or_default().handshakes.insert(number);
        }
        (number, displaced)
    }

    /// The one at the door for longest goes.
    fn displace_oldest(&mut self) -> Option<T> {
        let (number, _) = self.handshakes.first_key_value()?;
        self.depart(*number)
    }

    /// One goes from the door; `None` if it has gone.
    fn depart(&mut self, number: u64) -> Option<T> {
        let (source, kept) = self.handshakes.remove(&number)?;
        self.of_source(source, |from| {
            from.handshakes.remove(&number);
        });
        Some(kept)
    }

    /// One comes in from the door. `always` finds room where there is none.
    fn admit(&mut self, number: u64, always: bool) -> Result<Option<Source>, Full> {
        let Some((source, _)) = self.handshakes.get(&number) else { return Err(Full::GaveWay) };
        let source = *source;
        let from = source.and_then(|source| self.sources.get(&source)).map_or(0, |from| from.connections);
        if !always && self.connections >= self.room.connections {
            return Err(Full::Everywhere);
        }
        if !always && from >= self.room.connections_per_address {
            return Err(Full::FromAddress);
        }
        self.connections += 1;
        // Before the source's last handshake departs, so that it is not forgotten in between.
        self.of_source(source, |from| from.connections += 1);
        self.depart(number);
        Ok(source)
    }

    /// One that was inside goes.
    fn leave(&mut self, source: Option<Source>) {
        self.connections -= 1;
        self.of_source(source, |from| from.connections -= 1);
    }

    fn of_source(&mut self, source: Option<Source>, change: impl FnOnce(&mut FromSource)) {
        let Some(source) = source else { return };
        let from = self.sources.entry(source).or_default();
        change(from);
        if from.connections == 0 && from.handshakes.is_empty() {
            self.sources.remove(&source);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Door {
    exempt: Exempt,
    book: Mutex<Book<Arc<Notify>>>,
    inside: [Gauge; Transport::ALL.len()],
}

impl Door {
    /// Nobody has come.
    pub fn new(limits: &Limits) -> Arc<Self> {
        let room = Room {
            connections: limits.max_connections,
            connections_per_address: limits.max_connections_per_address,
            handshakes: limits.max_handshakes,
            handshakes_per_address: limits.max_handshakes_per_address,
        };
        Arc::new(Self { exempt: limits.exempt.clone(), book: Mutex::new(Book::new(room)), inside: Default::default() })
    }

    /// A connection has been accepted; another may have to go for it.
    pub fn arrive(self: &Arc<Self>, address: IpAddr) -> Arc<Place> {
        let gives_way = Arc::new(Notify::new());
        let (number, displaced) = self.book.lock().arrive(self.exempt.source(address), gives_way.clone());
        if let Some(displaced) = displaced {
            displaced.notify_one();
        }
        Arc::new(Place { door: self.clone(), number, gives_way })
    }

    /// Has the connection that stands at the door for longest go, to get its file descriptor.
    pub fn displace_oldest(&self) {
        if let Some(displaced) = self.book.lock().displace_oldest() {
            displaced.notify_one();
        }
    }

    /// How many are at the door.
    pub fn handshakes(&self) -> usize {
        self.book.lock().handshakes.len()
    }

    /// How many are inside, by what they came over.
    pub fn inside(&self) -> impl Iterator<Item = (Transport, u64)> {
        Transport::ALL.into_iter().map(|transport| (transport, self.inside[transport as usize].get()))
    }
}

/// A connection's place at the door, given up when the last copy is dropped.
#[derive(Debug)]
pub struct Place {
    door: Arc<Door>,
    number: u64,
    gives_way: Arc<Notify>,
}

impl Place {
    /// Goes on with `work`; `None` if the connection has to give way before it is done. By reference: what is handed
    /// over by value is there twice.
    pub async fn hold<T>(&self, work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.gives_way.notified() => None,
            done = work => Some(done),
        }
    }

    /// Lets the connection in; `always` also where there is no room left.
    ///
    /// # Errors
    /// If there is none.
    pub fn admit(&self, transport: Transport, always: bool) -> Result<Admission, Full> {
        let source = self.door.book.lock().admit(self.number, always)?;
        self.door.inside[transport as usize].add(1);
        Ok(Admission { door: self.door.clone(), source, transport })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.book.lock().depart(self.number);
    }
}

/// A place inside, given up when dropped.
#[derive(Debug)]
pub struct Admission {
    door: Arc<Door>,
    source: Option<Source>,
    transport: Transport,
}

impl Admission {
    /// What is counted for its address; none if that is exempt.
    pub fn source(&self) -> Option<Source> {
        self.source
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.door.book.lock().leave(self.source);
        self.door.inside[self.transport as usize].sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: Room = Room { connections: 4, connections_per_address: 2, handshakes: 4, handshakes_per_address: 2 };

    fn source(number: u8) -> Option<Source> {
        // Number 0 is exempt.
        (number > 0).then(|| Source::V4(u32::from(number).into()))
    }

    #[test]
    fn the_oldest_gives_way_and_first_to_its_own_kind() {
        let mut book = Book::new(ROOM);
        // Who comes, and who goes for it.
        for (name, from, gone) in [
            ("a1", 1, None),
            ("b1", 2, None),
            ("a2", 1, None),
            ("a3", 1, Some("a1")),
            ("c1", 3, None),
            ("d1", 4, Some("b1")),
            ("x1", 0, Some("a2")),
            ("x2", 0, Some("a3")),
            ("x3", 0, Some("c1")),
            ("x4", 0, Some("d1")),
            ("x5", 0, Some("x1")),
        ] {
            assert_eq!(book.arrive(source(from), name).1, gone, "when {name} comes");
        }
        assert_eq!(book.displace_oldest(), Some("x2"));
    }

    #[test]
    fn there_is_room_for_so_many_inside() {
        let mut book = Book::new(ROOM);
        let come = |book: &mut Book<()>, from, always| {
            let (number, _) = book.arrive(source(from), ());
            let admitted = book.admit(number, always).map(|_| ());
            book.depart(number);
            admitted
        };
        for (from, always, verdict) in [
            (1, false, Ok(())),
            (1, false, Ok(())),
            (1, false, Err(Full::FromAddress)),
            (0, false, Ok(())),
            (0, false, Ok(())),
            (2, false, Err(Full::Everywhere)),
            (1, true, Ok(())),
        ] {
            assert_eq!(come(&mut book, from, always), verdict, "{from}");
        }
        book.leave(source(0));
        book.leave(source(0));
        assert_eq!(come(&mut book, 2, false), Ok(()));
        assert_eq!(book.admit(0, false), Err(Full::GaveWay));
    }

    proptest! {
        #[test]
        fn the_book_holds_its_bounds_and_forgets_who_has_gone(steps in prop::collection::vec((0..4_u8, 0..5_u8), 0..200)) {
            let mut book = Book::new(ROOM);
            let (mut at_door, mut inside) = (Vec::new(), Vec::new());
            for (step, from) in steps {
                match step {
                    0 | 1 => at_door.push(book.arrive(source(from), ()).0),
                    2 => {
                        if let Some(number) = at_door.pop() {
                            if let Ok(source) = book.admit(number, false) { inside.push(source) }
                            book.depart(number);
                        }
                    }
                    _ => if let Some(source) = inside.pop() { book.leave(source) },
                }
                prop_assert!(book.handshakes.len() <= ROOM.handshakes && book.connections <= ROOM.connections);
                for from in book.sources.values() {
                    prop_assert!(from.handshakes.len() <= 2 && from.connections <= 2);
                }
            }
            at_door.into_iter().for_each(|number| { book.depart(number); });
            inside.into_iter().for_each(|source| book.leave(source));
            prop_assert!(book.sources.is_empty() && book.handshakes.is_empty() && book.connections == 0);
        }
    }
}
