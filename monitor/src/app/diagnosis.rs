//! The diagnosis view: every finding of every room, the worst first.

use super::rooms::scrolled;
use super::ui::Ui;
use crate::diagnosis::{Finding, Severity};
use crate::model::Model;

/// Which finding: of which room, by which rule, about whom. Stays the same while its words change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    room: Box<str>,
    rule: &'static str,
    about: Vec<Box<str>>,
}

/// One row: where its finding is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// In which room.
    pub room: Box<str>,
    /// Its place among the findings of the room.
    pub index: usize,
    severity: Severity,
}

/// The diagnosis view.
#[derive(Debug, Clone, Default)]
pub struct FindingList {
    items: Vec<Item>,
    at: usize,
    selected: Option<Key>,
    top: usize,
    /// The first line of the selected finding's words that is shown.
    pub pane_top: usize,
}

impl FindingList {
    /// Its rows.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The selected row.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The first row on the screen.
    pub fn top(&self) -> usize {
        self.top
    }

    /// The room of the selected finding.
    pub fn room(&self) -> Option<&str> {
        self.items.get(self.at).map(|item| &*item.room)
    }

    /// Selects a row.
    pub(super) fn go(&mut self, row: usize) {
        self.at = row.min(self.items.len().saturating_sub(1));
        self.selected = None;
        self.pane_top = 0;
    }

    /// Moves what is on the screen as little as possible, so that the selected row is among its `rows` rows.
    pub(super) fn scroll(&mut self, rows: usize) {
        self.top = scrolled(self.top, self.at, self.items.len(), rows);
    }
}

/// The findings of all rooms that the filter leaves, anew. The selection stays on its finding.
pub(super) fn arrange(ui: &mut Ui, model: &Model) {
    let mut items = Vec::new();
    for name in ui.rooms.names() {
        let findings = ui.findings(model, name);
        let item = |(index, finding): (usize, &Finding)| Item { room: name.clone(), index, severity: finding.severity };
        items.extend(findings.iter().enumerate().map(item));
    }
    items.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| a.room.cmp(&b.room)).then_with(|| a.index.cmp(&b.index))
    });
    let key = |item: &Item| {
        let finding = ui.findings(model, &item.room).get(item.index)?;
        Some(Key { room: item.room.clone(), rule: finding.rule, about: finding.about.clone() })
    };
    let wanted = ui.diagnosis.selected.clone();
    let is_wanted = |item: &Item| {
        wanted.as_ref().is_some_and(|wanted| wanted.room == item.room && key(item).as_ref() == Some(wanted))
    };
    let at = items.iter().position(is_wanted).unwrap_or(ui.diagnosis.at).min(items.len().saturating_sub(1));
    let selected = items.get(at).and_then(key);
    ui.diagnosis.at = at;
    ui.diagnosis.selected = selected;
    ui.diagnosis.items = items;
}

impl Ui {
    /// The selected finding of the diagnosis view.
    pub fn finding<'a>(&'a self, model: &'a Model) -> Option<&'a Finding> {
        let item = self.diagnosis.items.get(self.diagnosis.at)?;
        self.findings(model, &item.room).get(item.index)
    }
}
