//! The fields of the form, and what is wrong with one.

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Id of a plan.
    Plan,
    /// Classes.
    Labels,
    /// Texts.
    Prompts,
    /// Text to lead away from.
    Negative,
    /// Number of pictures.
    Images,
    /// Size.
    Size,
    /// Frames.
    Frames,
    /// Frames per second.
    Fps,
    /// Seed.
    Seed,
    /// Denoising steps.
    Steps,
    /// Guidance scale.
    Guidance,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 11] = [
        Self::Plan,
        Self::Labels,
        Self::Prompts,
        Self::Negative,
        Self::Images,
        Self::Size,
        Self::Frames,
        Self::Fps,
        Self::Seed,
        Self::Steps,
        Self::Guidance,
    ];

    /// The name that the worker has for it, in its refusals.
    pub const fn param(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Labels => "labels",
            Self::Prompts => "prompts",
            Self::Negative => "negative_prompt",
            Self::Images => "n_images",
            Self::Size => "size",
            Self::Frames => "num_frames",
            Self::Fps => "fps",
            Self::Seed => "seed",
            Self::Steps => "steps",
            Self::Guidance => "guidance_scale",
        }
    }
}

/// Why a form is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormProblem {
    /// The field.
    pub field: Field,
    /// What to do about it.
    pub words: String,
}
