//! Our broker, in a thread of its own, on free ports that it keeps when it comes back.

use broker::config::{self, Layers};
use broker::server::Broker as Server;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub struct Broker {
    folder: TempDir,
    flags: Vec<String>,
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    doors: Vec<(&'static str, SocketAddr)>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Broker {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further flags.
    pub fn with(flags: &[&str]) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Self { folder, flags, mqtt: any, http: any, doors: Vec::new(), running: None };
        broker.run();
        broker
    }

    /// Starts it again where it was before.
    pub fn run(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let folder = self.folder.path().join("state");
        let mut args = vec!["broker".to_owned(), "--mqtt".into(), self.mqtt.to_string(), "--http".into()];
        args.extend([self.http.to_string(), "--state-dir".into(), folder.display().to_string()]);
        args.extend(self.flags.clone());
        let matches = config::command().try_get_matches_from(args).unwrap();
        let config = Layers::gather(&matches, std::iter::empty()).unwrap().judge().unwrap();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start(&config).await.unwrap();
                tell.send(server.doors.clone()).unwrap();
                let _ = stopped.await;
            });
        });
        self.doors = told.recv_timeout(super::PATIENCE).expect("the broker starts");
        (self.mqtt, self.http) = (self.door("mqtt"), self.door("http"));
        self.running = Some((stop, thread));
    }

    /// Ends it as a crash does: nobody is told anything.
    pub fn kill(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }

    /// Where it listens: `mqtt`, `http`, and what the flags open.
    pub fn door(&self, name: &str) -> SocketAddr {
        self.doors.iter().find(|(door, _)| *door == name).expect("a door of that name").1
    }

    pub fn url(&self) -> String {
        format!("mqtt://{}", self.mqtt)
    }

    pub fn state_dir(&self) -> String {
        self.folder.path().join("state").display().to_string()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
