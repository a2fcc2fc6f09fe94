//! Stories of single cells.

use super::*;
use crate::plan::examples;
use crate::plan::workbench::Region;
use dfa_core::search::SearchMode;

fn bench(mode: SearchMode) -> Workbench {
    Workbench::open(examples::searched(0.1, mode)).unwrap()
}

fn story(bench: &Workbench, step: usize, block: usize) -> Reason {
    reason(bench, &bench.shown(), Step(step), Block(block))
}

#[test]
fn a_searched_cell_names_its_winner_and_its_losers() {
    let bench = bench(SearchMode::RecordAll);
    let shown = bench.shown();
    for (step, block, strategy) in shown.plan.cells().filter(|cell| cell.0.0 > 0) {
        let found = reason(&bench, &shown, step, block);
        assert_eq!(found.candidates.len(), 4);
        let winner = found.candidates.iter().find(|candidate| candidate.passes);
        let winner = winner.map_or(Strategy::Full, |candidate| candidate.strategy);
        assert_eq!(winner, strategy, "{step}, {block}");
        assert_eq!(
            found.margin.is_some_and(|margin| margin > 0.0),
            strategy != Strategy::Full
        );
        let text = found.sentences.join(" ");
        let expected = match strategy {
            Strategy::Full => "No candidate passes",
            strategy => strategy.paper_name(),
        };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn step_0_edits_and_estimates_are_explained() {
    let mut bench = bench(SearchMode::RecordAll);
    let first = story(&bench, 0, 2);
    assert!(first.sentences[0].starts_with("At step 0"));
    assert!(first.candidates.is_empty() && first.budget.is_none());
    bench
        .set(Region::Cell(Step(1), Block(0)), Strategy::WindowOnly)
        .unwrap();
    let text = story(&bench, 1, 0).sentences.join(" ");
    assert!(
        text.contains("by hand") && text.contains("The search chose"),
        "{text}"
    );
    let text = story(&bench, 1, 1).sentences.join(" ");
    assert!(text.contains("estimate"), "{text}");
    let line = words(&bench, &bench.shown(), Step(1), Block(0));
    assert_eq!(line, "WA (no residual), changed, set by hand");
}

#[test]
fn what_was_not_measured_is_said() {
    let mut bench = bench(SearchMode::Exact);
    bench.set_threshold(Threshold::new(0.05).unwrap()).unwrap();
    let shown = bench.shown();
    let cells = shown.plan.shape().cells();
    let mut unmeasured = cells.filter(|&(step, block)| shown.state(step, block).is_unmeasured);
    let (step, block) = unmeasured.next().unwrap();
    let found = reason(&bench, &shown, step, block);
    assert!(
        found.sentences.join(" ").contains("never measured"),
        "{found:?}"
    );
    let foreign = Workbench::open(examples::foreign()).unwrap();
    assert!(story(&foreign, 3, 3).sentences[0].contains("no losses"));
}

#[test]
fn lists_read_like_sentences() {
    let words = |n: usize| {
        ["a", "b", "c"][..n]
            .iter()
            .map(|&w| w.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [1, 2, 3].map(|n| listed(&words(n))),
        ["a", "a and b", "a, b and c"]
    );
}
