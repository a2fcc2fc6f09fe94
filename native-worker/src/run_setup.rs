//! What a run needs, from what a person asked for: opens the model folder, checks every
//! value, makes the sampler and the start noise. Calibration, generation and comparison
//! all begin here.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use dfa_core::cost::LayerShape;
use dfa_core::liveness::CacheShape;
use dfa_core::wire::{CalibrationInputs, ContentHash, Fingerprint, Provenance};

use crate::device::Placement;
use crate::diffusion::denoiser::Denoiser;
use crate::diffusion::step_noise::StepNoise;
use crate::model::dit::Dit;
use crate::model::open_sora::OpenSora;
use crate::model::pixart::PixArt;
use crate::model::{Condition, Geometry, Transformer};
use crate::model_folder::{FolderError, ModelFolder, ModelIdentity, TransformerConfig};
pub use crate::tensor_file::TensorFile;

mod aspect_ratio_bins;
mod checked_run;
mod run_noise;
mod run_spec;
mod setup_error;
pub mod sizes;
pub mod subjects;
mod text_condition;

pub use checked_run::CheckedRun;
use run_noise::{checked_start, step_noise_of};
pub use run_spec::RunSpec;
pub use setup_error::SetupError;
pub use subjects::{Purpose, Subjects};
use text_condition::encode;

/// Most denoising steps of a run.
pub const MAX_STEPS: usize = 1000;
/// Most images of a run.
pub const MAX_IMAGES: usize = 4096;
/// Longest side of a latent.
pub const MAX_SIDE: usize = 4096;
/// Most frames of a video.
pub const MAX_FRAMES: usize = 512;

/// A model in memory. A clone is the same model: it never changes, so runs share it.
#[derive(Clone)]
pub struct LoadedModel {
    /// The model folder.
    pub folder: ModelFolder,
    /// Hashes of the model.
    pub identity: ModelIdentity,
    /// The network.
    pub model: Arc<dyn Transformer>,
    /// Where it is.
    pub placement: Placement,
}

impl LoadedModel {
    /// Loads the weights of a folder whose files were hashed before onto a device.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn load(
        folder: ModelFolder,
        identity: ModelIdentity,
        placement: &Placement,
    ) -> Result<Self, SetupError> {
        let model = load_transformer(&folder, placement)?;
        // Whoever uses it may be another thread, with a stream of its own.
        placement.device().synchronize()?;
        Ok(Self {
            identity,
            model,
            folder,
            placement: placement.clone(),
        })
    }
}

/// The network of a folder, of whatever family, on a device.
///
/// # Errors
/// [`FolderError`] lists every tensor that is missing or misshapen.
pub fn load_transformer(
    folder: &ModelFolder,
    placement: &Placement,
) -> Result<Arc<dyn Transformer>, FolderError> {
    match &folder.transformer {
        TransformerConfig::Dit(config) => Ok(Arc::new(Dit::load(folder, config, placement)?)),
        TransformerConfig::PixArt(config) => Ok(Arc::new(PixArt::load(folder, config, placement)?)),
        TransformerConfig::OpenSora(config) => {
            Ok(Arc::new(OpenSora::load(folder, config, placement)?))
        }
    }
}

/// Everything that is fixed during a run, loaded and checked.
pub struct RunSetup {
    /// The model.
    pub loaded: LoadedModel,
    /// The values of the run.
    pub run: CheckedRun,
    /// What the images show, as the model takes it.
    pub condition: Condition,
    /// Start noise, (B, C, …).
    pub latent: Tensor,
    /// What an ancestral sampler adds at each step.
    pub step_noise: StepNoise,
    /// Hash of the start noise, if it came from a file.
    pub latents_sha256: Option<ContentHash>,
    /// Hash of the texts, if somebody else encoded them.
    pub embeds_sha256: Option<ContentHash>,
    /// What a person should know before the run.
    pub warnings: Vec<String>,
    /// Hash of the noise of the steps, if it came from a file.
    pub step_noise_sha256: Option<ContentHash>,
}

impl RunSetup {
    /// Opens, checks and loads everything. Texts are encoded before the transformer is
    /// loaded; `stop` is asked meanwhile.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong; cheap checks come first.
    pub fn prepare(spec: &RunSpec, stop: &dyn Fn() -> bool) -> Result<Self, SetupError> {
        let folder = ModelFolder::open(&spec.model)?;
        let (run, latent, latents_sha256) = checked_start(spec, &folder)?;
        let (step_noise, step_noise_sha256) = step_noise_of(spec, &run, &latent)?;
        let encoded = encode(&folder, spec, (&run.subjects, run.guidance.is_on()), stop)?;
        let identity = folder.identity()?;
        Ok(Self {
            loaded: LoadedModel::load(folder, identity, &spec.placement)?,
            step_noise,
            step_noise_sha256,
            run,
            condition: encoded.condition,
            embeds_sha256: encoded.embeds_sha256,
            warnings: encoded.warnings,
            latent,
            latents_sha256,
        })
    }

    /// The same for a model that is in memory; `spec.model` is not looked at.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn with_model(
        spec: &RunSpec,
        loaded: LoadedModel,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, SetupError> {
        let (run, latent, latents_sha256) = checked_start(spec, &loaded.folder)?;
        let (step_noise, step_noise_sha256) = step_noise_of(spec, &run, &latent)?;
        let of_run = (&run.subjects, run.guidance.is_on());
        let encoded = encode(&loaded.folder, spec, of_run, stop)?;
        Ok(Self {
            loaded,
            step_noise,
            step_noise_sha256,
            run,
            condition: encoded.condition,
            embeds_sha256: encoded.embeds_sha256,
            warnings: encoded.warnings,
            latent,
            latents_sha256,
        })
    }

    /// Images of the run.
    pub fn n_images(&self) -> usize {
        self.run.subjects.n_images()
    }

    /// The run over some of the images.
    pub fn denoiser(&self, images: Range<usize>) -> Denoiser<'_> {
        Denoiser {
            model: self.loaded.model.as_ref(),
            sampler: &self.run.sampler,
            guidance: self.run.guidance,
            condition: self.condition.of_images(images.clone()),
            images,
            step_noise: &self.step_noise,
            size: self.run.size,
            video: self.run.video,
        }
    }

    /// The run over all images.
    pub fn whole_denoiser(&self) -> Denoiser<'_> {
        self.denoiser(0..self.n_images())
    }

    /// What image `index` shows, for people: its class's name or its prompt.
    pub fn subject_name(&self, index: usize) -> String {
        match &self.run.subjects {
            Subjects::Classes(classes) => self.loaded.folder.class_names.name(classes[index]),
            Subjects::Prompts { prompts, .. } => prompts[index].clone(),
            Subjects::Embeds { .. } => format!("text {index}"),
        }
    }

    /// Sizes of the transformer.
    pub fn geometry(&self) -> &Geometry {
        self.loaded.model.geometry()
    }

    /// T.
    pub fn n_tokens(&self) -> usize {
        self.geometry().n_tokens(self.run.size)
    }

    /// Sizes of one self-attention layer, for counting.
    pub fn layer_shape(&self) -> LayerShape {
        LayerShape {
            n_tokens: self.n_tokens(),
            width: self.geometry().width(),
        }
    }

    /// Sizes of the layer caches of a batch of `n_images`.
    pub fn cache_shape(&self, n_images: usize) -> CacheShape {
        CacheShape {
            batch: n_images * self.run.size.n_sequences(),
            branches: self.run.guidance.n_branches(),
            n_tokens: self.n_tokens(),
            width: self.geometry().width(),
            bytes_per_element: self.run.number.dtype().size_in_bytes(),
        }
    }

    /// Texts that came encoded have no words of their own: their file's hash stands for them.
    fn embeds_in_words(&self, n_images: usize) -> Vec<String> {
        let hash = self.embeds_sha256.map(|hash| hash.to_string());
        let hash = hash.unwrap_or_default();
        (0..n_images)
            .map(|idx| format!("(text {idx} of embeddings {hash})"))
            .collect()
    }

    /// What a plan for this run must match.
    pub fn fingerprint(&self) -> Fingerprint {
        self.run
            .fingerprint(&self.loaded.folder, &self.loaded.identity)
    }

    /// Where a plan calibrated by this run comes from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            model_id: self.loaded.folder.model_id.clone(),
            seed: self.run.seed,
            inputs: match &self.run.subjects {
                Subjects::Classes(classes) => CalibrationInputs::Labels(classes.clone()),
                Subjects::Prompts { prompts, .. } => CalibrationInputs::Prompts(prompts.clone()),
                Subjects::Embeds { n_images } => {
                    CalibrationInputs::Prompts(self.embeds_in_words(*n_images))
                }
            },
            negative_prompt: self.run.subjects.negative_prompt().map(str::to_owned),
            prompt_embeds_sha256: self.embeds_sha256,
            size: Some(self.run.shown_size(&self.loaded.folder)),
            num_frames: self.run.size.frames.map(|frames| frames as u32),
            fps: self.run.video.map(|video| video.fps),
            latents_sha256: self.latents_sha256,
            width: Some(self.geometry().width()),
            tool_version: tool_version(),
        }
    }
}

/// Name and version of this program.
pub fn tool_version() -> String {
    format!("dfa {}", env!("CARGO_PKG_VERSION"))
}

fn within(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), SetupError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(SetupError::OutOfRange {
        what,
        found: found.to_string(),
        expected: format!("from {least} to {most}"),
    })
}
