//! A pipe with a reader that is stuck: it takes nothing, and nothing fits into it any more.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Pipe {
    /// Where to write; whoever does waits for ever.
    pub path: PathBuf,
    /// A pipe without a reader would be a broken one.
    reader: File,
}

impl Pipe {
    /// One in this folder.
    pub fn full(folder: &Path) -> Self {
        let path = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        // To write, too: to open one only for reading waits for a writer (fifo(7)).
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let pipe = Self { path, reader };
        pipe.fill();
        pipe
    }

    fn fill(&self) {
        let of = format!("of={}", self.path.display());
        let output = Command::new("dd").args(["if=/dev/zero", &of, "oflag=nonblock", "bs=4096"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("Resource temporarily unavailable"), "full: {text}");
    }

    /// Its reader goes on, up to a line with these words, and is stuck again.
    pub fn read_until(&self, words: &'static str) -> String {
        let mut reader = BufReader::new(self.reader.try_clone().unwrap());
        let (found, line) = mpsc::channel();
        std::thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                reader.read_until(b'\n', &mut line).unwrap();
                let line = String::from_utf8_lossy(&line);
                if line.contains(words) {
                    return found.send(line.into_owned());
                }
            }
        });
        line.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nobody says {words:?}"))
    }
}
