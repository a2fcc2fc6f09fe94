//! Reads the tensors of a file that `torch.save` wrote, as data: nothing in it is executed.
//!
//! Such a file is a zip archive ([`archive`]) with a pickle that says which tensors there
//! are ([`pickle`], [`objects`]) and one member per storage. Everything that the pickle
//! claims is checked against the archive before the first tensor is read, and tensors are
//! read one after the other ([`view`]), so that a file of any size needs little memory.
//!
//! candle's reader of pickles is not used: it takes names of functions as they come, does
//! not bound a view by its storage, and refuses nothing by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

mod archive;
mod objects;
mod pickle;
mod view;

use archive::{Archive, Member};
pub use view::{NumberType, View};

/// Longest pickle that is read: far above any list of tensors.
const MAX_PICKLE_BYTES: u64 = 256 << 20;
/// The first bytes of files of PyTorch before 1.6: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY_START: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// What git leaves where a large file was not fetched.
const LFS_START: &[u8] = b"version https://git-lfs";
/// Dictionaries around the weights of a checkpoint, the one to be used first: samples are
/// made with the moving average.
const WRAPPERS: [&str; 4] = ["ema", "state_dict", "model", "module"];

/// Why a file of PyTorch is refused.
#[derive(Debug, thiserror::Error)]
pub enum TorchFileError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Written by PyTorch before 1.6.
    #[error(
        "written in the format of PyTorch before 1.6, which is not read; write it again with a newer one: torch.save(torch.load(FILE, weights_only=True), NEW)"
    )]
    Legacy,
    /// A pointer of Git LFS.
    #[error("a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`")]
    LfsPointer,
    /// Not a sound archive.
    #[error("{what}; is it a file of torch.save, fetched whole?")]
    BrokenArchive {
        /// What is wrong.
        what: String,
    },
    /// The pickle names something that is not data.
    #[error(
        "a pickle with code in it: {name}; nothing was executed. Only tensors, numbers, text and containers of them are read; save the weights alone, with torch.save(model.state_dict(), FILE)"
    )]
    Code {
        /// The module and the name in it.
        name: String,
    },
    /// The pickle is not sound.
    #[error("its pickle is broken at byte {offset}: {reason}; fetch the file again")]
    BrokenPickle {
        /// Where in the pickle.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// A tensor is not what the archive holds.
    #[error("tensor {tensor}: {reason}; fetch the file again")]
    BrokenTensor {
        /// Its name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// No tensors by name.
    #[error(
        "it holds no dictionary of tensors; save one with torch.save(model.state_dict(), FILE)"
    )]
    NoTensors,
    /// Whoever watches wants no more.
    #[error("stopped")]
    Stopped,
}

/// What the tensors of a file are, checked; the numbers stay on disk.
#[derive(Debug)]
pub struct TorchFile<R> {
    source: R,
    storages: BTreeMap<String, Member>,
    /// The tensors, by name.
    pub tensors: BTreeMap<String, View>,
    /// The dictionary that they were taken from, if it was not the outermost.
    pub wrapper: Option<&'static str>,
}

impl TorchFile<File> {
    /// Opens a file and checks everything but the numbers.
    ///
    /// # Errors
    /// [`TorchFileError`].
    pub fn open(path: &Path) -> Result<Self, TorchFileError> {
        Self::read(File::open(path)?)
    }
}

impl<R: Read + Seek> TorchFile<R> {
    /// The same for anything that can be read.
    ///
    /// # Errors
    /// [`TorchFileError`].
    pub fn read(mut source: R) -> Result<Self, TorchFileError> {
        refuse_other_formats(&mut source)?;
        let archive = Archive::read(&mut source)?;
        let prefix = archive.prefix()?;
        let pickle = archive.member(&format!("{prefix}/data.pkl"))?;
        let pickle = archive.bytes(&mut source, pickle, MAX_PICKLE_BYTES)?;
        ensure_little_endian(&archive, &prefix, &mut source)?;
        let (tensors, wrapper) = named_tensors(&pickle)?;
        let mut storages = BTreeMap::new();
        for (name, view) in &tensors {
            let broken = |reason: String| TorchFileError::BrokenTensor {
                tensor: name.clone(),
                reason,
            };
            view.ensure_inside().map_err(broken)?;
            if storages.contains_key(&view.storage) {
                continue;
            }
            let member = archive.member(&format!("{prefix}/data/{}", view.storage))?;
            let member = archive.located(&mut source, member)?;
            let expected = view.storage_bytes();
            if expected != Some(member.size) {
                return Err(broken(format!(
                    "its storage should have {} numbers of {} bytes, but the archive has {} bytes of it",
                    view.storage_len,
                    view.number.size(),
                    member.size
                )));
            }
            storages.insert(view.storage.clone(), member);
        }
        Ok(Self {
            source,
            storages,
            tensors,
            wrapper,
        })
    }

    /// Writes the numbers of a view, row-major and as its
    /// [written type](NumberType::written) says. `wrote` is told how many bytes went out and
    /// says whether to go on.
    ///
    /// # Errors
    /// [`TorchFileError`], also if `out` cannot be written.
    pub fn copy(
        &mut self,
        view: &View,
        out: &mut dyn Write,
        wrote: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), TorchFileError> {
        let Some(member) = self.storages.get(&view.storage) else {
            return Err(TorchFileError::NoTensors);
        };
        let (first, n) = view.span();
        let size = view.number.size() as u64;
        self.source
            .seek(SeekFrom::Start(member.start + first * size))?;
        let mut span = (&mut self.source).take(n * size);
        view.copy(&mut span, out, wrote)
    }
}

fn refuse_other_formats(source: &mut (impl Read + Seek)) -> Result<(), TorchFileError> {
    let mut start = Vec::new();
    source.seek(SeekFrom::Start(0))?;
    source.take(32).read_to_end(&mut start)?;
    if start.starts_with(LEGACY_START) {
        return Err(TorchFileError::Legacy);
    }
    if start.starts_with(LFS_START) {
        return Err(TorchFileError::LfsPointer);
    }
    Ok(())
}

/// Older files do not say; they were written on little-endian machines.
fn ensure_little_endian(
    archive: &Archive,
    prefix: &str,
    source: &mut (impl Read + Seek),
) -> Result<(), TorchFileError> {
    let Ok(member) = archive.member(&format!("{prefix}/byteorder")) else {
        return Ok(());
    };
    let order = archive.bytes(source, member, 16)?;
    if order == b"little" {
        return Ok(());
    }
    let order = order.escape_ascii();
    Err(TorchFileError::BrokenArchive {
        what: format!("its byte order is {order}, only little is read"),
    })
}

type Named = (BTreeMap<String, View>, Option<&'static str>);

/// The state dict of a pickle: the outermost dictionary, or the one in it that is known to
/// hold the weights.
fn named_tensors(pickle: &[u8]) -> Result<Named, TorchFileError> {
    let pickle = pickle::Pickle::read(pickle)?;
    let outermost = pickle.tensors_in(pickle.root());
    if !outermost.is_empty() {
        return Ok((outermost, None));
    }
    for wrapper in WRAPPERS {
        let Some(inside) = pickle.entry(pickle.root(), wrapper) else {
            continue;
        };
        let tensors = pickle.tensors_in(inside);
        if !tensors.is_empty() {
            return Ok((tensors, Some(wrapper)));
        }
    }
    Err(TorchFileError::NoTensors)
}

#[cfg(test)]
mod tests;
