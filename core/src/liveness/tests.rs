//! Lifetimes by hand, and against a simulation of a run that keeps everything.

use super::*;
use crate::grid::GridShape;
use crate::strategy::Strategy;
use crate::strategy::Strategy::{
    Full as F, ShareCfg as C, ShareSteps as A, WindowOnly as O, WindowResidual as W,
    WindowResidualShareCfg as WC,
};
use crate::window::Window;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

fn plan_of(n_blocks: usize, cells: Vec<Strategy>) -> CompressionPlan {
    let shape = GridShape {
        n_steps: cells.len() / n_blocks,
        n_blocks,
    };
    CompressionPlan::new(shape, Window::symmetric(1), cells).unwrap()
}

#[test]
fn lifetimes_by_hand() {
    use TensorKind::{Output, WindowResidual};
    let check = |column: &[Strategy], expected: &[(TensorKind, usize, usize, u8)]| {
        let found: Vec<_> = lifetimes(&plan_of(1, column.to_vec()))
            .into_iter()
            .map(|life| (life.tensor, life.produced.0, life.last_used.0, life.halves))
            .collect();
        assert_eq!(found, expected, "{column:?}");
    };
    check(&[F, F, F], &[]);
    check(&[F, O, F], &[]);
    check(&[F, A, A, F], &[(Output, 0, 2, 2)]);
    check(&[F, W, F], &[(WindowResidual, 0, 1, 2)]);
    // The residual outlives AST steps; the output of the WA-RS step is shared.
    check(
        &[F, W, A, O, W, F],
        &[(WindowResidual, 0, 4, 2), (Output, 1, 2, 2)],
    );
    check(
        &[F, C, A, WC, A],
        &[
            (Output, 1, 2, 1),
            (WindowResidual, 1, 3, 1),
            (Output, 3, 4, 1),
        ],
    );
}

#[test]
fn tensors_are_freed_after_their_last_use() {
    let plan = plan_of(1, vec![F, W, A, W, A, F]);
    let check = |step, output, window_residual| {
        let expected = Freed {
            output,
            window_residual,
        };
        assert_eq!(frees_at(&plan, Step(step), Block(0)), expected, "{step}");
    };
    check(0, false, false);
    check(1, false, false);
    check(2, true, false);
    check(3, false, true);
    check(4, true, false);
    check(5, false, false);
}

#[test]
fn the_peak_counts_both_ends_of_a_lifetime() {
    let shape = CacheShape {
        batch: 3,
        branches: 2,
        n_tokens: 16,
        width: 8,
        bytes_per_element: 4,
    };
    let half = 3 * 16 * 8 * 4;
    let check = |column: &[Strategy], branches, bytes, step| {
        let shape = CacheShape { branches, ..shape };
        let found = peak_cache_bytes(&plan_of(1, column.to_vec()), shape);
        let step = Step(step);
        assert_eq!(found, PeakCache { bytes, step }, "{column:?}");
    };
    check(&[F, F], 2, 0, 0);
    check(&[F, A], 2, 2 * half, 0);
    check(&[F, A], 1, half, 0);
    check(&[F, C, A], 2, half, 1);
    // At step 1 the residual (0 to 3) and the new output (1 to 2) are both live.
    check(&[F, W, A, W], 2, 4 * half, 1);
    check(&[F, W, A, W], 1, 2 * half, 1);
    check(&[F, WC, A, W], 2, 3 * half, 1);
}

/// Runs one layer as an engine that never frees anything: who uses what, made when.
fn simulate(plan: &CompressionPlan, block: Block) -> Vec<(TensorKind, Step, Step)> {
    let (mut output, mut residual) = (Step(0), Step(0));
    let mut uses = Vec::new();
    for step in plan.shape().steps() {
        match plan.strategy(step, block) {
            A => uses.push((TensorKind::Output, output, step)),
            W | WC => {
                uses.push((TensorKind::WindowResidual, residual, step));
                output = step;
            }
            O => output = step,
            F | C => (output, residual) = (step, step),
        }
    }
    uses
}

/// The last use of each tensor among all uses.
fn brute_force(plan: &CompressionPlan) -> Vec<Lifetime> {
    let mut found = Vec::new();
    for block in plan.shape().blocks() {
        let uses = simulate(plan, block);
        for &(tensor, produced, last_used) in &uses {
            let is_last = !uses
                .iter()
                .any(|&(other, from, at)| (other, from) == (tensor, produced) && at > last_used);
            if is_last {
                let halves = match plan.strategy(produced, block) {
                    C | WC => 1,
                    _ => 2,
                };
                found.push(Lifetime {
                    block,
                    tensor,
                    produced,
                    last_used,
                    halves,
                });
            }
        }
    }
    found.sort();
    found
}

fn any_plan() -> impl proptest::strategy::Strategy<Value = CompressionPlan> {
    (1usize..4, 0usize..9).prop_flat_map(|(n_blocks, n_later)| {
        let later = proptest::collection::vec(
            proptest::sample::select(&Strategy::ALL[..]),
            n_blocks * n_later,
        );
        later.prop_map(move |later| {
            let mut cells = vec![F; n_blocks];
            cells.extend(later);
            plan_of(n_blocks, cells)
        })
    })
}

proptest! {
    #[test]
    fn lifetimes_equal_brute_force(plan in any_plan()) {
        let mut found = lifetimes(&plan);
        found.sort();
        prop_assert_eq!(found, brute_force(&plan));
    }

    #[test]
    fn queries_agree_with_lifetimes(plan in any_plan()) {
        let all = lifetimes(&plan);
        for (step, block) in plan.shape().cells() {
            let of = |tensor| all.iter().filter(move |l| l.block == block && l.tensor == tensor);
            let (outputs, residuals) = (of(TensorKind::Output), of(TensorKind::WindowResidual));
            prop_assert_eq!(
                keeps_output(&plan, step, block),
                outputs.clone().any(|l| l.produced == step)
            );
            prop_assert_eq!(
                plan.needs_residual(step, block),
                residuals.clone().any(|l| l.produced == step)
            );
            let freed = frees_at(&plan, step, block);
            prop_assert_eq!(freed.output, outputs.clone().any(|l| l.last_used == step));
            prop_assert_eq!(freed.window_residual, residuals.clone().any(|l| l.last_used == step));
        }
    }

    #[test]
    fn the_peak_is_the_largest_sum_of_live_tensors(plan in any_plan()) {
        let shape = CacheShape { batch: 1, branches: 2, n_tokens: 4, width: 2, bytes_per_element: 2 };
        let all = lifetimes(&plan);
        // Cells in the order in which they run.
        let live_at = |at: (Step, Block)| -> u64 {
            let is_live = |l: &&Lifetime| {
                (l.produced, l.block) <= at && at <= (l.last_used, l.block)
            };
            all.iter().filter(is_live).map(|l| shape.tensor_bytes(l.halves)).sum()
        };
        let peak = peak_cache_bytes(&plan, shape);
        prop_assert_eq!(Some(peak.bytes), plan.shape().cells().map(live_at).max());
        let first = plan.shape().cells().find(|&at| live_at(at) == peak.bytes);
        prop_assert_eq!(first.map(|(step, _)| step), Some(peak.step));
    }
}
