//! What can be asked of the monitor, and what it then asks of the world around it.

use crate::recording::Pace;
use protocol::Control;

/// One thing to do. Keys and the mouse only ever become one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// End the monitor.
    Quit,
    /// Show or hide all keys.
    Help,
    /// Go to this view.
    Show(View),
    /// To the next view, round and round.
    NextView,
    /// To the view before, round and round.
    PreviousView,
    /// Deeper: from a room to its ladder, from a message to its detail.
    Open,
    /// Out again: close what was opened last.
    Back,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the first row; in the rooms view also: stay there.
    Top,
    /// To the last row; in the ladder and in the events also: follow what comes.
    End,
    /// One line up in the detail pane.
    DetailUp,
    /// One line down in the detail pane.
    DetailDown,
    /// Parsed, or as it came.
    Raw,
    /// Mark the message for a comparison, or take the mark away.
    Mark,
    /// Show how the two marked messages differ.
    Compare,
    /// Sort by the next column.
    SortNext,
    /// Sort the other way round.
    SortReverse,
    /// Write a filter.
    Filter,
    /// Show everything again.
    ClearFilter,
    /// Freeze the screen, or let it go on; a recording stands still instead.
    Pause,
    /// A recording twice as fast.
    Faster,
    /// A recording half as fast.
    Slower,
    /// Copy what is selected.
    Copy,
    /// Ask in which form the ladder shall be written to a file.
    Export,
    /// Write it in this form.
    ExportAs(Format),
    /// Begin or end to record everything.
    Record,
    /// Ask which peer shall be put out.
    Remove,
    /// Put out the first or the second peer that the question names.
    RemovePeer(usize),
    /// Ask whether the room shall be closed.
    Close,
    /// Yes, close it.
    CloseRoom,
    /// Other colours.
    Theme,
    /// A character of the filter that is being written.
    Type(char),
    /// Take the character before the cursor away.
    Erase,
    /// Take the word before the cursor away.
    EraseWord,
    /// Take all before the cursor away.
    EraseAll,
    /// Cursor of the filter to the left.
    CursorLeft,
    /// Cursor of the filter to the right.
    CursorRight,
    /// Cursor of the filter to its beginning.
    CursorHome,
    /// Cursor of the filter to its end.
    CursorEnd,
    /// Use the filter as written.
    Accept,
    /// The left button went down here.
    Click {
        /// Column of the screen.
        x: u16,
        /// Row of the screen.
        y: u16,
    },
    /// The wheel was turned here.
    Wheel {
        /// Column of the screen.
        x: u16,
        /// Row of the screen.
        y: u16,
        /// Towards what is further down.
        down: bool,
    },
    /// The terminal has this size now.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
}

/// What the screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// Every room.
    #[default]
    Rooms,
    /// The messages of one room.
    Ladder,
    /// Everything that is wrong.
    Diagnosis,
    /// Everything that happens.
    Events,
    /// The agents and their store.
    Agents,
}

impl View {
    /// All views, in the order of their numbers.
    pub const ALL: [View; 5] = [View::Rooms, View::Ladder, View::Diagnosis, View::Events, View::Agents];

    /// Its name on the tab.
    pub const fn name(self) -> &'static str {
        match self {
            View::Rooms => "Rooms",
            View::Ladder => "Ladder",
            View::Diagnosis => "Diagnosis",
            View::Events => "Events",
            View::Agents => "Agents",
        }
    }
}

/// Forms in which a ladder is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain text, as on the screen.
    Text,
    /// Markdown with a Mermaid sequence diagram.
    Markdown,
    /// JSON, one object.
    Json,
}

/// What the monitor wants done outside of itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Put this text into the clipboard of the terminal (OSC 52).
    Copy(String),
    /// Write the ladder of a room to a file.
    Export {
        /// Which room.
        room: String,
        /// In which form.
        format: Format,
    },
    /// Begin (true) or end (false) to record.
    Record(bool),
    /// Play the recording like this from now on.
    Play(Pace),
    /// Publish an order on `control/{room}`.
    Order {
        /// Which room.
        room: String,
        /// What shall happen there.
        control: Control,
    },
    /// End the monitor.
    Quit,
}
