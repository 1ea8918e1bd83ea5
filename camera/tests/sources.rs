//! What the program says of sources that give no picture, and what it does when one fails later. No broker is needed
//! for that: a camera without a picture does not come to one.

#![allow(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// The source gives no picture.
const SOURCE: i32 = 4;

const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 66, 0xe0, 30, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0];
const PPS: &[u8] = &[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
const IDR: &[u8] = &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0x12];
const P: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 0x24, 0x56];

/// A camera with nothing but what is in `programs` to run.
fn camera(programs: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_camera"));
    // Nobody listens at port 1.
    command.args(["--broker", "mqtt://127.0.0.1:1", "--room", "front-door", "--address", "127.0.0.1"]).args(args);
    command.env_clear().env("PATH", programs);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Ends a camera that a failed test has left.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a camera has ended, which has been given `input`; its exit code, and what it said.
fn ended(mut command: Command, input: &[u8]) -> (Option<i32>, String) {
    let mut child = Running(command.spawn().unwrap());
    // It may end without having read everything.
    let _ = child.0.stdin.take().unwrap().write_all(input);
    let mut stderr = child.0.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.0.try_wait().unwrap() {
            Some(status) => return (status.code(), said.join().unwrap().unwrap()),
            None if Instant::now() > deadline => panic!("it has not ended within {PATIENCE:?}"),
            None => std::thread::yield_now(),
        }
    }
}

/// An executable for the camera to find.
fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn ivf(fourcc: &[u8; 4], frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [b"DKIF\0\0\x20\0", &fourcc[..], b"\x80\x02\x68\x01\x1e\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0"].concat();
    for (at, frame) in frames.iter().enumerate() {
        bytes.extend((frame.len() as u32).to_le_bytes());
        bytes.extend((at as u64).to_le_bytes());
        bytes.extend(*frame);
    }
    bytes
}

#[test]
fn what_is_no_picture_ends_the_camera_with_what_would_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let video = [SPS, PPS, IDR, P].concat();
    let cases: &[(&str, Vec<u8>, &[&str], &str)] = &[
        ("empty", Vec::new(), &[], "it is empty"),
        ("text", b"once upon a time, there was no video".to_vec(), &[], "no video that is known here"),
        ("noise", (0..2000u32).map(|at| (at * 7919 % 251) as u8 | 4).collect(), &[], "no video that is known here"),
        ("mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec(), &[], "this is MP4"),
        ("webm", b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f".to_vec(), &[], "this is Matroska or WebM"),
        ("h265", b"\0\0\0\x01\x40\x01\x0c\x01\xff\xff\x01\x60".to_vec(), &[], "this is H.265"),
        ("vp9", ivf(b"VP90", &[&[0x82, 0x49, 0x83]]), &[], "VP90; only VP8"),
        ("cut", b"DKIF\0\0\x20\0VP80".to_vec(), &[], "its header is cut off"),
        ("no frames", ivf(b"VP80", &[]), &[], "it ends before a picture"),
        ("no vp8", ivf(b"VP80", &[&[0x10, 2, 3, 4, 5, 6, 7]]), &[], "a frame in it is no VP8"),
        ("no key", [SPS, PPS, P, P].concat(), &[], "an IDR picture with its SPS and PPS"),
        ("no sps", [IDR, P].concat(), &[], "an IDR picture with its SPS and PPS"),
        ("endless", [SPS, PPS, IDR, &vec![0xab; 9_000_000]].concat(), &[], "without a new picture"),
        ("other codec", video.clone(), &["--codec", "vp8"], "H264, not VP8"),
    ];
    for (name, content, args, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let path = path.to_str().unwrap();
        for source in [path, "-"] {
            let (code, said) = ended(camera(folder.path(), &[&["--source", source], *args].concat()), content);
            assert_eq!(code, Some(SOURCE), "{name} as {source}: {said}");
            assert!(said.contains(expected), "{name} as {source}: {said}");
        }
    }
}

#[test]
fn what_is_not_there_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    for (source, args, expected) in [
        ("/no/such/film.h264", &[][..], "/no/such/film.h264: No such file"),
        (place, &[], "is a directory"),
        ("v4l2:/dev/video0", &[], "neither ffmpeg nor gst-launch-1.0 is installed"),
        ("rtsp://user:s3cret@cam.example/1", &[], "neither ffmpeg nor gst-launch-1.0 is installed"),
        ("test", &["--codec", "vp8"], "it is encoded as H.264 only"),
    ] {
        let (code, said) = ended(camera(folder.path(), &[&["--source", source], args].concat()), b"");
        assert_eq!(code, Some(SOURCE), "{said}");
        assert!(said.contains(expected) && !said.contains("s3cret"), "{source}: {said}");
    }
}

/// The lines that a camera says, as they come.
fn said_by(child: &mut Running) -> mpsc::Receiver<String> {
    let (tell, lines) = mpsc::channel();
    let stderr = child.0.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Waits for a line with `what` in it.
fn wait(lines: &mpsc::Receiver<String>, what: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut before = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(what) => return line,
            Ok(line) => before.push(line),
            Err(_) => panic!("it has not said {what:?}, but:\n{}", before.join("\n")),
        }
    }
}

#[test]
fn a_program_that_gives_no_picture_is_quoted_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let source = "rtsp://user:s3cret@cam.example/1";
    program(folder.path(), "ffmpeg", &format!("echo '{source}: Connection refused' >&2; exit 1"));
    let (code, said) = ended(camera(folder.path(), &["--source", source]), b"");
    assert_eq!(code, Some(SOURCE), "{said}");
    assert!(said.contains("ffmpeg gives no picture: rtsp://…@cam.example/1: Connection refused"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_camera_that_is_unplugged_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.h264");
    std::fs::write(&film, [SPS, PPS, IDR, P, P].concat()).unwrap();
    let script = format!("echo 'No such device' >&2; exec /bin/cat {}", film.display());
    program(folder.path(), "ffmpeg", &script);
    let mut child = Running(camera(folder.path(), &["--source", "rtsp://cam.example/1"]).spawn().unwrap());
    let lines = said_by(&mut child);
    let line = wait(&lines, "tried again in");
    assert!(line.contains("rtsp://cam.example/1: No such device"), "{line}");
    wait(&lines, "it is back");
    wait(&lines, "tried again in");
    assert!(child.0.try_wait().unwrap().is_none(), "the camera goes on");
}

#[test]
fn a_camera_of_this_machine_gives_pictures_of_the_size_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let picture = 320 * 240 * 3 / 2;
    let script = |bytes: usize| format!("/usr/bin/head -c {bytes} /dev/zero; echo 'unplugged' >&2; exit 1");
    let args = ["--source", "v4l2:/dev/null", "--size", "320x240"];

    program(folder.path(), "ffmpeg", &script(picture - 1));
    let (code, said) = ended(camera(folder.path(), &args), b"");
    assert_eq!(code, Some(SOURCE), "{said}");
    assert!(said.contains("ffmpeg gives no picture: unplugged"), "{said}");

    program(folder.path(), "ffmpeg", &script(picture * 3));
    let mut child = Running(camera(folder.path(), &args).spawn().unwrap());
    let lines = said_by(&mut child);
    let line = wait(&lines, "tried again in");
    assert!(line.contains("/dev/null: unplugged"), "{line}");
    wait(&lines, "it is back");
}
