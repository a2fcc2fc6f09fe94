//! Every kernel at the sizes of DiT-XL/2 at 512 x 512 pixels (1024 tokens of 16 heads x 72)
//! or of its VAE, for every instruction set of this machine where one can be chosen:
//! `cargo bench -p dfa-kernels`, or with a part of a name to run some.
//!
//! These are for watching one kernel while it is changed. Against another library it is
//! `examples/kernel-times.rs` that is asked, in turn with the other.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfa_core::Window;
use dfa_kernels::attention::{AttentionMask, AttentionShape, Qkv, tiled};
use dfa_kernels::conv::{ConvCall, ConvKind, ConvShape, conv};
use dfa_kernels::elementwise::{self, Modulation};
use dfa_kernels::group_norm::{GroupNorm, group_norm};
use dfa_kernels::isa::Isa;
use dfa_kernels::linear::{LinearShape, linear_with};
use dfa_kernels::per_head::{self, Rotation};
use dfa_kernels::widen::Stored;

const N_TOKENS: usize = 1024;
const N_HEADS: usize = 16;
const HEAD_SIZE: usize = 72;
const WIDTH: usize = N_HEADS * HEAD_SIZE;

/// Values in [-1, 1), different for every salt.
fn values(n: usize, salt: u32) -> Vec<f32> {
    let mut state = 0x9E37_79B9u32 ^ salt.wrapping_mul(0x85EB_CA6B);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn attention(criterion: &mut Criterion) {
    let shape = AttentionShape {
        batch: 1,
        n_tokens: N_TOKENS,
        n_heads: N_HEADS,
        head_size: HEAD_SIZE,
    };
    let n = shape.n_elements();
    let (q, k, v) = (values(n, 1), values(n, 2), values(n, 3));
    let inputs = Qkv {
        q: &q,
        k: &k,
        v: &v,
    };
    let window = Window::eighth_of(N_TOKENS);
    let masks = [
        ("full", AttentionMask::Full),
        ("full_and_residual", AttentionMask::FullAndResidual(window)),
        ("window", AttentionMask::Windowed(window)),
    ];
    let mut group = criterion.benchmark_group("attention");
    group.sample_size(10);
    for isa in Isa::available() {
        for (name, mask) in masks {
            let mut out = vec![0f32; mask.n_outputs() * n];
            group.bench_function(format!("{name}/{}", isa.name()), |bencher| {
                bencher.iter(|| tiled::attend(isa, shape, mask, inputs, &mut out));
            });
        }
        // A text of 120 tokens, as PixArt has them.
        let seen = 0..120;
        let text = Qkv {
            q: &q,
            k: &k[..seen.end * WIDTH],
            v: &v[..seen.end * WIDTH],
        };
        let mut out = vec![0f32; n];
        group.bench_function(format!("cross/{}", isa.name()), |bencher| {
            bencher.iter(|| {
                tiled::cross_attend(isa, shape, std::slice::from_ref(&seen), text, &mut out)
            });
        });
    }
}

fn linear(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("linear");
    group.sample_size(10);
    for (rows, inputs, outputs) in [
        (2048, WIDTH, 3 * WIDTH),
        (2048, WIDTH, WIDTH),
        (2048, WIDTH, 4 * WIDTH),
        (2048, 4 * WIDTH, WIDTH),
        (2, WIDTH, 6 * WIDTH),
    ] {
        let shape = LinearShape {
            rows,
            inputs,
            outputs,
        };
        let (x, bias) = (values(rows * inputs, 1), values(outputs, 2));
        let weight = values(outputs * inputs, 3);
        let half = |to_bits: fn(f32) -> u16| -> Vec<u16> {
            weight.iter().map(|&value| to_bits(value)).collect()
        };
        let f16 = half(|value| half::f16::from_f32(value).to_bits());
        let bf16 = half(|value| half::bf16::from_f32(value).to_bits());
        group.throughput(Throughput::Elements((rows * inputs * outputs) as u64));
        for (name, weight) in [
            ("f32", Stored::F32(&weight)),
            ("f16", Stored::F16(&f16)),
            ("bf16", Stored::Bf16(&bf16)),
        ] {
            // The gemm crate chooses for itself between the others.
            for isa in Isa::available().into_iter().rev().take(2) {
                let name = format!("{rows}x{inputs}x{outputs}/{name}/{}", isa.name());
                group.bench_function(name, |bencher| {
                    bencher.iter(|| linear_with(isa, shape, &x, weight, Some(&bias)));
                });
            }
        }
    }
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    let hidden = N_TOKENS * WIDTH;
    let (x, y) = (values(hidden, 1), values(hidden, 2));
    let (shift, scale) = (values(WIDTH, 3), values(WIDTH, 4));
    let modulation = Modulation {
        shift: &shift,
        scale: &scale,
        width: WIDTH,
        n_tokens: N_TOKENS,
        eps: 1e-6,
    };
    let mut out = vec![0f32; hidden];
    let scores = values(N_TOKENS * N_TOKENS, 5);
    let before = values(4 * hidden, 6);
    for isa in Isa::available() {
        group.bench_function(format!("gelu/{}", isa.name()), |bencher| {
            bencher.iter(|| elementwise::gelu_tanh(isa, &before));
        });
        group.bench_function(format!("layer_norm_modulate/{}", isa.name()), |bencher| {
            bencher.iter(|| elementwise::layer_norm_modulate(isa, &x, modulation));
        });
        group.bench_function(format!("softmax/{}", isa.name()), |bencher| {
            bencher.iter(|| elementwise::softmax(isa, &scores, N_TOKENS));
        });
        group.bench_function(format!("gated_skip/{}", isa.name()), |bencher| {
            bencher.iter(|| elementwise::gated_skip(isa, &x, &scale, &y, (N_TOKENS, WIDTH)));
        });
    }
    let mut heads = x.clone();
    group.bench_function("rms_norm", |bencher| {
        bencher.iter(|| per_head::rms_norm(&mut heads, &scale[..HEAD_SIZE], 1e-6));
    });
    let angles = values(N_TOKENS * HEAD_SIZE / 2, 7);
    let (cosines, sines): (Vec<f32>, Vec<f32>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
    let rotation = Rotation {
        cosines: &cosines,
        sines: &sines,
        n_heads: N_HEADS,
        n_tokens: N_TOKENS,
    };
    group.bench_function("rotate", |bencher| {
        bencher.iter(|| per_head::rotate(&mut heads, rotation));
    });
    let bits: Vec<u16> = x
        .iter()
        .map(|&x| half::f16::from_f32(x).to_bits())
        .collect();
    for (name, stored) in [("f16", Stored::F16(&bits)), ("bf16", Stored::Bf16(&bits))] {
        group.bench_function(format!("widen/{name}"), |bencher| {
            bencher.iter(|| stored.widen_into(&mut out));
        });
    }
}

fn feature_maps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("feature_maps");
    group.sample_size(10);
    let side = 64;
    let channels = 256;
    let input = values(channels * side * side, 1);
    let bias = values(channels, 2);
    let weight = values(channels * channels * 9, 3);
    let norm = GroupNorm {
        n_groups: 32,
        weight: &bias,
        bias: &bias,
        eps: 1e-6,
    };
    for isa in Isa::available() {
        group.bench_function(format!("group_norm/{}", isa.name()), |bencher| {
            bencher.iter(|| group_norm(isa, &input, norm));
        });
        let activation = group_norm(isa, &input, norm);
        for (name, kind, activated) in [
            ("same", ConvKind::Same, false),
            ("activated", ConvKind::Same, true),
            ("point", ConvKind::Point, false),
            ("halving", ConvKind::Halving, false),
            ("doubling", ConvKind::Doubling, false),
        ] {
            let shape = ConvShape {
                inputs: channels,
                outputs: channels,
                height: side,
                width: side,
                kind,
            };
            let call = ConvCall {
                shape,
                input: &input,
                activation: activated.then_some(&activation),
                weight: Stored::F32(&weight[..channels * channels * kind.n_taps()]),
                bias: &bias,
                adds: false,
            };
            let mut out = vec![0f32; shape.out_len()];
            group.bench_function(format!("conv/{name}/{}", isa.name()), |bencher| {
                bencher.iter(|| conv(isa, call, &mut out));
            });
        }
    }
}

criterion_group!(kernels, attention, linear, rows, feature_maps);
criterion_main!(kernels);
