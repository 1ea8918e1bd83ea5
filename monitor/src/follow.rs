//! The modes without a screen: inputs go into the model, and what is new goes to stdout.

use crate::cli::Mode;
use crate::recorder::Recorder;
use monitor::filter::Filter;
use monitor::model::Model;
use monitor::output::{self, Item, News, Style};
use monitor::signals::Signals;
use monitor::source::{Given, Source};
use monitor::wire::Input;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

/// Inputs that are taken before what they brought is flushed and signals are looked at again.
const BATCH: usize = 1000;

/// What is shown of the inputs, and where they are kept.
pub(crate) struct Follow {
    pub(crate) model: Model,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) mode: Mode,
    pub(crate) filter: Filter,
    pub(crate) style: Style,
    pub(crate) news: News,
}

impl Follow {
    /// Follows until the source or the time ends, or a signal asks for the end.
    ///
    /// # Errors
    /// Why the source ended, or that something cannot be written.
    pub(crate) async fn run(mut self, mut source: Source, time: Option<Duration>) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut out = BufWriter::new(io::stdout().lock());
        let over = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => break,
                () = &mut over => break,
                given = source.next() => {
                    let input = match given {
                        Given::Input(input) => input,
                        Given::Notice(_) => continue, // no orders are given from here
                        Given::End => break,
                    };
                    self.take(input, &mut out)?;
                    // Whoever reads along sees a line when it is there; a flood is written in one go.
                    for _ in 1..BATCH {
                        let Some(input) = source.try_next() else { break };
                        self.take(input, &mut out)?;
                    }
                    out.flush()?;
                }
            }
        }
        if self.mode == Mode::Summary {
            output::summary::write(&mut out, &self.model, &self.filter, self.style)?;
        }
        out.flush()?;
        if let Some(recorder) = self.recorder.take() {
            recorder.end(self.model.now())?;
        }
        Ok(source.end().await?)
    }

    fn take(&mut self, input: Input, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.keep(&input)?;
        }
        self.model.take(input.clone());
        if self.mode == Mode::Summary {
            return Ok(());
        }
        for item in self.news.after(&input, &self.model) {
            let wanted = match &item {
                Item::Entry { room, entry } => self.filter.entry(room, entry),
                Item::Found { room, .. } | Item::Gone { room, .. } => self.filter.room(room),
                Item::Link { .. } | Item::Agent { .. } | Item::Lost { .. } | Item::Unread { .. } => true,
            };
            match self.mode {
                _ if !wanted => {}
                Mode::Json => output::json::write(out, &item, self.style.redaction)?,
                _ => output::log::write(out, &item, self.style)?,
            }
        }
        Ok(())
    }
}
