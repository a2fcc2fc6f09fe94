//! Classifier-free guidance (Ho & Salimans 2022): the transformer sees each image twice,
//! `[cond; uncond]`, and the two outputs are extrapolated.

use candle_core::{Result, Tensor};

/// Largest guidance scale accepted: far above any that makes a picture.
const MAX_SCALE: f64 = 1000.0;

/// The guidance scale s; guidance is on above 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance(f64);

/// Which channels of a model output the sampler gets, and how many of them are guided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuidedChannels {
    /// The first channels, which are extrapolated.
    pub guided: usize,
    /// The first channels, which are kept: C, or 2C with a learned variance.
    pub kept: usize,
}

/// A guidance scale that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "guidance scale {found} is not usable: give a number from 0 to {MAX_SCALE} (1 or less turns guidance off)"
)]
pub struct BadGuidance {
    /// What was given.
    pub found: f64,
}

impl Guidance {
    /// Checks a scale.
    ///
    /// # Errors
    /// [`BadGuidance`] unless it is from 0 to 1000.
    pub fn new(scale: f64) -> std::result::Result<Self, BadGuidance> {
        if (0.0..=MAX_SCALE).contains(&scale) {
            Ok(Self(scale))
        } else {
            Err(BadGuidance { found: scale })
        }
    }

    /// s.
    pub fn scale(self) -> f64 {
        self.0
    }

    /// Whether there are two branches.
    pub fn is_on(self) -> bool {
        self.0 > 1.0
    }

    /// Branches in a batch: 2 with guidance, else 1.
    pub fn n_branches(self) -> usize {
        if self.is_on() { 2 } else { 1 }
    }

    /// Latent (B, C, h, w) → model input, (2B, C, h, w) with guidance.
    ///
    /// # Errors
    /// If the tensor operation fails.
    pub fn batch_of_branches(self, latent: &Tensor) -> Result<Tensor> {
        if self.is_on() {
            Tensor::cat(&[latent, latent], 0)
        } else {
            Ok(latent.clone())
        }
    }

    /// Model output (N, C_out, …) → guided output (B, kept channels, …):
    /// `uncond + s (cond - uncond)` on the first channels, the conditional branch's values
    /// on the others that are kept.
    ///
    /// # Errors
    /// If the batch does not hold two branches.
    pub fn combine(self, output: &Tensor, channels: GuidedChannels) -> Result<Tensor> {
        let GuidedChannels { guided, kept } = channels;
        let output = output.narrow(1, 0, kept)?;
        if !self.is_on() {
            return output.contiguous();
        }
        let n = output.dim(0)? / 2;
        let cond = output.narrow(0, 0, n)?;
        let uncond = output.narrow(0, n, n)?.narrow(1, 0, guided.min(kept))?;
        let toward = cond.narrow(1, 0, guided.min(kept))?;
        let extrapolated = (&uncond + ((toward - &uncond)? * self.0)?)?;
        if guided >= kept {
            return extrapolated.contiguous();
        }
        let rest = cond.narrow(1, guided, kept - guided)?;
        Tensor::cat(&[extrapolated, rest], 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn bad_scales_are_refused() {
        let check = |scale, expected| assert_eq!(Guidance::new(scale).is_ok(), expected, "{scale}");
        check(4.0, true);
        check(1.0, true);
        check(0.0, true);
        check(-1.0, false);
        check(f64::NAN, false);
        check(f64::INFINITY, false);
        check(1e9, false);
    }

    #[test]
    fn guidance_extrapolates_the_first_channels() {
        let output = Tensor::new(&[1f32, 9.0, 3.0, 9.0], &Device::Cpu).unwrap();
        let output = output.reshape((2, 2, 1, 1)).unwrap();
        let check = |scale, guided, kept, expected: &[f32]| {
            let guidance = Guidance::new(scale).unwrap();
            let channels = GuidedChannels { guided, kept };
            let found = guidance.combine(&output, channels).unwrap();
            let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(found, expected, "{scale} {channels:?}");
        };
        // cond 1, uncond 3: 3 + 4 (1 - 3); the second channel is the conditional 9.
        check(4.0, 1, 1, &[-5.0]);
        check(4.0, 1, 2, &[-5.0, 9.0]);
        check(4.0, 2, 2, &[-5.0, 9.0]);
        check(4.0, 2, 1, &[-5.0]);
        check(1.0, 1, 1, &[1.0, 3.0]);
    }
}
