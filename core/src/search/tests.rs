//! Algorithm 1 over tables of numbers.

use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::*;
use crate::window::Window;

/// Answers from a function and writes down what was asked.
struct Table<F> {
    loss: F,
    asked: Vec<(usize, usize, Strategy)>,
    rows: Vec<Vec<Strategy>>,
}

impl<F: Fn(usize, usize, Strategy) -> f32> CandidateLosses for Table<F> {
    type Error = Infallible;

    fn begin_step(&mut self, step: Step) -> Result<(), Infallible> {
        assert!(step.0 > 0, "step 0 measures nothing");
        Ok(())
    }

    fn loss_of(
        &mut self,
        (step, block): (Step, Block),
        candidate: Strategy,
        _enough: f64,
    ) -> Result<MeasuredLoss, Infallible> {
        self.asked.push((step.0, block.0, candidate));
        let loss = (self.loss)(step.0, block.0, candidate);
        Ok(MeasuredLoss::whole(candidate, loss))
    }

    fn choose(&mut self, _: Step, _: Block, _: Strategy) -> Result<(), Infallible> {
        Ok(())
    }

    fn finish_step(&mut self, _: Step, row: &[Strategy]) -> Result<(), Infallible> {
        self.rows.push(row.to_vec());
        Ok(())
    }
}

fn settings(delta: f64, mode: SearchMode) -> SearchSettings {
    SearchSettings {
        threshold: Threshold::new(delta).unwrap(),
        candidates: default_candidates(true),
        mode,
    }
}

fn search(
    delta: f64,
    mode: SearchMode,
    loss: impl Fn(usize, usize, Strategy) -> f32,
) -> (SearchRecord, usize) {
    let settings = settings(delta, mode);
    let mut record = SearchRecord::new(settings.clone(), 2);
    let mut table = Table {
        loss,
        asked: vec![],
        rows: vec![],
    };
    for step in (0..3).map(Step) {
        let row = search_step(step, 2, &settings, &mut table).unwrap();
        record.push_row(row).unwrap();
    }
    assert_eq!(table.rows.len(), 3);
    (record, table.asked.len())
}

/// AST loses 0.3, WA-RS+ASC 0.2, WA-RS 0.1, ASC 0.05, whatever the cell.
fn fixed(_: usize, _: usize, candidate: Strategy) -> f32 {
    let position = Strategy::CANDIDATES.iter().position(|&c| c == candidate);
    [0.3, 0.2, 0.1, 0.05][position.unwrap()]
}

#[test]
fn the_first_candidate_under_the_budget_wins() {
    let check = |delta, expected: [Strategy; 2]| {
        let (record, _) = search(delta, SearchMode::Exact, fixed);
        let plan = record.plan(Window::symmetric(1)).unwrap();
        assert_eq!(plan.row(Step(0)), [Strategy::Full; 2], "δ {delta}");
        assert_eq!(plan.row(Step(1)), expected, "δ {delta}");
        assert_eq!(plan.row(Step(2)), expected, "δ {delta}");
    };
    use Strategy::*;
    // The budget of block 0 is δ/2, that of block 1 is δ.
    check(0.0, [Full, Full]);
    check(0.08, [Full, ShareCfg]);
    check(0.25, [WindowResidual, WindowResidualShareCfg]);
    check(1.0, [ShareSteps, ShareSteps]);
}

#[test]
fn a_loss_equal_to_the_budget_does_not_pass() {
    let (record, _) = search(0.5, SearchMode::Exact, |_, block, _| [0.25, 0.5][block]);
    assert_eq!(
        record
            .plan(Window::symmetric(1))
            .unwrap()
            .count(Strategy::Full),
        6
    );
}

#[test]
fn exact_stops_at_the_winner_and_record_all_does_not() {
    let (exact, asked) = search(0.25, SearchMode::Exact, fixed);
    assert_eq!(asked, 2 * (3 + 2));
    assert_eq!(exact.n_measured(), asked);
    let (all, asked) = search(0.25, SearchMode::RecordAll, fixed);
    assert_eq!(asked, 2 * 2 * 4);
    assert_eq!(
        exact.plan(Window::symmetric(1)),
        all.plan(Window::symmetric(1)),
        "both modes choose the same"
    );
}

#[test]
fn every_accepted_loss_is_under_its_budget() {
    let wild = |step: usize, block: usize, candidate: Strategy| {
        ((step * 7 + block * 13 + candidate as usize * 5) % 11) as f32 / 20.0
    };
    let (record, _) = search(0.3, SearchMode::RecordAll, wild);
    let threshold = record.settings().threshold;
    for (step, block) in record.shape().cells().filter(|(step, _)| step.0 > 0) {
        let cell = record.cell(step, block).unwrap();
        let budget = threshold.block_budget(block, 2);
        match cell.loss_of(cell.choice) {
            Some(loss) => assert!(f64::from(loss) < budget, "{step}, {block}"),
            None => assert!(cell.measured.iter().all(|m| f64::from(m.loss) >= budget)),
        }
    }
}

#[test]
fn a_broken_loss_stops_the_search() {
    let settings = settings(0.1, SearchMode::Exact);
    let mut table = Table {
        loss: |_, _, _| f32::NAN,
        asked: vec![],
        rows: vec![],
    };
    let error = search_step(Step(1), 2, &settings, &mut table).unwrap_err();
    assert!(matches!(
        error,
        SearchError::LossNotFinite {
            block: Block(0),
            ..
        }
    ));
}

#[test]
fn thresholds_have_the_papers_names() {
    let check = |text: &str, expected: Option<f64>| {
        assert_eq!(
            text.parse().ok().map(Threshold::value),
            expected,
            "{text:?}"
        );
    };
    check("D1", Some(0.025));
    check("d6", Some(0.15));
    check("0", Some(0.0));
    check("0.07", Some(0.07));
    check("-0.1", None);
    check("nan", None);
    check("inf", None);
    check("D7", None);
}

#[test]
fn candidates_are_checked() {
    use Strategy::*;
    let check = |candidates: &[Strategy], guided, expected| {
        assert_eq!(check_candidates(candidates, guided), expected);
    };
    check(&Strategy::CANDIDATES, true, Ok(()));
    check(&[], true, Ok(()));
    check(&[Full], true, Err(CandidateError::Full));
    check(
        &[ShareSteps, ShareSteps],
        true,
        Err(CandidateError::Repeated(ShareSteps)),
    );
    check(
        &[ShareCfg],
        false,
        Err(CandidateError::NeedsGuidance(ShareCfg)),
    );
    assert_eq!(default_candidates(false), [ShareSteps, WindowResidual]);
}
