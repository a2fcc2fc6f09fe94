//! Convolution in plain loops with f64 sums.

use super::{ConvCall, ConvKind, ConvShape};

/// The same as [`conv`](super::conv), slowly.
///
/// # Panics
/// If a slice does not have the size that the shape says.
pub fn conv(call: ConvCall<'_>, out: &mut [f32]) {
    call.check(out);
    let shape = call.shape;
    let mut weight = vec![0f32; call.weight.len()];
    call.weight.widen_into(&mut weight);
    let (height, width) = (shape.out_height(), shape.out_width());
    for output in 0..shape.outputs {
        for y in 0..height {
            for x in 0..width {
                let sum = pixel(&call, &weight, output, (y, x));
                let out = &mut out[(output * height + y) * width + x];
                let before = if call.adds { f64::from(*out) } else { 0.0 };
                *out = (before + sum + f64::from(call.bias[output])) as f32;
            }
        }
    }
}

fn pixel(call: &ConvCall<'_>, weight: &[f32], output: usize, at: (usize, usize)) -> f64 {
    let n_taps = call.shape.kind.n_taps();
    let mut sum = 0.0;
    for channel in 0..call.shape.inputs {
        for tap in 0..n_taps {
            let weight = weight[(output * call.shape.inputs + channel) * n_taps + tap];
            sum += f64::from(weight) * seen(call, channel, at, tap);
        }
    }
    sum
}

/// What a tap sees: zero outside the map.
fn seen(call: &ConvCall<'_>, channel: usize, (y, x): (usize, usize), tap: usize) -> f64 {
    let ConvShape {
        height,
        width,
        kind,
        ..
    } = call.shape;
    let (row, column) = (tap / 3, tap % 3);
    let place = |at: usize, tap: usize, side: usize| -> Option<usize> {
        let point = match kind {
            ConvKind::Point => at,
            ConvKind::Same => (at + tap).checked_sub(1)?,
            ConvKind::Halving => 2 * at + tap,
            ConvKind::Doubling => {
                let enlarged = (at + tap).checked_sub(1)?;
                return (enlarged < 2 * side).then_some(enlarged / 2);
            }
        };
        (point < side).then_some(point)
    };
    let (Some(y), Some(x)) = (place(y, row, height), place(x, column, width)) else {
        return 0.0;
    };
    let value = f64::from(call.input[(channel * height + y) * width + x]);
    let Some(activation) = call.activation else {
        return value;
    };
    let scaled =
        value * f64::from(activation.scale[channel]) + f64::from(activation.shift[channel]);
    scaled / (1.0 + libm::exp(-scaled))
}
