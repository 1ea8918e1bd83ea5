//! What an agent does with what it hears about a room: has it follow in the store, and says what is to be said.
//!
//! Every `await` here is a place at which the agent may die, the store may not answer or the broker may go; what is
//! left undone then is found in the store by whoever looks at the room next, or by the sweep ([`Store::due`]).

use super::turn::{Heard, Terms, turn};
use super::{Entry, Publication, Spoken, Store, StoreError, Written};
use protocol::RoomId;
use std::time::Duration;

/// What an agent has besides its store: the broker, and its patience.
pub trait Outside {
    /// What a message is acknowledged with.
    type Receipt;

    /// Publishes, in this order; ready when the broker has everything.
    ///
    /// # Errors
    /// If it may not have.
    fn say(&self, said: Vec<Publication>) -> impl Future<Output = Result<(), Unsaid>>;

    /// What was heard has followed, and need not be heard again.
    fn heard(&self, receipt: Self::Receipt);

    /// The store did not answer; ready when it is time to ask again.
    fn trouble(&self, error: &StoreError) -> impl Future<Output = ()>;

    /// Time changes something in a room in so long.
    fn due_in(&self, time: Duration);

    /// A name for a write that no other has.
    fn name(&self) -> String;
}

/// The connection to the broker was lost before it had everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaid;

/// What is to be done in a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Task<R> {
    /// What was heard.
    pub heard: Heard,
    /// What it is acknowledged with, once it has followed.
    pub receipt: Option<R>,
}

/// Does what `next` gives, in this order, until it gives nothing and nothing is left to be said. An agent has one of
/// these for a room at a time.
pub async fn work<S: Store, O: Outside>(
    (store, outside): (&S, &O),
    room: &RoomId,
    terms: &Terms,
    mut next: impl FnMut() -> Vec<Task<O::Receipt>>,
) {
    let mut speak: Vec<Entry> = Vec::new();
    let mut must_show = false;
    loop {
        let tasks = next();
        if !tasks.is_empty() || must_show {
            let (mut heard, receipts): (Vec<_>, Vec<_>) =
                tasks.into_iter().map(|task| (task.heard, task.receipt)).unzip();
            if std::mem::take(&mut must_show) {
                heard.push(Heard::Show);
            }
            speak = commit((store, outside), room, terms, &heard).await;
            receipts.into_iter().flatten().for_each(|receipt| outside.heard(receipt));
        } else if speak.is_empty() {
            return;
        }
        let Some(upto) = speak.last().map(|entry| entry.version) else { continue };
        speak = match outside.say(in_one(std::mem::take(&mut speak))).await {
            Ok(()) => match store.spoken(room, upto).await {
                Ok(Spoken::Left(left)) => left,
                Ok(Spoken::Overtaken) => {
                    must_show = true;
                    Vec::new()
                }
                // Said it is; if the store does not know, somebody says it again.
                Err(_) => Vec::new(),
            },
            Err(Unsaid) => Vec::new(),
        };
    }
}

/// Has `heard` follow in the store, whatever it takes; gives what is to be said now.
async fn commit<S: Store, O: Outside>(
    (store, outside): (&S, &O),
    room: &RoomId,
    terms: &Terms,
    heard: &[Heard],
) -> Vec<Entry> {
    let look = async || loop {
        match store.look(room).await {
            Ok(look) => return look,
            Err(error) => outside.trouble(&error).await,
        }
    };
    let mut known = look().await;
    loop {
        let id = outside.name();
        let Some(write) = turn(room, &known, heard, terms, &id) else { return known.speak };
        match store.write(room, &write).await {
            Ok(Written::Done(after)) => {
                if let Some(due) = write.due {
                    outside.due_in(due.since(after.now));
                }
                return after.speak;
            }
            Ok(Written::Overtaken(now)) => known = now,
            Err(error) => {
                outside.trouble(&error).await;
                known = look().await;
                // It was made, and only its answer was lost.
                if known.by == id {
                    return known.speak;
                }
            }
        }
    }
}

/// Everything in order, without the states that are no longer so by the end.
fn in_one(entries: Vec<Entry>) -> Vec<Publication> {
    let mut said: Vec<Publication> = entries.into_iter().flat_map(|entry| entry.said).collect();
    let last = said.iter().rposition(|publication| publication.retain);
    let mut at = 0;
    said.retain(|publication| {
        at += 1;
        !publication.retain || Some(at - 1) == last
    });
    said
}
