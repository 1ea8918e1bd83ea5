//! A test in a network of its own, which has nothing but a loopback interface, and with names that it chooses: there is no
//! DNS, and addresses can be taken away. Needs util-linux's `unshare`, iproute2's `ip`, and user namespaces.

use std::path::Path;
use std::process::Command;

const INSIDE: &str = "DUET_TEST_HOSTS";

/// A network of its own.
pub struct Isolated {
    hosts: String,
}

impl Isolated {
    /// Plays the test `name` again, as a process in a network of its own, and fails as it does. There, it is given.
    pub fn enter(name: &str, folder: &Path) -> Option<Self> {
        if let Ok(hosts) = std::env::var(INSIDE) {
            return Some(Self { hosts });
        }
        let hosts = folder.join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        let script = r#"mount --bind "$1" /etc/hosts && ip link set lo up && shift && exec "$@""#;
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "--", "sh", "-c", script, "sh"])
            .args([hosts.as_os_str(), std::env::current_exe().unwrap().as_os_str()])
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, &hosts)
            .output()
            .unwrap_or_else(|error| panic!("unshare: {error}; this test needs util-linux"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        print!("{}", text(&output.stdout));
        assert!(output.status.success(), "in a network of its own:\n{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("1 passed"), "there is no test {name}");
        None
    }

    /// From now on, this name is found.
    pub fn name(&self, name: &str) {
        // In place: the file itself is mounted.
        std::fs::write(&self.hosts, format!("127.0.0.1 localhost\n127.0.0.1 {name}\n")).unwrap();
    }

    /// Nothing reaches this address any more, and no acknowledgement.
    pub fn drop_address(&self, address: &str) {
        ip(&["route", "add", "blackhole", address, "table", "local"]);
    }

    /// Takes the network away, or brings it.
    pub fn link(&self, is_up: bool) {
        ip(&["link", "set", "lo", if is_up { "up" } else { "down" }]);
    }
}

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output();
    let done = done.unwrap_or_else(|error| panic!("ip: {error}; this test needs iproute2"));
    assert!(done.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}
