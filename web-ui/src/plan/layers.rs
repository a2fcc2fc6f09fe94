//! Layers over the same grid: strategies, losses, margins and savings, each as a picture
//! with a legend.
//!
//! Letters are the strategies' in every layer, so that what a number belongs to can be
//! read beside it. Scales run from light to dark, so they can be read in grey.

use dfa_core::cost::{LayerRun, LayerShape, layer_cost};
use dfa_core::{Block, Step, Strategy};

use super::picture::{CellLook, GridPicture, Paint};
use super::workbench::{Shown, Workbench};
use crate::figure::palette::letter;
use crate::words::{number, percent};

/// What the cells' colours say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Which strategy.
    #[default]
    Strategy,
    /// Its loss.
    Loss,
    /// How far the loss stays below the budget.
    Margin,
    /// Multiply-accumulates that are saved.
    Saved,
}

impl Layer {
    /// Every layer, in the order of the menu.
    pub const ALL: [Self; 4] = [Self::Strategy, Self::Loss, Self::Margin, Self::Saved];

    /// The word of addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Loss => "loss",
            Self::Margin => "margin",
            Self::Saved => "saved",
        }
    }

    /// The word of the menu.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Strategy => "Strategy",
            Self::Loss => "Loss",
            Self::Margin => "Margin to the budget",
            Self::Saved => "MACs saved",
        }
    }

    /// The layer of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == word)
    }
}

/// What the colours of a layer mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Legend {
    /// What is shown.
    pub title: &'static str,
    /// How colours become values.
    pub key: LegendKey,
    /// What to know when reading it; empty if nothing.
    pub note: String,
}

/// How colours become values.
#[derive(Clone, Debug, PartialEq)]
pub enum LegendKey {
    /// One entry per strategy that the plan has or a cell may get: an index into
    /// `Strategy::ALL`, which is also its paint.
    Strategies(Vec<usize>),
    /// From the words of 0 to the words of 1 of `Paint::Scale`.
    Scale([String; 2]),
    /// The words of -1, 0 and 1 of `Paint::Balance`.
    Balance([String; 3]),
    /// Nothing can be shown; the note says why.
    Nothing,
}

/// A layer of the plan shown.
pub fn picture(bench: &Workbench, shown: &Shown, layer: Layer) -> (GridPicture, Legend) {
    match layer {
        Layer::Strategy => strategies(bench, shown),
        Layer::Loss => losses(bench, shown),
        Layer::Margin => margins(bench, shown),
        Layer::Saved => savings(bench, shown),
    }
}

/// A picture with the letters and marks of the plan shown and colours from `paint`.
fn painted(shown: &Shown, mut paint: impl FnMut(Step, Block, Strategy) -> Paint) -> GridPicture {
    let cells = shown.plan.cells().zip(&shown.states);
    let cells = cells.map(|((step, block, strategy), state)| CellLook {
        paint: paint(step, block, strategy),
        letter: letter(strategy),
        is_changed: state.is_changed,
        is_edited: state.is_edited,
        is_locked: state.is_locked,
        is_at_work: false,
    });
    GridPicture {
        shape: shown.plan.shape(),
        cells: cells.collect(),
    }
}

/// The place of a strategy in `Strategy::ALL`.
pub fn index_of(strategy: Strategy) -> usize {
    let place = Strategy::ALL.iter().position(|&other| other == strategy);
    place.unwrap_or(0)
}

fn strategies(bench: &Workbench, shown: &Shown) -> (GridPicture, Legend) {
    let picture = painted(shown, |_, _, strategy| Paint::Strategy(index_of(strategy)));
    let is_used = |strategy: Strategy| shown.plan.count(strategy) > 0;
    let may_be = bench.opened().choices();
    let entries = Strategy::ALL.into_iter().enumerate();
    let entries = entries.filter(|&(_, strategy)| is_used(strategy) || may_be.contains(&strategy));
    let legend = Legend {
        title: Layer::Strategy.title(),
        key: LegendKey::Strategies(entries.map(|(idx, _)| idx).collect()),
        note: String::new(),
    };
    (picture, legend)
}

fn losses(bench: &Workbench, shown: &Shown) -> (GridPicture, Legend) {
    let opened = bench.opened();
    let of = |step, block, strategy| opened.telling_loss(step, block, strategy);
    let largest = shown
        .plan
        .cells()
        .filter_map(|(step, block, strategy)| of(step, block, strategy));
    let Some(largest) = largest.max_by(f32::total_cmp) else {
        return nothing(shown, Layer::Loss, NOT_SEARCHED);
    };
    // A single cell far above every budget must not make all others look alike.
    let enough = shown
        .threshold
        .map_or(f32::INFINITY, |at| 2.0 * at.value() as f32);
    let is_cut = enough > 0.0 && enough < largest;
    let end = if is_cut { enough } else { largest };
    let picture = painted(shown, |step, block, strategy| {
        match of(step, block, strategy) {
            Some(loss) if end > 0.0 => Paint::Scale((loss / end).min(1.0)),
            Some(_) => Paint::Scale(0.0),
            None => Paint::Nothing,
        }
    });
    let least = if is_cut { "at least " } else { "" };
    let legend = Legend {
        title: "Loss of the strategy shown",
        key: LegendKey::Scale(["0".into(), format!("{least}{}", number(end.into()))]),
        note: "Without unit. A full cell shows the smallest loss that was measured there.".into(),
    };
    (picture, legend)
}

const NOT_SEARCHED: &str =
    "This plan holds no losses: it was made by hand or comes from another program.";

fn margins(bench: &Workbench, shown: &Shown) -> (GridPicture, Legend) {
    let opened = bench.opened();
    let Some(threshold) = shown.threshold else {
        return nothing(shown, Layer::Margin, NOT_SEARCHED);
    };
    let picture = painted(shown, |step, block, strategy| {
        let margin = opened.margin(threshold, step, block, strategy);
        margin.map_or(Paint::Nothing, |margin| {
            Paint::Balance(margin.clamp(-1.0, 1.0) as f32)
        })
    });
    let words = [
        "100 % or more over",
        "just the budget",
        "100 % under: no loss",
    ];
    let legend = Legend {
        title: "Margin: budget minus loss, as a share of the budget",
        key: LegendKey::Balance(words.map(str::to_owned)),
        note: format!(
            "Budgets at δ = {}. A full cell shows its nearest miss.",
            number(threshold.value())
        ),
    };
    (picture, legend)
}

fn savings(bench: &Workbench, shown: &Shown) -> (GridPicture, Legend) {
    let Some(n_tokens) = bench.opened().n_tokens() else {
        return nothing(
            shown,
            Layer::Saved,
            "The file does not name the number of image tokens, so nothing can be counted.",
        );
    };
    let width = bench.opened().width();
    let savings = Savings {
        shape: LayerShape {
            n_tokens,
            width: width.unwrap_or(1),
        },
        with_projections: width.is_some(),
        guided: bench.opened().is_guided(),
    };
    let picture = painted(shown, |step, block, _| {
        Paint::Scale(savings.of(shown, step, block).clamp(0.0, 1.0) as f32)
    });
    let of_what = match width {
        Some(_) => "the whole self-attention layer with its projections",
        None => "attention (QKᵀ and AV) alone, because the file does not name the model's width",
    };
    let legend = Legend {
        title: "Multiply-accumulates saved, as a share of the cell's full cost",
        key: LegendKey::Scale([percent(0.0), percent(1.0)]),
        note: format!("Of {of_what}."),
    };
    (picture, legend)
}

/// How savings are counted.
struct Savings {
    shape: LayerShape,
    with_projections: bool,
    guided: bool,
}

impl Savings {
    /// The share of a cell's full cost that is saved; below 0 where a window residual is
    /// made for later.
    fn of(&self, shown: &Shown, step: Step, block: Block) -> f64 {
        let run = LayerRun {
            strategy: shown.plan.strategy(step, block),
            makes_residual: shown.plan.needs_residual(step, block),
            window: shown.plan.window(),
            guided: self.guided,
        };
        let full = LayerRun {
            strategy: Strategy::Full,
            makes_residual: false,
            ..run
        };
        let macs = |run| {
            let cost = layer_cost(run, self.shape);
            let macs = if self.with_projections {
                cost.layer_macs()
            } else {
                cost.attention_macs
            };
            macs as f64
        };
        1.0 - macs(run) / macs(full)
    }
}

fn nothing(shown: &Shown, layer: Layer, why: &str) -> (GridPicture, Legend) {
    let legend = Legend {
        title: layer.title(),
        key: LegendKey::Nothing,
        note: why.to_owned(),
    };
    (painted(shown, |_, _, _| Paint::Nothing), legend)
}

#[cfg(test)]
mod tests;
