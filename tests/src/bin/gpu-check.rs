//! Checks a GPU: are the numbers right, and how fast is it? Needs a build with CUDA
//! (`cargo xtask cuda`), nothing else of Rust's, and for the comparison a Python with
//! PyTorch. Run it in the root of the repository:
//!
//! ```text
//! gpu-check [--device cuda:N] [--dtype bf16|f16] [--numerics-only] [--python PYTHON]
//!           [--root DIR] [--folder DIR] [--write]
//! ```
//!
//! The numbers are checked first, in bf16, f16 and f32; if one is wrong nothing is timed.
//! Every table is printed as soon as it is measured; what PyTorch cannot do is a dash and a
//! line that says why. Random weights go to `--folder` (out/gpu-check). With `--write` the
//! tables go into docs/results.md. Exit codes: 0 done, 1 wrong numbers or no device, 2 asked
//! for wrongly.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use dfa_native_worker::device::{DeviceChoice, NumberType, Placement};
use dfa_tests::gpu_check::numerics::{self, Check};
use dfa_tests::gpu_check::peer::Peer;
use dfa_tests::gpu_check::{Outcome, layer_times, model_times};

const PEER: &str = "xtask/src/gpu_check/torch_peer.py";
const RESULTS: &str = "docs/results.md";
const START: &str = "<!-- gpu-check -->\n";
const END: &str = "<!-- end gpu-check -->";

struct Order {
    device: DeviceChoice,
    number: NumberType,
    numerics_only: bool,
    python: Option<String>,
    root: PathBuf,
    folder: PathBuf,
    write: bool,
}

fn order(mut arguments: impl Iterator<Item = String>) -> Option<Order> {
    let mut order = Order {
        device: DeviceChoice::Cuda(0),
        number: NumberType::Bf16,
        numerics_only: false,
        python: None,
        root: ".".into(),
        folder: "out/gpu-check".into(),
        write: false,
    };
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--device" => order.device = arguments.next()?.parse().ok()?,
            "--dtype" => order.number = timed_number(&arguments.next()?)?,
            "--numerics-only" => order.numerics_only = true,
            "--python" => order.python = Some(arguments.next()?),
            "--root" => order.root = arguments.next()?.into(),
            "--folder" => order.folder = arguments.next()?.into(),
            "--write" => order.write = true,
            _ => return None,
        }
    }
    Some(order)
}

/// f32 is not what anybody runs on such a card, and PyTorch has no flash kernel for it.
fn timed_number(text: &str) -> Option<NumberType> {
    let number = text.parse().ok();
    number.filter(|number| *number != NumberType::F32)
}

fn main() -> ExitCode {
    let Some(order) = order(std::env::args().skip(1)) else {
        eprintln!(
            "gpu-check [--device cuda:N] [--dtype bf16|f16] [--numerics-only] [--python PYTHON] [--root DIR] [--folder DIR] [--write]"
        );
        return ExitCode::from(2);
    };
    match run(&order) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gpu-check: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every number is right.
fn run(order: &Order) -> Outcome<bool> {
    let start = Instant::now();
    let placement = Placement::open(order.device, Some(order.number))?;
    println!("{}", placement.name());
    let mut n_wrong = 0;
    for number in [NumberType::Bf16, NumberType::F16, NumberType::F32] {
        let placement = Placement::open(order.device, Some(number))?;
        for check in checks(order, &placement)? {
            let verdict = if check.is_good() { "ok" } else { "WRONG" };
            println!(
                "{verdict:5} {:.1e} of {:.0e}  {}",
                check.error, check.tolerance, check.what
            );
            n_wrong += usize::from(!check.is_good());
        }
    }
    if n_wrong > 0 || order.numerics_only {
        println!("{n_wrong} comparisons with the CPU are wrong");
        return Ok(n_wrong == 0);
    }
    let tables = tables(order, &placement)?;
    println!(
        "\nall of it:\n\n{tables}\n{:.0} s in all",
        start.elapsed().as_secs_f64()
    );
    if order.write {
        write(&order.root.join(RESULTS), &tables)?;
    }
    Ok(true)
}

fn checks(order: &Order, placement: &Placement) -> Outcome<Vec<Check>> {
    let mut checks = numerics::operations(placement)?;
    checks.extend(numerics::strategies(placement)?);
    checks.push(numerics::shipped_model(&order.root, placement)?);
    checks.extend(numerics::companions(&order.root, placement)?);
    Ok(checks)
}

fn tables(order: &Order, placement: &Placement) -> Outcome<String> {
    let peer = order.python.as_ref();
    let peer = peer.map(|python| Peer::start(python, &order.root.join(PEER)));
    let mut peer = peer.transpose()?;
    let mut about = format!("{}, {}", placement.name(), numerics_words());
    if let Some(peer) = &mut peer {
        about += &format!("; beside {}", peer.ask("about")?.text("about"));
    }
    println!("{about}");
    let mut layers = Vec::new();
    for n_tokens in layer_times::LENGTHS {
        eprintln!("a layer of {n_tokens} tokens");
        let times = layer_times::measure(n_tokens, placement, peer.as_mut())?;
        println!("\n{}", layer_times::table(std::slice::from_ref(&times)));
        layers.push(times);
    }
    let mut models = Vec::new();
    for geometry in &model_times::GEOMETRIES {
        eprintln!("{}", geometry.name);
        let times = model_times::measure(geometry, &order.folder, placement, peer.as_mut())?;
        println!("\n{}", model_times::table(std::slice::from_ref(&times)));
        models.push(times);
    }
    let (layers, models) = (layer_times::table(&layers), model_times::table(&models));
    Ok(format!("{about}.\n\n{layers}\n{models}"))
}

fn numerics_words() -> &'static str {
    "every comparison with the CPU within its tolerance"
}

fn write(path: &Path, tables: &str) -> Outcome<()> {
    let page = std::fs::read_to_string(path)?;
    let replaced = page.split_once(START).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some(format!("{before}{START}{tables}{END}{after}"))
    });
    let page = replaced.ok_or_else(|| format!("{} has no place for the tables", path.display()))?;
    Ok(std::fs::write(path, page)?)
}
