//! 4 · The same images raw and compressed: how alike they are, what both took, and the
//! report that says so.
//!
//! Batches alternate, raw then compressed, so that a busy machine slows both alike.
//! Similarity is measured on the 8-bit pictures that people see, values in [0, 1]; that of
//! videos frame by frame.

use dfa_core::cost::PlanCost;
use dfa_core::liveness::peak_cache_bytes;
use dfa_core::metric::image::{Image, ImageError, ImageShape, Layout};
use dfa_core::metric::psnr::{mse, psnr_of};
use dfa_core::metric::ssim::{Border, ssim};
use dfa_core::search::goal::MAX_PSNR_DB;
use dfa_core::wire::report::{
    ImageMetrics, REPORT_FORMAT, REPORT_VERSION, Report, ReportCache, ReportCost, ReportModel,
    ReportPlan, ReportSettings, RunTiming, StrategyShare, Timings,
};
use dfa_core::wire::{CheckedPlan, plan_hash};

use crate::decoding::DecodeError;
use crate::generate::RunError;
use crate::image_batch::{BatchCollector, ImageBatches, ImageRun};
use crate::observer::Observer;
use crate::picture::{Clip, Picture};
use crate::run_setup::{RunSetup, tool_version};

/// Why two runs could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There are no pictures to compare.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The pictures cannot be measured (for example smaller than SSIM's window).
    #[error(transparent)]
    Metric(#[from] ImageError),
}

/// Both runs, their pictures and the report.
pub struct Comparison {
    /// Images or videos without compression.
    pub raw: Vec<Clip>,
    /// Images or videos by the plan.
    pub compressed: Vec<Clip>,
    /// All numbers.
    pub report: Report,
}

/// Generates every image of `setup` twice and compares.
///
/// # Errors
/// [`CompareError`].
pub fn compare(
    setup: &RunSetup,
    plan: &CheckedPlan,
    plan_file: Option<String>,
    batch_size: usize,
    observer: &mut dyn Observer,
) -> Result<Comparison, CompareError> {
    let batches = ImageBatches { setup, batch_size };
    let mut raw = BatchCollector::default();
    let mut compressed = BatchCollector::default();
    for first in batches.starts() {
        batches.run_one(first, None, &mut raw, observer)?;
        batches.run_one(first, Some(&plan.plan), &mut compressed, observer)?;
    }
    let (raw_run, compressed_run) = (raw.finish()?, compressed.finish()?);
    let (raw, compressed) = (raw_run.clips(setup)?, compressed_run.clips(setup)?);
    let n_in_batch = batch_size.max(1).min(setup.n_images());
    let is_guided = setup.run.guidance.is_on();
    let report = Report {
        format: REPORT_FORMAT.into(),
        version: REPORT_VERSION,
        tool_version: tool_version(),
        model: report_model(setup),
        plan: report_plan(plan, plan_file),
        settings: report_settings(setup),
        cost: ReportCost::of(&PlanCost::of(&plan.plan, setup.layer_shape(), is_guided)),
        timings: Timings {
            raw: timing(&raw_run),
            compressed: timing(&compressed_run),
        },
        cache: ReportCache {
            predicted_peak_bytes: peak_cache_bytes(&plan.plan, setup.cache_shape(n_in_batch)).bytes,
            measured_peak_bytes: Some(compressed_run.peak_cache_bytes),
        },
        images: all_metrics(setup, &raw, &compressed)?,
    };
    Ok(Comparison {
        raw,
        compressed,
        report,
    })
}

/// How alike the pictures are, one after the other.
fn all_metrics(
    setup: &RunSetup,
    raw: &[Clip],
    compressed: &[Clip],
) -> Result<Vec<ImageMetrics>, ImageError> {
    let pairs = raw.iter().zip(compressed).enumerate();
    let metrics = pairs.map(|(index, (raw, compressed))| {
        clip_metrics(index, setup.subject_name(index), raw, compressed)
    });
    metrics.collect()
}

/// How alike two images or videos are: MSE and SSIM are means over the frames, PSNR is that
/// of the mean MSE.
fn clip_metrics(
    index: usize,
    label: String,
    raw: &Clip,
    compressed: &Clip,
) -> Result<ImageMetrics, ImageError> {
    let pairs = raw.frames().iter().zip(compressed.frames());
    let frames = pairs.map(|(raw, compressed)| frame_metrics(raw, compressed));
    let frames: Vec<(f64, f64)> = frames.collect::<Result<_, _>>()?;
    let n_frames = frames.len() as f64;
    let mse = frames.iter().map(|(mse, _)| mse).sum::<f64>() / n_frames;
    let psnr_db = psnr_of(mse, 1.0);
    Ok(ImageMetrics {
        index,
        label,
        mse,
        psnr_db: psnr_db.is_finite().then_some(psnr_db),
        ssim: frames.iter().map(|(_, ssim)| ssim).sum::<f64>() / n_frames,
    })
}

/// The mean PSNR of images or videos to the raw ones, in dB. Identical ones count
/// [`MAX_PSNR_DB`]: their own is infinite.
///
/// # Errors
/// [`ImageError`] if the sizes differ.
pub fn mean_psnr_db(raw: &[Clip], compressed: &[Clip]) -> Result<f64, ImageError> {
    let mut sum = 0.0;
    for (raw, compressed) in raw.iter().zip(compressed) {
        let pairs = raw.frames().iter().zip(compressed.frames());
        let frames = pairs.map(|(raw, compressed)| frame_mse(raw, compressed));
        let frames: Vec<f64> = frames.collect::<Result<_, _>>()?;
        let mse = frames.iter().sum::<f64>() / frames.len() as f64;
        sum += psnr_of(mse, 1.0).min(MAX_PSNR_DB);
    }
    Ok(sum / raw.len() as f64)
}

/// MSE of two pictures.
fn frame_mse(raw: &Picture, compressed: &Picture) -> Result<f64, ImageError> {
    let shape = shape_of(raw);
    let (raw, compressed) = (raw.values(), compressed.values());
    mse(&Image::new(shape, &raw)?, &Image::new(shape, &compressed)?)
}

fn shape_of(picture: &Picture) -> ImageShape {
    ImageShape {
        width: picture.width(),
        height: picture.height(),
        channels: 3,
        layout: Layout::Interleaved,
    }
}

/// MSE and SSIM of two pictures.
fn frame_metrics(raw: &Picture, compressed: &Picture) -> Result<(f64, f64), ImageError> {
    let shape = shape_of(raw);
    let (raw, compressed) = (raw.values(), compressed.values());
    let (raw, compressed) = (Image::new(shape, &raw)?, Image::new(shape, &compressed)?);
    let ssim = ssim(&raw, &compressed, 1.0, Border::Inside)?;
    Ok((mse(&raw, &compressed)?, ssim))
}

fn report_model(setup: &RunSetup) -> ReportModel {
    ReportModel {
        model_id: setup.loaded.folder.model_id.clone(),
        weights_sha256: setup.loaded.identity.weights_sha256,
        n_blocks: setup.geometry().n_blocks,
        n_tokens: setup.n_tokens(),
        width: setup.geometry().width(),
    }
}

fn report_plan(plan: &CheckedPlan, file: Option<String>) -> ReportPlan {
    // An edited plan's search describes the plan it was edited from.
    let search = plan.search.as_ref().filter(|_| plan.edited_from.is_none());
    ReportPlan {
        plan_hash: plan_hash(&plan.plan),
        file,
        threshold: search.map(|search| search.record.settings().threshold.value()),
        loss: search.map(|search| search.loss.to_string()),
        window: plan.plan.window().into(),
        strategies: StrategyShare::all_of(&plan.plan),
    }
}

fn report_settings(setup: &RunSetup) -> ReportSettings {
    ReportSettings {
        n_steps: setup.run.sampler.n_steps(),
        sampler: setup.run.sampler_kind,
        guidance_scale: setup.run.guidance.scale(),
        seed: setup.run.seed,
        dtype: setup.run.number.as_str().into(),
        n_threads: rayon::current_num_threads(),
    }
}

fn timing(run: &ImageRun) -> RunTiming {
    RunTiming {
        total_secs: run.total_secs,
        attention_secs: run.attention_secs,
    }
}
