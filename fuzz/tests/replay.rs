//! The corpus, every finding, and variations of both, without a fuzzer: what has once been tried
//! against a target is tried on every run of the tests.

use fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use std::fs;
use std::path::Path;

/// Variations of each target's inputs.
const VARIATIONS: u32 = 2_000;

fn inputs(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// One step from an input to another.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// Goes on like another input from there on.
    Splice(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let telling = prop::sample::select(vec![0, 1, 0x7F, 0x80, 0xFF, b'/', b'+', b'#', b'"', b'{', b'}', b'\n']);
    prop_oneof![
        (any::<Index>(), prop_oneof![any::<u8>(), telling]).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1..17_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, other)| Edit::Splice(at, other)),
    ]
}

fn apply(edit: Edit, input: &mut Vec<u8>, inputs: &[(String, Vec<u8>)]) {
    let end = input.len() + 1;
    match edit {
        Edit::Set(at, byte) => input.get_mut(at.index(end)).into_iter().for_each(|found| *found = byte),
        Edit::Flip(at, bit) => input.get_mut(at.index(end)).into_iter().for_each(|found| *found ^= 1 << bit),
        Edit::Insert(at, bytes) => drop(input.splice(at.index(end)..at.index(end), bytes)),
        Edit::Remove(at, length) => {
            let at = at.index(end);
            drop(input.drain(at..input.len().min(at + length)));
        }
        Edit::Splice(at, other) => {
            let other = &other.get(inputs).1;
            input.truncate(at.index(end));
            input.extend(other.iter().skip(at.index(other.len() + 1)));
        }
    }
}

fn replay(name: &str, target: Target) {
    let mut inputs = inputs("corpus", name);
    assert!(inputs.len() >= 12, "{name} has a corpus");
    inputs.extend(self::inputs("regressions", name));
    for (path, input) in &inputs {
        eprintln!("{path}"); // shown if it is the one that fails
        target(input);
    }
    let config = ProptestConfig {
        cases: VARIATIONS,
        max_shrink_iters: 200, // each is printed
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let strategy = (any::<Index>(), prop::collection::vec(edit(), 1..6));
    let outcome = TestRunner::new(config).run(&strategy, |(first, edits)| {
        let mut input = first.get(&inputs).1.clone();
        edits.into_iter().for_each(|edit| apply(edit, &mut input, &inputs));
        let text = String::from_utf8_lossy(&input);
        std::panic::catch_unwind(|| target(&input))
            .map_err(|_| TestCaseError::fail(format!("keep these bytes in regressions/{name}: {input:?} {text:?}")))
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), fuzz::$name::run);
        })*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets!(config message session token topic);
