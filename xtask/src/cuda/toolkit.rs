//! What compiles and links for CUDA without an installed toolkit: NVIDIA's wheels from the
//! Python package index in a virtual environment, and empty stand-ins for the libraries that
//! only a machine with a card has. The linker wants their names; at run time the real ones
//! are found.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repo::{self, Failure, Repo, because};

/// nvcc and what it includes. 13.0: what newer ones make, a driver of that time may refuse.
const WHEELS: [&str; 7] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-nvrtc==13.0.88",
    "nvidia-cutlass==4.2.0.0",
];

/// Stand-ins: cudarc's module, the library, its version in the name.
const STAND_INS: [(&str, &str, &str); 4] = [
    ("driver", "cuda", "1"),
    ("cublas", "cublas", "13"),
    ("cublaslt", "cublasLt", "13"),
    ("curand", "curand", "10"),
];

/// The toolkit, ready.
pub(super) struct Toolkit {
    /// With `bin/nvcc` and `include/`.
    home: PathBuf,
    /// Headers of CUTLASS.
    cutlass: PathBuf,
    /// What is linked against.
    libraries: PathBuf,
}

impl Toolkit {
    /// Fetches and makes what is missing below `folder`.
    pub(super) fn prepare(repo: &Repo, folder: &Path) -> Result<Self, Failure> {
        let packages = environment(repo, &folder.join("venv"))?;
        let toolkit = Self {
            home: packages.join("nvidia/cu13"),
            cutlass: packages.join("cutlass_library/source/include"),
            libraries: folder.join("libraries"),
        };
        fs::create_dir_all(&toolkit.libraries).map_err(because("cannot make a folder"))?;
        for name in ["libcudart.so", "libnvrtc.so"] {
            toolkit.link_real(name)?;
        }
        for (module, name, version) in STAND_INS {
            toolkit.make_stand_in(repo, module, (name, version))?;
        }
        Ok(toolkit)
    }

    /// Tells a cargo command where everything is.
    pub(super) fn apply(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env(
                "PATH",
                format!("{}:{path}", self.home.join("bin").display()),
            )
            .env("CUDA_HOME", &self.home)
            .env("CUDA_PATH", &self.home)
            .env("CUDA_ROOT", &self.home)
            .env("CUTLASS_INCLUDE", &self.cutlass)
            .env("CUDARC_CUDA_VERSION", super::CUDA_VERSION)
            // gcc, which links, looks here.
            .env("LIBRARY_PATH", &self.libraries);
    }

    /// The wheels have `libX.so.13` only; a linker asks for `libX.so`.
    fn link_real(&self, name: &str) -> Result<(), Failure> {
        let link = self.libraries.join(name);
        if !link.exists() {
            let real = self.home.join("lib").join(format!("{name}.13"));
            symlink(real, link).map_err(because(format!("cannot link {name}")))?;
        }
        Ok(())
    }

    fn make_stand_in(
        &self,
        repo: &Repo,
        module: &str,
        (name, version): (&str, &str),
    ) -> Result<(), Failure> {
        let library = self.libraries.join(format!("lib{name}.so"));
        if library.exists() {
            return Ok(());
        }
        let source = self.libraries.join(format!("{name}.c"));
        let text = functions_of(&cudarc_module(repo, module)?)
            .iter()
            .map(|function| format!("void {function}(void) {{}}\n"))
            .collect::<String>();
        fs::write(&source, text).map_err(because("cannot write a stand-in"))?;
        let mut compile = repo.program("cc");
        compile
            .args(["-shared", "-fPIC"])
            .arg(format!("-Wl,-soname,lib{name}.so.{version}"))
            .arg("-o")
            .args([&library, &source]);
        repo::run(&mut compile)
    }
}

/// `site-packages` of the virtual environment, with every wheel in it.
fn environment(repo: &Repo, folder: &Path) -> Result<PathBuf, Failure> {
    let mark = folder.join("installed.txt");
    let wanted = WHEELS.join("\n");
    if !fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        println!("fetching the CUDA compiler from the Python package index (about 500 MB)");
        let mut make = repo.program("python3");
        repo::run(make.args(["-m", "venv"]).arg(folder))?;
        let mut install = repo.program(folder.join("bin/python"));
        install.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
        repo::run(install.args(WHEELS))?;
        fs::write(&mark, wanted).map_err(because("cannot write into the environment"))?;
    }
    let mut ask = repo.program(folder.join("bin/python"));
    ask.args([
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]);
    Ok(repo::read(&mut ask)?.trim().into())
}

/// cudarc's bindings of one library.
fn cudarc_module(repo: &Repo, module: &str) -> Result<String, Failure> {
    let folder = super::copies::fetched(repo, "cudarc")?;
    let path = folder.join("src").join(module).join("sys/mod.rs");
    fs::read_to_string(&path).map_err(because(format!("cannot read {}", path.display())))
}

/// Names of the functions that bindings declare, each once.
fn functions_of(bindings: &str) -> Vec<String> {
    let declared = bindings.split("fn cu").skip(1);
    let names = declared.map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        format!("cu{}", &rest[..end.unwrap_or(rest.len())])
    });
    let names: std::collections::BTreeSet<String> = names.collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_once() {
        let bindings = "pub fn cuInit(flags: u32); pub unsafe fn cuInit(flags: u32) {} pub fn cuMemAlloc_v2(a: u8);";
        assert_eq!(functions_of(bindings), ["cuInit", "cuMemAlloc_v2"]);
    }
}
