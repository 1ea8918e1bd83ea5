//! The real monitor on a terminal, and what it writes there.

use super::PATIENCE;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

pub struct Pty {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    output: Arc<(Mutex<Vec<u8>>, Condvar)>,
    closing: Arc<AtomicBool>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Pty {
    /// The monitor, on a terminal of 120×40.
    pub fn monitor(args: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_monitor"));
        command.args(args);
        Self::spawn(command, 120, 40)
    }

    pub fn spawn(mut command: CommandBuilder, columns: u16, rows: u16) -> Self {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DUET_") || name == "NO_COLOR") {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.env("XDG_STATE_HOME", "/nonexistent");
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let output = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let closing = Arc::new(AtomicBool::new(false));
        let (mut reader, kept, close) = (pair.master.try_clone_reader().unwrap(), output.clone(), closing.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if close.load(Ordering::SeqCst) {
                    return;
                }
                kept.0.lock().unwrap().extend_from_slice(&buffer[..length]);
                kept.1.notify_all();
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: Some(pair.master), keys: Some(keys), child, output, closing }
    }

    /// Everything written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.0.lock().unwrap()).into_owned()
    }

    /// How much was written so far, to wait for what comes after.
    pub fn mark(&self) -> usize {
        self.output.0.lock().unwrap().len()
    }

    /// Waits until a text is written.
    pub fn wait_for(&self, text: &str) -> &Self {
        self.wait_after(0, text)
    }

    /// Waits until a text is written after a mark.
    pub fn wait_after(&self, mark: usize, text: &str) -> &Self {
        let deadline = Instant::now() + PATIENCE;
        let mut output = self.output.0.lock().unwrap();
        loop {
            let new = output.get(mark..).unwrap_or_default();
            if new.windows(text.len()).any(|window| window == text.as_bytes()) {
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {text:?} in:\n{}", String::from_utf8_lossy(new).escape_debug());
            output = self.output.1.wait_timeout(output, left).unwrap().0;
        }
    }

    pub fn press(&mut self, keys: &str) -> &mut Self {
        let writer = self.keys.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
        self
    }

    /// Changes the size, and waits until everything is drawn anew: two changes at once would be seen as one.
    pub fn resize(&self, columns: u16, rows: u16) -> &Self {
        let mark = self.mark();
        self.begin_resize(columns, rows);
        self.wait_after(mark, "\x1b[")
    }

    /// Changes the size, and does not wait.
    pub fn begin_resize(&self, columns: u16, rows: u16) {
        self.master.as_ref().unwrap().resize(size(columns, rows)).unwrap();
    }

    /// Whether the terminal is as a shell has it: lines are edited, keys are shown.
    pub fn is_cooked(&self) -> bool {
        let modes = rustix::termios::tcgetattr(self.fd()).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO)
    }

    /// The other end of the terminal, opened by its name.
    fn fd(&self) -> std::fs::File {
        let name = self.master.as_ref().unwrap().tty_name().unwrap();
        std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Takes the terminal away, as a closed window does. The key makes it write, so that whoever reads here lets go.
    pub fn hang_up(&mut self, key: &str) {
        self.closing.store(true, Ordering::SeqCst);
        self.press(key);
        self.keys = None;
        self.master = None;
    }

    /// Waits until the process has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running:\n{}", self.output().escape_debug());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
