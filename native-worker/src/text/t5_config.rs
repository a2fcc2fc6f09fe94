//! `text_encoder/config.json` of a T5 v1.1 encoder: the file as transformers writes it,
//! and the typed facts that the encoder needs.

use std::path::Path;

use serde::Deserialize;

use crate::model_folder::{FolderError, parse_json, read_text};

/// Shape of a T5 v1.1 encoder, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct T5Config {
    /// Rows of the embedding table; the tokenizer may have fewer tokens.
    pub vocabulary: usize,
    /// E.
    pub width: usize,
    /// d; heads × d need not be E.
    pub head_size: usize,
    /// H.
    pub n_heads: usize,
    /// Inner width of the feed-forward layers.
    pub inner_width: usize,
    /// Blocks.
    pub n_blocks: usize,
    /// Relative positions are put into this many buckets, half of them for each direction.
    pub n_buckets: usize,
    /// From this distance on all positions share a bucket.
    pub max_distance: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
}

/// The file; absent keys have transformers' defaults, unknown keys are ignored.
#[derive(Deserialize)]
#[serde(default)]
struct EncoderFile {
    model_type: Option<String>,
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_heads: usize,
    relative_attention_num_buckets: usize,
    relative_attention_max_distance: usize,
    layer_norm_epsilon: f64,
    feed_forward_proj: String,
}

impl Default for EncoderFile {
    fn default() -> Self {
        Self {
            model_type: None,
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".into(),
        }
    }
}

impl T5Config {
    /// H·d.
    pub fn attention_width(&self) -> usize {
        self.n_heads * self.head_size
    }

    /// Parameters of one block, the relative positions not counted.
    pub fn block_parameters(&self) -> usize {
        self.width * (4 * self.attention_width() + 3 * self.inner_width + 2)
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`FolderError`] with the key that is not supported.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let hint = "the text encoder's configuration is needed; download text_encoder/ of the model, or give \
                    embeddings that were made elsewhere";
        let file: EncoderFile = parse_json(path, &read_text(path, hint)?)?;
        check(&file).map_err(|(key, found, expected)| FolderError::Unsupported {
            path: path.to_path_buf(),
            key,
            found,
            expected,
        })?;
        Ok(Self {
            vocabulary: file.vocab_size,
            width: file.d_model,
            head_size: file.d_kv,
            n_heads: file.num_heads,
            inner_width: file.d_ff,
            n_blocks: file.num_layers,
            n_buckets: file.relative_attention_num_buckets,
            max_distance: file.relative_attention_max_distance,
            norm_eps: file.layer_norm_epsilon,
        })
    }
}

/// The error: key, what was found, what is expected.
fn check(file: &EncoderFile) -> Result<(), (&'static str, String, String)> {
    // Others of the family differ: umt5 has relative positions in every block.
    if let Some(other) = file.model_type.as_deref().filter(|&name| name != "t5") {
        return Err((
            "model_type",
            format!("{other:?}"),
            "only \"t5\" is read".into(),
        ));
    }
    if file.feed_forward_proj != "gated-gelu" {
        let found = format!("{:?}", file.feed_forward_proj);
        return Err((
            "feed_forward_proj",
            found,
            "a T5 v1.1 encoder has \"gated-gelu\"".into(),
        ));
    }
    let sizes = [
        ("vocab_size", file.vocab_size, 1 << 24),
        ("d_model", file.d_model, 1 << 16),
        ("d_kv", file.d_kv, 1 << 12),
        ("d_ff", file.d_ff, 1 << 20),
        ("num_layers", file.num_layers, 1 << 10),
        ("num_heads", file.num_heads, 1 << 10),
        (
            "relative_attention_num_buckets",
            file.relative_attention_num_buckets,
            1 << 16,
        ),
        (
            "relative_attention_max_distance",
            file.relative_attention_max_distance,
            1 << 24,
        ),
    ];
    for (key, found, most) in sizes {
        if !(1..=most).contains(&found) {
            return Err((key, found.to_string(), format!("it must be 1 to {most}")));
        }
    }
    let n_buckets = file.relative_attention_num_buckets;
    if !n_buckets.is_multiple_of(4) {
        let expected = "it must be a multiple of 4: near and far, before and after";
        return Err((
            "relative_attention_num_buckets",
            n_buckets.to_string(),
            expected.into(),
        ));
    }
    if file.relative_attention_max_distance <= n_buckets / 4 {
        let found = file.relative_attention_max_distance.to_string();
        let expected = format!(
            "it must be more than {}, a quarter of the buckets",
            n_buckets / 4
        );
        return Err(("relative_attention_max_distance", found, expected));
    }
    if !(file.layer_norm_epsilon > 0.0 && file.layer_norm_epsilon < 1.0) {
        let found = file.layer_norm_epsilon.to_string();
        return Err((
            "layer_norm_epsilon",
            found,
            "it must be between 0 and 1".into(),
        ));
    }
    Ok(())
}
