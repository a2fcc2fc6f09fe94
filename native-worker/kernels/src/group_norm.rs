//! Group norm of one feature map (C, h, w), as factors per channel, and the SiLU after it.
//!
//! The normalised map is not made here: the convolution that follows reads its input
//! through the [`Activation`], which saves a map in memory and a pass over it.

use rayon::prelude::*;

use super::elementwise::sum_of;
use super::isa::{Isa, Lanes, for_each_isa};

/// Elements that are summed in f32 before f64 takes over.
const CHUNK: usize = 4096;

/// `x · scale + shift` per channel, then SiLU.
#[derive(Clone, Debug)]
pub struct Activation {
    /// (channels).
    pub scale: Vec<f32>,
    /// (channels).
    pub shift: Vec<f32>,
}

/// Arguments of [`group_norm`].
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Groups of neighbouring channels; divides their number.
    pub n_groups: usize,
    /// Factor per channel, applied after normalising.
    pub weight: &'a [f32],
    /// Added per channel.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f64,
}

/// What group norm multiplies and adds in each channel of `map`, (channels, pixels).
///
/// # Panics
/// If the map does not split into the channels, or those into the groups.
pub fn group_norm(isa: Isa, map: &[f32], norm: GroupNorm<'_>) -> Activation {
    let n_channels = norm.weight.len();
    assert_eq!(norm.bias.len(), n_channels, "one bias per channel");
    assert!(
        n_channels.is_multiple_of(norm.n_groups),
        "channels split into groups"
    );
    assert!(
        map.len().is_multiple_of(n_channels),
        "map is (channels, pixels)"
    );
    let per_group = n_channels / norm.n_groups;
    let mut activation = Activation {
        scale: Vec::with_capacity(n_channels),
        shift: Vec::with_capacity(n_channels),
    };
    for (group, values) in map.chunks(map.len() / norm.n_groups).enumerate() {
        let moments = moments(isa, values);
        let inverse = 1.0 / (moments.squares / moments.n + norm.eps).sqrt();
        for channel in group * per_group..(group + 1) * per_group {
            let scale = f64::from(norm.weight[channel]) * inverse;
            activation.scale.push(scale as f32);
            let shift = f64::from(norm.bias[channel]) - moments.mean * scale;
            activation.shift.push(shift as f32);
        }
    }
    activation
}

/// Of a set of values.
#[derive(Clone, Copy, Default)]
pub(crate) struct Moments {
    n: f64,
    mean: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
}

impl Moments {
    /// Of both sets together (Chan, Golub & LeVeque 1979).
    fn join(self, other: Self) -> Self {
        let n = self.n + other.n;
        if n == 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            n,
            mean: self.mean + apart * other.n / n,
            squares: self.squares + other.squares + apart * apart * self.n * other.n / n,
        }
    }
}

fn moments(isa: Isa, values: &[f32]) -> Moments {
    let of_chunk = |chunk: &[f32]| {
        let mut found = Moments::default();
        chunk_moments(isa, chunk, &mut found);
        found
    };
    // Joined in order, so that the result does not depend on the threads.
    let parts: Vec<Moments> = values.par_chunks(CHUNK).map(of_chunk).collect();
    parts.into_iter().fold(Moments::default(), Moments::join)
}

for_each_isa! {
    pub(crate) fn chunk_moments(values: &[f32], found: &mut Moments) = chunk_body;
}

#[inline(always)]
fn chunk_body<L: Lanes>(values: &[f32], found: &mut Moments) {
    let n = values.len() as f32;
    let mean = sum_of(values, |x| x) / n;
    let squares = sum_of(values, |x| (x - mean) * (x - mean));
    *found = Moments {
        n: f64::from(n),
        mean: f64::from(mean),
        squares: f64::from(squares),
    };
}
