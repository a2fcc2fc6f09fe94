//! Attention of image tokens to the text: without a norm, without a gate, never
//! compressed.

use candle_core::{Result, Tensor};

use super::linear::Linear;
use super::visible_text::VisibleText;
use crate::kernels::ops;

/// Weights of one cross-attention layer.
pub struct CrossAttention {
    /// D → D, of the image tokens.
    pub to_q: Linear,
    /// Text width → D.
    pub to_k: Linear,
    /// Text width → D.
    pub to_v: Linear,
    /// D → D.
    pub to_out: Linear,
    /// H.
    pub n_heads: usize,
}

impl CrossAttention {
    /// `x` (N, T, D), every sample of which sees its own text → (N, T, D).
    ///
    /// # Errors
    /// If the text has another number of samples or another width.
    pub fn forward(&self, x: &Tensor, text: &VisibleText) -> Result<Tensor> {
        let q = self.to_q.forward(x)?; // (N, T, D)
        let k = self.to_k.forward(&text.tokens)?; // (rows, D)
        let v = self.to_v.forward(&text.tokens)?;
        let attended = ops::cross_attention(&q, &k, &v, self.n_heads, &text.of_sample)?;
        self.to_out.forward(&attended)
    }
}
