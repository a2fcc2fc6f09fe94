//! `cargo xtask bench`: ours and PyTorch, side by side on this machine.
//!
//! Both run as programs that stay alive and answer requests ([`peer`]); they are asked in
//! turn, so that whatever else the machine does slows both. What counts is the ratio of the
//! medians, ours / theirs; processor time stands beside it, because it suffers less from
//! other work on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::flags::BenchRequest;
use crate::python;
use crate::repo::{self, Failure, Repo};

mod peer;
mod questions;
mod table;

use peer::Peer;
use questions::{Question, kernel_questions, model_questions};
use table::{Pair, Samples, median, row, seconds};

const REQUIREMENTS: &str = "xtask/src/bench/requirements.txt";
const SHIPPED: &str = "models/avatars-dit";

/// The folders of tables that can be asked for.
const TABLES: [&str; 3] = ["kernels", "models", "compressed"];

pub(crate) fn run(repo: &Repo, request: &BenchRequest) -> Result<(), Failure> {
    if let Some(unknown) = request
        .tables
        .iter()
        .find(|name| !TABLES.contains(&name.as_str()))
    {
        let known = TABLES.join(", ");
        return Err(Failure::usage(format!(
            "no table `{unknown}`; there are {known}"
        )));
    }
    let bench = Bench::prepare(repo, request)?;
    let wanted =
        |name: &str| request.tables.is_empty() || request.tables.iter().any(|it| it == name);
    for name in TABLES.into_iter().filter(|name| wanted(name)) {
        let table = match name {
            "kernels" => bench.kernels()?,
            "models" => bench.models()?,
            _ => bench.compressed()?,
        };
        println!("\n{name}\n{table}");
        if request.write {
            table::write(repo, name, &table)?;
        }
    }
    Ok(())
}

/// Where both sides are, and how often to ask.
struct Bench<'a> {
    repo: &'a Repo,
    python: PathBuf,
    rounds: usize,
    threads: String,
}

impl<'a> Bench<'a> {
    fn prepare(repo: &'a Repo, request: &BenchRequest) -> Result<Self, Failure> {
        let python = match &request.python {
            Some(python) => PathBuf::from(python),
            None => python::environment(repo, "bench-venv", REQUIREMENTS)?
                .map_err(|missing| Failure::new(format!("{missing}; or name one by --python")))?,
        };
        let release = ["build", "--release", "--quiet"];
        let kernels = ["-p", "dfa-kernels", "--example", "kernel-times"];
        repo::run(repo.cargo(&release).args(kernels))?;
        let models = [
            "-p",
            "dfa-tests",
            "--bin",
            "model-times",
            "--bin",
            "random-model",
        ];
        repo::run(repo.cargo(&release).args(models))?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            repo,
            python,
            rounds: request.rounds.unwrap_or(5),
            threads: request.threads.unwrap_or(cores).to_string(),
        })
    }

    /// A program, with the one setting of threads that all of them have.
    fn peer(&self, mut command: Command) -> Result<Peer, Failure> {
        command
            .env("OMP_NUM_THREADS", &self.threads)
            .env("RAYON_NUM_THREADS", &self.threads);
        Peer::start(&mut command)
    }

    fn ours(&self, program: &str) -> Result<Peer, Failure> {
        let path = self.repo.target_dir.join("release").join(program);
        self.peer(self.repo.program(path))
    }

    fn theirs(&self, script: &str) -> Result<Peer, Failure> {
        let mut command = self.repo.program(&self.python);
        command.arg(Path::new("xtask/src/bench").join(script));
        self.peer(command)
    }

    /// Asks both in turn, after once for warming up.
    fn pair(&self, sides: &mut [Peer; 2], request: &str) -> Result<Pair, Failure> {
        let mut pair = Pair::default();
        for side in sides.iter_mut() {
            side.ask(request)?;
        }
        for _ in 0..self.rounds {
            let [ours, theirs] = sides;
            ask(ours, request, &mut pair.ours)?;
            ask(theirs, request, &mut pair.theirs)?;
        }
        Ok(pair)
    }

    fn against_pytorch(
        &self,
        sides: &mut [Peer; 2],
        questions: &[Question],
    ) -> Result<String, Failure> {
        let mut table = String::from(
            "| what | ours | PyTorch | wall time, ours / PyTorch | processor time | target | |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for question in questions {
            let pair = self.pair(sides, &question.request)?;
            let line = row(&[
                question.what.into(),
                seconds(median(&pair.ours.wall)),
                seconds(median(&pair.theirs.wall)),
                format!("× {:.2}", pair.wall_ratio()),
                format!("× {:.2}", pair.cpu_ratio()),
                format!("≤ {:.2}", question.target),
                verdict(pair.wall_ratio() <= question.target),
            ]);
            print!("{line}");
            table += &line;
        }
        Ok(table)
    }

    fn kernels(&self) -> Result<String, Failure> {
        let mut sides = [
            self.ours("examples/kernel-times")?,
            self.theirs("torch_peer.py")?,
        ];
        let mut table = self.against_pytorch(&mut sides, &kernel_questions())?;
        table += "\n| attention, 16 heads × 72 | full | with the residual in one pass | to full | target | | window only | to full | target | |\n\
                  | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        for (n, residual_target, window_target) in
            [(1024, 1.15, 0.30), (4096, 1.05, 0.26), (8192, 1.05, 0.26)]
        {
            let masks = self.masks(&mut sides[0], n)?;
            let ratio = |idx: usize| masks[idx] / masks[0];
            let line = row(&[
                format!("N = {n}"),
                seconds(masks[0]),
                seconds(masks[1]),
                format!("× {:.3}", ratio(1)),
                format!("≤ {residual_target:.2}"),
                verdict(ratio(1) <= residual_target),
                seconds(masks[2]),
                format!("× {:.3}", ratio(2)),
                format!("≤ {window_target:.2}"),
                verdict(ratio(2) <= window_target),
            ]);
            print!("{line}");
            table += &line;
        }
        Ok(table)
    }

    /// Median wall times of ours with each mask, asked in turn.
    fn masks(&self, ours: &mut Peer, n: usize) -> Result<[f64; 3], Failure> {
        let n_runs = 8192 / n;
        let requests = ["full", "full_and_residual", "window"]
            .map(|mask| format!("attention {mask} {n} 16 72 x{n_runs}"));
        let mut samples = [const { Vec::new() }; 3];
        for _ in 0..=self.rounds {
            for (request, samples) in requests.iter().zip(&mut samples) {
                samples.push(ours.ask(request)?.number("wall_s")?);
            }
        }
        // The first of each warmed up.
        Ok(samples.map(|samples| median(&samples[1..])))
    }

    fn models(&self) -> Result<String, Failure> {
        let dit = self.random_model("dit-xl-2-512")?;
        let start = || {
            let ours = self.ours("model-times")?;
            Ok::<_, Failure>([ours, self.theirs("diffusers_peer.py")?])
        };
        let questions = model_questions(&dit, SHIPPED);
        let mut table = self.against_pytorch(&mut start()?, &questions)?;
        table += &peak_memory_row(&mut start()?, &format!("forward {dit} 2"))?;
        Ok(table)
    }

    /// What of the time that the saved MACs cost is really saved.
    fn compressed(&self) -> Result<String, Failure> {
        let dit = self.random_model("dit-xl-2-512")?;
        let mut table = String::from(
            "| model | raw, of it in self-attention layers | compressed, of it in the layers | layer MACs kept | saved seconds / seconds that the saved MACs cost raw | the same within the layers | target | |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        // The target is one of 1024 tokens and more.
        for (what, folder, n_steps, target) in [
            ("shipped model, 256 tokens, 20 steps", SHIPPED, 20, None),
            ("DiT-XL/2-512, 1024 tokens, 4 steps", &dit, 4, Some(0.9)),
        ] {
            let line = self.compressed_row(what, &format!("run {folder} {n_steps}"), target)?;
            print!("{line}");
            table += &line;
        }
        Ok(table)
    }

    fn compressed_row(
        &self,
        what: &str,
        request: &str,
        target: Option<f64>,
    ) -> Result<String, Failure> {
        let mut ours = self.ours("model-times")?;
        let (mut raw, mut compressed) = (RunTimes::default(), RunTimes::default());
        let mut kept = 1.0;
        for _ in 0..self.rounds {
            raw.add(&ours.ask(&format!("{request} raw"))?)?;
            let answer = ours.ask(&format!("{request} plan"))?;
            compressed.add(&answer)?;
            kept = answer.number("kept")?;
        }
        let promised = median(&raw.layers) * (1.0 - kept);
        let share = (median(&raw.run) - median(&compressed.run)) / promised;
        let share_of_layers = (median(&raw.layers) - median(&compressed.layers)) / promised;
        Ok(row(&[
            what.into(),
            raw.medians(),
            compressed.medians(),
            format!("{:.1} %", kept * 100.0),
            format!("{share:.2}"),
            format!("{share_of_layers:.2}"),
            target.map_or_else(String::new, |target| format!("≥ {target:.2}")),
            target.map_or_else(String::new, |target| verdict(share >= target)),
        ]))
    }

    /// A folder of random weights, in f16, written once.
    fn random_model(&self, kind: &str) -> Result<String, Failure> {
        let folder = self.repo.target_dir.join("bench-models").join(kind);
        if !folder.join("model_index.json").is_file() {
            let program = self.repo.target_dir.join("release/random-model");
            repo::run(self.repo.program(program).arg(kind).arg(&folder))?;
        }
        Ok(folder.display().to_string())
    }
}

/// Seconds of repeated runs.
#[derive(Default)]
struct RunTimes {
    run: Vec<f64>,
    /// Of these in self-attention layers.
    layers: Vec<f64>,
}

impl RunTimes {
    fn add(&mut self, answer: &peer::Answer) -> Result<(), Failure> {
        self.run.push(answer.number("wall_s")?);
        self.layers.push(answer.number("layers_s")?);
        Ok(())
    }

    fn medians(&self) -> String {
        let [run, layers] = [&self.run, &self.layers].map(|times| seconds(median(times)));
        format!("{run}, {layers}")
    }
}

/// The most memory that both ever held for one request.
fn peak_memory_row(sides: &mut [Peer; 2], request: &str) -> Result<String, Failure> {
    let mut gibibytes = [0.0; 2];
    for (side, gibibytes) in sides.iter_mut().zip(&mut gibibytes) {
        side.ask(request)?;
        *gibibytes = side.ask("memory")?.number("peak_bytes")? / f64::from(1 << 30);
    }
    let [ours, theirs] = gibibytes;
    Ok(row(&[
        "most memory of that step, mapped weights included".into(),
        format!("{ours:.2} GiB"),
        format!("{theirs:.2} GiB"),
        format!("× {:.2}", ours / theirs),
        String::new(),
        "≤ 1.00".into(),
        verdict(ours <= theirs),
    ]))
}

fn ask(peer: &mut Peer, request: &str, samples: &mut Samples) -> Result<(), Failure> {
    let answer = peer.ask(request)?;
    samples.wall.push(answer.number("wall_s")?);
    samples.cpu.push(answer.number("cpu_s")?);
    Ok(())
}

fn verdict(met: bool) -> String {
    if met { "met" } else { "missed" }.into()
}
