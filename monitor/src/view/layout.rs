//! What stands where: worked out from the size and the state alone, so that the mouse finds what was drawn.

use crate::app::{Column, Ui, View};
use ratatui::layout::Rect;

/// Fewer columns than this cannot be used.
pub const LEAST_WIDTH: u16 = 40;
/// Fewer rows than this cannot be used.
pub const LEAST_HEIGHT: u16 = 10;
/// From this width on there is a side pane.
pub const SIDE_FROM: u16 = 140;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Screen {
    /// Broker, figures.
    pub header: Rect,
    /// Names of the views, what is broken.
    pub tabs: Rect,
    /// Rows that keys move on, with their heading; empty while a message fills the screen.
    pub list: Rect,
    /// What belongs to the selected row: beside or below the list, or in its place.
    pub pane: Rect,
    /// Keys, or the filter that is being written.
    pub footer: Rect,
}

impl Screen {
    /// The parts of a screen; `None` if it is too small.
    pub fn of(ui: &Ui) -> Option<Self> {
        let (width, height) = ui.size;
        if width < LEAST_WIDTH || height < LEAST_HEIGHT {
            return None;
        }
        let header = Rect { x: 0, y: 0, width, height: if height < 16 { 1 } else { 2 } };
        let tabs = Rect { y: header.height, height: 1, ..header };
        let footer = Rect { y: height - 1, height: 1, ..header };
        let top = tabs.bottom();
        let body = Rect { x: 0, y: top, width, height: footer.y - top };
        let (list, pane) = split(body, ui);
        Some(Self { header, tabs, list, pane, footer })
    }

    /// Rows of the list below its heading.
    pub fn rows(&self) -> usize {
        usize::from(self.list.height.saturating_sub(1))
    }
}

/// List and pane.
fn split(body: Rect, ui: &Ui) -> (Rect, Rect) {
    let nothing = Rect { height: 0, ..body };
    let below = |rows: u16| {
        let rows = rows.min(body.height);
        let list = Rect { height: body.height - rows, ..body };
        (list, Rect { y: list.bottom(), height: rows, ..body })
    };
    let beside = |side: u16| {
        let list = Rect { width: body.width - side - 1, ..body };
        (list, Rect { x: list.right() + 1, width: side, ..body })
    };
    let wide = body.width >= SIDE_FROM;
    match ui.view {
        View::Events | View::Agents => (body, nothing),
        View::Rooms if ui.rooms.names().is_empty() => (body, nothing),
        _ if wide => beside((body.width * 7 / 20).clamp(56, 90)),
        View::Ladder if ui.ladder.detail.is_some() => match body.height {
            0..24 => (nothing, body),
            height => below(height / 2),
        },
        View::Ladder if !ui.finding_below() => (body, nothing),
        View::Diagnosis => below(body.height * 3 / 5),
        View::Rooms | View::Ladder if body.height < 10 => (body, nothing),
        View::Rooms => below(words_below(body.height, ui.rooms.names().len())),
        View::Ladder => below(words_below(body.height, ui.ladder.rows().len())),
    }
}

/// How many rows the words below a list of this length get: some in any case, more if the list leaves them free.
fn words_below(height: u16, length: usize) -> u16 {
    let (least, most) = match height {
        0..14 => (3, 5),
        14..26 => (5, 9),
        _ => (8, 12),
    };
    let free = height.saturating_sub(u16::try_from(length).unwrap_or(u16::MAX).saturating_add(2));
    free.clamp(least, most)
}

/// A column of the rooms table on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub column: Column,
    /// Where it begins, from the left of the table.
    pub x: u16,
    /// How wide it is.
    pub width: u16,
}

/// Columns before the first one: the mark of the selected row.
pub const GUTTER: u16 = 2;

/// The least width of a column, and the largest that is of use.
const fn widths(column: Column) -> (u16, u16) {
    match column {
        Column::Finding => (3, 3),
        Column::Room => (12, 32),
        Column::Seats => (5, 5),
        Column::Phase => (11, 11),
        Column::Why => (16, 30),
        Column::Age => (5, 5),
        Column::Messages => (5, 5),
        Column::Exchange => (5, 5),
        Column::Refused => (4, 4),
        Column::Peers => (16, 44),
        Column::Last => (18, 26),
    }
}

/// The columns that have their place in a table of this width, from left to right. What says most about a broken call
/// comes first, the rest as there is room.
pub fn columns(width: u16) -> Vec<Place> {
    const BY_WEIGHT: [Column; 11] = [
        Column::Finding,
        Column::Room,
        Column::Phase,
        Column::Seats,
        Column::Why,
        Column::Messages,
        Column::Exchange,
        Column::Age,
        Column::Peers,
        Column::Last,
        Column::Refused,
    ];
    let mut free = width.saturating_sub(GUTTER);
    let mut chosen = Vec::new();
    for column in BY_WEIGHT {
        let least = widths(column).0 + u16::from(!chosen.is_empty());
        if least > free {
            break;
        }
        free -= least;
        chosen.push(column);
    }
    let mut places = Vec::with_capacity(chosen.len());
    // What is left over goes first to names and reasons, which suffer most from being cut.
    let mut extra = [0; Column::ALL.len()];
    for wanted in [Column::Room, Column::Why, Column::Peers, Column::Last] {
        let (least, most) = widths(wanted);
        if chosen.contains(&wanted) {
            let half = if wanted == Column::Room { free.div_ceil(2) } else { free };
            let more = half.min(most - least);
            extra[wanted as usize] = more;
            free -= more;
        }
    }
    let mut x = GUTTER;
    for column in Column::ALL.into_iter().filter(|column| chosen.contains(column)) {
        let width = widths(column).0 + extra[column as usize];
        places.push(Place { column, x, width });
        x += width + 1;
    }
    places
}

/// Where the parts of a ladder's row stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// Columns of the time of day; the last ones of `10:12:33.123`.
    pub clock: u16,
    /// Where the time since the message before begins; it has seven columns. `None` if there is no room for it.
    pub delta: Option<u16>,
    /// The lifelines: left, agent, right.
    pub lanes: [u16; 3],
    /// Where names of the side stand, and how wide they may be.
    pub side: (u16, u16),
    /// Where the essence begins.
    pub essence: u16,
}

impl Ladder {
    /// For a ladder of this width, with or without third parties.
    pub fn of(width: u16, side: bool) -> Self {
        let clock = if width < 70 { 9 } else { 12 };
        let delta = (width >= 70).then_some(GUTTER + 1 + clock + 1);
        let left = GUTTER + 1 + clock + 1 + if delta.is_some() { 8 } else { 0 } + 1;
        let lane = match width {
            0..70 => 9,
            70..100 => 12,
            100..130 => 16,
            _ => 20,
        };
        let lanes = [left, left + lane, left + 2 * lane];
        let side_width = if side { (lane - 3).max(8) } else { 0 };
        let side_at = lanes[2] + 2;
        Self {
            clock,
            delta,
            lanes,
            side: (side_at, side_width),
            essence: if side { side_at + side_width + 1 } else { side_at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_overlap_and_never_leave_the_table() {
        for width in LEAST_WIDTH..=300 {
            let places = columns(width);
            let mut x = GUTTER;
            for place in &places {
                assert!(place.x >= x, "{width}: {place:?}");
                x = place.x + place.width;
                assert!(x <= width, "{width}: {place:?}");
            }
            assert!(places.iter().any(|place| place.column == Column::Room), "{width}");
            assert!(places.iter().any(|place| place.column == Column::Finding), "{width}");
        }
    }

    #[test]
    fn at_60_columns_one_sees_why_and_at_120_everything() {
        assert!(columns(60).iter().any(|place| place.column == Column::Why));
        assert_eq!(columns(120).len(), Column::ALL.len());
    }

    #[test]
    fn a_ladder_leaves_room_for_what_was_said() {
        for width in LEAST_WIDTH..=300 {
            let ladder = Ladder::of(width, false);
            assert!(ladder.lanes[2] < ladder.essence && ladder.essence + 5 <= width, "{width}: {ladder:?}");
        }
    }
}
