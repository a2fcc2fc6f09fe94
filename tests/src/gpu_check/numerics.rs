//! Whether a device computes what the CPU computes, strategy by strategy and operation by
//! operation. Inputs and weights are rounded to the device's type first, so that what is
//! left is the rounding on the way.

use std::path::Path;

use candle_core::{Device, Result, Tensor};
use dfa_core::{Block, Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, Retention, SelfAttention};
use dfa_native_worker::device::{NumberType, Placement};
use dfa_native_worker::kernels::ops;
use dfa_native_worker::model::vae::Vae;
use dfa_native_worker::model::{Condition, StepInput, Transformer};
use dfa_native_worker::model_folder::{ModelFolder, VaeConfig};
use dfa_native_worker::run_setup::load_transformer;
use dfa_native_worker::text::TextEncoder;

use super::Outcome;
use super::random_values::{attention_layer, rounded};
use crate::closeness::relative_l2;
use crate::fixtures::values;

/// Heads and width of the published models.
const N_HEADS: usize = 16;
const WIDTH: usize = 1152;
/// A batch of two images in two branches.
const BATCH: usize = 4;
/// f32 on both sides, sums in another order.
const F32_TOLERANCE: f64 = 1e-4;

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was computed.
    pub what: String,
    /// Relative L2 distance to the CPU's result.
    pub error: f64,
    /// The largest that is right.
    pub tolerance: f64,
}

impl Check {
    /// Whether it is right.
    pub fn is_good(&self) -> bool {
        self.error <= self.tolerance
    }

    fn new(
        what: impl Into<String>,
        (expected, found): (&Tensor, &Tensor),
        tolerance: f64,
    ) -> Result<Self> {
        let (expected, found) = (ops::on_cpu(expected)?, ops::on_cpu(found)?);
        Ok(Self {
            what: what.into(),
            error: relative_l2(&values(&expected), &values(&found)),
            tolerance,
        })
    }
}

/// Relative L2 that one layer may be off by.
fn tolerance(number: NumberType) -> f64 {
    match number {
        NumberType::F32 => F32_TOLERANCE,
        NumberType::F16 => 2e-3,
        NumberType::Bf16 => 1e-2,
    }
}

/// Every strategy for one layer, for two lengths.
///
/// # Errors
/// If the device fails.
pub fn strategies(placement: &Placement) -> Outcome<Vec<Check>> {
    let mut checks = Vec::new();
    let layer = |on: &Placement| attention_layer(WIDTH, N_HEADS, placement, on);
    let layers = (layer(&Placement::cpu())?, layer(placement)?);
    // The second is no multiple of any tile.
    for n_tokens in [1024, 333] {
        checks.extend(strategies_at((&layers.0, &layers.1), n_tokens, placement)?);
    }
    Ok(checks)
}

fn strategies_at(
    (on_cpu, on_device): (&SelfAttention, &SelfAttention),
    n_tokens: usize,
    placement: &Placement,
) -> Result<Vec<Check>> {
    let dims = [BATCH, n_tokens, WIDTH];
    let inputs = [rounded(&dims, 1, placement)?, rounded(&dims, 2, placement)?];
    let mut states = (LayerCache::default(), LayerCache::default());
    let mut checks = Vec::new();
    // `full` first: it leaves behind what the others use.
    for strategy in Strategy::ALL {
        let input = &inputs[usize::from(strategy != Strategy::Full)];
        let expected = on_cpu.execute(input, call(strategy, n_tokens, &states.0))?;
        let sent = placement.place(input)?;
        let found = on_device.execute(&sent, call(strategy, n_tokens, &states.1))?;
        let what = format!("{strategy}, {n_tokens} tokens, {}", placement.number());
        let outputs = (&expected.output, &found.output);
        checks.push(Check::new(what, outputs, tolerance(placement.number()))?);
        if strategy == Strategy::Full {
            states.0.adopt(expected.update, Retention::ALL);
            states.1.adopt(found.update, Retention::ALL);
        }
    }
    Ok(checks)
}

fn call(strategy: Strategy, n_tokens: usize, cache: &LayerCache) -> LayerCall<'_> {
    LayerCall {
        strategy,
        window: Window::eighth_of(n_tokens),
        guided: true,
        makes_residual: strategy == Strategy::Full,
        cache,
    }
}

/// Everything else that a block is made of.
///
/// # Errors
/// If the device fails.
pub fn operations(placement: &Placement) -> Result<Vec<Check>> {
    let limit = tolerance(placement.number());
    let number = placement.number();
    let x = rounded(&[2, 77, WIDTH], 1, placement)?;
    let y = rounded(&[2, 77, WIDTH], 2, placement)?;
    let shift = rounded(&[2, WIDTH], 3, placement)?;
    let scale = rounded(&[2, WIDTH], 4, placement)?;
    let text = rounded(&[40, WIDTH], 5, placement)?;
    let weight = rounded(&[72], 6, placement)?;
    let angles = rounded(&[77, 36], 7, placement)?;
    type Operation<'a> = (
        &'a str,
        &'a dyn Fn(&dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor>,
    );
    let operations: [Operation<'_>; 6] = [
        ("gelu", &|at| ops::gelu_tanh(&at(&x)?)),
        ("layer norm and modulation", &|at| {
            ops::layer_norm_modulate(&at(&x)?, &at(&shift)?, &at(&scale)?, 1e-6)
        }),
        ("gate and skip", &|at| {
            ops::gated_skip(&at(&x)?, &at(&scale)?, &at(&y)?)
        }),
        ("norm of heads", &|at| {
            ops::rms_norm_heads(&at(&x)?, &at(&weight)?, 1e-6)
        }),
        ("rotation", &|at| {
            let angles = angles.to_device(at(&x)?.device())?;
            ops::rotate_heads(&at(&x)?, &angles, &angles)
        }),
        ("cross-attention", &|at| {
            let text = at(&text)?;
            ops::cross_attention(&at(&x)?, &text, &text, N_HEADS, &[0..13, 13..40])
        }),
    ];
    let checks = operations.iter().map(|(name, operation)| {
        let expected = operation(&|tensor| Ok(tensor.clone()))?;
        let found = operation(&|tensor| placement.place(tensor))?;
        Check::new(format!("{name}, {number}"), (&expected, &found), limit)
    });
    checks.collect()
}

/// A whole forward pass of the shipped model; roundings of its blocks add up.
///
/// # Errors
/// If the device or the folder fails.
pub fn shipped_model(root: &Path, placement: &Placement) -> Outcome<Check> {
    let folder = ModelFolder::open(&root.join("models/avatars-dit"))?;
    let forward = |placement: &Placement| -> Outcome<Tensor> {
        let model = load_transformer(&folder, placement)?;
        let size = model.geometry().native_size;
        let latent = size.dims(2, model.geometry().in_channels);
        let latent = rounded(&latent, 9, &Placement::cpu())?;
        Ok(forward(model.as_ref(), &latent)?)
    };
    let (expected, found) = (forward(&Placement::cpu())?, forward(placement)?);
    let what = format!("forward pass of the shipped model, {}", placement.number());
    let limit = 5.0 * tolerance(placement.number());
    Ok(Check::new(what, (&expected, &found), limit)?)
}

fn forward(model: &dyn Transformer, latent: &Tensor) -> Result<Tensor> {
    let condition = Condition::Classes(vec![3]);
    let pass = model.begin(&StepInput {
        timestep: 500,
        condition: &condition,
        guided: true,
        size: model.geometry().native_size,
        video: None,
    })?;
    let mut hidden = pass.embed(latent)?;
    let cache = LayerCache::default();
    for block in 0..model.geometry().n_blocks {
        let mut attend = |layer: &SelfAttention, x: &Tensor| {
            let mut call = call(Strategy::Full, x.dim(1)?, &cache);
            call.makes_residual = false;
            Ok(layer.execute(x, call)?.output)
        };
        hidden = pass.block(Block(block), &hidden, &mut attend)?;
    }
    pass.output(&hidden)
}

/// Autoencoder and text encoder, which compute in f32 everywhere.
///
/// # Errors
/// If the device or a fixture fails.
pub fn companions(root: &Path, placement: &Placement) -> Outcome<Vec<Check>> {
    let folder = root.join("tests/fixtures/vae/quantised");
    let config = VaeConfig::read(&folder.join("config.json"))?;
    let latent = rounded(&[1, config.latent_channels, 8, 6], 8, &Placement::cpu())?;
    let decode = |placement: &Placement| -> Outcome<Tensor> {
        Ok(Vae::load(&folder, &config, placement)?.decode(&latent)?)
    };
    let images = (decode(&Placement::cpu())?, decode(placement)?);
    let folder = root.join("tests/fixtures/text/model");
    let prompts = ["a small cactus with a happy face in the Sahara desert".to_owned()];
    let encode = |placement: &Placement| -> Outcome<Tensor> {
        let encoder = TextEncoder::open(&folder)?.on(placement);
        let encoded = encoder.encode(&prompts, 40, &|| false)?;
        Ok(encoded[0].embeds.to_device(&Device::Cpu)?)
    };
    let texts = (encode(&Placement::cpu())?, encode(placement)?);
    Ok(vec![
        Check::new("decoded latent, f32", (&images.0, &images.1), F32_TOLERANCE)?,
        Check::new("encoded prompt, f32", (&texts.0, &texts.1), F32_TOLERANCE)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The CPU in the place of the device: every comparison is made, and is of equals.
    #[test]
    fn the_cpu_agrees_with_itself() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cpu = Placement::cpu();
        let layer = attention_layer(WIDTH, N_HEADS, &cpu, &cpu).unwrap();
        let mut checks = strategies_at((&layer, &layer), 33, &cpu).unwrap();
        assert_eq!(checks.len(), Strategy::ALL.len());
        checks.extend(operations(&cpu).unwrap());
        checks.push(shipped_model(&root, &cpu).unwrap());
        checks.extend(companions(&root, &cpu).unwrap());
        for check in &checks {
            assert_eq!(check.error, 0.0, "{}", check.what);
        }
    }

    #[test]
    fn a_wrong_number_is_seen() {
        let cpu = Placement::cpu();
        let right = rounded(&[4, 4], 1, &cpu).unwrap();
        let check = |factor: f64, expected: bool| {
            let found = (&right * factor).unwrap();
            let check = Check::new("of the test", (&right, &found), 1e-2).unwrap();
            assert_eq!(check.is_good(), expected, "{factor}: {}", check.error);
        };
        check(1.0, true);
        check(1.009, true);
        check(1.011, false);
        check(f64::NAN, false);
    }
}
