//! A recording, played, gives the very screens that were seen when it was made.

use crate::scene::{Scene, morning};
use crate::stage::Stage;
use monitor::recording::{Header, Pace, Reader, Writer};
use monitor::source::{Given, Seconds, Source};
use monitor::wire::Input;
use protocol::Timestamp;
use std::path::Path;
use std::time::Duration;

/// Every view, with its panes.
const KEYS: [&str; 7] = ["", "<Enter>", "<Enter>k<Enter>", "<Enter>k<Enter>v", "3", "4", "sj"];

/// What a live source gives: the inputs, and the seconds between them.
fn live(inputs: Vec<Input>) -> Vec<Input> {
    let silence = Duration::from_secs(12);
    let end = inputs.last().expect("an input").at().plus(silence);
    let mut seconds = Seconds::default();
    let mut all = Vec::new();
    for input in inputs.into_iter().filter(|input| !matches!(input, Input::Tick(_))) {
        all.extend(seconds.until(input.at()).map(Input::Tick));
        all.push(input);
    }
    all.extend(seconds.until(end).map(Input::Tick));
    all
}

/// What the recording of these inputs gives when it is played.
fn replayed(inputs: &[Input]) -> Vec<Input> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recorded.ndjson");
    let header = Header::new(Timestamp::default(), "mqtt://127.0.0.1:1883");
    let mut writer = Writer::create(&path, &header, true).expect("a recording");
    for input in inputs {
        writer.write(input).expect("a line");
    }
    writer.end(inputs.last().expect("an input").at()).expect("the end");
    let pace = Pace { speed: None, paused: false };
    let mut source = Source::replay(Reader::open(&path).expect("a recording"), pace).expect("a source");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut all = Vec::new();
        while let Given::Input(input) = source.next().await {
            all.push(input);
        }
        all
    })
}

fn shots(inputs: Vec<Input>) -> Vec<String> {
    let mut scene = Scene::new();
    scene.inputs = inputs;
    KEYS.iter().map(|keys| Stage::new(&scene, (120, 40)).press(keys).shot()).collect()
}

#[test]
fn live_and_replayed_screens_are_the_same() {
    let mut recordings = vec![("morning".to_owned(), morning().inputs)];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for file in std::fs::read_dir(folder).expect("fixtures") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            let inputs = Reader::open(&path).expect("a recording").map_while(Result::ok).collect();
            recordings.push((path.display().to_string(), inputs));
        }
    }
    assert!(recordings.len() > 40, "the fixtures are there");
    for (name, inputs) in recordings {
        let live = live(inputs);
        let replayed = shots(replayed(&live));
        for ((keys, live), replayed) in KEYS.iter().zip(shots(live)).zip(replayed) {
            assert_eq!(live, replayed, "{name} after {keys:?}");
        }
    }
}
