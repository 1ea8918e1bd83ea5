//! What a program writes while it serves others: its log on stderr, and on stdout what whoever started it waits for.
//!
//! Nobody is served later because of it. A thread writes what waits in a queue that has a bound; where a file system is
//! full, or a reader is stuck or gone, lines are lost and nothing else, and [`lost`] says how many. `tracing-appender`
//! does not suit a log on stderr: at the end it says there what went wrong, and waits for its reader to take that.

use rustix::event::{PollFd, PollFlags, Timespec};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;
use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait to be written: some thousand lines.
const MOST_WAITING: usize = 1 << 20;
/// How long the end waits for the last lines to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Lines that could not be written, since the process began.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines of the log that could not be written, since the process began.
#[must_use]
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The log, which has begun. When dropped, it waits for what has been logged to be written, a second at most.
#[derive(Debug)]
#[must_use = "the last lines are written when this is dropped"]
pub struct Log {
    queue: Queue,
}

impl Log {
    /// Begins to log on stderr what `filter` lets through; panics are written there too.
    ///
    /// # Errors
    /// If there is no thread to be had.
    ///
    /// # Panics
    /// If the process has a log already.
    pub fn begin(filter: EnvFilter) -> io::Result<Self> {
        let queue = Queue::start()?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(Stderr(queue.clone()))
            // They would be said on stderr, by a macro that waits, and panics if that cannot be written.
            .log_internal_errors(false)
            .init();
        let panics = queue.clone();
        std::panic::set_hook(Box::new(move |info| panics.put(describe(info).into_bytes())));
        Ok(Self { queue })
    }

    /// For lines that are not the log's.
    #[must_use]
    pub fn lines(&self) -> Lines {
        Lines { stderr: self.queue.clone() }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.finish();
    }
}

/// As the standard library would say it.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let mut text = format!("thread '{}' {info}\n", thread.name().unwrap_or("<unnamed>"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        text += &format!("stack backtrace:\n{backtrace}");
    }
    text
}

/// Where a program writes lines that are not the log's.
#[derive(Debug, Clone)]
pub struct Lines {
    stderr: Queue,
}

impl Lines {
    /// Writes a line on stdout, if somebody takes it; else it is logged.
    ///
    /// By the thread that calls, for there is little to be said there, and not for long: a pipe that can be written takes
    /// 4096 bytes at least (pipe(7)), which no line has.
    pub fn say(&self, line: &str) {
        let mut stdout = io::stdout().lock();
        let mut poll = [PollFd::new(&stdout, PollFlags::OUT)];
        let written = match rustix::event::poll(&mut poll, Some(&Timespec::default())) {
            Ok(1..) => writeln!(stdout, "{line}").and_then(|()| stdout.flush()),
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        };
        drop(stdout);
        if let Err(error) = written {
            warn!(%error, "nobody reads on stdout: {line}");
        }
    }

    /// Writes a line on stderr, whatever the filter: why the program ends.
    pub fn complain(&self, line: &str) {
        self.stderr.put(format!("{line}\n").into_bytes());
    }
}

#[derive(Debug)]
enum Order {
    Write(Vec<u8>),
    /// Answer this when all before it is written.
    Tell(Sender<()>),
}

/// What waits for the thread that writes.
#[derive(Debug, Clone)]
struct Queue {
    orders: Sender<Order>,
    /// Bytes.
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    fn start() -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let queue = Self { orders, waiting: waiting.clone() };
        std::thread::Builder::new().name("log".into()).spawn(move || write(&ordered, &waiting))?;
        Ok(queue)
    }

    fn put(&self, text: Vec<u8>) {
        let length = text.len();
        let before = self.waiting.fetch_add(length, Ordering::Relaxed);
        if before + length > MOST_WAITING || self.orders.send(Order::Write(text)).is_err() {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written, for [`FAREWELL`] at most.
    fn finish(&self) {
        let (done, written) = mpsc::channel();
        if self.orders.send(Order::Tell(done)).is_ok() {
            let _ = written.recv_timeout(FAREWELL);
        }
    }
}

/// Writes what comes, for as long as anything may.
fn write(orders: &Receiver<Order>, waiting: &AtomicUsize) {
    let (mut stderr, mut told) = (io::stderr(), 0);
    for order in orders {
        let text = match order {
            Order::Write(text) => text,
            Order::Tell(done) => {
                // Who has waited for long does so no more.
                let _ = done.send(());
                continue;
            }
        };
        let is_last = waiting.fetch_sub(text.len(), Ordering::Relaxed) == text.len();
        if stderr.write_all(&text).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        } else if lost() > told && is_last {
            // Only now: what has just been written shows that this can be, too.
            let lines = lost() - told;
            told += lines;
            warn!(lines, "lines were lost: nobody took them, or they could not be written");
        }
    }
}

/// Takes lines of the log, each of which comes in one piece.
struct Stderr(Queue);

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
