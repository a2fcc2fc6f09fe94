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
use crate::isa::{Isa, Lanes, for_each_isa};

mod tile_state;

use tile_state::{Keys, PairMask, Segment, TileState};

/// Queries per parallel task: a multiple of every instruction set's tile.
const TASK_QUERIES: usize = 32;

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
    let own_rows = |image| image * shape.n_tokens..(image + 1) * shape.n_tokens;
    attend_rows(isa, shape, mask, inputs, own_rows, out);
}

/// Attention to keys of another origin, such as a text: queries (N, T, H·d), keys and
/// values (rows, H·d). Image `i` sees the rows `visible[i]`, all of them.
///
/// # Panics
/// If a slice does not have the size that `shape` says, or if an image sees no row.
pub fn cross_attend(
    isa: Isa,
    shape: AttentionShape,
    visible: &[Range<usize>],
    inputs: Qkv<'_>,
    out: &mut [f32],
) {
    inputs.check_cross(shape, visible, out);
    let rows_of = |image: usize| visible[image].clone();
    attend_rows(isa, shape, AttentionMask::Full, inputs, rows_of, out);
}

/// `rows_of`: the rows of k and v that an image sees.
fn attend_rows(
    isa: Isa,
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    rows_of: impl Fn(usize) -> Range<usize>,
    out: &mut [f32],
) {
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
            key_rows: rows_of(image),
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
    /// Rows of k and v that the image sees.
    key_rows: Range<usize>,
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
    let first_key = task.key_rows.start * width;
    let n_queries = task.out.len() / width;
    let mut state = TileState::<Q, G>::new(shape.head_size);
    for head in 0..shape.n_heads {
        let column = head * shape.head_size;
        let keys = Keys {
            k: &inputs.k[first_key + column..],
            v: &inputs.v[first_key + column..],
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
                n_keys: task.key_rows.len(),
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

/// The queries of a tile, for deciding which keys are inside their windows.
struct Band {
    first_query: usize,
    n_queries: usize,
    n_keys: usize,
}

impl Band {
    /// The keys to visit, phase by phase; after a phase the state is that phase's output.
    /// The code that visits them exists once: it is large.
    fn phases(&self, mask: AttentionMask) -> Vec<(Part, Vec<Segment>)> {
        match mask {
            AttentionMask::Full => vec![(Part::Output, vec![Segment::plain(0..self.n_keys)])],
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
            Segment::plain(any.end..self.n_keys),
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
        let start = window.keys_of(self.first_query, self.n_keys).start;
        start..window.keys_of(last, self.n_keys).end
    }

    /// Keys that every query of the tile sees; may be empty.
    fn all(&self, window: Window) -> Range<usize> {
        let last = self.first_query + self.n_queries - 1;
        let start = window.keys_of(last, self.n_keys).start;
        let end = window.keys_of(self.first_query, self.n_keys).end;
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
