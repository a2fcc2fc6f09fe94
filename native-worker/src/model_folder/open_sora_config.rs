//! `config.json` of an STDiT2 (Open-Sora 1.1): the file as transformers' `PretrainedConfig`
//! writes it, and the typed facts that the model needs.

use std::path::Path;

use serde::Deserialize;

use super::{FolderError, parse_json, read_text};
use crate::model::{Geometry, LatentSize};

/// Shape of a spatio-temporal DiT, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSoraConfig {
    /// H.
    pub n_heads: usize,
    /// D.
    pub width: usize,
    /// Transformer blocks.
    pub n_blocks: usize,
    /// Rows of the MLP's first weight.
    pub mlp_width: usize,
    /// Latent channels.
    pub in_channels: usize,
    /// Channels of the output: `in_channels`, or twice that with learned variance.
    pub out_channels: usize,
    /// Side of a patch; in time a patch is one frame.
    pub patch_size: usize,
    /// Side in pixels at which positions are one apart.
    pub input_sq_size: f64,
    /// E.
    pub caption_channels: usize,
    /// Rows of the learned unconditional text: longest prompt that can be guided.
    pub max_text_tokens: usize,
    /// Whether queries and keys are normed; `None` if the file does not say, and the
    /// weights decide.
    pub qk_norm: Option<bool>,
    /// In temporal attention, whether queries and keys are normed after their rotation, as
    /// the code of version 1.1 did; later code calls that order legacy.
    pub norm_after_rotation: bool,
    /// The size that runs have where nobody says one.
    pub native_size: LatentSize,
}

/// Channels that guidance extrapolates (`cfg_channel` of the authors' sampler).
const GUIDED_CHANNELS: usize = 3;

/// The authors' sample of 16 frames at 240x426 pixels.
const DEFAULT_SIZE: LatentSize = LatentSize {
    frames: Some(16),
    height: 30,
    width: 53,
};

/// The file; unknown keys are ignored.
///
/// Absent keys have the values of the authors' class, but two that their configurations of
/// version 1.1 always set otherwise: the positions' side is 512, the order of norm and
/// rotation is the older one.
#[derive(Deserialize)]
#[serde(default)]
struct ConfigFile {
    model_type: Option<String>,
    num_heads: usize,
    hidden_size: usize,
    depth: usize,
    mlp_ratio: f64,
    in_channels: usize,
    pred_sigma: bool,
    patch_size: Vec<usize>,
    input_sq_size: f64,
    input_size: Vec<Option<usize>>,
    caption_channels: usize,
    model_max_length: usize,
    qk_norm: Option<bool>,
    qk_norm_legacy: Option<bool>,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            model_type: None,
            num_heads: 16,
            hidden_size: 1152,
            depth: 28,
            mlp_ratio: 4.0,
            in_channels: 4,
            pred_sigma: true,
            patch_size: vec![1, 2, 2],
            input_sq_size: 512.0,
            input_size: Vec::new(),
            caption_channels: 4096,
            model_max_length: 120,
            qk_norm: None,
            qk_norm_legacy: None,
        }
    }
}

/// A key, what the file says, and what would be accepted.
type Complaint = (&'static str, String, String);

impl OpenSoraConfig {
    /// d.
    pub fn head_size(&self) -> usize {
        self.width / self.n_heads
    }

    /// Sizes, as every family has them.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            n_blocks: self.n_blocks,
            n_heads: self.n_heads,
            head_size: self.head_size(),
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            guided_channels: GUIDED_CHANNELS.min(self.in_channels),
            patch_size: self.patch_size,
            native_size: self.native_size,
        }
    }

    /// Whether a `config.json` is that of an STDiT2.
    pub(crate) fn is_at(path: &Path) -> bool {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let file = serde_json::from_str::<serde_json::Value>(&text);
        file.is_ok_and(|file| file["model_type"] == "STDiT2")
    }

    pub(crate) fn read(path: &Path) -> Result<Self, FolderError> {
        let text = read_text(path, "the transformer's configuration is needed")?;
        let file: ConfigFile = parse_json(path, &text)?;
        match file.wrong_size().or_else(|| file.wrong_number()) {
            None => Ok(Self::from_file(&file)),
            Some((key, found, expected)) => Err(FolderError::Unsupported {
                path: path.to_path_buf(),
                key,
                found,
                expected,
            }),
        }
    }

    fn from_file(file: &ConfigFile) -> Self {
        Self {
            n_heads: file.num_heads,
            width: file.hidden_size,
            n_blocks: file.depth,
            mlp_width: (file.hidden_size as f64 * file.mlp_ratio) as usize,
            in_channels: file.in_channels,
            out_channels: file.in_channels * if file.pred_sigma { 2 } else { 1 },
            patch_size: file.patch_size[1],
            input_sq_size: file.input_sq_size,
            caption_channels: file.caption_channels,
            max_text_tokens: file.model_max_length,
            qk_norm: file.qk_norm,
            norm_after_rotation: file.qk_norm_legacy.unwrap_or(true),
            native_size: match file.input_size[..] {
                [Some(frames), Some(height), Some(width)] => LatentSize {
                    frames: Some(frames),
                    height,
                    width,
                },
                _ => DEFAULT_SIZE,
            },
        }
    }
}

impl ConfigFile {
    fn wrong_size(&self) -> Option<Complaint> {
        let in_space = match self.patch_size[..] {
            [1, height, width] if height == width => height,
            _ => {
                let expected = "an STDiT2 has [1, p, p]: one frame, a square".into();
                return Some(("patch_size", format!("{:?}", self.patch_size), expected));
            }
        };
        let sizes = [
            ("num_heads", self.num_heads, 1024),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("in_channels", self.in_channels, 1024),
            ("depth", self.depth, dfa_core::plan::MAX_BLOCKS),
            ("patch_size", in_space, 1 << 10),
            ("caption_channels", self.caption_channels, 1 << 16),
            ("model_max_length", self.model_max_length, 1 << 16),
        ];
        let sides = self.input_size.iter().flatten();
        let sides = sides.map(|&side| ("input_size", side, 1 << 16));
        let mut outside = sizes.into_iter().chain(sides);
        let (key, found, most) = outside.find(|(_, found, most)| !(1..=*most).contains(found))?;
        Some((key, found.to_string(), format!("it must be 1 to {most}")))
    }

    /// Numbers that do not fit each other; every size is in its range.
    fn wrong_number(&self) -> Option<Complaint> {
        let Self {
            hidden_size,
            num_heads,
            ..
        } = *self;
        if !hidden_size.is_multiple_of(12) {
            let expected = "it must be a multiple of 12 (2-D positions; three embedded sizes)";
            return Some(("hidden_size", hidden_size.to_string(), expected.into()));
        }
        if !hidden_size.is_multiple_of(2 * num_heads) {
            let expected =
                format!("hidden_size, {hidden_size}, must be that many heads of even size");
            return Some(("num_heads", num_heads.to_string(), expected));
        }
        let numbers = [
            ("mlp_ratio", self.mlp_ratio, 64.0),
            ("input_sq_size", self.input_sq_size, 65536.0),
        ];
        let wrong = |&(_, found, most): &(_, f64, f64)| !(found > 0.0 && found <= most);
        let (key, found, most) = numbers.into_iter().find(wrong)?;
        Some((
            key,
            found.to_string(),
            format!("it must be more than 0, up to {most}"),
        ))
    }
}
