//! `transformer/config.json` of a DiT: the file as diffusers writes it, and the typed
//! facts that the model needs.

use std::path::Path;

use serde::Deserialize;

use super::{FolderError, parse_json, read_text};
use crate::model::{Geometry, LatentSize};

/// Shape of a class-conditional DiT (adaLN-Zero), checked.
#[derive(Clone, Debug, PartialEq)]
pub struct DitConfig {
    /// H.
    pub n_heads: usize,
    /// d.
    pub head_size: usize,
    /// Transformer blocks.
    pub n_blocks: usize,
    /// Latent channels.
    pub in_channels: usize,
    /// Channels of the output: `in_channels`, or twice that with learned variance.
    pub out_channels: usize,
    /// Side of the training latent; positions are scaled to it.
    pub sample_size: usize,
    /// Side of a patch.
    pub patch_size: usize,
    /// Classes, the null class not counted; the null class has this index.
    pub n_classes: u32,
    /// Whether the q, k, v projections have a bias.
    pub attention_bias: bool,
    /// Epsilon of the layer norm before the MLP; the others are 1e-6.
    pub norm_eps: f64,
}

/// The file; absent keys have diffusers' defaults, unknown keys are ignored.
#[derive(Deserialize)]
#[serde(default)]
struct TransformerFile {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    num_attention_heads: usize,
    attention_head_dim: usize,
    in_channels: usize,
    out_channels: Option<usize>,
    num_layers: usize,
    sample_size: usize,
    patch_size: usize,
    num_embeds_ada_norm: Option<usize>,
    norm_type: String,
    attention_bias: bool,
    activation_fn: String,
    norm_elementwise_affine: bool,
    norm_eps: f64,
}

impl Default for TransformerFile {
    fn default() -> Self {
        Self {
            class_name: None,
            num_attention_heads: 16,
            attention_head_dim: 72,
            in_channels: 4,
            out_channels: None,
            num_layers: 28,
            sample_size: 32,
            patch_size: 2,
            num_embeds_ada_norm: Some(1000),
            norm_type: "ada_norm_zero".into(),
            attention_bias: true,
            activation_fn: "gelu-approximate".into(),
            norm_elementwise_affine: false,
            norm_eps: 1e-5,
        }
    }
}

impl DitConfig {
    /// D = H·d.
    pub fn width(&self) -> usize {
        self.n_heads * self.head_size
    }

    /// Sizes, as every family has them.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            n_blocks: self.n_blocks,
            n_heads: self.n_heads,
            head_size: self.head_size,
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            guided_channels: self.in_channels,
            patch_size: self.patch_size,
            native_size: LatentSize::image(self.sample_size, self.sample_size),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, FolderError> {
        let text = read_text(path, "the transformer's configuration is needed")?;
        let file: TransformerFile = parse_json(path, &text)?;
        let unsupported = |key, found: String, expected: &str| FolderError::Unsupported {
            path: path.to_path_buf(),
            key,
            found,
            expected: expected.into(),
        };
        match file.class_name.as_deref() {
            // Published folders of 2023 carry the class's former name.
            Some("DiTTransformer2DModel" | "Transformer2DModel") | None => {}
            Some(other) => {
                let expected = "only DiTTransformer2DModel (or its former name Transformer2DModel) is built so far";
                return Err(unsupported("_class_name", format!("{other:?}"), expected));
            }
        }
        let fixed = [
            ("norm_type", file.norm_type.as_str(), "ada_norm_zero"),
            (
                "activation_fn",
                file.activation_fn.as_str(),
                "gelu-approximate",
            ),
        ];
        for (key, found, wanted) in fixed {
            if found != wanted {
                let expected = format!("a DiT has {wanted:?}");
                return Err(unsupported(key, format!("{found:?}"), &expected));
            }
        }
        if file.norm_elementwise_affine {
            return Err(unsupported(
                "norm_elementwise_affine",
                "true".into(),
                "a DiT has false",
            ));
        }
        let sizes = [
            ("num_attention_heads", file.num_attention_heads, 1024),
            ("attention_head_dim", file.attention_head_dim, 1024),
            ("in_channels", file.in_channels, 1024),
            ("num_layers", file.num_layers, dfa_core::plan::MAX_BLOCKS),
            ("sample_size", file.sample_size, 1 << 16),
            ("patch_size", file.patch_size, 1 << 10),
            (
                "num_embeds_ada_norm",
                file.num_embeds_ada_norm.unwrap_or(0),
                1 << 24,
            ),
        ];
        for (key, found, most) in sizes {
            if !(1..=most).contains(&found) {
                let expected = format!("it must be 1 to {most}");
                return Err(unsupported(key, found.to_string(), &expected));
            }
        }
        Self::from_file(&file, unsupported)
    }

    fn from_file(
        file: &TransformerFile,
        unsupported: impl Fn(&'static str, String, &str) -> FolderError,
    ) -> Result<Self, FolderError> {
        let out_channels = file.out_channels.unwrap_or(file.in_channels);
        if out_channels != file.in_channels && out_channels != 2 * file.in_channels {
            let expected = "it must be in_channels, or twice that (learned variance)";
            return Err(unsupported(
                "out_channels",
                out_channels.to_string(),
                expected,
            ));
        }
        let width = file.num_attention_heads * file.attention_head_dim;
        if !width.is_multiple_of(4) {
            let expected = "heads × head size must be a multiple of 4 (2-D sin-cos positions)";
            return Err(unsupported(
                "attention_head_dim",
                file.attention_head_dim.to_string(),
                expected,
            ));
        }
        if !file.sample_size.is_multiple_of(file.patch_size) {
            let expected = format!("it must be a multiple of patch_size, {}", file.patch_size);
            let found = file.sample_size.to_string();
            return Err(unsupported("sample_size", found, &expected));
        }
        if !(file.norm_eps > 0.0 && file.norm_eps < 1.0) {
            let expected = "it must be between 0 and 1";
            return Err(unsupported("norm_eps", file.norm_eps.to_string(), expected));
        }
        Ok(Self {
            n_heads: file.num_attention_heads,
            head_size: file.attention_head_dim,
            n_blocks: file.num_layers,
            in_channels: file.in_channels,
            out_channels,
            sample_size: file.sample_size,
            patch_size: file.patch_size,
            n_classes: file.num_embeds_ada_norm.unwrap_or(0) as u32,
            attention_bias: file.attention_bias,
            norm_eps: file.norm_eps,
        })
    }
}
