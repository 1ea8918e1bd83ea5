//! What recordings come to: `fixtures/model-*.ndjson`, each with what is expected at which time in
//! `fixtures/model-*.expect.json`. And that a recording of what was seen shows what was seen.

use monitor::model::{Bounds, Model, Room};
use monitor::recording::{Header, Reader, Writer};
use monitor::wire::{Input, Link};
use protocol::Timestamp;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What is to be seen of a room at a time; only what stands there is looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    at: Timestamp,
    room: String,
    phase: String,
    /// `alice created camera away, bob joined`
    seats: Option<String>,
    messages: Option<u64>,
    refused: Option<u64>,
    answer_ms: Option<u128>,
    /// `bob ready>alice`, joined with spaces: the whole ladder.
    ladder: Option<String>,
    /// The kind of the last thing that happened.
    last: Option<String>,
    why: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn recordings() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn inputs(path: &Path) -> Vec<Input> {
    let reader = Reader::open(path).unwrap();
    reader.map(|line| line.unwrap_or_else(|bad| panic!("{}: {bad}", path.display()))).collect()
}

fn phase(room: &Room) -> String {
    let mark = if room.phase().inferred() { "*" } else { "" };
    format!("{}{mark}", room.phase().name())
}

fn seats(room: &Room) -> String {
    let seat = |seat: &monitor::model::Seat| {
        let role = seat.role.map(|role| format!("{role:?}").to_lowercase());
        let away = seat.away.then_some("away");
        let parts = [Some(seat.peer.as_str()), role.as_deref(), seat.kind.as_deref(), away];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    room.seats().iter().map(seat).collect::<Vec<_>>().join(", ")
}

fn ladder(room: &Room) -> String {
    let arrow = |entry: &monitor::model::Entry| format!("{} {}>{}", entry.from, entry.what.kind(), entry.to);
    room.ladder().iter().map(arrow).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_recording_comes_to_what_it_should() {
    let mut checked = 0;
    for path in recordings() {
        let expected = path.with_extension("expect.json");
        let Ok(text) = std::fs::read_to_string(&expected) else { continue };
        let expected: Vec<Expect> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
        let mut model = Model::new(Bounds::default());
        let mut inputs = inputs(&path).into_iter().peekable();
        for expect in expected {
            while let Some(input) = inputs.next_if(|input| input.at() <= expect.at) {
                model.take(input);
            }
            model.take(Input::Tick(expect.at));
            let place = format!("{} at {}: {}", path.display(), expect.at, expect.why);
            let room = model.room(&expect.room).unwrap_or_else(|| panic!("{place}: no such room"));
            assert_eq!(phase(room), expect.phase, "{place}");
            let differ = |what: &str| format!("{place} ({what})");
            if let Some(wanted) = &expect.seats {
                assert_eq!(seats(room), *wanted, "{}", differ("seats"));
            }
            if let Some(wanted) = expect.messages {
                assert_eq!(room.messages(), wanted, "{}", differ("messages"));
            }
            if let Some(wanted) = expect.refused {
                assert_eq!(room.refused(), wanted, "{}", differ("refused"));
            }
            if let Some(wanted) = expect.answer_ms {
                assert_eq!(room.answer_time().map(|time| time.as_millis()), Some(wanted), "{}", differ("answer_ms"));
            }
            if let Some(wanted) = &expect.ladder {
                assert_eq!(ladder(room), wanted.replace("; ", "\n"), "{}", differ("ladder"));
            }
            if let Some(wanted) = &expect.last {
                assert_eq!(room.last().map(|last| &*last.kind), Some(&**wanted), "{}", differ("last"));
            }
            checked += 1;
        }
    }
    assert!(checked > 0);
}

/// Everything of a model that can be seen, as text.
fn seen(model: &Model) -> String {
    let rooms: Vec<_> = model.rooms().map(|room| format!("{room:#?}")).collect();
    format!("{:#?} {:#?} {:#?} {:#?} {rooms:#?}", model.broker(), model.events(), model.figures(), model.link())
}

fn model_of(inputs: impl IntoIterator<Item = Input>) -> Model {
    let mut model = Model::new(Bounds::default());
    let mut last = Timestamp::default();
    for input in inputs {
        last = input.at();
        model.take(input);
    }
    model.take(Input::Tick(last));
    model
}

fn recorded(inputs: &[Input], reveal: bool) -> Vec<Input> {
    let mut text = Vec::new();
    let mut writer = Writer::new(&mut text, &Header::new(Timestamp::default(), "mqtt://127.0.0.1"), reveal).unwrap();
    inputs.iter().for_each(|input| writer.write(input).unwrap());
    Reader::new(text.as_slice()).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_replay_shows_what_was_seen_live() {
    for path in recordings() {
        let mut live = inputs(&path);
        let last = live.last().unwrap().at();
        live.push(Input::Lost { at: last, messages: 3 });
        live.push(Input::Link { at: last, link: Link::Lost { why: "reset".into() } });
        let replayed = recorded(&live, true);
        assert_eq!(replayed, live, "{}", path.display());
        assert_eq!(seen(&model_of(replayed)), seen(&model_of(live)), "{}", path.display());
    }
}

#[test]
fn a_masked_replay_shows_the_same_but_for_the_passwords() {
    for path in recordings() {
        let live = inputs(&path);
        let (masked, live) = (model_of(recorded(&live, false)), model_of(live));
        assert_eq!(masked.figures(), live.figures(), "{}", path.display());
        for (masked, live) in masked.rooms().zip(live.rooms()) {
            assert_eq!((masked.name(), phase(masked), ladder(masked)), (live.name(), phase(live), ladder(live)));
            assert_eq!(masked.findings(), live.findings(), "{} {}", path.display(), live.name());
        }
    }
}
