//! Copies of two of candle's crates, with build scripts of ours and without what we have no
//! use for. Made from what cargo has fetched; made again when that or this program changes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::repo::{self, Failure, Repo, because};

/// A copy's name, its build script, and how its sources are changed.
struct Change {
    package: &'static str,
    build_script: &'static str,
    edit: fn(&Path) -> Result<(), Failure>,
}

const CHANGES: [Change; 2] = [
    Change {
        package: "candle-kernels",
        build_script: include_str!("build_scripts/candle_kernels.rs"),
        edit: replace_quantised_kernels,
    },
    Change {
        package: "candle-flash-attn",
        build_script: include_str!("build_scripts/candle_flash_attn.rs"),
        edit: keep_one_head_size,
    },
];

/// The copies.
pub(super) struct Copies {
    folders: Vec<PathBuf>,
}

impl Copies {
    /// Makes them below `folder`.
    pub(super) fn prepare(repo: &Repo, folder: &Path) -> Result<Self, Failure> {
        let metadata = metadata(repo)?;
        let copies = CHANGES.iter().map(|change| {
            let original = folder_of(&metadata, change.package)?;
            let copy = folder.join(change.package);
            change.make(&original, &copy)?;
            Ok(copy)
        });
        Ok(Self {
            folders: copies.collect::<Result<_, Failure>>()?,
        })
    }

    /// The argument of `--config`.
    pub(super) fn setting(&self) -> String {
        let quoted = self.folders.iter().map(|path| format!("{path:?}"));
        format!("paths=[{}]", quoted.collect::<Vec<_>>().join(","))
    }
}

impl Change {
    /// Nothing is written that is there already: cargo looks at the times of files.
    fn make(&self, original: &Path, copy: &Path) -> Result<(), Failure> {
        let mark = copy.join("made-of.txt");
        let made_of = format!("{}\n{}", original.display(), self.build_script);
        if fs::read_to_string(&mark).is_ok_and(|found| found == made_of) {
            return Ok(());
        }
        if copy.exists() {
            fs::remove_dir_all(copy).map_err(because("cannot remove an old copy"))?;
        }
        copy_folder(original, copy)?;
        write(&copy.join("build.rs"), self.build_script)?;
        (self.edit)(copy)?;
        write(&mark, &made_of)
    }
}

/// Where cargo has put a package of the build with CUDA.
pub(super) fn fetched(repo: &Repo, package: &str) -> Result<PathBuf, Failure> {
    folder_of(&metadata(repo)?, package)
}

fn metadata(repo: &Repo) -> Result<String, Failure> {
    let mut ask = repo.cargo(&["metadata", "--format-version=1", "--locked"]);
    ask.args(["--features", "dfa-native-worker/cuda"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    repo::read(&mut ask)
}

/// Where cargo has put a package, read from `cargo metadata`.
fn folder_of(metadata: &str, package: &str) -> Result<PathBuf, Failure> {
    let paths = metadata.split("\"manifest_path\":\"").skip(1);
    let mut paths = paths.filter_map(|rest| rest.split('"').next());
    let wanted = |path: &&str| {
        let folder = path.trim_end_matches("/Cargo.toml").rsplit('/').next();
        let version = folder.and_then(|folder| folder.strip_prefix(package)?.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    };
    let found = paths.find(wanted).map(Path::new).and_then(Path::parent);
    found.map(Path::to_path_buf).ok_or_else(|| {
        Failure::new(format!(
            "cargo metadata names no {package}; run `cargo fetch`"
        ))
    })
}

/// The static part of candle-kernels is for quantised language models; candle-core names
/// its functions, so each gets a body that ends the program.
fn replace_quantised_kernels(copy: &Path) -> Result<(), Failure> {
    let declared = read(&copy.join("src/ffi.rs"))?;
    let mut source = String::from("#include <cstdlib>\n");
    for rest in declared.split("pub fn ").skip(1) {
        let name = rest.split('(').next().unwrap_or_default().trim();
        source += &format!("extern \"C\" void {name}() {{ std::abort(); }}\n");
    }
    write(&copy.join("src/absent_kernels.cu"), &source)
}

/// Every head of up to 96 values runs in the kernel for 96; ours have 72.
fn keep_one_head_size(copy: &Path) -> Result<(), Failure> {
    let path = copy.join("kernels/flash_api.cu");
    let text = read(&path)?;
    let changed = || {
        let (before, rest) = text.split_once("void run_mha_fwd(")?;
        let (_, after) = rest.split_once("extern \"C\"")?;
        Some(format!(
            "{before}void run_mha_fwd(Flash_fwd_params &params, cudaStream_t stream) {{\n  \
             FP16_SWITCH(!params.is_bf16, [&] {{ run_mha_fwd_<elem_type, 96, false>(params, stream); }});\n\
             }}\n\nextern \"C\"{after}"
        ))
    };
    let changed = changed().ok_or_else(|| {
        Failure::new("candle-flash-attn has changed: its flash_api.cu has no run_mha_fwd any more")
    })?;
    write(&path, &changed)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(because(format!("cannot read {}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(because(format!("cannot write {}", path.display())))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = || because(format!("cannot copy {}", from.display()));
    fs::create_dir_all(to).map_err(failed())?;
    for entry in fs::read_dir(from).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &copy)?;
        } else {
            fs::copy(&source, &copy).map_err(failed())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_their_whole_name() {
        let metadata = r#"{"manifest_path":"/r/candle-kernels-extra-1.0/Cargo.toml"},
            {"manifest_path":"/r/candle-kernels-0.11.1/Cargo.toml"}"#;
        let check = |package, expected: Option<&str>| {
            let found = folder_of(metadata, package).ok();
            assert_eq!(found, expected.map(PathBuf::from), "{package}");
        };
        check("candle-kernels", Some("/r/candle-kernels-0.11.1"));
        check("candle-flash-attn", None);
    }
}
