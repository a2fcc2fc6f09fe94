//! Tiled attention with online softmax (FlashAttention, Dao et al. 2022, algorithm 1).
//!
//! One task is a tile of queries of one image, over all heads. Scores are kept
//! transposed, `Sᵀ = K Qᵀ`, so that vector lanes are queries: K and V are read in their
//! natural layout, maxima and sums are vertical, and any head size works without padding.
//!
//! Where the window residual is wanted, the keys inside the band come first; the state
//! after them *is* the window's output (a snapshot), and the remaining keys complete the
//! full output. Only tiles cut by the band's edge are visited twice.

use std::ops::Range;

use dfa_core::Window;
use rayon::prelude::*;

use super::{AttentionMask, AttentionShape, Qkv};
use crate::kernels::elementwise::exp2;
use crate::kernels::isa::{Isa, Lanes, for_each_isa};

/// Keys per tile.
const KEYS: usize = 64;
/// Queries per parallel task: a multiple of every instruction set's tile.
const TASK_QUERIES: usize = 32;
/// Start of the running maximum: finite, so that `masked - start` is never NaN.
const LOWEST: f32 = -1e30;

/// Attention of a whole batch; see [`super`] for the layout.
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn attend(
    isa: Isa,
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    out: &mut [f32],
) {
    inputs.check(shape, mask, out);
    if out.is_empty() {
        return;
    }
    let (first, second) = out.split_at_mut(shape.n_elements());
    let mut residuals = tiles_of(shape, second).into_iter();
    let tasks: Vec<Task<'_>> = tiles_of(shape, first)
        .into_iter()
        .map(|(image, first_query, out)| Task {
            image,
            first_query,
            out,
            residual: residuals.next().map(|(_, _, rows)| rows),
        })
        .collect();
    tasks
        .into_par_iter()
        .for_each(|task| attend_task(isa, shape, mask, inputs, task));
}

/// A tile of queries of one image, all heads.
pub(crate) struct Task<'a> {
    image: usize,
    first_query: usize,
    /// (queries of the tile, H·d).
    out: &'a mut [f32],
    /// The same rows of the second output.
    residual: Option<&'a mut [f32]>,
}

/// Splits (N, T, D) into `(image, first query, rows)`; a tile never crosses images.
fn tiles_of(shape: AttentionShape, out: &mut [f32]) -> Vec<(usize, usize, &mut [f32])> {
    let width = shape.width();
    let images = out.chunks_mut(shape.n_tokens * width).enumerate();
    images
        .flat_map(|(image, rows)| {
            let tiles = rows.chunks_mut(TASK_QUERIES * width).enumerate();
            tiles.map(move |(idx, rows)| (image, idx * TASK_QUERIES, rows))
        })
        .collect()
}

for_each_isa! {
    pub(crate) fn attend_task(
        shape: AttentionShape,
        mask: AttentionMask,
        inputs: Qkv<'_>,
        task: Task<'_>,
    ) = task_body;
}

#[inline(always)]
fn task_body<L: Lanes>(
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    task: Task<'_>,
) {
    // Two vectors of queries and as many accumulator rows as the registers hold.
    match L::WIDTH {
        16 => heads_of_task::<L, 32, 8>(shape, mask, inputs, task),
        8 => heads_of_task::<L, 16, 4>(shape, mask, inputs, task),
        _ => heads_of_task::<L, 8, 4>(shape, mask, inputs, task),
    }
}

#[inline(always)]
fn heads_of_task<L: Lanes, const Q: usize, const G: usize>(
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    mut task: Task<'_>,
) {
    let width = shape.width();
    let image = task.image * shape.n_tokens * width;
    let n_queries = task.out.len() / width;
    let mut state = TileState::<Q, G>::new(shape.head_size);
    for head in 0..shape.n_heads {
        let column = head * shape.head_size;
        let image_of = |array: &'_ [f32]| image + column..array.len();
        let keys = Keys {
            k: &inputs.k[image_of(inputs.k)],
            v: &inputs.v[image_of(inputs.v)],
            stride: width,
        };
        for start in (0..n_queries).step_by(Q) {
            let rows = start..n_queries.min(start + Q);
            let first_query = task.first_query + start;
            let q = &inputs.q[image + first_query * width + column..];
            state.load_queries(q, width, rows.len(), shape.scale());
            let at = rows.start * width + column;
            let band = Band {
                first_query,
                n_queries: rows.len(),
                n_tokens: shape.n_tokens,
            };
            for (part, segments) in band.phases(mask) {
                for segment in segments {
                    state.visit::<L>(&keys, &segment);
                }
                match (part, task.residual.as_deref_mut()) {
                    (Part::Window, Some(residual)) => {
                        state.store(&mut residual[at..], width, rows.len());
                    }
                    _ => state.store(&mut task.out[at..], width, rows.len()),
                }
            }
            if let Some(residual) = task.residual.as_deref_mut() {
                let residual = &mut residual[at..];
                subtract_from(
                    &task.out[at..],
                    residual,
                    width,
                    rows.len(),
                    shape.head_size,
                );
            }
        }
    }
}

/// `residual = out - residual`, which held the window's output.
#[inline(always)]
fn subtract_from(out: &[f32], residual: &mut [f32], stride: usize, n_rows: usize, columns: usize) {
    for row in 0..n_rows {
        let at = row * stride..row * stride + columns;
        for (residual, out) in residual[at.clone()].iter_mut().zip(&out[at]) {
            *residual = out - *residual;
        }
    }
}

/// Keys and values of one head of one image; row `j` starts at `j * stride`.
struct Keys<'a> {
    k: &'a [f32],
    v: &'a [f32],
    stride: usize,
}

/// The queries of a tile, for deciding which keys are inside their windows.
struct Band {
    first_query: usize,
    n_queries: usize,
    n_tokens: usize,
}

impl Band {
    /// The keys to visit, phase by phase; after a phase the state is that phase's output.
    /// The code that visits them exists once: it is large.
    fn phases(&self, mask: AttentionMask) -> Vec<(Part, Vec<Segment>)> {
        match mask {
            AttentionMask::Full => vec![(Part::Output, vec![Segment::plain(0..self.n_tokens)])],
            AttentionMask::Windowed(window) => vec![(Part::Output, self.inside(window))],
            AttentionMask::FullAndResidual(window) => vec![
                (Part::Window, self.inside(window)),
                (Part::Output, self.outside(window)),
            ],
        }
    }

    fn inside(&self, window: Window) -> Vec<Segment> {
        let all = self.all(window);
        let mut segments = vec![Segment::plain(all)];
        segments.extend(self.edges(window, true));
        segments
    }

    fn outside(&self, window: Window) -> Vec<Segment> {
        let any = self.any(window);
        let mut segments = vec![
            Segment::plain(0..any.start),
            Segment::plain(any.end..self.n_tokens),
        ];
        segments.extend(self.edges(window, false));
        segments
    }

    /// Keys that some queries of the tile see and others do not.
    fn edges(&self, window: Window, inside: bool) -> [Segment; 2] {
        let (any, all) = (self.any(window), self.all(window));
        let mask = Some(PairMask {
            window,
            first_query: self.first_query,
            inside,
        });
        let before = any.start..all.start.min(any.end);
        let after = all.end.max(before.end)..any.end;
        [before, after].map(|keys| Segment { keys, mask })
    }

    /// Keys that at least one query of the tile sees.
    fn any(&self, window: Window) -> Range<usize> {
        let last = self.first_query + self.n_queries - 1;
        let start = window.keys_of(self.first_query, self.n_tokens).start;
        start..window.keys_of(last, self.n_tokens).end
    }

    /// Keys that every query of the tile sees; may be empty.
    fn all(&self, window: Window) -> Range<usize> {
        let last = self.first_query + self.n_queries - 1;
        let start = window.keys_of(last, self.n_tokens).start;
        let end = window.keys_of(self.first_query, self.n_tokens).end;
        start..end.max(start)
    }
}

/// Which output a phase makes.
#[derive(Clone, Copy)]
enum Part {
    Output,
    /// The window's output, on the way to the full one.
    Window,
}

/// A range of keys, and which pairs of it count.
struct Segment {
    keys: Range<usize>,
    /// `None`: all of them.
    mask: Option<PairMask>,
}

impl Segment {
    fn plain(keys: Range<usize>) -> Self {
        Self { keys, mask: None }
    }
}

/// Which pairs of a tile count: those inside the window, or those outside.
#[derive(Clone, Copy)]
struct PairMask {
    window: Window,
    first_query: usize,
    inside: bool,
}

/// Online-softmax state of Q queries of one head; G accumulator rows at a time.
///
/// Everything is a list of rows of Q lanes, lane = query: whole rows are what the compiler
/// keeps in vector registers.
struct TileState<const Q: usize, const G: usize> {
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
    fn new(head_size: usize) -> Self {
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
    fn load_queries(&mut self, q: &[f32], stride: usize, n: usize, scale: f32) {
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
    fn store(&self, out: &mut [f32], stride: usize, n: usize) {
        for lane in 0..n {
            let inverse = 1.0 / self.total[lane];
            for (target, sum) in out[lane * stride..].iter_mut().zip(&self.sums) {
                *target = sum[lane] * inverse;
            }
        }
    }

    /// Adds a range of keys to the state.
    #[inline(always)]
    fn visit<L: Lanes>(&mut self, keys: &Keys<'_>, segment: &Segment) {
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
