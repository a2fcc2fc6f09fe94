//! Runs the images of a setup in batches, raw or by a plan. An image's start noise does
//! not depend on its batch.

use candle_core::Tensor;
use dfa_core::CompressionPlan;

use crate::decoding::{self, DecodeError};
use crate::generate::{Generated, RunError, generate};
use crate::observer::Observer;
use crate::picture::Clip;
use crate::run_setup::RunSetup;

/// All images of a run, and what they took.
pub struct ImageRun {
    /// Final latents, (B, C, …).
    pub latent: Tensor,
    /// Wall time of the denoising loops, in seconds.
    pub total_secs: f64,
    /// Wall time of the self-attention layers, projections included, in seconds.
    pub attention_secs: f64,
    /// Most bytes that the layer caches held at once.
    pub peak_cache_bytes: u64,
}

/// Gathers the batches of a run.
#[derive(Default)]
pub struct BatchCollector {
    latents: Vec<Tensor>,
    total_secs: f64,
    attention_secs: f64,
    peak_cache_bytes: u64,
}

impl BatchCollector {
    fn push(&mut self, batch: Generated) {
        self.latents.push(batch.latent);
        self.total_secs += batch.total_secs;
        self.attention_secs += batch.attention_secs;
        self.peak_cache_bytes = self.peak_cache_bytes.max(batch.peak_cache_bytes);
    }

    /// The whole run.
    ///
    /// # Errors
    /// If no batch was run.
    pub fn finish(self) -> Result<ImageRun, RunError> {
        Ok(ImageRun {
            latent: Tensor::cat(&self.latents, 0)?,
            total_secs: self.total_secs,
            attention_secs: self.attention_secs,
            peak_cache_bytes: self.peak_cache_bytes,
        })
    }
}

/// The images of a setup, cut into batches.
#[derive(Clone, Copy)]
pub struct ImageBatches<'a> {
    /// The run.
    pub setup: &'a RunSetup,
    /// Most images denoised at once.
    pub batch_size: usize,
}

impl ImageBatches<'_> {
    /// First images of the batches.
    pub fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.setup.n_images()).step_by(self.batch_size.max(1))
    }

    /// Runs the batch that begins with image `first` and collects it.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_one(
        &self,
        first: usize,
        plan: Option<&CompressionPlan>,
        into: &mut BatchCollector,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let n = self.batch_size.max(1).min(self.setup.n_images() - first);
        let denoiser = self.setup.denoiser(first..first + n);
        let latent = self.setup.latent.narrow(0, first, n)?.contiguous()?;
        into.push(generate(&denoiser, plan, &latent, observer)?);
        Ok(())
    }

    /// Runs all batches.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_all(
        &self,
        plan: Option<&CompressionPlan>,
        observer: &mut dyn Observer,
    ) -> Result<ImageRun, RunError> {
        let mut collector = BatchCollector::default();
        for first in self.starts() {
            self.run_one(first, plan, &mut collector, observer)?;
        }
        collector.finish()
    }
}

impl ImageRun {
    /// The images or videos.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn clips(&self, setup: &RunSetup) -> Result<Vec<Clip>, DecodeError> {
        decoding::clips(setup, &self.latent)
    }
}
