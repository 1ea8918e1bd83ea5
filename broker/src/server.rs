//! The whole broker: listeners, sessions, backbone, switchboard and agent, put together.

use crate::audit;
use crate::backbone::{self, BackboneError, Batch, Downlink};
use crate::config::Config;
use crate::frame::Frame;
use crate::hub::{self, Hub};
use crate::limits::Limits;
use crate::limits::memory::{Level, Memory};
use crate::listen;
use crate::listen::http::{Face, Site};
use crate::listen::tls::{Tls, TlsError};
use crate::session::outbox::Ending;
use crate::sys::Figures;
use agent::access::authorize::Rules;
use agent::login::Login;
use agent::login::files::FilesError;
use agent::login::watch::Watch;
use agent::rooms::Rooms;
use bytesize::ByteSize;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address is taken or not ours.
    #[error("{0}")]
    Listen(#[from] io::Error),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// See [`FilesError`].
    #[error(transparent)]
    Files(#[from] FilesError),
    /// See [`BackboneError`].
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

/// Longest time between two looks at delayed wills and expired sessions.
const TICK: Duration = Duration::from_millis(250);
/// Time for clients to take their leave when the broker stops.
const STOP: Duration = Duration::from_millis(1500);
/// How often a stopping broker looks whether everybody has gone.
const LOOK: Duration = Duration::from_millis(10);

/// A broker that runs.
pub struct Broker {
    /// Where is listened for what, with the real ports.
    pub doors: Vec<(&'static str, SocketAddr)>,
    hub: Arc<Hub>,
    listeners: Vec<JoinHandle<()>>,
    backbone: [JoinHandle<BackboneError>; 2],
}

impl Broker {
    /// Binds and starts; runs on the current tokio runtime.
    ///
    /// # Errors
    /// If an address cannot be bound, or there is no operator's token.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        // Before the first port is taken; watched before it is read, so that no change is missed.
        let changes = watch(config)?;
        let login =
            Arc::new(Login::new(config.access.clone(), config.state_dir.clone(), config.limits.exempt.clone())?);
        let tls = config.listen.tls.clone().map(Tls::start).transpose()?;
        let bind = |address: Option<SocketAddr>| address.map(listen::bind).transpose();
        let mqtt = bind(config.listen.mqtt)?;
        let mqtts = bind(config.listen.mqtts)?;
        let http = bind(config.listen.http)?;
        let https = bind(config.listen.https)?;
        let admin = bind(config.listen.admin)?;
        let rooms = Rooms::new(agent::rooms::Config { grace: config.grace, ice: config.ice.clone() });
        let mut limits = config.limits.clone();
        fit(&mut limits);
        if config.access.anonymous && (config.access.asks() || config.listen.is_open()) {
            warn!("--allow-anonymous: whoever can reach this broker comes in without saying who it is");
        }
        let (uplink, downlink) = backbone::start()?;
        let hub = Arc::new(Hub::new(login, Rules::new(config.topics.clone()), limits, rooms, uplink));
        tokio::spawn(publish_figures(hub.clone(), config.sys_interval));
        tokio::spawn(audit::publish(hub.clone()));
        tokio::spawn(watch_memory(hub.clone()));
        let is_private = config.access.anonymous && !config.listen.is_open();
        let (origins, hsts) = (config.listen.origins.clone(), config.listen.hsts);
        let site = Site { hub: hub.clone(), origins, is_private, hsts };
        let site = Arc::new(site);
        let (mut doors, mut listeners) = (Vec::new(), Vec::new());
        if let Some(changes) = changes {
            listeners.push(tokio::spawn(reload(hub.clone(), changes)));
        }
        for (name, listener, tls) in [("mqtt", mqtt, None), ("mqtts", mqtts, tls.clone())] {
            let Some(listener) = listener else { continue };
            doors.push((name, listener.local_addr()?));
            listeners.push(tokio::spawn(listen::tcp::serve(listener, hub.clone(), tls)));
        }
        let https_port = https.as_ref().map(|https| https.local_addr()).transpose()?.map(|address| address.port());
        let plain = https_port.map_or(Face::Page, Face::Redirect);
        for (name, listener, face, tls) in
            [("http", http, plain, None), ("https", https, Face::Page, tls), ("admin", admin, Face::Admin, None)]
        {
            let Some(listener) = listener else { continue };
            doors.push((name, listener.local_addr()?));
            listeners.push(tokio::spawn(listen::http::serve(listener, site.clone(), face, tls)));
        }
        Ok(Self { doors, listeners, backbone: run_backbone(&hub, downlink), hub })
    }

    /// Waits until the backbone has gone, which it does not do by itself: nothing can be delivered
    /// without it. Cancel-safe.
    pub async fn failed(&mut self) -> io::Error {
        let [pump, switch] = &mut self.backbone;
        let ended = tokio::select! { ended = pump => ended, ended = switch => ended };
        match ended {
            Ok(error) => io::Error::other(error),
            Err(error) => error.into(),
        }
    }

    /// Stops: nobody comes in, wills are sent, everybody is told, and all is given a moment to
    /// arrive.
    pub async fn stop(self) {
        let deadline = Instant::now() + STOP;
        self.hub.stop();
        for listener in &self.listeners {
            listener.abort();
        }
        // Those that leave wills go first, so that the others still hear them.
        self.hub.switchboard.lock().end_all(Ending::ShuttingDown, true);
        let wait = |done: fn(&Hub) -> bool| {
            let hub = self.hub.clone();
            async move {
                while !done(&hub) && Instant::now() < deadline {
                    tokio::time::sleep(LOOK).await;
                }
            }
        };
        wait(|hub| hub.uplink.is_idle() && !hub.switchboard.lock().has_wills()).await;
        self.hub.switchboard.lock().end_all(Ending::ShuttingDown, false);
        wait(|hub| hub.sessions() == 0 && hub.uplink.is_idle()).await;
        info!(left = self.hub.sessions(), "stopped");
    }
}

/// Brings the limits down to what there is of memory and open files.
fn fit(limits: &mut Limits) {
    let memory = Memory::new(limits.max_memory).limit();
    if limits.fit_memory(memory) {
        let Limits { max_waiting, retained, .. } = limits;
        info!(
            memory = %ByteSize(memory), max_waiting, max_retained = retained.bytes,
            "the limit of memory allows no more bytes than this"
        );
    }
    let Ok((descriptors, _)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else { return };
    if limits.fit_descriptors(usize::try_from(descriptors).unwrap_or(usize::MAX)) {
        let Limits { max_connections, max_handshakes, .. } = limits;
        info!(
            descriptors,
            max_connections, max_handshakes, "the limit of open files allows no more connections than this"
        );
    }
}

/// Looks how it stands with memory, and makes room where it is short.
async fn watch_memory(hub: Arc<Hub>) {
    let mut said = Level::Ample;
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Also when it is short for a moment only: those who are turned away for it have been told so.
        tokio::select! {
            _ = timer.tick() => {}
            () = hub.memory.noticed() => {}
        }
        let level = hub.memory.look();
        let most = hub.limits.max_waiting;
        hub.pool.resize(match level {
            Level::Ample => most,
            Level::Tight => most / 2,
            Level::Critical => 0,
        });
        let (sessions, slow) = hub.switchboard.lock().shed(level);
        let (used, limit) = (ByteSize(hub.memory.used()), ByteSize(hub.memory.limit()));
        if sessions + slow > 0 {
            warn!(sessions, slow, %used, %limit, "memory is short: sessions are ended for those that go on");
        }
        match level {
            _ if level == std::mem::replace(&mut said, level) => {}
            Level::Ample => info!(%used, %limit, "there is memory again, and clients come in"),
            Level::Tight => warn!(%used, %limit, "memory is short: only operators come in; those inside go on"),
            Level::Critical => warn!(%used, %limit, "memory is all but used up: who does not read is ended"),
        }
    }
}

/// What notices that users or keys have changed, if there are any.
fn watch(config: &Config) -> io::Result<Option<Watch>> {
    let files: Vec<_> = config.access.files().cloned().collect();
    (!files.is_empty()).then(|| Watch::new(files)).transpose()
}

/// Reads users and keys again when they have changed, and ends the sessions of users that are no
/// longer the same.
async fn reload(hub: Arc<Hub>, mut changes: Watch) {
    loop {
        changes.changed().await;
        match hub.login.reload() {
            Ok(()) => {
                let ended = hub.switchboard.lock().end_those(|grant| hub.login.still_admits(grant));
                info!(ended, "users and keys are read again");
            }
            Err(error) => warn!(%error, "users and keys stay as they were"),
        }
    }
}

/// Starts what carries messages from sessions to sessions: a task that hands them to the backbone, and
/// one that hands what comes out of it to the switchboard. They end when the backbone has gone.
pub fn run_backbone(hub: &Arc<Hub>, downlink: Downlink) -> [JoinHandle<BackboneError>; 2] {
    [tokio::spawn(pump(hub.clone())), tokio::spawn(switch(hub.clone(), downlink))]
}

async fn pump(hub: Arc<Hub>) -> BackboneError {
    hub.uplink.pump(|batch| hand_out(&hub, batch)).await
}

/// Hands what comes out of the backbone to the switchboard, and lets time pass for it.
async fn switch(hub: Arc<Hub>, mut downlink: Downlink) -> BackboneError {
    let mut tick = pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        tokio::select! {
            biased;
            () = &mut tick => {
                let now = hub::now();
                let mut switchboard = hub.switchboard.lock();
                switchboard.tick(now);
                let room = switchboard.next_deadline().map_or(TICK, |deadline| deadline.since(now.wall));
                let next = tokio::time::Instant::now() + room.clamp(Duration::from_millis(1), TICK);
                tick.as_mut().reset(next);
            }
            batch = downlink.next() => match batch {
                Ok(Some(batch)) => hand_out(&hub, batch),
                Ok(None) => {}
                Err(error) => return error,
            },
        }
    }
}

fn hand_out(hub: &Hub, batch: Batch<'_>) {
    let now = hub::now();
    let mut switchboard = hub.switchboard.lock();
    for frame in batch.filter_map(Frame::decode) {
        switchboard.handle(frame, now);
    }
}

async fn publish_figures(hub: Arc<Hub>, interval: Duration) {
    let mut figures = Figures::default();
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = hub.started;
    loop {
        timer.tick().await;
        let now = hub::now();
        let passed = now.instant.saturating_duration_since(last);
        last = now.instant;
        let mut switchboard = hub.switchboard.lock();
        let census = switchboard.census();
        for (topic, value) in figures.update(&hub.counters, census, hub.started.elapsed(), passed) {
            switchboard.publish_figure(topic, value, now);
        }
    }
}
