//! The list of commands, which is also the help text.

/// One command: what is typed, and what it does.
pub(super) struct Entry {
    pub(super) usage: &'static str,
    about: &'static [&'static str],
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        usage: "demo [FLAGS OF dfa compare]",
        about: &[
            "Build the program, calibrate a plan on the shipped model, generate raw and",
            "compressed, and write the pictures and the report to out/demo/.",
        ],
    },
    Entry {
        usage: "test [--strict]",
        about: &[
            "Every test: tidy, the workspace's tests, the no_std proof, core as WebAssembly,",
            "other people's clients against a worker, the page in a browser.",
            "What cannot run here is skipped with words; with --strict (or CI=true) that fails.",
        ],
    },
    Entry {
        usage: "check [--strict]",
        about: &[
            "Everything before a change is handed in, cheapest first: fmt, tidy, clippy, then",
            "what test does. Stops at the first failure.",
        ],
    },
    Entry {
        usage: "tidy",
        about: &["Check the text of the repository: layout, names, absences, documents."],
    },
    Entry {
        usage: "setup-wasm [--from-source] [--std-source FILE.tar.xz]",
        about: &[
            "See whether WebAssembly can be built. With --from-source build its standard",
            "library, for machines where rustup cannot add the target. The source comes from",
            "--std-source (or DFA_WASM_STD), the rust-src component, or Debian's packages.",
        ],
    },
    Entry {
        usage: "golden [--core] [--python PYTHON] [FIXTURE...]",
        about: &[
            "Change expected results on purpose. --core: the digest of core's numbers.",
            "Otherwise: run the scripts tests/fixtures/*/make.py with PYTHON.",
        ],
    },
    Entry {
        usage: "web [--dev] [--static FOLDER]",
        about: &[
            "Build the page into web-ui/dist/ and say how large it is. --dev: quick to build,",
            "not small. --static: also write a folder for any static file server, with a sample",
            "plan, where everything works that needs no worker.",
        ],
    },
    Entry {
        usage: "serve [--dev] [FLAGS OF dfa serve]",
        about: &[
            "Build the page, then the worker with the page in it, and start it with the shipped",
            "model (or those that --model-id names).",
        ],
    },
    Entry {
        usage: "cuda [--check] [--arch CAPABILITY]",
        about: &[
            "Build dfa and gpu-check for NVIDIA GPUs; needs no GPU, but Python with venv, a C++",
            "compiler and a package index. --arch: of the card, 90 for an H200 (the default), 80",
            "for an A100. --check: only check types, which needs none of these.",
        ],
    },
    Entry {
        usage: "gpu-check [--python PYTHON] [FLAGS OF gpu-check]",
        about: &[
            "On a machine with an NVIDIA GPU: build with CUDA, hold the GPU's numbers against the",
            "CPU's, time layers and models beside the PyTorch of PYTHON; --write puts the tables",
            "into docs/results.md. Fails in words where there is no GPU.",
        ],
    },
    Entry {
        usage: "bench [--python PYTHON] [--rounds N] [--threads N] [--write] [TABLE...]",
        about: &[
            "Ours and PyTorch side by side, asked in turn: kernels, models, compressed; by",
            "default all three. PYTHON has torch and diffusers; by default they are installed.",
            "--write puts the tables into docs/results.md.",
        ],
    },
    Entry {
        usage: "help",
        about: &["This text."],
    },
];

/// The help text.
pub(crate) fn help() -> String {
    let mut text = String::from("The repository's own commands.\n\nUsage: cargo xtask COMMAND\n");
    for entry in ENTRIES {
        text += &format!("\n  {}\n", entry.usage);
        for line in entry.about {
            text += &format!("      {line}\n");
        }
    }
    text
}
