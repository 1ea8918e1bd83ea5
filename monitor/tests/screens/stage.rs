//! The monitor without a terminal: keys go in through the key map, screens come out as text.

use crate::scene::Scene;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use monitor::app::{Action, App, Effect, Origin, Ui};
use monitor::view::{Depth, Theme, paint};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

pub struct Stage {
    pub app: App,
    pub effects: Vec<Effect>,
    pub cursor: Option<Position>,
}

impl Stage {
    pub fn new(scene: &Scene, (width, height): (u16, u16)) -> Self {
        let mut ui = Ui::new(Origin::Broker { url: "mqtt://127.0.0.1:1883".into() });
        ui.page = Some("http://127.0.0.1:8080".into());
        let mut stage = Self { app: App::new(scene.model(), ui), effects: Vec::new(), cursor: None };
        stage.act(Action::Resize { width, height });
        stage
    }

    pub fn act(&mut self, action: Action) {
        self.effects.extend(self.app.act(action));
    }

    pub fn act_on(&mut self, keys: &str) {
        self.press(keys);
    }

    /// Presses keys: single characters, or names in angle brackets: `j<Enter>/room<Esc><C-c>`.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let (event, length) = match rest.strip_prefix('<').and_then(|named| named.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (KeyEvent::from(KeyCode::Char(c)), c.len_utf8()),
            };
            self.effects.extend(self.app.key(event));
            rest = &rest[length..];
        }
        self
    }

    pub fn buffer(&mut self) -> Buffer {
        self.app.refresh();
        let (width, height) = self.app.ui.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        self.cursor = paint(&mut buffer, &self.app.model, &self.app.ui);
        buffer
    }

    pub fn text(&mut self) -> String {
        text(&self.buffer())
    }

    /// The rows, as text.
    pub fn rows(&mut self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The screen with the styles of both a terminal with 256 colours and one without; what it says must be the same.
    pub fn shot(&mut self) -> String {
        let palette = self.app.ui.theme.palette;
        self.app.ui.theme = Theme::new(palette, Depth::None);
        let plain = self.buffer();
        self.app.ui.theme = Theme::new(palette, Depth::Many);
        let colour = self.buffer();
        assert_eq!(text(&plain), text(&colour), "colour says something that characters do not");
        for position in plain.area.positions() {
            let cell = &plain[position];
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "a colour without colours at {position}");
        }
        let text: String = text(&colour).lines().fold(String::new(), |all, row| all + row.trim_end() + "\n");
        format!("{text}\n--- 256 colours\n{}\n--- NO_COLOR\n{}", styles(&colour), styles(&plain))
    }
}

fn named(name: &str) -> KeyEvent {
    if let Some(c) = name.strip_prefix("C-") {
        return KeyEvent::new(KeyCode::Char(c.chars().next().expect("a letter")), KeyModifiers::CONTROL);
    }
    KeyEvent::from(match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "S-Tab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "BS" => KeyCode::Backspace,
        other => panic!("no key {other}"),
    })
}

pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut hidden = 0;
        for x in 0..buffer.area.width {
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            hidden = symbol.width().saturating_sub(1);
            text.push_str(symbol);
        }
        text.push('\n');
    }
    text
}

/// Runs of cells with a style of their own, by row: `3: 0-79 b on238, 2 210b`.
fn styles(buffer: &Buffer) -> String {
    let mut all = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let style = style(&buffer[(x, y)]);
            match runs.last_mut() {
                Some((_, end, same)) if *end + 1 == x && *same == style => *end = x,
                _ => runs.push((x, x, style)),
            }
        }
        runs.retain(|run| !run.2.is_empty());
        if runs.is_empty() {
            continue;
        }
        let runs: Vec<String> = runs
            .into_iter()
            .map(
                |(from, to, style)| if from == to { format!("{from} {style}") } else { format!("{from}-{to} {style}") },
            )
            .collect();
        let _ = writeln!(all, "{y:>2}: {}", runs.join(", "));
    }
    all
}

fn style(cell: &Cell) -> String {
    let colour = |colour: Color| match colour {
        Color::Indexed(index) => index.to_string(),
        other => other.to_string().to_lowercase(),
    };
    let mut style = String::new();
    if cell.fg != Color::Reset {
        style.push_str(&colour(cell.fg));
    }
    for (modifier, letter) in
        [(Modifier::BOLD, 'b'), (Modifier::DIM, 'd'), (Modifier::REVERSED, 'r'), (Modifier::UNDERLINED, 'u')]
    {
        if cell.modifier.contains(modifier) {
            style.push(letter);
        }
    }
    if cell.bg != Color::Reset {
        let _ = write!(style, " on{}", colour(cell.bg));
    }
    style.trim().to_owned()
}
