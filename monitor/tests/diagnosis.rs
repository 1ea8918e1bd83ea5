//! What the diagnosis says of recordings: every rule of one that is for it, nothing of a healthy call.

use monitor::diagnosis::{Case, Finding, Rule, Severity, rules};
use monitor::model::{Bounds, Model};
use monitor::recording::Reader;
use monitor::wire::Input;
use protocol::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How finely time passes between two messages.
const STEP: Duration = Duration::from_millis(100);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn names() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let recordings = files.filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    let names = recordings.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    // Those of the model hold several rooms, and are tried with the model.
    names.filter(|name| !name.starts_with("model-")).collect()
}

fn inputs(name: &str) -> Vec<Input> {
    let path = folder().join(format!("{name}.ndjson"));
    let reader = Reader::open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    reader.map(|input| input.unwrap_or_else(|bad| panic!("{name}: {bad}"))).collect()
}

fn findings<'a>(model: &'a Model, room: &str) -> &'a [Finding] {
    model.room(room).map(|room| room.findings()).unwrap_or_default()
}

/// Everything that is said while a recording plays, with when it was said first, and what is left at its end.
struct Play {
    began: Timestamp,
    said: Vec<(Timestamp, Finding)>,
    left: BTreeSet<(&'static str, Severity)>,
}

fn play(name: &str) -> Play {
    let mut model = Model::new(Bounds::default());
    let inputs = inputs(name);
    let began = inputs.first().map(Input::at).unwrap();
    let mut play = Play { began, said: Vec::new(), left: BTreeSet::new() };
    let mut now = began;
    let look = |model: &Model, said: &mut Vec<(Timestamp, Finding)>| {
        for finding in findings(model, name) {
            let key = |f: &Finding| (f.rule, f.severity, f.about.clone());
            if !said.iter().any(|(_, known)| key(known) == key(finding)) {
                said.push((model.now(), finding.clone()));
            }
        }
    };
    for input in inputs {
        while now.plus(STEP) < input.at() {
            now = now.plus(STEP);
            model.take(Input::Tick(now));
            look(&model, &mut play.said);
        }
        now = input.at();
        model.take(input);
        model.take(Input::Tick(now));
        look(&model, &mut play.said);
    }
    play.left = findings(&model, name).iter().map(|finding| (finding.rule, finding.severity)).collect();
    play
}

fn words(play: &Play) -> String {
    let mut out = String::new();
    for (at, Finding { rule, severity, seen, means, try_this, entries, about }) in &play.said {
        let after = at.since(play.began).as_secs_f64();
        let gone = if play.left.contains(&(*rule, *severity)) { "" } else { ", gone at the end" };
        writeln!(out, "{rule} ({severity}{gone}), after {after:.1} s, entries {entries:?}, about {about:?}").unwrap();
        writeln!(out, "  seen:  {seen}\n  means: {means}\n  try:   {try_this}\n").unwrap();
    }
    out
}

#[test]
fn healthy_calls_are_not_complained_of() {
    let healthy: Vec<String> = names().into_iter().filter(|name| name.starts_with("healthy-")).collect();
    assert!(healthy.len() >= 5, "{healthy:?}");
    let said: Vec<String> = healthy
        .iter()
        .map(|name| (name, words(&play(name))))
        .filter(|(_, words)| !words.is_empty())
        .map(|(name, words)| format!("{name} is healthy, but:\n{words}"))
        .collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn every_rule_fires_on_the_recording_that_is_for_it() {
    let names = names();
    let fires = |rule: &&Rule| {
        assert!(names.contains(rule.name), "there is no recording fixtures/{}.ndjson", rule.name);
        play(rule.name).said.iter().any(|(_, finding)| finding.rule == rule.name)
    };
    let silent: Vec<&str> = rules().filter(|rule| !fires(rule)).map(|rule| rule.name).collect();
    assert!(silent.is_empty(), "these say nothing: {silent:?}");
}

#[test]
fn what_is_said_is_as_it_was_reviewed() {
    for name in names().into_iter().filter(|name| !name.starts_with("healthy-")) {
        insta::assert_snapshot!(name.as_str(), words(&play(&name)));
    }
}

#[test]
fn findings_point_to_what_is_on_the_ladder() {
    for name in names() {
        let mut model = Model::new(Bounds::default());
        for input in inputs(&name) {
            let at = input.at();
            model.take(input);
            model.take(Input::Tick(at));
            let room = model.room(&name).unwrap();
            for finding in room.findings() {
                for seq in &finding.entries {
                    // The agent's clock is told by events, of which not each stands on the ladder.
                    let clock = finding.rule == "clock-backwards";
                    assert!(clock || room.entry(*seq).is_some(), "{name}: {} points to {seq}", finding.rule);
                }
            }
        }
    }
}

/// Looking only when `Case::next_look` says so must show what looking all the time shows.
#[test]
fn nothing_is_missed_between_two_looks() {
    for name in names() {
        let mut model = Model::new(Bounds::default());
        inputs(&name).into_iter().for_each(|input| model.take(input));
        let ladder = model.room(&name).unwrap().ladder();
        let mut case = Case::default();
        let shown = |case: &Case, at| -> Vec<_> { case.judge(at).iter().map(|f| (f.rule, f.severity)).collect() };
        for (index, entry) in ladder.iter().enumerate() {
            case.take(entry);
            let mut now = entry.at;
            let end = ladder.get(index + 1).map_or(now.plus(Duration::from_secs(60)), |next| next.at);
            while now < end {
                let until = case.next_look(now).map_or(end, |due| due.min(end));
                assert!(until > now, "{name}: due in the past");
                let last = Timestamp::from_millis(until.as_millis() - 1).max(now);
                assert_eq!(shown(&case, now), shown(&case, last), "{name} between {now} and {last}");
                now = until;
            }
        }
    }
}

#[test]
fn the_documentation_lists_every_rule_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnosis.md");
    let mut table = String::from("| rule | what it sees | what it means | what to try |\n|---|---|---|---|\n");
    for rule in rules() {
        let words = |words: &str| words.replace('<', "&lt;").replace('>', "&gt;");
        let (sees, means, try_this) = (words(rule.sees), words(rule.means), words(rule.try_this));
        writeln!(table, "| `{}` | {sees} | {means} | {try_this} |", rule.name).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !text.contains(&table) {
        let Some((head, _)) = text.split_once("| rule |") else { panic!("{} has no table of rules", path.display()) };
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, format!("{head}{table}")).unwrap();
        } else {
            panic!(
                "docs/diagnosis.md is not up to date; UPDATE_DOCS=1 cargo test -p monitor --test diagnosis writes it"
            );
        }
    }
}

#[test]
fn recordings_hold_nothing_of_the_machine_they_were_made_on() {
    for name in names() {
        let text = fs::read_to_string(folder().join(format!("{name}.ndjson"))).unwrap();
        assert!(text.len() < 100_000, "{name} has {} bytes", text.len());
        for path in ["/root", "/home", "/tmp"] {
            assert!(!text.contains(path), "{name} holds {path}");
        }
        let v4 = text
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter_map(|word| word.parse::<std::net::Ipv4Addr>().ok());
        for ip in v4 {
            let fine = ip.is_loopback() || ip.is_unspecified() || ip.is_documentation();
            assert!(fine, "{name} holds {ip}, which is neither of loopback nor for documentation");
        }
        let passwords = text.match_indices("a=ice-pwd:").map(|(at, key)| text[at + key.len()..].chars().next());
        assert!(passwords.into_iter().all(|first| first == Some('*')), "{name} holds an ICE password");
    }
}
