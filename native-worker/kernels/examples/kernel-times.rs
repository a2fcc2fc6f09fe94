//! Times one kernel after the other, on request: a driver keeps this process alive beside
//! one of another library (`xtask/src/bench/torch_peer.py`) and asks both in turn.
//!
//! A request is one line, `KERNEL ARGS…`, optionally ending in `xREPS`; the answer is one
//! line of JSON, `{"wall_s": …, "cpu_s": …}`, seconds per run, the CPU seconds of all
//! threads together, or `{"error": …}`. What a request works on is made, and run once,
//! before the clock starts; it is kept while the same request comes again. Results are
//! allocated within the timed part, as in the engine, by the engine's allocator.
//! `DFA_ISA=avx512` in the environment makes that the best instruction set, so that two of
//! these can be asked in turn.
//!
//! ```text
//! linear ROWS IN OUT f32|f16|bf16          with bias
//! attention full|full_and_residual|window N HEADS HEAD_SIZE   window: N/8 on each side
//! gelu ROWS COLS
//! layer_norm_modulate ROWS COLS
//! softmax ROWS COLS
//! gate_skip ROWS COLS
//! conv IN OUT H W                          3 x 3
//! group_norm C H W                         32 groups; only what the convolution needs of it
//! norm_silu_conv IN OUT H W                group norm, SiLU and 3 x 3
//! ```

use std::io::{BufRead, Write};
use std::time::Instant;

use candle_core::{Device, Tensor};
use dfa_core::Window;
use dfa_kernels::attention::AttentionMask;
use dfa_kernels::conv::{ConvCall, ConvKind, ConvShape, conv};
use dfa_kernels::fresh;
use dfa_kernels::group_norm::{Activation, GroupNorm, group_norm};
use dfa_kernels::isa::Isa;
use dfa_kernels::ops;
use dfa_kernels::widen::Stored;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What can go wrong is said in words.
type Result<T, E = String> = std::result::Result<T, E>;

/// A kernel with its inputs.
type Job = Box<dyn Fn() -> candle_core::Result<()> + Send + Sync>;

fn main() -> std::io::Result<()> {
    if let Ok(name) = std::env::var("DFA_ISA") {
        let known = Isa::named(&name).is_some_and(Isa::choose);
        assert!(known, "this machine has no instruction set {name}");
    }
    let mut kept: Option<(String, Job)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        // As in the engine: on one of the threads that share a kernel.
        let answer = match rayon::scope(|_| answer(line.trim(), &mut kept)) {
            Ok(times) => times,
            Err(error) => format!("{{\"error\": {error:?}}}"),
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(line: &str, kept: &mut Option<(String, Job)>) -> Result<String> {
    let (request, n_runs) = match line.rsplit_once(" x") {
        Some((request, n_runs)) => (request, number(n_runs)?.max(1)),
        None => (line, 1),
    };
    if kept.as_ref().is_none_or(|(known, _)| known != request) {
        let job = job_of(request)?;
        job().map_err(|error| error.to_string())?;
        *kept = Some((request.to_owned(), job));
    }
    match kept {
        Some((_, job)) => time(job, n_runs).map_err(|error| error.to_string()),
        None => Err("nothing was asked".to_owned()),
    }
}

fn time(job: &Job, n_runs: usize) -> candle_core::Result<String> {
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    for _ in 0..n_runs {
        job()?;
    }
    let wall = wall.elapsed().as_secs_f64() / n_runs as f64;
    let cpu = (cpu_seconds() - cpu) / n_runs as f64;
    Ok(format!("{{\"wall_s\": {wall:.9}, \"cpu_s\": {cpu:.9}}}"))
}

/// Of all threads of this process, since it began.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn job_of(request: &str) -> Result<Job> {
    let words: Vec<&str> = request.split_whitespace().collect();
    match words.as_slice() {
        ["linear", rows, inputs, outputs, stored] => linear(
            number(rows)?,
            number(inputs)?,
            number(outputs)?,
            parse_bits(stored)?,
        ),
        ["attention", mask, n, heads, size] => {
            attention(mask, number(n)?, number(heads)?, number(size)?)
        }
        ["conv", sizes @ ..] => convolution(&numbers(sizes)?, false),
        ["norm_silu_conv", sizes @ ..] => convolution(&numbers(sizes)?, true),
        ["group_norm", sizes @ ..] => norm_of_groups(&numbers(sizes)?),
        [kernel, rows, columns] => rows_of(kernel, number(rows)?, number(columns)?),
        _ => Err(format!(
            "{request:?} is no request: expected a kernel and its sizes"
        )),
    }
}

fn number(word: &str) -> Result<usize> {
    word.parse()
        .map_err(|error| format!("{word:?} is not a number: {error}"))
}

fn numbers(words: &[&str]) -> Result<Vec<usize>> {
    words.iter().map(|word| number(word)).collect()
}

/// How a weight is stored.
#[derive(Clone, Copy)]
enum StoredType {
    F32,
    F16,
    Bf16,
}

fn parse_bits(word: &str) -> Result<StoredType> {
    match word {
        "f32" => Ok(StoredType::F32),
        "f16" => Ok(StoredType::F16),
        "bf16" => Ok(StoredType::Bf16),
        _ => Err(format!("{word:?} is no type: expected f32, f16 or bf16")),
    }
}

/// Values in [-1, 1), different for every salt.
fn values(n: usize, salt: u32) -> Vec<f32> {
    let mut state = 0x9E37_79B9u32 ^ salt.wrapping_mul(0x85EB_CA6B);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn tensor(dims: &[usize], salt: u32) -> Result<Tensor> {
    Tensor::from_vec(values(dims.iter().product(), salt), dims, &Device::Cpu)
        .map_err(|error| error.to_string())
}

fn linear(rows: usize, inputs: usize, outputs: usize, stored: StoredType) -> Result<Job> {
    let x = tensor(&[rows, inputs], 1)?;
    let bias = tensor(&[outputs], 2)?;
    let weight = values(outputs * inputs, 3);
    let halves: Vec<u16> = match stored {
        StoredType::F32 => Vec::new(),
        StoredType::F16 => weight.iter().map(|&value| f16_bits(value)).collect(),
        StoredType::Bf16 => weight.iter().map(|v| (v.to_bits() >> 16) as u16).collect(),
    };
    Ok(Box::new(move || {
        let weight = match stored {
            StoredType::F32 => Stored::F32(&weight),
            StoredType::F16 => Stored::F16(&halves),
            StoredType::Bf16 => Stored::Bf16(&halves),
        };
        ops::linear_stored(&x, weight, (outputs, inputs), Some(&bias)).map(drop)
    }))
}

/// A half of about this value, which is below 2 in size; good enough for a weight.
fn f16_bits(value: f32) -> u16 {
    half::f16::from_f32(value).to_bits()
}

fn attention(mask: &str, n_tokens: usize, n_heads: usize, head_size: usize) -> Result<Job> {
    let window = Window::eighth_of(n_tokens);
    let mask = match mask {
        "full" => AttentionMask::Full,
        "full_and_residual" => AttentionMask::FullAndResidual(window),
        "window" => AttentionMask::Windowed(window),
        _ => {
            return Err(format!(
                "{mask:?} is no mask: expected full, full_and_residual or window"
            ));
        }
    };
    let dims = [1, n_tokens, n_heads * head_size];
    let (q, k, v) = (tensor(&dims, 1)?, tensor(&dims, 2)?, tensor(&dims, 3)?);
    Ok(Box::new(move || {
        ops::attend(&q, &k, &v, n_heads, mask).map(drop)
    }))
}

/// Kernels that go over rows.
fn rows_of(kernel: &str, n_rows: usize, n_columns: usize) -> Result<Job> {
    let x = tensor(&[1, n_rows, n_columns], 1)?;
    let factor = tensor(&[1, n_columns], 2)?;
    match kernel {
        "gelu" => Ok(Box::new(move || ops::gelu_tanh(&x).map(drop))),
        "softmax" => Ok(Box::new(move || ops::softmax(&x).map(drop))),
        "layer_norm_modulate" => Ok(Box::new(move || {
            ops::layer_norm_modulate(&x, &factor, &factor, 1e-6).map(drop)
        })),
        "gate_skip" => {
            let y = tensor(&[1, n_rows, n_columns], 3)?;
            Ok(Box::new(move || ops::gated_skip(&x, &factor, &y).map(drop)))
        }
        _ => Err(format!("{kernel:?} is no kernel that takes ROWS COLS")),
    }
}

fn norm_of_groups(sizes: &[usize]) -> Result<Job> {
    let &[channels, height, width] = sizes else {
        return Err(format!("group_norm takes C H W, got {sizes:?}"));
    };
    let map = values(channels * height * width, 1);
    let norm = Norm::new(channels);
    Ok(Box::new(move || {
        std::hint::black_box(norm.of(&map));
        Ok(())
    }))
}

/// Weights of a group norm with 32 groups.
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn new(channels: usize) -> Self {
        Self {
            weight: values(channels, 4),
            bias: values(channels, 5),
        }
    }

    fn of(&self, map: &[f32]) -> Activation {
        let norm = GroupNorm {
            n_groups: 32,
            weight: &self.weight,
            bias: &self.bias,
            eps: 1e-6,
        };
        group_norm(Isa::best(), map, norm)
    }
}

fn convolution(sizes: &[usize], normed: bool) -> Result<Job> {
    let &[inputs, outputs, height, width] = sizes else {
        return Err(format!("a convolution takes IN OUT H W, got {sizes:?}"));
    };
    let shape = ConvShape {
        inputs,
        outputs,
        height,
        width,
        kind: ConvKind::Same,
    };
    let input = values(inputs * height * width, 1);
    let weight = values(outputs * inputs * 9, 2);
    let bias = values(outputs, 3);
    let norm = normed.then(|| Norm::new(inputs));
    Ok(Box::new(move || {
        let activation = norm.as_ref().map(|norm| norm.of(&input));
        let call = ConvCall {
            shape,
            input: &input,
            activation: activation.as_ref(),
            weight: Stored::F32(&weight),
            bias: &bias,
            adds: false,
        };
        let mut out = fresh::zeros(shape.out_len());
        conv(Isa::best(), call, &mut out);
        std::hint::black_box(out);
        Ok(())
    }))
}
