//! Models, samplers and runs for the tests of the engine.

use std::sync::Arc;

use candle_core::Tensor;
use dfa_core::Step;
use dfa_native_worker::device::Placement;
use dfa_native_worker::diffusion::denoiser::Denoiser;
use dfa_native_worker::diffusion::guidance::Guidance;
use dfa_native_worker::diffusion::noise::start_noise;
use dfa_native_worker::diffusion::sampler::Sampler;
use dfa_native_worker::diffusion::step_noise::StepNoise;
use dfa_native_worker::model::{Condition, LatentSize, Transformer};
use dfa_native_worker::model_folder::ModelFolder;
use dfa_native_worker::run_setup::load_transformer;

use crate::fixtures::{fixture, shipped_model};

/// A loaded model with everything that a run of it needs.
pub struct TestRun {
    pub folder: ModelFolder,
    pub model: Arc<dyn Transformer>,
    pub sampler: Sampler,
    pub guidance: Guidance,
    pub labels: Vec<u32>,
    pub step_noise: StepNoise,
}

impl TestRun {
    /// The tiny random model: 3 blocks, 36 tokens, learned variance.
    ///
    /// # Panics
    /// If the fixture is broken.
    pub fn tiny(n_steps: usize, guidance_scale: f64, labels: &[u32]) -> Self {
        Self::open(&fixture("dit/tiny"), n_steps, guidance_scale, labels)
    }

    /// The shipped model.
    ///
    /// # Panics
    /// If it is broken.
    pub fn shipped(n_steps: usize, guidance_scale: f64, labels: &[u32]) -> Self {
        Self::open(&shipped_model(), n_steps, guidance_scale, labels)
    }

    /// Any model folder.
    ///
    /// # Panics
    /// If it is broken.
    pub fn open(
        path: &std::path::Path,
        n_steps: usize,
        guidance_scale: f64,
        labels: &[u32],
    ) -> Self {
        let folder = ModelFolder::open(path).unwrap_or_else(|error| panic!("{error}"));
        let model =
            load_transformer(&folder, &Placement::cpu()).unwrap_or_else(|error| panic!("{error}"));
        let sampler =
            Sampler::new(&folder.sampler, n_steps).unwrap_or_else(|error| panic!("{error}"));
        let guidance = Guidance::new(guidance_scale).unwrap_or_else(|error| panic!("{error}"));
        Self {
            folder,
            model,
            sampler,
            guidance,
            labels: labels.to_vec(),
            step_noise: StepNoise::Seeded { seed: 0 },
        }
    }

    /// The run's fixed parts.
    pub fn denoiser(&self) -> Denoiser<'_> {
        Denoiser {
            model: self.model.as_ref(),
            sampler: &self.sampler,
            guidance: self.guidance,
            condition: Condition::Classes(self.labels.clone()),
            images: 0..self.labels.len(),
            step_noise: &self.step_noise,
            size: self.size(),
            video: None,
        }
    }

    /// The size the model was trained for.
    pub fn size(&self) -> LatentSize {
        self.model.geometry().native_size
    }

    /// Tokens at that size.
    pub fn n_tokens(&self) -> usize {
        self.model.geometry().n_tokens(self.size())
    }

    /// Start noise of the run's images.
    ///
    /// # Panics
    /// If the tensor cannot be made.
    pub fn noise(&self, seed: u64) -> Tensor {
        let n_channels = self.model.geometry().in_channels;
        let images = 0..self.labels.len() as u64;
        match start_noise(seed, images, n_channels, self.size()) {
            Ok(noise) => noise,
            Err(error) => panic!("{error}"),
        }
    }

    /// All steps of the run.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        (0..self.sampler.n_steps()).map(Step)
    }
}
