//! Online softmax over keys, for a tile of queries of one head.
//!
//! Knows nothing of tasks or phases: it visits the keys it is told to and keeps the
//! running maximum, sum and output. Which keys those are is decided in [`super`].

use std::ops::Range;

use dfa_core::Window;

use crate::elementwise::exp2;
use crate::isa::Lanes;

/// Keys per tile.
const KEYS: usize = 64;
/// Start of the running maximum: finite, so that `masked - start` is never NaN.
const LOWEST: f32 = -1e30;

/// Keys and values of one head of one image; row `j` starts at `j * stride`.
pub(super) struct Keys<'a> {
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) stride: usize,
}

/// A range of keys, and which pairs of it count.
pub(super) struct Segment {
    pub(super) keys: Range<usize>,
    /// `None`: all of them.
    pub(super) mask: Option<PairMask>,
}

impl Segment {
    pub(super) fn plain(keys: Range<usize>) -> Self {
        Self { keys, mask: None }
    }
}

/// Which pairs of a tile count: those inside the window, or those outside.
#[derive(Clone, Copy)]
pub(super) struct PairMask {
    pub(super) window: Window,
    pub(super) first_query: usize,
    pub(super) inside: bool,
}

/// Online-softmax state of Q queries of one head; G accumulator rows at a time.
///
/// Everything is a list of rows of Q lanes, lane = query: whole rows are what the compiler
/// keeps in vector registers.
pub(super) struct TileState<const Q: usize, const G: usize> {
    /// d rows: queries times `log2(e)/√d`, transposed.
    queries: Vec<[f32; Q]>,
    /// d rows: weighted sum of values so far, transposed, not yet normalised.
    sums: Vec<[f32; Q]>,
    /// Up to KEYS rows: scores of the current tile, then their weights.
    scores: Vec<[f32; Q]>,
    /// Running maximum of the scores.
    largest: [f32; Q],
    /// Running sum of the weights.
    total: [f32; Q],
}

/// Two vectors: one row of Q lanes.
type Row<L> = [<L as Lanes>::Vector; 2];

#[inline(always)]
fn load_row<L: Lanes, const Q: usize>(row: &[f32; Q]) -> Row<L> {
    [L::load(row), L::load(&row[L::WIDTH..])]
}

#[inline(always)]
fn store_row<L: Lanes, const Q: usize>(row: Row<L>, to: &mut [f32; Q]) {
    L::store(row[0], to);
    L::store(row[1], &mut to[L::WIDTH..]);
}

/// `sum += a x`, lane by lane.
#[inline(always)]
fn add_scaled<L: Lanes>(sum: &mut Row<L>, a: f32, x: Row<L>) {
    let a = L::splat(a);
    sum[0] = L::mul_add_lanes(a, x[0], sum[0]);
    sum[1] = L::mul_add_lanes(a, x[1], sum[1]);
}

impl<const Q: usize, const G: usize> TileState<Q, G> {
    pub(super) fn new(head_size: usize) -> Self {
        Self {
            queries: vec![[0.0; Q]; head_size],
            sums: vec![[0.0; Q]; head_size],
            scores: vec![[0.0; Q]; KEYS],
            largest: [LOWEST; Q],
            total: [0.0; Q],
        }
    }

    /// Starts anew with `n` queries; row `i` of `q` starts at `i * stride`.
    #[inline(always)]
    pub(super) fn load_queries(&mut self, q: &[f32], stride: usize, n: usize, scale: f32) {
        let factor = scale * std::f32::consts::LOG2_E;
        self.queries.fill([0.0; Q]);
        for lane in 0..n {
            for (query, value) in self.queries.iter_mut().zip(&q[lane * stride..]) {
                query[lane] = value * factor;
            }
        }
        self.sums.fill([0.0; Q]);
        self.largest = [LOWEST; Q];
        self.total = [0.0; Q];
    }

    /// Writes the normalised output of the first `n` queries.
    #[inline(always)]
    pub(super) fn store(&self, out: &mut [f32], stride: usize, n: usize) {
        for lane in 0..n {
            let inverse = 1.0 / self.total[lane];
            for (target, sum) in out[lane * stride..].iter_mut().zip(&self.sums) {
                *target = sum[lane] * inverse;
            }
        }
    }

    /// Adds a range of keys to the state.
    #[inline(always)]
    pub(super) fn visit<L: Lanes>(&mut self, keys: &Keys<'_>, segment: &Segment) {
        let mut start = segment.keys.start;
        while start < segment.keys.end {
            let n = KEYS.min(segment.keys.end - start);
            self.score::<L>(keys, start, n);
            if let Some(mask) = segment.mask {
                self.hide(start, n, mask);
            }
            self.weigh::<L>(n);
            self.add_values::<L>(keys, start, n);
            start += n;
        }
    }

    /// `Sᵀ = K Qᵀ` for `n` keys from `start`.
    #[inline(always)]
    fn score<L: Lanes>(&mut self, keys: &Keys<'_>, start: usize, n: usize) {
        let mut key = 0;
        while key + G <= n {
            self.score_group::<L, G>(keys, start + key, key);
            key += G;
        }
        while key < n {
            self.score_group::<L, 1>(keys, start + key, key);
            key += 1;
        }
    }

    #[inline(always)]
    fn score_group<L: Lanes, const N: usize>(&mut self, keys: &Keys<'_>, key: usize, row: usize) {
        let rows: [&[f32]; N] = std::array::from_fn(|g| {
            let at = (key + g) * keys.stride;
            &keys.k[at..at + self.queries.len()]
        });
        let mut sums = [[L::splat(0.0); 2]; N];
        for (column, query) in self.queries.iter().enumerate() {
            let query = load_row::<L, Q>(query);
            for g in 0..N {
                // SAFETY: every row has `queries.len()` elements, so `column` is inside.
                // The check would sit in the innermost loop.
                let value = unsafe { *rows[g].get_unchecked(column) };
                add_scaled::<L>(&mut sums[g], value, query);
            }
        }
        for (sums, scores) in sums.into_iter().zip(&mut self.scores[row..row + N]) {
            store_row::<L, Q>(sums, scores);
        }
    }

    /// Takes the pairs that do not count out of the current tile.
    #[inline(always)]
    fn hide(&mut self, start: usize, n: usize, mask: PairMask) {
        let PairMask {
            window,
            first_query,
            inside,
        } = mask;
        for (key, scores) in (start..start + n).zip(&mut self.scores) {
            for (query, score) in (first_query..).zip(scores) {
                let seen = key + window.left >= query && key <= query + window.right;
                if seen != inside {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
    }

    /// Turns the tile's scores into weights and rescales what was summed so far.
    #[inline(always)]
    fn weigh<L: Lanes>(&mut self, n: usize) {
        let old = self.largest;
        let mut largest = old;
        for scores in &self.scores[..n] {
            for lane in 0..Q {
                let score = scores[lane];
                largest[lane] = if score > largest[lane] {
                    score
                } else {
                    largest[lane]
                };
            }
        }
        if largest != old {
            let mut rescale = [0f32; Q];
            for lane in 0..Q {
                rescale[lane] = exp2::<L>(old[lane] - largest[lane]);
                self.total[lane] *= rescale[lane];
            }
            for sums in &mut self.sums {
                for lane in 0..Q {
                    sums[lane] *= rescale[lane];
                }
            }
        }
        let mut total = self.total;
        for scores in &mut self.scores[..n] {
            for lane in 0..Q {
                let weight = exp2::<L>(scores[lane] - largest[lane]);
                scores[lane] = weight;
                total[lane] += weight;
            }
        }
        self.largest = largest;
        self.total = total;
    }

    /// `Oᵀ += Vᵀ Pᵀ` for `n` keys from `start`.
    #[inline(always)]
    fn add_values<L: Lanes>(&mut self, keys: &Keys<'_>, start: usize, n: usize) {
        let mut column = 0;
        while column + G <= self.sums.len() {
            self.add_columns::<L, G>(keys, start, n, column);
            column += G;
        }
        while column < self.sums.len() {
            self.add_columns::<L, 1>(keys, start, n, column);
            column += 1;
        }
    }

    #[inline(always)]
    fn add_columns<L: Lanes, const N: usize>(
        &mut self,
        keys: &Keys<'_>,
        start: usize,
        n: usize,
        column: usize,
    ) {
        let mut sums: [Row<L>; N] =
            std::array::from_fn(|g| load_row::<L, Q>(&self.sums[column + g]));
        for (key, weights) in (start..).zip(&self.scores[..n]) {
            let at = key * keys.stride + column;
            let values = &keys.v[at..at + N];
            let weights = load_row::<L, Q>(weights);
            for g in 0..N {
                add_scaled::<L>(&mut sums[g], values[g], weights);
            }
        }
        for (sums, kept) in sums.into_iter().zip(&mut self.sums[column..column + N]) {
            store_row::<L, Q>(sums, kept);
        }
    }
}
