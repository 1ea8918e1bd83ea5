//! The table of settings: flags, variables, file keys, help and defaults all come from here. Each
//! section has a file.

mod access;
mod ice;
mod limits;
mod listen;

use super::relays;

/// Settings that belong together.
pub struct Section {
    /// Its table in the file; empty for what stands before any table.
    pub name: &'static str,
    /// Its heading in the help.
    pub heading: &'static str,
    /// In the order of the help.
    pub settings: &'static [Setting],
}

/// All settings, in the order of help and file.
pub const SECTIONS: &[Section] = &[
    Section { name: "", heading: "Options", settings: listen::SETTINGS },
    Section { name: "access", heading: "Who may come in", settings: access::SETTINGS },
    Section { name: "limits", heading: "Limits", settings: limits::SETTINGS },
    Section { name: "ice", heading: "What peers are given for ICE", settings: ice::SETTINGS },
];

/// All settings, whatever their section; no two have the same key.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// One setting.
pub struct Setting {
    /// Its name, as a flag without the dashes.
    pub key: &'static str,
    /// What stands for its value in the help.
    pub value_name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Which values there are.
    pub allowed: &'static str,
    /// Its value when nothing is said.
    pub default: fn() -> String,
    /// What its value looks like in the file.
    pub kind: Kind,
    /// In the file it may also stand before any section.
    pub also_at_top: bool,
}

/// What a value looks like in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// A whole number.
    Number,
    /// On or off; as a flag, the bare name means on.
    Switch,
    /// An array of text; elsewhere with commas.
    List,
    /// Relays: an array of text, elsewhere with commas; or an array of tables everywhere.
    Relays,
}

impl Setting {
    /// Its variable: `state-dir` is `DUET_STATE_DIR`.
    pub fn variable(&self) -> String {
        format!("DUET_{}", self.key.to_uppercase().replace('-', "_"))
    }

    /// Its key in the file: `state-dir` is `state_dir`.
    pub fn file_key(&self) -> String {
        self.key.replace('-', "_")
    }

    /// The default as the help shows it.
    pub fn shown_default(&self) -> String {
        match self.key {
            "state-dir" => "$XDG_STATE_HOME/duet or ~/.local/state/duet".into(),
            _ => Some((self.default)()).filter(|text| !text.is_empty()).unwrap_or_else(|| "none".into()),
        }
    }

    /// A value as the file would have it.
    pub fn toml(&self, text: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        match self.kind {
            Kind::Text => quoted(text),
            Kind::Number | Kind::Switch => text.to_owned(),
            Kind::Relays if relays::is_tables(text) => text.to_owned(),
            Kind::List | Kind::Relays => {
                let items: Vec<String> = text.split(',').filter(|item| !item.is_empty()).map(quoted).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

const PLAIN: Setting = Setting {
    key: "",
    value_name: "",
    help: "",
    allowed: "",
    default: String::new,
    kind: Kind::Text,
    also_at_top: false,
};

const DURATION: &str = "a time such as 10s, 500ms or 5m";
const POSITIVE_DURATION: &str = "a time above zero, such as 5s or 500ms";
