//! The ways to compute one self-attention layer at one step, what each needs from
//! earlier steps and what each leaves behind.
//!
//! One strategy is shared by all heads and all samples of the layer (paper, section 3).
//! A strategy is a decision; how it is executed is the engine's business.

use core::fmt;
use core::str::FromStr;

/// How one self-attention layer is computed at one step (paper, section 3.2–3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Full attention, for both branches.
    Full,
    /// WA-RS: window attention plus the window residual of the last full step.
    WindowResidual,
    /// AST: the layer's output of the last step that computed anything.
    ShareSteps,
    /// ASC: full attention for the conditional branch only, its output used for both.
    ShareCfg,
    /// WA-RS + ASC: window attention and residual of the conditional branch, used for both.
    WindowResidualShareCfg,
    /// Ablation of the paper (its figure 7): window attention without the residual.
    /// Algorithm 1 never proposes it by default.
    WindowOnly,
}

impl Strategy {
    /// Every strategy, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::WindowResidual,
        Self::ShareSteps,
        Self::ShareCfg,
        Self::WindowResidualShareCfg,
        Self::WindowOnly,
    ];

    /// Algorithm 1's candidates, strongest saving first.
    pub const CANDIDATES: [Self; 4] = [
        Self::ShareSteps,
        Self::WindowResidualShareCfg,
        Self::WindowResidual,
        Self::ShareCfg,
    ];

    /// The string of plan files, flags and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::WindowResidual => "wa_rs",
            Self::ShareSteps => "ast",
            Self::ShareCfg => "asc",
            Self::WindowResidualShareCfg => "wa_rs+asc",
            Self::WindowOnly => "wa",
        }
    }

    /// The paper's abbreviation, for people.
    pub const fn paper_name(self) -> &'static str {
        match self {
            Self::Full => "full attention",
            Self::WindowResidual => "WA-RS",
            Self::ShareSteps => "AST",
            Self::ShareCfg => "ASC",
            Self::WindowResidualShareCfg => "WA-RS + ASC",
            Self::WindowOnly => "WA (no residual)",
        }
    }

    /// Whether the layer's whole attention matrix is computed (for at least one branch).
    /// Only such a step can refresh the window residual.
    pub const fn computes_full(self) -> bool {
        matches!(self, Self::Full | Self::ShareCfg)
    }

    /// Whether anything is computed at all; otherwise the kept output is returned.
    pub const fn computes(self) -> bool {
        !matches!(self, Self::ShareSteps)
    }

    /// Whether the attention is restricted to the window.
    pub const fn is_windowed(self) -> bool {
        matches!(
            self,
            Self::WindowResidual | Self::WindowResidualShareCfg | Self::WindowOnly
        )
    }

    /// Whether the window residual of an earlier full step is added.
    pub const fn uses_residual(self) -> bool {
        matches!(self, Self::WindowResidual | Self::WindowResidualShareCfg)
    }

    /// Whether only the conditional branch is computed and shared with the other.
    /// Such a strategy exists only with classifier-free guidance.
    pub const fn shares_cfg(self) -> bool {
        matches!(self, Self::ShareCfg | Self::WindowResidualShareCfg)
    }

    /// Whether something an earlier step left behind is needed.
    pub const fn needs_history(self) -> bool {
        self.uses_residual() || matches!(self, Self::ShareSteps)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A string that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy {found:?}; expected one of full, wa_rs, ast, asc, wa_rs+asc, wa")]
pub struct UnknownStrategy {
    /// What was found, shortened to 40 characters.
    pub found: alloc::string::String,
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == text)
            .ok_or_else(|| UnknownStrategy {
                found: text.chars().take(40).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn strings_round_trip() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert!("FULL".parse::<Strategy>().is_err());
    }

    #[test]
    fn candidates_go_from_strongest_to_weakest_saving() {
        assert_eq!(
            Strategy::CANDIDATES.map(Strategy::as_str),
            ["ast", "wa_rs+asc", "wa_rs", "asc"]
        );
    }
}
