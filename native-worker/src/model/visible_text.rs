//! The text of a batch as cross-attention takes it: the visible tokens of all samples, one
//! after the other, and which of them each sample sees.
//!
//! Padding is nowhere. The authors pad every text to one length and take the padding out
//! of attention again: PixArt by adding -10000 to its scores, whose exponential is zero in
//! any floating-point type, Open-Sora by cutting it off. A text token never sees another
//! one here, so that leaving the padding out from the start gives the same.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use super::mlp::Mlp;

/// Text tokens, and who sees which.
pub struct VisibleText {
    /// (rows, E), or (rows, D) once projected.
    pub tokens: Tensor,
    /// Rows of each sample, N ranges.
    pub of_sample: Vec<Range<usize>>,
}

impl VisibleText {
    /// Joins one text (L, E) per sample; the lengths may differ.
    ///
    /// # Errors
    /// If a text has no token, or not the width E.
    pub fn join(texts: &[&Tensor], width: usize) -> Result<Self> {
        let mut of_sample = Vec::with_capacity(texts.len());
        let mut end = 0;
        for (sample, text) in texts.iter().enumerate() {
            match *text.dims() {
                [n, found] if n > 0 && found == width => {
                    of_sample.push(end..end + n);
                    end += n;
                }
                ref dims => bail!(
                    "text {sample} is {dims:?}, expected [tokens, {width}] with at least one token"
                ),
            }
        }
        if texts.is_empty() {
            bail!("there is no text to draw");
        }
        let tokens = Tensor::cat(texts, 0)?; // (rows, E)
        Ok(Self { tokens, of_sample })
    }

    /// The tokens through a projection, (rows, E) → (rows, D).
    ///
    /// # Errors
    /// If the projection takes another width.
    pub fn projected(self, projection: &Mlp) -> Result<Self> {
        Ok(Self {
            tokens: projection.forward(&self.tokens)?,
            of_sample: self.of_sample,
        })
    }

    /// The text of some of the samples. The tokens are those of all: only these are seen.
    ///
    /// # Errors
    /// If there are fewer samples.
    pub fn of_samples(&self, samples: &Range<usize>) -> Result<Self> {
        let Some(of_sample) = self.of_sample.get(samples.clone()) else {
            bail!("{samples:?} of {} samples", self.n_samples());
        };
        Ok(Self {
            tokens: self.tokens.clone(),
            of_sample: of_sample.to_vec(),
        })
    }

    /// N.
    pub fn n_samples(&self) -> usize {
        self.of_sample.len()
    }
}
