//! A folder that is made under another name beside its place and renamed at the end.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ConvertError, ConvertRequest};

/// The unfinished folder; removed unless it is finished.
pub(super) struct Staging {
    folder: PathBuf,
    target: PathBuf,
}

/// Refuses a place that holds something, or that lies in the input or around it.
pub(super) fn ensure_target(request: &ConvertRequest) -> Result<(), ConvertError> {
    let ConvertRequest {
        from, to, force, ..
    } = request;
    let refused = |reason: &str| {
        let to = to.display();
        Err(ConvertError::Request(format!("{to} {reason}")))
    };
    if to.file_name().is_none() {
        return refused("names no folder; give a path that ends in a new name");
    }
    let parent = parent_of(to);
    let Ok(real_parent) = parent.canonicalize() else {
        let parent = parent.display();
        return Err(ConvertError::Request(format!(
            "{parent} is not a folder to put {} into; make it first",
            to.display()
        )));
    };
    let real_to = to
        .canonicalize()
        .unwrap_or_else(|_| real_parent.join(to.file_name().unwrap_or_default()));
    for input in [Some(from), request.vae.as_ref()].into_iter().flatten() {
        let input = input.canonicalize().unwrap_or_else(|_| input.clone());
        if input.starts_with(&real_to) || real_to.starts_with(&input) {
            return refused("is the input, in it or around it; choose another folder");
        }
    }
    if !to.exists() || is_empty_folder(to) {
        return Ok(());
    }
    if !force {
        return refused("is there already; choose another folder, or replace it with --force");
    }
    if !is_model_folder(to) {
        return refused("is no model folder, so --force does not replace it; remove it yourself");
    }
    Ok(())
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_model_folder(path: &Path) -> bool {
    ["model_index.json", "config.json", "transformer/config.json"]
        .iter()
        .any(|file| path.join(file).is_file())
}

impl Staging {
    /// Makes the folder if there is room for `needed` bytes.
    pub(super) fn begin(target: &Path, needed: u64) -> Result<Self, ConvertError> {
        let parent = parent_of(target);
        // A file system that cannot say how full it is is not taken to be full.
        if let Ok(found) = rustix::fs::statvfs(parent) {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            if free < needed {
                let path = parent.to_path_buf();
                return Err(ConvertError::NoRoom { path, free, needed });
            }
        }
        let folder = beside(target, "tmp");
        fs::create_dir(&folder).map_err(ConvertError::file(&folder))?;
        Ok(Self {
            folder,
            target: target.to_path_buf(),
        })
    }

    /// Where a file of the folder is written; its own folder is made.
    pub(super) fn place(&self, name: &str) -> Result<PathBuf, ConvertError> {
        let path = self.folder.join(name);
        let folder = parent_of(&path);
        fs::create_dir_all(folder).map_err(ConvertError::file(folder))?;
        Ok(path)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ConvertError> {
        let path = self.place(name)?;
        fs::write(&path, bytes).map_err(ConvertError::file(&path))
    }

    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<u64, ConvertError> {
        let path = self.place(name)?;
        fs::copy(from, path).map_err(ConvertError::file(from))
    }

    /// Puts the folder into its place. With `force`, what is there goes away once the new
    /// folder stands.
    pub(super) fn finish(self, force: bool) -> Result<(), ConvertError> {
        let target = &self.target;
        let renamed = |from: &Path, to: &Path| fs::rename(from, to).map_err(ConvertError::file(to));
        if !force || !target.exists() {
            // Succeeds over an empty folder only.
            return renamed(&self.folder, target);
        }
        let old = beside(target, "old");
        renamed(target, &old)?;
        if let Err(error) = renamed(&self.folder, target) {
            renamed(&old, target)?;
            return Err(error);
        }
        fs::remove_dir_all(&old).map_err(ConvertError::file(&old))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Gone already after a rename; else the error that matters is another one.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A name of this process beside a path.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{ending}", std::process::id()))
}
