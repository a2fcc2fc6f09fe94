//! Checks of this machine.

use dfa_core::Window;

use super::Finding;
use crate::device::{DeviceError, probe_cuda};
use crate::kernels::attention::{AttentionMask, AttentionShape, Qkv, reference, tiled};
use crate::kernels::isa::Isa;
use crate::picture::mp4::ffmpeg_version;
use crate::report_html::bytes;

/// Largest difference that rounding explains, for values around 1.
const TOLERANCE: f32 = 1e-5;

pub(super) fn findings() -> Vec<Finding> {
    vec![
        instruction_set(),
        threads(),
        memory(),
        attention_self_test(),
        cuda(),
        mp4_encoder(),
    ]
}

fn instruction_set() -> Finding {
    let all: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    let best = Isa::best().name();
    let text = format!("{best} is used (available: {})", all.join(", "));
    if best == "portable" {
        Finding::warn(
            "instruction set",
            format!("{text}; the kernels are several times faster with AVX2 or AVX-512"),
        )
    } else {
        Finding::ok("instruction set", text)
    }
}

fn threads() -> Finding {
    let n = rayon::current_num_threads();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let text = format!("{n} used, {cores} available");
    if n > cores {
        Finding::warn(
            "threads",
            format!("{text}; more than available only slows down"),
        )
    } else {
        Finding::ok("threads", text)
    }
}

fn memory() -> Finding {
    match available_bytes() {
        Some(available) => Finding::ok("memory", format!("{} available", bytes(available))),
        None => Finding::warn(
            "memory",
            "how much is available can only be read on Linux (/proc/meminfo)",
        ),
    }
}

/// A machine without a GPU is well; a program that was built for one and finds none is not.
fn cuda() -> Finding {
    match probe_cuda() {
        Ok(devices) if devices.is_empty() => {
            Finding::warn("CUDA", "built in, but no device is found")
        }
        Ok(devices) => Finding::ok("CUDA", devices.join("; ")),
        Err(DeviceError::NotBuilt) => Finding::ok(
            "CUDA",
            "not built in, the CPU is used; `cargo xtask cuda` builds a dfa for NVIDIA GPUs",
        ),
        Err(error) => Finding::warn("CUDA", error.to_string()),
    }
}

fn mp4_encoder() -> Finding {
    let text = ffmpeg_version()
        .unwrap_or_else(|| "none: videos are animated PNGs only; ffmpeg on PATH adds MP4s".into());
    Finding::ok("MP4 encoder", text)
}

/// What the system says could be used without swapping.
pub(super) fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Every instruction set's tiled kernel against the plain one, on a small odd shape.
fn attention_self_test() -> Finding {
    let mut worst = 0f32;
    for isa in Isa::available() {
        let difference = attention_difference(isa);
        if difference.is_nan() || difference > TOLERANCE {
            let text = format!(
                "the {} kernel is off by {difference:e}; its results cannot be trusted",
                isa.name()
            );
            return Finding::fail("attention self-test", text);
        }
        worst = worst.max(difference);
    }
    Finding::ok(
        "attention self-test",
        format!("tiled kernels agree with the plain one within {worst:.1e}"),
    )
}

fn attention_difference(isa: Isa) -> f32 {
    let shape = AttentionShape {
        batch: 2,
        n_tokens: 37,
        n_heads: 2,
        head_size: 12,
    };
    let values = |offset: usize| -> Vec<f32> {
        let wave = |idx: usize| ((idx * 7 + offset) as f32 * 0.731).sin();
        (0..shape.n_elements()).map(wave).collect()
    };
    let (q, k, v) = (values(0), values(3), values(5));
    let inputs = Qkv {
        q: &q,
        k: &k,
        v: &v,
    };
    let mask = AttentionMask::FullAndResidual(Window { left: 5, right: 3 });
    let mut expected = vec![0.0; 2 * shape.n_elements()];
    let mut found = expected.clone();
    reference::attend(shape, mask, inputs, &mut expected);
    tiled::attend(isa, shape, mask, inputs, &mut found);
    let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
    // A NaN must not compare as small.
    differences.fold(0.0, |worst, next| {
        if next > worst || next.is_nan() {
            next
        } else {
            worst
        }
    })
}
