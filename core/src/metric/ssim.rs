//! Structural similarity (SSIM; Wang, Bovik, Sheikh, Simoncelli 2004): how alike two
//! images are in local brightness, contrast and structure. 1 means identical.
//!
//! Gaussian window of 11 × 11 pixels with σ = 1.5, K₁ = 0.01, K₂ = 0.03, population
//! covariance, everything in f64. Two conventions exist for the border, and tools
//! disagree about it, so both are offered by name: see [`Border`].

use alloc::vec::Vec;

use crate::metric::image::{Image, ImageError, check_pair, check_range};

/// Pixels on each side of the Gaussian window.
pub const WINDOW_SIDE: usize = 11;
const RADIUS: usize = WINDOW_SIDE / 2;
const SIGMA: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

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
    check_range(range)?;
    check_pair(a, b)?;
    let shape = a.shape();
    let (width, height) = (shape.width, shape.height);
    if width.min(height) < WINDOW_SIDE {
        return Err(ImageError::TooSmall {
            side: WINDOW_SIDE,
            width,
            height,
        });
    }
    let mut sum = 0.0;
    for channel in 0..shape.channels {
        let a = Plane::of(a, channel, border);
        let b = Plane::of(b, channel, border);
        sum += mean_of_map(&a, &b, range);
    }
    Ok(sum / shape.channels as f64)
}

/// One channel, row by row.
struct Plane {
    width: usize,
    values: Vec<f64>,
}

impl Plane {
    fn of(image: &Image<'_>, channel: usize, border: Border) -> Self {
        let shape = image.shape();
        match border {
            Border::Inside => Self {
                width: shape.width,
                values: image.channel(channel).map(f64::from).collect(),
            },
            Border::Mirrored => {
                let value = |row, column| f64::from(image.value(channel, row, column));
                let row = |row| mirrored(shape.width).map(move |column| value(row, column));
                Self {
                    width: shape.width + 2 * RADIUS,
                    values: mirrored(shape.height).flat_map(row).collect(),
                }
            }
        }
    }

    /// The product of two planes, pixel by pixel.
    fn times(&self, other: &Self) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        Self {
            width: self.width,
            values: pairs.map(|(x, y)| x * y).collect(),
        }
    }

    /// The Gaussian means at every position where the window lies inside: first along
    /// the rows, then along the columns.
    fn local_means(&self) -> Self {
        let weights = gaussian();
        let width = self.width + 1 - WINDOW_SIDE;
        let mut rows = Vec::new();
        for row in self.values.chunks_exact(self.width) {
            rows.extend(row.windows(WINDOW_SIDE).map(|values| {
                let weighted = values.iter().zip(&weights).map(|(x, w)| x * w);
                weighted.sum::<f64>()
            }));
        }
        let height = rows.len() / width + 1 - WINDOW_SIDE;
        let mut values = alloc::vec![0.0; height * width];
        for (row, means) in values.chunks_exact_mut(width).enumerate() {
            for (offset, weight) in weights.iter().enumerate() {
                let source = &rows[(row + offset) * width..][..width];
                for (mean, x) in means.iter_mut().zip(source) {
                    *mean += weight * x;
                }
            }
        }
        Self { width, values }
    }
}

/// Positions −5 … n+4 of a side of n pixels, mirrored into it.
fn mirrored(n: usize) -> impl Iterator<Item = usize> {
    (0..n + 2 * RADIUS).map(move |padded| {
        let distance = padded.abs_diff(RADIUS);
        if distance < n {
            distance
        } else {
            2 * (n - 1) - distance
        }
    })
}

/// The window's weights along one side, which add up to 1.
fn gaussian() -> [f64; WINDOW_SIDE] {
    let mut weights = [0.0; WINDOW_SIDE];
    for (idx, weight) in weights.iter_mut().enumerate() {
        let distance = idx.abs_diff(RADIUS) as f64;
        *weight = libm::exp(-0.5 * distance * distance / (SIGMA * SIGMA));
    }
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// Mean of the SSIM map of one channel (the paper's equation 13).
fn mean_of_map(a: &Plane, b: &Plane, range: f64) -> f64 {
    let c1 = (K1 * range) * (K1 * range);
    let c2 = (K2 * range) * (K2 * range);
    let (mean_a, mean_b) = (a.local_means().values, b.local_means().values);
    let square_a = a.times(a).local_means().values;
    let square_b = b.times(b).local_means().values;
    let product = a.times(b).local_means().values;
    let mut sum = 0.0;
    for (idx, (&ma, &mb)) in mean_a.iter().zip(&mean_b).enumerate() {
        let variance_a = square_a[idx] - ma * ma;
        let variance_b = square_b[idx] - mb * mb;
        let covariance = product[idx] - ma * mb;
        let numerator = (2.0 * ma * mb + c1) * (2.0 * covariance + c2);
        let denominator = (ma * ma + mb * mb + c1) * (variance_a + variance_b + c2);
        sum += numerator / denominator;
    }
    sum / mean_a.len() as f64
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
    fn sides_are_mirrored_without_repeating_the_edge() {
        let positions: Vec<usize> = mirrored(6).collect();
        assert_eq!(positions, [5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]);
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
