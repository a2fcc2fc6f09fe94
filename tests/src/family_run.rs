//! Runs of models of any family, and forward passes, for the tests of the engine.

use std::path::Path;
use std::sync::Arc;

use candle_core::{Result, Tensor};
use dfa_core::{Block, Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, SelfAttention};
use dfa_native_worker::device::Placement;
use dfa_native_worker::diffusion::denoiser::Denoiser;
use dfa_native_worker::diffusion::guidance::Guidance;
use dfa_native_worker::diffusion::sampler::Sampler;
use dfa_native_worker::diffusion::step_noise::{GivenNoise, StepNoise};
use dfa_native_worker::model::{Condition, LatentSize, StepInput, Transformer, VideoFacts};
use dfa_native_worker::model_folder::ModelFolder;
use dfa_native_worker::run_setup::load_transformer;

/// A loaded model of any family with everything that a run of it needs.
pub struct FamilyRun {
    pub model: Arc<dyn Transformer>,
    pub sampler: Sampler,
    pub guidance: Guidance,
    pub step_noise: StepNoise,
    pub setting: Setting,
}

/// What is asked of a run.
pub struct Setting {
    pub n_steps: usize,
    pub guidance_scale: f64,
    pub condition: Condition,
    pub size: LatentSize,
    pub video: Option<VideoFacts>,
    /// (steps, B, C, …), for a sampler that draws noise.
    pub step_noise: Option<Tensor>,
}

impl Setting {
    fn step_noise(&self) -> StepNoise {
        let Some(noise) = &self.step_noise else {
            return StepNoise::Seeded { seed: 0 };
        };
        match GivenNoise::new(noise, self.n_steps, &noise.dims()[1..]) {
            Ok(given) => StepNoise::Given(given),
            Err(error) => panic!("{error}"),
        }
    }
}

impl FamilyRun {
    /// Opens a model folder.
    ///
    /// # Panics
    /// If it is broken.
    pub fn open(path: &Path, setting: Setting) -> Self {
        Self::open_on(path, setting, &Placement::cpu())
    }

    /// The same on a device.
    ///
    /// # Panics
    /// If the folder is broken, or the device has not enough memory.
    pub fn open_on(path: &Path, setting: Setting, placement: &Placement) -> Self {
        let folder = ModelFolder::open(path).unwrap_or_else(|error| panic!("{error}"));
        let model = load_transformer(&folder, placement).unwrap_or_else(|error| panic!("{error}"));
        let sampler = Sampler::new(&folder.sampler, setting.n_steps);
        let guidance = Guidance::new(setting.guidance_scale);
        Self {
            model,
            sampler: sampler.unwrap_or_else(|error| panic!("{error}")),
            guidance: guidance.unwrap_or_else(|error| panic!("{error}")),
            step_noise: setting.step_noise(),
            setting,
        }
    }

    /// The run's fixed parts.
    pub fn denoiser(&self) -> Denoiser<'_> {
        Denoiser {
            model: self.model.as_ref(),
            sampler: &self.sampler,
            guidance: self.guidance,
            images: 0..self.setting.condition.n_images(),
            step_noise: &self.step_noise,
            condition: self.setting.condition.clone(),
            size: self.setting.size,
            video: self.setting.video,
        }
    }
}

/// A forward pass with full attention everywhere; also the hidden state after each block.
///
/// # Errors
/// Whatever the model fails with.
pub fn full_forward(
    model: &dyn Transformer,
    latent: &Tensor,
    input: &StepInput<'_>,
) -> Result<(Tensor, Vec<Tensor>)> {
    let pass = model.begin(input)?;
    let mut hidden = pass.embed(latent)?;
    let mut states = Vec::new();
    for block in 0..model.geometry().n_blocks {
        let cache = LayerCache::default();
        let call = LayerCall {
            strategy: Strategy::Full,
            window: Window::symmetric(0),
            guided: false,
            makes_residual: false,
            cache: &cache,
        };
        let mut attend = |layer: &SelfAttention, x: &Tensor| Ok(layer.execute(x, call)?.output);
        hidden = pass.block(Block(block), &hidden, &mut attend)?;
        states.push(hidden.clone());
    }
    Ok((pass.output(&hidden)?, states))
}
