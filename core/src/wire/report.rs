//! The outcome of a comparison: the same images made raw (no compression) and
//! compressed (with a plan), how long both took and how alike they are.
//!
//! Plain data for files, pages and scripts. All shares are in [0, 1], all times in
//! seconds of wall clock.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::cost::{PlanCost, strategy_shares};
use crate::plan::CompressionPlan;
use crate::sampler::SamplerKind;
use crate::strategy::Strategy;
use crate::wire::as_text;
use crate::wire::content_hash::ContentHash;
use crate::wire::plan_file::WindowFields;

/// The value of `format` in a report.
pub const REPORT_FORMAT: &str = "dfa-report";
/// The version of the report's format.
pub const REPORT_VERSION: u64 = 1;

/// A raw and a compressed run, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_FORMAT`].
    pub format: String,
    /// [`REPORT_VERSION`].
    pub version: u64,
    /// Name and version of the program that made the report.
    pub tool_version: String,
    /// The model.
    pub model: ReportModel,
    /// The plan.
    pub plan: ReportPlan,
    /// How both runs were made.
    pub settings: ReportSettings,
    /// What the plan saves on paper.
    pub cost: ReportCost,
    /// What it saves on the clock.
    pub timings: Timings,
    /// Memory of the kept outputs and residuals.
    pub cache: ReportCache,
    /// One entry per image.
    pub images: Vec<ImageMetrics>,
}

/// The model of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportModel {
    /// What people call the model.
    pub model_id: String,
    /// Hash over the bytes of all weight tensors.
    pub weights_sha256: ContentHash,
    /// Transformer blocks.
    pub n_blocks: usize,
    /// Image tokens of one sample.
    pub n_tokens: usize,
    /// Model width d.
    pub width: usize,
}

/// The plan of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportPlan {
    /// [`plan_hash`](crate::wire::plan_hash).
    pub plan_hash: ContentHash,
    /// Name of the plan's file, without its folder.
    pub file: Option<String>,
    /// δ of the search; `null` for a plan made by hand.
    pub threshold: Option<f64>,
    /// Name of the loss of the search; `null` for a plan made by hand.
    pub loss: Option<String>,
    /// The plan's window.
    pub window: WindowFields,
    /// Share of the cells per strategy, in a fixed order, together 1.
    pub strategies: Vec<StrategyShare>,
}

/// How much of a plan one strategy is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyShare {
    /// The strategy's plan string.
    #[serde(with = "as_text")]
    pub strategy: Strategy,
    /// Share of the plan's cells.
    pub share: f64,
}

/// How both runs of a report were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportSettings {
    /// Denoising steps.
    pub n_steps: usize,
    /// The sampler.
    #[serde(with = "as_text")]
    pub sampler: SamplerKind,
    /// Weight of classifier-free guidance.
    pub guidance_scale: f64,
    /// Seed of the start noise.
    pub seed: u64,
    /// Number type of weights and activations.
    pub dtype: String,
    /// Threads of the run.
    pub n_threads: usize,
}

/// Multiply-accumulates of the self-attention layers, per image. Twice as many FLOPs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportCost {
    /// Share of the attention MACs (QKᵀ and AV) kept: the paper's table 1.
    pub attention_kept_share: f64,
    /// Share of the whole layer's MACs (with projections) kept: the paper's table 2.
    pub layer_kept_share: f64,
    /// Attention MACs without the plan.
    pub raw_attention_macs: u64,
    /// Attention MACs with the plan.
    pub compressed_attention_macs: u64,
}

/// Times of both runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Without the plan.
    pub raw: RunTiming,
    /// With the plan.
    pub compressed: RunTiming,
}

/// Times of one run, over all its images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunTiming {
    /// The whole denoising loop.
    pub total_secs: f64,
    /// The self-attention layers alone, projections included.
    pub attention_secs: f64,
}

/// Peak memory of the layer caches, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportCache {
    /// What [`peak_cache_bytes`](crate::liveness::peak_cache_bytes) predicts.
    pub predicted_peak_bytes: u64,
    /// What the run held; `null` if it was not measured.
    pub measured_peak_bytes: Option<u64>,
}

/// One compressed image held against its raw counterpart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageMetrics {
    /// Position in the run.
    pub index: usize,
    /// What was drawn: a class name, an index or a prompt.
    pub label: String,
    /// Mean squared error, pixel values in [0, 1].
    pub mse: f64,
    /// Peak signal-to-noise ratio in decibels; `null` if the images are identical.
    pub psnr_db: Option<f64>,
    /// Structural similarity, 1 if the images are identical.
    pub ssim: f64,
}

impl ReportCost {
    /// The numbers of a plan's cost.
    pub fn of(cost: &PlanCost) -> Self {
        Self {
            attention_kept_share: cost.attention_kept_share(),
            layer_kept_share: cost.layer_kept_share(),
            raw_attention_macs: cost.raw.attention_macs,
            compressed_attention_macs: cost.compressed.attention_macs,
        }
    }
}

impl StrategyShare {
    /// The shares of a plan, in the order of [`Strategy::ALL`].
    pub fn all_of(plan: &CompressionPlan) -> Vec<Self> {
        let shares = strategy_shares(plan).into_iter();
        shares
            .map(|(strategy, share)| Self { strategy, share })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::LayerShape;
    use crate::{GridShape, Window};
    use alloc::vec;

    #[test]
    fn a_report_round_trips() {
        let shape = GridShape {
            n_steps: 2,
            n_blocks: 1,
        };
        let plan = CompressionPlan::all_full(shape, Window { left: 1, right: 2 }).unwrap();
        let layer = LayerShape {
            n_tokens: 16,
            width: 8,
        };
        let timing = RunTiming {
            total_secs: 1.25,
            attention_secs: 0.5,
        };
        let report = Report {
            format: REPORT_FORMAT.into(),
            version: REPORT_VERSION,
            tool_version: "dfa 0.1.0".into(),
            model: ReportModel {
                model_id: "tiny".into(),
                weights_sha256: ContentHash::of(b"weights"),
                n_blocks: 1,
                n_tokens: 16,
                width: 8,
            },
            plan: ReportPlan {
                plan_hash: crate::wire::plan_hash(&plan),
                file: None,
                threshold: Some(0.05),
                loss: Some("relative".into()),
                window: plan.window().into(),
                strategies: StrategyShare::all_of(&plan),
            },
            settings: ReportSettings {
                n_steps: 2,
                sampler: SamplerKind::DpmSolver,
                guidance_scale: 4.0,
                seed: 7,
                dtype: "f32".into(),
                n_threads: 2,
            },
            cost: ReportCost::of(&PlanCost::of(&plan, layer, true)),
            timings: Timings {
                raw: timing,
                compressed: timing,
            },
            cache: ReportCache {
                predicted_peak_bytes: 0,
                measured_peak_bytes: None,
            },
            images: vec![ImageMetrics {
                index: 0,
                label: "fox".into(),
                mse: 0.0,
                psnr_db: None,
                ssim: 1.0,
            }],
        };
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains("\"sampler\":\"dpm-solver++\""), "{text}");
        assert!(text.contains("\"psnr_db\":null"), "{text}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
