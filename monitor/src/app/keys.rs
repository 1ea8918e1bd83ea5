//! Which key does what: one table, from which the keys, the footer and the help are made.

use super::action::{Action, Format, View};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The rooms view.
    Rooms,
    /// The ladder, alone or with the detail beside it.
    Ladder,
    /// A message that was opened.
    Detail,
    /// The diagnosis view.
    Diagnosis,
    /// The events view.
    Events,
    /// The agents view.
    Agents,
    /// The list of all keys.
    Help,
    /// The filter is being written.
    Prompt,
    /// In which form to export.
    ExportMenu,
    /// Which peer to remove.
    RemoveQuestion,
    /// Whether to close the room.
    CloseQuestion,
}

impl Focus {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

const ROOMS: u16 = Focus::Rooms.bit();
const LADDER: u16 = Focus::Ladder.bit();
const DETAIL: u16 = Focus::Detail.bit();
const DIAGNOSIS: u16 = Focus::Diagnosis.bit();
const EVENTS: u16 = Focus::Events.bit();
const AGENTS: u16 = Focus::Agents.bit();
const HELP: u16 = Focus::Help.bit();
const PROMPT: u16 = Focus::Prompt.bit();
const EXPORT: u16 = Focus::ExportMenu.bit();
const REMOVE: u16 = Focus::RemoveQuestion.bit();
const CLOSE: u16 = Focus::CloseQuestion.bit();
/// Where rooms are looked at, or what happens in them.
const OF_ROOMS: u16 = ROOMS | LADDER | DETAIL | DIAGNOSIS | EVENTS;
const VIEWS: u16 = OF_ROOMS | AGENTS;
const QUESTIONS: u16 = EXPORT | REMOVE | CLOSE;

/// A key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

const fn key(code: KeyCode) -> Key {
    Key { code, control: false }
}
const fn char(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: false }
}
const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: true }
}

impl Key {
    fn of(event: KeyEvent) -> Self {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            // Terminals disagree whether Ctrl with a letter is reported in capitals.
            KeyCode::Char(c) if control => Key { code: KeyCode::Char(c.to_ascii_lowercase()), control },
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => key(KeyCode::BackTab),
            code => Key { code, control: false },
        }
    }

    /// As it is called in the help and the footer.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "Up".to_owned(),
            KeyCode::Down => "Down".to_owned(),
            KeyCode::Left => "Left".to_owned(),
            KeyCode::Right => "Right".to_owned(),
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Esc => "Esc".to_owned(),
            KeyCode::Tab => "Tab".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::Home => "Home".to_owned(),
            KeyCode::End => "End".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            other => format!("{other:?}"),
        };
        if self.control { format!("Ctrl-{}", name.to_uppercase()) } else { name }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Any of these; the first is the one that the footer shows.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    focus: u16,
    /// Under which heading of the help.
    pub group: Group,
    /// What they do, in words.
    pub words: &'static str,
    /// The same in a word or two, for the footer; empty: not in the footer.
    pub short: &'static str,
}

/// Headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Moving,
    Looking,
    Rooms,
    Messages,
    Acting,
    Filter,
    Questions,
}

impl Group {
    /// All headings, in the order in which they are shown.
    pub const ALL: [Group; 7] =
        [Group::Moving, Group::Looking, Group::Rooms, Group::Messages, Group::Acting, Group::Filter, Group::Questions];

    /// The heading itself.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Moving => "Moving",
            Group::Looking => "Looking",
            Group::Rooms => "In the rooms view",
            Group::Messages => "In the ladder and a message",
            Group::Acting => "Acting",
            Group::Filter => "While a filter is written",
            Group::Questions => "When asked",
        }
    }
}

const fn bind(
    keys: &'static [Key],
    action: Action,
    focus: u16,
    group: Group,
    words: &'static str,
    short: &'static str,
) -> Binding {
    Binding { keys, action, focus, group, words, short }
}

/// Every key. What comes first is shown first in the footer.
#[rustfmt::skip]
pub const TABLE: &[Binding] = &[
    // moving
    bind(&[key(KeyCode::Enter), key(KeyCode::Right), char('l')], Action::Open, ROOMS | LADDER | DIAGNOSIS | EVENTS, Group::Moving,
         "open: a room's ladder, a message's detail", "open"),
    bind(&[key(KeyCode::Esc), key(KeyCode::Left), char('h'), key(KeyCode::Backspace)], Action::Back, LADDER | DETAIL | DIAGNOSIS | EVENTS | AGENTS, Group::Moving,
         "back", "back"),
    bind(&[key(KeyCode::Esc), char('?'), char('q')], Action::Help, HELP, Group::Moving,
         "close this help", "close"),
    bind(&[key(KeyCode::Up), char('k')], Action::Up, VIEWS | HELP, Group::Moving,
         "up", ""),
    bind(&[key(KeyCode::Down), char('j')], Action::Down, VIEWS | HELP, Group::Moving,
         "down", ""),
    bind(&[key(KeyCode::PageUp), ctrl('b'), ctrl('u')], Action::PageUp, VIEWS | HELP, Group::Moving,
         "a screen up", ""),
    bind(&[key(KeyCode::PageDown), ctrl('f'), ctrl('d')], Action::PageDown, VIEWS | HELP, Group::Moving,
         "a screen down", ""),
    bind(&[key(KeyCode::Home), char('g')], Action::Top, VIEWS | HELP, Group::Moving,
         "to the top; among the rooms: and stay there", ""),
    bind(&[key(KeyCode::End), char('G')], Action::End, VIEWS | HELP, Group::Moving,
         "to the end; in ladder and events: and follow what comes", ""),
    bind(&[key(KeyCode::Tab)], Action::NextView, VIEWS, Group::Moving,
         "next view", ""),
    bind(&[key(KeyCode::BackTab)], Action::PreviousView, VIEWS, Group::Moving,
         "previous view", ""),
    bind(&[char('1')], Action::Show(View::Rooms), VIEWS, Group::Moving, "rooms", ""),
    bind(&[char('2')], Action::Show(View::Ladder), VIEWS, Group::Moving, "ladder of the selected room", ""),
    bind(&[char('3'), char('D')], Action::Show(View::Diagnosis), VIEWS, Group::Moving, "diagnosis: everything that is wrong", ""),
    bind(&[char('4'), char('E')], Action::Show(View::Events), VIEWS, Group::Moving, "events of the whole system", ""),
    bind(&[char('5'), char('A')], Action::Show(View::Agents), VIEWS, Group::Moving, "agents and their store, with --agents", ""),
    // messages
    bind(&[char('v')], Action::Raw, LADDER | DETAIL, Group::Messages,
         "the message parsed, or as it came", "raw"),
    bind(&[char('m'), key(KeyCode::Char(' '))], Action::Mark, LADDER | DETAIL, Group::Messages,
         "mark the message, or take the mark away", "mark"),
    bind(&[char('d')], Action::Compare, LADDER | DETAIL, Group::Messages,
         "how the two marked messages differ", "diff"),
    bind(&[char('K')], Action::DetailUp, LADDER | DETAIL | DIAGNOSIS, Group::Messages,
         "scroll the detail up", ""),
    bind(&[char('J')], Action::DetailDown, LADDER | DETAIL | DIAGNOSIS, Group::Messages,
         "scroll the detail down", ""),
    // looking
    bind(&[char('/')], Action::Filter, OF_ROOMS, Group::Looking,
         "filter, as in room:lobby type:offer !refused", "filter"),
    bind(&[char('\\')], Action::ClearFilter, OF_ROOMS, Group::Looking,
         "no filter", ""),
    bind(&[char('s'), char('>')], Action::SortNext, ROOMS, Group::Rooms,
         "sort by the next column (or click on its heading)", "sort"),
    bind(&[char('S'), char('<')], Action::SortReverse, ROOMS, Group::Rooms,
         "sort the other way round", ""),
    bind(&[char('p')], Action::Pause, VIEWS, Group::Looking,
         "freeze or go on: nothing is lost, a recording waits", "pause"),
    bind(&[char('+'), char('=')], Action::Faster, VIEWS, Group::Looking,
         "a recording: twice as fast", ""),
    bind(&[char('-')], Action::Slower, VIEWS, Group::Looking,
         "a recording: half as fast", ""),
    bind(&[char('T')], Action::Theme, VIEWS, Group::Looking,
         "other colours: dark, light, colour-blind", ""),
    // acting
    bind(&[char('e')], Action::Export, OF_ROOMS, Group::Acting,
         "export the ladder of the room to a file", "export"),
    bind(&[char('y')], Action::Copy, OF_ROOMS, Group::Acting,
         "copy what is selected to the clipboard", "copy"),
    bind(&[char('x')], Action::Remove, OF_ROOMS, Group::Acting,
         "remove a peer from the room (asks first)", "remove"),
    bind(&[char('X')], Action::Close, OF_ROOMS, Group::Acting,
         "close the room (asks first)", "close"),
    bind(&[char('R')], Action::Record, VIEWS, Group::Acting,
         "record everything to a file, or stop", "record"),
    // questions
    bind(&[char('t')], Action::ExportAs(Format::Text), EXPORT, Group::Questions, "export as text", "text"),
    bind(&[char('m')], Action::ExportAs(Format::Markdown), EXPORT, Group::Questions, "export as Markdown with Mermaid", "Markdown"),
    bind(&[char('j')], Action::ExportAs(Format::Json), EXPORT, Group::Questions, "export as JSON", "JSON"),
    bind(&[char('1')], Action::RemovePeer(0), REMOVE, Group::Questions, "remove the first peer", "first"),
    bind(&[char('2')], Action::RemovePeer(1), REMOVE, Group::Questions, "remove the second peer", "second"),
    bind(&[char('y')], Action::CloseRoom, CLOSE, Group::Questions, "yes, close the room", "yes, close it"),
    bind(&[key(KeyCode::Esc), char('n'), char('q')], Action::Back, QUESTIONS, Group::Questions, "no, do nothing", "no"),
    // filter
    bind(&[key(KeyCode::Enter)], Action::Accept, PROMPT, Group::Filter, "use the filter", "use"),
    bind(&[key(KeyCode::Esc)], Action::Back, PROMPT, Group::Filter, "leave it as it was", "leave"),
    bind(&[key(KeyCode::Backspace), ctrl('h')], Action::Erase, PROMPT, Group::Filter, "erase a character", ""),
    bind(&[ctrl('w')], Action::EraseWord, PROMPT, Group::Filter, "erase a word", ""),
    bind(&[ctrl('u')], Action::EraseAll, PROMPT, Group::Filter, "erase everything before the cursor", "erase all"),
    bind(&[key(KeyCode::Left)], Action::CursorLeft, PROMPT, Group::Filter, "cursor to the left", ""),
    bind(&[key(KeyCode::Right)], Action::CursorRight, PROMPT, Group::Filter, "cursor to the right", ""),
    bind(&[key(KeyCode::Home), ctrl('a')], Action::CursorHome, PROMPT, Group::Filter, "cursor to the beginning", ""),
    bind(&[key(KeyCode::End), ctrl('e')], Action::CursorEnd, PROMPT, Group::Filter, "cursor to the end", ""),
    // last, for the footer's right end
    bind(&[char('?')], Action::Help, VIEWS, Group::Looking, "all keys", "help"),
    bind(&[char('q')], Action::Quit, VIEWS, Group::Acting, "quit", "quit"),
    bind(&[ctrl('c')], Action::Quit, VIEWS | HELP | PROMPT | QUESTIONS, Group::Acting, "quit, from wherever you are", ""),
];

/// What a key does where the keyboard is now; `None` if nothing.
pub fn action(event: KeyEvent, focus: Focus) -> Option<Action> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let pressed = Key::of(event);
    if let Some(binding) = bindings(focus).find(|binding| binding.keys.contains(&pressed)) {
        return Some(binding.action);
    }
    match pressed {
        Key { code: KeyCode::Char(c), control: false } if focus == Focus::Prompt => Some(Action::Type(c)),
        _ => None,
    }
}

/// The lines of the table that hold where the keyboard is now.
pub fn bindings(focus: Focus) -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(move |binding| binding.focus & focus.bit() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOCI: [Focus; 11] = [
        Focus::Rooms,
        Focus::Ladder,
        Focus::Detail,
        Focus::Diagnosis,
        Focus::Events,
        Focus::Agents,
        Focus::Help,
        Focus::Prompt,
        Focus::ExportMenu,
        Focus::RemoveQuestion,
        Focus::CloseQuestion,
    ];

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for focus in FOCI {
            let mut seen: Vec<Key> = Vec::new();
            for binding in bindings(focus) {
                for key in binding.keys {
                    assert!(!seen.contains(key), "{} in {focus:?}", key.name());
                    seen.push(*key);
                }
            }
        }
    }

    #[test]
    fn everything_can_be_left_and_ended() {
        for focus in FOCI {
            assert_eq!(action(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), focus), Some(Action::Quit));
            if focus != Focus::Rooms {
                let out = action(KeyEvent::from(KeyCode::Esc), focus);
                assert!(matches!(out, Some(Action::Back | Action::Help)), "{focus:?}");
            }
        }
    }

    #[test]
    fn every_line_has_keys_and_words() {
        for binding in TABLE {
            assert!(!binding.keys.is_empty() && !binding.words.is_empty() && binding.focus != 0, "{binding:?}");
        }
    }

    #[test]
    fn in_the_prompt_letters_are_letters() {
        for c in ['q', 'x', 'X', '?', '/', '가', ' '] {
            assert_eq!(action(KeyEvent::from(KeyCode::Char(c)), Focus::Prompt), Some(Action::Type(c)));
        }
    }

    #[test]
    fn a_key_that_is_let_go_does_nothing() {
        let mut event = KeyEvent::from(KeyCode::Char('q'));
        event.kind = KeyEventKind::Release;
        assert_eq!(action(event, Focus::Rooms), None);
    }
}
