//! One layer computed under several strategies for the same input: what they have in common
//! is computed once.
//!
//! Queries, keys and values are everyone's; full attention and its window residual belong
//! to `full` and `asc`, window attention to the windowed strategies. Every number has the
//! bits that [`SelfAttention::execute`] gives it. Sharing between branches is not done
//! here: the caller copies the conditional branch's output.

use candle_core::{Result, Tensor};
use dfa_core::{Strategy, Window};

use super::SelfAttention;
use crate::kernels::attention::AttentionMask;

/// What a layer gives for some of the branches, all of which are computed.
#[derive(Clone, Debug)]
pub struct Computed {
    /// After the output projection, (N, T, D).
    pub output: Tensor,
    /// Full minus window attention before it, (N, T, D), where full attention was computed.
    pub window_residual: Option<Tensor>,
}

/// What was computed so far for one input of one layer.
#[derive(Clone, Debug, Default)]
pub struct SharedParts {
    /// Each (N, T, D).
    queries_keys_values: Option<(Tensor, Tensor, Tensor)>,
    full: Option<Computed>,
    /// Window attention before the output projection, (N, T, D).
    windowed: Option<Tensor>,
}

impl SharedParts {
    fn queries_keys_values(
        &mut self,
        layer: &SelfAttention,
        x: &Tensor,
    ) -> Result<&(Tensor, Tensor, Tensor)> {
        match &mut self.queries_keys_values {
            Some(known) => Ok(known),
            unknown => Ok(unknown.insert(layer.queries_keys_values(x)?)),
        }
    }
}

impl SelfAttention {
    /// Full attention for `x` (N, T, D), with the window residual.
    pub(crate) fn share_full(
        &self,
        x: &Tensor,
        window: Window,
        parts: &mut SharedParts,
    ) -> Result<Computed> {
        if let Some(full) = &parts.full {
            return Ok(full.clone());
        }
        let projected = parts.queries_keys_values(self, x)?;
        let mask = AttentionMask::FullAndResidual(window);
        let (attended, window_residual) = self.attend_masked(projected, mask)?;
        let full = Computed {
            output: self.projections.to_out.forward(&attended)?,
            window_residual,
        };
        parts.full = Some(full.clone());
        Ok(full)
    }

    /// Window attention for `x` (N, T, D), plus a kept window residual of the same shape
    /// unless it is left out (`wa`).
    pub(crate) fn share_windowed(
        &self,
        x: &Tensor,
        window: Window,
        residual: Option<&Tensor>,
        parts: &mut SharedParts,
    ) -> Result<Computed> {
        let windowed = match &parts.windowed {
            Some(known) => known.clone(),
            None => {
                let projected = parts.queries_keys_values(self, x)?;
                let mask = AttentionMask::Windowed(window);
                self.attend_masked(projected, mask)?.0
            }
        };
        parts.windowed = Some(windowed.clone());
        let attended = match residual {
            Some(residual) => (windowed + residual)?,
            None => windowed,
        };
        Ok(Computed {
            output: self.projections.to_out.forward(&attended)?,
            window_residual: None,
        })
    }
}

/// The strategy that does for the conditional branch what `strategy` does.
pub(crate) fn on_conditional(strategy: Strategy) -> Strategy {
    match strategy {
        Strategy::ShareCfg => Strategy::Full,
        Strategy::WindowResidualShareCfg => Strategy::WindowResidual,
        Strategy::Full | Strategy::WindowResidual | Strategy::ShareSteps | Strategy::WindowOnly => {
            strategy
        }
    }
}
