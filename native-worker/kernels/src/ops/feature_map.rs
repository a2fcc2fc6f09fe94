//! Convolution and group norm of a feature map that lies on a device, composed of tensor
//! operations. On the CPU the kernels of [`crate::conv`] and [`crate::group_norm`] do the
//! same.

use candle_core::{Result, Tensor, bail};

use super::memory::taking;
use crate::conv::ConvKind;
use crate::group_norm::{Activation, GroupNorm};

/// Values of the matrix of all patches that exist at once, about: 1 GiB of f32.
const PATCHES_AT_ONCE: usize = 256 << 20;
/// Most values of a map: candle's kernels for GPUs count them in 32 bits.
const MAX_VALUES: usize = 1 << 31;

/// Convolution of `map` (1, C, h, w), activated first if asked.
///
/// `weight`: (outputs, C · taps); `bias`: (outputs), any of them in f32.
///
/// # Errors
/// If the shapes do not fit each other, or the device has not enough memory.
pub fn conv(
    map: &Tensor,
    (weight, bias): (&Tensor, &Tensor),
    kind: ConvKind,
    activation: Option<&Activation>,
) -> Result<Tensor> {
    let side = if kind == ConvKind::Point { 1 } else { 3 };
    let (_, inputs, height, width) = map.dims4()?;
    let outputs = weight.dim(0)?;
    check_size(inputs.max(outputs), (height, width), kind)?;
    let kernel = weight.reshape((outputs, inputs, side, side))?;
    let map = match activation {
        Some(activation) => normalised(map, activation)?.silu()?,
        None => map.clone(),
    };
    let (map, stride) = match kind {
        ConvKind::Point => (map, 1),
        ConvKind::Same => (padded(&map, (1, 1))?, 1),
        ConvKind::Halving => (padded(&map, (0, 1))?, 2),
        ConvKind::Doubling => {
            let doubled = map.upsample_nearest2d(2 * height, 2 * width)?;
            (padded(&doubled, (1, 1))?, 1)
        }
    };
    let sums = in_strips(&map, &kernel, stride, PATCHES_AT_ONCE)?; // (1, outputs, h', w')
    sums.broadcast_add(&bias.reshape((1, outputs, 1, 1))?)
}

/// The largest of the maps on the way, with its border, must be countable.
fn check_size(channels: usize, (height, width): (usize, usize), kind: ConvKind) -> Result<()> {
    let factor = if kind == ConvKind::Doubling { 2 } else { 1 };
    let sides = [height, width].map(|side| factor * side + 2);
    match channels * sides[0] * sides[1] < MAX_VALUES {
        true => Ok(()),
        false => bail!(
            "a map of {channels} x {} x {} is too large for a GPU; draw smaller images, or use --device cpu",
            factor * height,
            factor * width
        ),
    }
}

/// Zeros before and after each row and each column.
fn padded(map: &Tensor, (before, after): (usize, usize)) -> Result<Tensor> {
    map.pad_with_zeros(2, before, after)?
        .pad_with_zeros(3, before, after)
}

/// Output rows by strips: candle makes the matrix of all patches of what it is given.
fn in_strips(
    map: &Tensor,
    kernel: &Tensor,
    stride: usize,
    patches_at_once: usize,
) -> Result<Tensor> {
    let (_, inputs, height, width) = map.dims4()?;
    let side = kernel.dim(3)?;
    let n_rows = (height - side) / stride + 1;
    let row_values = inputs * side * side * ((width - side) / stride + 1);
    let per_strip = (patches_at_once / row_values).clamp(1, n_rows);
    let strips = (0..n_rows).step_by(per_strip).map(|start| {
        let rows = per_strip.min(n_rows - start);
        let strip = map.narrow(2, start * stride, (rows - 1) * stride + side)?;
        let asked_bytes = rows * row_values * map.dtype().size_in_bytes();
        taking(asked_bytes, map.device(), || {
            strip.contiguous()?.conv2d(kernel, 0, stride, 1, 1)
        })
    });
    Tensor::cat(&strips.collect::<Result<Vec<_>>>()?, 2)
}

/// What group norm multiplies and adds in each channel of `map` (1, C, h, w).
///
/// # Errors
/// If a tensor operation fails.
pub fn group_norm(map: &Tensor, norm: GroupNorm<'_>) -> Result<Activation> {
    let (_, channels, height, width) = map.dims4()?;
    let per_group = channels / norm.n_groups;
    // Row by row first: a device sums each row on its own.
    let rows = map.reshape((norm.n_groups, per_group * height, width))?;
    let mean_of = |rows: &Tensor| rows.mean(2)?.mean(1); // (groups)
    let means = mean_of(&rows)?;
    let away = rows.broadcast_sub(&means.reshape((norm.n_groups, 1, 1))?)?;
    let variances = mean_of(&away.sqr()?)?.to_vec1::<f32>()?;
    let means = means.to_vec1::<f32>()?;
    let mut activation = Activation {
        scale: Vec::with_capacity(channels),
        shift: Vec::with_capacity(channels),
    };
    for channel in 0..channels {
        let group = channel / per_group;
        let inverse = 1.0 / (f64::from(variances[group]) + norm.eps).sqrt();
        let scale = f64::from(norm.weight[channel]) * inverse;
        let shift = f64::from(norm.bias[channel]) - f64::from(means[group]) * scale;
        activation.scale.push(scale as f32);
        activation.shift.push(shift as f32);
    }
    Ok(activation)
}

/// `x · scale + shift` per channel, without SiLU; `map`: (1, C, h, w).
///
/// # Errors
/// If there are other channels.
pub fn normalised(map: &Tensor, activation: &Activation) -> Result<Tensor> {
    let per_channel = |values: &[f32]| {
        let dims = (1, values.len(), 1, 1);
        Tensor::from_slice(values, dims, map.device())
    };
    map.broadcast_mul(&per_channel(&activation.scale)?)?
        .broadcast_add(&per_channel(&activation.shift)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::{ConvCall, ConvShape};
    use crate::isa::Isa;
    use crate::widen::Stored;
    use candle_core::Device;

    /// Rounding of sums of a few hundred products of values around 1.
    const TOLERANCE: f32 = 2e-5;

    fn waves(n: usize, offset: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 13 + offset) as f32 * 0.7).sin())
            .collect()
    }

    fn check(shape: ConvShape, is_activated: bool) {
        let ConvShape {
            inputs,
            outputs,
            height,
            width,
            kind,
        } = shape;
        let input = waves(inputs * height * width, 1);
        let weight = waves(outputs * inputs * kind.n_taps(), 2);
        let bias = waves(outputs, 3);
        let map = Tensor::from_slice(&input, (1, inputs, height, width), &Device::Cpu).unwrap();
        let (factors, added) = (waves(inputs, 4), waves(inputs, 5));
        let norm = GroupNorm {
            n_groups: 2,
            weight: &factors,
            bias: &added,
            eps: 1e-6,
        };
        let activation =
            is_activated.then(|| crate::group_norm::group_norm(Isa::best(), &input, norm));
        let found_activation = is_activated.then(|| group_norm(&map, norm).unwrap());
        let call = ConvCall {
            shape,
            input: &input,
            activation: activation.as_ref(),
            weight: Stored::F32(&weight),
            bias: &bias,
            adds: false,
        };
        let mut expected = vec![0f32; shape.out_len()];
        crate::conv::conv(Isa::best(), call, &mut expected);
        let weight = Tensor::from_slice(&weight, (outputs, inputs * kind.n_taps()), &Device::Cpu);
        let bias = Tensor::from_slice(&bias, outputs, &Device::Cpu).unwrap();
        let found = conv(
            &map,
            (&weight.unwrap(), &bias),
            kind,
            found_activation.as_ref(),
        )
        .unwrap();
        assert_eq!(
            found.dims(),
            [1, outputs, shape.out_height(), shape.out_width()],
            "{shape:?}"
        );
        let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let worst = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst < TOLERANCE,
            "{shape:?}, activated {is_activated}: {worst}"
        );
    }

    #[test]
    fn convolutions_agree_with_the_kernels() {
        for kind in [
            ConvKind::Point,
            ConvKind::Same,
            ConvKind::Halving,
            ConvKind::Doubling,
        ] {
            for is_activated in [false, true] {
                let shape = ConvShape {
                    inputs: 6,
                    outputs: 5,
                    height: 8,
                    width: 10,
                    kind,
                };
                check(shape, is_activated);
            }
        }
    }

    #[test]
    fn maps_that_a_gpu_cannot_count_are_refused() {
        let check = |channels, side, kind, expected| {
            let found = check_size(channels, (side, side), kind).is_ok();
            assert_eq!(found, expected, "{channels} x {side}, {kind:?}");
        };
        check(256, 2048, ConvKind::Same, true);
        check(256, 2048, ConvKind::Doubling, false);
        check(256, 4096, ConvKind::Same, false);
        check(128, 4096, ConvKind::Same, false);
    }

    #[test]
    fn strips_join_to_the_whole() {
        let map = Tensor::from_vec(waves(2 * 9 * 7, 0), (1, 2, 9, 7), &Device::Cpu).unwrap();
        let kernel = Tensor::from_vec(waves(3 * 2 * 9, 1), (3, 2, 3, 3), &Device::Cpu).unwrap();
        // A strip of one row, of two, of all.
        for patches_at_once in [1, 2 * 5 * 18, 1 << 20] {
            for stride in [1, 2] {
                let whole = map.conv2d(&kernel, 0, stride, 1, 1).unwrap();
                let found = in_strips(&map, &kernel, stride, patches_at_once).unwrap();
                assert_eq!(found.dims(), whole.dims(), "stride {stride}");
                let difference = (found - whole).unwrap().abs().unwrap().max_all().unwrap();
                let difference = difference.to_scalar::<f32>().unwrap();
                assert!(
                    difference < TOLERANCE,
                    "stride {stride}, {patches_at_once}: {difference}"
                );
            }
        }
    }
}
