//! Structural similarity (SSIM; Wang, Bovik, Sheikh, Simoncelli 2004): how alike two
//! images are in local brightness, contrast and structure. 1 means identical.
//!
//! Gaussian window of 11 × 11 pixels with σ = 1.5, K₁ = 0.01, K₂ = 0.03, population
//! covariance, everything in f64. Two conventions exist for the border, and tools
//! disagree about it, so both are offered by name: see [`Border`].
//!
//! - [`rows`]: the computation, one row of the map after the other.

use alloc::vec::Vec;

use crate::metric::image::{Image, ImageError};

pub mod rows;

pub use rows::{SsimRows, gaussian};

/// Pixels on each side of the Gaussian window.
pub const WINDOW_SIDE: usize = 11;
/// Pixels of the window on each side of its centre.
pub const RADIUS: usize = WINDOW_SIDE / 2;

/// Which positions of the window are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// Those where the window lies inside the image: 5 pixels are left out on each side.
    /// scikit-image's convention.
    #[default]
    Inside,
    /// Every pixel; beyond its border the image is mirrored, the border pixel itself not
    /// repeated. torchmetrics' convention.
    Mirrored,
}

/// Mean SSIM over all positions and channels, in [−1, 1]. `range` is the largest possible
/// difference of two pixels: 1 for values in [0, 1], 255 for bytes.
///
/// # Errors
/// [`ImageError`] if the images differ in size or are smaller than the window, or the
/// range is not a positive number.
pub fn ssim(a: &Image<'_>, b: &Image<'_>, range: f64, border: Border) -> Result<f64, ImageError> {
    let mut rows = SsimRows::new(a, b, range, border)?;
    while rows.next_row().is_some() {}
    Ok(rows.mean())
}

/// SSIM at every position, row by row: the mean over the channels at that position.
/// What is scanned is as large as the images with [`Border::Mirrored`], and
/// 10 pixels smaller on each axis with [`Border::Inside`]; where the window lies inside,
/// both borders give the same values.
///
/// # Errors
/// As for [`ssim`].
pub fn ssim_map(
    a: &Image<'_>,
    b: &Image<'_>,
    range: f64,
    border: Border,
) -> Result<Vec<f32>, ImageError> {
    let mut rows = SsimRows::new(a, b, range, border)?;
    let mut map = Vec::new();
    while let Some(row) = rows.next_row() {
        map.extend_from_slice(row);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::image::{ImageShape, Layout};
    use alloc::vec;

    fn shape(width: usize, height: usize) -> ImageShape {
        ImageShape {
            width,
            height,
            channels: 1,
            layout: Layout::Planar,
        }
    }

    #[test]
    fn equal_images_have_similarity_one() {
        let data: Vec<f32> = (0..15 * 12).map(|i| (i * i % 37) as f32 / 37.0).collect();
        let image = Image::new(shape(15, 12), &data).unwrap();
        for border in [Border::Inside, Border::Mirrored] {
            let found = ssim(&image, &image, 1.0, border).unwrap();
            assert!((found - 1.0).abs() < 1e-12, "{border:?}: {found}");
        }
    }

    #[test]
    fn the_map_has_the_means_of_both_borders() {
        let wave = |k: usize| -> Vec<f32> {
            let value = |i: usize| ((i * i + k * i) % 41) as f32 / 41.0;
            (0..3 * 17 * 13).map(value).collect()
        };
        let (a, b) = (wave(0), wave(7));
        let shape = ImageShape {
            channels: 3,
            ..shape(17, 13)
        };
        let (a, b) = (
            Image::new(shape, &a).unwrap(),
            Image::new(shape, &b).unwrap(),
        );
        let inside = ssim_map(&a, &b, 1.0, Border::Inside).unwrap();
        let whole = ssim_map(&a, &b, 1.0, Border::Mirrored).unwrap();
        let middle = whole.chunks(17).skip(5).take(3).flat_map(|row| &row[5..12]);
        assert!(inside.iter().eq(middle));
        let mean = inside.iter().map(|&x| f64::from(x)).sum::<f64>() / inside.len() as f64;
        let found = ssim(&a, &b, 1.0, Border::Inside).unwrap();
        assert!((mean - found).abs() < 1e-6, "{mean} {found}");
        let mut rows = SsimRows::new(&a, &b, 1.0, Border::Mirrored).unwrap();
        while rows.next_row().is_some() {}
        assert_eq!(rows.mean_inside(), found);
        assert_eq!(rows.mean(), ssim(&a, &b, 1.0, Border::Mirrored).unwrap());
    }

    #[test]
    fn flat_images_differ_in_brightness_only() {
        let (dark, light) = (vec![0.25; 11 * 11], vec![0.75; 11 * 11]);
        let dark = Image::new(shape(11, 11), &dark).unwrap();
        let light = Image::new(shape(11, 11), &light).unwrap();
        let expected = (2.0 * 0.25 * 0.75 + 1e-4) / (0.25 * 0.25 + 0.75 * 0.75 + 1e-4);
        let found = ssim(&dark, &light, 1.0, Border::Inside).unwrap();
        assert!((found - expected).abs() < 1e-9, "{found}");
    }

    #[test]
    fn small_images_are_refused() {
        let data = vec![0.0; 11 * 10];
        let image = Image::new(shape(11, 10), &data).unwrap();
        let error = ssim(&image, &image, 1.0, Border::Inside).unwrap_err();
        assert!(matches!(error, ImageError::TooSmall { height: 10, .. }));
    }
}
