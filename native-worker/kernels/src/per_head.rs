//! Root-mean-square norm and rotation of queries and keys, head by head: each one pass
//! over memory, in parallel over rows.

use rayon::prelude::*;

use super::elementwise::sum_of;

/// Rows per parallel task.
const ROWS: usize = 64;

/// Divides every head by its root mean square, then multiplies it by `weight`:
/// `x / √(mean(x²) + eps) · weight`, in place.
///
/// `values`: (…, H·d); `weight`: (d).
///
/// # Panics
/// If `values` are not whole heads.
pub fn rms_norm(values: &mut [f32], weight: &[f32], eps: f32) {
    let head_size = weight.len();
    assert!(values.len().is_multiple_of(head_size), "values are heads");
    values
        .par_chunks_mut(ROWS * head_size)
        .flat_map_iter(|rows| rows.chunks_exact_mut(head_size))
        .for_each(|head| {
            let square = sum_of(head, |x| x * x);
            let inverse = 1.0 / (square / head_size as f32 + eps).sqrt();
            for (x, weight) in head.iter_mut().zip(weight) {
                *x = *x * inverse * weight;
            }
        });
}

/// Angles by which the pairs of a head are turned, by position in the sequence.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// (T, d/2).
    pub cosines: &'a [f32],
    /// (T, d/2).
    pub sines: &'a [f32],
    /// H.
    pub n_heads: usize,
    /// T.
    pub n_tokens: usize,
}

/// Rotary embedding, in place: neighbours `(a, b)` of a head become
/// `(a cos - b sin, b cos + a sin)`, with the angle of their place in the head and of
/// their token's position.
///
/// `values`: (N, T, H·d).
///
/// # Panics
/// If the sizes do not fit each other.
pub fn rotate(values: &mut [f32], rotation: Rotation<'_>) {
    let Rotation {
        cosines,
        sines,
        n_heads,
        n_tokens,
    } = rotation;
    let n_pairs = cosines.len() / n_tokens;
    let width = 2 * n_pairs * n_heads;
    assert_eq!(cosines.len(), n_tokens * n_pairs, "cosines are (T, d/2)");
    assert_eq!(sines.len(), cosines.len(), "sines are (T, d/2)");
    assert!(
        values.len().is_multiple_of(n_tokens * width),
        "values are (N, T, H·d)"
    );
    let rows = values.par_chunks_mut(width).enumerate();
    rows.for_each(|(row, values)| {
        let at = row % n_tokens * n_pairs..(row % n_tokens + 1) * n_pairs;
        for head in values.chunks_exact_mut(2 * n_pairs) {
            let angles = cosines[at.clone()].iter().zip(&sines[at.clone()]);
            for (pair, (cosine, sine)) in head.chunks_exact_mut(2).zip(angles) {
                let (a, b) = (pair[0], pair[1]);
                pair[0] = a * cosine - b * sine;
                pair[1] = b * cosine + a * sine;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normed_head_has_the_weights_size() {
        let mut values = vec![3.0, 4.0, 0.0, 0.0, -0.6, 0.8];
        rms_norm(&mut values, &[1.0, 2.0], 0.0);
        let root = 12.5f32.sqrt();
        let expected = [
            3.0 / root,
            8.0 / root,
            f32::NAN,
            f32::NAN,
            -0.6 / 0.5f32.sqrt(),
            1.6 / 0.5f32.sqrt(),
        ];
        for (idx, (found, wanted)) in values.iter().zip(expected).enumerate() {
            let both_nan = found.is_nan() && wanted.is_nan();
            assert!(
                both_nan || (found - wanted).abs() < 1e-6,
                "element {idx}: {found}, not {wanted}"
            );
        }
        let mut zeros = vec![0.0; 2];
        rms_norm(&mut zeros, &[1.0, 1.0], 1e-6);
        assert_eq!(zeros, [0.0, 0.0], "eps keeps a zero head finite");
    }

    #[test]
    fn a_quarter_turn_takes_a_pair_to_its_normal() {
        // Two samples of two tokens, two heads of one pair; only the second token turns.
        let mut values = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0].repeat(2);
        let rotation = Rotation {
            cosines: &[1.0, 0.0],
            sines: &[0.0, 1.0],
            n_heads: 2,
            n_tokens: 2,
        };
        rotate(&mut values, rotation);
        let expected = [1.0, 2.0, 3.0, 4.0, -2.0, 1.0, -4.0, 3.0].repeat(2);
        assert_eq!(values, expected);
    }
}
