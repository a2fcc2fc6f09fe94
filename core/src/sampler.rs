//! The names of the samplers that a plan can be made for. The samplers themselves are
//! the engine's; a plan only records which one its losses were measured with.

use core::fmt;
use core::str::FromStr;

/// The rule that makes the next latent from a model output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplerKind {
    /// DDIM with η = 0 (Song et al. 2021).
    Ddim,
    /// DPM-Solver++ multistep (Lu et al. 2022).
    DpmSolver,
    /// Ancestral sampling with a learned variance (Nichol and Dhariwal 2021).
    Iddpm,
}

impl SamplerKind {
    /// Every sampler.
    pub const ALL: [Self; 3] = [Self::Ddim, Self::DpmSolver, Self::Iddpm];

    /// The string of plan files, flags and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::DpmSolver => "dpm-solver++",
            Self::Iddpm => "iddpm",
        }
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A string that names no sampler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown sampler {found:?}; expected ddim, dpm-solver++ or iddpm")]
pub struct UnknownSampler {
    /// What was found, shortened to 40 characters.
    pub found: alloc::string::String,
}

impl FromStr for SamplerKind {
    type Err = UnknownSampler;

    fn from_str(text: &str) -> Result<Self, UnknownSampler> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownSampler {
                found: text.chars().take(40).collect(),
            })
    }
}
