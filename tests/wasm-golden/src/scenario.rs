//! The made-up run: a table of losses that looks like a real one, Algorithm 1 over it at
//! the paper's thresholds in both modes, the plans decided again, what they cost, and the
//! losses and metrics of generated outputs and images.
//!
//! Each line of the digest is one result: a few readable numbers and the hash of all bits.

use std::convert::Infallible;
use std::fmt::Write as _;

use dfa_core::branch::ResidualHalf;
use dfa_core::cost::{LayerShape, PlanCost};
use dfa_core::liveness::{CacheShape, peak_cache_bytes};
use dfa_core::metric::{
    Border, Image, ImageShape, Layout, LossKind, loss, mse, psnr, relative_error, ssim,
};
use dfa_core::sampler::SamplerKind;
use dfa_core::search::{
    CandidateLosses, MeasuredLoss, SearchMode, SearchRecord, SearchSettings, Threshold, redecide,
    search_step,
};
use dfa_core::wire::{
    CalibrationInputs, CheckedPlan, ContentHash, Fingerprint, PlanSearch, Provenance, csv,
    plan_hash,
};
use dfa_core::{Block, CompressionPlan, GridShape, Step, Strategy, Window};

use crate::bits::{Bits, Generator};
use crate::recorded::recorded_calibration;

/// DiT-XL/2 at 512×512: 50 steps, 28 blocks, 1024 tokens, width 1152.
const GRID: GridShape = GridShape {
    n_steps: 50,
    n_blocks: 28,
};
const LAYER: LayerShape = LayerShape {
    n_tokens: 1024,
    width: 1152,
};
const SEED: u64 = 20_240_608;

/// Both conventions for the border of a picture.
const BORDERS: [Border; 2] = [Border::Inside, Border::Mirrored];

/// Thresholds between and beyond the named ones, for deciding again.
const OTHER_THRESHOLDS: [f64; 5] = [0.0, 0.01, 0.0625, 0.11, 0.5];

/// The whole text; the same on every machine.
pub fn core_digest() -> String {
    let mut digest = Digest::default();
    let table = LossTable::generate();
    digest.line("losses", &table.summary(), &table.bits());
    let records = searches(&mut digest, &table);
    redecisions(&mut digest, &records);
    plan_files(&mut digest, &records);
    recorded_calibration(&mut digest);
    output_losses(&mut digest);
    image_metrics(&mut digest);
    digest.finish()
}

/// The text so far, and all hashes in it.
#[derive(Default)]
pub(crate) struct Digest {
    text: String,
    all: Bits,
}

impl Digest {
    pub(crate) fn line(&mut self, name: &str, summary: &str, bits: &Bits) {
        let hash = bits.hash();
        self.all.text(name);
        self.all.text(&hash.to_string());
        self.write(&format!("{name:<24} {} {summary}", hash.short()));
    }

    fn write(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("writing to a string cannot fail");
    }

    fn finish(mut self) -> String {
        let hash = self.all.hash();
        self.write(&format!("core digest 1: {hash}"));
        self.text
    }
}

/// The loss of every candidate of every cell.
struct LossTable {
    losses: Vec<[f32; Strategy::CANDIDATES.len()]>,
}

impl LossTable {
    /// Log-normal losses that grow with depth, as cumulative ones do, and with the share
    /// of the work that a candidate leaves out; they dip in the middle of the run.
    fn generate() -> Self {
        let mut generator = Generator(SEED);
        let strength = [1.6f32, 1.2, 0.7, 0.5];
        let losses = GRID.cells().map(|(step, block)| {
            let depth = (block.0 + 1) as f32 / GRID.n_blocks as f32;
            let progress = step.0 as f32 / GRID.n_steps as f32;
            let dip = 1.0 - 0.6 * libm::sinf(core::f32::consts::PI * progress);
            strength.map(|strength| {
                let noise = libm::expf(0.6 * generator.normal());
                0.22 * strength * dip * libm::powf(depth, 1.2) * noise
            })
        });
        Self {
            losses: losses.collect(),
        }
    }

    fn bits(&self) -> Bits {
        let mut bits = Bits::default();
        self.losses
            .iter()
            .flatten()
            .for_each(|&loss| bits.f32(loss));
        bits
    }

    fn summary(&self) -> String {
        let all = || self.losses.iter().flatten().map(|&loss| f64::from(loss));
        let n_losses = all().count();
        let mean = all().sum::<f64>() / n_losses as f64;
        format!("{n_losses} losses, mean {mean:.6}")
    }
}

impl CandidateLosses for &LossTable {
    type Error = Infallible;

    fn begin_step(&mut self, _step: Step) -> Result<(), Infallible> {
        Ok(())
    }

    fn loss_of(
        &mut self,
        (step, block): (Step, Block),
        candidate: Strategy,
        _enough: f64,
    ) -> Result<MeasuredLoss, Infallible> {
        let candidates = Strategy::CANDIDATES.iter();
        let idx = candidates.take_while(|&&other| other != candidate).count();
        let loss = self.losses[step.0 * GRID.n_blocks + block.0][idx];
        Ok(MeasuredLoss::whole(candidate, loss))
    }

    fn choose(&mut self, _: Step, _: Block, _: Strategy) -> Result<(), Infallible> {
        Ok(())
    }

    fn finish_step(&mut self, _step: Step, _row: &[Strategy]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Algorithm 1 at D1 to D6 in both modes; returns the records of the mode that measured
/// everything.
fn searches(digest: &mut Digest, table: &LossTable) -> Vec<SearchRecord> {
    let mut complete = Vec::new();
    for mode in [SearchMode::Exact, SearchMode::RecordAll] {
        for (name, threshold) in Threshold::named() {
            let record = search(table, threshold, mode);
            let plan = record.plan(window()).expect("step 0 of a search is full");
            let mut bits = plan_bits(&plan);
            for cell in record.rows().iter().flatten() {
                bits.text(cell.choice.as_str());
                cell.measured
                    .iter()
                    .for_each(|measured| bits.f32(measured.loss));
            }
            for block in GRID.blocks() {
                bits.f64(threshold.block_budget(block, GRID.n_blocks));
            }
            let summary = format!("{} measured, {}", record.n_measured(), plan_summary(&plan));
            digest.line(&format!("search {} {name}", mode.as_str()), &summary, &bits);
            if mode == SearchMode::RecordAll {
                complete.push(record);
            }
        }
    }
    complete
}

fn search(table: &LossTable, threshold: Threshold, mode: SearchMode) -> SearchRecord {
    let settings = SearchSettings {
        threshold,
        candidates: Strategy::CANDIDATES.to_vec(),
        mode,
    };
    let mut record = SearchRecord::new(settings.clone(), GRID.n_blocks);
    for step in GRID.steps() {
        let row = search_step(step, GRID.n_blocks, &settings, &mut &*table);
        let row = row.expect("every loss of the table is finite");
        record
            .push_row(row)
            .expect("one cell per block was searched");
    }
    record
}

/// Each complete record decided again at the other thresholds.
fn redecisions(digest: &mut Digest, records: &[SearchRecord]) {
    for record in records {
        let mut bits = Bits::default();
        let mut n_changed = Vec::new();
        for value in OTHER_THRESHOLDS {
            let threshold = Threshold::new(value).expect("the thresholds are finite");
            let decided = redecide(record, threshold, window()).expect("the record is finished");
            bits.text(&plan_hash(&decided.plan).to_string());
            bits.u64(decided.changed.len() as u64);
            bits.u64(decided.unmeasured.len() as u64);
            n_changed.push(decided.changed.len().to_string());
        }
        let name = format!("redecide {}", record.settings().threshold);
        digest.line(&name, &format!("changed {}", n_changed.join(" ")), &bits);
    }
}

/// Each record as a plan file and as a table: numbers written as text and read again.
fn plan_files(digest: &mut Digest, records: &[SearchRecord]) {
    for record in records {
        let plan = record.plan(window()).expect("step 0 of a search is full");
        let checked = CheckedPlan {
            search: Some(PlanSearch {
                loss: LossKind::Relative,
                record: record.clone(),
            }),
            fingerprint: Some(fingerprint()),
            provenance: Some(provenance()),
            ..CheckedPlan::bare(plan)
        };
        let json = checked.to_json().expect("the parts agree");
        let read = CheckedPlan::parse(&json).expect("what was written can be read");
        assert!(read == checked, "a plan file changed on its way");
        let table = csv::export_csv(&checked);
        let mut bits = Bits::default();
        bits.text(&json);
        bits.text(&table);
        let summary = format!("{} bytes of JSON, {} of CSV", json.len(), table.len());
        let name = format!("plan file {}", record.settings().threshold);
        digest.line(&name, &summary, &bits);
    }
}

/// A model that does not exist, sampled at timesteps with long decimal expansions.
fn fingerprint() -> Fingerprint {
    let timesteps = GRID
        .steps()
        .map(|step| 999.0 * libm::exp(-0.07 * step.0 as f64));
    Fingerprint {
        weights_sha256: ContentHash::of(b"weights"),
        config_sha256: ContentHash::of(b"config"),
        scheduler_sha256: ContentHash::of(b"scheduler"),
        n_tokens: LAYER.n_tokens,
        n_blocks: GRID.n_blocks,
        timesteps: timesteps.collect(),
        sampler: SamplerKind::Ddim,
        guidance_scale: 4.0,
        dtype: "f32".into(),
        residual_half: ResidualHalf::default(),
    }
}

fn provenance() -> Provenance {
    Provenance {
        model_id: "made up".into(),
        seed: SEED,
        inputs: CalibrationInputs::Labels((0..8).collect()),
        negative_prompt: None,
        prompt_embeds_sha256: None,
        size: None,
        num_frames: None,
        fps: None,
        latents_sha256: None,
        width: None,
        tool_version: "core digest 1".into(),
    }
}

fn window() -> Window {
    Window::eighth_of(LAYER.n_tokens)
}

/// All that core says about a plan.
fn plan_bits(plan: &CompressionPlan) -> Bits {
    let mut bits = Bits::default();
    bits.text(&plan_hash(plan).to_string());
    bits.f64(window().kept_share(LAYER.n_tokens));
    for guided in [false, true] {
        let cost = PlanCost::of(plan, LAYER, guided);
        bits.u64(cost.compressed.attention_macs);
        bits.u64(cost.compressed.projection_macs);
        bits.f64(cost.attention_kept_share());
        bits.f64(cost.layer_kept_share());
    }
    bits.u64(peak_cache_bytes(plan, CACHE).bytes);
    bits
}

const CACHE: CacheShape = CacheShape {
    batch: 8,
    branches: 2,
    n_tokens: LAYER.n_tokens,
    width: LAYER.width,
    bytes_per_element: 4,
};

fn plan_summary(plan: &CompressionPlan) -> String {
    let counts = Strategy::ALL.map(|strategy| plan.count(strategy).to_string());
    let kept = PlanCost::of(plan, LAYER, true).attention_kept_share();
    format!(
        "cells {}, attention kept {kept:.6}, plan {}",
        counts.join(" "),
        plan_hash(plan).short()
    )
}

/// Both losses of generated outputs, from almost equal to unrelated.
fn output_losses(digest: &mut Digest) {
    for kind in LossKind::ALL {
        let mut bits = Bits::default();
        let mut shown = Vec::new();
        for damage in [0.001f32, 0.05, 0.5, 4.0] {
            let mut generator = Generator(SEED);
            let pairs = (0..4096).map(|_| {
                let reference = generator.normal();
                (reference, reference + damage * generator.normal())
            });
            let (reference, candidate): (Vec<f32>, Vec<f32>) = pairs.unzip();
            let value = loss(kind, &reference, &candidate).expect("the lengths agree");
            bits.f32(value);
            shown.push(format!("{value:.6}"));
        }
        digest.line(&format!("loss {kind}"), &shown.join(" "), &bits);
    }
}

/// Every metric of a smooth picture and the same one with noise, in range 1.
fn image_metrics(digest: &mut Digest) {
    for (layout, name) in [
        (Layout::Planar, "planar"),
        (Layout::Interleaved, "interleaved"),
    ] {
        let shape = ImageShape {
            width: 48,
            height: 33,
            channels: 3,
            layout,
        };
        let mut bits = Bits::default();
        let mut shown = Vec::new();
        for noise in [0.004f32, 0.03, 0.2] {
            let (clean, noisy) = pictures(shape, noise);
            let a = Image::new(shape, &clean).expect("the picture has its size");
            let b = Image::new(shape, &noisy).expect("the picture has its size");
            let psnr = psnr(&a, &b, 1.0).expect("the shapes agree");
            let mse = mse(&a, &b).expect("the shapes agree");
            let relative = relative_error(&clean, &noisy).expect("the lengths agree");
            [psnr, mse, relative]
                .into_iter()
                .for_each(|value| bits.f64(value));
            for border in BORDERS {
                let ssim = ssim(&a, &b, 1.0, border).expect("the shapes agree");
                bits.f64(ssim);
                shown.push(format!("{ssim:.6}"));
            }
            shown.push(format!("{psnr:.4} dB"));
        }
        digest.line(&format!("images {name}"), &shown.join(" "), &bits);
    }
}

/// Waves in [0, 1], and the same with noise, clipped.
fn pictures(shape: ImageShape, noise: f32) -> (Vec<f32>, Vec<f32>) {
    let mut generator = Generator(SEED);
    let n_values = shape.width * shape.height * shape.channels;
    let pairs = (0..n_values).map(|idx| {
        let clean = 0.5 + 0.45 * libm::sinf(0.013 * idx as f32);
        let noisy = (clean + noise * generator.normal()).clamp(0.0, 1.0);
        (clean, noisy)
    });
    pairs.unzip()
}
