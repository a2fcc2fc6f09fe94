//! The noise that the steps of an ancestral sampler add: made from the run's seed, or
//! brought by somebody who wants another program's run again.
//!
//! An image's noise depends on `(seed, image index, step)` only, never on the batch it is in.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use dfa_core::Step;

use super::noise::normal_values_of_step;

/// Where the noise of the steps comes from.
#[derive(Clone, Debug)]
pub enum StepNoise {
    /// Made from the run's seed.
    Seeded {
        /// The run's seed.
        seed: u64,
    },
    /// Given for every step and every image of the run.
    Given(GivenNoise),
}

/// Noise of shape (steps, B, C, …), finite, checked against the run it is for.
#[derive(Clone, Debug)]
pub struct GivenNoise(Tensor);

/// Why given noise does not fit a run.
#[derive(Debug, thiserror::Error)]
pub enum StepNoiseError {
    /// It has another shape.
    #[error(
        "the step noise has shape {found:?}, expected {expected:?}: one tensor of the start latents' shape for every step; the last one is not used, but must be there"
    )]
    WrongShape {
        /// (steps, B, C, …) of the run.
        expected: Vec<usize>,
        /// What was found.
        found: Vec<usize>,
    },
    /// It holds NaN or infinity.
    #[error("the step noise holds NaN or infinity; write it again")]
    NotFinite,
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl GivenNoise {
    /// Checks noise for a run of `n_steps` from a latent of `latent_shape` (B, C, …).
    ///
    /// # Errors
    /// [`StepNoiseError`].
    pub fn new(
        noise: &Tensor,
        n_steps: usize,
        latent_shape: &[usize],
    ) -> Result<Self, StepNoiseError> {
        let mut expected = vec![n_steps];
        expected.extend_from_slice(latent_shape);
        if noise.dims() != expected {
            let found = noise.dims().to_vec();
            return Err(StepNoiseError::WrongShape { expected, found });
        }
        let noise = noise.to_dtype(DType::F32)?;
        for step in 0..n_steps {
            let values = noise.get(step)?.flatten_all()?.to_vec1::<f32>()?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(StepNoiseError::NotFinite);
            }
        }
        Ok(Self(noise))
    }
}

impl StepNoise {
    /// The noise of one step for some images of the run, (n, C, …), where `image_shape` is
    /// (C, …). Given noise ends with the run it was checked for.
    ///
    /// # Errors
    /// If the tensor cannot be made, or given noise has no such step or image.
    pub fn of_step(
        &self,
        step: Step,
        images: Range<u64>,
        image_shape: &[usize],
    ) -> candle_core::Result<Tensor> {
        let n_images = images.end.saturating_sub(images.start) as usize;
        match self {
            Self::Given(GivenNoise(noise)) => noise
                .get(step.0)?
                .narrow(0, images.start as usize, n_images)?
                .contiguous(),
            Self::Seeded { seed } => {
                let mut shape = vec![n_images];
                shape.extend_from_slice(image_shape);
                let per_image = image_shape.iter().product();
                let values: Vec<f32> = images
                    .flat_map(|image| normal_values_of_step(*seed, image, step.0, per_image))
                    .collect();
                Tensor::from_vec(values, shape, &Device::Cpu)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::noise::normal_values;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn counted(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|idx| idx as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn seeded_noise_belongs_to_the_image_and_the_step() {
        let noise = |seed, step, images| {
            let noise = StepNoise::Seeded { seed };
            noise.of_step(Step(step), images, &[2, 3, 1, 5]).unwrap()
        };
        let batch = noise(7, 4, 0..3);
        assert_eq!(batch.dims(), [3, 2, 3, 1, 5]);
        assert_eq!(
            values(&batch.get(2).unwrap()),
            values(&noise(7, 4, 2..3)),
            "the batch does not matter"
        );
        let of_one = |seed, step, image| values(&noise(seed, step, image..image + 1));
        let here = of_one(7, 4, 2);
        assert_ne!(here, of_one(8, 4, 2), "another seed");
        assert_ne!(here, of_one(7, 5, 2), "another step");
        assert_ne!(here, of_one(7, 4, 3), "another image");
        for step in 0..3 {
            assert_ne!(of_one(7, step, 2), normal_values(7, 2, 30), "start noise");
        }
    }

    #[test]
    fn given_noise_is_cut_by_step_and_image() {
        let given = GivenNoise::new(&counted(&[4, 3, 2, 1]), 4, &[3, 2, 1]).unwrap();
        let noise = StepNoise::Given(given);
        let cut = noise.of_step(Step(2), 1..3, &[2, 1]).unwrap();
        assert_eq!(cut.dims(), [2, 2, 1]);
        assert_eq!(values(&cut), [14.0, 15.0, 16.0, 17.0]);
        assert!(noise.of_step(Step(4), 0..1, &[2, 1]).is_err());
        assert!(noise.of_step(Step(0), 2..4, &[2, 1]).is_err());
    }

    #[test]
    fn noise_that_does_not_fit_is_refused() {
        let error = GivenNoise::new(&counted(&[3, 3, 2, 1]), 4, &[3, 2, 1]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("[3, 3, 2, 1]") && text.contains("[4, 3, 2, 1]"),
            "{text}"
        );
        let infinite = (counted(&[2, 1]) / 0.0).unwrap();
        let error = GivenNoise::new(&infinite, 2, &[1]).unwrap_err();
        assert!(matches!(error, StepNoiseError::NotFinite), "{error}");
    }
}
