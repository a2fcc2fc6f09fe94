//! One safetensors file that is to be written from a pickle.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use super::staging::Staging;
use super::{ConvertError, ConvertObserver, WrittenFile};
use crate::torch_file::{TorchFile, View};

/// Its tensors, and where they come from.
pub(super) struct WeightsFile {
    /// Path in the new folder.
    pub(super) name: String,
    path: PathBuf,
    source: TorchFile<File>,
    /// Name in the new file, and what it is. In the order of the data.
    entries: Vec<(String, View)>,
    header: Vec<u8>,
}

impl WeightsFile {
    /// Tensors that are not of a written type must have been left out.
    pub(super) fn new(
        name: String,
        path: &Path,
        source: TorchFile<File>,
        mut entries: Vec<(String, View)>,
    ) -> Self {
        // The widest first, as the format's own writer does: every tensor is then aligned.
        let width = |view: &View| view.number.written().map_or(0, |(_, size)| size);
        entries.sort_by(|(a, a_view), (b, b_view)| {
            width(b_view).cmp(&width(a_view)).then_with(|| a.cmp(b))
        });
        Self {
            name,
            path: path.to_path_buf(),
            source,
            header: header(&entries),
            entries,
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Names in the pickle, also of what is left out.
    pub(super) fn source_names(&self) -> BTreeSet<&str> {
        self.source.tensors.keys().map(String::as_str).collect()
    }

    pub(super) fn tensor_bytes(&self) -> u64 {
        let sizes = self.entries.iter().map(|(_, view)| view.written_bytes());
        sizes.fold(0, u64::saturating_add)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        (self.header.len() as u64).saturating_add(self.tensor_bytes())
    }

    /// Writes the file, one tensor after the other.
    pub(super) fn write(
        &mut self,
        staging: &Staging,
        observer: &mut dyn ConvertObserver,
    ) -> Result<WrittenFile, ConvertError> {
        let path = staging.place(&self.name)?;
        let file = File::create(&path).map_err(ConvertError::file(&path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&self.header)
            .map_err(ConvertError::file(&path))?;
        observer.wrote(self.header.len() as u64);
        let mut wrote = |n_bytes| {
            observer.wrote(n_bytes);
            !observer.is_cancelled()
        };
        for (_, view) in &self.entries {
            self.source
                .copy(view, &mut out, &mut wrote)
                .map_err(ConvertError::pickle(&self.path))?;
        }
        let written = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        written
            .and_then(|file| file.sync_all())
            .map_err(ConvertError::file(&path))?;
        Ok(WrittenFile {
            name: self.name.clone(),
            size_bytes: self.size_bytes(),
            n_tensors: Some(self.entries.len()),
        })
    }
}

/// Length and text of the format's header, filled up to a multiple of 8.
fn header(entries: &[(String, View)]) -> Vec<u8> {
    let mut map = Map::new();
    // transformers refuses files without it.
    map.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut start = 0;
    for (name, view) in entries {
        let end = start + view.written_bytes();
        let dtype = view.number.written().map_or("", |(name, _)| name);
        let value = json!({"dtype": dtype, "shape": view.shape, "data_offsets": [start, end]});
        map.insert(name.clone(), value);
        start = end;
    }
    let mut text = serde_json::Value::from(map).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    header
}

/// The tensors that are written, and a note on those that are not: integers count or number
/// something, and no network of ours reads them.
pub(super) fn without_integers(
    tensors: impl IntoIterator<Item = (String, View)>,
    file: &str,
    notes: &mut Vec<String>,
) -> Vec<(String, View)> {
    let (kept, dropped): (Vec<_>, Vec<_>) = tensors
        .into_iter()
        .partition(|(_, view)| view.number.written().is_some());
    if !dropped.is_empty() {
        let names: Vec<&str> = dropped.iter().map(|(name, _)| name.as_str()).collect();
        notes.push(format!(
            "{file}: left out what are whole numbers and no weights: {}",
            names.join(", ")
        ));
    }
    kept
}
