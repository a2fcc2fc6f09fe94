//! Files that jobs made, named by the SHA-256 of their bytes, in a folder of the data
//! folder (any other object store would do).
//!
//! A file is written under a temporary name and renamed, so that it is there whole or not
//! at all; the same bytes again are the same file. Clients name files by hash, never by
//! path. What the database does not know is not served.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dfa_core::wire::ContentHash;
use dfa_core::wire::job::{Artifact, artifact_path};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::sync::{RwLock, RwLockReadGuard};

use super::answers::ArtifactError;
use crate::made_files::MadeFile;

/// What is known about an artifact without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactMeta {
    /// Its name in the store; also its ETag.
    pub hash: ContentHash,
    /// What a person would call the file; letters, digits, `-_.` only.
    pub file_name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
}

/// An artifact, or a part of it, as it is read.
pub struct ArtifactBody {
    /// The whole artifact.
    pub meta: ArtifactMeta,
    /// The bytes that follow, half-open; `0..size_bytes` for the whole.
    pub range: Range<u64>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

/// The store of files. A clone is the same store.
#[derive(Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    /// Held for reading from the first file of a job until the database knows all of
    /// them, for writing while unknown files are thrown away.
    gate: Arc<RwLock<()>>,
}

impl ArtifactStore {
    /// A store in a folder, which must exist and in which nobody writes.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn in_folder(folder: &Path) -> Result<Self, object_store::Error> {
        throw_away_half_written(folder);
        let objects = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            gate: Arc::default(),
        })
    }

    /// To be held while a job's files are kept and made known to the database.
    pub async fn keeping(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Keeps a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, file: MadeFile) -> Result<Artifact, object_store::Error> {
        let hash = ContentHash::of(&file.bytes);
        let size_bytes = file.bytes.len() as u64;
        let place = place_of(hash);
        let is_there = match self.objects.head(&place).await {
            Ok(found) => found.size == size_bytes,
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            let bytes = PutPayload::from(file.bytes);
            self.objects.put(&place, bytes).await?;
        }
        Ok(Artifact {
            hash,
            name: file.name.replace('/', "-"),
            role: file.role,
            media_type: file.media_type.to_owned(),
            size_bytes,
            image_index: file.image_index.map(|index| index as u32),
            href: artifact_path(hash),
        })
    }

    /// Reads a file, or a part of it.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn get(
        &self,
        meta: ArtifactMeta,
        range: Option<Range<u64>>,
    ) -> Result<ArtifactBody, ArtifactError> {
        let size_bytes = meta.size_bytes;
        let range = range.unwrap_or(0..size_bytes);
        let is_whole = range == (0..size_bytes);
        if !is_whole && (range.start >= range.end || range.end > size_bytes) {
            return Err(ArtifactError::BadRange { size_bytes });
        }
        let options = GetOptions {
            range: (!is_whole).then(|| GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };
        let found = self.objects.get_opts(&place_of(meta.hash), options).await?;
        Ok(ArtifactBody {
            meta,
            range,
            bytes: found.into_stream(),
        })
    }

    /// Throws away the files that `is_unknown` names, while nothing is kept.
    ///
    /// # Errors
    /// Whatever `unknown` fails with, or the store.
    pub async fn throw_away<F, E>(&self, unknown: F) -> Result<usize, E>
    where
        F: Future<Output = Result<Vec<ContentHash>, E>>,
        E: From<object_store::Error>,
    {
        let _alone = self.gate.write().await;
        let hashes = unknown.await?;
        for &hash in &hashes {
            match self.objects.delete(&place_of(hash)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(hashes.len())
    }

    /// The names of all files there are; whatever else lies there is left alone.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub async fn names(&self) -> Result<Vec<ContentHash>, object_store::Error> {
        let mut listed = self.objects.list(None);
        let mut names = Vec::new();
        while let Some(found) = listed.next().await {
            let found = found?;
            let name = found.location.filename();
            names.extend(name.and_then(|name| name.parse::<ContentHash>().ok()));
        }
        Ok(names)
    }
}

/// Removes what a worker left that was killed while it wrote: files under temporary names,
/// `HASH#1`, which the store itself never lists. What cannot be removed is only clutter.
fn throw_away_half_written(folder: &Path) {
    let entries_of = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in entries_of(folder).flat_map(|entry| entries_of(&entry.path())) {
        if file.file_name().to_string_lossy().contains('#') {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Two levels, so that no folder gets too many entries.
fn place_of(hash: ContentHash) -> ObjectPath {
    let name = hash.to_string();
    ObjectPath::from(format!("{}/{name}", &name[..2]))
}
