//! How far two arrays are apart, and an assertion that shows the worst element.

/// Largest |a − b| and where it is.
pub fn max_difference(expected: &[f32], found: &[f32]) -> (f32, usize) {
    assert_eq!(expected.len(), found.len(), "number of elements");
    let differences = expected.iter().zip(found).map(|(a, b)| (a - b).abs());
    differences
        .enumerate()
        .fold((0.0, 0), |worst, (idx, difference)| {
            // A NaN must not compare as small.
            if difference > worst.0 || difference.is_nan() {
                (difference, idx)
            } else {
                worst
            }
        })
}

/// ‖a − b‖₂ / ‖a‖₂.
pub fn relative_l2(expected: &[f32], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len(), "number of elements");
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = expected.iter().zip(found).map(|(a, b)| square(a - b)).sum();
    let norm: f64 = expected.iter().map(|&a| square(a)).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// Fails unless every element is within `tolerance` (absolute).
///
/// # Panics
/// With the worst element, if one is farther off.
pub fn assert_close(what: &str, expected: &[f32], found: &[f32], tolerance: f32) {
    let (difference, idx) = max_difference(expected, found);
    assert!(
        difference <= tolerance,
        "{what}: element {idx} is {} but should be {} (off by {difference}, tolerance {tolerance})",
        found[idx],
        expected[idx]
    );
}
