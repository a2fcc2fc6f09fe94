//! Memory for results, filled by all threads at once.
//!
//! Memory that nothing has written yet is mapped in page by page where it is first
//! touched, and clearing it costs as much as a kernel that only passes over it. One thread
//! that clears a result before the others begin makes them all wait.

use rayon::prelude::*;

/// Values of a piece, about: small enough to stay in a core's cache while it is cleared
/// and filled, large enough to pay for the hand-over.
pub(crate) const PIECE: usize = 16 * 1024;

/// `len` values. `fill` is given the place of a piece's first value and the piece, which
/// holds zeros; pieces have `piece_len` values, the last one may have fewer.
pub(crate) fn filled(
    len: usize,
    piece_len: usize,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let piece_len = piece_len.max(1);
    let mut values: Vec<f32> = Vec::with_capacity(len);
    let pieces = values.spare_capacity_mut()[..len].par_chunks_mut(piece_len);
    pieces.enumerate().for_each(|(idx, piece)| {
        for value in &mut *piece {
            value.write(0.0);
        }
        // SAFETY: every value of the piece was written just now.
        let piece = unsafe { piece.assume_init_mut() };
        fill(idx * piece_len, piece);
    });
    // SAFETY: the pieces cover the first `len` values, within the capacity, and each of
    // them was written; a panic in `fill` does not come here.
    unsafe { values.set_len(len) };
    values
}

/// `len` zeros.
pub fn zeros(len: usize) -> Vec<f32> {
    filled(len, PIECE, |_, _| ())
}

/// Rows of `width` values, as many to a piece as make it worth a hand-over; `fill` is
/// given the number of the piece's first row and the rows.
pub(crate) fn filled_rows(
    n_rows: usize,
    width: usize,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let len = n_rows * width;
    let width = width.max(1);
    let piece_len = (PIECE / width).max(1) * width;
    filled(len, piece_len, |start, rows| {
        fill(start / width, rows);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_filled_once_in_its_place() {
        let check = |len: usize, piece_len: usize| {
            let found = filled(len, piece_len, |start, piece| {
                for (at, value) in piece.iter_mut().enumerate() {
                    assert_eq!(*value, 0.0, "{len} {piece_len}: {at} of {start}");
                    *value += (start + at) as f32;
                }
            });
            let expected: Vec<f32> = (0..len).map(|at| at as f32).collect();
            assert_eq!(found, expected, "{len} {piece_len}");
        };
        check(0, 4);
        check(1, 0);
        check(7, 7);
        check(1000, 7);
        check(100_000, PIECE);
        assert_eq!(zeros(3 * PIECE + 1), vec![0.0; 3 * PIECE + 1]);
    }

    #[test]
    fn rows_are_never_cut() {
        let check = |n_rows: usize, width: usize| {
            let found = filled_rows(n_rows, width, |first, rows| {
                assert_eq!(rows.len() % width.max(1), 0, "{n_rows} {width}");
                for (row, values) in rows.chunks_mut(width.max(1)).enumerate() {
                    values.fill((first + row) as f32);
                }
            });
            let expected = (0..n_rows).flat_map(|row| vec![row as f32; width]);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{n_rows} {width}");
        };
        check(0, 3);
        check(3, 0);
        check(3, 5000);
        check(5, 40_000);
        check(3000, 17);
    }
}
