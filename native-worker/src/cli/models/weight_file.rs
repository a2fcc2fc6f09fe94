//! What the header of a safetensors file says, without reading its tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};

/// The longest header that is read; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// One weight file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeightFile {
    pub(crate) size_bytes: u64,
    pub(crate) n_tensors: usize,
    pub(crate) n_parameters: u64,
    /// Parameters by number type, as the file names it: `F16`.
    pub(crate) dtypes: BTreeMap<String, u64>,
}

impl WeightFile {
    /// Reads a header and checks the file's length against it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("{} is not a readable safetensors file", path.display());
        Self::read_header(path).with_context(context)
    }

    fn read_header(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let size_bytes = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .context("it has fewer than 8 bytes")?;
        let length = u64::from_le_bytes(length);
        let fits = length <= MAX_HEADER_BYTES && length <= size_bytes - 8;
        ensure!(
            fits,
            "its header claims {length} bytes, the file has {size_bytes}"
        );
        let mut header = Vec::new();
        file.take(length).read_to_end(&mut header)?;
        let header: Map<String, Value> =
            serde_json::from_slice(&header).context("its header is not JSON")?;
        let mut found = Self {
            size_bytes,
            n_tensors: 0,
            n_parameters: 0,
            dtypes: BTreeMap::new(),
        };
        let mut end = 0;
        for (name, tensor) in header.iter().filter(|(name, _)| *name != "__metadata__") {
            let tensor_end = found
                .add(tensor)
                .with_context(|| format!("tensor {name:?}"))?;
            end = end.max(tensor_end);
        }
        let expected = (8 + length).saturating_add(end);
        ensure!(
            expected == size_bytes,
            "it should have {expected} bytes, but has {size_bytes}: fetch it again"
        );
        Ok(found)
    }

    /// Counts one tensor; gives the end of its data.
    fn add(&mut self, tensor: &Value) -> anyhow::Result<u64> {
        let dtype = tensor["dtype"].as_str().context("has no dtype")?;
        let shape = tensor["shape"].as_array().context("has no shape")?;
        let n_elements = shape.iter().try_fold(1u64, |product, side| {
            Some(product.saturating_mul(side.as_u64()?))
        });
        let n_elements = n_elements.context("has a shape that is not of whole numbers")?;
        self.n_tensors += 1;
        self.n_parameters = self.n_parameters.saturating_add(n_elements);
        let of_type = self.dtypes.entry(dtype.to_owned()).or_default();
        *of_type = of_type.saturating_add(n_elements);
        tensor["data_offsets"][1]
            .as_u64()
            .context("has no data_offsets")
    }

    /// The number types, the most frequent first.
    pub(crate) fn dtypes_in_words(&self) -> String {
        let mut dtypes: Vec<(&String, &u64)> = self.dtypes.iter().collect();
        dtypes.sort_by_key(|&(_, count)| std::cmp::Reverse(*count));
        let names: Vec<String> = dtypes.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.join("+")
    }
}
