//! Where inputs come from: a broker ([`live`]), the [`agents`] beside it, or a recording (`replay`). None of them waits
//! for the screen: each works in a task or thread of its own.

pub mod agents;
mod clock;
pub mod live;
pub mod login;
pub mod queue;
mod replay;

pub use clock::Seconds;

use crate::recording::{Pace, Reader};
use crate::wire::Input;
use agent::service::TlsError;
use login::PasswordError;
use protocol::Control;
use std::fmt;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What may wait to be taken, in bytes. At 1 KB a message that is half a minute of two thousand a second.
pub const CAPACITY: u32 = 64 << 20;
/// Requests that wait for the source to notice them.
const REQUESTS: usize = 16;

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No certificates to check the broker's with.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The broker does not let us in. Only told at the start: later it may be about to get its users back.
    #[error("{broker} refuses the login: {why}")]
    Refused {
        /// The broker.
        broker: String,
        /// What it says, how we came, and what would be right.
        why: String,
    },
    /// The broker lets us in, but does not let us read.
    #[error(
        "{broker} refuses the subscription {filter} (logged in {how}): a user with the operator role is needed; \
         give --username with --password-file, or --token-file with the broker's operator.token"
    )]
    Deaf {
        /// The broker.
        broker: String,
        /// What it may not hear.
        filter: &'static str,
        /// As whom.
        how: String,
    },
    /// No thread, or no event loop.
    #[error("cannot start to listen: {0}")]
    Start(#[from] io::Error),
    /// The thread has panicked.
    #[error("the part that listens has failed; its message is above or in the log")]
    Panicked,
}

/// What an operator wants done in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The room's name.
    pub room: String,
    /// What.
    pub control: Control,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.control {
            Control::Remove { peer } => write!(f, "remove {peer} from {:?}", self.room),
            Control::Close => write!(f, "close {:?}", self.room),
        }
    }
}

/// What became of an order, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The words.
    pub text: String,
    /// Whether it was not carried out.
    pub fault: bool,
}

/// What is asked of a live source.
#[derive(Debug)]
enum Request {
    Order(Order),
    /// Every retained state once more.
    States,
}

/// What a source has to say.
#[derive(Debug)]
pub enum Given {
    /// Something came.
    Input(Input),
    /// Something became of an order.
    Notice(Notice),
    /// Nothing more comes; [`Source::end`] tells why.
    End,
}

/// A source at work.
#[derive(Debug)]
pub struct Source {
    inputs: queue::Receiver,
    notices: mpsc::UnboundedReceiver<Notice>,
    thread: JoinHandle<Result<(), SourceError>>,
    kind: Kind,
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    Live { requests: mpsc::Sender<Request> },
    Replay { pace: watch::Sender<Pace> },
}

impl Source {
    /// Begins to listen to a broker.
    ///
    /// # Errors
    /// If no thread can be started; whatever else is told by [`Source::end`].
    pub fn live(options: live::Options) -> Result<Self, SourceError> {
        let (requests, taken) = mpsc::channel(REQUESTS);
        Self::start(Kind::Live { requests }, |out, told| live::listen(options, taken, told, out))
    }

    /// Begins to play a recording.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn replay(recording: Reader, pace: Pace) -> Result<Self, SourceError> {
        let (pace, paced) = watch::channel(pace);
        Self::start(Kind::Replay { pace }, |out, _| async {
            replay::play(recording, paced, out).await;
            Ok(())
        })
    }

    fn start<F>(
        kind: Kind,
        work: impl FnOnce(queue::Sender, mpsc::UnboundedSender<Notice>) -> F + Send + 'static,
    ) -> Result<Self, SourceError>
    where
        F: Future<Output = Result<(), SourceError>>,
    {
        let (sender, inputs) = queue::bounded(CAPACITY);
        let (told, notices) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name("source".into()).spawn(move || runtime.block_on(work(sender, told)))?;
        Ok(Self { inputs, notices, thread, kind, ended: false })
    }

    /// What the source says next; after its end nothing, for ever. Cancel-safe.
    pub async fn next(&mut self) -> Given {
        let Self { inputs, notices, ended, .. } = self;
        tokio::select! {
            biased;
            Some(notice) = notices.recv() => Given::Notice(notice),
            input = inputs.next(), if !*ended => input.map_or_else(
                || {
                    *ended = true;
                    Given::End
                },
                Given::Input,
            ),
            else => std::future::pending().await,
        }
    }

    /// The next input, if there is one now.
    pub fn try_next(&mut self) -> Option<Input> {
        self.inputs.try_next()
    }

    /// Passes an order on. What becomes of it comes as a [`Notice`].
    ///
    /// # Errors
    /// In words, if it cannot be passed on.
    pub fn order(&self, order: Order) -> Result<(), String> {
        match &self.kind {
            Kind::Live { requests } => requests.try_send(Request::Order(order)).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => "not ordered: too many orders wait".to_owned(),
                mpsc::error::TrySendError::Closed(_) => "not ordered: nobody listens to the broker any more".to_owned(),
            }),
            Kind::Replay { .. } => Err("a recording takes no orders".to_owned()),
        }
    }

    /// Asks the broker for everything that it has retained once more; a recording that begins now then begins with
    /// the rooms as they are. Without a connection there is no need: it comes with the next one.
    pub fn states_again(&self) {
        if let Kind::Live { requests } = &self.kind {
            // With so many orders under way the states come anew as it is.
            let _ = requests.try_send(Request::States);
        }
    }

    /// The pace of a recording, to be changed; `None` when live.
    pub fn pace(&self) -> Option<&watch::Sender<Pace>> {
        match &self.kind {
            Kind::Live { .. } => None,
            Kind::Replay { pace } => Some(pace),
        }
    }

    /// Ends it: takes leave of the broker, within a moment.
    ///
    /// # Errors
    /// Why it had ended by itself.
    pub async fn end(self) -> Result<(), SourceError> {
        let Self { inputs, thread, kind, .. } = self;
        drop((inputs, kind));
        let deadline = tokio::time::sleep(Duration::from_secs(1));
        tokio::pin!(deadline);
        while !thread.is_finished() {
            tokio::select! {
                () = &mut deadline => return Ok(()), // it hangs in a name server or the like, and ends with the process
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
        }
        thread.join().unwrap_or(Err(SourceError::Panicked))
    }
}
