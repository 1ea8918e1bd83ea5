//! Rooms kept in Redis or Valkey, for as many agents as are wanted.
//!
//! A room is one hash. What belongs to many rooms (who is due, who has a seat, counters) lies beside it in one of
//! [`PARTITIONS`] partitions, found by the room's name, whose keys all carry the same hash tag: every script keeps to
//! one slot, so that a cluster may hold them, and no key is asked for by everybody.
//!
//! ```text
//! duet:{7}:room:lobby    the room, its version, what is still to be said
//! duet:{7}:due           rooms in which time will change something, by when
//! duet:{7}:seats         "peer room" for each seat
//! duet:{7}:counters      the least rev of a new room, the last version, the latest time seen
//! ```

mod address;
mod script;

pub use address::{StoreSetupError, StoreUrl, StoreUrlError};

use super::{Due, Look, Spoken, Store, StoreError, Write, Written};
use protocol::{PeerId, RoomId};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use script::{Keys, Scripts};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Into how many slots of a cluster the rooms are spread; the same for every agent of a store, for ever.
pub const PARTITIONS: u8 = 16;
/// An answer that takes longer is none: the store is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// A store in Redis or Valkey. Connects when it is first asked, and again whenever the connection is lost.
pub struct Redis {
    connection: ConnectionManager,
    scripts: Scripts,
    prefix: String,
    /// This run of this agent.
    me: String,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).field("me", &self.me).finish_non_exhaustive()
    }
}

impl Redis {
    /// The store at `client`'s address, for the run `me` of an agent, which no other run of any agent is called. Keys
    /// begin with `prefix`. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn new(client: redis::Client, prefix: String, me: String) -> Result<Self, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            // Who asks tries again, and says so once.
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(away)?;
        Ok(Self { connection, scripts: Scripts::new(), prefix, me })
    }

    /// Asks once, to see whether the store lets this agent in.
    ///
    /// # Errors
    /// [`Unready::Refused`] where only a person can help, [`Unready::Away`] otherwise.
    pub async fn check(&self) -> Result<(), Unready> {
        let mut connection = self.connection.clone();
        let asked = redis::cmd("PING").query_async::<Value>(&mut connection).await;
        asked.map(drop).map_err(|error| {
            let refused =
                matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm))
                    || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
            if refused { Unready::Refused(error.to_string()) } else { Unready::Away(away(error)) }
        })
    }

    async fn ask(&self, script: &redis::Script, keys: Keys, args: &[&str]) -> Result<Vec<Value>, StoreError> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        for arg in args {
            call.arg(*arg);
        }
        call.invoke_async(&mut self.connection.clone()).await.map_err(away)
    }

    fn partitions(&self) -> impl Iterator<Item = u8> {
        0..PARTITIONS
    }
}

/// Why a store is not ready at the start.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// It does not let this agent in.
    #[error("{0}")]
    Refused(String),
    /// It may yet come.
    #[error(transparent)]
    Away(StoreError),
}

fn away(error: RedisError) -> StoreError {
    StoreError(error.to_string())
}

impl Store for Redis {
    async fn look(&self, room: &RoomId) -> Result<Look, StoreError> {
        let answer = self.ask(&self.scripts.look, script::keys(&self.prefix, room), &self.head(room)).await?;
        script::look(room, answer).map(|(_, look)| look)
    }

    async fn write(&self, room: &RoomId, write: &Write) -> Result<Written, StoreError> {
        let tail = script::write_args(write);
        let args: Vec<&str> = self.head(room).into_iter().chain(tail.iter().map(String::as_str)).collect();
        let answer = self.ask(&self.scripts.write, script::keys(&self.prefix, room), &args).await?;
        let (is_made, look) = script::look(room, answer)?;
        Ok(if is_made { Written::Done(look) } else { Written::Overtaken(look) })
    }

    async fn spoken(&self, room: &RoomId, upto: u64) -> Result<Spoken, StoreError> {
        let upto = upto.to_string();
        let args: Vec<&str> = self.head(room).into_iter().chain([upto.as_str()]).collect();
        let answer = self.ask(&self.scripts.spoken, script::keys(&self.prefix, room), &args).await?;
        if answer.len() == 1 {
            return Ok(Spoken::Overtaken);
        }
        script::look(room, answer).map(|(_, look)| Spoken::Left(look.speak))
    }

    async fn due(&self) -> Result<Due, StoreError> {
        let mut all = Due { rooms: Vec::new(), next: None, began: 0 };
        let asked = self.partitions().map(|partition| {
            let keys = script::due_keys(&self.prefix, partition);
            self.ask(&self.scripts.due, keys, script::DUE_ARGS)
        });
        for answer in futures_util::future::join_all(asked).await {
            let Due { rooms, next, began } = script::due(answer?)?;
            all.rooms.extend(rooms);
            all.began = all.began.max(began);
            all.next = all.next.into_iter().chain(next).min();
        }
        Ok(all)
    }

    async fn rooms_of(&self, peer: &PeerId) -> Result<Vec<RoomId>, StoreError> {
        // No peer id has a space in it, and `!` is the next character.
        self.seats(&format!("[{peer} "), &format!("({peer}!")).await
    }

    async fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        self.seats("-", "+").await
    }
}

impl Redis {
    /// The rooms of the seats from one to another, in the order of "peer room".
    async fn seats(&self, from: &str, to: &str) -> Result<Vec<RoomId>, StoreError> {
        let mut pipe = redis::pipe();
        for partition in self.partitions() {
            pipe.cmd("ZRANGEBYLEX").arg(script::seats(&self.prefix, partition)).arg(from).arg(to);
        }
        let found: Vec<Vec<String>> = pipe.query_async(&mut self.connection.clone()).await.map_err(away)?;
        let names = found.iter().flatten().filter_map(|seat| seat.split_once(' ')?.1.parse().ok());
        Ok(names.collect::<BTreeSet<RoomId>>().into_iter().collect())
    }

    /// What every script about a room is told.
    fn head<'a>(&'a self, room: &'a RoomId) -> [&'a str; 3] {
        [&self.me, script::SPEAK_MS, room.as_str()]
    }
}
