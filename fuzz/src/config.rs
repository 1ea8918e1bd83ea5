//! A configuration file: either it is understood, and then its print-out is understood as the same, or
//! there is an error in words.

use broker::config::{self, Layers};
use clap::ArgMatches;
use std::fs;
use std::path::{Path, PathBuf};

/// See the module and the crate.
pub fn run(data: &[u8]) {
    thread_local! {
        static PLACE: Place = Place::new();
    }
    PLACE.with(|place| {
        // Not those that name other files, which say what this file does not.
        let text = String::from_utf8_lossy(data);
        if ["file", "users", "jw", "cert", "key", "client"].iter().any(|word| text.contains(word)) {
            return;
        }
        if let Some(layers) = place.read(&text) {
            let again = place.read(&layers.to_string()).expect("the print-out is a configuration file");
            assert_eq!(layers.judge().ok(), again.judge().ok());
        }
    });
}

struct Place {
    _folder: tempfile::TempDir,
    file: PathBuf,
    flags: ArgMatches,
}

impl Place {
    fn new() -> Self {
        let memory = Path::new("/dev/shm"); // no disk is worn out by millions of files
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent).expect("a folder of its own");
        let file = folder.path().join("duet.toml");
        let flags = config::command().get_matches_from([
            "broker".as_ref(),
            "--config".as_ref(),
            file.as_os_str(),
            "--state-dir=unused".as_ref(),
        ]);
        Self { _folder: folder, file, flags }
    }

    /// What the file says, if that is allowed.
    fn read(&self, text: &str) -> Option<Layers> {
        fs::write(&self.file, text).expect("the file is ours");
        let layers = Layers::gather(&self.flags, std::iter::empty());
        match layers.and_then(|layers| layers.judge().map(|_| layers)) {
            Ok(layers) => Some(layers),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                None
            }
        }
    }
}
