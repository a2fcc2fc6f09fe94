//! Undo and redo: one entry for each thing that a person did. An entry holds everything
//! that was set before it, so going back cannot go wrong; a few hundred bytes to a few
//! tens of kilobytes each, and at most [`MAX_ENTRIES`] of them.

use dfa_core::search::Threshold;

use super::Settings;

/// Actions that can be taken back.
const MAX_ENTRIES: usize = 200;

/// One action: its name, and what was set on its other side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    label: String,
    /// An open row of slider moves, to which the next move still belongs.
    is_open: bool,
    other_side: Settings,
}

impl Entry {
    /// A slider move to `threshold`.
    pub(super) fn slide(threshold: Threshold, before: Settings) -> Self {
        Self {
            label: format!("δ moved to {}", crate::words::number(threshold.value())),
            is_open: true,
            other_side: before,
        }
    }

    /// Anything else.
    pub(super) fn edit(label: &str, before: Settings) -> Self {
        Self {
            label: label.to_owned(),
            is_open: false,
            other_side: before,
        }
    }
}

/// What was done and what was undone, the latest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    done: Vec<Entry>,
    undone: Vec<Entry>,
}

impl History {
    /// Notes an action before it is done. A slider move after a slider move only renames
    /// the one before.
    pub(super) fn push(&mut self, entry: Entry) {
        self.undone.clear();
        if let Some(last) = self.done.last_mut()
            && last.is_open
            && entry.is_open
        {
            last.label = entry.label;
            return;
        }
        self.settle();
        if self.done.len() == MAX_ENTRIES {
            self.done.remove(0);
        }
        self.done.push(entry);
    }

    /// Closes a row of slider moves.
    pub(super) fn settle(&mut self) {
        if let Some(last) = self.done.last_mut() {
            last.is_open = false;
        }
    }

    /// The name of the action that an undo takes back.
    pub(super) fn undoable(&self) -> Option<&str> {
        self.done.last().map(|entry| entry.label.as_str())
    }

    /// The name of the action that a redo does again.
    pub(super) fn redoable(&self) -> Option<&str> {
        self.undone.last().map(|entry| entry.label.as_str())
    }

    /// Takes the last action back and names it.
    pub(super) fn undo(&mut self, now: &mut Settings) -> Option<String> {
        let entry = self.done.pop()?;
        let (entry, label) = entry.swapped(now);
        self.undone.push(entry);
        Some(label)
    }

    /// Does the last undone action again and names it.
    pub(super) fn redo(&mut self, now: &mut Settings) -> Option<String> {
        let entry = self.undone.pop()?;
        let (entry, label) = entry.swapped(now);
        self.done.push(entry);
        Some(label)
    }
}

impl Entry {
    /// Goes to the other side of the action; the entry then leads back.
    fn swapped(mut self, now: &mut Settings) -> (Self, String) {
        std::mem::swap(&mut self.other_side, now);
        self.is_open = false;
        let label = self.label.clone();
        (self, label)
    }
}
