//! The agents view: how each agent is doing, and the store that they share.

use super::header::sparkline;
use super::layout::Screen;
use super::paint::{Pen, piece, wrap};
use super::words;
use super::{Line, lines};
use crate::app::Ui;
use crate::model::{Agent, AgentState, Model, Rate};
use crate::text;
use ::agent::service::status::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::time::Duration;

/// A column: its heading, how wide it is, and from which width of the screen on there is room for it.
type Column = (&'static str, usize, u16, fn(&Agent) -> String);

const COLUMNS: [Column; 7] = [
    ("HEARD/s", 7, 0, |agent| rate(&agent.heard)),
    ("ASKED/s", 7, 70, |agent| rate(&agent.asked)),
    ("STORE/s", 7, 50, |agent| rate(&agent.requests)),
    ("TAKES", 6, 60, |agent| agent.store_micros.map_or_else(String::new, took)),
    ("FAILED", 6, 80, |agent| of_status(agent, |status| words::short_count(status.store.failures))),
    ("UP", 8, 80, |agent| of_status(agent, |status| words::long_span(Duration::from_secs(status.uptime)))),
    ("VERSION", 8, 100, |agent| of_status(agent, |status| status.version.clone())),
];

/// Least and largest width of the name, and width of the signs before it.
const NAME: (usize, usize) = (9, 28);
const SIGNS: usize = 4;
/// Columns of the state.
const STATE: usize = 12;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, model: &Model, ui: &Ui) {
    let mut pen = pen.part(screen.list);
    let all = all(&pen, model, ui);
    lines(&mut pen, &all, ui.agents_top);
}

/// How many lines the view has, and how many of them are on the screen.
pub(super) fn pane_length(screen: &Screen, model: &Model, ui: &Ui) -> (usize, usize) {
    let area = Rect { x: 0, y: 0, height: 1, ..screen.list };
    let mut buffer = Buffer::empty(area);
    let pen = Pen::new(&mut buffer, area, ui.theme, ui.glyphs);
    (all(&pen, model, ui).len(), usize::from(screen.list.height))
}

fn all(pen: &Pen<'_>, model: &Model, ui: &Ui) -> Vec<Line> {
    let theme = pen.theme;
    let agents = ui.agents(model);
    let columns: Vec<&Column> = COLUMNS.iter().filter(|(_, _, from, _)| pen.width() >= *from).collect();
    let taken: usize = columns.iter().map(|(_, width, ..)| width + 1).sum();
    let free = usize::from(pen.width()).saturating_sub(SIGNS + 1 + STATE + taken + 1);
    let name = free.clamp(NAME.0, NAME.1);
    // What is left over shows how much an agent heard in the last minutes.
    let rest = free.saturating_sub(name + 1);
    let heading = theme.dim.add_modifier(Modifier::BOLD);
    let mut title = vec![piece(format!("{:SIGNS$}{:name$} {:STATE$}", "", "AGENT", "STATE"), heading)];
    for (heading_of, width, ..) in &columns {
        title.push(piece(format!(" {heading_of:>width$}"), heading));
    }
    let mut all = vec![title];
    for agent in agents {
        let (sign, style) = sign(pen, &agent.state);
        let mut line: Line = vec![
            piece(format!("  {sign} "), style),
            piece(cell(pen, agent.name(), name), Style::new().add_modifier(Modifier::BOLD)),
            piece(format!(" {:STATE$}", agent.state.word()), style),
        ];
        for (_, width, _, value) in &columns {
            // What a silent one said last is old.
            let value = if speaks(agent) { value(agent) } else { String::new() };
            line.push(piece(format!(" {value:>width$}"), Style::new()));
        }
        if rest >= 12 {
            let history: Vec<f64> = agent.heard.history().collect();
            let from = history.len().saturating_sub(rest.min(Rate::HISTORY) - 2);
            line.push(piece(format!("  {}", sparkline(&history[from..], pen.glyphs.spark)), theme.accent));
        }
        all.push(line);
        if agent.state != AgentState::Working {
            let since = words::age(ui.now(model).since(agent.since));
            let words = format!("{}, for {since}: {}", agent.url, agent.state.words());
            let width = pen.width().saturating_sub(SIGNS as u16 + 1);
            let wrapped = wrap(&words, width);
            all.extend(wrapped.into_iter().map(|words| vec![piece(format!("{:SIGNS$}{words}", ""), style)]));
        }
    }
    all.push(Line::new());
    all.extend(store(pen, agents));
    all
}

/// The store as all agents see it together that say anything.
fn store(pen: &Pen<'_>, agents: &[Agent]) -> Vec<Line> {
    let theme = pen.theme;
    let mut kinds: Vec<&str> = agents
        .iter()
        .filter(|agent| speaks(agent))
        .filter_map(|agent| Some(&*agent.status.as_ref()?.store.kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut all = Vec::new();
    for kind in kinds {
        let of_kind = || {
            let pairs = agents.iter().filter_map(|agent| Some((agent, agent.status.as_ref()?)));
            pairs.filter(|(agent, status)| speaks(agent) && status.store.kind == kind)
        };
        let asked = of_kind().count();
        let answered = of_kind().filter(|(_, status)| status.store.answers).count();
        let requests: f64 = of_kind().filter_map(|(agent, _)| agent.requests.now()).sum();
        let failures = of_kind().fold(0_u64, |sum, (_, status)| sum.saturating_add(status.store.failures));
        let slowest = of_kind().filter_map(|(agent, _)| agent.store_micros).max();
        let style = if answered == asked { theme.good } else { theme.fault };
        let sign = if answered == asked { pen.glyphs.good } else { pen.glyphs.fault };
        let mut line: Line = vec![
            piece(format!("  {sign} "), style),
            piece(format!("store {kind}"), Style::new().add_modifier(Modifier::BOLD)),
            piece(format!("  answers {answered} of {}", words::number(asked as u64, "agent")), style),
            piece(format!("  {} requests/s", words::count(requests.round().max(0.0) as u64)), Style::new()),
        ];
        line.extend(slowest.map(|micros| piece(format!(" of {}", took(micros)), Style::new())));
        let failed = if failures > 0 { theme.warning } else { theme.dim };
        line.push(piece(format!("  {} failed", words::count(failures)), failed));
        all.push(line);
    }
    all
}

fn speaks(agent: &Agent) -> bool {
    !matches!(agent.state, AgentState::Silent { .. })
}

/// The fact for the line at the top: `3`, or `2/3` when not all of them work.
pub(super) fn fact(agents: &[Agent]) -> Option<(String, bool)> {
    let working = agents.iter().filter(|agent| agent.state == AgentState::Working).count();
    match agents.len() {
        0 => None,
        all if working == all => Some((all.to_string(), true)),
        all => Some((format!("{working}/{all}"), false)),
    }
}

fn sign(pen: &Pen<'_>, state: &AgentState) -> (&'static str, Style) {
    match state {
        AgentState::Working => (pen.glyphs.good, pen.theme.good),
        AgentState::Disconnected | AgentState::StoreAway | AgentState::Silent { .. } => {
            (pen.glyphs.fault, pen.theme.fault)
        }
    }
}

/// The text in exactly so many columns, legible and cut where it must be.
fn cell(pen: &Pen<'_>, text: &str, columns: usize) -> String {
    let legible = pen.legible(text);
    let text = text::clip_with(&legible, columns, pen.glyphs.cut);
    format!("{text}{}", " ".repeat(columns.saturating_sub(text::width(&text))))
}

fn of_status(agent: &Agent, value: fn(&Status) -> String) -> String {
    agent.status.as_ref().map_or_else(String::new, value)
}

fn rate(rate: &Rate) -> String {
    rate.now().map_or_else(String::new, |rate| words::short_count(rate.round().max(0.0) as u64))
}

/// Microseconds in at most six columns: `0.08ms`, `2.10ms`, `34ms`.
fn took(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{:02}ms", micros / 1_000, micros / 10 % 100),
        _ => words::span(Duration::from_micros(micros)),
    }
}
