//! What a whole plan keeps, costs and holds in memory, each against the run without it.
//!
//! What is not known is left out and named, never guessed: a foreign file knows neither
//! tokens nor width, and times of a whole run need a measurement of the same model.

use dfa_core::cost::{LayerShape, PlanCost, strategy_shares};
use dfa_core::liveness::{CacheShape, PeakCache, peak_cache_bytes};
use dfa_core::wire::Report;
use dfa_core::{CompressionPlan, Strategy};

use super::opened::OpenPlan;
use super::threshold::Direction;
use super::workbench::{Shown, Workbench};
use crate::words::{number, percent};

/// From this share of full cells on nothing is compressed to speak of.
const HARDLY_COMPRESSED: f64 = 0.95;

/// Lifetimes are followed cell by cell and block by block; beyond this many steps of that
/// the page would stop for a moment. DiT-XL/2 with 1000 steps takes 784 thousand.
const MAX_CACHE_WORK: usize = 20_000_000;

/// How much of a plan one strategy is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// The strategy.
    pub strategy: Strategy,
    /// Its cells.
    pub n_cells: usize,
    /// Its share of all cells.
    pub share: f64,
}

/// Multiply-accumulates of attention (QKᵀ and AV) and of the whole self-attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The cost by parts; without a width only its attention shares mean anything.
    pub cost: PlanCost,
    /// Share of the attention MACs that is kept: the paper's table 1.
    pub attention_share: f64,
    /// Share of the whole layer's MACs that is kept, its table 2; `None` if the model's
    /// width is not known.
    pub layer_share: Option<f64>,
}

/// Memory that the kept outputs and residuals take; a raw run keeps none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CacheMemory {
    /// The peak.
    pub peak: PeakCache,
    /// Images per branch that it was counted for.
    pub batch: usize,
    /// If every layer kept its output and its residual all the time.
    pub all_bytes: u64,
}

/// Times as the multiply-accumulates predict them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictedTime {
    /// Time of the self-attention layers, as a share of the raw run's.
    pub attention_share: f64,
    /// Time of the whole run, where a measured run of the same model was given.
    pub run: Option<RunTime>,
}

/// The predicted time of a whole run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunTime {
    /// Share of the raw run's time that the measurement spent in self-attention.
    pub attention_in_raw: f64,
    /// Predicted time as a share of the raw run's.
    pub share: f64,
    /// Measured seconds of the raw run.
    pub raw_secs: f64,
    /// Predicted seconds.
    pub secs: f64,
}

/// The totals of one plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// One entry per strategy, in the order of [`Strategy::ALL`].
    pub counts: [Count; Strategy::ALL.len()],
    /// Multiply-accumulates; `None` if the number of tokens is not known.
    pub kept: Option<Kept>,
    /// Cache memory; `None` if tokens, width or number type are not known.
    pub cache: Option<CacheMemory>,
    /// Times; `None` if tokens or width are not known.
    pub time: Option<PredictedTime>,
    /// What is not known and why, one sentence each.
    pub missing: Vec<String>,
}

/// What is asked for besides the plan itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// Images per branch; 0 counts as 1.
    pub batch: usize,
    /// A measured run of the same model.
    pub report: Option<&'a Report>,
}

/// The totals of `plan`, which is shown in the place of the opened one.
pub fn totals(opened: &OpenPlan, plan: &CompressionPlan, question: Question<'_>) -> Totals {
    let mut missing = Vec::new();
    let shares = strategy_shares(plan);
    let counts = shares.map(|(strategy, share)| Count {
        strategy,
        n_cells: plan.count(strategy),
        share,
    });
    let kept = kept(opened, plan, &mut missing);
    let time = kept.and_then(|kept| predicted(opened, plan, &kept, question.report, &mut missing));
    Totals {
        counts,
        cache: cache(opened, plan, question.batch.max(1), &mut missing),
        kept,
        time,
        missing,
    }
}

fn kept(opened: &OpenPlan, plan: &CompressionPlan, missing: &mut Vec<String>) -> Option<Kept> {
    let Some(n_tokens) = opened.n_tokens() else {
        missing.push(
            "The number of image tokens is not known, so nothing can be counted; state it to see \
             totals."
                .into(),
        );
        return None;
    };
    let width = opened.width();
    if width.is_none() {
        missing.push(
            "The model's width is not known, so projections, times and memory are left out; \
             state it to see them."
                .into(),
        );
    }
    // The width cancels in shares of attention alone.
    let layer = LayerShape {
        n_tokens,
        width: width.unwrap_or(1),
    };
    let cost = PlanCost::of(plan, layer, opened.is_guided());
    Some(Kept {
        cost,
        attention_share: cost.attention_kept_share(),
        layer_share: width.map(|_| cost.layer_kept_share()),
    })
}

fn predicted(
    opened: &OpenPlan,
    plan: &CompressionPlan,
    kept: &Kept,
    report: Option<&Report>,
    missing: &mut Vec<String>,
) -> Option<PredictedTime> {
    let attention_share = kept.layer_share?;
    let run = report.and_then(|report| match why_not_same(opened, plan, report) {
        None => run_time(attention_share, report),
        Some(why) => {
            missing.push(why);
            None
        }
    });
    Some(PredictedTime {
        attention_share,
        run,
    })
}

fn run_time(attention_share: f64, report: &Report) -> Option<RunTime> {
    let raw = report.timings.raw;
    let attention_in_raw = raw.attention_secs / raw.total_secs;
    let is_plausible = (0.0..=1.0).contains(&attention_in_raw) && raw.total_secs > 0.0;
    let share = 1.0 - attention_in_raw * (1.0 - attention_share);
    is_plausible.then_some(RunTime {
        attention_in_raw,
        share,
        raw_secs: raw.total_secs,
        secs: raw.total_secs * share,
    })
}

/// Why a measured run says nothing about this plan's; `None` if it does.
fn why_not_same(opened: &OpenPlan, plan: &CompressionPlan, report: &Report) -> Option<String> {
    let fingerprint = opened.checked.fingerprint.as_ref();
    let is_same_model = match fingerprint {
        Some(found) => found.weights_sha256 == report.model.weights_sha256,
        None => plan.shape().n_blocks == report.model.n_blocks,
    };
    if !is_same_model || opened.n_tokens() != Some(report.model.n_tokens) {
        return Some("The measured run is of another model, so it predicts no time here.".into());
    }
    (report.settings.n_steps != plan.shape().n_steps).then(|| {
        format!(
            "The measured run has {} steps and this plan {}, so it predicts no time here.",
            report.settings.n_steps,
            plan.shape().n_steps
        )
    })
}

fn cache(
    opened: &OpenPlan,
    plan: &CompressionPlan,
    batch: usize,
    missing: &mut Vec<String>,
) -> Option<CacheMemory> {
    let layer = opened.layer_shape()?;
    if plan.shape().n_cells().saturating_mul(plan.shape().n_blocks) > MAX_CACHE_WORK {
        missing.push("This plan is too large for its cache memory to be counted here.".into());
        return None;
    }
    let fingerprint = opened.checked.fingerprint.as_ref();
    let dtype = fingerprint.map_or("f16", |found| found.dtype.as_str());
    let Some(bytes_per_element) = bytes_of(dtype) else {
        missing.push(format!(
            "Nothing is known of the number type {dtype:?}, so cache memory is left out."
        ));
        return None;
    };
    if fingerprint.is_none() {
        missing.push("The number type is not known; cache memory is counted for f16.".into());
    }
    let shape = CacheShape {
        batch,
        branches: if opened.is_guided() { 2 } else { 1 },
        n_tokens: layer.n_tokens,
        width: layer.width,
        bytes_per_element,
    };
    let n_tensors = 2 * plan.shape().n_blocks as u64;
    Some(CacheMemory {
        peak: peak_cache_bytes(plan, shape),
        batch,
        all_bytes: shape.tensor_bytes(2).saturating_mul(n_tensors),
    })
}

/// Bytes of one number.
fn bytes_of(dtype: &str) -> Option<usize> {
    match dtype {
        "f64" => Some(8),
        "f32" | "float32" => Some(4),
        "f16" | "bf16" | "float16" | "bfloat16" => Some(2),
        _ => None,
    }
}

/// What a person should know about the plan shown, one sentence each, the most important
/// first; empty for a plan that is as it should be.
pub fn advice(bench: &Workbench, shown: &Shown) -> Vec<String> {
    let mut advice = Vec::new();
    let n_cells = shown.plan.shape().n_cells() as f64;
    let full_share = shown.plan.count(Strategy::Full) as f64 / n_cells;
    if full_share >= HARDLY_COMPRESSED {
        let mut sentence = format!(
            "Nothing is compressed to speak of: {} of the cells are full attention.",
            percent(full_share)
        );
        if let Some(next) = bench.next_threshold(Direction::Up) {
            sentence += &format!(" The next cell changes at δ = {}.", number(next.value()));
        }
        advice.push(sentence);
    }
    if shown.n_unmeasured > 0 {
        advice.push(format!(
            "{} of the cells are full only because the calibration stopped at its first success \
             and never measured the rest; calibrate with record-all to decide them.",
            shown.n_unmeasured
        ));
    }
    advice
}

#[cfg(test)]
mod tests;
