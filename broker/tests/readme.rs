//! What the README tells people to type, typed: every command of ours and of Mosquitto's, section by section, in the
//! order in which it stands there, and every piece of configuration. Only ports are changed, being taken perhaps.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use support::{PATIENCE, scratch_folder};

const README: &str = include_str!("../../README.md");
/// What a reader has in mind where the README says `$PASSWORD`.
const PASSWORD: &str = "correct horse";

/// A piece of the README that is set off.
#[derive(Debug, PartialEq)]
enum Piece {
    /// Something to be typed.
    Command(String),
    /// Something to be written into `duet.toml`.
    Configuration(String),
    /// For other programs, or not for typing.
    Other(String),
}

/// The pieces of each section, by its heading.
fn sections() -> Vec<(&'static str, Vec<Piece>)> {
    let mut sections = vec![("", Vec::new())];
    let mut block: Vec<&str> = Vec::new();
    for line in README.lines().chain([""]) {
        if let Some(text) = line.strip_prefix("    ") {
            block.push(text);
            continue;
        }
        if line.is_empty() && !block.is_empty() {
            block.push(""); // it may go on after an empty line
            continue;
        }
        let (_, pieces) = sections.last_mut().unwrap();
        pieces.extend(take_apart(&std::mem::take(&mut block)));
        // In a sentence, there is one to be typed as well.
        let typed = line.split('`').skip(1).step_by(2).filter(|quoted| quoted.starts_with("curl -"));
        pieces.extend(typed.map(|command| Piece::Command(command.to_owned())));
        if line.starts_with('#') {
            sections.push((line.trim_start_matches(['#', ' ']), Vec::new()));
        }
    }
    sections
}

fn take_apart(block: &[&str]) -> Vec<Piece> {
    let text = block.join("\n");
    if text.trim_start().starts_with('[') {
        return vec![Piece::Configuration(text)];
    }
    let lines = block.iter().filter(|line| !line.is_empty());
    let piece = |line: &&str| match line.split(' ').next().unwrap_or_default() {
        "broker" | "mosquitto_pub" | "mosquitto_sub" | "curl" | "head" => Piece::Command((*line).to_owned()),
        _ => Piece::Other((*line).to_owned()),
    };
    lines.map(piece).collect()
}

/// Somebody who follows a section, in a folder of their own.
struct Reader {
    folder: PathBuf,
    broker: Option<Child>,
    /// Real ports by the names of the doors.
    doors: Vec<(String, u16)>,
    token: String,
}

impl Reader {
    fn new() -> Self {
        let folder = scratch_folder();
        std::fs::write(folder.join("turn.secret"), "the line that is in turn.secret\n").unwrap();
        std::fs::write(folder.join("other.secret"), "what the relay's operator has said\n").unwrap();
        Self { folder, broker: None, doors: Vec::new(), token: String::new() }
    }

    fn shell(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_broker")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DUET_")) {
            command.env_remove(name);
        }
        command.args(["-o", "pipefail", "-euc", line]).current_dir(&self.folder);
        command.env("PATH", path).env("HOME", &self.folder).env_remove("XDG_STATE_HOME");
        command.env("DUET_MQTT", "127.0.0.1:0").env("DUET_HTTP", "127.0.0.1:0");
        command.env("TOKEN", &self.token).env("PASSWORD", PASSWORD);
        command
    }

    fn port(&self, door: &str) -> u16 {
        let found = self.doors.iter().find(|(name, _)| name == door);
        found.unwrap_or_else(|| panic!("the broker listens for {door} before it is asked for")).1
    }

    fn types(&mut self, line: &str) {
        let runs_on = line.starts_with("broker --");
        if runs_on {
            return self.starts(&line.replace(":8883", ":0").replace(":8443", ":0"));
        }
        if line.starts_with("curl") && self.broker.is_none() {
            self.starts("broker");
        }
        let line = match line.split(' ').next() {
            Some("mosquitto_pub") if line.contains("-p 8883") => {
                let port = self.port("mqtts");
                let rest = "-i alice -t rooms/lobby/agent/alice -m '{\"type\":\"join\"}'";
                line.replace("8883", &port.to_string()).replace('…', rest)
            }
            Some("mosquitto_pub") => format!("{line} -h 127.0.0.1 -p {}", self.port("mqtt")),
            Some("curl") => format!("{} --fail --silent", line.replace(":8080", &format!(":{}", self.port("http")))),
            _ => line.to_owned(),
        };
        let mut child =
            self.shell(&line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Where a password is asked for; others do not read it.
        let _ = child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        if line.starts_with("broker token") && !line.contains("--qr") {
            self.token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        }
    }

    fn starts(&mut self, line: &str) {
        self.ends();
        let mut child = self.shell(&format!("exec {line}")).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        self.broker = Some(child);
        self.doors.clear();
        while let Some((name, address)) = lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{line} does not start"))
            .split_once(" listening on ")
        {
            let port = address.rsplit(':').next().unwrap().parse().unwrap();
            self.doors.push((name.to_owned(), port));
        }
    }

    fn writes(&self, configuration: &str) {
        let file = self.folder.join("duet.toml");
        std::fs::write(&file, configuration).unwrap();
        let output = self.shell("broker --print-config").output().unwrap();
        assert!(output.status.success(), "{configuration}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(file).unwrap();
    }

    fn ends(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ends();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn every_command_and_every_configuration_works_as_it_stands() {
    let (mut typed, mut written) = (0, 0);
    for (heading, pieces) in sections() {
        let mut reader = Reader::new();
        for piece in pieces {
            match piece {
                Piece::Command(line) => {
                    println!("{heading}: {line}");
                    reader.types(&line);
                    typed += 1;
                }
                Piece::Configuration(text) => {
                    println!("{heading}: {text}");
                    reader.writes(&text);
                    written += 1;
                }
                Piece::Other(_) => {}
            }
        }
    }
    println!("{typed} commands, {written} configurations");
    assert!(typed >= 14 && written >= 2, "they are found: {typed} commands, {written} configurations");
}

#[test]
fn what_is_not_typed_here_is_known() {
    let known = [
        "cargo run",       // by whoever builds this test
        "make test",       // runs this test
        "subscribe ",      // the wire: tests/outside.rs
        "publish ",        // the wire: tests/outside.rs
        "receive ",        // the wire: tests/outside.rs
        "import ",         // JavaScript: web/e2e
        "const room",      // JavaScript: web/e2e
        "use-auth-secret", // coturn's: tests/turn.rs
        "static-auth-secret=",
        "realm=",
    ];
    for (heading, pieces) in sections() {
        for piece in pieces {
            if let Piece::Other(line) = piece {
                assert!(known.iter().any(|begin| line.starts_with(begin)), "{heading}: nobody tries {line:?}");
            }
        }
    }
}
