//! How far apart two images are at each pixel: for the eye, not for a number.

use alloc::vec::Vec;

use crate::metric::image::{Image, ImageError, check_pair};

/// The absolute difference at every pixel, row by row, in pixel units: that of the
/// channel where it is largest, so that a change of one colour alone is not thinned out.
///
/// # Errors
/// [`ImageError::DifferentSizes`].
pub fn difference_map(a: &Image<'_>, b: &Image<'_>) -> Result<Vec<f32>, ImageError> {
    check_pair(a, b)?;
    let shape = a.shape();
    let mut map = alloc::vec![0.0f32; shape.width * shape.height];
    for channel in 0..shape.channels {
        let pairs = a.channel(channel).zip(b.channel(channel));
        for (largest, (x, y)) in map.iter_mut().zip(pairs) {
            *largest = largest.max((x - y).abs());
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::image::{ImageShape, Layout};

    #[test]
    fn the_largest_channel_counts() {
        let shape = ImageShape {
            width: 2,
            height: 1,
            channels: 3,
            layout: Layout::Interleaved,
        };
        let a = Image::new(shape, &[0.0, 0.5, 1.0, 1.0, 1.0, 1.0]).unwrap();
        let b = Image::new(shape, &[0.25, 0.5, 0.5, 1.0, 1.0, 1.0]).unwrap();
        assert_eq!(difference_map(&a, &b).unwrap(), [0.5, 0.0]);
        let narrow = ImageShape { width: 1, ..shape };
        let c = Image::new(narrow, &[0.0, 0.0, 0.0]).unwrap();
        assert!(difference_map(&a, &c).is_err());
    }
}
