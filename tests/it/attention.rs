//! Attention kernels: every instruction set against the plain reference.

use dfa_core::Window;
use dfa_native_worker::kernels::attention::{AttentionMask, AttentionShape, Qkv, reference, tiled};
use dfa_native_worker::kernels::isa::Isa;
use dfa_tests::closeness::max_difference;
use proptest::prelude::*;

/// Deterministic values in about [-2, 2], different for q, k and v.
fn values(n: usize, salt: u32) -> Vec<f32> {
    let mut state = 0x9E37_79B9u32 ^ salt.wrapping_mul(0x85EB_CA6B);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 22) as f32 - 2.0
        })
        .collect()
}

struct Arrays {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Arrays {
    fn new(shape: AttentionShape) -> Self {
        let n = shape.n_elements();
        Self {
            q: values(n, 1),
            k: values(n, 2),
            v: values(n, 3),
        }
    }

    fn qkv(&self) -> Qkv<'_> {
        Qkv {
            q: &self.q,
            k: &self.k,
            v: &self.v,
        }
    }
}

fn run_tiled(isa: Isa, shape: AttentionShape, mask: AttentionMask, arrays: &Arrays) -> Vec<f32> {
    let mut out = vec![f32::NAN; mask.n_outputs() * shape.n_elements()];
    tiled::attend(isa, shape, mask, arrays.qkv(), &mut out);
    out
}

fn run_reference(shape: AttentionShape, mask: AttentionMask, arrays: &Arrays) -> Vec<f32> {
    let mut out = vec![f32::NAN; mask.n_outputs() * shape.n_elements()];
    reference::attend(shape, mask, arrays.qkv(), &mut out);
    out
}

/// f32 sums of up to a thousand terms of size about 1: 1e-5 leaves a margin of ten.
const TOLERANCE: f32 = 1e-5;

fn assert_agree(shape: AttentionShape, mask: AttentionMask) {
    let arrays = Arrays::new(shape);
    let expected = run_reference(shape, mask, &arrays);
    for isa in Isa::available() {
        let found = run_tiled(isa, shape, mask, &arrays);
        let (difference, idx) = max_difference(&expected, &found);
        assert!(
            difference <= TOLERANCE,
            "{} {shape:?} {mask:?}: element {idx} off by {difference}",
            isa.name()
        );
    }
}

fn shape(batch: usize, n_tokens: usize, n_heads: usize, head_size: usize) -> AttentionShape {
    AttentionShape {
        batch,
        n_tokens,
        n_heads,
        head_size,
    }
}

#[test]
fn tiled_agrees_with_the_reference() {
    let check = |shape: AttentionShape, window| {
        for mask in [
            AttentionMask::Full,
            AttentionMask::Windowed(window),
            AttentionMask::FullAndResidual(window),
        ] {
            assert_agree(shape, mask);
        }
    };
    check(shape(2, 256, 4, 32), Window::eighth_of(256));
    check(shape(1, 300, 2, 72), Window::symmetric(37));
    check(shape(1, 405, 1, 72), Window { left: 3, right: 90 });
    check(shape(3, 33, 2, 7), Window { left: 0, right: 0 });
    check(shape(1, 1, 1, 1), Window::symmetric(4));
    check(
        shape(1, 130, 1, 16),
        Window {
            left: 200,
            right: 0,
        },
    );
}

/// Queries of `shape`, and texts of these lengths one after the other, seen back to front:
/// the order of the texts need not be that of the samples.
fn assert_cross_agrees(shape: AttentionShape, lengths: &[usize]) {
    let mut end = 0;
    let mut visible: Vec<_> = lengths
        .iter()
        .map(|n| {
            end += n;
            end - n..end
        })
        .collect();
    visible.reverse();
    let q = values(shape.n_elements(), 1);
    let k = values(end * shape.width(), 2);
    let v = values(end * shape.width(), 3);
    let inputs = Qkv {
        q: &q,
        k: &k,
        v: &v,
    };
    let mut expected = vec![f32::NAN; shape.n_elements()];
    reference::cross_attend(shape, &visible, inputs, &mut expected);
    for isa in Isa::available() {
        let mut found = vec![f32::NAN; shape.n_elements()];
        tiled::cross_attend(isa, shape, &visible, inputs, &mut found);
        let (difference, idx) = max_difference(&expected, &found);
        assert!(
            difference <= TOLERANCE,
            "{} {shape:?} {visible:?}: element {idx} off by {difference}",
            isa.name()
        );
    }
}

#[test]
fn attention_to_a_text_agrees_with_the_reference() {
    assert_cross_agrees(shape(1, 1, 1, 1), &[1]);
    assert_cross_agrees(shape(2, 70, 2, 72), &[300, 1]);
    assert_cross_agrees(shape(3, 33, 3, 8), &[7, 120, 64]);
}

#[test]
fn attention_to_a_text_of_ones_own_is_self_attention() {
    let shape = shape(2, 37, 2, 12);
    let arrays = Arrays::new(shape);
    let own = [0..37, 37..74];
    for isa in Isa::available() {
        let mut found = vec![f32::NAN; shape.n_elements()];
        tiled::cross_attend(isa, shape, &own, arrays.qkv(), &mut found);
        assert_eq!(found, run_tiled(isa, shape, AttentionMask::Full, &arrays));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn attention_to_a_text_agrees_everywhere(
        lengths in proptest::collection::vec(1usize..150, 1..4), n_tokens in 1usize..100,
        n_heads in 1usize..4, head_size in 1usize..20,
    ) {
        assert_cross_agrees(shape(lengths.len(), n_tokens, n_heads, head_size), &lengths);
    }

    #[test]
    fn tiled_agrees_with_the_reference_everywhere(
        batch in 1usize..3, n_tokens in 1usize..150, n_heads in 1usize..4, head_size in 1usize..20,
        left in 0usize..160, right in 0usize..160, kind in 0..3,
    ) {
        let window = Window { left, right };
        let mask = match kind {
            0 => AttentionMask::Full,
            1 => AttentionMask::Windowed(window),
            _ => AttentionMask::FullAndResidual(window),
        };
        assert_agree(shape(batch, n_tokens, n_heads, head_size), mask);
    }
}

#[test]
fn a_window_that_covers_everything_is_full_attention() {
    let shape = shape(1, 100, 2, 24);
    let arrays = Arrays::new(shape);
    let window = Window::symmetric(99);
    for isa in Isa::available() {
        let full = run_tiled(isa, shape, AttentionMask::Full, &arrays);
        assert_eq!(
            full,
            run_tiled(isa, shape, AttentionMask::Windowed(window), &arrays)
        );
        let both = run_tiled(isa, shape, AttentionMask::FullAndResidual(window), &arrays);
        assert_eq!(full, both[..shape.n_elements()]);
        assert!(
            both[shape.n_elements()..]
                .iter()
                .all(|&residual| residual == 0.0)
        );
    }
}

#[test]
fn full_is_the_log_sum_exp_merge_of_inside_and_outside() {
    // For one query: O = (w_in e^(lse_in) + w_out e^(lse_out)) / (e^(lse_in) + e^(lse_out)).
    let shape = shape(1, 64, 1, 8);
    let arrays = Arrays::new(shape);
    let window = Window { left: 5, right: 9 };
    let full = run_tiled(Isa::best(), shape, AttentionMask::Full, &arrays);
    let row = |array: &[f32], row: usize| array[row * 8..row * 8 + 8].to_vec();
    for query in 0..64 {
        let inside = window.keys_of(query, 64);
        let merged = merge_of(&arrays, query, |key| inside.contains(&key), row);
        let (difference, _) = max_difference(&merged, &row(&full, query));
        assert!(difference < TOLERANCE, "query {query}: {difference}");
    }
}

/// Both parts with their own softmax, then merged by their log-sum-exp, in f64.
fn merge_of(
    arrays: &Arrays,
    query: usize,
    is_inside: impl Fn(usize) -> bool,
    row: impl Fn(&[f32], usize) -> Vec<f32>,
) -> Vec<f32> {
    let q = row(&arrays.q, query);
    let score = |key: usize| -> f64 {
        let k = row(&arrays.k, key);
        let dot: f64 = q
            .iter()
            .zip(k)
            .map(|(&a, b)| f64::from(a) * f64::from(b))
            .sum();
        dot / 8f64.sqrt()
    };
    let part = |wanted: bool| -> (f64, Vec<f64>) {
        let keys: Vec<usize> = (0..64).filter(|&key| is_inside(key) == wanted).collect();
        let total: f64 = keys.iter().map(|&key| score(key).exp()).sum();
        let mut out = vec![0.0; 8];
        for &key in &keys {
            for (out, v) in out.iter_mut().zip(row(&arrays.v, key)) {
                *out += score(key).exp() / total * f64::from(v);
            }
        }
        (total.ln(), out)
    };
    let ((lse_in, out_in), (lse_out, out_out)) = (part(true), part(false));
    let weight = 1.0 / (1.0 + (lse_out - lse_in).exp());
    out_in
        .iter()
        .zip(out_out)
        .map(|(a, b)| (weight * a + (1.0 - weight) * b) as f32)
        .collect()
}

#[test]
fn scores_far_from_zero_do_not_overflow() {
    let shape = shape(1, 70, 1, 4);
    let mut arrays = Arrays::new(shape);
    for q in &mut arrays.q {
        *q *= 300.0;
    }
    let expected = run_reference(shape, AttentionMask::Full, &arrays);
    for isa in Isa::available() {
        let found = run_tiled(isa, shape, AttentionMask::Full, &arrays);
        // Scores near 1000 have only 1e-4 of absolute precision in f32.
        let (difference, _) = max_difference(&expected, &found);
        assert!(difference < 2e-3, "{}: {difference}", isa.name());
    }
}
