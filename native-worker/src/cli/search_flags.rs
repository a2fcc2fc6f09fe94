//! The flags that describe a search, shared by `calibrate` and `sweep`.

use clap::{Args, ValueEnum};
use dfa_core::Strategy;
use dfa_core::metric::LossKind;
use dfa_core::search::{
    SearchMode, SearchSettings, Threshold, check_candidates, default_candidates,
};
use dfa_core::window::WindowChoice;

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
    /// candidate, so that the plan can be decided again at any threshold; fast is a first
    /// look in seconds, by the error of each layer instead of the model's.
    #[arg(long, env = "DFA_SEARCH", value_name = "MODE", default_value = "exact")]
    search: SearchModeArg,
    /// With exact: give a candidate up as soon as its loss is certain to be over budget. The
    /// plan is the same; the losses of such candidates are recorded as lower bounds.
    #[arg(long, env = "DFA_REJECT_EARLY", value_parser = super::switch())]
    reject_early: bool,
}

impl SearchFlags {
    /// Whether only a first look is asked for.
    pub(crate) const fn is_fast(&self) -> bool {
        matches!(self.search, SearchModeArg::Fast)
    }

    /// The request at this threshold; what depends on the run is taken from `setup`.
    pub(crate) fn request(
        &self,
        threshold: Threshold,
        setup: &RunSetup,
    ) -> Result<CalibrateRequest, Failure> {
        let guided = setup.run.guidance.is_on();
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
            rejects_early: self.reject_early,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SearchModeArg {
    Exact,
    RecordAll,
    Fast,
}

impl From<SearchModeArg> for SearchMode {
    fn from(mode: SearchModeArg) -> Self {
        match mode {
            SearchModeArg::Exact => Self::Exact,
            SearchModeArg::RecordAll => Self::RecordAll,
            SearchModeArg::Fast => Self::Fast,
        }
    }
}
