//! Three nodes of RMQTT with Raft, the hooks' files as they are shipped, an agent for each node, and a Redis: on
//! loopback, each on ports that were free, all ended at the end.

use crate::mosquitto::{PASSWORD, Process};
use crate::redis::Redis;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// What the nodes show to their agents; with the signs that an address wants written otherwise.
const SECRET: &str = "what+nodes/show=";
/// Signs tokens.
pub(crate) const JWT_SECRET: &str = "a secret of tests, which is long enough";
/// How often a line is waited for, [`PATIENCE`](crate::mosquitto::PATIENCE) each: a cluster finds its leader slowly.
const WAITS: usize = 6;

/// Where one node and its agent listen.
#[derive(Clone, Copy)]
struct Ports {
    mqtt: u16,
    ws: u16,
    grpc: u16,
    raft: u16,
    hooks: u16,
}

/// The cluster and what is beside it; node and agent `n` are one another's.
pub(crate) struct Cluster {
    folder: TempDir,
    redis: Redis,
    ports: [Ports; 3],
    nodes: [Option<Process>; 3],
    agents: [Option<Process>; 3],
    news: News,
}

/// How agents hear of those who have gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Over HTTP, by the plugin rmqtt-web-hook.
    Hook,
    /// Over MQTT, by the plugin rmqtt-sys-topic.
    Sys,
}

impl Cluster {
    /// All at work, with `users` who may be in every room.
    pub(crate) fn start(users: &[&str], news: News) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cheap = Params::new(8, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap);
        let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
        let users: String =
            users.iter().map(|name| format!("[{name}]\npassword = \"{hash}\"\nrooms = [\"*\"]\n")).collect();
        std::fs::write(folder.path().join("users.toml"), users).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        std::fs::write(folder.path().join("jwt"), JWT_SECRET).unwrap();
        let port = unused_port;
        let ports = [(); 3].map(|()| Ports { mqtt: port(), ws: port(), grpc: port(), raft: port(), hooks: port() });
        let (nodes, agents) = Default::default();
        let mut cluster = Self { folder, redis: Redis::start(), ports, nodes, agents, news };
        for n in 0..3 {
            cluster.configure(n);
            cluster.start_agent(n);
        }
        for n in 0..3 {
            cluster.start_node(n);
        }
        for n in 0..3 {
            cluster.wait_for_node(n);
            cluster.wait_for_agent(n);
        }
        cluster
    }

    /// Where a node takes clients.
    pub(crate) fn mqtt(&self, n: usize) -> u16 {
        self.ports[n].mqtt
    }

    /// Where a node takes browsers.
    pub(crate) fn ws(&self, n: usize) -> String {
        format!("127.0.0.1:{}", self.ports[n].ws)
    }

    fn plugins(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("node-{n}"))
    }

    /// The shipped files, with the address of the node's own agent and the secret in them.
    fn configure(&self, n: usize) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/engines/rmqtt");
        std::fs::create_dir(self.plugins(n)).unwrap();
        for (name, secret) in [
            ("rmqtt-acl.toml", SECRET.to_owned()),
            ("rmqtt-auth-http.toml", SECRET.to_owned()),
            ("rmqtt-web-hook.toml", SECRET.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")),
        ] {
            let text = std::fs::read_to_string(shipped.join(name)).unwrap();
            assert_eq!(text.contains("127.0.0.1:8090"), name != "rmqtt-acl.toml", "{name}");
            let hooks = format!("127.0.0.1:{}", self.ports[n].hooks);
            let lines = text.lines().map(|line| match line.starts_with('#') {
                true => String::new(),
                false => line.replace("127.0.0.1:8090", &hooks).replace("SECRET", &secret) + "\n",
            });
            let mut lines: String = lines.collect();
            if self.news == News::Sys {
                lines = lines.replace("[{ action = \"client_disconnected\" }]", "[]");
            }
            std::fs::write(self.plugins(n).join(name), lines).unwrap();
        }
    }

    /// Starts a node, or starts it again.
    pub(crate) fn start_node(&mut self, n: usize) {
        let program = std::env::var_os("DUET_CLUSTER_NODE").expect("DUET_CLUSTER_NODE names the node's program");
        let all = |port: fn(&Ports) -> u16| {
            let each = self.ports.iter().zip(1..).map(|(ports, id)| format!("{id}@127.0.0.1:{}", port(ports)));
            each.collect::<Vec<_>>().join(",")
        };
        let Ports { mqtt, ws, .. } = self.ports[n];
        let node = Process::spawn(
            Command::new(program)
                .args(["--id", &(n + 1).to_string()])
                .args(["--mqtt", &format!("127.0.0.1:{mqtt}"), "--ws", &format!("127.0.0.1:{ws}")])
                .args(["--grpc", &all(|ports| ports.grpc), "--raft", &all(|ports| ports.raft), "--plugins"])
                .arg(self.plugins(n))
                .env("RUST_LOG", "warn"),
        );
        self.nodes[n] = Some(node);
    }

    /// Waits until a node takes clients.
    pub(crate) fn wait_for_node(&self, n: usize) {
        wait(self.nodes[n].as_ref().unwrap(), "listening on");
    }

    /// Ends a node without a word.
    pub(crate) fn kill_node(&mut self, n: usize) {
        self.nodes[n] = None;
    }

    /// Starts the agent of a node, or starts it again.
    pub(crate) fn start_agent(&mut self, n: usize) {
        let Ports { mqtt, hooks, .. } = self.ports[n];
        let agent = Process::spawn(
            Command::new(env!("CARGO_BIN_EXE_agent"))
                .current_dir(self.folder.path())
                .args(["--broker", &format!("mqtt://127.0.0.1:{mqtt}"), "--id", &format!("agent-{n}")])
                .args(["--username", "agent", "--store", &self.redis.url(), "--grace", "1s", "--lease", "120s"])
                .args(["--http", &format!("127.0.0.1:{hooks}"), "--http-secret-file", "secret"])
                .args(["--users", "users.toml", "--jwt-secret", "jwt", "--log", "warn,agent=info"])
                .args((self.news == News::Sys).then_some("--sys-presence"))
                .env("DUET_AGENT_PASSWORD", "the agents' own"),
        );
        self.agents[n] = Some(agent);
    }

    /// Waits until an agent is connected to its node.
    pub(crate) fn wait_for_agent(&self, n: usize) {
        wait(self.agents[n].as_ref().unwrap(), "agent connected");
    }

    /// Ends an agent without a word.
    pub(crate) fn kill_agent(&mut self, n: usize) {
        self.agents[n] = None;
    }
}

impl Drop for Cluster {
    /// What the programs said, where a test has failed.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (kind, processes) in [("node", &self.nodes), ("agent", &self.agents)] {
            for (n, process) in processes.iter().enumerate() {
                let said = process.as_ref().map_or("is dead".into(), Process::output);
                eprintln!("--- {kind} {n}:\n{said}");
            }
        }
    }
}

/// A port that nobody listens at, and no cluster of this process has had: RMQTT does not listen where connections of a dead
/// one still linger. Below those that connections are made from, or one of these would take it meanwhile.
fn unused_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = std::iter::from_fn(|| Some(first + NEXT.fetch_add(1, Ordering::Relaxed)));
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap()
}

fn wait(process: &Process, text: &str) {
    let came = (0..WAITS).any(|_| process.wait_for(text).is_ok());
    assert!(came, "no line with {text:?} in:\n{}", process.output());
}
