//! Two plans held against each other: where they differ, what became what, their totals
//! side by side, and whether they were made for the same thing.

use dfa_core::wire::{FingerprintField, Mismatch};
use dfa_core::{Block, CompressionPlan, Step, Strategy};

use super::layers::index_of;
use super::opened::OpenPlan;
use super::picture::{CellLook, GridPicture, Paint};
use super::totals::{Question, Totals, totals};
use crate::words::{counted, percent};

/// One of two plans: an opened file, and the plan that is shown in its place.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The file.
    pub opened: &'a OpenPlan,
    /// The plan, which may have been changed.
    pub plan: &'a CompressionPlan,
}

impl<'a> Side<'a> {
    /// A plan as it was opened.
    pub const fn unchanged(opened: &'a OpenPlan) -> Self {
        Self {
            opened,
            plan: opened.plan(),
        }
    }
}

/// How many cells went from one strategy to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// In the first plan.
    pub from: Strategy,
    /// In the second plan.
    pub to: Strategy,
    /// Cells.
    pub n_cells: usize,
}

/// What differs between the cells of two plans of the same shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Cells that differ, in the order in which they run.
    pub differing: Vec<(Step, Block)>,
    /// What became what, the most frequent first.
    pub moves: Vec<Move>,
    /// The second plan's colours where the two differ, with both letters, the first
    /// plan's first; nothing elsewhere.
    pub picture: GridPicture,
}

/// Two plans held against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Cell by cell; a sentence if the plans have different shapes.
    pub cells: Result<Cells, String>,
    /// Totals of both.
    pub totals: [Totals; 2],
    /// The windows, if they differ.
    pub windows: Option<String>,
    /// Fields of the fingerprints that differ; a sentence if one has none.
    pub made_for: Result<Vec<Mismatch>, String>,
}

/// Holds plan `b` against plan `a`.
pub fn difference(a: Side<'_>, b: Side<'_>, question: Question<'_>) -> Difference {
    let (shape_a, shape_b) = (a.plan.shape(), b.plan.shape());
    let cells = a.plan.changed_cells(b.plan).ok_or_else(|| {
        format!(
            "The plans have different shapes, {shape_a} and {shape_b}, so their cells cannot be \
             held against each other."
        )
    });
    let (window_a, window_b) = (a.plan.window(), b.plan.window());
    Difference {
        cells: cells.map(|differing| cells_of(a.plan, b.plan, differing)),
        totals: [a, b].map(|side| totals(side.opened, side.plan, question)),
        windows: (window_a != window_b).then(|| {
            format!(
                "The windows differ: {} before and {} after each query, against {} and {}.",
                window_a.left, window_a.right, window_b.left, window_b.right
            )
        }),
        made_for: made_for(a.opened, b.opened),
    }
}

impl Difference {
    /// What differs, in one sentence.
    pub fn sentence(&self) -> String {
        match &self.cells {
            Err(why) => why.clone(),
            Ok(cells) if cells.differing.is_empty() => "Both plans have the same cells.".to_owned(),
            Ok(cells) => {
                let n_cells = cells.picture.cells.len();
                let n_differing = cells.differing.len();
                let share = percent(n_differing as f64 / n_cells as f64);
                format!(
                    "{} of {n_cells} differ ({share}).",
                    counted(n_differing, "cell")
                )
            }
        }
    }
}

fn cells_of(a: &CompressionPlan, b: &CompressionPlan, differing: Vec<(Step, Block)>) -> Cells {
    let mut counts = [[0usize; Strategy::ALL.len()]; Strategy::ALL.len()];
    for &(step, block) in &differing {
        counts[index_of(a.strategy(step, block))][index_of(b.strategy(step, block))] += 1;
    }
    let mut moves = Vec::new();
    for (from, row) in Strategy::ALL.into_iter().zip(counts) {
        let entries = Strategy::ALL.into_iter().zip(row);
        let entries = entries.filter(|&(_, n_cells)| n_cells > 0);
        moves.extend(entries.map(|(to, n_cells)| Move { from, to, n_cells }));
    }
    // A stable sort: equal counts stay in the order of the documentation.
    moves.sort_by_key(|found| std::cmp::Reverse(found.n_cells));
    let cells = a.cells().zip(b.cells());
    let cells = cells.map(|((.., from), (.., to))| look(from, to));
    Cells {
        differing,
        moves,
        picture: GridPicture {
            shape: a.shape(),
            cells: cells.collect(),
        },
    }
}

fn look(from: Strategy, to: Strategy) -> CellLook {
    let differs = from != to;
    CellLook {
        paint: if differs {
            Paint::Strategy(index_of(to))
        } else {
            Paint::Nothing
        },
        letter: PAIRS[index_of(from)][index_of(to)],
        is_changed: differs,
        is_edited: false,
        is_locked: false,
        is_at_work: false,
    }
}

/// Both letters of every pair, and nothing where they are alike: rows and columns in the
/// order of [`Strategy::ALL`].
const PAIRS: [[&str; 6]; 6] = [
    ["", "FW", "FA", "FC", "FB", "Fo"],
    ["WF", "", "WA", "WC", "WB", "Wo"],
    ["AF", "AW", "", "AC", "AB", "Ao"],
    ["CF", "CW", "CA", "", "CB", "Co"],
    ["BF", "BW", "BA", "BC", "", "Bo"],
    ["oF", "oW", "oA", "oC", "oB", ""],
];

/// What is said of a cell of a difference, position left out.
pub fn words(a: &CompressionPlan, b: &CompressionPlan, step: Step, block: Block) -> String {
    let (from, to) = (a.strategy(step, block), b.strategy(step, block));
    if from == to {
        format!("the same in both: {}", from.paper_name())
    } else {
        format!(
            "{} in the first plan, {} in the second",
            from.paper_name(),
            to.paper_name()
        )
    }
}

fn made_for(a: &OpenPlan, b: &OpenPlan) -> Result<Vec<Mismatch>, String> {
    let fingerprints = a
        .checked
        .fingerprint
        .as_ref()
        .zip(b.checked.fingerprint.as_ref());
    let (expected, found) = fingerprints.ok_or_else(|| {
        "At least one of the files does not say what it was made for, so the two may belong to \
         different models."
            .to_owned()
    })?;
    Ok(expected.mismatches(found, &[]))
}

/// A field of a fingerprint, for people.
pub const fn field_title(field: FingerprintField) -> &'static str {
    match field {
        FingerprintField::Weights => "Weights",
        FingerprintField::Config => "Model configuration",
        FingerprintField::Scheduler => "Noise schedule",
        FingerprintField::Tokens => "Image tokens",
        FingerprintField::Blocks => "Blocks",
        FingerprintField::Steps => "Steps",
        FingerprintField::Timesteps => "Timesteps",
        FingerprintField::Sampler => "Sampler",
        FingerprintField::GuidanceScale => "Guidance scale",
        FingerprintField::Dtype => "Number type",
        FingerprintField::ResidualHalf => "Half of the residual",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::palette::letter;
    use crate::plan::examples;
    use dfa_core::GridShape;
    use dfa_core::search::SearchMode;

    #[test]
    fn cells_moves_and_totals_of_two_thresholds() {
        let a = examples::searched(0.05, SearchMode::RecordAll);
        let b = examples::searched(0.2, SearchMode::RecordAll);
        let found = difference(
            Side::unchanged(&a),
            Side::unchanged(&b),
            Question::default(),
        );
        let cells = found.cells.as_ref().unwrap();
        assert_eq!(
            Some(&cells.differing),
            a.plan().changed_cells(b.plan()).as_ref()
        );
        let n_moved: usize = cells.moves.iter().map(|moved| moved.n_cells).sum();
        assert_eq!(n_moved, cells.differing.len());
        assert!(
            cells
                .moves
                .is_sorted_by_key(|moved| std::cmp::Reverse(moved.n_cells))
        );
        for (step, block, strategy) in b.plan().cells() {
            let look = cells.picture.look(step, block);
            let is_same = a.plan().strategy(step, block) == strategy;
            assert_eq!(look.paint == Paint::Nothing, is_same);
        }
        let kept = |idx: usize| found.totals[idx].kept.unwrap().attention_share;
        assert!(kept(0) > kept(1));
        assert_eq!(found.made_for, Ok(vec![]));
        assert!(
            found.sentence().contains("of 40 differ"),
            "{}",
            found.sentence()
        );
    }

    #[test]
    fn both_letters_stand_in_a_cell_that_differs() {
        for from in Strategy::ALL {
            for to in Strategy::ALL {
                let expected = match from == to {
                    true => String::new(),
                    false => format!("{}{}", letter(from), letter(to)),
                };
                assert_eq!(look(from, to).letter, expected);
            }
        }
    }

    #[test]
    fn plans_for_different_things_say_so() {
        let a = examples::searched(0.1, SearchMode::RecordAll);
        let shape = GridShape {
            n_steps: 4,
            n_blocks: 5,
        };
        let b = examples::searched_of(shape, 0.1, SearchMode::RecordAll);
        let found = difference(
            Side::unchanged(&a),
            Side::unchanged(&b),
            Question::default(),
        );
        assert!(
            found
                .sentence()
                .contains("8 steps × 5 blocks and 4 steps × 5 blocks")
        );
        let fields: Vec<_> = found.made_for.unwrap().iter().map(|m| m.field).collect();
        assert_eq!(fields, [FingerprintField::Steps]);
        let foreign = examples::foreign();
        let found = difference(
            Side::unchanged(&a),
            Side::unchanged(&foreign),
            Question::default(),
        );
        assert!(found.made_for.is_err());
        assert_eq!(found.sentence(), "Both plans have the same cells.");
    }
}
