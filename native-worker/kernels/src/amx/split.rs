//! f32 as sums of bf16, laid out as the matrix unit reads them.
//!
//! `x = x₁ + x₂ + x₃`, each the bf16 nearest to what is left: 8 bits of x's 24 each. A
//! weight that is stored in bf16 is one part, one in f16 (11 bits) two, both exactly.

use std::arch::x86_64::*;

use super::{DEPTH, SIDE, TILE, TILE_ROWS};
use crate::widen::Stored;

/// Parts of an f32.
pub(crate) const PARTS: usize = 3;
/// bf16 of [`SIDE`] rows and [`DEPTH`] columns, one part.
const BLOCK: usize = SIDE * DEPTH;

/// Of how many parts a right side's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RightParts {
    /// bf16.
    One,
    /// f16.
    Two,
    /// f32.
    Three,
}

impl RightParts {
    /// As many as values of this type have.
    pub(crate) fn of(stored: Stored<'_>) -> Self {
        match stored {
            Stored::Bf16(_) => Self::One,
            Stored::F16(_) => Self::Two,
            Stored::F32(_) => Self::Three,
        }
    }

    pub(crate) fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// bf16 of [`SIDE`] columns and one depth.
    pub(crate) fn block_len(self) -> usize {
        self.count() * BLOCK
    }
}

/// bf16 of [`SIDE`] rows of a left side and one depth.
pub(crate) const LEFT_BLOCK: usize = PARTS * BLOCK;

/// Rows of a matrix, some columns of each.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// From the first row on.
    pub(crate) values: Stored<'a>,
    /// From one row to the next.
    pub(crate) stride: usize,
    pub(crate) n_rows: usize,
    /// Columns that are taken, from this one on.
    pub(crate) first: usize,
    pub(crate) n_columns: usize,
}

impl<'a> Rows<'a> {
    /// [`DEPTH`] columns of a row, or as many as there are.
    #[inline(always)]
    fn piece(&self, row: usize, depth: usize) -> Option<Stored<'a>> {
        let start = depth * DEPTH;
        let n = DEPTH.min(self.n_columns - start);
        let at = row * self.stride + self.first + start;
        (row < self.n_rows).then(|| self.values.slice(at..at + n))
    }
}

/// Lays rows out as left sides: (depths, [`PARTS`], tiles, rows, [`DEPTH`]), up to
/// [`SIDE`] rows; what is missing is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) fn pack_left(rows: Rows<'_>, to: &mut [u16]) {
    for (depth, block) in to.chunks_exact_mut(LEFT_BLOCK).enumerate() {
        for row in 0..SIDE {
            let parts = split(load(rows.piece(row, depth)));
            for (part, values) in parts.into_iter().enumerate() {
                store(values, &mut block[part * BLOCK + row * DEPTH..]);
            }
        }
    }
}

/// Lays rows out as columns of right sides, pairs of a column's values side by side:
/// (depths, parts, tiles, pairs, rows, 2), up to [`SIDE`] rows; what is missing is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) fn pack_right(rows: Rows<'_>, to: &mut [u16]) {
    let parts = RightParts::of(rows.values);
    for (depth, block) in to.chunks_exact_mut(parts.block_len()).enumerate() {
        for tile in 0..SIDE / TILE_ROWS {
            let zero = _mm512_setzero_si512();
            let mut split_rows = [[zero; PARTS]; TILE_ROWS];
            for (idx, parts) in split_rows.iter_mut().enumerate() {
                *parts = parts_of(rows.piece(tile * TILE_ROWS + idx, depth));
            }
            for part in 0..parts.count() {
                let mut rows = [zero; TILE_ROWS];
                for (row, parts) in rows.iter_mut().zip(&split_rows) {
                    *row = parts[part];
                }
                let to = &mut block[part * BLOCK + tile * TILE..][..TILE];
                for (values, to) in transposed(rows).into_iter().zip(to.chunks_exact_mut(DEPTH)) {
                    store(values, to);
                }
            }
        }
    }
}

/// Bits of [`DEPTH`] bf16 of each part.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn parts_of(piece: Option<Stored<'_>>) -> [__m512i; PARTS] {
    match piece {
        Some(Stored::Bf16(bits)) => {
            let zero = _mm512_setzero_si512();
            [load_bits(bits), zero, zero]
        }
        piece => split(load(piece)),
    }
}

/// Two vectors of f32: the first and the second half of [`DEPTH`] values.
type Pair = [__m512; 2];

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load(piece: Option<Stored<'_>>) -> Pair {
    match piece {
        None => [_mm512_setzero_ps(); 2],
        Some(Stored::F32(values)) => {
            let half = |at: usize| {
                let n = values.len().saturating_sub(at).min(16);
                let mask = (1u32 << n).wrapping_sub(1) as u16;
                // SAFETY: reads only the lanes of the mask, `n` values that are there.
                unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr().wrapping_add(at)) }
            };
            [half(0), half(16)]
        }
        Some(Stored::F16(bits)) => halves(load_bits(bits)).map(|half| _mm512_cvtph_ps(half)),
        Some(Stored::Bf16(bits)) => widened(load_bits(bits)),
    }
}

/// Up to [`DEPTH`] values of 16 bits, then zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_bits(bits: &[u16]) -> __m512i {
    let mask = if bits.len() < DEPTH {
        (1u32 << bits.len()) - 1
    } else {
        u32::MAX
    };
    // SAFETY: reads only the lanes of the mask, which has as many bits as there are values.
    unsafe { _mm512_maskz_loadu_epi16(mask, bits.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(bits: __m512i) -> [__m256i; 2] {
    [
        _mm512_castsi512_si256(bits),
        _mm512_extracti64x4_epi64::<1>(bits),
    ]
}

/// bf16 as f32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn widened(bits: __m512i) -> Pair {
    halves(bits).map(|half| {
        let wide = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half));
        _mm512_castsi512_ps(wide)
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) fn split(mut rest: Pair) -> [__m512i; PARTS] {
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for (idx, part) in parts.iter_mut().enumerate() {
        // SAFETY: both are 32 values of 16 bits.
        *part = unsafe {
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(rest[1], rest[0]))
        };
        if idx + 1 < PARTS {
            let taken = widened(*part);
            rest = [
                _mm512_sub_ps(rest[0], taken[0]),
                _mm512_sub_ps(rest[1], taken[1]),
            ];
        }
    }
    parts
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn store(values: __m512i, to: &mut [u16]) {
    let to = &mut to[..DEPTH];
    // SAFETY: the slice has the 32 values that are written.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), values) }
}

/// A matrix of 16 × 16 values of 32 bits, rows for columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512i; 16]) -> [__m512i; 16] {
    let zero = _mm512_setzero_si512();
    // Within every 128 bits: pairs of rows, then fours of them.
    let mut fours = [zero; 16];
    for four in (0..16).step_by(4) {
        let [a, b, c, d] = [rows[four], rows[four + 1], rows[four + 2], rows[four + 3]];
        let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        fours[four] = _mm512_unpacklo_epi64(ab_low, cd_low);
        fours[four + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
        fours[four + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        fours[four + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    // Then the 128 bits of four vectors.
    let mut columns = [zero; 16];
    for i in 0..4 {
        let [a, b, c, d] = [fours[i], fours[4 + i], fours[8 + i], fours[12 + i]];
        let (ab_even, ab_odd) = (
            _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b),
        );
        let (cd_even, cd_odd) = (
            _mm512_shuffle_i32x4::<0b10_00_10_00>(c, d),
            _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d),
        );
        columns[i] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_even, cd_even);
        columns[8 + i] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_even, cd_even);
        columns[4 + i] = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab_odd, cd_odd);
        columns[12 + i] = _mm512_shuffle_i32x4::<0b11_01_11_01>(ab_odd, cd_odd);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::widen::{bf16_to_f32, f16_to_f32};

    /// Rows 0..n_rows of a matrix with one more column on each side.
    fn check_layout(values: Stored<'_>, widened: &[f32], n_rows: usize, n_columns: usize) {
        let stride = n_columns + 2;
        let rows = Rows {
            values,
            stride,
            n_rows,
            first: 1,
            n_columns,
        };
        let n_depths = n_columns.div_ceil(DEPTH);
        let n_parts = RightParts::of(values).count();
        let mut left = vec![0xffffu16; n_depths * LEFT_BLOCK];
        let mut right = vec![0xffffu16; n_depths * n_parts * BLOCK];
        // SAFETY: the caller saw that the machine has the unit.
        unsafe {
            pack_left(rows, &mut left);
            pack_right(rows, &mut right);
        }
        for row in 0..SIDE {
            for column in 0..n_depths * DEPTH {
                let inside = row < n_rows && column < n_columns;
                let expected = if inside {
                    widened[row * stride + 1 + column]
                } else {
                    0.0
                };
                let (depth, k) = (column / DEPTH, column % DEPTH);
                let sum = |side: &[u16], n_parts: usize, at: usize| {
                    let parts = (0..n_parts).rev();
                    let value = |part| bf16_to_f32(side[(depth * n_parts + part) * BLOCK + at]);
                    parts.map(value).sum::<f32>()
                };
                let at = format!("{n_parts} parts, {n_rows} x {n_columns}: {row} {column}");
                assert_eq!(sum(&left, PARTS, row * DEPTH + k), expected, "{at}");
                let tile = row / TILE_ROWS * TILE;
                let place = tile + k / 2 * DEPTH + row % TILE_ROWS * 2 + k % 2;
                assert_eq!(sum(&right, n_parts, place), expected, "{at}");
            }
        }
    }

    /// Without the unit there is nothing to try.
    #[test]
    fn parts_add_up_to_the_value_in_its_place() {
        if !Isa::available().into_iter().any(Isa::has_matrix_unit) {
            return;
        }
        for (n_rows, n_columns) in [(32, 64), (16, 72), (31, 33), (1, 1), (17, 7)] {
            let n = SIDE * (n_columns + 2);
            // Not so small that the sums of parts are subnormal: the unit takes those as zero.
            let bits = |i: usize| (i * 40_503 % 65_521) as u16 & 0xbfff | 0x2000;
            let halves: Vec<u16> = (0..n).map(bits).collect();
            let wide = |widen: fn(u16) -> f32| halves.iter().map(|&b| widen(b)).collect::<Vec<_>>();
            let value = |i: usize| (i as f32 * 0.731).sin() * (1 + i % 900) as f32;
            let values: Vec<f32> = (0..n).map(value).collect();
            check_layout(Stored::F32(&values), &values, n_rows, n_columns);
            check_layout(Stored::F16(&halves), &wide(f16_to_f32), n_rows, n_columns);
            check_layout(Stored::Bf16(&halves), &wide(bf16_to_f32), n_rows, n_columns);
        }
    }
}
