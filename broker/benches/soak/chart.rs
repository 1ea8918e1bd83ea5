//! The samples as a picture: a panel for what belongs together, over the time, on light ground or dark as whoever looks
//! prefers.

use crate::report::number;
use crate::sample::{Figure, Sample};
use std::fmt::Write;

/// How values become heights.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    /// From zero.
    Linear,
    /// From [`LEAST`], a tenfold for each line: times, of which the longest are a thousand of the usual.
    Logarithmic,
}

/// A panel with one figure, or two of one unit, each with what it is called there.
struct Panel {
    title: &'static str,
    scale: Scale,
    figures: &'static [(Figure, &'static str)],
}

const fn linear(title: &'static str, figures: &'static [(Figure, &'static str)]) -> Panel {
    Panel { title, scale: Scale::Linear, figures }
}

const fn times(title: &'static str, figures: &'static [(Figure, &'static str)]) -> Panel {
    Panel { title, scale: Scale::Logarithmic, figures }
}

const PANELS: [Panel; 8] = [
    linear("Memory, MiB", &[(Figure::Resident, "resident"), (Figure::Own, "PSS")]),
    linear("Descriptors and tasks", &[(Figure::Descriptors, "descriptors"), (Figure::Tasks, "tasks")]),
    linear("Clients and rooms", &[(Figure::Clients, "clients"), (Figure::Rooms, "rooms")]),
    linear("CPUs", &[(Figure::Cpu, "CPUs")]),
    linear("Messages accepted a second", &[(Figure::Accepted, "accepted")]),
    linear("Signals of calls a second", &[(Figure::Signals, "signals")]),
    times("A signal from peer to peer, ms", &[(Figure::SignalP99, "p99"), (Figure::SignalP50, "p50")]),
    times("A call set up, ms", &[(Figure::SetUpP99, "p99"), (Figure::SetUpP50, "p50")]),
];
/// Where times begin, in milliseconds.
const LEAST: f64 = 0.01;
const COLUMNS: usize = 2;
const WIDTH: usize = 410;
const HEIGHT: usize = 150;
/// Where a curve is in its panel.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 396.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 124.0;
/// More points than this are brought together, each group as its highest, so that no peak is lost.
const MOST_POINTS: usize = 180;

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#57606a}.t{font-size:12px;font-weight:600;fill:#1f2328}\
    .g{stroke:#d0d7de;stroke-width:1}.bg{fill:#fff}path{fill:none;stroke-width:1.4;stroke-linejoin:round}\
    .a{stroke:#0969da}.b{stroke:#bc4c00}text.a{stroke:none;fill:#0969da}text.b{stroke:none;fill:#bc4c00}\
    @media(prefers-color-scheme:dark){text{fill:#9198a1}.t{fill:#f0f6fc}.g{stroke:#3d444d}.bg{fill:#0d1117}\
    .a{stroke:#58a6ff}.b{stroke:#f0883e}text.a{fill:#58a6ff}text.b{fill:#f0883e}}";

/// Draws all panels.
pub fn draw(samples: &[Sample]) -> String {
    let rows = PANELS.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * WIDTH, rows * HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Figures of the broker over the time of a soak\">\n<style>{STYLE}</style>\n\
         <rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    let end = samples.last().map_or(1.0, |sample| sample.at).max(1.0);
    for (number, shown) in PANELS.iter().enumerate() {
        let (x, y) = (number % COLUMNS * WIDTH, number / COLUMNS * HEIGHT);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel(&mut svg, shown, samples, end);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, panel: &Panel, samples: &[Sample], end: f64) {
    let Panel { title, scale, figures } = panel;
    let most =
        figures.iter().flat_map(|(figure, _)| samples.iter().map(|sample| sample.get(*figure))).fold(0.0, f64::max);
    let _ = writeln!(svg, "<text class=\"t\" x=\"{LEFT}\" y=\"18\">{title}</text>");
    // Where the lines are, the last on top.
    let lines: Vec<f64> = match scale {
        Scale::Linear => [0.0, 0.5, 1.0].map(|share| share * ceiling(most)).to_vec(),
        Scale::Logarithmic => {
            let tenfolds = (most / LEAST).max(10.0).log10().ceil() as i32;
            (0..=tenfolds).map(|power| LEAST * 10f64.powi(power)).collect()
        }
    };
    let top = lines.last().copied().unwrap_or(1.0);
    let height = |value: f64| {
        let share = match scale {
            Scale::Linear => value / top,
            Scale::Logarithmic => (value.max(LEAST) / LEAST).log10() / (top / LEAST).log10(),
        };
        BOTTOM - share * (BOTTOM - TOP)
    };
    for line in lines {
        let y = height(line);
        let _ = writeln!(
            svg,
            "<path class=\"g\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 5.0,
            y + 4.0,
            short(line)
        );
    }
    for share in [0.0, 0.5, 1.0] {
        let x = LEFT + share * (RIGHT - LEFT);
        let anchor = ["start", "middle", "end"][(share * 2.0) as usize];
        let minutes = number((share * end / 6.0).round() / 10.0);
        let unit = if share == 1.0 { " min" } else { "" };
        let _ =
            writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{minutes}{unit}</text>", BOTTOM + 15.0);
    }
    let mut legend = RIGHT;
    for (at, (figure, name)) in figures.iter().enumerate() {
        let class = ["a", "b"][at % 2];
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{legend}\" y=\"18\" text-anchor=\"end\">{name}</text>");
        legend -= name.len() as f64 * 6.0 + 14.0;
        let mut path = String::new();
        for group in samples.chunks(samples.len().div_ceil(MOST_POINTS).max(1)) {
            let highest = group.iter().map(|sample| sample.get(*figure)).fold(0.0, f64::max);
            let x = LEFT + group[0].at / end * (RIGHT - LEFT);
            let _ = write!(path, "{}{x:.1} {:.1}", if path.is_empty() { "M" } else { "L" }, height(highest));
        }
        let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
    }
}

/// Thousands by their letter, for there is little room.
fn short(value: f64) -> String {
    if value >= 10_000.0 { format!("{}k", number(value / 1000.0)) } else { number(value) }
}

/// The next figure above that reads well, also halved.
fn ceiling(most: f64) -> f64 {
    let unit = 10f64.powf(most.max(1e-3).log10().floor());
    [1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * unit)
        .find(|top| *top >= most)
        .unwrap_or(most)
}
