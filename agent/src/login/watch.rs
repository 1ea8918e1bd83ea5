//! Files that are read again when they change: notices the change, and leaves the reading to others.
//!
//! Looks at the files once in a while instead of asking the kernel: certificates and secrets arrive through
//! renames, symlinks that are turned (as Kubernetes does it) and network file systems, which inotify
//! sees in part or not at all, and a look costs a system call.

#![allow(clippy::disallowed_methods, reason = "looks are taken at real times")]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// Time between two looks. A change counts when the next look finds nothing new, so that files which are
/// written one after another are read together.
const LOOK: Duration = Duration::from_millis(500);

/// What tells one content of a file from another without reading it: the file behind all symlinks, its size, and
/// when its content and its inode changed. `None` while there is none.
type Mark = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// Why files should be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// One of them has changed.
    Changed,
    /// SIGHUP asked for it.
    Hangup,
}

/// Files that are looked at. While there is one, SIGHUP does not end the process.
pub struct Watch {
    files: Files,
    hangup: Signal,
    next: Instant,
}

impl Watch {
    /// Begins to watch. Read the files after this, and no change is missed.
    ///
    /// # Errors
    /// If SIGHUP cannot be listened for.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        Ok(Self { files: Files::new(paths), hangup: signal(SignalKind::hangup())?, next: Instant::now() + LOOK })
    }

    /// Waits until the files should be read again. Cancel-safe.
    pub async fn changed(&mut self) -> Cause {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    self.files.settle();
                    return Cause::Hangup;
                }
                () = sleep_until(self.next) => {
                    self.next = Instant::now() + LOOK;
                    if self.files.look() {
                        return Cause::Changed;
                    }
                }
            }
        }
    }
}

/// The files as they were at the last look.
struct Files {
    marks: Vec<(PathBuf, Mark)>,
    /// Something has changed, and may still be changing.
    unsettled: bool,
}

impl Files {
    fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let marks = paths.into_iter().map(|path| {
            let mark = mark(&path);
            (path, mark)
        });
        Self { marks: marks.collect(), unsettled: false }
    }

    /// Whether a change is complete: something was found at an earlier look, and nothing more at this one.
    fn look(&mut self) -> bool {
        let mut is_new = false;
        for (path, before) in &mut self.marks {
            let now = mark(path);
            is_new |= now != *before;
            *before = now;
        }
        let complete = self.unsettled && !is_new;
        self.unsettled = is_new;
        complete
    }

    /// Takes what is there now as known.
    fn settle(&mut self) {
        self.look();
        self.unsettled = false;
    }
}

fn mark(path: &PathBuf) -> Mark {
    let file = fs::metadata(path).ok()?; // follows symlinks
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// Whether the first look finds a change that the second finds complete.
    fn notices(files: &mut Files) -> bool {
        let early = files.look();
        assert!(!early, "a change is not complete at once");
        files.look()
    }

    /// Another file under the same name, as most programs write.
    fn replace(path: &Path, text: &str) {
        let draft = path.with_extension("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, path).unwrap();
    }

    #[test]
    fn every_way_to_change_a_file_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut files = Files::new([path.clone(), folder.path().join("other")]);
        assert!(!notices(&mut files), "nothing has happened");
        for (what, change) in [
            ("it appears", &(|path: &Path| fs::write(path, "one").unwrap()) as &dyn Fn(&Path)),
            ("it is written to", &|path| fs::write(path, "three").unwrap()),
            ("it is replaced by one of the same size", &|path| replace(path, "seven")),
            ("it goes", &|path| fs::remove_file(path).unwrap()),
        ] {
            change(&path);
            assert!(notices(&mut files), "{what}");
            assert!(!notices(&mut files), "{what}: once");
        }
    }

    #[test]
    fn a_turned_symlink_is_a_change() {
        // Kubernetes: cert.pem -> ..data/cert.pem, ..data -> ..2026_01, and ..data is replaced.
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("cert.pem"), "same size").unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/cert.pem", at("cert.pem")).unwrap();
        let mut files = Files::new([at("cert.pem")]);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(notices(&mut files));
    }

    #[test]
    fn what_is_still_being_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let mut files = Files::new([certificate.clone(), key.clone()]);
        fs::write(&certificate, "new").unwrap();
        assert!(!files.look());
        fs::write(&key, "new").unwrap();
        assert!(!files.look(), "the second file came meanwhile");
        assert!(files.look());
    }

    #[tokio::test]
    async fn a_change_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut watch = Watch::new([path.clone()]).unwrap();
        fs::write(&path, "new").unwrap();
        let begin = Instant::now();
        assert_eq!(watch.changed().await, Cause::Changed);
        assert!(begin.elapsed() <= 20 * LOOK, "{:?}", begin.elapsed());
    }
}
