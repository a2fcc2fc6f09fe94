//! Tiled attention with online softmax (FlashAttention, Dao et al. 2022, algorithm 1).
//!
//! One task is a tile of queries of one image, over some heads. Scores are kept
//! transposed, `Sᵀ = K Qᵀ`, so that vector lanes are queries: maxima and sums are
//! vertical, and any head size works. Keys and values are first laid out in the order in
//! which they are read ([`packed`]), a bounded part of them at a time.
//!
//! Where the window residual is wanted, the keys inside the band come first; the state
//! after them *is* the window's output (a snapshot), and the remaining keys complete the
//! full output. Only tiles cut by the band's edge are visited twice ([`band`]).

use std::ops::Range;

use rayon::prelude::*;

use super::{AttentionMask, AttentionShape, Outputs, Qkv};
use crate::isa::{Isa, Lanes, for_each_isa};
use crate::scratch::{Scratch, prefetch, with_scratch};

mod band;
mod packed;
mod tile_state;

use band::{Band, Part};
use packed::{PackLayout, Round};
use tile_state::TileState;

thread_local! {
    static PACKED: Scratch = const { Scratch::new(Vec::new()) };
}

/// Attention of a whole batch; see [`super`] for the layout. `out`: (outputs, N, T, H·d).
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
    let expected = mask.n_outputs() * shape.n_elements();
    assert_eq!(out.len(), expected, "out is (outputs, N, T, H·d)");
    let (output, window_residual) = out.split_at_mut(shape.n_elements());
    let outputs = Outputs {
        output,
        window_residual,
    };
    attend_apart(isa, shape, mask, inputs, None, outputs);
}

/// [`attend`] with the outputs apart, and with something (N, T, H·d) added to the first:
/// a kept window residual to what the window gives. The sum has the bits of adding it
/// afterwards.
///
/// # Panics
/// If a slice does not have the size that `shape` says.
pub fn attend_apart(
    isa: Isa,
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    addend: Option<&[f32]>,
    outputs: Outputs<'_>,
) {
    inputs.check(shape);
    let n = shape.n_elements();
    assert_eq!(outputs.output.len(), n, "the output is (N, T, H·d)");
    assert_eq!(
        outputs.window_residual.len(),
        (mask.n_outputs() - 1) * n,
        "the window residual is (N, T, H·d), where it is made"
    );
    assert!(
        addend.is_none_or(|addend| addend.len() == n),
        "what is added is (N, T, H·d)"
    );
    let own_rows = |image| image * shape.n_tokens..(image + 1) * shape.n_tokens;
    let key_rows: Vec<_> = (0..shape.batch).map(own_rows).collect();
    attend_rows(isa, shape, mask, inputs, &key_rows, addend, outputs);
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
    let outputs = Outputs {
        output: out,
        window_residual: &mut [],
    };
    let mask = AttentionMask::Full;
    attend_rows(isa, shape, mask, inputs, visible, None, outputs);
}

/// `key_rows`: the rows of k and v that each image sees.
fn attend_rows(
    isa: Isa,
    shape: AttentionShape,
    mask: AttentionMask,
    inputs: Qkv<'_>,
    key_rows: &[Range<usize>],
    addend: Option<&[f32]>,
    outputs: Outputs<'_>,
) {
    let Outputs {
        output,
        window_residual,
    } = outputs;
    if output.is_empty() {
        return;
    }
    let longest = key_rows.iter().map(ExactSizeIterator::len).max();
    let layout = PackLayout::new(shape.head_size, longest.unwrap_or(0));
    with_scratch(&PACKED, layout.round_len(shape), |packed| {
        for round in layout.rounds(shape) {
            layout.pack(shape, inputs, &round, key_rows, packed);
            let call = Call {
                shape,
                mask,
                q: inputs.q,
                addend,
                layout,
                packed,
                round: &round,
                key_rows,
            };
            let tasks = call.tasks(isa, output, window_residual);
            tasks
                .into_par_iter()
                .for_each(|task| attend_task(isa, &call, task));
        }
    });
}

/// What the tasks of a round share.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    shape: AttentionShape,
    mask: AttentionMask,
    q: &'a [f32],
    /// Added to the output, (N, T, H·d).
    addend: Option<&'a [f32]>,
    layout: PackLayout,
    packed: &'a [f32],
    round: &'a Round,
    key_rows: &'a [Range<usize>],
}

/// A tile of queries of one image.
pub(crate) struct Task<'a> {
    image: usize,
    first_query: usize,
    /// (queries of the tile, H·d).
    out: &'a mut [f32],
    /// The same rows of the second output.
    residual: Option<&'a mut [f32]>,
}

impl Call<'_> {
    fn tasks<'a>(&self, isa: Isa, first: &'a mut [f32], second: &'a mut [f32]) -> Vec<Task<'a>> {
        let mut residuals = self.tiles_of(isa, second).into_iter();
        let tiles = self.tiles_of(isa, first).into_iter();
        tiles
            .map(|(image, first_query, out)| Task {
                image,
                first_query,
                out,
                residual: residuals.next().map(|(_, _, rows)| rows),
            })
            .collect()
    }

    /// Splits the round's images of (N, T, D) into `(image, first query, rows)`; a tile
    /// never crosses images.
    fn tiles_of<'a>(&self, isa: Isa, out: &'a mut [f32]) -> Vec<(usize, usize, &'a mut [f32])> {
        let width = self.shape.width();
        let n_queries = self.tile_vectors() * isa.width();
        let images = out.chunks_mut(self.shape.n_tokens * width).enumerate();
        images
            .skip(self.round.images.start)
            .take(self.round.images.len())
            .flat_map(|(image, rows)| {
                let tiles = rows.chunks_mut(n_queries * width).enumerate();
                tiles.map(move |(idx, rows)| (image, idx * n_queries, rows))
            })
            .collect()
    }

    /// Vectors of queries of a tile: as many as the registers hold, but a narrow tile has
    /// less work at the edges of a band, and where the band is all, that counts more.
    fn tile_vectors(&self) -> usize {
        match self.mask {
            AttentionMask::Full | AttentionMask::FullAndResidual(_) => 3,
            AttentionMask::Windowed(_) => 2,
        }
    }
}

for_each_isa! {
    pub(crate) fn attend_task(call: &Call<'_>, task: Task<'_>) = task_body;
}

#[inline(always)]
fn task_body<L: Lanes>(call: &Call<'_>, task: Task<'_>) {
    // As many accumulators as the registers hold.
    match L::WIDTH {
        16 => vectors_of_task::<L, 8>(call, task),
        _ => vectors_of_task::<L, 4>(call, task),
    }
}

/// The last tile of an image may need fewer vectors than the others.
#[inline(always)]
fn vectors_of_task<L: Lanes, const G: usize>(call: &Call<'_>, task: Task<'_>) {
    let n_queries = task.out.len() / call.shape.width();
    match n_queries.div_ceil(L::WIDTH) {
        1 => heads_of_task::<L, 1, G>(call, task),
        2 => heads_of_task::<L, 2, G>(call, task),
        _ => heads_of_task::<L, 3, G>(call, task),
    }
}

#[inline(always)]
fn heads_of_task<L: Lanes, const V: usize, const G: usize>(call: &Call<'_>, mut task: Task<'_>) {
    let shape = call.shape;
    let width = shape.width();
    let first_row = task.image * shape.n_tokens + task.first_query;
    let n_queries = task.out.len() / width;
    let band = Band {
        first_query: task.first_query,
        n_queries,
        n_keys: call.key_rows[task.image].len(),
    };
    let phases = band.phases(call.mask);
    let mut state = TileState::<L, V, G>::new(shape.head_size);
    for head in call.round.heads.clone() {
        let column = head * shape.head_size;
        let keys = call.layout.keys(call.packed, call.round, task.image, head);
        let q = &call.q[first_row * width + column..];
        state.load_queries(q, width, n_queries, shape.scale());
        // Of the next head.
        for row in q.chunks(width).take(n_queries) {
            let next = shape.head_size..2 * shape.head_size;
            prefetch(row.get(next).unwrap_or_default());
        }
        for (part, segments) in &phases {
            for segment in segments {
                state.visit(keys, segment);
            }
            match (part, task.residual.as_deref_mut()) {
                (Part::Window, Some(residual)) => {
                    state.store(&mut residual[column..], width, n_queries);
                }
                _ => state.store(&mut task.out[column..], width, n_queries),
            }
        }
        let columns = column..column + shape.head_size;
        if let Some(residual) = task.residual.as_deref_mut() {
            let rows = residual.chunks_mut(width).zip(task.out.chunks(width));
            for (residual, out) in rows {
                subtract_from(&out[columns.clone()], &mut residual[columns.clone()]);
            }
        }
        if let Some(addend) = call.addend {
            let rows = addend[first_row * width..].chunks(width);
            for (out, addend) in task.out.chunks_mut(width).zip(rows) {
                add_to(&addend[columns.clone()], &mut out[columns.clone()]);
            }
        }
    }
}

/// `out += addend`.
#[inline(always)]
fn add_to(addend: &[f32], out: &mut [f32]) {
    for (out, addend) in out.iter_mut().zip(addend) {
        *out += addend;
    }
}

/// `residual = out - residual`, which held the window's output.
#[inline(always)]
fn subtract_from(out: &[f32], residual: &mut [f32]) {
    for (residual, out) in residual.iter_mut().zip(out) {
        *residual = out - *residual;
    }
}
