//! A message, taken apart: an SDP by its m-lines, a candidate by its fields, anything else as indented JSON. Or as
//! it came; or how it differs from another one.

use super::paint::{Pen, piece, wrap};
use super::{Line, words};
use crate::app::{Ui, payload};
use crate::model::{Entry, Room, Said};
use crate::sdp::{Candidate, Change, Description, Media, codec_list};
use ratatui::style::{Modifier, Style};

/// Columns before the facts of an m-line: `  candidates `.
const LABEL: u16 = 14;

/// The lines of what is opened.
pub(super) fn lines_of(pen: &Pen<'_>, room: &Room, ui: &Ui) -> Vec<Line> {
    if ui.ladder.detail.is_some_and(|detail| detail.compare) {
        return match ui.ladder.pair() {
            Some((older, newer)) => difference(pen, room, (older, newer), ui),
            None => vec![vec![piece("one of the two marked messages was evicted", pen.theme.dim)]],
        };
    }
    let Some(entry) = ui.ladder.selected().and_then(|seq| room.entry(seq)) else {
        return vec![vec![piece("no message is selected", pen.theme.dim)]];
    };
    let mut all = title(pen, entry);
    all.push(Line::new());
    if ui.ladder.raw {
        all.extend(raw(pen, entry, ui));
        return all;
    }
    match &entry.what {
        Said::Offer(description) | Said::Answer(description) => all.extend(self::description(pen, description, ui)),
        Said::Candidate(candidate) => all.extend(self::candidate(pen, candidate, ui)),
        Said::Malformed { why, .. } => {
            all.extend(wrapped(pen, why, pen.theme.fault));
            all.push(Line::new());
            all.extend(raw(pen, entry, ui));
        }
        Said::Refused { why } => {
            all.extend(wrapped(pen, &ui.redaction.text(why), pen.theme.fault));
            all.push(Line::new());
            all.extend(raw(pen, entry, ui));
        }
        _ => all.extend(raw(pen, entry, ui)),
    }
    all
}

/// What it is, who said it to whom, when, how large.
fn title(pen: &Pen<'_>, entry: &Entry) -> Vec<Line> {
    let theme = pen.theme;
    let arrow = format!(" {}{} ", pen.glyphs.line, pen.glyphs.right);
    let dot = format!(" {} ", pen.glyphs.dot);
    let mut facts = vec![words::clock(entry.at), words::bytes(entry.size as u64)];
    if entry.retain {
        facts.push("retained".into());
    }
    if !entry.whole() {
        facts.push(format!("cut after {}", words::bytes(entry.payload.len() as u64)));
    }
    vec![
        vec![
            piece(entry.what.kind().to_owned(), theme.accent.add_modifier(Modifier::BOLD)),
            piece("  ", theme.dim),
            piece(entry.from.name().to_owned(), theme.heading),
            piece(arrow, theme.dim),
            piece(entry.to.name().to_owned(), theme.heading),
        ],
        vec![piece(facts.join(&dot), theme.dim)],
    ]
}

fn wrapped(pen: &Pen<'_>, text: &str, style: Style) -> Vec<Line> {
    wrap(&crate::text::escape(text), pen.width()).into_iter().map(|line| vec![piece(line, style)]).collect()
}

/// The payload as it came, private details hidden.
fn raw(pen: &Pen<'_>, entry: &Entry, ui: &Ui) -> Vec<Line> {
    let lines = payload::shown(&entry.payload, ui.redaction);
    if lines.is_empty() {
        return vec![vec![piece("the message is empty", pen.theme.dim)]];
    }
    // The lines of SDP are numbered, as what is wrong with them names a line.
    let numbered = matches!(entry.what, Said::Offer(_) | Said::Answer(_));
    let digits = lines.len().to_string().len();
    let number = |at: usize| if numbered { format!("{:>digits$} ", at + 1) } else { String::new() };
    lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| vec![piece(number(at), pen.theme.dim), piece(line, Style::new())])
        .collect()
}

/// A label with words beside it, as many lines as they need.
fn fact(pen: &Pen<'_>, label: &str, words: &str, style: Style) -> Vec<Line> {
    let words = crate::text::escape(words);
    let lines = wrap(&words, pen.width().saturating_sub(LABEL).max(8));
    let label = |at: usize| if at == 0 { format!("  {label:<12}") } else { " ".repeat(usize::from(LABEL)) };
    lines.into_iter().enumerate().map(|(at, line)| vec![piece(label(at), pen.theme.dim), piece(line, style)]).collect()
}

fn description(pen: &Pen<'_>, description: &Description, ui: &Ui) -> Vec<Line> {
    let theme = pen.theme;
    let mut all = Vec::new();
    for problem in &description.problems {
        all.extend(wrapped(pen, &format!("{} {problem}", pen.glyphs.fault), theme.fault));
    }
    if !description.problems.is_empty() {
        all.push(Line::new());
    }
    let mut facts = vec![words::number(description.media.len() as u64, "m-line")];
    if !description.bundle.is_empty() {
        facts.push(format!("bundled {}", description.bundle.join(" ")));
    }
    facts.push(if description.trickle { "trickle".into() } else { "no trickle announced".into() });
    if description.ice_lite {
        facts.push("ice-lite".into());
    }
    if let Some((session, version)) = description.session {
        facts.push(format!("session {session} version {version}"));
    }
    let dot = format!(" {} ", pen.glyphs.dot);
    all.extend(wrapped(pen, &facts.join(&dot), Style::new()));
    for media in &description.media {
        all.push(Line::new());
        all.extend(self::media(pen, media, ui));
    }
    all
}

fn media(pen: &Pen<'_>, media: &Media, ui: &Ui) -> Vec<Line> {
    let theme = pen.theme;
    let plain = Style::new();
    let mid = media.mid.as_deref().map(|mid| format!("mid {mid} ")).unwrap_or_default();
    let mut title = vec![
        piece(mid, theme.dim),
        piece(media.kind.to_string(), theme.heading),
        piece(format!(" {}", media.direction), theme.accent),
    ];
    if media.is_refused() {
        title.push(piece(" refused (port 0)", theme.warning));
    }
    title.push(piece(format!("  {} {}", media.protocol, media.port), theme.dim));
    let mut all = vec![title];
    if media.is_av() {
        all.extend(fact(pen, "codecs", &codec_list(&media.codecs), plain));
    }
    if let Some(port) = media.sctp_port {
        all.extend(fact(pen, "sctp", &format!("port {port}"), plain));
    }
    let missing = theme.warning;
    let (ice, style) = match (&media.ufrag, &media.pwd) {
        (Some(ufrag), Some(pwd)) => {
            let pwd = if ui.redaction.reveal { format!(", pwd {}", pwd.reveal()) } else { ", pwd hidden".into() };
            (format!("ufrag {}{pwd}", ui.redaction.ufrag(ufrag)), plain)
        }
        (Some(ufrag), None) => (format!("ufrag {}, no pwd", ui.redaction.ufrag(ufrag)), missing),
        (None, _) => ("no ufrag".into(), missing),
    };
    if !media.is_refused() {
        all.extend(fact(pen, "ice", &ice, style));
        let setup = media.setup.map_or_else(|| "no setup".into(), |setup| format!("setup {setup}"));
        let style = if media.setup.is_none() || media.fingerprints.is_empty() { missing } else { plain };
        all.extend(fact(pen, "dtls", &setup, style));
        if media.fingerprints.is_empty() {
            all.extend(fact(pen, "fingerprint", "none", missing));
        }
        for fingerprint in &media.fingerprints {
            let digest = crate::text::clip(&fingerprint.digest, 26).into_owned();
            all.extend(fact(pen, "fingerprint", &format!("{} {digest}", fingerprint.hash), plain));
        }
    }
    if !media.candidates.is_empty() || media.end_of_candidates {
        let mut lines: Vec<String> = media.candidates.iter().map(|c| ui.redaction.candidate(c)).collect();
        if media.end_of_candidates {
            lines.push("end of candidates".into());
        }
        for (at, line) in lines.iter().enumerate() {
            all.extend(fact(pen, if at == 0 { "candidates" } else { "" }, line, plain));
        }
    }
    all
}

fn candidate(pen: &Pen<'_>, candidate: &Candidate, ui: &Ui) -> Vec<Line> {
    let redaction = ui.redaction;
    let component = match candidate.component {
        1 => "1 (RTP, and all that shares its port)".to_owned(),
        2 => "2 (RTCP)".to_owned(),
        other => other.to_string(),
    };
    let mut facts = vec![
        ("type", candidate.kind.to_string()),
        (
            "transport",
            candidate.tcp.map_or(candidate.transport.to_string(), |tcp| format!("{} {tcp}", candidate.transport)),
        ),
        ("address", redaction.address(&candidate.address)),
        ("port", candidate.port.to_string()),
        ("priority", words::count(candidate.priority.into())),
        ("component", component),
        ("foundation", candidate.foundation.to_string()),
    ];
    if let Some((address, port)) = &candidate.related {
        facts.push(("related", format!("{} port {port}", redaction.address(address))));
    }
    let m_line = match (&candidate.mid, candidate.mline) {
        (Some(mid), Some(number)) => format!("mid {mid}, number {number}"),
        (Some(mid), None) => format!("mid {mid}"),
        (None, Some(number)) => format!("number {number}"),
        (None, None) => "not named".into(),
    };
    facts.push(("m-line", m_line));
    if let Some(ufrag) = &candidate.ufrag {
        facts.push(("ufrag", redaction.ufrag(ufrag)));
    }
    facts.into_iter().flat_map(|(label, words)| fact(pen, label, &words, Style::new())).collect()
}

/// Lines that are the same around a change.
const CONTEXT: usize = 2;

fn difference(pen: &Pen<'_>, room: &Room, (older, newer): (u64, u64), ui: &Ui) -> Vec<Line> {
    let theme = pen.theme;
    let (Some(older), Some(newer)) = (room.entry(older), room.entry(newer)) else {
        return vec![vec![piece("one of the two marked messages was evicted", theme.dim)]];
    };
    let named = |sign: &str, entry: &Entry, style: Style| {
        let arrow = format!("{}{}", pen.glyphs.line, pen.glyphs.right);
        let text =
            format!("{sign} {} {} {} {arrow} {}", words::clock(entry.at), entry.what.kind(), entry.from, entry.to);
        vec![piece(text, style)]
    };
    let mut all = vec![named("-", older, theme.removed), named("+", newer, theme.added), Line::new()];
    let changes = payload::compare(&older.payload, &newer.payload, ui.redaction);
    let changed: Vec<usize> = (0..changes.len()).filter(|&at| !matches!(changes[at], Change::Same(_))).collect();
    if changed.is_empty() {
        all.push(vec![piece("both are the same", theme.good)]);
        return all;
    }
    let near = |at: usize| {
        let next = changed.partition_point(|&change| change + CONTEXT < at);
        changed.get(next).is_some_and(|&change| change <= at + CONTEXT)
    };
    let mut left_out = 0;
    for (at, change) in changes.into_iter().enumerate() {
        if !near(at) {
            left_out += 1;
            continue;
        }
        if left_out > 0 {
            all.push(vec![piece(format!("  {} as before", words::number(left_out, "line")), theme.dim)]);
            left_out = 0;
        }
        all.push(match change {
            Change::Same(line) => vec![piece(format!("  {line}"), theme.dim)],
            Change::Removed(line) => vec![piece(format!("- {line}"), theme.removed)],
            Change::Added(line) => vec![piece(format!("+ {line}"), theme.added)],
        });
    }
    if left_out > 0 {
        all.push(vec![piece(format!("  {} as before", words::number(left_out, "line")), theme.dim)]);
    }
    all
}
