//! The totals of a plan, as JSON and as lines for people.

use std::fmt::Write as _;

use dfa_core::Strategy;
use dfa_core::cost::{LayerShape, PlanCost};
use dfa_core::wire::plan_file::PlanFile;
use dfa_core::wire::{CheckedPlan, plan_hash};
use serde_json::{Value, json};

use super::SizeFlags;
use crate::report_html::{in_words, letter};

/// Share of the attention MACs kept, and of the whole layer's; what is not known is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeptShares {
    attention: Option<f64>,
    layer: Option<f64>,
}

impl KeptShares {
    /// Both shares, as far as tokens and width are known. The attention share does not
    /// depend on the width. Guidance only matters to strategies that need it, so a guided
    /// run is assumed.
    pub(crate) fn of(checked: &CheckedPlan, sizes: &SizeFlags, has_window: bool) -> Self {
        let recorded = checked
            .fingerprint
            .as_ref()
            .map(|fingerprint| fingerprint.n_tokens);
        let Some(n_tokens) = sizes.tokens.or(recorded).filter(|_| has_window) else {
            return Self::default();
        };
        let recorded = checked.provenance.as_ref().and_then(|made| made.width);
        let width = sizes.width.or(recorded);
        let layer = LayerShape {
            n_tokens,
            width: width.unwrap_or(1),
        };
        let cost = PlanCost::of(&checked.plan, layer, true);
        Self {
            attention: Some(cost.attention_kept_share()),
            layer: width.map(|_| cost.layer_kept_share()),
        }
    }

    /// One line.
    pub(crate) fn line(self) -> String {
        let attention = self.attention.map_or(
            "not known (give --tokens and a plan with a window)".into(),
            percent,
        );
        let layer = self
            .layer
            .map_or("not known (give --width)".into(), percent);
        format!("MACs kept: attention {attention}, whole layer with projections {layer}")
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Everything about a plan but its cells.
pub(crate) fn summary_json(checked: &CheckedPlan, kept: KeptShares) -> Value {
    let plan = &checked.plan;
    let shape = plan.shape();
    let file = PlanFile::from(checked);
    let strategies = Strategy::ALL.map(|strategy| {
        let count = plan.count(strategy);
        let share = count as f64 / shape.n_cells() as f64;
        json!({"strategy": strategy.as_str(), "count": count, "share": share})
    });
    json!({
        "plan_hash": plan_hash(plan),
        "n_steps": shape.n_steps,
        "n_blocks": shape.n_blocks,
        "window": file.window,
        "strategies": strategies,
        "attention_kept_share": kept.attention,
        "layer_kept_share": kept.layer,
        "threshold": file.search.as_ref().map(|search| search.threshold),
        "fingerprint": file.fingerprint,
        "provenance": file.provenance,
        "edited_from": file.edited_from,
        "notes": file.notes,
    })
}

/// Letter, strategy, count and share of every strategy that occurs.
pub(crate) fn legend(checked: &CheckedPlan) -> String {
    let plan = &checked.plan;
    let n_cells = plan.shape().n_cells() as f64;
    let mut text = String::new();
    for strategy in Strategy::ALL {
        let count = plan.count(strategy);
        if count > 0 {
            let share = percent(count as f64 / n_cells);
            let (letter, words) = (letter(strategy), in_words(strategy));
            let _ = writeln!(
                text,
                "  {letter}  {strategy:9} {count:>6} {share:>8}  {words}"
            );
        }
    }
    text
}

/// What the plan is, what it was made for and how.
pub(crate) fn facts(checked: &CheckedPlan, has_window: bool) -> String {
    let plan = &checked.plan;
    let window = plan.window();
    let mut text = format!("plan {}: {}", plan_hash(plan).short(), plan.shape());
    if has_window {
        let _ = write!(
            text,
            ", window of {} keys before and {} after a query",
            window.left, window.right
        );
    }
    if let Some(fingerprint) = &checked.fingerprint {
        let model = checked
            .provenance
            .as_ref()
            .map_or("a model", |provenance| &provenance.model_id);
        let _ = write!(
            text,
            "\nmade for {model} (weights {}), {} tokens, {}, guidance {}, {}, residual half {}",
            fingerprint.weights_sha256.short(),
            fingerprint.n_tokens,
            fingerprint.sampler,
            fingerprint.guidance_scale,
            fingerprint.dtype,
            fingerprint.residual_half,
        );
    }
    if let Some(search) = &checked.search {
        let settings = search.record.settings();
        let candidates: Vec<&str> = settings
            .candidates
            .iter()
            .map(|candidate| candidate.as_str())
            .collect();
        let _ = write!(
            text,
            "\nsearched with threshold {} ({} loss), candidates {}, {} losses measured",
            settings.threshold,
            search.loss,
            candidates.join(","),
            search.record.n_measured(),
        );
    }
    if let Some(original) = &checked.edited_from {
        let _ = write!(
            text,
            "\nedited from plan {}: the losses belong to that one",
            original.short()
        );
    }
    if let Some(notes) = &checked.notes {
        let _ = write!(text, "\nnotes: {}", notes.escape_debug());
    }
    text
}
