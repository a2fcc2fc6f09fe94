//! Attention over the frames of each place, with rotary positions. A video has few frames,
//! so that this is computed plainly at every step and never compressed.

use candle_core::{Device, Result, Tensor};

use crate::attention::Projections;
use crate::kernels::attention::AttentionMask;
use crate::kernels::ops;
use crate::model::qk_norm::QkNorm;

/// Weights of one temporal attention layer.
pub(super) struct TemporalAttention {
    pub(super) projections: Projections,
    pub(super) n_heads: usize,
    pub(super) qk_norm: Option<QkNorm>,
    /// Whether queries and keys are normed after their rotation, not before.
    pub(super) norm_after_rotation: bool,
}

/// Cosine and sine of the angle of each frame and pair, (F, d/2).
#[derive(Clone)]
pub(super) struct Rotations {
    cosines: Tensor,
    sines: Tensor,
}

impl Rotations {
    /// `frequencies`: (d/2), the angle by which a pair turns from frame to frame.
    pub(super) fn new(frequencies: &[f32], n_frames: usize, device: &Device) -> Result<Self> {
        let table = |function: fn(f32) -> f32| {
            let frames = (0..n_frames).map(|frame| frame as f32);
            let angles =
                frames.flat_map(|frame| frequencies.iter().map(move |f| function(frame * f)));
            let shape = (n_frames, frequencies.len());
            Tensor::from_vec(angles.collect::<Vec<_>>(), shape, device)
        };
        Ok(Self {
            cosines: table(libm::cosf)?,
            sines: table(libm::sinf)?,
        })
    }

    fn n_frames(&self) -> Result<usize> {
        self.cosines.dim(0)
    }

    /// (n, F, D) → the same, every head turned.
    fn turn(&self, x: &Tensor) -> Result<Tensor> {
        ops::rotate_heads(x, &self.cosines, &self.sines)
    }
}

impl TemporalAttention {
    /// (N, F·S, D) → (N, F·S, D).
    pub(super) fn forward(&self, x: &Tensor, rotations: &Rotations) -> Result<Tensor> {
        let (n, n_tokens, d) = x.dims3()?;
        let f = rotations.n_frames()?;
        let s = n_tokens / f;
        let places = x.reshape((n, f, s, d))?.transpose(1, 2)?.contiguous()?; // (N, S, F, D)
        let places = places.reshape((n * s, f, d))?;
        let (q, k) = self.queries_and_keys(&places, rotations)?; // (N·S, F, D)
        let v = self.projections.to_v.forward(&places)?;
        let attended = ops::attend(&q, &k, &v, self.n_heads, AttentionMask::Full)?.output;
        let output = self.projections.to_out.forward(&attended)?; // (N·S, F, D)
        let output = output
            .reshape((n, s, f, d))?
            .transpose(1, 2)?
            .contiguous()?;
        output.reshape((n, n_tokens, d))
    }

    fn queries_and_keys(&self, x: &Tensor, rotations: &Rotations) -> Result<(Tensor, Tensor)> {
        let q = self.projections.to_q.forward(x)?;
        let k = self.projections.to_k.forward(x)?;
        match &self.qk_norm {
            None => Ok((rotations.turn(&q)?, rotations.turn(&k)?)),
            Some(norm) if self.norm_after_rotation => {
                norm.apply(&rotations.turn(&q)?, &rotations.turn(&k)?)
            }
            Some(norm) => {
                let (q, k) = norm.apply(&q, &k)?;
                Ok((rotations.turn(&q)?, rotations.turn(&k)?))
            }
        }
    }
}
