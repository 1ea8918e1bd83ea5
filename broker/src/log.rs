//! Where the log goes: stderr, whatever becomes of that. A file system that is full, or a reader that has gone, costs lines
//! and nothing else; how many, [`lost`] says, and `/metrics` with it.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that could not be written, since the process began.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Begins to log what `filter` lets through, in the notation of [`EnvFilter`].
pub fn begin(filter: &str) {
    let mut filter = filter.to_owned();
    for (module, level) in [
        ("rumqttd", "off"),      // it opens a span for every message, at level error
        ("tungstenite", "info"), // it writes out every frame, and passwords with them
    ] {
        if !filter.contains(module) {
            filter.push_str(&format!(",{module}={level}"));
        }
    }
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(Lines(io::stderr))
        // It would say so on stderr, by a macro that panics if that cannot be written.
        .log_internal_errors(false)
        .init();
}

/// Lines that could not be written.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Makes a writer for each line.
struct Lines<M>(M);

/// Counts what cannot be written.
struct Line<W>(W);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Lines<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.write_all(line).inspect_err(|_| {
            LOST.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
