//! The two branches of a guided run, as far as the method has a choice about them.
//!
//! Inside our code the order of a guided batch is always `[conditional; unconditional]`;
//! a pipeline that orders them otherwise is converted at the edge.

use core::fmt;
use core::str::FromStr;

/// Which half of the window residual a `wa_rs+asc` step adds to its window attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResidualHalf {
    /// The conditional half, the one whose attention is computed.
    #[default]
    Conditional,
    /// The first half in the order of the model's own pipeline, whatever it is: what the
    /// reference does. Differs from `Conditional` where that order is
    /// `[unconditional; conditional]`.
    First,
}

impl ResidualHalf {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Conditional, Self::First];

    /// The string of plan files, flags and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conditional => "conditional",
            Self::First => "first",
        }
    }
}

impl fmt::Display for ResidualHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A string that names no half.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown residual half {found:?}; expected conditional or first")]
pub struct UnknownHalf {
    /// What was found, shortened to 40 characters.
    pub found: alloc::string::String,
}

impl FromStr for ResidualHalf {
    type Err = UnknownHalf;

    fn from_str(text: &str) -> Result<Self, UnknownHalf> {
        Self::ALL
            .into_iter()
            .find(|half| half.as_str() == text)
            .ok_or_else(|| UnknownHalf {
                found: text.chars().take(40).collect(),
            })
    }
}
