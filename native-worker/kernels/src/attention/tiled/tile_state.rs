//! Online softmax over keys, for a tile of queries of one head.
//!
//! Knows nothing of tasks or phases: it visits the keys it is told to and keeps the
//! running maximum, sum and output. Which keys those are is decided in [`super::band`].
//! What a query gets does not depend on the tile it is in, to the last bit.

use super::band::{PairMask, Segment};
use super::packed::{KEY_GROUP, KEYS, KeyTile, Keys, padded};
use crate::isa::Lanes;
use crate::scratch::prefetch_after;
use crate::transpose::transpose;

/// Start of the running maximum: finite, so that `masked - start` is never NaN.
const LOWEST: f32 = -1e30;
/// Queries of the largest tile.
pub(super) const MOST_QUERIES: usize = 3 * 16;

/// One value for each query of the tile: V vectors, lane = query.
type Row<L, const V: usize> = [<L as Lanes>::Vector; V];

/// Online-softmax state of V vectors of queries of one head; G accumulator rows at a time.
pub(super) struct TileState<L: Lanes, const V: usize, const G: usize> {
    head_size: usize,
    /// d rows: queries times `log2(e)/√d`, transposed.
    queries: Vec<Row<L, V>>,
    /// d rows, padded: weighted sum of values so far, transposed, not yet normalised.
    sums: Vec<Row<L, V>>,
    /// Up to KEYS rows: scores of the current tile, then their weights.
    scores: Vec<Row<L, V>>,
    /// Running maximum of the scores.
    largest: Row<L, V>,
    /// Running sum of the weights.
    total: Row<L, V>,
}

/// `sum += a x`, lane by lane.
#[inline(always)]
fn add_scaled<L: Lanes, const V: usize>(sum: &mut Row<L, V>, a: f32, x: &Row<L, V>) {
    let a = L::splat(a);
    for v in 0..V {
        sum[v] = L::mul_add_lanes(a, x[v], sum[v]);
    }
}

/// Applies `f` vector by vector.
#[inline(always)]
fn map2<L: Lanes, const V: usize>(
    a: &Row<L, V>,
    b: &Row<L, V>,
    f: impl Fn(L::Vector, L::Vector) -> L::Vector,
) -> Row<L, V> {
    let mut out = *a;
    for v in 0..V {
        out[v] = f(a[v], b[v]);
    }
    out
}

#[inline(always)]
fn load_row<L: Lanes, const V: usize>(values: &[f32]) -> Row<L, V> {
    let mut row = [L::splat(0.0); V];
    for v in 0..V {
        row[v] = L::load(&values[v * L::WIDTH..]);
    }
    row
}

/// The lanes of rows one after the other.
#[inline(always)]
fn lanes<L: Lanes, const V: usize>(rows: &[Row<L, V>]) -> &[f32] {
    // SAFETY: a `Lanes::Vector` is `WIDTH` f32 without padding, aligned at least as one.
    unsafe { std::slice::from_raw_parts(rows.as_ptr().cast(), rows.len() * V * L::WIDTH) }
}

/// As [`lanes`], to be written.
#[inline(always)]
fn lanes_mut<L: Lanes, const V: usize>(rows: &mut [Row<L, V>]) -> &mut [f32] {
    // SAFETY: as `lanes`; any f32 are a valid vector.
    unsafe { std::slice::from_raw_parts_mut(rows.as_mut_ptr().cast(), rows.len() * V * L::WIDTH) }
}

impl<L: Lanes, const V: usize, const G: usize> TileState<L, V, G> {
    #[inline(always)]
    pub(super) fn new(head_size: usize) -> Self {
        let zero = [L::splat(0.0); V];
        Self {
            head_size,
            queries: vec![zero; head_size],
            sums: vec![zero; padded(head_size)],
            scores: vec![zero; KEYS],
            largest: [L::splat(LOWEST); V],
            total: zero,
        }
    }

    /// Starts anew with `n` queries; row `i` of `q` starts at `i * stride`.
    #[inline(always)]
    pub(super) fn load_queries(&mut self, q: &[f32], stride: usize, n: usize, scale: f32) {
        let head_size = self.head_size;
        let queries = lanes_mut::<L, V>(&mut self.queries);
        transpose((q, stride), (n, head_size), (queries, V * L::WIDTH));
        let factor = [L::splat(scale * std::f32::consts::LOG2_E); V];
        for query in &mut self.queries {
            *query = map2::<L, V>(query, &factor, L::mul);
        }
        self.sums.fill([L::splat(0.0); V]);
        self.largest = [L::splat(LOWEST); V];
        self.total = [L::splat(0.0); V];
    }

    /// Writes the normalised output of the first `n` queries.
    #[inline(always)]
    pub(super) fn store(&self, out: &mut [f32], stride: usize, n: usize) {
        let sums = lanes::<L, V>(&self.sums);
        let dims = (self.head_size, n);
        transpose((sums, V * L::WIDTH), dims, (&mut *out, stride));
        let totals = lanes::<L, V>(std::slice::from_ref(&self.total));
        for (row, total) in out.chunks_mut(stride).zip(&totals[..n]) {
            let inverse = 1.0 / total;
            for x in &mut row[..self.head_size] {
                *x *= inverse;
            }
        }
    }

    /// Adds a range of keys to the state.
    #[inline(always)]
    pub(super) fn visit(&mut self, keys: Keys<'_>, segment: &Segment) {
        let mut start = segment.keys.start;
        while start < segment.keys.end {
            let tile_len = keys.tile_len();
            let (tile, first) = (keys.tile(start / tile_len), start % tile_len);
            let n = (tile_len - first).min(segment.keys.end - start);
            self.score(tile, first, n);
            if let Some(mask) = segment.mask {
                self.hide(start, n, mask);
            }
            self.weigh(n);
            self.add_values(tile, first, n);
            start += n;
        }
    }

    /// `Sᵀ = K Qᵀ` for `n` keys of a tile, in whole groups: the last may be padded.
    #[inline(always)]
    fn score(&mut self, tile: KeyTile<'_>, first: usize, n: usize) {
        let group_len = KEY_GROUP * self.head_size;
        let k = &tile.k[first / KEY_GROUP * group_len..];
        for group in 0..n.div_ceil(KEY_GROUP) {
            let k = &k[group * group_len..(group + 1) * group_len];
            for lane in (0..KEY_GROUP).step_by(G) {
                self.score_group(k, lane, group * KEY_GROUP + lane);
            }
        }
    }

    /// G keys of a group, from `lane`; their scores are stored from row `row`.
    #[inline(always)]
    fn score_group(&mut self, k: &[f32], lane: usize, row: usize) {
        let mut sums = [[L::splat(0.0); V]; G];
        for (k, query) in k.chunks_exact(KEY_GROUP).zip(&self.queries) {
            prefetch_after(k, KEY_GROUP * self.head_size);
            let k = &k[lane..lane + G];
            for g in 0..G {
                add_scaled::<L, V>(&mut sums[g], k[g], query);
            }
        }
        self.scores[row..row + G].copy_from_slice(&sums);
    }

    /// Takes the pairs that do not count out of the current tile.
    #[inline(always)]
    fn hide(&mut self, start: usize, n: usize, mask: PairMask) {
        for (key, scores) in (start..start + n).zip(&mut self.scores) {
            let seen = mask.seen_by(key, V * L::WIDTH);
            let from = |table: &[f32], lane: usize| load_row::<L, V>(&table[MOST_QUERIES - lane..]);
            let hidden = if mask.inside {
                let (from_start, to_end) = (from(&OPENS, seen.start), from(&CLOSES, seen.end));
                map2::<L, V>(&from_start, &to_end, L::add)
            } else {
                let (to_start, from_end) = (from(&CLOSES, seen.start), from(&OPENS, seen.end));
                map2::<L, V>(&to_start, &from_end, L::max)
            };
            *scores = map2::<L, V>(scores, &hidden, L::add);
        }
    }

    /// Turns the tile's scores into weights and rescales what was summed so far.
    #[inline(always)]
    fn weigh(&mut self, n: usize) {
        let old = self.largest;
        let mut largest = old;
        for scores in &self.scores[..n] {
            largest = map2::<L, V>(&largest, scores, L::max);
        }
        if (0..V).any(|v| L::any_greater(largest[v], old[v])) {
            let rescale = map2::<L, V>(&old, &largest, |old, new| L::exp2(L::sub(old, new)));
            self.total = map2::<L, V>(&self.total, &rescale, L::mul);
            for sums in &mut self.sums {
                *sums = map2::<L, V>(sums, &rescale, L::mul);
            }
        }
        let mut total = self.total;
        for scores in &mut self.scores[..n] {
            *scores = map2::<L, V>(scores, &largest, |score, largest| {
                L::exp2(L::sub(score, largest))
            });
            total = map2::<L, V>(&total, scores, L::add);
        }
        self.largest = largest;
        self.total = total;
    }

    /// `Oᵀ += Vᵀ Pᵀ` for `n` keys of a tile.
    #[inline(always)]
    fn add_values(&mut self, tile: KeyTile<'_>, first: usize, n: usize) {
        let group_len = tile.v.len() / self.sums.len() * KEY_GROUP;
        for column in (0..self.sums.len()).step_by(G) {
            let at = column / KEY_GROUP * group_len + first * KEY_GROUP;
            let v = &tile.v[at..at + n * KEY_GROUP];
            self.add_columns((v, group_len), column % KEY_GROUP, column);
        }
    }

    /// G columns of a group, from `lane`; `v`: (keys, [`KEY_GROUP`]), the next group
    /// `group_len` after it.
    #[inline(always)]
    fn add_columns(&mut self, (v, group_len): (&[f32], usize), lane: usize, column: usize) {
        let mut sums = [[L::splat(0.0); V]; G];
        sums.copy_from_slice(&self.sums[column..column + G]);
        for (weights, v) in self.scores.iter().zip(v.chunks_exact(KEY_GROUP)) {
            prefetch_after(v, group_len);
            let v = &v[lane..lane + G];
            for g in 0..G {
                add_scaled::<L, V>(&mut sums[g], v[g], weights);
            }
        }
        self.sums[column..column + G].copy_from_slice(&sums);
    }
}

/// From [`MOST_QUERIES`] - n on: hides the first n lanes, lets the others be.
static OPENS: [f32; 2 * MOST_QUERIES] = step(f32::NEG_INFINITY, 0.0);
/// From [`MOST_QUERIES`] - n on: lets the first n lanes be, hides the others.
static CLOSES: [f32; 2 * MOST_QUERIES] = step(0.0, f32::NEG_INFINITY);

const fn step(first: f32, second: f32) -> [f32; 2 * MOST_QUERIES] {
    let mut table = [first; 2 * MOST_QUERIES];
    let mut idx = MOST_QUERIES;
    while idx < table.len() {
        table[idx] = second;
        idx += 1;
    }
    table
}
