//! Start noise, reproducible on every platform: ChaCha20 seeded by the run's seed, one
//! stream per image, normals by Box–Muller from `libm`. An image's noise depends on
//! `(seed, index)` only, never on the batch it is in.

use candle_core::{Device, Result, Tensor};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::model::LatentSize;

/// Stream of the random class labels; no image has this index.
const LABEL_STREAM: u64 = u64::MAX;

/// Standard normal values of one image.
pub fn normal_values(seed: u64, image: u64, n: usize) -> Vec<f32> {
    normals(stream(seed, image), n)
}

/// Standard normal values of one image at one step. The key of the generator is the seed,
/// the step and a word, so that no stream is one of the start noise or of another step.
pub(super) fn normal_values_of_step(seed: u64, image: u64, step: usize, n: usize) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(step as u64).to_le_bytes());
    key[16..].copy_from_slice(b"noise of a step.");
    let mut rng = ChaCha20Rng::from_seed(key);
    rng.set_stream(image);
    normals(rng, n)
}

/// Box–Muller.
fn normals(mut rng: ChaCha20Rng, n: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // u in (0, 1], v in [0, 1), 53 bits each.
        let u = ((rng.next_u64() >> 11) + 1) as f64 * TWO_POW_MINUS_53;
        let v = (rng.next_u64() >> 11) as f64 * TWO_POW_MINUS_53;
        let radius = libm::sqrt(-2.0 * libm::log(u));
        let angle = std::f64::consts::TAU * v;
        values.push((radius * libm::cos(angle)) as f32);
        values.push((radius * libm::sin(angle)) as f32);
    }
    values.truncate(n);
    values
}

const TWO_POW_MINUS_53: f64 = 1.0 / (1u64 << 53) as f64;

/// Start noise of images `first .. first + n`, (n, C, …).
///
/// # Errors
/// If the tensor cannot be made.
pub fn start_noise(
    seed: u64,
    images: std::ops::Range<u64>,
    n_channels: usize,
    size: LatentSize,
) -> Result<Tensor> {
    let per_image = size.dims(1, n_channels).iter().product();
    let n = (images.end - images.start) as usize;
    let values: Vec<f32> = images
        .flat_map(|image| normal_values(seed, image, per_image))
        .collect();
    Tensor::from_vec(values, size.dims(n, n_channels), &Device::Cpu)
}

/// `n` class labels drawn uniformly from `0..n_classes`.
pub fn random_labels(seed: u64, n: usize, n_classes: u32) -> Vec<u32> {
    let mut rng = stream(seed, LABEL_STREAM);
    // Multiply-shift; its bias is below 2^-40 for any class count in use.
    (0..n)
        .map(|_| ((u128::from(rng.next_u64()) * u128::from(n_classes)) >> 64) as u32)
        .collect()
}

fn stream(seed: u64, stream: u64) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_belongs_to_the_image_not_to_the_batch() {
        let size = LatentSize::image(3, 5);
        let batch = start_noise(7, 0..4, 2, size).unwrap();
        let alone = start_noise(7, 2..3, 2, size).unwrap();
        let of_batch = batch
            .get(2)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(
            of_batch,
            alone.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert_ne!(of_batch, normal_values(8, 2, 30));
        assert_ne!(of_batch, normal_values(7, 3, 30));
    }

    #[test]
    fn noise_is_standard_normal() {
        let values = normal_values(1, 0, 100_000);
        let n = values.len() as f64;
        let moment = |power: i32| {
            values
                .iter()
                .map(|&x| f64::from(x).powi(power))
                .sum::<f64>()
                / n
        };
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!(
            (moment(4) - 3.0).abs() < 0.15,
            "fourth moment {}",
            moment(4)
        );
    }

    #[test]
    fn labels_are_classes() {
        let labels = random_labels(3, 1000, 16);
        assert!(labels.iter().all(|&label| label < 16));
        assert!((0..16).all(|class| labels.contains(&class)));
    }
}
