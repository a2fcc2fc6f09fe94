//! Files that jobs made, named by the SHA-256 of their bytes.

use std::ops::Range;

use bytes::Bytes;
use dfa_core::wire::ContentHash;
use futures_util::stream::BoxStream;

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
