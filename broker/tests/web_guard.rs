//! What the web may do to the broker: pages of others, frames, requests that never end; and what operators and
//! probes get over HTTP.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use support::client::{Client, Hello, V3, V5};
use support::tls::upgrade;
use support::{Broker, PATIENCE};

fn open(broker: &Broker, headers: &[(&'static str, &str)]) -> Result<(), String> {
    let stream = TcpStream::connect(broker.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let ws = upgrade(stream, headers)?;
    let (mut client, code) = Client::over(ws, &Hello::new(V5, "page"));
    assert_eq!(code, Some(0));
    client.ping();
    Ok(())
}

#[test]
fn pages_of_others_open_no_websocket() {
    let broker = Broker::start();
    // The upgrade asks for Host: localhost.
    for own in [&[][..], &[("origin", "http://localhost")], &[("origin", "https://LOCALHOST")]] {
        assert_eq!(open(&broker, own), Ok(()), "{own:?}");
    }
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "http://localhost:8081")],
        &[("origin", "http://localhost.evil.example")],
        &[("origin", "http://localhost"), ("origin", "http://localhost")],
        &[("origin", "http://localhost\u{e9}")],
    ] {
        let answer = open(&broker, foreign).unwrap_err();
        assert!(answer.starts_with("403 Forbidden ") && answer.trim().len() > 20, "{foreign:?}: {answer}");
    }
    let broker = Broker::with(&["--origins", "https://app.example.org,http://localhost:5173"], "");
    for (origin, allowed) in [
        ("https://app.example.org", true),
        ("http://localhost:5173", true),
        ("http://localhost", true),
        ("http://app.example.org", false),
        ("https://app.example.org.evil.example", false),
    ] {
        assert_eq!(open(&broker, &[("origin", origin)]).is_ok(), allowed, "{origin}");
    }
}

#[test]
fn a_name_that_is_led_here_opens_no_websocket_where_nobody_is_asked() {
    let ask = |broker: &Broker, host: &str| {
        broker.http(&format!(
            "GET /mqtt HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        ))
    };
    // What is let in hears nothing more, and is closed when its CONNECT does not come.
    let quick = ["--connect-timeout", "200ms"];
    let broker = Broker::with(&quick, "");
    for (host, status) in
        [("rebound.example:8080", "403"), ("localhost:8080", "101"), ("127.0.0.1", "101"), ("[::1]", "101")]
    {
        assert_eq!(&ask(&broker, host)[9..12], status, "{host}");
    }
    let broker = Broker::with(&[&quick[..], &["--origins", "http://rebound.example:8080"]].concat(), "");
    assert_eq!(&ask(&broker, "rebound.example:8080")[9..12], "101", "it is named");
    let folder = support::scratch_folder();
    std::fs::write(folder.join("secret"), support::identity::SECRET).unwrap();
    let broker = Broker::in_folder(folder, &[&quick[..], &["--jwt-secret", "secret"]].concat(), "");
    assert_eq!(&ask(&broker, "duet.example.org")[9..12], "101", "behind a proxy; who comes is asked");
}

#[test]
fn nothing_is_shown_in_frames_of_others() {
    let broker = Broker::with(&["--admin", "127.0.0.1:0"], "");
    let ask = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for answer in
        [broker.get("/"), broker.get("/nothing"), broker.get("/mqtt"), Broker::http_at(broker.doors["admin"], ask)]
    {
        let answer = answer.to_lowercase();
        assert!(
            answer.contains("frame-ancestors 'none'") && answer.contains("\r\nx-frame-options: deny\r\n"),
            "{answer}"
        );
        assert!(answer.contains("content-security-policy: default-src 'none';"), "{answer}");
        assert!(!answer.contains("unsafe-") && !answer.contains("strict-transport-security"), "{answer}");
    }
}

fn get(address: std::net::SocketAddr, path: &str, authorization: &str) -> String {
    let header = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    Broker::http_at(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n"))
}

#[test]
fn figures_and_rooms_are_for_operators() {
    let broker = Broker::with(&["--admin", "127.0.0.1:0"], "");
    let admin = broker.doors["admin"];
    let mut alice = Client::peer(&broker, V3, "alice");
    alice.join("현관");
    Client::peer(&broker, V3, "bob").join("lobby");
    let token = format!("Bearer {}", broker.token());
    for path in ["/metrics", "/api/rooms"] {
        for wrong in ["", "Bearer wrong", "Basic b3BlcmF0b3I6d3Jvbmc=", "Bearer", "Digest x"] {
            let answer = get(broker.http, path, wrong);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{path} {wrong}: {answer}");
            assert!(answer.to_lowercase().contains("\r\nwww-authenticate: basic realm="), "{answer}");
            assert!(
                answer.ends_with(
                    "for operators: send an operator's user name and password (Basic), or the token alone (Bearer)\n"
                ),
                "{answer}"
            );
        }
        assert!(get(broker.http, path, &token).starts_with("HTTP/1.1 200 "), "{path}");
    }
    assert!(get(admin, "/metrics", "").contains("\nduet_rooms 2\n"));
    assert!(get(admin, "/api/rooms", "").starts_with("HTTP/1.1 401 "), "names of rooms are no figures");
    let json = |answer: String| -> serde_json::Value {
        assert!(answer.to_lowercase().contains("content-type: application/json"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let all = json(get(admin, "/api/rooms", &token));
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    let one = json(get(broker.http, "/api/rooms?room=%ED%98%84%EA%B4%80", &token));
    assert_eq!((&one[0]["room"], &one[0]["peers"][0]["id"]), (&"현관".into(), &"alice".into()), "{one}");
    assert_eq!(json(get(admin, "/api/rooms?room=none", &token)), serde_json::json!([]));
    for path in ["/healthz", "/readyz"] {
        assert!(get(admin, path, "").ends_with("ok\n") && get(broker.http, path, "").ends_with("ok\n"));
    }
    assert!(get(admin, "/", "").starts_with("HTTP/1.1 404 "), "the page is elsewhere");
    assert!(get(admin, "/mqtt", "").starts_with("HTTP/1.1 404 "));
}

/// What is read until the broker closes, and how long that took.
fn until_closed(mut socket: &TcpStream) -> (String, Duration) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let begin = Instant::now();
    let mut rest = Vec::new();
    if let Err(error) = socket.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    (String::from_utf8_lossy(&rest).into_owned(), begin.elapsed())
}

#[test]
fn connections_that_do_nothing_end() {
    let broker = Broker::with(&["--connect-timeout", "300ms"], "");
    let talk = |text: &str| {
        let mut socket = TcpStream::connect(broker.http).unwrap();
        socket.write_all(text.as_bytes()).unwrap();
        socket
    };
    let silent = talk("");
    let half = talk("GET / HTTP/1.1\r\nHost: x\r\n");
    let kept_alive = talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let half_again = talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /");
    let slow_body = talk("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    let chunks = talk("POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    let upgraded_half = talk(
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n\x10",
    );
    for (what, socket, expected) in [
        ("silent", &silent, ""),
        ("half a request", &half, ""),
        ("kept alive", &kept_alive, "ok\n"),
        ("half a second request", &half_again, "ok\n"),
        ("a slow body", &slow_body, "only GET and HEAD"),
        ("slow chunks", &chunks, "405"),
        ("a WebSocket without CONNECT", &upgraded_half, "101"),
    ] {
        let (answer, took) = until_closed(socket);
        assert!(answer.contains(expected), "{what}: {answer}");
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
}

#[test]
fn who_begins_late_has_no_more_time_for_it() {
    let broker = Broker::with(&["--connect-timeout", "3s"], "");
    let begin = Instant::now();
    let late = TcpStream::connect(broker.http).unwrap();
    late.set_read_timeout(Some(Duration::from_millis(2500))).unwrap();
    let nothing = (&late).read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(nothing, Err(ErrorKind::WouldBlock)), "it may still begin: {nothing:?}");
    (&late).write_all(b"GET /mqtt HTTP/1.1\r\n").unwrap();
    until_closed(&late);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn long_headers_are_refused() {
    let broker = Broker::start();
    let request = |target: &str, headers: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n{headers}\r\n"
        )
    };
    let ask = |request: &str, answer: &str| {
        let mut socket = TcpStream::connect(broker.http).unwrap();
        let _ = socket.write_all(request.as_bytes());
        let _ = socket.shutdown(Shutdown::Write);
        let (said, _) = until_closed(&socket);
        assert!(said.starts_with(answer) || (said.is_empty() && answer.contains("431")), "{said}");
    };
    for (target, taken) in [("/healthz", "HTTP/1.1 200 "), ("/mqtt", "HTTP/1.1 101 ")] {
        let long = |length| request(target, &format!("X: {}\r\n", "a".repeat(length)));
        ask(&long(7_000), taken);
        ask(&long(9_000), "HTTP/1.1 431 ");
        let many = |number| request(target, &(0..number).map(|n| format!("x{n}: a\r\n")).collect::<String>());
        ask(&many(90), taken);
        ask(&many(110), "HTTP/1.1 431 ");
    }
    assert!(broker.get("/healthz").ends_with("ok\n"));
}
