//! The convolution and group norm kernels, every instruction set against plain loops.

use dfa_native_worker::kernels::attention::{
    AttentionMask, AttentionShape, Qkv, reference as attention, tiled,
};
use dfa_native_worker::kernels::conv::{ConvCall, ConvKind, ConvShape, conv, reference};
use dfa_native_worker::kernels::group_norm::{Activation, GroupNorm, group_norm};
use dfa_native_worker::kernels::isa::Isa;
use dfa_native_worker::kernels::widen::Stored;
use dfa_tests::closeness::assert_close;

/// Deterministic values in about [-1, 1].
fn noise(n: usize, salt: u32) -> Vec<f32> {
    let mut state = 0x9E37_79B9u32 ^ salt.wrapping_mul(0x85EB_CA6B);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect()
}

fn check(shape: ConvShape, activates: bool, adds: bool) {
    let n_weights = shape.outputs * shape.inputs * shape.kind.n_taps();
    let weight = noise(n_weights, 1);
    let bias = noise(shape.outputs, 2);
    let input = noise(shape.inputs * shape.height * shape.width, 3);
    let activation = Activation {
        scale: noise(shape.inputs, 4),
        shift: noise(shape.inputs, 5),
    };
    let call = ConvCall {
        shape,
        input: &input,
        activation: activates.then_some(&activation),
        weight: Stored::F32(&weight),
        bias: &bias,
        adds,
    };
    let before = noise(shape.out_len(), 6);
    let mut expected = before.clone();
    reference::conv(call, &mut expected);
    // Sums of up to a few thousand products below 1, in f32.
    let tolerance = 2e-6 * (shape.inputs * shape.kind.n_taps()) as f32;
    for isa in Isa::available() {
        let mut found = before.clone();
        conv(isa, call, &mut found);
        let what = format!("{} {shape:?} {activates} {adds}", isa.name());
        assert_close(&what, &expected, &found, tolerance.max(2e-6));
    }
}

const KINDS: [ConvKind; 4] = [
    ConvKind::Point,
    ConvKind::Same,
    ConvKind::Halving,
    ConvKind::Doubling,
];

#[test]
fn convolutions_of_every_kind_and_size_are_those_of_plain_loops() {
    for kind in KINDS {
        for (height, width) in [(1, 1), (1, 9), (2, 2), (3, 5), (7, 4), (4, 33), (9, 50)] {
            for (inputs, outputs) in [(1, 1), (3, 8), (5, 9), (8, 16), (4, 3)] {
                let shape = ConvShape {
                    inputs,
                    outputs,
                    height,
                    width,
                    kind,
                };
                check(shape, false, false);
                check(shape, true, true);
            }
        }
    }
}

#[test]
fn maps_of_several_tiles_have_no_seams() {
    // Many channels make tiles narrow.
    for kind in KINDS {
        let shape = ConvShape {
            inputs: 700,
            outputs: 3,
            height: 6,
            width: 150,
            kind,
        };
        check(shape, true, false);
    }
}

#[test]
fn stored_types_convolve_as_their_values() {
    let shape = ConvShape {
        inputs: 3,
        outputs: 5,
        height: 4,
        width: 6,
        kind: ConvKind::Same,
    };
    let input = noise(3 * 24, 1);
    let bits: Vec<u16> = noise(135, 2)
        .iter()
        .map(|x| half::f16::from_f32(*x).to_bits())
        .collect();
    let widened: Vec<f32> = bits
        .iter()
        .map(|&bits| half::f16::from_bits(bits).to_f32())
        .collect();
    let run = |weight: Stored<'_>| {
        let mut out = vec![f32::NAN; shape.out_len()];
        let call = ConvCall {
            shape,
            input: &input,
            activation: None,
            weight,
            bias: &[0.0; 5],
            adds: false,
        };
        conv(Isa::best(), call, &mut out);
        out
    };
    assert_eq!(run(Stored::F16(&bits)), run(Stored::F32(&widened)));
}

#[test]
fn group_norm_is_that_of_f64_sums() {
    for (channels, n_groups, pixels) in [(6, 3, 1), (8, 2, 77), (4, 4, 5000), (32, 1, 999)] {
        // Far from zero, where a naive sum of squares loses its digits.
        let map: Vec<f32> = noise(channels * pixels, 1)
            .iter()
            .map(|x| 100.0 + x)
            .collect();
        let (weight, bias) = (noise(channels, 2), noise(channels, 3));
        let norm = GroupNorm {
            n_groups,
            weight: &weight,
            bias: &bias,
            eps: 1e-6,
        };
        let per_group = channels / n_groups * pixels;
        let (mut scales, mut shifts) = (Vec::new(), Vec::new());
        for channel in 0..channels {
            let group = channel * pixels / per_group * per_group;
            let values = map[group..group + per_group].iter().map(|&x| f64::from(x));
            let mean = values.clone().sum::<f64>() / per_group as f64;
            let variance = values.map(|x| (x - mean) * (x - mean)).sum::<f64>() / per_group as f64;
            let scale = f64::from(weight[channel]) / (variance + 1e-6).sqrt();
            scales.push(scale as f32);
            shifts.push((f64::from(bias[channel]) - mean * scale) as f32);
        }
        for isa in Isa::available() {
            let found = group_norm(isa, &map, norm);
            let what = format!("{} {channels} {n_groups} {pixels}", isa.name());
            // A mean of 100 in f32 is exact to 4e-6, times scales of about 2; with one
            // pixel a group may hardly vary, and scales grow.
            let tolerance = scales.iter().fold(1.0f32, |most, x| most.max(x.abs())) * 2e-5;
            assert_close(&what, &scales, &found.scale, tolerance);
            assert_close(&what, &shifts, &found.shift, tolerance * 20.0);
        }
    }
}

#[test]
fn attention_takes_one_head_as_wide_as_the_coarsest_map() {
    let shape = AttentionShape {
        batch: 1,
        n_tokens: 70,
        n_heads: 1,
        head_size: 512,
    };
    let n = shape.n_elements();
    let (q, k, v) = (noise(n, 1), noise(n, 2), noise(n, 3));
    let qkv = Qkv {
        q: &q,
        k: &k,
        v: &v,
    };
    let mut expected = vec![0f32; n];
    attention::attend(shape, AttentionMask::Full, qkv, &mut expected);
    for isa in Isa::available() {
        let mut found = vec![0f32; n];
        tiled::attend(isa, shape, AttentionMask::Full, qkv, &mut found);
        // Sums of 512 products and of 70 values, all below 1.
        assert_close(isa.name(), &expected, &found, 2e-6);
    }
}
