//! Draws a screen of a recording as SVG: `picture RECORDING COLUMNSxROWS [KEYS] > picture.svg`.
//!
//! The recording goes through the same model and the same views as in the monitor, the keys through its key map, so the
//! picture is what an operator sees. Keys are characters, and names in angle brackets: `<Enter>jj<Esc>`.

use anyhow::{Context, bail};
use crossterm::event::{KeyCode, KeyEvent};
use monitor::app::{Action, App, Origin, Ui};
use monitor::model::{Bounds, Model};
use monitor::recording::Reader;
use monitor::view;
use monitor::wire::{Input, Link};
use protocol::Timestamp;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Pixels of a cell.
const CELL: (f32, f32) = (8.4, 18.0);
const INK: &str = "#d0d0d0";
const GROUND: &str = "#16181d";
/// How long after the last message the picture is taken: rules that wait for something have spoken by then.
const AFTER: Duration = Duration::from_secs(12);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (recording, size, keys) = match arguments.as_slice() {
        [recording, size] => (recording, size, ""),
        [recording, size, keys] => (recording, size, keys.as_str()),
        _ => bail!("usage: picture RECORDING COLUMNSxROWS [KEYS]"),
    };
    let size = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) = size.context("the size must be like 120x36")?;
    let reader = Reader::open(Path::new(recording))?;
    let mut ui = Ui::new(Origin::Broker { url: reader.header().broker.clone() });
    ui.page = Some("http://127.0.0.1:8080".into());
    let mut app = App::new(Model::new(Bounds::default()), ui);
    let mut last = reader.header().started;
    app.take(Input::Link { at: last, link: Link::Connected });
    for input in reader {
        let input = input?;
        last = input.at();
        app.take(input);
    }
    tick(&mut app, last);
    app.act(Action::Resize { width, height });
    press(&mut app, keys)?;
    app.refresh();
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view::paint(&mut buffer, &app.model, &app.ui);
    print!("{}", svg(&buffer));
    Ok(())
}

fn tick(app: &mut App, last: Timestamp) {
    for second in 1..=AFTER.as_secs() {
        app.take(Input::Tick(last.plus(Duration::from_secs(second))));
    }
}

fn press(app: &mut App, mut keys: &str) -> anyhow::Result<()> {
    while let Some(c) = keys.chars().next() {
        let (code, length) = match keys.strip_prefix('<').and_then(|named| named.split_once('>')) {
            Some((name, _)) => {
                let code = match name {
                    "Enter" => KeyCode::Enter,
                    "Esc" => KeyCode::Esc,
                    "Tab" => KeyCode::Tab,
                    "Home" => KeyCode::Home,
                    "End" => KeyCode::End,
                    _ => bail!("there is no key <{name}>; known are Enter, Esc, Tab, Home and End"),
                };
                (code, name.len() + 2)
            }
            None => (KeyCode::Char(c), c.len_utf8()),
        };
        app.key(KeyEvent::from(code));
        keys = &keys[length..];
    }
    Ok(())
}

/// The screen as text that stands in a grid, each run of a style at its own place.
fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f32::from(buffer.area.width) * CELL.0, f32::from(buffer.area.height) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-12 -12 {:.0} {:.0}\" font-size=\"14\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" xml:space=\"preserve\">\n\
         <rect x=\"-12\" y=\"-12\" width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n",
        width + 24.0,
        height + 24.0
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let cell = &buffer[(x, y)];
            let from = x;
            let mut text = String::new();
            // A wide character stands alone, lest fonts that disagree on its width move what follows.
            while x < buffer.area.width && look(&buffer[(x, y)]) == look(cell) {
                let symbol = buffer[(x, y)].symbol();
                let wide = symbol.width() > 1;
                if wide && x > from {
                    break;
                }
                text.push_str(symbol);
                x += u16::try_from(symbol.width().max(1)).unwrap_or(1);
                if wide {
                    break;
                }
            }
            run(&mut svg, (from, y), x - from, &text, cell);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn look(cell: &Cell) -> (Color, Color, Modifier) {
    (cell.fg, cell.bg, cell.modifier)
}

fn run(svg: &mut String, (x, y): (u16, u16), columns: u16, text: &str, cell: &Cell) {
    let mut ink = colour(cell.fg).unwrap_or_else(|| INK.into());
    let mut ground = colour(cell.bg);
    if cell.modifier.contains(Modifier::REVERSED) {
        ground = Some(std::mem::replace(&mut ink, ground.unwrap_or_else(|| GROUND.into())));
    }
    let (left, top) = (f32::from(x) * CELL.0, f32::from(y) * CELL.1);
    let width = f32::from(columns) * CELL.0;
    if let Some(ground) = ground {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{ground}\"/>",
            CELL.1
        );
    }
    // Spaces before the text would be taken away: they become distance.
    let spaces = text.len() - text.trim_start().len();
    let left = left + spaces as f32 * CELL.0;
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    let bold = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let length = text.width() as f32 * CELL.0;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" fill=\"{ink}\"{bold}>{text}</text>",
        top + CELL.1 * 0.76
    );
}

/// A colour of xterm's 256 (six steps of each of red, green and blue from 16 on, greys from 232 on).
fn colour(colour: Color) -> Option<String> {
    let Color::Indexed(index) = colour else { return None };
    let (red, green, blue) = match index {
        0..16 => return None,
        16..232 => {
            let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let n = index - 16;
            (step(n / 36), step(n / 6 % 6), step(n % 6))
        }
        _ => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    };
    Some(format!("#{red:02x}{green:02x}{blue:02x}"))
}
