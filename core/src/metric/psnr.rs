//! Pixel-wise metrics: mean squared error, peak signal-to-noise ratio, relative error.

use crate::metric::image::{Image, ImageError, check_pair, check_range};
use crate::metric::relative::LossError;

/// Mean squared error over all pixels and channels, in squared pixel units; 0 if the
/// images are identical. Accumulated in f64.
///
/// # Errors
/// [`ImageError::DifferentSizes`].
pub fn mse(a: &Image<'_>, b: &Image<'_>) -> Result<f64, ImageError> {
    check_pair(a, b)?;
    let shape = a.shape();
    let mut sum = 0.0;
    for channel in 0..shape.channels {
        for (x, y) in a.channel(channel).zip(b.channel(channel)) {
            let difference = f64::from(x) - f64::from(y);
            sum += difference * difference;
        }
    }
    Ok(sum / (shape.width * shape.height * shape.channels) as f64)
}

/// Peak signal-to-noise ratio in decibels, `10·log₁₀(range² / MSE)`; infinite if the
/// images are identical. `range` is the largest possible difference of two pixels: 1 for
/// values in [0, 1], 2 for [−1, 1], 255 for bytes.
///
/// # Errors
/// [`ImageError::DifferentSizes`] or [`ImageError::BadRange`].
pub fn psnr(a: &Image<'_>, b: &Image<'_>, range: f64) -> Result<f64, ImageError> {
    check_range(range)?;
    Ok(psnr_of(mse(a, b)?, range))
}

/// Peak signal-to-noise ratio of a mean squared error, in decibels; infinite for 0. `range`
/// as for [`psnr`].
pub fn psnr_of(mse: f64, range: f64) -> f64 {
    10.0 * libm::log10(range * range / mse)
}

/// ‖a − b‖₂ / ‖a‖₂, for tensors; dimensionless. 0 if both are zero, infinite if only the
/// reference is.
///
/// # Errors
/// [`LossError`] if the lengths differ or there is nothing to compare.
pub fn relative_error(reference: &[f32], candidate: &[f32]) -> Result<f64, LossError> {
    if reference.len() != candidate.len() {
        return Err(LossError::LengthMismatch {
            reference: reference.len(),
            candidate: candidate.len(),
        });
    }
    if reference.is_empty() {
        return Err(LossError::Empty);
    }
    let mut difference = 0.0;
    let mut norm = 0.0;
    for (&a, &b) in reference.iter().zip(candidate) {
        let (a, b) = (f64::from(a), f64::from(b));
        difference += (a - b) * (a - b);
        norm += a * a;
    }
    if difference == 0.0 {
        return Ok(0.0);
    }
    Ok(libm::sqrt(difference / norm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::image::{ImageShape, Layout};

    fn image(data: &[f32]) -> Image<'_> {
        let shape = ImageShape {
            width: data.len(),
            height: 1,
            channels: 1,
            layout: Layout::Planar,
        };
        Image::new(shape, data).unwrap()
    }

    #[test]
    fn numbers_by_hand() {
        let (a, b) = ([0.0, 0.5, 1.0, 1.0], [0.0, 0.5, 0.5, 1.5]);
        assert_eq!(mse(&image(&a), &image(&b)), Ok(0.125));
        let found = psnr(&image(&a), &image(&b), 1.0).unwrap();
        assert!((found - 9.030_899_869_919_435).abs() < 1e-12, "{found}");
        assert_eq!(psnr(&image(&a), &image(&a), 1.0), Ok(f64::INFINITY));
        assert_eq!(psnr(&image(&a), &image(&b), 0.0), Err(ImageError::BadRange));
        assert!(mse(&image(&a), &image(&b[1..])).is_err());
    }

    #[test]
    fn relative_errors_by_hand() {
        let check = |a: &[f32], b: &[f32], expected| {
            assert_eq!(relative_error(a, b), expected, "{a:?} {b:?}");
        };
        check(&[3.0, 4.0], &[3.0, 4.0], Ok(0.0));
        check(&[3.0, 4.0], &[0.0, 0.0], Ok(1.0));
        check(&[0.0], &[0.0], Ok(0.0));
        check(&[0.0], &[1.0], Ok(f64::INFINITY));
        check(&[], &[], Err(LossError::Empty));
        assert!(relative_error(&[1.0], &[]).is_err());
    }
}
