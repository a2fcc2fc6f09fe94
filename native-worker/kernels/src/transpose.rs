//! Copying a matrix transposed, in blocks that stay in registers.

/// Side of a block.
const SIDE: usize = 4;

/// `to[c · to_stride + r] = from[r · from_stride + c]` for every row r and column c.
#[inline(always)]
pub(crate) fn transpose(
    (from, from_stride): (&[f32], usize),
    (n_rows, n_columns): (usize, usize),
    (to, to_stride): (&mut [f32], usize),
) {
    let (whole_rows, whole_columns) = (n_rows / SIDE * SIDE, n_columns / SIDE * SIDE);
    for r in (0..whole_rows).step_by(SIDE) {
        let row = |i: usize| &from[(r + i) * from_stride..][..n_columns];
        let rows = [row(0), row(1), row(2), row(3)];
        for c in (0..whole_columns).step_by(SIDE) {
            let mut block = [[0f32; SIDE]; SIDE];
            for (block, row) in block.iter_mut().zip(rows) {
                block.copy_from_slice(&row[c..c + SIDE]);
            }
            let columns = transposed(block);
            for (c, column) in (c..).zip(columns) {
                to[c * to_stride + r..][..SIDE].copy_from_slice(&column);
            }
        }
    }
    for r in 0..n_rows {
        let rest = if r < whole_rows { whole_columns } else { 0 };
        for c in rest..n_columns {
            to[c * to_stride + r] = from[r * from_stride + c];
        }
    }
}

/// The compiler does not find the shuffles by itself.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed(block: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };
    let mut out = [[0f32; SIDE]; SIDE];
    // SAFETY: SSE is there on every x86-64; each row has the four f32 that are loaded or
    // stored.
    unsafe {
        let [a, b, c, d] = block.map(|row| _mm_loadu_ps(row.as_ptr()));
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(out[0].as_mut_ptr(), _mm_movelh_ps(ab_low, cd_low));
        _mm_storeu_ps(out[1].as_mut_ptr(), _mm_movehl_ps(cd_low, ab_low));
        _mm_storeu_ps(out[2].as_mut_ptr(), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(out[3].as_mut_ptr(), _mm_movehl_ps(cd_high, ab_high));
    }
    out
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transposed(block: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    std::array::from_fn(|j| std::array::from_fn(|i| block[i][j]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Lanes, for_each_isa};

    for_each_isa! {
        pub(crate) fn run(from: &[f32], dims: (usize, usize), to: &mut [f32]) = body;
    }

    #[inline(always)]
    fn body<L: Lanes>(from: &[f32], (n_rows, n_columns): (usize, usize), to: &mut [f32]) {
        transpose((from, n_columns + 3), (n_rows, n_columns), (to, n_rows + 1));
    }

    #[test]
    fn every_element_finds_its_place() {
        for (n_rows, n_columns) in [
            (1, 1),
            (4, 4),
            (3, 9),
            (9, 3),
            (8, 72),
            (48, 7),
            (0, 5),
            (5, 0),
        ] {
            let from: Vec<f32> = (0..n_rows * (n_columns + 3)).map(|i| i as f32).collect();
            for isa in Isa::available() {
                let mut to = vec![-1f32; n_columns * (n_rows + 1)];
                run(isa, &from, (n_rows, n_columns), &mut to);
                for (c, column) in to.chunks(n_rows + 1).enumerate() {
                    for (r, &found) in column[..n_rows].iter().enumerate() {
                        let expected = from[r * (n_columns + 3) + c];
                        assert_eq!(found, expected, "{n_rows} x {n_columns}: {r}, {c}");
                    }
                    assert_eq!(column[n_rows], -1.0, "nothing else is touched");
                }
            }
        }
    }
}
