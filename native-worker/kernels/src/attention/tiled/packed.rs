//! Keys and values of some heads of some images, laid out in the order in which they are
//! read: without this, rows lie a whole token apart and fight for the same cache sets.

use std::ops::Range;

use rayon::prelude::*;

use crate::attention::{AttentionShape, Qkv};
use crate::scratch::prefetch;
use crate::transpose::transpose;

/// Keys that lie side by side, column by column; columns of values likewise.
pub(super) const KEY_GROUP: usize = 8;
/// Keys of a tile: what is visited at once.
pub(super) const KEYS: usize = 64;
/// f32 of a round, about: 16 MiB, whatever the number of tokens.
const ROUND_VALUES: usize = 4 << 20;

/// Keys and values of one head of one image, tile by tile.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    layout: PackLayout,
    /// From the first tile on.
    values: &'a [f32],
    /// From one tile to the next.
    stride: usize,
}

/// Keys and values of one tile.
#[derive(Clone, Copy)]
pub(super) struct KeyTile<'a> {
    /// (groups, d, [`KEY_GROUP`]); the last group of all is filled up with zeros.
    pub(super) k: &'a [f32],
    /// (groups of columns, keys, [`KEY_GROUP`]); columns after d are zeros.
    pub(super) v: &'a [f32],
}

impl<'a> Keys<'a> {
    /// Keys of a tile.
    pub(super) fn tile_len(self) -> usize {
        self.layout.tile
    }

    pub(super) fn tile(self, idx: usize) -> KeyTile<'a> {
        let values = &self.values[idx * self.stride..][..self.layout.block_len()];
        let (k, v) = values.split_at(self.layout.tile * self.layout.head_size);
        KeyTile { k, v }
    }
}

/// Images and heads that are worked on together.
pub(super) struct Round {
    pub(super) images: Range<usize>,
    pub(super) heads: Range<usize>,
}

/// How the tiles of a round lie: (images, tiles, heads, block), a block being a
/// [`KeyTile`].
#[derive(Clone, Copy)]
pub(super) struct PackLayout {
    head_size: usize,
    /// Keys of a tile.
    tile: usize,
    /// Tiles of an image; enough for every image.
    n_tiles: usize,
}

/// Columns of a value with their padding.
pub(super) fn padded(head_size: usize) -> usize {
    head_size.next_multiple_of(KEY_GROUP)
}

impl PackLayout {
    /// `longest`: the most keys that an image sees.
    pub(super) fn new(head_size: usize, longest: usize) -> Self {
        let tile = longest.next_multiple_of(KEY_GROUP).clamp(KEY_GROUP, KEYS);
        Self {
            head_size,
            tile,
            n_tiles: longest.div_ceil(tile),
        }
    }

    /// Values of a tile of one head.
    fn block_len(self) -> usize {
        self.tile * (self.head_size + padded(self.head_size))
    }

    /// Values of the largest round.
    pub(super) fn round_len(self, shape: AttentionShape) -> usize {
        let lengths = self
            .rounds(shape)
            .map(|round| round.images.len() * self.n_tiles * round.heads.len() * self.block_len());
        lengths.max().unwrap_or(0)
    }

    /// As many whole images as fit, or as many heads of one image, at least one.
    pub(super) fn rounds(self, shape: AttentionShape) -> impl Iterator<Item = Round> {
        let head_len = self.n_tiles * self.block_len();
        let n_units = (ROUND_VALUES / head_len.max(1)).max(1);
        let n_images = (n_units / shape.n_heads).max(1);
        let n_heads = n_units.min(shape.n_heads);
        let images = (0..shape.batch).step_by(n_images);
        images.flat_map(move |image| {
            let heads = (0..shape.n_heads).step_by(n_heads);
            heads.map(move |head| Round {
                images: image..shape.batch.min(image + n_images),
                heads: head..shape.n_heads.min(head + n_heads),
            })
        })
    }

    /// Fills the memory of a round. `key_rows`: the rows of k and v of every image.
    pub(super) fn pack(
        self,
        shape: AttentionShape,
        inputs: Qkv<'_>,
        round: &Round,
        key_rows: &[Range<usize>],
        packed: &mut [f32],
    ) {
        let tiles = packed.par_chunks_mut((round.heads.len() * self.block_len()).max(1));
        let n_tiles = round.images.len() * self.n_tiles;
        tiles.take(n_tiles).enumerate().for_each(|(idx, blocks)| {
            let rows = &key_rows[round.images.start + idx / self.n_tiles];
            let first = rows.start + idx % self.n_tiles * self.tile;
            let rows = first.min(rows.end)..rows.end.min(first + self.tile);
            for start in rows.clone().step_by(KEY_GROUP) {
                let group = start - first..rows.end.min(start + KEY_GROUP) - first;
                let from = (&inputs.k[start * shape.width()..], shape.width());
                self.pack_k(from, round, group, blocks);
            }
            for (key, row) in rows.enumerate() {
                let row = &inputs.v[row * shape.width()..(row + 1) * shape.width()];
                self.pack_v(row, round, key, blocks);
            }
        });
    }

    /// A group of keys of a tile, of all heads; `from` begins with its first row.
    fn pack_k(
        self,
        (from, stride): (&[f32], usize),
        round: &Round,
        group: Range<usize>,
        blocks: &mut [f32],
    ) {
        let blocks = blocks.chunks_exact_mut(self.block_len().max(1));
        for (head, block) in round.heads.clone().zip(blocks) {
            let to = &mut block[group.start * self.head_size..][..KEY_GROUP * self.head_size];
            if group.len() < KEY_GROUP {
                to.fill(0.0);
            }
            let at = head * self.head_size;
            // Of the group after this one.
            for row in from.chunks(stride).skip(KEY_GROUP).take(KEY_GROUP) {
                prefetch(row.get(at..at + self.head_size).unwrap_or_default());
            }
            let from = (&from[at..], stride);
            transpose(from, (group.len(), self.head_size), (to, KEY_GROUP));
        }
    }

    /// A value of a tile, of all heads.
    fn pack_v(self, row: &[f32], round: &Round, key: usize, blocks: &mut [f32]) {
        let blocks = blocks.chunks_exact_mut(self.block_len().max(1));
        for (head, block) in round.heads.clone().zip(blocks) {
            let from = row[head * self.head_size..][..self.head_size].chunks(KEY_GROUP);
            let v = &mut block[self.tile * self.head_size + key * KEY_GROUP..];
            for (to, from) in v.chunks_mut(self.tile * KEY_GROUP).zip(from) {
                let to = &mut to[..KEY_GROUP];
                // A constant length is not worth a call of memcpy.
                match from.first_chunk::<KEY_GROUP>() {
                    Some(from) => to.copy_from_slice(from),
                    None => {
                        to[..from.len()].copy_from_slice(from);
                        to[from.len()..].fill(0.0);
                    }
                }
            }
        }
    }

    /// The keys of one head of one image of a round.
    pub(super) fn keys<'a>(
        self,
        packed: &'a [f32],
        round: &Round,
        image: usize,
        head: usize,
    ) -> Keys<'a> {
        let stride = round.heads.len() * self.block_len();
        let first = (image - round.images.start) * self.n_tiles * stride;
        Keys {
            layout: self,
            values: &packed[first + (head - round.heads.start) * self.block_len()..],
            stride,
        }
    }
}
