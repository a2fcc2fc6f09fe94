//! `transformer/config.json` of a PixArt-Sigma: the file as diffusers writes it, and the
//! typed facts that the model needs.

use std::path::Path;

use serde::Deserialize;

use super::{FolderError, parse_json, read_text};
use crate::model::{Geometry, LatentSize};

/// Shape of a text-conditional DiT with adaLN-single, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct PixArtConfig {
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
    /// Positions are divided by this: 0.5, 1, 2 and 4 for 256, 512, 1024 and 2048 pixels.
    pub interpolation_scale: f64,
    /// Width that cross-attention takes: D behind a caption projection.
    pub cross_attention_dim: usize,
    /// E, if a projection takes it to D.
    pub caption_channels: Option<usize>,
    /// Whether the q, k, v projections have a bias.
    pub attention_bias: bool,
    /// Epsilon of the blocks' layer norms.
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
    cross_attention_dim: Option<usize>,
    caption_channels: Option<usize>,
    interpolation_scale: Option<f64>,
    use_additional_conditions: Option<bool>,
    norm_type: String,
    attention_bias: bool,
    attention_type: Option<String>,
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
            out_channels: Some(8),
            num_layers: 28,
            sample_size: 128,
            patch_size: 2,
            cross_attention_dim: Some(1152),
            caption_channels: None,
            interpolation_scale: None,
            use_additional_conditions: None,
            norm_type: "ada_norm_single".into(),
            attention_bias: true,
            attention_type: None,
            activation_fn: "gelu-approximate".into(),
            norm_elementwise_affine: false,
            norm_eps: 1e-6,
        }
    }
}

/// A key, what the file says, and what would be accepted.
type Complaint = (&'static str, String, String);

impl PixArtConfig {
    /// D = H·d.
    pub fn width(&self) -> usize {
        self.n_heads * self.head_size
    }

    /// E: width of the encoded text.
    pub fn text_width(&self) -> usize {
        self.caption_channels.unwrap_or(self.cross_attention_dim)
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
        let complaint = file.wrong_kind().or_else(|| file.wrong_size());
        match complaint.or_else(|| file.wrong_number()) {
            None => Ok(Self::from_file(&file)),
            Some((key, found, expected)) => Err(FolderError::Unsupported {
                path: path.to_path_buf(),
                key,
                found,
                expected,
            }),
        }
    }

    fn from_file(file: &TransformerFile) -> Self {
        let by_size = (file.sample_size / 64).max(1) as f64;
        Self {
            n_heads: file.num_attention_heads,
            head_size: file.attention_head_dim,
            n_blocks: file.num_layers,
            in_channels: file.in_channels,
            out_channels: file.out_channels(),
            sample_size: file.sample_size,
            patch_size: file.patch_size,
            interpolation_scale: file.interpolation_scale.unwrap_or(by_size),
            cross_attention_dim: file.cross_attention_dim.unwrap_or(0),
            caption_channels: file.caption_channels,
            attention_bias: file.attention_bias,
            norm_eps: file.norm_eps,
        }
    }
}

impl TransformerFile {
    fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    fn out_channels(&self) -> usize {
        self.out_channels.unwrap_or(self.in_channels)
    }

    /// A network of another kind.
    fn wrong_kind(&self) -> Option<Complaint> {
        let class = self
            .class_name
            .as_deref()
            .unwrap_or("PixArtTransformer2DModel");
        // Published folders of 2024 carry the class's former name.
        if !matches!(class, "PixArtTransformer2DModel" | "Transformer2DModel") {
            let expected = "a PixArt-Sigma has PixArtTransformer2DModel (or its former name Transformer2DModel)";
            return Some(("_class_name", format!("{class:?}"), expected.into()));
        }
        let attention_type = self.attention_type.as_deref().unwrap_or("default");
        let fixed = [
            ("norm_type", self.norm_type.as_str(), "ada_norm_single"),
            (
                "activation_fn",
                self.activation_fn.as_str(),
                "gelu-approximate",
            ),
            ("attention_type", attention_type, "default"),
        ];
        let wrong = fixed.into_iter().find(|(_, found, wanted)| found != wanted);
        if let Some((key, found, wanted)) = wrong {
            return Some((
                key,
                format!("{found:?}"),
                format!("a PixArt-Sigma has {wanted:?}"),
            ));
        }
        // Where the key is absent, diffusers decides by the size.
        let additional = self
            .use_additional_conditions
            .unwrap_or(self.sample_size == 128);
        let flags = [
            ("norm_elementwise_affine", self.norm_elementwise_affine),
            ("use_additional_conditions", additional),
        ];
        let (key, _) = flags.into_iter().find(|&(_, flag)| flag)?;
        let expected =
            "a PixArt-Sigma has false (PixArt-alpha at 1024 pixels has true, and is not built)";
        Some((key, "true".into(), expected.into()))
    }

    fn wrong_size(&self) -> Option<Complaint> {
        let sizes = [
            ("num_attention_heads", self.num_attention_heads, 1024),
            ("attention_head_dim", self.attention_head_dim, 1024),
            ("in_channels", self.in_channels, 1024),
            ("num_layers", self.num_layers, dfa_core::plan::MAX_BLOCKS),
            ("sample_size", self.sample_size, 1 << 16),
            ("patch_size", self.patch_size, 1 << 10),
            (
                "cross_attention_dim",
                self.cross_attention_dim.unwrap_or(0),
                1 << 16,
            ),
            (
                "caption_channels",
                self.caption_channels.unwrap_or(1),
                1 << 16,
            ),
        ];
        let outside = sizes
            .into_iter()
            .find(|(_, found, most)| !(1..=*most).contains(found));
        let (key, found, most) = outside?;
        Some((key, found.to_string(), format!("it must be 1 to {most}")))
    }

    /// Numbers that do not fit each other; every size is in its range.
    fn wrong_number(&self) -> Option<Complaint> {
        let (out, width) = (self.out_channels(), self.width());
        if out != self.in_channels && out != 2 * self.in_channels {
            let expected = "it must be in_channels, or twice that (learned variance)";
            return Some(("out_channels", out.to_string(), expected.into()));
        }
        if !width.is_multiple_of(4) {
            let expected = "heads × head size must be a multiple of 4 (2-D sin-cos positions)";
            return Some((
                "attention_head_dim",
                self.attention_head_dim.to_string(),
                expected.into(),
            ));
        }
        if !self.sample_size.is_multiple_of(self.patch_size) {
            let expected = format!("it must be a multiple of patch_size, {}", self.patch_size);
            return Some(("sample_size", self.sample_size.to_string(), expected));
        }
        let of_text = self.cross_attention_dim.unwrap_or(0);
        if self.caption_channels.is_some() && of_text != width {
            let expected = format!("the caption projection ends in heads × head size, {width}");
            return Some(("cross_attention_dim", of_text.to_string(), expected));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Some((
                "norm_eps",
                self.norm_eps.to_string(),
                "it must be between 0 and 1".into(),
            ));
        }
        let scale = self.interpolation_scale.unwrap_or(1.0);
        if !(scale > 0.0 && scale.is_finite()) {
            let expected = "it must be a positive number".into();
            return Some(("interpolation_scale", scale.to_string(), expected));
        }
        None
    }
}
