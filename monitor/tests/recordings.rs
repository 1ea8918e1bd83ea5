//! Recordings and floods, given to the real monitor without a broker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use support::recorded::Recorded;
use support::{Monitor, command};

fn replay(recorded: &Recorded, mode: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded.write(folder.path());
    let (status, output, errors) = Monitor::start(&["--mode", mode, "--replay", path.to_str().unwrap()]).wait();
    (status.code(), output, errors)
}

#[test]
fn a_summary_names_every_rooms_outcome_and_what_is_wrong() {
    let mut recorded = Recorded::new();
    recorded
        .call("lobby")
        .message("rooms/hall/agent/carol", &json!({"type": "join"}))
        .message("rooms/hall/dave/carol", &json!({"type": "offer", "sdp": support::recorded::SDP}))
        .pause(60)
        .message("$SYS/broker/version", &json!("x"));
    let (code, output, errors) = replay(&recorded, "summary");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let (hall, lobby) = (output.find("hall  ").unwrap(), output.find("lobby  ").unwrap());
    assert!(hall < lobby, "the worst comes first:\n{output}");
    for words in ["connected", "alice and bob", "offer-without-answer", "means:", "try:", "2 rooms, 1 with findings"] {
        assert!(output.contains(words), "{words:?} in {output}");
    }
    assert!(!output.contains('\x1b'), "no colours without a terminal");
}

#[test]
fn lines_that_cannot_be_read_are_named_and_passed_over() {
    let mut recorded = Recorded::new();
    recorded.message("rooms/lobby/agent/alice", &json!({"type": "join"}));
    recorded.raw("no JSON at all").raw("{\"at\":\"yesterday\"}").raw("");
    recorded.message("rooms/lobby/agent/bob", &json!({"type": "join"}));
    recorded.raw(r#"{"at":"2026-11-22T10:00:09.000Z","topic":"rooms/lobby/age"#);
    let (code, output, errors) = replay(&recorded, "json");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events.iter().filter(|event| **event == "message").count(), 2, "{output}");
    let unread: Vec<_> = lines.iter().filter_map(|line| line["why"].as_str()).collect();
    assert!(unread[0].contains("line 4") && unread[1].contains("line 5") && unread[2].contains("line 8"), "{unread:?}");
    let (_, output, _) = replay(&recorded, "summary");
    assert!(output.contains("3 messages or lines that could not be read"), "{output}");
}

#[test]
fn what_is_no_recording_or_a_newer_one_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (content, words) in [
        ("", "is empty"),
        ("{\"level\":30,\"msg\":\"listening\"}\n", "no recording of the monitor"),
        ("\u{7f}ELF\u{1}\u{2}", "no recording of the monitor"),
        ("{\"duet_recording\":2}\n", "use a newer monitor"),
        ("{\"duet_recording\":0}\n", "version 0"),
    ] {
        std::fs::write(&path, content).unwrap();
        let (status, output, errors) = Monitor::start(&["--replay", path.to_str().unwrap()]).wait();
        assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{content:?}");
        assert!(errors.contains(words), "{content:?}: {errors}");
    }
    let (status, _, errors) = Monitor::start(&["--replay", "/no/such/file"]).wait();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("/no/such/file"), "{errors}");
    let (status, _, errors) = Monitor::start(&["--filter", "colour:red"]).wait();
    assert_eq!(status.code(), Some(2));
    assert!(errors.contains("--filter"), "{errors}");
}

#[test]
fn who_has_read_enough_ends_it_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorded = Recorded::new();
    for n in 0..2000 {
        recorded.call(&format!("room-{n}"));
    }
    let path = recorded.write(folder.path());
    let mut child = command()
        .args(["--mode", "json", "--replay", path.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}

/// A broker that lets everybody in, and then says all at once.
fn flood(messages: usize) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let floods = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let connect = packet(&mut socket);
        assert_eq!(connect.0, 0x10);
        socket.write_all(&[0x20, 2, 0, 0]).unwrap();
        let (kind, subscribe) = packet(&mut socket);
        assert_eq!(kind, 0x82);
        socket.write_all(&[0x90, 5, subscribe[0], subscribe[1], 0, 0, 0]).unwrap();
        let mut all = Vec::new();
        for n in 0..messages {
            let topic = format!("rooms/room-{}/bob/alice", n % 50);
            let payload = format!(r#"{{"type":"ring","n":{n},"x":"{}"}}"#, "x".repeat(40));
            all.push(0x30);
            let length = 2 + topic.len() + payload.len();
            assert!(length < 128, "one byte of length");
            all.push(u8::try_from(length).unwrap());
            all.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
            all.extend(topic.as_bytes());
            all.extend(payload.as_bytes());
        }
        socket.write_all(&all).unwrap();
        // Until it is asked to end.
        while socket.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    (url, floods)
}

fn packet(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1] & 0x7f);
    if head[1] & 0x80 != 0 {
        let mut more = [0];
        socket.read_exact(&mut more).unwrap();
        length |= usize::from(more[0]) << 7;
    }
    let mut rest = vec![0; length];
    socket.read_exact(&mut rest).unwrap();
    (head[0], rest)
}

#[test]
fn of_a_hundred_thousand_messages_at_once_every_one_is_told_or_counted_as_lost() {
    const MESSAGES: u64 = 100_000;
    let (url, floods) = flood(MESSAGES as usize);
    let mut monitor = Monitor::start(&["--mode", "json", "--broker", &url, "--state-dir", "/nonexistent"]);
    let (mut told, mut lost) = (0, 0);
    while told + lost < MESSAGES {
        let line: Value = serde_json::from_str(&monitor.line("a message", |line| !line.is_empty())).unwrap();
        match line["event"].as_str().unwrap() {
            "message" => told += 1,
            "lost" => lost += line["messages"].as_u64().unwrap(),
            _ => {}
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", monitor.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("{told} told, {lost} lost, {peak}");
    let kilobytes: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kilobytes < 256 * 1024, "{peak}");
    monitor.signal("TERM");
    let (status, _, errors) = monitor.wait();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    floods.join().unwrap();
}
