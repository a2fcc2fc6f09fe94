//! Virtual environments with pinned Python packages, outside the clone.

use std::fs;
use std::path::PathBuf;

use crate::repo::{self, Failure, Repo, because};

/// The Python of the environment `name`, which has what the file `requirements` lists;
/// inside, why there is none.
pub(crate) fn environment(
    repo: &Repo,
    name: &str,
    requirements: &str,
) -> Result<Result<PathBuf, &'static str>, Failure> {
    let folder = repo.target_dir.join(name);
    let python = folder.join("bin/python");
    let wanted = fs::read_to_string(repo.root.join(requirements))
        .map_err(because(format!("cannot read {requirements}")))?;
    let mark = folder.join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(python));
    }
    let mut make = repo.program("python3");
    make.args(["-m", "venv"]).arg(&folder);
    if !succeeds(&mut make) {
        return Ok(Err(
            "there is no Python that can make a virtual environment",
        ));
    }
    let mut install = repo.program(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(repo.root.join(requirements));
    if !succeeds(&mut install) {
        return Ok(Err("pip cannot install the packages"));
    }
    fs::write(&mark, wanted).map_err(because("cannot write into the virtual environment"))?;
    Ok(Ok(python))
}

fn succeeds(command: &mut std::process::Command) -> bool {
    repo::capture(command).is_ok_and(|captured| captured.success)
}
