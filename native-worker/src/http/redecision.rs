//! A plan decided again, as an answer and as a plan file that says what it is.

use dfa_core::grid::{Block, Step};
use dfa_core::search::{Redecision, Threshold};
use dfa_core::wire::plan_answer::{CellPlace, RedecideAnswer};
use dfa_core::wire::{CheckedPlan, plan_hash};

use super::error::{ApiError, ApiResult};

/// The answer to a request for another threshold.
pub(super) fn answer(
    checked: &CheckedPlan,
    decided: &Redecision,
    threshold: Threshold,
) -> ApiResult<RedecideAnswer> {
    let text = edited(checked, decided, threshold).to_json();
    let text = text.map_err(|error| ApiError::internal(&error))?;
    let plan = serde_json::from_str(&text).map_err(|error| ApiError::internal(&error))?;
    Ok(RedecideAnswer {
        threshold: threshold.value(),
        is_estimate: decided.is_estimate,
        changed: decided.changed.iter().map(place).collect(),
        unmeasured: decided.unmeasured.iter().map(place).collect(),
        plan,
    })
}

/// `edited_from` names the plan that the search chose: the losses belong to that one.
fn edited(checked: &CheckedPlan, decided: &Redecision, threshold: Threshold) -> CheckedPlan {
    let search = checked.search.as_ref();
    let chosen = search.and_then(|search| search.record.plan(checked.plan.window()).ok());
    let trust = if decided.is_estimate {
        "estimate"
    } else {
        "exact"
    };
    let notes = format!(
        "{trust}: decided again at threshold {threshold}; {} cells changed, {} could not be decided",
        decided.changed.len(),
        decided.unmeasured.len(),
    );
    CheckedPlan {
        edited_from: chosen
            .map(|plan| plan_hash(&plan))
            .filter(|_| decided.is_estimate),
        plan: decided.plan.clone(),
        notes: Some(notes),
        ..checked.clone()
    }
}

fn place(&(step, block): &(Step, Block)) -> CellPlace {
    CellPlace {
        step: u32::try_from(step.0).unwrap_or(u32::MAX),
        block: u32::try_from(block.0).unwrap_or(u32::MAX),
    }
}
