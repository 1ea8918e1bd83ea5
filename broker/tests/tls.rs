//! The encrypted doors: who is let in over them, what a client may do to a handshake, and what happens when the
//! certificate changes.

mod support;

use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use support::client::{BOTH, Client, Hello, V3, V5};
use support::tls::{Authority, BOTH_VERSIONS, Encrypted, Tls, dial, trusting, upgrade};
use support::{Broker, PATIENCE, scratch_folder};
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

const RELOADED: &str = "newcomers get the certificate as read again";

fn peer(mut client: (Client, Option<u8>)) -> Client {
    assert_eq!(client.1, Some(0));
    let inbox = format!("rooms/+/{}/+", client.0.id);
    assert_eq!(client.0.subscribe(&inbox, 1), 1);
    client.0
}

#[test]
fn both_versions_of_both_protocols_meet_over_tls_and_wss() {
    let doors = Encrypted::start();
    for tls_version in BOTH_VERSIONS {
        for version in BOTH {
            let config = trusting(&doors.authority.pem, tls_version, None);
            let tls = dial(doors.mqtts(), &config).unwrap();
            let expected =
                if tls_version.version == TLS12.version { ProtocolVersion::TLSv1_2 } else { ProtocolVersion::TLSv1_3 };
            assert_eq!(tls.version(), Some(expected));
            let mut camera = peer(Client::over(tls, &Hello::new(version, "camera")));
            assert_eq!(camera.join("lobby")["type"], "created");
            let wss = upgrade(dial(doors.https(), &config).unwrap(), &[]).unwrap();
            let mut viewer = peer(Client::over(wss, &Hello::new(version, "viewer")));
            assert_eq!(viewer.join("lobby")["type"], "joined");
            camera.expect(&["arrived"]);
            let offer = json!({"type": "offer", "sdp": "v".repeat(50_000)});
            viewer.signal("lobby", "camera", &offer);
            assert_eq!(camera.expect(&["offer"]), offer, "many TLS records long");
            viewer.disconnect();
            assert_eq!(camera.expect(&["left"])["reason"], "left");
            camera.disconnect();
        }
    }
}

#[test]
fn what_is_no_tls_harms_nobody() {
    let doors = Encrypted::start();
    for address in [doors.mqtts(), doors.https()] {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0",
            &[0; 100],
            &[0x16, 3, 1, 0xFF, 0xFF],
        ] {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.write_all(bytes).unwrap();
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer); // an alert, or a reset
            assert!(answer.len() < 10, "{answer:?}");
        }
    }
    peer(Client::over(doors.tls(), &Hello::new(V5, "alice"))).ping();
}

#[test]
fn a_silent_or_slow_handshake_ends_and_nobody_waits_for_it() {
    let doors = Encrypted::start();
    let begin = Instant::now();
    let mut silent: Vec<TcpStream> = Vec::new();
    for address in [doors.mqtts(), doors.https()] {
        silent.extend((0..50).map(|_| TcpStream::connect(address).unwrap()));
    }
    // Half of them have begun.
    for socket in silent.iter_mut().step_by(2) {
        socket.write_all(&[0x16, 3, 1]).unwrap();
    }
    peer(Client::over(doors.tls(), &Hello::new(V3, "tls"))).ping();
    peer(Client::over(doors.wss(), &Hello::new(V5, "wss"))).ping();
    assert!(begin.elapsed().as_secs() < 5, "newcomers do not wait for the silent ones");
    for socket in &mut silent {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = [0; 16];
        assert!(matches!(socket.read(&mut rest), Ok(0)), "it is closed");
    }
}

#[test]
fn the_time_until_connect_runs_since_the_connection_was_accepted() {
    let doors = Encrypted::with(&["--connect-timeout", "300ms"]);
    for address in [doors.mqtts(), doors.https()] {
        let begin = Instant::now();
        let mut silent = TcpStream::connect(address).unwrap();
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(matches!(silent.read(&mut [0; 16]), Ok(0)));
        assert!(begin.elapsed().as_secs() < 4, "sooner than a handshake may take at most: {:?}", begin.elapsed());
    }
    for mut silent in [doors.tls(), doors.dial(doors.https(), &trusting(&doors.authority.pem, &TLS13, None)).unwrap()] {
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
    }
    let mut silent = doors.wss();
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn newcomers_get_a_new_certificate_and_nobody_else_notices() {
    let doors = Encrypted::start();
    let mut earlier = peer(Client::over(doors.tls(), &Hello::new(V5, "earlier")));
    let mut browser = peer(Client::over(doors.wss(), &Hello::new(V5, "browser")));
    let first = doors.tls().certificate();
    let pair = doors.authority.server();
    pair.write(&doors.certificate, &doors.key);
    doors.broker.logs(RELOADED);
    let second = doors.tls().certificate();
    assert_ne!(first, second);
    peer(Client::over(doors.wss(), &Hello::new(V5, "newcomer"))).ping();
    earlier.ping();
    browser.ping();

    // Broken ones are said, and the last good one stays.
    std::fs::write(&doors.key, "").unwrap();
    let said = doors.broker.logs("stays in use");
    assert!(said.contains("key.pem: the file is empty"), "{said}");
    assert_eq!(doors.tls().certificate(), second);
    let other = doors.authority.server();
    std::fs::write(&doors.key, &other.key).unwrap();
    let said = doors.broker.logs("stays in use");
    assert!(said.contains("does not belong to the certificate"), "{said}");
    std::fs::remove_file(&doors.certificate).unwrap();
    let said = doors.broker.logs("stays in use");
    assert!(said.contains("cert.pem: No such file"), "{said}");
    assert_eq!(doors.tls().certificate(), second);
    earlier.ping();

    std::fs::write(&doors.certificate, &other.certificate).unwrap();
    doors.broker.logs(RELOADED);
    assert_ne!(doors.tls().certificate(), second);
    earlier.ping();
    browser.ping();
}

#[test]
fn hangup_reads_the_files_again() {
    let doors = Encrypted::start();
    let mut earlier = peer(Client::over(doors.tls(), &Hello::new(V5, "earlier")));
    let pid = doors.broker.pid().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    doors.broker.logs("read again: SIGHUP");
    earlier.ping();
}

#[test]
fn a_certificate_names_its_client() {
    let authority = Authority::new("cameras");
    let folder = scratch_folder();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let doors = Encrypted::with(&["--client-ca", ca.to_str().unwrap()]);
    for version in BOTH_VERSIONS {
        let own = authority.client("cam-42");
        let config = trusting(&doors.authority.pem, version, Some(&own));
        let mut camera = peer(Client::over(dial(doors.mqtts(), &config).unwrap(), &Hello::new(V5, "cam-42")));
        let line = doors.broker.logs("connected client=cam-42");
        assert!(line.contains("(tls, certificate of \"cam-42\")"), "{line}");
        camera.ping();
        let wss = upgrade(dial(doors.https(), &config).unwrap(), &[]).unwrap();
        let (_, code) = Client::over(wss, &Hello::new(V5, "browser"));
        assert_eq!(code, Some(0x87), "it is not the browser's");
        camera.disconnect();
        let wss = upgrade(dial(doors.https(), &config).unwrap(), &[]).unwrap();
        let mut camera = peer(Client::over(wss, &Hello::new(V3, "cam-42")));
        let line = doors.broker.logs("connected client=cam-42");
        assert!(line.contains("(wss, certificate of \"cam-42\")"), "{line}");
        camera.ping();

        // Without one, a client is judged by what else it says.
        let nobody = trusting(&doors.authority.pem, version, None);
        let (_, code) = Client::over(dial(doors.mqtts(), &nobody).unwrap(), &Hello::new(V3, "nobody"));
        assert_eq!(code, Some(5), "it says nothing");
        let token = ("operator".into(), doors.broker.token());
        let operator = Hello { user: Some(token), ..Hello::new(V3, "operator") };
        let (_, code) = Client::over(dial(doors.mqtts(), &nobody).unwrap(), &operator);
        assert_eq!(code, Some(0));

        let stranger = Authority::new("cameras").client("cam-42");
        let config = trusting(&doors.authority.pem, version, Some(&stranger));
        let refused = dial(doors.mqtts(), &config).map_or(true, |mut tls: Tls| {
            // In TLS 1.3 the client has finished before the server has looked.
            let _ = tls.write_all(&[0x10]);
            !matches!(tls.read(&mut [0; 16]), Ok(1..))
        });
        assert!(refused, "another authority of the same name");
        let line = doors.broker.logs("no TLS handshake");
        assert!(line.contains("certificate"), "{line}");
    }
}

#[test]
fn what_is_spoken_inside_must_be_what_the_listener_speaks() {
    let doors = Encrypted::start();
    for (address, offered, accepted) in [
        (doors.mqtts(), "mqtt", true),
        (doors.mqtts(), "http/1.1", false),
        (doors.https(), "http/1.1", true),
        (doors.https(), "mqtt", false),
    ] {
        let mut config = Arc::unwrap_or_clone(trusting(&doors.authority.pem, &TLS13, None));
        config.alpn_protocols = vec![offered.into()];
        assert_eq!(dial(address, &Arc::new(config)).is_ok(), accepted, "{offered} at {address}");
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = scratch_folder();
    let output = Command::new(env!("CARGO_BIN_EXE_broker")).args(arguments).current_dir(&folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_is_missing_or_wrong_is_said_before_anything_is_bound() {
    for (flags, expected) in [
        (
            &["--mqtts", "127.0.0.1:0"][..],
            "mqtts = \"127.0.0.1:0\" (from --mqtts) needs --certificate FILE and --key FILE; a pair",
        ),
        (
            &["--https", "127.0.0.1:0", "--certificate", "a"],
            "certificate = \"a\" (from --certificate) needs --key FILE",
        ),
        (&["--https", "127.0.0.1:0", "--key", "a"], "https = \"127.0.0.1:0\" (from --https) needs --certificate"),
        (
            &["--certificate", "a", "--key", "b"],
            "certificate = \"a\" (from --certificate) needs --mqtts ADDR or --https",
        ),
        (&["--client-ca", "a"], "client-ca = \"a\" (from --client-ca) needs --mqtts"),
        (&["--mqtts", "everywhere"], "mqtts = \"everywhere\" (from --mqtts): this is no address"),
        (
            &["--https", "0.0.0.0:0", "--certificate", "a", "--key", "b"],
            "https = 0.0.0.0:0 (from --https) is open to others",
        ),
        (&["--admin", "0.0.0.0:0"], "admin = 0.0.0.0:0 (from --admin) shows the broker's figures"),
        (&["--origins", "app.example.org"], "origins = \"app.example.org\" (from --origins): app.example.org: "),
    ] {
        let (code, out, err) = run(flags);
        assert_eq!((code, &*out), (Some(2), ""), "{flags:?}");
        assert!(err.starts_with(&format!("error: {expected}")), "{err}\nin place of\n{expected}");
    }
    let state = scratch_folder();
    let flags = ["--mqtts", "127.0.0.1:0", "--certificate", "/nowhere/a.pem", "--key", "b", "--state-dir"];
    let (code, out, err) = run(&[&flags[..], &[state.to_str().unwrap()]].concat());
    assert_eq!((code, &*out), (Some(1), ""));
    assert_eq!(err, "error: /nowhere/a.pem: No such file or directory (os error 2)\n");
}

#[test]
fn a_pair_to_try_with_is_made_once_and_works() {
    let folder = scratch_folder().join("below");
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let arguments = ["cert", "--host", "localhost", "--host", "127.0.0.1", "--out", folder.to_str().unwrap()];
    let (code, out, err) = run(&arguments);
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.contains("--certificate") && out.contains("https://localhost:8443/"), "{out}");
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("cert.pem")), (0o600, 0o644));
    let (code, _, err) = run(&arguments);
    assert_eq!(code, Some(1));
    assert!(err.contains("is there already"), "{err}");
    let (code, _, err) = run(&["cert", "--host", "https://cam.example.org"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no host name") && err.contains("cam.example.org"), "{err}");

    let broker =
        Broker::with(&["--mqtts", "127.0.0.1:0", "--certificate", &at("cert.pem"), "--key", &at("key.pem")], "");
    let trusted = std::fs::read_to_string(at("cert.pem")).unwrap();
    for version in BOTH_VERSIONS {
        let tls = dial(broker.doors["mqtts"], &trusting(&trusted, version, None)).unwrap();
        peer(Client::over(tls, &Hello::new(V5, "alice"))).ping();
    }
    assert!(dial(broker.doors["mqtts"], &trusting(&Authority::new("other").pem, &TLS13, None)).is_err());
}

#[test]
fn http_leads_to_https_when_both_are_on() {
    let doors = Encrypted::start();
    let port = doors.https().port();
    let ask = |path: &str, host: &str| {
        doors.broker.http(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    for (path, host, location) in [
        ("/", "localhost:8080", format!("https://localhost:{port}/")),
        ("/?room=a%2Fb&view", "cam.example.org", format!("https://cam.example.org:{port}/?room=a%2Fb&view")),
        ("/duet.js", "[::1]:80", format!("https://[::1]:{port}/duet.js")),
    ] {
        let answer = ask(path, host);
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        assert!(answer.to_lowercase().contains(&format!("\r\nlocation: {}\r\n", location.to_lowercase())), "{answer}");
    }
    for host in ["", "a@b", "a b", "a/b"] {
        assert!(ask("/", host).starts_with("HTTP/1.1 400 "), "{host:?}: {}", ask("/", host));
    }
    assert!(doors.broker.get("/healthz").ends_with("ok\n"));
    assert!(doors.broker.get("/readyz").ends_with("ok\n"));
    let plain = upgrade(TcpStream::connect(doors.broker.http).unwrap(), &[]).err().unwrap();
    assert!(plain.starts_with("403") && plain.contains(&format!("wss://localhost:{port}/mqtt")), "{plain}");

    let page = doors.dial(doors.https(), &trusting(&doors.authority.pem, &TLS13, None)).unwrap();
    let page = page.http("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").to_lowercase();
    assert!(page.starts_with("http/1.1 200 ") && page.contains("<html"), "{page}");
    assert!(!page.contains("strict-transport-security"), "not unless it is asked for: {page}");
}

#[test]
fn browsers_are_told_to_stay_with_https_if_that_is_asked_for() {
    let doors = Encrypted::with(&["--hsts", "365d"]);
    let ask = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page =
        doors.dial(doors.https(), &trusting(&doors.authority.pem, &TLS13, None)).unwrap().http(ask).to_lowercase();
    assert!(page.contains("strict-transport-security: max-age=31536000\r\n"), "{page}");
    let plain = doors.broker.http(ask).to_lowercase();
    assert!(!plain.contains("strict-transport-security"), "RFC 6797 §7.2: {plain}");
}

#[test]
fn plain_doors_can_be_shut() {
    let (code, out, _) = run(&["--print-config", "--mqtt", "off", "--http=off"]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("mqtt = \"off\"  # from --mqtt\n") && out.contains("http = \"off\"  # from --http\n"),
        "{out}"
    );
}
