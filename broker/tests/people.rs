//! `broker user` and `broker token`, as they are typed, and that the broker takes what they make.

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::client::{Client, V3};
use support::identity::{SECRET, bearer, hello};
use support::{Broker, scratch_folder};

/// Whether it went well, what was printed, and what was said.
fn run(folder: &Path, arguments: &[&str], input: &str) -> (bool, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_broker"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn users_are_added_changed_listed_and_removed() {
    let folder = scratch_folder();
    let user = |arguments: &[&str], input: &str| {
        run(&folder, &[&["user"], arguments, &["--users", "users.toml"]].concat(), input)
    };
    let file = || std::fs::read_to_string(folder.join("users.toml")).unwrap();
    assert!(user(&["add", "alice", "--rooms", "cam-*", "--rooms", "lobby"], "correct horse\n").0);
    let (good, made, _) = user(&["add", "guest", "--rooms", "lobby", "--may", "join", "--generate"], "");
    assert!(good && made.trim().len() == 25, "{made}");
    assert!(user(&["add", "olga", "--role", "operator"], "battery staple\n").0);
    assert!(file().starts_with("# Who may come in") && !file().contains("horse"), "{}", file());
    assert_eq!(std::fs::metadata(folder.join("users.toml")).unwrap().permissions().mode() & 0o777, 0o600);

    // What people write besides stays.
    let noted = file().replace("[alice]", "# she has the keys\n[alice]").replace("[guest]", "# until May\n[guest]");
    std::fs::write(folder.join("users.toml"), noted).unwrap();
    let (good, listed, _) = user(&["list"], "");
    assert!(good && listed.contains("cam-*, lobby") && listed.contains("lobby when somebody is there"), "{listed}");
    for (arguments, input, why) in [
        (&["add", "alice", "--rooms", "x"][..], "correct horse", "there is a user alice already; --replace changes it"),
        (&["add", "bob", "--rooms", "x"], "short", "at least 8 characters"),
        (&["add", "bob"], "", "say which rooms bob may enter"),
        (&["add", "a:b", "--rooms", "x"], "", "has no : in it"),
        (&["add", "op", "--role", "operator", "--rooms", "x"], "", "leave --rooms and --may out"),
        (&["remove", "bob"], "", "there is no user bob"),
    ] {
        let before = file();
        let (good, _, said) = user(arguments, input);
        assert!(!good && said.contains(why) && file() == before, "{arguments:?}: {said}");
    }
    let broker = Broker::in_folder(folder.clone(), &["--users", "users.toml"], "");
    assert_eq!(Client::hello(&broker, &hello(V3, "guest", "guest", made.trim())).1, Some(0));
    assert_eq!(Client::hello(&broker, &hello(V3, "alice", "alice", "correct horse")).1, Some(0));

    assert!(user(&["add", "alice", "--rooms", "*", "--replace"], "another horse\n").0);
    let (good, _, said) = user(&["remove", "guest"], "");
    assert!(good && said.contains("with it goes the comment: # until May"), "{said}");
    assert!(file().contains("# she has the keys\n[alice]") && !file().contains("guest"), "{}", file());
    broker.logs("users and keys are read again");
    assert_eq!(Client::hello(&broker, &hello(V3, "alice", "alice", "another horse")).1, Some(0));
    std::fs::write(folder.join("users.toml"), "[alice]\n").unwrap();
    let (good, _, said) = user(&["add", "bob", "--rooms", "x"], "correct horse");
    assert!(!good && said.contains("line 1: user \"alice\": rooms are missing"), "{said}");
}

#[test]
fn tokens_are_made_and_let_their_bearers_in() {
    let folder = scratch_folder();
    std::fs::write(folder.join("duet.secret"), SECRET).unwrap();
    std::fs::write(folder.join("key.pem"), include_str!("../../agent/tests/keys/p256.pem")).unwrap();
    std::fs::write(folder.join("key.pub.pem"), include_str!("../../agent/tests/keys/p256.pub.pem")).unwrap();
    let token = |arguments: &[&str]| run(&folder, &[&["token"], arguments].concat(), "");
    let broker = Broker::in_folder(folder.clone(), &["--jwt-secret", "duet.secret", "--jwt-key", "key.pub.pem"], "");
    for signed in [["--jwt-secret", "duet.secret"], ["--sign-with", "key.pem"], ["--jwt-key", "key.pem"]] {
        let (good, made, said) =
            token(&[&["--peer", "cam-42", "--room", "front-door", "--ttl", "1h"], &signed[..]].concat());
        assert!(good, "{said}");
        let mut cam = bearer(&broker, V3, "cam-42", made.trim());
        assert_eq!(cam.join("front-door")["type"], "created");
        assert_eq!(cam.join("elsewhere")["code"], "forbidden");
        cam.disconnect();
    }
    let link = [
        "--peer",
        "phone",
        "--room",
        "현관 앞",
        "--jwt-secret",
        "duet.secret",
        "--qr",
        "--url",
        "https://duet.example.org",
    ];
    let (good, made, said) = token(&link);
    let lines: Vec<&str> = made.lines().collect();
    assert!(
        good && lines[1] == format!("https://duet.example.org/?room=%ED%98%84%EA%B4%80+%EC%95%9E#token={}", lines[0]),
        "{made}{said}"
    );
    assert!(lines.len() > 20 && lines[2..].iter().any(|line| line.contains('▀')), "{made}");
    for (arguments, why) in [
        (&["--peer", "cam"][..], "say which rooms the token opens"),
        (&["--peer", "cam", "--room", "x"], "no secret is configured"),
        (&["--peer", "cam", "--room", "x", "--sign-with", "key.pub.pem"], "this is the public half, which only checks"),
        (&["--peer", "cam", "--room", "x*", "--jwt-secret", "duet.secret", "--qr"], "a link leads to one room"),
        (&["--peer", "cam", "--room", "x", "--jwt-secret", "duet.secret", "--ttl", "0s"], "--ttl is above zero"),
        (&["--peer", "c/m", "--room", "x", "--jwt-secret", "duet.secret"], "must not contain '/'"),
    ] {
        let (good, _, said) = token(arguments);
        assert!(!good && said.contains(why), "{arguments:?}: {said}");
    }
}
