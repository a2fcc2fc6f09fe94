//! Runs parts of a model and says how long each took, one request a line on standard
//! input, one line of JSON each as the answer; `xtask/src/bench/diffusers_peer.py` answers
//! the same requests with PyTorch, so that both can be asked in turn:
//!
//! ```text
//! block FOLDER SAMPLES         one block of a DiT, hidden state (SAMPLES, T, D)
//! forward FOLDER SAMPLES       a whole forward pass of a DiT on SAMPLES latents
//! vae FOLDER HEIGHT WIDTH      one latent of this size to pixels
//! memory                       the most that the process ever held, as peak_bytes
//! run FOLDER STEPS raw|plan    a guided image of a DiT; ours only
//! ```
//!
//! `run … plan` computes every fourth step in full and takes `wa_rs`, `ast`, `wa_rs+asc`
//! and `asc` in turn along the blocks of the others. `DFA_ISA` is the instruction set to
//! use, as the flag `--isa` of `dfa`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use dfa_core::cost::{LayerShape, PlanCost};
use dfa_core::{Block, CompressionPlan, GridShape, Strategy, Window};
use dfa_native_worker::attention::{LayerCache, LayerCall, SelfAttention};
use dfa_native_worker::device::Placement;
use dfa_native_worker::generate::generate;
use dfa_native_worker::kernels::isa::Isa;
use dfa_native_worker::model::vae::Vae;
use dfa_native_worker::model::{Condition, ForwardPass, StepInput};
use dfa_native_worker::model_folder::VaeConfig;
use dfa_native_worker::observer::Unobserved;
use dfa_tests::engine::TestRun;
use rustix::time::{ClockId, clock_gettime};

// As `dfa` has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What was loaded so far; loading is not timed.
#[derive(Default)]
struct Loaded {
    models: HashMap<String, TestRun>,
    vaes: HashMap<String, Vae>,
}

fn main() {
    if let Ok(name) = std::env::var("DFA_ISA") {
        let known = Isa::named(&name).is_some_and(Isa::choose);
        assert!(known, "this machine has no instruction set {name}");
    }
    let mut loaded = Loaded::default();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        // As `dfa` computes: on one of the threads that share an operation.
        let answer = rayon::scope(|_| {
            loaded.answer(&line).unwrap_or_else(|error| {
                let error = error.to_string();
                serde_json::json!({"error": error}).to_string()
            })
        });
        println!("{answer}");
        if std::io::stdout().flush().is_err() {
            return;
        }
    }
}

impl Loaded {
    fn answer(&mut self, line: &str) -> Outcome<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["block", folder, samples] => self.block(folder, samples.parse()?),
            ["forward", folder, samples] => self.forward(folder, samples.parse()?),
            ["vae", folder, height, width] => self.vae(folder, height.parse()?, width.parse()?),
            ["memory"] => peak_memory(),
            ["run", folder, steps, kind] => run(folder, steps.parse()?, kind == "plan"),
            _ => Err(format!("not a request: {line}").into()),
        }
    }

    fn model(&mut self, folder: &str) -> &TestRun {
        let open = || TestRun::open(Path::new(folder), 2, 4.0, &[1]);
        self.models.entry(folder.to_owned()).or_insert_with(open)
    }

    fn block(&mut self, folder: &str, n_samples: usize) -> Outcome<String> {
        let run = self.model(folder);
        let geometry = run.model.geometry();
        let dims = (n_samples, run.n_tokens(), geometry.width());
        let hidden = Tensor::randn(0f32, 1.0, dims, &Device::Cpu)?;
        let condition = Condition::Classes(vec![1; n_samples]);
        let pass = run.model.begin(&input(run, &condition))?;
        timed(|| full_block(pass.as_ref(), 0, &hidden))
    }

    fn forward(&mut self, folder: &str, n_samples: usize) -> Outcome<String> {
        let run = self.model(folder);
        let dims = run.size().dims(n_samples, run.model.geometry().in_channels);
        let latent = Tensor::randn(0f32, 1.0, dims, &Device::Cpu)?;
        let condition = Condition::Classes(vec![1; n_samples]);
        timed(|| {
            let pass = run.model.begin(&input(run, &condition))?;
            let mut hidden = pass.embed(&latent)?;
            for block in 0..run.model.geometry().n_blocks {
                hidden = full_block(pass.as_ref(), block, &hidden)?;
            }
            pass.output(&hidden)
        })
    }

    fn vae(&mut self, folder: &str, height: usize, width: usize) -> Outcome<String> {
        if !self.vaes.contains_key(folder) {
            let config = VaeConfig::read(&Path::new(folder).join("config.json"))?;
            let vae = Vae::load(Path::new(folder), &config, &Placement::cpu())?;
            self.vaes.insert(folder.to_owned(), vae);
        }
        let config = VaeConfig::read(&Path::new(folder).join("config.json"))?;
        let dims = (1, config.latent_channels, height, width);
        let latent = Tensor::randn(0f32, 1.0, dims, &Device::Cpu)?;
        timed(|| self.vaes[folder].decode(&latent))
    }
}

fn input<'a>(run: &TestRun, condition: &'a Condition) -> StepInput<'a> {
    StepInput {
        timestep: 500,
        condition,
        guided: false,
        size: run.size(),
        video: None,
    }
}

fn full_block(
    pass: &dyn ForwardPass,
    block: usize,
    hidden: &Tensor,
) -> candle_core::Result<Tensor> {
    let cache = LayerCache::default();
    let call = LayerCall {
        strategy: Strategy::Full,
        window: Window::symmetric(0),
        guided: false,
        makes_residual: false,
        cache: &cache,
    };
    let mut attend = |layer: &SelfAttention, x: &Tensor| Ok(layer.execute(x, call)?.output);
    pass.block(Block(block), hidden, &mut attend)
}

/// A guided run of one image: its seconds, and what it keeps of the layers' MACs.
fn run(folder: &str, n_steps: usize, with_plan: bool) -> Outcome<String> {
    let run = TestRun::open(Path::new(folder), n_steps, 4.0, &[1]);
    let n_blocks = run.model.geometry().n_blocks;
    let plan = with_plan.then(|| mixed_plan(GridShape { n_steps, n_blocks }, run.n_tokens()));
    let plan = plan.transpose()?;
    let shape = LayerShape {
        n_tokens: run.n_tokens(),
        width: run.model.geometry().width(),
    };
    let kept = plan.as_ref().map_or(1.0, |plan| {
        PlanCost::of(plan, shape, true).layer_kept_share()
    });
    let before = cpu_seconds();
    let noise = run.noise(0);
    let made = generate(&run.denoiser(), plan.as_ref(), &noise, &mut Unobserved)?;
    Ok(serde_json::json!({
        "wall_s": made.total_secs,
        "cpu_s": cpu_seconds() - before,
        "layers_s": made.attention_secs,
        "kept": kept,
    })
    .to_string())
}

fn mixed_plan(shape: GridShape, n_tokens: usize) -> Outcome<CompressionPlan> {
    let cycle = ["wa_rs", "ast", "wa_rs+asc", "asc"].map(|name| name.parse::<Strategy>());
    let cycle = cycle.into_iter().collect::<Result<Vec<_>, _>>()?;
    let cells = (0..shape.n_cells()).map(|cell| {
        let (step, block) = (cell / shape.n_blocks, cell % shape.n_blocks);
        match step % 4 {
            0 => Strategy::Full,
            _ => cycle[block % cycle.len()],
        }
    });
    let window = Window::eighth_of(n_tokens);
    Ok(CompressionPlan::new(shape, window, cells.collect())?)
}

fn timed(work: impl FnOnce() -> candle_core::Result<Tensor>) -> Outcome<String> {
    let (start, before) = (Instant::now(), cpu_seconds());
    let made = work()?;
    let answer = serde_json::json!({
        "wall_s": start.elapsed().as_secs_f64(),
        "cpu_s": cpu_seconds() - before,
    });
    // Looked at, so that nothing of the work can be left out.
    let sum = made.abs()?.sum_all()?.to_scalar::<f32>()?;
    match sum.is_finite() {
        true => Ok(answer.to_string()),
        false => Err("the result is not finite".into()),
    }
}

fn peak_memory() -> Outcome<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes.ok_or("no VmHWM")?.parse()?;
    Ok(serde_json::json!({"peak_bytes": kibibytes * 1024}).to_string())
}

/// Processor time of all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
