//! What the images of a batch are to show: a class each, or a text each.

use std::ops::Range;

use candle_core::Tensor;

/// One entry per image of a batch (B), whatever the number of branches.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Class indices.
    Classes(Vec<u32>),
    /// Encoded texts.
    Text(TextCondition),
}

/// Encoded texts, each (L, E) of its own length: only tokens that attention may see, no
/// padding.
#[derive(Clone, Debug)]
pub struct TextCondition {
    /// What each image shows.
    pub prompts: Vec<Tensor>,
    /// What guidance leads each image away from. Empty where nothing is guided, or where
    /// the model has learned its unconditional text.
    pub negatives: Vec<Tensor>,
}

impl Condition {
    /// B.
    pub fn n_images(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Text(text) => text.prompts.len(),
        }
    }

    /// The condition of some of the images.
    ///
    /// # Panics
    /// If there are fewer images.
    #[must_use]
    pub fn of_images(&self, images: Range<usize>) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(classes[images].to_vec()),
            Self::Text(text) => {
                let negatives = match text.negatives.is_empty() {
                    true => Vec::new(),
                    false => text.negatives[images.clone()].to_vec(),
                };
                Self::Text(TextCondition {
                    prompts: text.prompts[images].to_vec(),
                    negatives,
                })
            }
        }
    }

    /// What this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Text(_) => "text",
        }
    }
}
