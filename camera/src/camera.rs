//! A camera: one device, one picture, and a room for each viewer at a time.

use crate::call::{self, Begin, Call, Ended, Happened, Stats};
use crate::device::{Device, DeviceError, Event};
use crate::source::{Source, SourceError};
use crate::viewing::{Act, Viewing};
use protocol::{ClosedReason, Connection, Info, RoomId, Said};
use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// What a camera does with its viewers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The rooms it waits in, one for each viewer at a time.
    pub rooms: Vec<RoomId>,
    /// What it tells of itself.
    pub info: Info,
    /// Asks viewers for an offer instead of making one.
    pub answers: bool,
    /// Ends when the first viewer has gone.
    pub once: bool,
    /// Tells how each call is going, every few seconds.
    pub stats: bool,
    /// Addresses of this machine at which viewers may reach it.
    pub addresses: Vec<IpAddr>,
    /// Whether pictures may go only over a relay.
    pub relay_only: bool,
}

/// Why a camera cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The broker does not want it.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is no picture.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An operator has removed it from every room.
    #[error("an operator has removed the camera from every room it was in; start it again to come back")]
    Removed,
}

/// A device that shows its picture to whoever comes.
#[derive(Debug)]
pub struct Camera {
    device: Device,
    source: Source,
    settings: Settings,
    rooms: BTreeMap<RoomId, Room>,
    /// Calls that have been made: each is told from those before it by its number.
    calls: u64,
    tell: mpsc::UnboundedSender<(RoomId, u64, Happened)>,
    happened: mpsc::UnboundedReceiver<(RoomId, u64, Happened)>,
}

#[derive(Debug, Default)]
struct Room {
    viewing: Viewing,
    call: Option<(u64, Call)>,
    stats: Stats,
    /// Its first viewer has seen something.
    served: bool,
    removed: bool,
}

impl Camera {
    /// Takes its seats.
    #[must_use]
    pub fn new(device: Device, source: Source, settings: Settings) -> Self {
        let (tell, happened) = mpsc::unbounded_channel();
        let mut rooms = BTreeMap::new();
        for room in &settings.rooms {
            device.join(room, Some(settings.info.clone()));
            rooms.insert(room.clone(), Room { viewing: Viewing::new(settings.answers), ..Room::default() });
        }
        Self { device, source, settings, rooms, calls: 0, tell, happened }
    }

    /// Serves viewers until `stop`, or, with [`Settings::once`], until the first has gone.
    ///
    /// # Errors
    /// What ends the camera: the broker refuses it, the source gives nothing more, an operator has removed it.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), CameraError> {
        let ended = self.serve(stop).await;
        for room in self.rooms.values_mut() {
            room.call = None;
        }
        self.device.close().await;
        ended
    }

    async fn serve(&mut self, stop: impl Future<Output = ()>) -> Result<(), CameraError> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                event = self.device.next() => match event {
                    Some(event) => self.hear(event?),
                    None => return Ok(()),
                },
                Some((room, number, happened)) = self.happened.recv() => self.follow(&room, number, happened),
                error = self.source.ended() => return Err(error.into()),
            }
            if self.rooms.values().all(|room| room.removed) {
                return Err(CameraError::Removed);
            }
            if self.settings.once && self.rooms.values().any(|room| room.served && room.call.is_none()) {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Online | Event::Offline { .. } => {}
            Event::Refused { code, message } => warn!(?code, "the broker refuses something: {message}"),
            Event::Agent { room, said } => {
                match &said {
                    Said::Created { .. } => info!(%room, "waiting for a viewer"),
                    Said::Joined { peer, .. } | Said::Arrived { peer } => info!(%room, viewer = %peer.id, "a viewer"),
                    Said::Full { .. } => warn!(%room, "two others are in this room; trying again"),
                    Said::Left { peer, reason } => info!(%room, viewer = %peer, ?reason, "the viewer has left"),
                    Said::Closed { reason } => warn!(%room, ?reason, "out of the room"),
                    Said::IceServers { .. } | Said::Error { .. } => {}
                }
                let Some(entry) = self.rooms.get_mut(&room) else { return };
                entry.removed = matches!(said, Said::Closed { reason: ClosedReason::Removed });
                let acts = entry.viewing.agent(&said);
                self.act(&room, acts);
            }
            Event::Peer { room, signal, .. } => {
                let Some(entry) = self.rooms.get_mut(&room) else { return };
                let acts = entry.viewing.viewer_says(signal);
                self.act(&room, acts);
            }
        }
    }

    fn follow(&mut self, room: &RoomId, number: u64, happened: Happened) {
        let Some(entry) = self.rooms.get_mut(room) else { return };
        // The last words of a call that another has followed.
        if entry.call.as_ref().map(|(number, _)| *number) != Some(number) {
            return;
        }
        let viewer = entry.viewing.viewer().map(ToString::to_string).unwrap_or_default();
        let acts = match happened {
            Happened::Say(signal) => entry.viewing.call_says(signal),
            Happened::State(connection) => {
                info!(%room, viewer, state = ?connection, "call");
                entry.served |= connection == Connection::Connected;
                self.device.report(room, connection, None);
                entry.viewing.call_is(connection)
            }
            Happened::Stats(stats) => {
                if self.settings.stats {
                    tell(room, &viewer, entry.stats, stats);
                }
                entry.stats = stats;
                Vec::new()
            }
            Happened::Ended(ended) => {
                info!(%room, viewer, "call over: {ended}");
                entry.call = None;
                let connection = if ended == Ended::Closed { Connection::Closed } else { Connection::Failed };
                self.device.report(room, connection, Some(ended.to_string()));
                entry.viewing.call_ended(matches!(ended, Ended::Unusable(_)))
            }
        };
        self.act(room, acts);
    }

    fn act(&mut self, room: &RoomId, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Say(to, signal) => self.device.send(room, &to, &signal),
                Act::Offer => self.begin(room, Begin::Offer),
                Act::Answer(sdp) => self.begin(room, Begin::Answer(sdp)),
                Act::Give(signal) => {
                    if let Some((_, call)) = self.rooms.get(room).and_then(|entry| entry.call.as_ref()) {
                        call.give(signal);
                    }
                }
                Act::End => {
                    if let Some(entry) = self.rooms.get_mut(room)
                        && entry.call.take().is_some()
                    {
                        self.device.report(room, Connection::Closed, None);
                    }
                }
            }
        }
    }

    fn begin(&mut self, room: &RoomId, begin: Begin) {
        let Some(entry) = self.rooms.get_mut(room) else { return };
        self.calls += 1;
        let number = self.calls;
        let options = call::Options {
            feed: self.source.feed(),
            ice_servers: entry.viewing.ice_servers.clone(),
            addresses: self.settings.addresses.clone(),
            relay_only: self.settings.relay_only,
        };
        let (tell, place) = (self.tell.clone(), room.clone());
        // Nobody listens any more once the camera has ended.
        let call = Call::begin(options, begin, move |happened| drop(tell.send((place.clone(), number, happened))));
        entry.call = Some((number, call));
        entry.stats = Stats::default();
    }
}

/// One line of figures for a viewer, since the last one.
fn tell(room: &RoomId, viewer: &str, before: Stats, now: Stats) {
    let round_trip =
        now.round_trip.map_or_else(|| "-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
    info!(
        target: "camera::stats",
        %room, viewer,
        frames = now.frames - before.frames.min(now.frames),
        key_frames = now.key_frames - before.key_frames.min(now.key_frames),
        kbit = (now.bytes - before.bytes.min(now.bytes)) * 8 / 1000,
        asked_for_key_frames = now.key_frame_requests,
        nacks = now.nacks,
        loss = format!("{:.1} %", now.loss * 100.0),
        round_trip,
        "sent"
    );
}
