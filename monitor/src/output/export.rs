//! A room's ladder as a file to send to somebody: text, Markdown with a Mermaid diagram, or JSON.

use super::{Style, clock, essence, json, span};
use crate::app::Format;
use crate::model::{Entry, Model, Party, Room};
use crate::text::escape;
use protocol::Timestamp;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The ending of a format's files.
const fn ending(format: Format) -> &'static str {
    match format {
        Format::Text => "txt",
        Format::Markdown => "md",
        Format::Json => "json",
    }
}

/// A time as far as every file system takes it: `20261122T104619`.
#[must_use]
pub fn file_time(at: Timestamp) -> String {
    at.to_string().chars().filter(|c| !"-:".contains(*c)).take(15).collect()
}

/// A room's ladder in a format.
#[must_use]
pub fn render(model: &Model, room: &Room, format: Format, style: Style) -> String {
    match format {
        Format::Text => text(model, room, style),
        Format::Markdown => markdown(model, room, style),
        Format::Json => object(room, style),
    }
}

/// Writes a text to a new file in `folder`, named after the room and the time; its path. Only its owner can read
/// it, and no file that is there already is touched.
///
/// # Errors
/// If it cannot be written.
pub fn save(folder: &Path, model: &Model, room: &Room, format: Format, text: &str) -> io::Result<PathBuf> {
    let at = file_time(model.now());
    for number in 1..100 {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{}-{at}{again}.{}", file_name(room.name()), ending(format)));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return fill(file, text).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are 99 exports of this second already"))
}

fn fill(mut file: File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())
}

/// A room's name as far as every file system takes it.
fn file_name(room: &str) -> String {
    let name: String =
        room.chars().take(40).map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    format!("duet-{name}")
}

fn head(model: &Model, room: &Room) -> String {
    let until = room.ended_at().unwrap_or(model.now());
    let inferred = if room.phase().inferred() { " (inferred)" } else { "" };
    let mut head = format!(
        "{}{inferred}, from {}, {}, {} messages",
        room.phase().name(),
        room.since(),
        span(until.since(room.since())),
        room.messages()
    );
    if room.evicted() > 0 {
        let _ = write!(head, " ({} earlier ones are not here any more)", room.evicted());
    }
    head
}

fn text(model: &Model, room: &Room, style: Style) -> String {
    let mut text = format!("Room {}\n{}\n", escape(room.name()), head(model, room));
    for finding in room.findings() {
        let _ = writeln!(
            text,
            "\n{} {}: {}\n  means: {}\n  try:   {}",
            finding.severity,
            finding.rule,
            escape(&finding.seen),
            escape(&finding.means),
            escape(&finding.try_this)
        );
    }
    text.push('\n');
    let mut before = None;
    for entry in room.ladder() {
        let delta = before.map_or(String::new(), |before| format!("+{}", span(entry.at.since(before))));
        before = Some(entry.at);
        let _ = writeln!(
            text,
            "{} {delta:>9}  {} {} {}  {}",
            clock(entry.at),
            escape(entry.from.name()),
            style.arrow(),
            escape(entry.to.name()),
            said(entry, style)
        );
    }
    text
}

/// The type, and what it holds.
fn said(entry: &Entry, style: Style) -> String {
    let kind = escape(entry.what.kind()).into_owned();
    let essence = essence(entry, style.redaction);
    if essence.starts_with(&kind) || essence.is_empty() {
        if essence.is_empty() { kind } else { essence }
    } else {
        format!("{kind} {essence}")
    }
}

fn markdown(model: &Model, room: &Room, style: Style) -> String {
    let mut text = format!("# Room {}\n\n{}\n", inline(room.name()), inline(&head(model, room)));
    for finding in room.findings() {
        let _ = write!(
            text,
            "\n- **{} {}**: {}\n  - means: {}\n  - try: {}\n",
            finding.severity,
            finding.rule,
            inline(&finding.seen),
            inline(&finding.means),
            inline(&finding.try_this)
        );
    }
    text.push_str("\n```mermaid\nsequenceDiagram\n");
    // Numbers for names: an id of a peer may hold anything that means something to Mermaid.
    let mut parties: Vec<&Party> = Vec::new();
    for party in room.ladder().iter().flat_map(|entry| [&entry.from, &entry.to]) {
        if !parties.contains(&party) {
            parties.push(party);
        }
    }
    parties.sort_by_key(|party| matches!(party, Party::Agent)); // peers keep their order, the agent stands last
    for (number, party) in parties.iter().enumerate() {
        let _ = writeln!(text, "    participant p{number} as {}", diagram(party.name()));
    }
    let number = |party: &Party| parties.iter().position(|known| *known == party).unwrap_or_default();
    for entry in room.ladder() {
        let _ = writeln!(
            text,
            "    p{}->>p{}: {} {}",
            number(&entry.from),
            number(&entry.to),
            clock(entry.at),
            diagram(&said(entry, style))
        );
    }
    text.push_str("```\n");
    text
}

/// Text within a line of Markdown: nothing in it is markup (CommonMark, 2.4).
fn inline(text: &str) -> String {
    let mut plain = String::new();
    for c in escape(text).chars() {
        if c.is_ascii_punctuation() && !",.:;'?%/-+=".contains(c) {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

/// Text within a Mermaid diagram: characters that mean something there go by number.
fn diagram(text: &str) -> String {
    let mut plain = String::new();
    for c in escape(text).chars() {
        match c {
            '#' | ';' | '<' | '>' | '{' | '}' | '&' | '"' | '%' | '\\' | '`' | '$' => {
                let _ = write!(plain, "#{};", u32::from(c));
            }
            _ => plain.push(c),
        }
    }
    plain
}

fn object(room: &Room, style: Style) -> String {
    let value = json!({
        "duet_ladder": 1,
        "room": room.name(),
        "phase": room.phase().name(),
        "inferred": room.phase().inferred(),
        "since": room.since(),
        "ended": room.ended_at(),
        "evicted": room.evicted(),
        "findings": room.findings().iter().map(json::finding).collect::<Vec<_>>(),
        "messages": room.ladder().iter().map(|entry| json::message(room, entry, style.redaction)).collect::<Vec<_>>(),
    });
    json::plain(&value.to_string()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bounds;
    use crate::redact::Redaction;
    use crate::wire::{Input, Message};
    use std::os::unix::fs::PermissionsExt;

    const ROOM: &str = "lobby";

    fn model(messages: &[(&str, &str)]) -> Model {
        let mut model = Model::new(Bounds::default());
        for (number, (topic, payload)) in messages.iter().enumerate() {
            let at = Timestamp::from_millis(1_795_341_600_000 + 250 * number as u64);
            let payload = payload.as_bytes().to_vec().into();
            let message = Message { at, topic: (*topic).into(), payload, qos: 0, retain: false };
            model.take(Input::Message(message));
        }
        model
    }

    fn hostile() -> Model {
        model(&[
            ("rooms/lobby/agent/al#ice;", r#"{"type":"join"}"#), // no name that is allowed, so not here
            ("rooms/lobby/agent/alice", r#"{"type":"join"}"#),
            ("rooms/lobby/b;%%{}/alice", r##"{"type":"x\u001b[2J\n```\n# <b>"}"##),
            (
                "rooms/lobby/bob/alice",
                r#"{"type":"candidate","candidate":{"candidate":"candidate:1 1 udp 1 192.0.2.17 4 typ host"}}"#,
            ),
        ])
    }

    fn exported(model: &Model, format: Format, reveal: bool) -> String {
        let style = Style { redaction: Redaction { reveal }, ..Style::default() };
        render(model, model.room(ROOM).unwrap(), format, style)
    }

    #[test]
    fn every_format_holds_every_message_and_hides_what_is_private() {
        let model = hostile();
        for format in [Format::Text, Format::Markdown, Format::Json] {
            let text = exported(&model, format, false);
            assert!(text.contains("alice") && text.contains("host udp 192.0.x.x:4"), "{text}");
            assert!(!text.contains("192.0.2.17"), "{text}");
            assert!(exported(&model, format, true).contains("192.0.2.17"));
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
        assert!(exported(&model, Format::Text, false).contains("10:00:00.500   +0.25 s  alice → b;%%{}  x␛[2J"));
        let json: serde_json::Value = serde_json::from_str(&exported(&model, Format::Json, false)).unwrap();
        assert_eq!(json["messages"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn nothing_that_a_peer_says_leaves_the_diagram() {
        let text = exported(&hostile(), Format::Markdown, false);
        assert_eq!(text.matches("```").count(), 2, "{text}");
        let diagram = text.split("```").nth(1).unwrap();
        let lines: Vec<&str> = diagram.lines().skip(2).collect();
        assert_eq!(lines.len(), 3 + 1 + 3, "participants, then messages:\n{diagram}");
        assert!(
            lines.iter().all(|line| line.starts_with("    participant p") || line.starts_with("    p")),
            "{diagram}"
        );
        assert!(!diagram.contains("<b>") && diagram.contains("#60;b#62;"), "{diagram}");
        assert_eq!(inline("# a_b [c](d) <e>"), "\\# a\\_b \\[c\\]\\(d\\) \\<e\\>");
    }

    #[test]
    fn files_are_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let model = hostile();
        let room = model.room(ROOM).unwrap();
        let mut paths = Vec::new();
        for text in ["one", "two"] {
            paths.push(save(folder.path(), &model, room, Format::Markdown, text).unwrap());
        }
        let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["duet-lobby-20261122T100000.md", "duet-lobby-20261122T100000-2.md"]);
        assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "one");
        assert_eq!(std::fs::metadata(&paths[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file_name("../../etc/방 1"), "duet-______etc_방_1");
    }
}
