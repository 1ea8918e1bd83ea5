//! The life of a call: sockets, time, frames and signals come together here.

#![allow(clippy::disallowed_methods, reason = "calls happen in real time")]

use super::net::Sockets;
use super::peer::{Peer, Want};
use super::servers::{self, Input, Output, Servers};
use super::{Begin, Ended, Happened, Options};
use crate::signal::Signal;
use crate::source::{Frame, Path};
use protocol::Connection;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::{Candidate, CandidateKind};
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
    path: Path,
    sockets: Sockets,
    servers: Servers,
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
    let peer = Peer::new(options.feed.codec(), options.feed.adapts_from(), now);
    let path = options.feed.path();
    let servers = Servers::new(now);
    let mut running = Running { options, peer, path, sockets, servers, state: State::Connecting(now), tell };
    if let Err(ended) = running.keep(begin, &mut signals).await {
        (running.tell)(Happened::Ended(ended));
    }
    // What viewer and servers are told at the end.
    running.peer.close();
    while let Ok(Want::Send { from, to, bytes }) = running.peer.poll() {
        running.send(from, to, &bytes);
    }
    running.servers.close(Instant::now());
    while let Output::Send { from, to, bytes } = running.servers.poll(Instant::now()) {
        running.sockets.send(from, to, &bytes);
    }
}

impl<T: FnMut(Happened) + Send> Running<T> {
    /// Until it ends by itself, which is told as an error, or is dropped.
    async fn keep(&mut self, begin: Begin, signals: &mut mpsc::UnboundedReceiver<Signal>) -> Result<(), Ended> {
        let unusable = |error: str0m::RtcError| Ended::Unusable(error.to_string());
        let addresses: Vec<_> = self.sockets.addresses().collect();
        for &address in addresses.iter().filter(|_| !self.options.relay_only) {
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
        // The offer does not wait for names to be looked up: what servers give is said by and by.
        let ice_servers = self.options.ice_servers.clone();
        let looked_up = servers::look_up(&ice_servers);
        tokio::pin!(looked_up);
        let mut looking = true;
        let mut frames: Option<broadcast::Receiver<Arc<Frame>>> = None;
        loop {
            self.drain(&mut frames)?;
            // What was said changes what is due, which is found out when time is told.
            self.peer.tick(Instant::now()).map_err(unusable)?;
            let until = self.drain(&mut frames)?.min(self.gather());
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
                found = &mut looked_up, if looking => {
                    looking = false;
                    self.servers.ask(Instant::now(), found, &addresses);
                }
                Some(datagram) = self.sockets.next() => {
                    let now = Instant::now();
                    if let Input::Other(heard) | Input::Relayed(heard) = self.servers.receive(now, datagram) {
                        self.peer.receive(now, heard.from, heard.to, &heard.bytes).map_err(unusable)?;
                    }
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
                Want::Until(at) => return Ok(at),
                Want::Send { from, to, bytes } => self.send(from, to, &bytes),
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
                Want::Carries(bits) => self.path.carries(bits),
                Want::KeyFrame => self.options.feed.want_key_frame(),
                Want::Stats => (self.tell)(Happened::Stats(self.peer.stats)),
                Want::Closed => return Err(Ended::Closed),
            }
        }
    }

    /// Does all that servers want; until when nothing more.
    fn gather(&mut self) -> Instant {
        loop {
            match self.servers.poll(Instant::now()) {
                Output::Until(at) => return at,
                Output::Send { from, to, bytes } => self.sockets.send(from, to, &bytes),
                Output::Candidate(candidate)
                    if self.options.relay_only && candidate.kind() != CandidateKind::Relayed => {}
                Output::Candidate(candidate) => {
                    self.peer.add_local(candidate);
                    // The connection has something to do with it.
                    return Instant::now();
                }
            }
        }
    }

    /// To the viewer, over a relay or directly.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if !self.servers.is_relayed(from) {
            return self.sockets.send(from, to, bytes);
        }
        if let Some(Output::Send { from, to, bytes }) = self.servers.relay(Instant::now(), from, to, bytes) {
            self.sockets.send(from, to, &bytes);
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
