//! The flags that describe a search, shared by `calibrate` and `sweep`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use dfa_core::metric::LossKind;
use dfa_core::search::{
    SearchMode, SearchSettings, Threshold, check_candidates, default_candidates,
};
use dfa_core::{Strategy, Window};

use super::Failure;
use crate::calibrate::CalibrateRequest;
use crate::run_setup::RunSetup;

/// Window, loss, candidates and mode; the threshold is asked for apart.
#[derive(Clone, Debug, Args)]
pub(crate) struct SearchFlags {
    /// Window: keys on each side as N, as a share of the tokens like 1/8, or LEFT,RIGHT.
    #[arg(long, env = "DFA_WINDOW", value_name = "WINDOW", default_value = "1/8")]
    window: WindowChoice,
    /// Loss: relative (the paper's) or relative_signed (the reference's).
    #[arg(
        long,
        env = "DFA_LOSS",
        value_name = "LOSS",
        default_value = "relative"
    )]
    loss: LossKind,
    /// Candidates in the order in which they are tried
    /// [default: ast,wa_rs+asc,wa_rs,asc; without guidance ast,wa_rs].
    #[arg(
        long,
        env = "DFA_CANDIDATES",
        value_name = "LIST",
        value_delimiter = ','
    )]
    candidates: Option<Vec<Strategy>>,
    /// exact stops at the first candidate under budget; record-all measures every
    /// candidate, so that the plan can be decided again at any threshold.
    #[arg(long, env = "DFA_SEARCH", value_name = "MODE", default_value = "exact")]
    search: SearchModeArg,
}

impl SearchFlags {
    /// The request at this threshold; what depends on the run is taken from `setup`.
    pub(crate) fn request(
        &self,
        threshold: Threshold,
        setup: &RunSetup,
    ) -> Result<CalibrateRequest, Failure> {
        let guided = setup.guidance.is_on();
        let candidates = self
            .candidates
            .clone()
            .unwrap_or_else(|| default_candidates(guided));
        check_candidates(&candidates, guided).map_err(Failure::usage)?;
        Ok(CalibrateRequest {
            search: SearchSettings {
                threshold,
                candidates,
                mode: self.search.into(),
            },
            loss: self.loss,
            window: self.window.for_tokens(setup.n_tokens()),
        })
    }
}

/// The window as typed; its size may depend on the number of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WindowChoice {
    Keys(Window),
    ShareOfTokens {
        numerator: usize,
        denominator: usize,
    },
}

impl FromStr for WindowChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let parsed = if let Some((left, right)) = text.split_once(',') {
            number(left)
                .zip(number(right))
                .map(|(left, right)| Self::Keys(Window { left, right }))
        } else if let Some((numerator, denominator)) = text.split_once('/') {
            let parts = number(numerator).zip(number(denominator));
            parts
                .filter(|(_, denominator)| *denominator > 0)
                .map(|(numerator, denominator)| Self::ShareOfTokens {
                    numerator,
                    denominator,
                })
        } else {
            number(text).map(|side| Self::Keys(Window::symmetric(side)))
        };
        parsed.ok_or_else(|| {
            "a window is N, a share like 1/8, or LEFT,RIGHT (keys on each side)".into()
        })
    }
}

impl WindowChoice {
    fn for_tokens(self, n_tokens: usize) -> Window {
        match self {
            Self::Keys(window) => window,
            Self::ShareOfTokens {
                numerator,
                denominator,
            } => Window::symmetric(n_tokens.saturating_mul(numerator) / denominator),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SearchModeArg {
    Exact,
    RecordAll,
}

impl From<SearchModeArg> for SearchMode {
    fn from(mode: SearchModeArg) -> Self {
        match mode {
            SearchModeArg::Exact => Self::Exact,
            SearchModeArg::RecordAll => Self::RecordAll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_keys_shares_or_two_sides() {
        let check = |text: &str, expected: Option<(usize, usize)>| {
            let window = text
                .parse::<WindowChoice>()
                .ok()
                .map(|choice| choice.for_tokens(256));
            assert_eq!(
                window.map(|window| (window.left, window.right)),
                expected,
                "{text:?}"
            );
        };
        check("1/8", Some((32, 32)));
        check("3/16", Some((48, 48)));
        check("10", Some((10, 10)));
        check("3,9", Some((3, 9)));
        check("0", Some((0, 0)));
        check("-1", None);
        check("1/0", None);
        check("3,", None);
        check("eighth", None);
    }
}
