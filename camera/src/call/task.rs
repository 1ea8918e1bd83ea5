//! The life of a call: sockets, time, frames and signals come together here.

#![allow(clippy::disallowed_methods, reason = "calls happen in real time")]

use super::net::Sockets;
use super::peer::{Peer, Want};
use super::{Begin, Ended, Happened, Options};
use crate::signal::Signal;
use crate::source::Frame;
use protocol::Connection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::Candidate;
use tokio::sync::{broadcast, mpsc};
use tracing::debug;

/// A viewer that was not reached by then will not be; nor will one come back that is lost for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A lost path may come back by itself; then others are tried.
const RESTART_AFTER: Duration = Duration::from_secs(2);

/// How the connection is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting(Instant),
    Connected,
    Lost { since: Instant, restarted: bool },
}

struct Running<T> {
    options: Options,
    peer: Peer,
    sockets: Sockets,
    state: State,
    tell: T,
}

/// Runs a call until it is over or nobody wants it any more.
pub(super) async fn run<T: FnMut(Happened) + Send>(
    options: Options,
    begin: Begin,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    tell: T,
) {
    let sockets = Sockets::open(&options.addresses).await;
    let now = Instant::now();
    let peer = Peer::new(options.feed.codec(), now);
    let mut running = Running { options, peer, sockets, state: State::Connecting(now), tell };
    if let Err(ended) = running.keep(begin, &mut signals).await {
        (running.tell)(Happened::Ended(ended));
    }
    running.peer.close();
    // What the viewer is told at the end.
    while let Ok(Want::Send { from, to, bytes }) = running.peer.poll() {
        running.sockets.send(from, to, &bytes);
    }
}

impl<T: FnMut(Happened) + Send> Running<T> {
    /// Until it ends by itself, which is told as an error, or is dropped.
    async fn keep(&mut self, begin: Begin, signals: &mut mpsc::UnboundedReceiver<Signal>) -> Result<(), Ended> {
        let unusable = |error: str0m::RtcError| Ended::Unusable(error.to_string());
        let addresses: Vec<_> = self.sockets.addresses().collect();
        for address in addresses {
            match Candidate::host(address, "udp") {
                Ok(candidate) => self.peer.add_local(candidate),
                Err(error) => debug!(%address, %error, "no candidate"),
            }
        }
        (self.tell)(Happened::State(Connection::Connecting));
        match begin {
            Begin::Offer => {
                let offer = self.peer.offer(false).ok_or_else(|| Ended::Unusable("no offer can be made".into()))?;
                self.say(offer);
            }
            Begin::Answer(sdp) => {
                if let Some(answer) = self.peer.hear(Signal::Offer { sdp })? {
                    self.say(answer);
                }
            }
        }
        let mut frames: Option<broadcast::Receiver<Arc<Frame>>> = None;
        loop {
            self.drain(&mut frames)?;
            // What was said changes what is due, which is found out when time is told.
            self.peer.tick(Instant::now()).map_err(unusable)?;
            let until = self.drain(&mut frames)?;
            for candidate in self.peer.unsaid() {
                self.say(candidate);
            }
            let until = until.min(self.deadline());
            tokio::select! {
                biased;
                signal = signals.recv() => match signal {
                    Some(signal) => {
                        if let Some(answer) = self.peer.hear(signal)? {
                            self.say(answer);
                        }
                    }
                    None => return Ok(()),
                },
                Some(datagram) = self.sockets.next() => {
                    self.peer.receive(Instant::now(), datagram.from, datagram.to, &datagram.bytes).map_err(unusable)?;
                }
                frame = next(&mut frames) => match frame {
                    Ok(frame) => self.peer.send(&frame).map_err(unusable)?,
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        debug!(missed, "this viewer is behind");
                        self.peer.missed();
                        self.options.feed.want_key_frame();
                    }
                    // The source has ended; whoever holds this call knows.
                    Err(broadcast::error::RecvError::Closed) => frames = None,
                },
                () = tokio::time::sleep_until(until.into()) => {
                    let now = Instant::now();
                    self.peer.tick(now).map_err(unusable)?;
                    self.judge(now)?;
                }
            }
        }
    }

    /// Does all that the connection wants; until when nothing more.
    fn drain(&mut self, frames: &mut Option<broadcast::Receiver<Arc<Frame>>>) -> Result<Instant, Ended> {
        loop {
            match self.peer.poll()? {
                // What is known of the media has been told by now.
                Want::Until(_) if self.state == State::Connected && !self.peer.has_picture() => {
                    return Err(Ended::Unusable("it has no place for a picture in its description".into()));
                }
                Want::Until(at) => return Ok(at),
                Want::Send { from, to, bytes } => self.sockets.send(from, to, &bytes),
                Want::Connected if self.state == State::Connected => {}
                Want::Connected => {
                    self.state = State::Connected;
                    (self.tell)(Happened::State(Connection::Connected));
                    frames.get_or_insert_with(|| self.options.feed.subscribe());
                    self.options.feed.want_key_frame();
                }
                Want::Disconnected => {
                    if self.state == State::Connected {
                        self.state = State::Lost { since: Instant::now(), restarted: false };
                        (self.tell)(Happened::State(Connection::Disconnected));
                    }
                }
                Want::KeyFrame => self.options.feed.want_key_frame(),
                Want::Stats => (self.tell)(Happened::Stats(self.peer.stats)),
                Want::Closed => return Err(Ended::Closed),
            }
        }
    }

    /// When the state is to be judged next.
    fn deadline(&self) -> Instant {
        match self.state {
            State::Connecting(since) | State::Lost { since, restarted: true } => since + PATIENCE,
            State::Lost { since, restarted: false } => since + RESTART_AFTER,
            State::Connected => Instant::now() + PATIENCE,
        }
    }

    fn judge(&mut self, now: Instant) -> Result<(), Ended> {
        match self.state {
            State::Connecting(since) if now >= since + PATIENCE => {
                Err(Ended::Unreachable("no way to it was found within 30 s"))
            }
            State::Lost { since, .. } if now >= since + PATIENCE => {
                Err(Ended::Unreachable("it has been away for 30 s"))
            }
            State::Lost { since, restarted: false } if now >= since + RESTART_AFTER => {
                self.state = State::Lost { since, restarted: true };
                if let Some(offer) = self.peer.offer(true) {
                    self.say(offer);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn say(&mut self, signal: Signal) {
        (self.tell)(Happened::Say(signal));
    }
}

/// The next frame; never, without a subscription.
async fn next(frames: &mut Option<broadcast::Receiver<Arc<Frame>>>) -> Result<Arc<Frame>, broadcast::error::RecvError> {
    match frames {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
    }
}
