//! Denoising at the published sizes with random weights: one guided image, raw and by plans
//! that keep the shares of attention that the paper's D1 to D6 keep, and PyTorch beside it.
//!
//! The plans are not calibrated: random weights have nothing to find. Their strategies are
//! mixed evenly over steps and blocks.

use std::path::Path;

use candle_core::{Device, Tensor};
use dfa_core::cost::{LayerShape, PlanCost};
use dfa_core::{CompressionPlan, GridShape, Strategy, Window};
use dfa_native_worker::device::{NumberType, Placement};
use dfa_native_worker::diffusion::noise::start_noise;
use dfa_native_worker::generate::generate;
use dfa_native_worker::model::{Condition, LatentSize, TextCondition};
use dfa_native_worker::observer::Unobserved;

use super::Outcome;
use super::peer::Peer;
use super::random_values::rounded;
use crate::family_run::{FamilyRun, Setting};
use crate::random_model::tensor_file::StoredAs;
use crate::random_model::{Order, write_folder};

/// Steps of a run, as in the paper.
const N_STEPS: usize = 50;
/// Steps that PyTorch is timed over; each is as long as the next.
const TORCH_STEPS: usize = 10;
/// Visible tokens of a prompt.
const TEXT_TOKENS: usize = 40;
const TEXT_WIDTH: usize = 4096;

/// A published size.
pub struct Geometry {
    /// What it is called.
    pub name: &'static str,
    /// Name of the random model.
    pub kind: &'static str,
    /// Side of the latent.
    pub side: usize,
    takes_text: bool,
    /// Share of attention MACs that the paper's D1 to D6 keep (its table 1).
    kept: [f64; 6],
}

/// Those of the paper's tables.
pub const GEOMETRIES: [Geometry; 3] = [
    Geometry {
        name: "DiT-XL/2, 512",
        kind: "dit-xl-2-512",
        side: 64,
        takes_text: false,
        kept: [0.85, 0.69, 0.59, 0.49, 0.41, 0.34],
    },
    Geometry {
        name: "PixArt-Sigma, 1024",
        kind: "pixart-sigma-1024",
        side: 128,
        takes_text: true,
        kept: [0.90, 0.74, 0.63, 0.52, 0.44, 0.37],
    },
    Geometry {
        name: "PixArt-Sigma, 2048",
        kind: "pixart-sigma-2k",
        side: 256,
        takes_text: true,
        kept: [0.81, 0.60, 0.46, 0.36, 0.29, 0.24],
    },
];

/// Seconds of one run of 50 steps.
pub struct RunTimes {
    /// `raw`, `D1` … `D6`.
    pub name: String,
    /// Share of attention MACs that the plan keeps, as counted here.
    pub kept: f64,
    /// The denoising loop.
    pub total_secs: f64,
    /// Its self-attention layers.
    pub attention_secs: f64,
}

/// Times of one size.
pub struct ModelTimes {
    /// What it is called.
    pub name: &'static str,
    /// Raw first.
    pub runs: Vec<RunTimes>,
    /// PyTorch's raw loop of as many steps, network only.
    pub torch_secs: Option<f64>,
}

/// Measures one size; its random weights go to `folder` and stay there.
///
/// # Errors
/// If the disk or the device fails.
pub fn measure(
    geometry: &Geometry,
    folder: &Path,
    placement: &Placement,
    peer: Option<&mut Peer>,
) -> Outcome<ModelTimes> {
    let folder = folder.join(geometry.kind);
    if !folder.join("model_index.json").exists() {
        write_folder(&Order {
            kind: geometry.kind,
            folder: folder.clone(),
            stored_as: match placement.number() {
                NumberType::F16 => StoredAs::F16,
                _ => StoredAs::Bf16,
            },
            text_encoder: false,
        })?;
    }
    let setting = Setting {
        n_steps: N_STEPS,
        guidance_scale: 4.5,
        condition: condition(geometry)?,
        size: LatentSize::image(geometry.side, geometry.side),
        video: None,
        step_noise: None,
    };
    let run = FamilyRun::open_on(&folder, setting, placement);
    let noise = start_noise(0, 0..1, run.model.geometry().in_channels, run.setting.size)?;
    let plans = plans(geometry, &run)?;
    // Kernels are compiled and memory is taken at the first steps.
    time(&run, Some(&plans[5].1), &noise, "warm-up")?;
    let mut runs = vec![time(&run, None, &noise, "raw")?];
    for (idx, (kept, plan)) in plans.iter().enumerate() {
        let made = time(&run, Some(plan), &noise, &format!("D{}", idx + 1))?;
        runs.push(RunTimes {
            kept: *kept,
            ..made
        });
    }
    drop(run);
    let torch_secs = peer.and_then(|peer| torch_secs(peer, geometry, &folder, placement));
    Ok(ModelTimes {
        name: geometry.name,
        runs,
        torch_secs,
    })
}

fn condition(geometry: &Geometry) -> Outcome<Condition> {
    if !geometry.takes_text {
        return Ok(Condition::Classes(vec![207]));
    }
    let text = |seed| rounded(&[TEXT_TOKENS, TEXT_WIDTH], seed, &Placement::cpu());
    Ok(Condition::Text(TextCondition {
        prompts: vec![text(1)?],
        negatives: vec![text(2)?],
    }))
}

fn time(
    run: &FamilyRun,
    plan: Option<&CompressionPlan>,
    noise: &Tensor,
    name: &str,
) -> Outcome<RunTimes> {
    let noise = noise.to_device(&Device::Cpu)?;
    let made = generate(&run.denoiser(), plan, &noise, &mut Unobserved)?;
    Ok(RunTimes {
        name: name.to_owned(),
        kept: 1.0,
        total_secs: made.total_secs,
        attention_secs: made.attention_secs,
    })
}

fn torch_secs(
    peer: &mut Peer,
    geometry: &Geometry,
    folder: &Path,
    placement: &Placement,
) -> Option<f64> {
    let request = format!(
        "steps {} {} {TORCH_STEPS} {TEXT_TOKENS} {}",
        folder.display(),
        geometry.side,
        placement.number()
    );
    let of_step = peer.or_dash(&request, |answer| answer.number("step_ms"))?;
    Some(of_step / 1e3 * N_STEPS as f64)
}

/// For each of D1 to D6 a plan and the share that it really keeps.
fn plans(geometry: &Geometry, run: &FamilyRun) -> Outcome<Vec<(f64, CompressionPlan)>> {
    let sizes = run.model.geometry();
    let layer = LayerShape {
        n_tokens: sizes.n_tokens(run.setting.size),
        width: sizes.width(),
    };
    let grid = GridShape {
        n_steps: N_STEPS,
        n_blocks: sizes.n_blocks,
    };
    let kept = geometry.kept.iter();
    kept.map(|&target| plan_keeping(target, grid, layer))
        .collect()
}

/// The plan with the fewest compressed cells that keeps no more than `target`.
fn plan_keeping(
    target: f64,
    grid: GridShape,
    layer: LayerShape,
) -> Outcome<(f64, CompressionPlan)> {
    let with = |n: usize| -> Outcome<(f64, CompressionPlan)> {
        let window = Window::eighth_of(layer.n_tokens);
        let plan = CompressionPlan::new(grid, window, cells(n, grid))?;
        Ok((
            PlanCost::of(&plan, layer, true).attention_kept_share(),
            plan,
        ))
    };
    let (mut few, mut many) = (0, grid.n_cells() - grid.n_blocks);
    while few < many {
        let middle = few.midpoint(many);
        match with(middle)?.0 <= target {
            true => many = middle,
            false => few = middle + 1,
        }
    }
    with(few)
}

/// All full but `n` cells after step 0, which take the other strategies in turn.
fn cells(n: usize, grid: GridShape) -> Vec<Strategy> {
    const CYCLE: [Strategy; 4] = [
        Strategy::ShareSteps,
        Strategy::WindowResidualShareCfg,
        Strategy::WindowResidual,
        Strategy::ShareCfg,
    ];
    let mut cells = vec![Strategy::Full; grid.n_cells()];
    let n_later = grid.n_cells() - grid.n_blocks;
    // A stride without a common divisor visits every cell once, far from the last one.
    let mut stride = n_later * 5 / 13;
    while stride > 0 && !are_coprime(stride, n_later) {
        stride += 1;
    }
    for idx in 0..n {
        let cell = grid.n_blocks + idx * stride % n_later.max(1);
        cells[cell] = CYCLE[idx % CYCLE.len()];
    }
    cells
}

fn are_coprime(a: usize, b: usize) -> bool {
    if b == 0 {
        a == 1
    } else {
        are_coprime(b, a % b)
    }
}

/// The times as a Markdown table.
pub fn table(times: &[ModelTimes]) -> String {
    let mut text = String::from(
        "| model | run | attention MACs kept | s for 50 steps | of which attention | raw / this |\n|---|---|---|---|---|---|\n",
    );
    for model in times {
        let raw = model.runs.first().map_or(f64::NAN, |run| run.total_secs);
        for run in &model.runs {
            text += &format!(
                "| {} | {} | {:.0} % | {:.2} | {:.2} | {:.2} |\n",
                model.name,
                run.name,
                100.0 * run.kept,
                run.total_secs,
                run.attention_secs,
                raw / run.total_secs
            );
        }
        if let Some(secs) = model.torch_secs {
            let ratio = raw / secs;
            text += &format!(
                "| {} | PyTorch, raw | 100 % | {secs:.2} | – | {ratio:.2} |\n",
                model.name
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_keep_what_they_should() {
        let grid = GridShape {
            n_steps: 50,
            n_blocks: 28,
        };
        for geometry in &GEOMETRIES {
            let layer = LayerShape {
                n_tokens: (geometry.side / 2).pow(2),
                width: 1152,
            };
            for target in geometry.kept {
                let (kept, plan) = plan_keeping(target, grid, layer).unwrap();
                assert!(
                    kept <= target && kept > target - 0.01,
                    "{}: {kept} for {target}",
                    geometry.name
                );
                assert_eq!(plan.shape(), grid);
            }
        }
    }
}
