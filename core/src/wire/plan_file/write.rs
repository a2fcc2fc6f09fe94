//! From a checked plan to the text of its file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use serde::Serialize;

use crate::search::{CellRecord, MeasuredLoss};
use crate::wire::bounded::Rows;
use crate::wire::fingerprint::Fingerprint;
use crate::wire::plan_file::{
    CheckedPlan, FingerprintFields, LossFields, PLAN_FORMAT, PLAN_VERSION, PlanFile, PlanSearch,
    SearchFields,
};

impl From<&CheckedPlan> for PlanFile {
    fn from(checked: &CheckedPlan) -> Self {
        let plan = &checked.plan;
        let row = |step| plan.row(step).iter().map(ToString::to_string).collect();
        Self {
            format: PLAN_FORMAT.into(),
            version: PLAN_VERSION,
            strategies: plan.shape().steps().map(row).collect(),
            window: plan.window().into(),
            search: checked.search.as_ref().map(SearchFields::from),
            fingerprint: checked.fingerprint.as_ref().map(FingerprintFields::from),
            provenance: checked.provenance.clone(),
            edited_from: checked.edited_from.as_ref().map(ToString::to_string),
            notes: checked.notes.clone(),
        }
    }
}

impl From<&PlanSearch> for SearchFields {
    fn from(search: &PlanSearch) -> Self {
        let settings = search.record.settings();
        let cell = |cell: &CellRecord| cell.measured.iter().map(LossFields::from).collect();
        let rows = search.record.rows();
        Self {
            threshold: settings.threshold.value(),
            loss: search.loss.to_string(),
            candidates: settings
                .candidates
                .iter()
                .map(ToString::to_string)
                .collect(),
            mode: settings.mode.as_str().into(),
            losses: rows
                .iter()
                .map(|row| row.iter().map(cell).collect())
                .collect(),
        }
    }
}

impl From<&MeasuredLoss> for LossFields {
    fn from(measured: &MeasuredLoss) -> Self {
        Self {
            candidate: measured.candidate.to_string(),
            loss: measured.loss,
            at_least: measured.is_lower_bound,
        }
    }
}

impl From<&Fingerprint> for FingerprintFields {
    fn from(fingerprint: &Fingerprint) -> Self {
        Self {
            weights_sha256: fingerprint.weights_sha256.to_string(),
            config_sha256: fingerprint.config_sha256.to_string(),
            scheduler_sha256: fingerprint.scheduler_sha256.to_string(),
            n_tokens: fingerprint.n_tokens,
            timesteps: fingerprint.timesteps.clone(),
            sampler: fingerprint.sampler.to_string(),
            guidance_scale: fingerprint.guidance_scale,
            dtype: fingerprint.dtype.clone(),
            residual_half: fingerprint.residual_half.to_string(),
        }
    }
}

impl PlanFile {
    /// The file's text: fields in a fixed order, one line per step.
    pub fn to_json(&self) -> String {
        let mut object = ObjectText::new(0);
        object.field("format", json(&self.format));
        object.field("version", json(&self.version));
        object.field("strategies", rows_text(&self.strategies, 1));
        object.field("window", json(&self.window));
        object.field(
            "search",
            self.search.as_ref().map_or_else(null, search_text),
        );
        let fingerprint = self.fingerprint.as_ref();
        object.field(
            "fingerprint",
            fingerprint.map_or_else(null, fingerprint_text),
        );
        object.field("provenance", json(&self.provenance));
        object.field("edited_from", json(&self.edited_from));
        if self.notes.is_some() {
            object.field("notes", json(&self.notes));
        }
        let mut text = object.end();
        text.push('\n');
        text
    }
}

fn search_text(search: &SearchFields) -> String {
    let mut object = ObjectText::new(1);
    object.field("threshold", json(&search.threshold));
    object.field("loss", json(&search.loss));
    object.field("candidates", json(&search.candidates));
    object.field("mode", json(&search.mode));
    object.field("losses", rows_text(&search.losses, 2));
    object.end()
}

fn fingerprint_text(fingerprint: &FingerprintFields) -> String {
    let mut object = ObjectText::new(1);
    object.field("weights_sha256", json(&fingerprint.weights_sha256));
    object.field("config_sha256", json(&fingerprint.config_sha256));
    object.field("scheduler_sha256", json(&fingerprint.scheduler_sha256));
    object.field("n_tokens", json(&fingerprint.n_tokens));
    object.field("timesteps", json(&fingerprint.timesteps));
    object.field("sampler", json(&fingerprint.sampler));
    object.field("guidance_scale", json(&fingerprint.guidance_scale));
    object.field("dtype", json(&fingerprint.dtype));
    object.field("residual_half", json(&fingerprint.residual_half));
    object.end()
}

/// A JSON object with one line per field.
struct ObjectText {
    /// Indentation of the object's braces, in levels of two spaces.
    level: usize,
    fields: Vec<String>,
}

impl ObjectText {
    const fn new(level: usize) -> Self {
        Self {
            level,
            fields: Vec::new(),
        }
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.fields.push(alloc::format!("\"{name}\": {value}"));
    }

    fn end(self) -> String {
        lines_between("{", &self.fields, "}", self.level)
    }
}

/// A grid with one line per step.
fn rows_text<T: Serialize>(rows: &Rows<T>, level: usize) -> String {
    let lines: Vec<String> = rows.0.iter().map(json).collect();
    lines_between("[", &lines, "]", level)
}

/// `lines` between brackets, separated by commas, one level deeper than `level`.
fn lines_between(open: &str, lines: &[String], close: &str, level: usize) -> String {
    let indent = "  ".repeat(level);
    let mut text = String::from(open);
    for (idx, line) in lines.iter().enumerate() {
        text.push_str(if idx > 0 { ",\n" } else { "\n" });
        text.push_str(&indent);
        text.push_str("  ");
        text.push_str(line);
    }
    text.push('\n');
    text.push_str(&indent);
    text.push_str(close);
    text
}

fn null() -> String {
    "null".into()
}

/// One value as compact JSON, floats with the fewest digits that give the same bits.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("plan files hold only strings, numbers and lists: {error}"),
    }
}
