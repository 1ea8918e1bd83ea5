//! `/metrics` as a strict reader of Prometheus' text format takes it, and by the conventions for names.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use support::client::{Client, V5};
use support::{Broker, PATIENCE};

/// One family: its type, and its samples by their labels as written.
struct Family {
    is_counter: bool,
    samples: BTreeMap<String, f64>,
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Labels between braces: `name="value"` with commas; our values need no escapes.
fn check_labels(text: &str) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=').ok_or("a label without =")?;
        let value =
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).ok_or("a value without quotes")?;
        if !is_name(name) || name.starts_with("__") || !names.insert(name) {
            return Err(format!("the label {name}"));
        }
        if value.is_empty() || value.contains(['"', '\\', '\n', '{', '}']) {
            return Err(format!("the value {value}"));
        }
    }
    Ok(())
}

/// Reads the whole text, or says which line is wrong and why.
fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (String::new(), String::new());
    for line in text.lines() {
        let wrong = |why: &str| Err(format!("{why}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("no help") };
            if help.is_empty() || !help.ends_with('.') {
                return wrong("help is a sentence");
            }
            if !current.is_empty() && families[&current].samples.is_empty() {
                return wrong("the family before it is empty");
            }
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            if name != helped || !is_name(name) || !name.starts_with("duet_") {
                return wrong("a type follows its help");
            }
            let is_counter = match kind {
                "counter" => true,
                "gauge" => false,
                _ => return wrong("an unknown type"),
            };
            if is_counter != name.ends_with("_total") {
                return wrong("counters end in _total, and nothing else does");
            }
            let family = Family { is_counter, samples: BTreeMap::new() };
            if families.insert(name.into(), family).is_some() {
                return wrong("a second family of this name");
            }
            current = name.to_owned();
        } else {
            let Some((series, value)) = line.rsplit_once(' ') else { return wrong("no value") };
            let (name, labels) = match series.split_once('{') {
                None => (series, ""),
                Some((name, rest)) => match rest.strip_suffix('}') {
                    Some(labels) => (name, labels),
                    None => return wrong("an open brace"),
                },
            };
            if name != current {
                return wrong("a sample of another family");
            }
            if !labels.is_empty() {
                check_labels(labels).map_err(|why| format!("{why}: {line:?}"))?;
            }
            let Ok(value) = value.parse::<f64>() else { return wrong("no number") };
            if !value.is_finite() || value < 0.0 || families[&current].is_counter && value.fract() != 0.0 {
                return wrong("a value that cannot be");
            }
            let Some(family) = families.get_mut(name) else { return wrong("no family") };
            if family.samples.insert(labels.into(), value).is_some() {
                return wrong("a second sample of this series");
            }
        }
    }
    // OpenMetrics takes the suffix off: two families may not differ by it alone.
    let bases: BTreeSet<&str> = families.keys().map(|name| name.trim_end_matches("_total")).collect();
    if bases.len() < families.len() {
        return Err("two families differ only by _total".into());
    }
    Ok(families)
}

#[test]
fn the_parser_is_strict() {
    let good = "# HELP duet_x_total How many.\n# TYPE duet_x_total counter\nduet_x_total{what=\"a\"} 1\n";
    assert!(parse(good).is_ok());
    for (right, wrong) in [
        ("{what=\"a\"} 1", "{what=a} 1"),
        ("{what=\"a\"} 1", "{what=\"a\"} one"),
        ("{what=\"a\"} 1", "{what=\"a\" 1"),
        ("{what=\"a\"} 1", "{what=\"a\"} 1\nduet_x_total{what=\"a\"} 2"),
        ("{what=\"a\"} 1", "{what=\"a\",what=\"b\"} 1"),
        ("counter", "gauge"),
        ("counter", "summary"),
        ("TYPE duet_x_total", "TYPE duet_y_total"),
        ("How many.", "How many"),
        ("} 1\n", "} 1"),
    ] {
        assert!(parse(&good.replacen(right, wrong, 1)).is_err(), "{wrong}");
    }
}

#[test]
fn a_strict_reader_takes_the_metrics_and_finds_what_there_is() {
    let broker = Broker::with(&["--max-rooms=77"], "");
    let mut alice = Client::peer(&broker, V5, "alice");
    alice.join("lobby");
    alice.publish("rooms/lobby/bob/mallory", "{}", 1);
    alice.expect(&["error"]);
    let _silent = std::net::TcpStream::connect(broker.mqtt).unwrap();
    let answer = broker.operator_get("/metrics");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    let families = parse(text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    let value = |name: &str, labels: &str| {
        let family = families.get(name).unwrap_or_else(|| panic!("no {name} in\n{text}"));
        *family.samples.get(labels).unwrap_or_else(|| panic!("no {name}{{{labels}}} in\n{text}"))
    };
    assert_eq!(value("duet_rooms", ""), 1.0);
    assert_eq!(value("duet_clients_connected", ""), 1.0);
    assert_eq!(value("duet_connections", "transport=\"tcp\""), 1.0);
    assert_eq!(value("duet_connections", "transport=\"wss\""), 0.0);
    assert_eq!(value("duet_limit", "name=\"max_rooms\""), 77.0);
    assert_eq!(value("duet_limit", "name=\"connect_timeout\""), 5.0);
    assert_eq!(value("duet_refused_total", "what=\"publish\""), 1.0);
    assert_eq!(value("duet_connects_total", ""), 1.0);
    assert!(value("duet_messages_received_total", "") >= 2.0 && value("duet_received_bytes_total", "") > 100.0);
    // The silent one, and the connection that asks; or that one alone, if it was accepted first.
    assert!((1.0..=2.0).contains(&value("duet_handshakes", "")));
    assert_eq!(value("duet_connections_held_back", ""), 0.0);
    // One for each connection at least.
    assert!(value("duet_tasks", "") >= 3.0);
}

#[test]
fn the_tasks_of_connections_that_have_gone_are_counted_no_more() {
    let broker = Broker::start();
    let tasks = || -> f64 {
        let text = broker.operator_get("/metrics");
        parse(text.split_once("\r\n\r\n").unwrap().1).unwrap()["duet_tasks"].samples[""]
    };
    let before = tasks();
    let peers: Vec<_> = (0..10).map(|number| Client::peer(&broker, V5, &format!("peer-{number}"))).collect();
    assert!(tasks() >= before + 10.0);
    drop(peers);
    let deadline = Instant::now() + PATIENCE;
    while tasks() > before {
        assert!(Instant::now() < deadline, "{} tasks, and {before} before", tasks());
    }
}
