//! `vae/config.json` of an `AutoencoderKL`: the file as diffusers writes it, and the typed
//! facts that the model needs.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{FolderError, parse_json, read_text};

/// Sizes beyond which a file is not believed.
const MOST_CHANNELS: usize = 1 << 14;
const MOST_LEVELS: usize = 12;
const MOST_LAYERS: usize = 64;

/// Shape of an image autoencoder, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct VaeConfig {
    /// Channels of the image that is encoded.
    pub in_channels: usize,
    /// Channels of the image that is decoded.
    pub out_channels: usize,
    /// C: channels of a latent.
    pub latent_channels: usize,
    /// Channels of each level, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual layers of a level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// A latent is what the encoder gives, less the shift, times this.
    pub scaling_factor: f64,
    /// See `scaling_factor`; 0 where the file has none.
    pub shift_factor: f64,
    /// Whether a 1 x 1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1 x 1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the middle blocks have an attention layer.
    pub mid_block_add_attention: bool,
}

/// The file; absent keys have diffusers' defaults, unknown keys are ignored.
#[derive(Deserialize)]
#[serde(default)]
struct VaeFile {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    in_channels: usize,
    out_channels: usize,
    latent_channels: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    layers_per_block: usize,
    norm_num_groups: usize,
    act_fn: String,
    scaling_factor: f64,
    shift_factor: Option<f64>,
    latents_mean: Value,
    latents_std: Value,
    use_quant_conv: bool,
    use_post_quant_conv: bool,
    mid_block_add_attention: bool,
}

impl Default for VaeFile {
    fn default() -> Self {
        Self {
            class_name: None,
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            down_block_types: vec!["DownEncoderBlock2D".into()],
            up_block_types: vec!["UpDecoderBlock2D".into()],
            layers_per_block: 1,
            norm_num_groups: 32,
            act_fn: "silu".into(),
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: Value::Null,
            latents_std: Value::Null,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

/// A key whose value this program cannot work with: key, value, what would be accepted.
type Complaint = (&'static str, String, String);

impl VaeConfig {
    /// Pixels per latent value, along each side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// Memory that decoding one picture takes at its widest, in bytes: the last level's
    /// maps, of which the first has the channels of the level before.
    pub fn decoding_bytes(&self, width: usize, height: usize) -> u64 {
        let finest = self.block_out_channels[0];
        let before = *self.block_out_channels.get(1).unwrap_or(&finest);
        let per_pixel = 4 * (before + 2 * finest);
        (width as u64) * (height as u64) * per_pixel as u64
    }

    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`FolderError`] names the file, the key, what was found and what is accepted.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let text = read_text(path, "the VAE's configuration is needed")?;
        let file: VaeFile = parse_json(path, &text)?;
        match file.complaint() {
            None => Ok(file.into_config()),
            Some((key, found, expected)) => Err(FolderError::Unsupported {
                path: path.to_path_buf(),
                key,
                found,
                expected,
            }),
        }
    }
}

impl VaeFile {
    fn complaint(&self) -> Option<Complaint> {
        self.wrong_kind()
            .or_else(|| self.wrong_blocks())
            .or_else(|| self.wrong_size())
            .or_else(|| self.wrong_scale())
    }

    fn wrong_kind(&self) -> Option<Complaint> {
        match self.class_name.as_deref() {
            Some("AutoencoderKL") | None => {}
            Some(other) => {
                let expected = "only AutoencoderKL is supported";
                return Some(("_class_name", format!("{other:?}"), expected.into()));
            }
        }
        if !matches!(self.act_fn.as_str(), "silu" | "swish") {
            let found = format!("{:?}", self.act_fn);
            return Some(("act_fn", found, "only silu is supported".into()));
        }
        for (key, value) in [
            ("latents_mean", &self.latents_mean),
            ("latents_std", &self.latents_std),
        ] {
            if !value.is_null() {
                let expected = "only null is supported: latents are scaled as a whole";
                return Some((key, value.to_string(), expected.into()));
            }
        }
        None
    }

    fn wrong_blocks(&self) -> Option<Complaint> {
        let n_levels = self.block_out_channels.len();
        for (key, types, known) in [
            (
                "down_block_types",
                &self.down_block_types,
                "DownEncoderBlock2D",
            ),
            ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
        ] {
            if let Some(other) = types.iter().find(|name| *name != known) {
                let expected = format!("only {known} is supported");
                return Some((key, format!("{other:?}"), expected));
            }
            if types.len() != n_levels {
                let expected = format!("block_out_channels has {n_levels} levels");
                return Some((key, format!("a list of {}", types.len()), expected));
            }
        }
        None
    }

    fn wrong_size(&self) -> Option<Complaint> {
        let n_levels = self.block_out_channels.len();
        if n_levels == 0 || n_levels > MOST_LEVELS {
            let expected = format!("it must have 1 to {MOST_LEVELS} levels");
            return Some((
                "block_out_channels",
                format!("a list of {n_levels}"),
                expected,
            ));
        }
        for (key, value, most) in [
            ("in_channels", self.in_channels, MOST_CHANNELS),
            ("out_channels", self.out_channels, MOST_CHANNELS),
            ("latent_channels", self.latent_channels, MOST_CHANNELS),
            ("layers_per_block", self.layers_per_block, MOST_LAYERS),
            ("norm_num_groups", self.norm_num_groups, MOST_CHANNELS),
        ] {
            if value == 0 || value > most {
                let expected = format!("it must be a number from 1 to {most}");
                return Some((key, value.to_string(), expected));
            }
        }
        let groups = self.norm_num_groups;
        let fits = |&n: &usize| n > 0 && n <= MOST_CHANNELS && n.is_multiple_of(groups);
        let wrong = self.block_out_channels.iter().find(|n| !fits(n))?;
        let expected = format!(
            "every level must have a multiple of norm_num_groups = {groups} channels, at most {MOST_CHANNELS}"
        );
        Some(("block_out_channels", wrong.to_string(), expected))
    }

    fn wrong_scale(&self) -> Option<Complaint> {
        let scale = self.scaling_factor;
        if !scale.is_finite() || scale == 0.0 {
            let expected = "it must be a finite number other than 0";
            return Some(("scaling_factor", scale.to_string(), expected.into()));
        }
        let shift = self.shift_factor.unwrap_or(0.0);
        (!shift.is_finite()).then(|| {
            let expected = "it must be a finite number, or null";
            ("shift_factor", shift.to_string(), expected.into())
        })
    }

    fn into_config(self) -> VaeConfig {
        VaeConfig {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            latent_channels: self.latent_channels,
            block_out_channels: self.block_out_channels,
            layers_per_block: self.layers_per_block,
            norm_num_groups: self.norm_num_groups,
            scaling_factor: self.scaling_factor,
            shift_factor: self.shift_factor.unwrap_or(0.0),
            use_quant_conv: self.use_quant_conv,
            use_post_quant_conv: self.use_post_quant_conv,
            mid_block_add_attention: self.mid_block_add_attention,
        }
    }
}
