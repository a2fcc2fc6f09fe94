//! Attention to the tokens of a text, on tensors.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{expect_dims, values};
use crate::attention::{AttentionShape, Qkv, tiled};
use crate::fresh;
use crate::isa::Isa;

/// Every sample of a batch attends to rows of its own, all of them.
///
/// `q`: (N, T, H·d); `k`, `v`: (rows, H·d); `visible`: N ranges of rows, none empty;
/// result (N, T, H·d).
pub fn cross_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_heads: usize,
    visible: &[Range<usize>],
) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return super::attend::cross_attend_elsewhere((q, k, v), n_heads, visible);
    }
    q.apply_op3_no_bwd(
        k,
        v,
        &CrossAttention {
            n_heads,
            visible: visible.to_vec(),
        },
    )
}

struct CrossAttention {
    n_heads: usize,
    visible: Vec<Range<usize>>,
}

impl CrossAttention {
    fn check(&self, batch: usize, width: usize, n_rows: usize) -> Result<()> {
        let Self { n_heads, visible } = self;
        if !width.is_multiple_of(*n_heads) {
            bail!("cross_attention: width {width} is not a multiple of {n_heads} heads");
        }
        if visible.len() != batch {
            bail!(
                "cross_attention: {batch} samples, but {} texts",
                visible.len()
            );
        }
        match visible
            .iter()
            .find(|rows| rows.is_empty() || rows.end > n_rows)
        {
            Some(rows) => bail!("cross_attention: a sample sees rows {rows:?} of {n_rows}"),
            None => Ok(()),
        }
    }
}

impl CustomOp3 for CrossAttention {
    fn name(&self) -> &'static str {
        "cross_attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, n_tokens, width) = q_layout.shape().dims3()?;
        let (n_rows, _) = k_layout.shape().dims2()?;
        expect_dims(self.name(), k_layout, &[n_rows, width])?;
        expect_dims(self.name(), v_layout, &[n_rows, width])?;
        self.check(batch, width, n_rows)?;
        let shape = AttentionShape {
            batch,
            n_tokens,
            n_heads: self.n_heads,
            head_size: width / self.n_heads,
        };
        let inputs = Qkv {
            q: values(self.name(), q, q_layout)?,
            k: values(self.name(), k, k_layout)?,
            v: values(self.name(), v, v_layout)?,
        };
        let mut out = fresh::zeros(shape.n_elements());
        tiled::cross_attend(Isa::best(), shape, &self.visible, inputs, &mut out);
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }
}
