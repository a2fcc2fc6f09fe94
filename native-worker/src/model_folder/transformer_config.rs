//! The transformer's configuration of any family, and what goes without saying for each
//! family.

use super::{DitConfig, OpenSoraConfig, PixArtConfig};
use crate::model::Geometry;
use crate::text::PromptStyle;

/// The model families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// DiT: images of a class.
    Dit,
    /// PixArt-Sigma: images of a text.
    PixArt,
    /// Open-Sora 1.1: videos of a text.
    OpenSora,
}

/// What a run does where nobody says it: the settings that the paper calibrates with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamilyDefaults {
    /// Denoising steps.
    pub n_steps: usize,
    /// Guidance scale.
    pub guidance_scale: f64,
    /// Images of a calibration batch.
    pub n_calibration_inputs: usize,
}

impl Family {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dit => "DiT",
            Self::PixArt => "PixArt-Sigma",
            Self::OpenSora => "Open-Sora",
        }
    }

    /// Whether it draws what a text says; if not, it draws classes.
    pub const fn takes_text(self) -> bool {
        !matches!(self, Self::Dit)
    }

    /// Whether it makes videos.
    pub const fn makes_videos(self) -> bool {
        matches!(self, Self::OpenSora)
    }

    /// Paper, section 4.1.
    pub const fn defaults(self) -> FamilyDefaults {
        match self {
            Self::Dit => FamilyDefaults {
                n_steps: 50,
                guidance_scale: 4.0,
                n_calibration_inputs: 8,
            },
            Self::PixArt => FamilyDefaults {
                n_steps: 50,
                guidance_scale: 4.5,
                n_calibration_inputs: 6,
            },
            Self::OpenSora => FamilyDefaults {
                n_steps: 200,
                guidance_scale: 7.0,
                n_calibration_inputs: 4,
            },
        }
    }
}

/// Most tokens of a prompt that PixArt-Sigma was trained with.
const PIXART_TOKENS: usize = 300;

/// How a family takes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextFacts {
    /// E: width of the encoded text.
    pub channels: usize,
    /// Most tokens of a prompt that are seen.
    pub max_tokens: usize,
    /// How prompts are prepared.
    pub style: PromptStyle,
    /// Whether the unconditional branch has a text of its own, learned in training, instead
    /// of a negative prompt.
    pub has_learned_null: bool,
}

/// The shape of a transformer, by family.
#[derive(Clone, Debug, PartialEq)]
pub enum TransformerConfig {
    /// DiT.
    Dit(DitConfig),
    /// PixArt-Sigma.
    PixArt(PixArtConfig),
    /// Open-Sora 1.1.
    OpenSora(OpenSoraConfig),
}

impl TransformerConfig {
    /// The family.
    pub fn family(&self) -> Family {
        match self {
            Self::Dit(_) => Family::Dit,
            Self::PixArt(_) => Family::PixArt,
            Self::OpenSora(_) => Family::OpenSora,
        }
    }

    /// Sizes.
    pub fn geometry(&self) -> Geometry {
        match self {
            Self::Dit(config) => config.geometry(),
            Self::PixArt(config) => config.geometry(),
            Self::OpenSora(config) => config.geometry(),
        }
    }

    /// How it takes text; none for a family that draws classes.
    pub fn text_facts(&self) -> Option<TextFacts> {
        match self {
            Self::Dit(_) => None,
            Self::PixArt(config) => Some(TextFacts {
                channels: config.text_width(),
                max_tokens: PIXART_TOKENS,
                style: PromptStyle::LowerCase,
                has_learned_null: false,
            }),
            Self::OpenSora(config) => Some(TextFacts {
                channels: config.caption_channels,
                max_tokens: config.max_text_tokens,
                style: PromptStyle::Cleaned,
                has_learned_null: true,
            }),
        }
    }

    /// Classes, the null class not counted; none for a family that takes text.
    pub fn n_classes(&self) -> Option<u32> {
        match self {
            Self::Dit(config) => Some(config.n_classes),
            Self::PixArt(_) | Self::OpenSora(_) => None,
        }
    }
}
