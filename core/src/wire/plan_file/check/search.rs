//! The search in a plan file: settings, measurements, and the choices that they give.

use alloc::vec::Vec;

use crate::grid::{Block, GridShape, Step};
use crate::metric::relative::MAX_TERM;
use crate::plan::CompressionPlan;
use crate::search::{
    CellRecord, MeasuredLoss, SearchMode, SearchRecord, SearchSettings, Threshold, check_candidates,
};
use crate::strategy::Strategy;
use crate::wire::plan_file::check::Checker;
use crate::wire::plan_file::{LossFields, PlanSearch, Problem, SearchFields};

impl Checker {
    pub(super) fn search(
        &mut self,
        fields: &SearchFields,
        shape: GridShape,
        guided: bool,
    ) -> Option<PlanSearch> {
        let n_problems = self.problems.len();
        let loss = self.word(|| "search.loss".into(), &fields.loss);
        let settings = self.settings(fields, guided);
        let rows = self.measured_rows(fields, shape);
        if self.problems.len() > n_problems {
            return None;
        }
        let settings = settings?;
        let mut record = SearchRecord::new(settings.clone(), shape.n_blocks);
        for (step, row) in rows.into_iter().enumerate() {
            let cells = row.into_iter().enumerate();
            let cells = cells.map(|(block, measured)| {
                self.cell((Step(step), Block(block)), measured, &settings, shape)
            });
            // The lengths of all rows were checked above.
            record.push_row(cells.collect()).ok()?;
        }
        let loss = loss?;
        Some(PlanSearch { loss, record })
    }

    fn settings(&mut self, fields: &SearchFields, guided: bool) -> Option<SearchSettings> {
        let mode = SearchMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == fields.mode);
        if mode.is_none() {
            self.report(Problem::BadWord {
                place: "search.mode".into(),
                reason: "unknown mode; expected exact, record-all or fast".into(),
            });
        }
        let threshold = Threshold::new(fields.threshold).ok();
        let expected = "finite and at least 0";
        self.require(
            threshold.is_some(),
            "search.threshold",
            expected,
            fields.threshold,
        );
        let mut candidates = Vec::new();
        for (idx, text) in fields.candidates.iter().enumerate() {
            let place = || alloc::format!("search.candidates[{idx}]");
            candidates.extend(self.word::<Strategy>(place, text));
        }
        if let Err(error) = check_candidates(&candidates, guided) {
            self.report(error.into());
        }
        Some(SearchSettings {
            threshold: threshold?,
            candidates,
            mode: mode?,
        })
    }

    fn measured_rows(
        &mut self,
        fields: &SearchFields,
        shape: GridShape,
    ) -> Vec<Vec<Vec<MeasuredLoss>>> {
        let rows = &fields.losses.0;
        let lengths = [shape.n_steps, rows.len()];
        self.require_len("search.losses".into(), lengths, "one per row of strategies");
        let mut converted = Vec::new();
        for (step, row) in rows.iter().enumerate() {
            let place = alloc::format!("search.losses[{step}]");
            self.require_len(place, [shape.n_blocks, row.0.len()], "one per block");
            let cells = row.0.iter().enumerate();
            let cells = cells.map(|(block, cell)| self.measured(step, block, cell));
            converted.push(cells.collect());
        }
        converted
    }

    fn measured(&mut self, step: usize, block: usize, cell: &[LossFields]) -> Vec<MeasuredLoss> {
        let mut measured = Vec::new();
        for (idx, fields) in cell.iter().enumerate() {
            let place = || alloc::format!("search.losses[{step}][{block}][{idx}]");
            let candidate = self.word(place, &fields.candidate);
            let loss = fields.loss;
            if !(0.0..=MAX_TERM).contains(&loss) {
                let place = place() + ".loss";
                self.require(false, &place, "a number from 0 to 10", loss);
            }
            let is_lower_bound = fields.at_least;
            measured.extend(candidate.map(|candidate| MeasuredLoss {
                candidate,
                loss,
                is_lower_bound,
            }));
        }
        measured
    }

    /// One cell of the record: its measurements must be those that the search makes, and
    /// its choice is the one that they give.
    fn cell(
        &mut self,
        (step, block): (Step, Block),
        measured: Vec<MeasuredLoss>,
        settings: &SearchSettings,
        shape: GridShape,
    ) -> CellRecord {
        let budget = settings.threshold.block_budget(block, shape.n_blocks);
        let winner = measured.iter().position(|m| m.is_under(budget));
        let wrong = wrong_measurements(step, &measured, settings, winner)
            .or_else(|| wrong_bounds(&measured, settings, budget));
        if let Some(expected) = wrong {
            self.report(Problem::WrongMeasurements {
                step,
                block,
                found: measured.iter().map(|m| m.candidate).collect(),
                expected,
            });
        }
        let choice = winner.map_or(Strategy::Full, |idx| measured[idx].candidate);
        CellRecord { measured, choice }
    }

    pub(super) fn plan_is_chosen(&mut self, plan: &CompressionPlan, record: &SearchRecord) {
        for (step, block, found) in plan.cells() {
            let Some(cell) = record.cell(step, block) else {
                continue;
            };
            let expected = cell.choice;
            if expected != found {
                self.report(Problem::ContradictsLosses {
                    step,
                    block,
                    found,
                    expected,
                });
            }
        }
    }
}

/// What the measurements of a cell should be, if they are not.
fn wrong_measurements(
    step: Step,
    measured: &[MeasuredLoss],
    settings: &SearchSettings,
    winner: Option<usize>,
) -> Option<&'static str> {
    if step.0 == 0 {
        return (!measured.is_empty()).then_some("step 0 measures nothing");
    }
    let mut pairs = measured.iter().zip(&settings.candidates);
    if measured.len() > settings.candidates.len()
        || pairs.any(|(measured, &candidate)| measured.candidate != candidate)
    {
        return Some("candidates are measured in the order of search.candidates");
    }
    let n_expected = match (settings.mode, winner) {
        (mode, Some(winner)) if mode.stops_at_winner() => winner + 1,
        _ => settings.candidates.len(),
    };
    let expected = match settings.mode {
        SearchMode::Exact => "mode exact measures up to the first loss under the budget, or all",
        SearchMode::RecordAll => "mode record-all measures every candidate",
        SearchMode::Fast => "mode fast measures every candidate",
    };
    (measured.len() != n_expected).then_some(expected)
}

/// What the lower bounds among a cell's measurements should be, if they are not.
fn wrong_bounds(
    measured: &[MeasuredLoss],
    settings: &SearchSettings,
    budget: f64,
) -> Option<&'static str> {
    let mut bounds = measured.iter().filter(|m| m.is_lower_bound).peekable();
    bounds.peek()?;
    if !settings.mode.stops_at_winner() {
        return Some("only mode exact stops before a loss is added up (at_least)");
    }
    bounds
        .any(|m| f64::from(m.loss) < budget)
        .then_some("a loss that is only known to be at_least so much has reached the budget")
}
