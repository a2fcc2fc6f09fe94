//! The commands: their list (`help_text`) and the reading of a command line. There is no
//! other place where a command or a flag is named.

use std::path::PathBuf;

use crate::cuda::CudaRequest;
use crate::repo::Failure;

mod help_text;

pub(crate) use help_text::help;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Demo {
        extra: Vec<String>,
    },
    Test {
        strict: bool,
    },
    Check {
        strict: bool,
    },
    Tidy,
    SetupWasm {
        from_source: bool,
        std_source: Option<PathBuf>,
    },
    Golden(GoldenRequest),
    Web(WebRequest),
    Serve {
        dev: bool,
        extra: Vec<String>,
    },
    Cuda(CudaRequest),
    GpuCheck {
        extra: Vec<String>,
    },
    /// The second half of `web`, run by it in another build of this program.
    Bundle {
        wasm: PathBuf,
        dist: PathBuf,
        dev: bool,
    },
    Bench(BenchRequest),
}

/// Which expected results to make again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GoldenRequest {
    /// The digest of core instead of the fixtures.
    pub(crate) core: bool,
    /// The Python that has the packages of the fixtures' provenance files.
    pub(crate) python: Option<String>,
    /// Folders under tests/fixtures; none means all.
    pub(crate) fixtures: Vec<String>,
}

/// What to measure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BenchRequest {
    /// The Python that has torch and diffusers; none means an environment of our own.
    pub(crate) python: Option<String>,
    /// How often each side is asked.
    pub(crate) rounds: Option<usize>,
    /// Threads of both sides; none means all cores.
    pub(crate) threads: Option<usize>,
    /// Whether the tables go into docs/results.md.
    pub(crate) write: bool,
    /// Which tables; none means all.
    pub(crate) tables: Vec<String>,
}

/// How to build the page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WebRequest {
    /// Quick to build instead of small.
    pub(crate) dev: bool,
    /// Where a copy that needs no worker is written.
    pub(crate) static_folder: Option<PathBuf>,
}

/// Reads a command line, the program's own name left out.
pub(crate) fn parse(args: &[String]) -> Result<Task, Failure> {
    let Some((name, rest)) = args.split_first() else {
        return Ok(Task::Help);
    };
    match name.as_str() {
        "help" | "--help" | "-h" => Ok(Task::Help),
        "demo" => Ok(Task::Demo {
            extra: rest.to_vec(),
        }),
        _ if rest.iter().any(|arg| arg == "--help" || arg == "-h") => Ok(Task::Help),
        "test" => Ok(Task::Test {
            strict: parse_strict(name, rest)?,
        }),
        "check" => Ok(Task::Check {
            strict: parse_strict(name, rest)?,
        }),
        "tidy" => no_more(name, rest).map(|()| Task::Tidy),
        "setup-wasm" => parse_setup_wasm(rest),
        "golden" => parse_golden(rest),
        "web" => parse_web(rest),
        "serve" => Ok(parse_serve(rest)),
        "cuda" => parse_cuda(rest),
        "gpu-check" => Ok(Task::GpuCheck {
            extra: rest.to_vec(),
        }),
        "bundle" => parse_bundle(rest),
        "bench" => parse_bench(rest),
        _ => Err(Failure::usage(format!(
            "unknown command `{name}`; `cargo xtask help` lists the commands"
        ))),
    }
}

fn parse_strict(name: &str, args: &[String]) -> Result<bool, Failure> {
    match args {
        [] => Ok(false),
        [flag] if flag == "--strict" => Ok(true),
        [other, ..] => Err(unknown_flag(name, other)),
    }
}

fn no_more(name: &str, args: &[String]) -> Result<(), Failure> {
    match args.first() {
        Some(arg) => Err(unknown_flag(name, arg)),
        None => Ok(()),
    }
}

fn parse_bench(args: &[String]) -> Result<Task, Failure> {
    let mut request = BenchRequest::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            let value = args.next();
            value.ok_or_else(|| Failure::usage(format!("{arg} needs a value")))
        };
        match arg.as_str() {
            "--python" => request.python = Some(value()?.clone()),
            "--rounds" => request.rounds = Some(count(arg, value()?)?),
            "--threads" => request.threads = Some(count(arg, value()?)?),
            "--write" => request.write = true,
            flag if flag.starts_with('-') => return Err(unknown_flag("bench", flag)),
            table => request.tables.push(table.to_owned()),
        }
    }
    Ok(Task::Bench(request))
}

fn count(flag: &str, text: &str) -> Result<usize, Failure> {
    let n = text.parse().ok().filter(|&n| n > 0);
    n.ok_or_else(|| Failure::usage(format!("{flag} needs a number above 0, not `{text}`")))
}

fn parse_setup_wasm(args: &[String]) -> Result<Task, Failure> {
    let mut from_source = false;
    let mut std_source = std::env::var_os("DFA_WASM_STD").map(PathBuf::from);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--from-source" => from_source = true,
            "--std-source" => std_source = Some(value_of(arg, args.next())?.into()),
            _ => return Err(unknown_flag("setup-wasm", arg)),
        }
    }
    Ok(Task::SetupWasm {
        from_source,
        std_source,
    })
}

fn parse_golden(args: &[String]) -> Result<Task, Failure> {
    let mut request = GoldenRequest::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--core" => request.core = true,
            "--python" => request.python = Some(value_of(arg, args.next())?),
            _ if arg.starts_with('-') => return Err(unknown_flag("golden", arg)),
            _ => request.fixtures.push(arg.clone()),
        }
    }
    if request.core && (request.python.is_some() || !request.fixtures.is_empty()) {
        return Err(Failure::usage(
            "golden: --core needs no Python and names no fixture; run the two separately",
        ));
    }
    Ok(Task::Golden(request))
}

fn parse_web(args: &[String]) -> Result<Task, Failure> {
    let mut request = WebRequest::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dev" => request.dev = true,
            "--static" => request.static_folder = Some(value_of(arg, args.next())?.into()),
            _ => return Err(unknown_flag("web", arg)),
        }
    }
    Ok(Task::Web(request))
}

/// What is not ours is the worker's, which says itself what it does not know.
fn parse_serve(args: &[String]) -> Task {
    let (ours, extra): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| *arg == "--dev");
    Task::Serve {
        dev: !ours.is_empty(),
        extra: extra.into_iter().cloned().collect(),
    }
}

fn parse_cuda(args: &[String]) -> Result<Task, Failure> {
    let mut request = CudaRequest {
        arch: "90".into(),
        check: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--check" => request.check = true,
            "--arch" => request.arch = capability(&value_of(arg, args.next())?)?,
            _ => return Err(unknown_flag("cuda", arg)),
        }
    }
    Ok(Task::Cuda(request))
}

/// `90` or `9.0`. FlashAttention-2 needs at least 8.0.
fn capability(text: &str) -> Result<String, Failure> {
    let digits = text.replace('.', "");
    match digits.parse::<u32>() {
        Ok(80..=999) => Ok(digits),
        _ => Err(Failure::usage(format!(
            "cuda: --arch is {text}, expected a compute capability of at least 80, such as 90"
        ))),
    }
}

fn parse_bundle(args: &[String]) -> Result<Task, Failure> {
    match args {
        [wasm, dist, flags @ ..] if flags.iter().all(|flag| flag == "--dev") => Ok(Task::Bundle {
            wasm: wasm.into(),
            dist: dist.into(),
            dev: !flags.is_empty(),
        }),
        _ => Err(Failure::usage(
            "bundle is a part of `cargo xtask web`; ask for that",
        )),
    }
}

fn value_of(flag: &str, value: Option<&String>) -> Result<String, Failure> {
    value
        .cloned()
        .ok_or_else(|| Failure::usage(format!("{flag} needs a value after it")))
}

fn unknown_flag(command: &str, arg: &str) -> Failure {
    Failure::usage(format!(
        "{command}: unknown argument `{arg}`; `cargo xtask help` lists the flags"
    ))
}

#[cfg(test)]
mod tests;
