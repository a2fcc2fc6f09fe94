//! Decoder and encoder: levels of residual layers, the coarsest with attention.

use candle_core::Result;

use super::feature_map::FeatureMap;
use super::layers::{Conv, ConvSpec, Norm, PixelAttention, Residual};
use crate::kernels::conv::ConvKind;
use crate::model_folder::VaeConfig;
use crate::model_folder::weights::{Weights, WeightsError};

type Loaded<T> = std::result::Result<T, WeightsError>;

fn same(inputs: usize, outputs: usize) -> ConvSpec {
    ConvSpec {
        inputs,
        outputs,
        kind: ConvKind::Same,
    }
}

/// Residual layers of one level, then the step to the next, if there is one.
struct Level {
    layers: Vec<Residual>,
    resize: Option<Conv>,
}

/// What a level is made of.
struct LevelSpec {
    /// Channels from and to.
    channels: (usize, usize),
    n_layers: usize,
    n_groups: usize,
    /// Name and kind of the last convolution.
    resize: Option<(&'static str, ConvKind)>,
}

impl Level {
    fn load(weights: &mut Weights, name: &str, spec: &LevelSpec) -> Loaded<Self> {
        let (inputs, outputs) = spec.channels;
        let layers = (0..spec.n_layers).map(|idx| {
            let inputs = if idx == 0 { inputs } else { outputs };
            let name = format!("{name}.resnets.{idx}");
            Residual::load(weights, &name, (inputs, outputs), spec.n_groups)
        });
        let layers = layers.collect::<Loaded<_>>()?;
        let resize = match spec.resize {
            None => None,
            Some((part, kind)) => {
                let spec = ConvSpec {
                    inputs: outputs,
                    outputs,
                    kind,
                };
                Some(Conv::load(weights, &format!("{name}.{part}.0.conv"), spec)?)
            }
        };
        Ok(Self { layers, resize })
    }

    fn forward(&self, mut map: FeatureMap) -> Result<FeatureMap> {
        for layer in &self.layers {
            map = layer.forward(map)?;
        }
        match &self.resize {
            Some(resize) => resize.forward(&map),
            None => Ok(map),
        }
    }
}

/// The coarsest part: two residual layers, attention between them.
struct Middle {
    before: Residual,
    attention: Option<PixelAttention>,
    after: Residual,
}

impl Middle {
    fn load(
        weights: &mut Weights,
        name: &str,
        config: &VaeConfig,
        channels: usize,
    ) -> Loaded<Self> {
        let n_groups = config.norm_num_groups;
        let mut layer = |idx: usize| {
            let name = format!("{name}.resnets.{idx}");
            Residual::load(weights, &name, (channels, channels), n_groups)
        };
        let (before, after) = (layer(0)?, layer(1)?);
        let name = format!("{name}.attentions.0");
        let attention = match config.mid_block_add_attention {
            true => Some(PixelAttention::load(weights, &name, channels, n_groups)?),
            false => None,
        };
        Ok(Self {
            before,
            attention,
            after,
        })
    }

    fn forward(&self, map: FeatureMap) -> Result<FeatureMap> {
        let mut map = self.before.forward(map)?;
        if let Some(attention) = &self.attention {
            map = attention.forward(map)?;
        }
        self.after.forward(map)
    }
}

/// Norm, SiLU, convolution: what both coders end with.
struct Head {
    norm: Norm,
    conv: Conv,
}

impl Head {
    fn load(
        weights: &mut Weights,
        name: &str,
        (inputs, outputs): (usize, usize),
        n_groups: usize,
    ) -> Loaded<Self> {
        Ok(Self {
            norm: Norm::load(weights, &format!("{name}.conv_norm_out"), inputs, n_groups)?,
            conv: Conv::load(weights, &format!("{name}.conv_out"), same(inputs, outputs))?,
        })
    }

    fn forward(&self, map: &FeatureMap) -> Result<FeatureMap> {
        self.conv.of_activated(map, Some(&self.norm.of(map)?))
    }
}

/// Latent → image.
pub(super) struct Decoder {
    conv_in: Conv,
    middle: Middle,
    /// The coarsest first.
    levels: Vec<Level>,
    head: Head,
}

impl Decoder {
    pub(super) fn load(weights: &mut Weights, config: &VaeConfig) -> Loaded<Self> {
        let n_groups = config.norm_num_groups;
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (coarsest, finest) = (channels[0], channels[channels.len() - 1]);
        let conv_in = same(config.latent_channels, coarsest);
        let levels = (0..channels.len()).map(|idx| {
            let is_last = idx + 1 == channels.len();
            let spec = LevelSpec {
                channels: (channels[idx.saturating_sub(1)], channels[idx]),
                n_layers: config.layers_per_block + 1,
                n_groups,
                resize: (!is_last).then_some(("upsamplers", ConvKind::Doubling)),
            };
            Level::load(weights, &format!("decoder.up_blocks.{idx}"), &spec)
        });
        let levels = levels.collect::<Loaded<_>>()?;
        Ok(Self {
            conv_in: Conv::load(weights, "decoder.conv_in", conv_in)?,
            middle: Middle::load(weights, "decoder.mid_block", config, coarsest)?,
            levels,
            head: Head::load(weights, "decoder", (finest, config.out_channels), n_groups)?,
        })
    }

    pub(super) fn forward(&self, latent: &FeatureMap) -> Result<FeatureMap> {
        let mut map = self.conv_in.forward(latent)?;
        map = self.middle.forward(map)?;
        for level in &self.levels {
            map = level.forward(map)?;
        }
        self.head.forward(&map)
    }
}

/// Image → mean and logarithm of the variance of its latent, one after the other.
pub(super) struct Encoder {
    conv_in: Conv,
    /// The finest first.
    levels: Vec<Level>,
    middle: Middle,
    head: Head,
}

impl Encoder {
    pub(super) fn load(weights: &mut Weights, config: &VaeConfig) -> Loaded<Self> {
        let n_groups = config.norm_num_groups;
        let channels = &config.block_out_channels;
        let (finest, coarsest) = (channels[0], channels[channels.len() - 1]);
        let levels = (0..channels.len()).map(|idx| {
            let is_last = idx + 1 == channels.len();
            let spec = LevelSpec {
                channels: (channels[idx.saturating_sub(1)], channels[idx]),
                n_layers: config.layers_per_block,
                n_groups,
                resize: (!is_last).then_some(("downsamplers", ConvKind::Halving)),
            };
            Level::load(weights, &format!("encoder.down_blocks.{idx}"), &spec)
        });
        let levels = levels.collect::<Loaded<_>>()?;
        let moments = 2 * config.latent_channels;
        Ok(Self {
            conv_in: Conv::load(weights, "encoder.conv_in", same(config.in_channels, finest))?,
            levels,
            middle: Middle::load(weights, "encoder.mid_block", config, coarsest)?,
            head: Head::load(weights, "encoder", (coarsest, moments), n_groups)?,
        })
    }

    pub(super) fn forward(&self, image: &FeatureMap) -> Result<FeatureMap> {
        let mut map = self.conv_in.forward(image)?;
        for level in &self.levels {
            map = level.forward(map)?;
        }
        self.head.forward(&self.middle.forward(map)?)
    }
}
