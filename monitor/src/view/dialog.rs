//! Questions in the middle of the screen: in which form to export, whom to remove, whether to close.

use super::layout::Screen;
use super::paint::{Pen, wrap};
use crate::app::{Over, Ui, keys};
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Widest question, in columns.
const MOST: u16 = 64;

pub(super) fn draw(pen: &mut Pen<'_>, screen: &Screen, ui: &Ui) {
    let names =
        |peers: &[protocol::PeerId]| peers.iter().map(protocol::PeerId::as_str).collect::<Vec<_>>().join(" and ");
    let (title, words, fault) = match &ui.over {
        Some(Over::Export(room)) => ("Export", format!("Write the ladder of {room} to a file, as"), false),
        Some(Over::Remove(room, peers)) => {
            let who: Vec<String> =
                peers.iter().enumerate().map(|(at, peer)| format!("{} removes {peer}", at + 1)).collect();
            let words = format!(
                "Remove a peer from {room}? Its call ends, and it is told that an operator removed it.\n{}",
                who.join("\n")
            );
            ("Remove a peer", words, true)
        }
        Some(Over::Close(room, peers)) => {
            let words = format!("Close the room {room}? {} will be put out, and their call ends.", names(peers));
            ("Close the room", words, true)
        }
        Some(Over::Help(_) | Over::Prompt(_)) | None => return,
    };
    let body = Rect { y: screen.tabs.bottom(), height: screen.footer.y - screen.tabs.bottom(), ..screen.footer };
    let width = MOST.min(body.width.saturating_sub(4));
    let words = crate::text::escape(&words.replace('\n', "\u{1}")).replace('␁', "\n");
    let lines = wrap(&words, width.saturating_sub(4));
    let answers: Vec<&keys::Binding> = keys::bindings(ui.focus())
        .filter(|binding| !binding.short.is_empty())
        .filter(|binding| !matches!((&ui.over, binding.action), (Some(Over::Remove(_, peers)), crate::app::Action::RemovePeer(at)) if at >= peers.len()))
        .collect();
    let height = (lines.len() as u16 + 4).min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 3, width, height };
    let mut pen = pen.part(area);
    pen.clear();
    let theme = pen.theme;
    let frame = if fault { theme.warning } else { theme.accent };
    let mut inside = pen.frame(title, frame);
    let last = inside.height().saturating_sub(1);
    for (y, line) in (0..last).zip(&lines) {
        inside.put(1, y, line, Style::new());
    }
    let mut x = 1;
    for binding in answers {
        x = inside.put(x, last, &binding.keys[0].name(), theme.accent);
        x = inside.put(x + 1, last, binding.short, theme.dim) + 2;
    }
}
