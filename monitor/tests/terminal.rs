//! On a real terminal: it is given back as it was, however the monitor ends, and nothing a peer says reaches it raw.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use monitor::terminal::Terminal;
use portable_pty::CommandBuilder;
use serde_json::json;
use support::pty::Pty;
use support::recorded::Recorded;

const TAKEN: [&str; 3] = ["\x1b[?1049h", "\x1b[?1000h", "\x1b[?2004h"];
const GIVEN_BACK: [&str; 3] = ["\x1b[?2004l", "\x1b[?1000l", "\x1b[?1049l"];
const CURSOR: &str = "\x1b[?25h";

/// A monitor that plays a short recording.
fn playing() -> (tempfile::TempDir, Pty) {
    let folder = tempfile::tempdir().unwrap();
    let path = Recorded::new().call("lobby").write(folder.path());
    let pty = Pty::monitor(&["--replay", path.to_str().unwrap(), "--speed", "100"]);
    for sequence in TAKEN {
        pty.wait_for(sequence);
    }
    pty.wait_for("lobby");
    (folder, pty)
}

fn assert_given_back(pty: &Pty) {
    // The process has ended, but what it wrote last may not have been read yet. The cursor comes last.
    let hidden = pty.output().rfind("\x1b[?25l").unwrap();
    pty.wait_after(hidden, CURSOR);
    let output = pty.output();
    for sequence in GIVEN_BACK {
        assert_eq!(output.matches(sequence).count(), 1, "{sequence:?} in {}", output.escape_debug());
    }
    assert!(pty.is_cooked(), "the terminal shows keys and edits lines again");
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["TERM", "HUP", "INT", "QUIT"] {
        let (_folder, mut pty) = playing();
        assert!(!pty.is_cooked());
        pty.signal(signal);
        assert_eq!(pty.wait().exit_code(), 0, "SIG{signal}: {}", pty.output().escape_debug());
        assert_given_back(&pty);
    }
}

#[test]
fn keys_give_the_terminal_back() {
    for key in ["q", "\x03"] {
        let (_folder, mut pty) = playing();
        pty.press(key);
        assert_eq!(pty.wait().exit_code(), 0, "{key:?}");
        assert_given_back(&pty);
    }
}

#[test]
fn errors_give_the_terminal_back_and_are_told_after_it() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", port.local_addr().unwrap());
    let refuses = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = port.accept().unwrap();
        let mut connect = [0; 1024];
        assert!(socket.read(&mut connect).unwrap() > 0);
        socket.write_all(&[0x20, 2, 0, 4]).unwrap(); // CONNACK: bad user name or password (MQTT 3.1.1, 3.2.2.3)
        let _ = socket.read(&mut connect);
    });
    let mut pty = Pty::monitor(&["--broker", &url]);
    assert_eq!(pty.wait().exit_code(), 3);
    refuses.join().unwrap();
    assert_given_back(&pty);
    pty.wait_for("wrong user or password");
    let output = pty.output();
    assert!(output.find("wrong user") > output.find("\x1b[?1049l"), "{}", output.escape_debug());
}

/// Not a test: what the next one starts in a process of its own.
#[test]
#[ignore = "panics on purpose, on a terminal that another test gives it"]
fn panics_while_the_terminal_is_taken() {
    let mut terminal = Terminal::take().unwrap();
    terminal.draw(|frame| frame.render_widget("underneath", frame.area())).unwrap();
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "panics_while_the_terminal_is_taken", "--nocapture", "--test-threads=1"]);
    let mut pty = Pty::spawn(command, 80, 24);
    assert!(!pty.wait().success());
    pty.wait_for("on purpose");
    assert_given_back(&pty);
    let output = pty.output();
    assert!(output.contains("underneath"));
    assert!(output.find("on purpose") > output.find("\x1b[?1049l"), "{}", output.escape_debug());
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let (_folder, mut pty) = playing();
    pty.hang_up("?");
    pty.wait();
}

#[test]
fn a_recording_waits_and_hurries_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = Recorded::new().call("first").pause(600).call("second").write(folder.path());
    let play = || {
        let pty = Pty::monitor(&["--replay", path.to_str().unwrap(), "--speed", "1"]);
        pty.wait_for("first");
        pty
    };
    // Ten minutes, unless it hurries while it waits.
    play().press(&"+".repeat(10)).wait_for("second");
    let mut pty = play();
    pty.press("p").wait_for("PAUSED");
    pty.press(&"+".repeat(10)).wait_for("1000 times as fast");
    assert!(!pty.output().contains("second"), "it stands still");
    pty.press("p").wait_for("second");
}

#[test]
fn a_key_that_is_pressed_while_the_window_changes_its_size_is_heard() {
    let (_folder, mut pty) = playing();
    for rows in (30..40).cycle().take(100) {
        for seen in ["All keys", "lobby"] {
            let mark = pty.mark();
            pty.begin_resize(120, rows);
            pty.press("?").wait_after(mark, seen);
        }
    }
}

#[test]
fn any_size_of_the_screen_is_survived() {
    let (_folder, mut pty) = playing();
    for (columns, rows) in [(1, 1), (500, 200), (2, 1), (1, 50), (39, 9), (40, 10), (0, 0), (120, 40)] {
        pty.resize(columns, rows);
        pty.press("?").press("?"); // help, and back
    }
    pty.press("q");
    assert_eq!(pty.wait().exit_code(), 0);
    assert_given_back(&pty);
}

#[test]
fn what_is_copied_goes_to_the_clipboard_of_the_terminal() {
    let (_folder, mut pty) = playing();
    pty.press("y").wait_for("\x1b]52;c;cm9vbSBsb2JieQ"); // room lobby
    pty.press("q");
    assert_eq!(pty.wait().exit_code(), 0);
}

#[test]
fn nothing_that_a_peer_says_steers_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "\x1b]0;pwned\x07\u{9b}31m\u{202e}";
    let mut recorded = Recorded::new();
    let sdp = format!("v=0\r\ns={hostile}\r\nm=audio {hostile}\r\na=mid:{hostile}\r\n");
    recorded
        .call("lobby")
        .message("rooms/lobby/alice/bob", &json!({"type": "offer", "sdp": sdp}))
        .message("rooms/lobby/bob/alice", &json!({"type": hostile}))
        .message("rooms/lobby/agent/alice", &json!({"type": "state", "connection": "failed", "detail": hostile}))
        .message(&format!("rooms/a{hostile}b/agent/alice"), &json!({"type": "join"}))
        .message("rooms/a\u{202e}b/agent/alice", &json!({"type": "join", "info": {hostile: hostile}}))
        .message(
            "rooms/lobby/events",
            &json!({"type": "refused", "time": "2026-11-22T10:00:03.000Z", "rev": 9,
            "peer": "mallory", "why": hostile}),
        )
        .message("$SYS/broker/version", &json!(hostile));
    let path = recorded.write(folder.path());
    let mut pty = Pty::monitor(&["--replay", path.to_str().unwrap(), "--speed", "1000"]);
    pty.wait_for("ends here");
    // Through every view, with the detail of what is newest.
    for keys in ["\t", "\t", "\t", "\t", "\r", "\r", "k", "k", "k", "h", "y"] {
        pty.press(keys);
    }
    pty.wait_for("\x1b]52;c;");
    pty.press("q").wait();
    let output = pty.output();
    for raw in ["\x1b]0;", "\u{9b}", "\u{202e}"] {
        assert!(!output.contains(raw), "{raw:?} in {}", output.escape_debug());
    }
}
