//! What the routes of the plan library take and answer, beside the plans themselves.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::job::PlanView;

/// A plan that came into the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanImport {
    /// The plan.
    pub plan: PlanView,
    /// Whether it was not there before.
    pub is_new: bool,
    /// What the file does not say.
    pub warnings: Vec<String>,
}

/// Asks for a plan at another threshold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedecideRequest {
    /// δ: a number, or the paper's D1 to D6.
    pub threshold: Value,
}

/// A plan decided again from its recorded losses; not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedecideAnswer {
    /// δ.
    pub threshold: f64,
    /// Whether later losses were measured under other choices.
    pub is_estimate: bool,
    /// Cells whose strategy differs from the recorded choice.
    pub changed: Vec<CellPlace>,
    /// Cells that are full because a loss that decides them was never measured.
    pub unmeasured: Vec<CellPlace>,
    /// The plan file; `POST /v1/plans` keeps it.
    pub plan: Value,
}

/// Where a decision sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellPlace {
    /// From 0.
    pub step: u32,
    /// From 0.
    pub block: u32,
}
