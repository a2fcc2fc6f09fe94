//! Why a run cannot be set up, in words for whoever asked for it.

use std::path::PathBuf;

use crate::diffusion::guidance::BadGuidance;
use crate::diffusion::sampler::SamplerError;
use crate::model_folder::FolderError;
use crate::model_folder::class_names::LabelError;
use crate::text::{EmbedsError, TextError};

/// Why a run cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The model folder is not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A label names no class.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// The guidance scale is not usable.
    #[error(transparent)]
    Guidance(#[from] BadGuidance),
    /// The sampler cannot be made for so many steps.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A number is out of range.
    #[error("{what} is {found}, but it must be {expected}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// Its value.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// A model that takes text is given none.
    #[error("there is nothing to draw: give --prompt TEXT (repeatable)")]
    NoPrompt,
    /// Something that this family does not have.
    #[error("{what} is not for {family} models: {remedy}")]
    NotForThisFamily {
        /// What was given.
        what: &'static str,
        /// The model's family.
        family: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Texts cannot be encoded.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Texts that somebody else encoded are not usable.
    #[error(transparent)]
    Embeds(#[from] EmbedsError),
    /// The text encoder is that of another model.
    #[error(
        "text_encoder/ makes vectors of {found}, but the transformer takes {expected}: put the text encoder of this model there"
    )]
    OtherTextEncoder {
        /// The encoder's width.
        found: usize,
        /// E of the transformer.
        expected: usize,
    },
    /// Guidance needs the negative prompt's embeddings too.
    #[error(
        "the file of prompt embeddings has no negative_prompt_embeds, which guidance needs: add them, or give --guidance 1"
    )]
    NoNegativeEmbeds,
    /// The start noise is not usable.
    #[error("start latents {path}: {reason}")]
    Latents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The noise of the steps is not usable.
    #[error("step noise {path}: {reason}")]
    StepNoise {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl SetupError {
    /// Whether the request is at fault, not a file on disk.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Label(_)
                | Self::Guidance(_)
                | Self::OutOfRange { .. }
                | Self::Sampler(_)
                | Self::NoPrompt
                | Self::NoNegativeEmbeds
                | Self::NotForThisFamily { .. }
        )
    }
}
