//! From what is shown to a file, and back: which plan is saved, under what name, and how
//! an edited file is understood again.
//!
//! An edited plan keeps its parent's losses, fingerprint and provenance and names the
//! parent by its hash. Its notes say in which way it was changed; the δ named there is
//! where the slider stands when the file is opened again.

use dfa_core::search::Threshold;
use dfa_core::wire::{CheckedPlan, PlanFileError};
use dfa_core::{CompressionPlan, PlanError};

use super::Workbench;
use super::shown::decided;
use crate::plan::opened::OpenPlan;
use crate::words::counted;

/// How the line about δ begins and ends.
const DECIDED_AGAIN: [&str; 2] = ["re-decided at δ=", " from recorded losses, an estimate"];
/// How the line about edits ends.
const BY_HAND: &str = " set by hand";

impl Workbench {
    /// The plan to save: the opened file itself if nothing differs from it, otherwise the
    /// same file with the plan shown, marked as edited from the one that was opened.
    pub fn to_checked(&self) -> CheckedPlan {
        let plan = self.plan();
        let opened = &self.opened.checked;
        if plan == opened.plan {
            return opened.clone();
        }
        let mut edited = opened.with_edit(plan);
        edited.notes = self.notes(&edited.plan);
        edited
    }

    /// The text of the file to save.
    ///
    /// # Errors
    /// [`PlanFileError`] if the plan were wrong; changes that make it so are refused.
    pub fn to_json(&self) -> Result<String, PlanFileError> {
        self.to_checked().to_json()
    }

    /// A name for the file to save, with an ending such as `json`: the opened one's
    /// without its ending, plus `-edited` if it is not the same plan any more.
    pub fn file_name(&self, ending: &str) -> String {
        let name = self.opened.name.as_str();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let kept = |letter: char| letter.is_alphanumeric() || "-_.+".contains(letter);
        let stem: String = stem
            .chars()
            .take(80)
            .map(|letter| if kept(letter) { letter } else { '-' })
            .collect();
        let stem = match stem.trim_matches(['-', '.']) {
            "" => "plan",
            stem => stem,
        };
        let is_edited = self.is_modified() && !stem.ends_with("-edited");
        let mark = if is_edited { "-edited" } else { "" };
        format!("{stem}{mark}.{ending}")
    }

    /// The opened file's notes with our lines about its changes brought up to date.
    fn notes(&self, plan: &CompressionPlan) -> Option<String> {
        let opened = &self.opened;
        let mut lines: Vec<String> = Vec::new();
        let kept = opened.checked.notes.iter().flat_map(|notes| notes.lines());
        lines.extend(kept.filter(|line| !is_ours(line)).map(str::to_owned));
        let threshold = self.settings.threshold;
        if let Some(threshold) = threshold.filter(|_| threshold != opened.recorded_threshold()) {
            let [before, after] = DECIDED_AGAIN;
            lines.push(format!("{before}{threshold}{after}"));
        }
        let base = decided(opened, threshold).ok();
        let by_hand = base.and_then(|base| base.changed_cells(plan));
        let n_by_hand = by_hand.map_or(0, |cells| cells.len());
        if n_by_hand > 0 {
            lines.push(format!("{}{BY_HAND}", counted(n_by_hand, "cell")));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Whether a line of notes is one that this file writes.
fn is_ours(line: &str) -> bool {
    let edits = line
        .strip_suffix(BY_HAND)
        .and_then(|text| text.split_once(' '));
    let is_count = edits.is_some_and(|(count, noun)| {
        count.parse::<usize>().is_ok() && (noun == "cell" || noun == "cells")
    });
    is_count || noted_threshold(line).is_some()
}

/// The δ of a line such as `re-decided at δ=0.08 from recorded losses, an estimate`.
fn noted_threshold(line: &str) -> Option<Threshold> {
    let [before, after] = DECIDED_AGAIN;
    let value = line.strip_prefix(before)?.strip_suffix(after)?;
    Threshold::new(value.parse().ok()?).ok()
}

/// Where the slider stands when a plan is opened: its search's δ, or the one that its
/// notes name if that explains more of its cells.
pub(super) fn threshold_of(opened: &OpenPlan) -> Result<Option<Threshold>, PlanError> {
    let recorded = opened.recorded_threshold();
    let notes = opened.checked.notes.iter().flat_map(|notes| notes.lines());
    let noted = notes.filter_map(noted_threshold).next_back();
    let (Some(noted), true) = (noted, opened.checked.edited_from.is_some()) else {
        return Ok(recorded);
    };
    if recorded.is_none() {
        return Ok(None);
    }
    let n_unexplained = |threshold| -> Result<usize, PlanError> {
        let cells = decided(opened, threshold)?.changed_cells(opened.plan());
        Ok(cells.map_or(0, |cells| cells.len()))
    };
    let is_better = n_unexplained(Some(noted))? < n_unexplained(recorded)?;
    Ok(if is_better { Some(noted) } else { recorded })
}
