//! The fields of a calibration's form, under their names in JSON.

/// The fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Which model.
    Model,
    /// Classes of the calibration inputs, indices.
    Labels,
    /// Texts to draw, one a line.
    Prompts,
    /// Text that guidance leads away from.
    NegativePrompt,
    /// Number of calibration inputs.
    NImages,
    /// Seed of noise and random classes.
    Seed,
    /// δ.
    Threshold,
    /// The window.
    Window,
    /// Denoising steps.
    Steps,
    /// Weight of guidance.
    GuidanceScale,
    /// The sampler.
    Sampler,
    /// The loss.
    Loss,
    /// Candidates in their order, plan strings.
    Candidates,
    /// Mode of the search.
    Search,
    /// Size of the pictures.
    Size,
    /// Frames of a video.
    NumFrames,
    /// Frames per second of a video.
    Fps,
    /// Half of the residual.
    ResidualHalf,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 18] = [
        Self::Model,
        Self::Labels,
        Self::Prompts,
        Self::NegativePrompt,
        Self::NImages,
        Self::Seed,
        Self::Threshold,
        Self::Window,
        Self::Steps,
        Self::GuidanceScale,
        Self::Sampler,
        Self::Loss,
        Self::Candidates,
        Self::Search,
        Self::Size,
        Self::NumFrames,
        Self::Fps,
        Self::ResidualHalf,
    ];

    /// Its name in JSON, in refusals and in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Labels => "labels",
            Self::Prompts => "prompts",
            Self::NegativePrompt => "negative_prompt",
            Self::NImages => "n_images",
            Self::Seed => "seed",
            Self::Threshold => "threshold",
            Self::Window => "window",
            Self::Steps => "steps",
            Self::GuidanceScale => "guidance_scale",
            Self::Sampler => "sampler",
            Self::Loss => "loss",
            Self::Candidates => "candidates",
            Self::Search => "search",
            Self::Size => "size",
            Self::NumFrames => "num_frames",
            Self::Fps => "fps",
            Self::ResidualHalf => "residual_half",
        }
    }

    /// The field of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}
