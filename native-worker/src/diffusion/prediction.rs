//! What a model output says about the latent: its clean part and its noise, and how the
//! clean part is kept in range. The types are those of [`sampler_config`](super::sampler_config).

use candle_core::Tensor;

use super::noise_schedule::NoiseLevel;
use super::sampler_config::{CleanRange, Prediction};

impl Prediction {
    /// x₀ from xₜ = α·x₀ + σ·ε, all of the latent's shape.
    pub(super) fn clean(
        self,
        level: NoiseLevel,
        latent: &Tensor,
        output: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let NoiseLevel { alpha, sigma } = level;
        match self {
            Self::Noise => (latent - (output * sigma)?)? / alpha,
            Self::Clean => Ok(output.clone()),
            Self::Velocity => (latent * alpha)? - (output * sigma)?,
        }
    }

    /// ε, from the output as it is: keeping x₀ in range does not change it.
    pub(super) fn noise(
        self,
        level: NoiseLevel,
        latent: &Tensor,
        output: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let NoiseLevel { alpha, sigma } = level;
        match self {
            Self::Noise => Ok(output.clone()),
            Self::Clean => (latent - (output * alpha)?)? / sigma,
            Self::Velocity => (output * alpha)? + (latent * sigma)?,
        }
    }
}

impl CleanRange {
    pub(super) fn apply(self, clean: Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Unlimited => Ok(clean),
            Self::Clipped { limit } => clean.clamp(-limit as f32, limit as f32),
            Self::Thresholded { quantile, max } => {
                let images = (0..clean.dim(0)?).map(|idx| {
                    let image = clean.narrow(0, idx, 1)?; // (1, C, …)
                    let magnitudes = image.abs()?.flatten_all()?.to_vec1::<f32>()?;
                    let threshold = quantile_of(magnitudes, quantile).max(1.0).min(max);
                    image.clamp(-threshold as f32, threshold as f32)? / threshold
                });
                Tensor::cat(&images.collect::<candle_core::Result<Vec<_>>>()?, 0)
            }
        }
    }
}

/// The value below which a share of the values lies, interpolated between neighbours.
fn quantile_of(mut values: Vec<f32>, share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let below = place.floor();
    let (_, &mut lower, above) = values.select_nth_unstable_by(below as usize, f32::total_cmp);
    let upper = above
        .iter()
        .copied()
        .min_by(f32::total_cmp)
        .unwrap_or(lower);
    f64::from(lower) + (place - below) * (f64::from(upper) - f64::from(lower))
}
