//! Attention over heads stored side by side: full, windowed, or both at once.
//!
//! - [`reference`]: plain loops with f64 sums, the rung that everything is tested against.
//! - [`tiled`]: online softmax over key tiles, O(N) memory, multithreaded.
//!
//! Each of them also attends to keys of another origin and number (`cross_attend`): those
//! of a text, a different range of them for every image.
//!
//! Layout of q, k, v and the outputs: (N, T, H·d), row-major; head h of a token is the
//! slice `h·d .. (h+1)·d` of its row, as the projections leave it. No transposes.

use std::ops::Range;

use dfa_core::Window;

pub mod reference;
pub mod tiled;

/// Sizes of one attention call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// N: images in the batch, both branches counted.
    pub batch: usize,
    /// T.
    pub n_tokens: usize,
    /// H.
    pub n_heads: usize,
    /// d.
    pub head_size: usize,
}

impl AttentionShape {
    /// D = H·d, the length of a token's row.
    pub fn width(self) -> usize {
        self.n_heads * self.head_size
    }

    /// N·T·D, the length of q, k, v and of each output.
    pub fn n_elements(self) -> usize {
        self.batch * self.n_tokens * self.width()
    }

    /// `1/√d`.
    pub fn scale(self) -> f32 {
        1.0 / (self.head_size as f32).sqrt()
    }
}

/// Which outputs an attention call makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionMask {
    /// Every query sees every key; output `O`.
    Full,
    /// Every query sees its window; output `W`.
    Windowed(Window),
    /// Both in one pass over the keys; outputs `O`, then the window residual `R = O - W`.
    FullAndResidual(Window),
}

impl AttentionMask {
    /// Number of (N, T, D) outputs, one after the other.
    pub fn n_outputs(self) -> usize {
        match self {
            Self::Full | Self::Windowed(_) => 1,
            Self::FullAndResidual(_) => 2,
        }
    }
}

/// Inputs of an attention call, each (N, T, H·d).
#[derive(Clone, Copy, Debug)]
pub struct Qkv<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// Where a call puts what it makes, each (N, T, H·d).
#[derive(Debug)]
pub struct Outputs<'a> {
    /// `O` or `W`.
    pub output: &'a mut [f32],
    /// `R`; empty unless the mask asks for it.
    pub window_residual: &'a mut [f32],
}

impl Qkv<'_> {
    /// Checks the slices against the shape once, so that kernels can slice freely.
    fn check(&self, shape: AttentionShape) {
        for (name, slice) in [("q", self.q), ("k", self.k), ("v", self.v)] {
            assert_eq!(slice.len(), shape.n_elements(), "{name} is (N, T, H·d)");
        }
    }

    /// The same for keys of another origin.
    fn check_cross(&self, shape: AttentionShape, visible: &[Range<usize>], out: &[f32]) {
        assert_eq!(self.q.len(), shape.n_elements(), "q is (N, T, H·d)");
        assert_eq!(out.len(), shape.n_elements(), "out is (N, T, H·d)");
        assert_eq!(self.k.len(), self.v.len(), "k and v are (rows, H·d)");
        assert_eq!(visible.len(), shape.batch, "one range of rows per image");
        let n_rows = self.k.len() / shape.width();
        let inside = visible
            .iter()
            .all(|rows| rows.start < rows.end && rows.end <= n_rows);
        assert!(inside, "every image sees at least one of the {n_rows} rows");
    }
}
