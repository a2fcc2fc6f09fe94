//! The layers of the autoencoder: convolution, group norm, residual layer, attention over
//! all pixels. Maps are (C, h, w) of one image.

use candle_core::{Device, Result, Tensor, bail};

use super::feature_map::{FeatureMap, Values};
use crate::kernels::attention::AttentionMask;
use crate::kernels::conv::{ConvCall, ConvKind, ConvShape, conv};
use crate::kernels::fresh;
use crate::kernels::group_norm::{Activation, GroupNorm, group_norm};
use crate::kernels::isa::Isa;
use crate::kernels::ops::{self, feature_map};
use crate::model::linear::Linear;
use crate::model_folder::weights::{WeightMatrix, Weights, WeightsError};

/// Epsilon of every group norm (fixed in diffusers).
const NORM_EPS: f64 = 1e-6;

/// Sizes of a convolution to load.
#[derive(Clone, Copy)]
pub(super) struct ConvSpec {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kind: ConvKind,
}

/// A convolution with bias.
pub(super) struct Conv {
    spec: ConvSpec,
    /// (outputs, inputs · taps).
    weight: WeightMatrix,
    /// (outputs).
    bias: Vec<f32>,
}

impl Conv {
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        spec: ConvSpec,
    ) -> std::result::Result<Self, WeightsError> {
        let side = if spec.kind == ConvKind::Point { 1 } else { 3 };
        let shape = [spec.outputs, spec.inputs, side, side];
        Ok(Self {
            spec,
            weight: weights.mapped(&format!("{name}.weight"), &shape)?,
            bias: weights.vector(&format!("{name}.bias"), spec.outputs)?,
        })
    }

    pub(super) fn forward(&self, map: &FeatureMap) -> Result<FeatureMap> {
        self.of_activated(map, None)
    }

    /// Of the map that the activation makes of `map`.
    pub(super) fn of_activated(
        &self,
        map: &FeatureMap,
        activation: Option<&Activation>,
    ) -> Result<FeatureMap> {
        let input = match &map.values {
            Values::Cpu(input) => input,
            Values::Device(input) => {
                return FeatureMap::on_device(self.on_device(input, activation)?);
            }
        };
        let shape = self.shape(map);
        let mut values = fresh::zeros(shape.out_len());
        self.run(shape, (input, activation), &mut values, false)?;
        Ok(FeatureMap {
            channels: shape.outputs,
            height: shape.out_height(),
            width: shape.out_width(),
            values: Values::Cpu(values),
        })
    }

    /// The same, added to `out`.
    fn add_to(
        &self,
        map: &FeatureMap,
        activation: &Activation,
        out: &mut FeatureMap,
    ) -> Result<()> {
        let activation = Some(activation);
        match (&map.values, &mut out.values) {
            (Values::Cpu(input), Values::Cpu(sums)) => {
                self.run(self.shape(map), (input, activation), sums, true)
            }
            (Values::Device(input), Values::Device(sums)) => {
                *sums = (&*sums + self.on_device(input, activation)?)?;
                Ok(())
            }
            _ => bail!("two maps of a layer are on different devices"),
        }
    }

    fn shape(&self, map: &FeatureMap) -> ConvShape {
        ConvShape {
            inputs: self.spec.inputs,
            outputs: self.spec.outputs,
            height: map.height,
            width: map.width,
            kind: self.spec.kind,
        }
    }

    fn on_device(&self, map: &Tensor, activation: Option<&Activation>) -> Result<Tensor> {
        let bias = Tensor::from_slice(&self.bias, self.bias.len(), map.device())?;
        let layer = (&self.weight.to_tensor()?, &bias);
        feature_map::conv(map, layer, self.spec.kind, activation)
    }

    fn run(
        &self,
        shape: ConvShape,
        (input, activation): (&[f32], Option<&Activation>),
        out: &mut [f32],
        adds: bool,
    ) -> Result<()> {
        self.weight.with_values(|weight| {
            let call = ConvCall {
                shape,
                input,
                activation,
                weight,
                bias: &self.bias,
                adds,
            };
            conv(Isa::best(), call, out);
        })
    }
}

/// Group norm with a factor and a shift per channel.
pub(super) struct Norm {
    n_groups: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        channels: usize,
        n_groups: usize,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(Self {
            n_groups,
            weight: weights.vector(&format!("{name}.weight"), channels)?,
            bias: weights.vector(&format!("{name}.bias"), channels)?,
        })
    }

    /// What the norm of this map multiplies and adds, channel by channel.
    pub(super) fn of(&self, map: &FeatureMap) -> Result<Activation> {
        let norm = GroupNorm {
            n_groups: self.n_groups,
            weight: &self.weight,
            bias: &self.bias,
            eps: NORM_EPS,
        };
        match &map.values {
            Values::Cpu(values) => Ok(group_norm(Isa::best(), values, norm)),
            Values::Device(map) => feature_map::group_norm(map, norm),
        }
    }
}

/// Two convolutions, each after norm and SiLU, around which the input is led.
pub(super) struct Residual {
    norm1: Norm,
    conv1: Conv,
    norm2: Norm,
    conv2: Conv,
    /// Where the number of channels changes.
    shortcut: Option<Conv>,
}

impl Residual {
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        (inputs, outputs): (usize, usize),
        n_groups: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let spec = |inputs, kind| ConvSpec {
            inputs,
            outputs,
            kind,
        };
        let shortcut = format!("{name}.conv_shortcut");
        Ok(Self {
            norm1: Norm::load(weights, &format!("{name}.norm1"), inputs, n_groups)?,
            conv1: Conv::load(
                weights,
                &format!("{name}.conv1"),
                spec(inputs, ConvKind::Same),
            )?,
            norm2: Norm::load(weights, &format!("{name}.norm2"), outputs, n_groups)?,
            conv2: Conv::load(
                weights,
                &format!("{name}.conv2"),
                spec(outputs, ConvKind::Same),
            )?,
            shortcut: match inputs == outputs {
                true => None,
                false => Some(Conv::load(
                    weights,
                    &shortcut,
                    spec(inputs, ConvKind::Point),
                )?),
            },
        })
    }

    /// The second convolution adds to the input where it lies.
    pub(super) fn forward(&self, map: FeatureMap) -> Result<FeatureMap> {
        let inner = self.conv1.of_activated(&map, Some(&self.norm1.of(&map)?))?;
        let mut out = match &self.shortcut {
            Some(shortcut) => shortcut.forward(&map)?,
            None => map,
        };
        self.conv2
            .add_to(&inner, &self.norm2.of(&inner)?, &mut out)?;
        Ok(out)
    }
}

/// Attention of every pixel to every other, one head as wide as the map has channels.
pub(super) struct PixelAttention {
    norm: Norm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl PixelAttention {
    /// Folders of 2022 name the projections otherwise and store them as 1 x 1 convolutions.
    pub(super) fn load(
        weights: &mut Weights,
        name: &str,
        channels: usize,
        n_groups: usize,
    ) -> std::result::Result<Self, WeightsError> {
        let is_old = weights.shape(&format!("{name}.query.weight")).is_some();
        let mut load = |new: &str, old: &str| {
            let name = format!("{name}.{}", if is_old { old } else { new });
            projection(weights, &name, channels)
        };
        let to_q = load("to_q", "query")?;
        let to_k = load("to_k", "key")?;
        let to_v = load("to_v", "value")?;
        let to_out = load("to_out.0", "proj_attn")?;
        Ok(Self {
            norm: Norm::load(weights, &format!("{name}.group_norm"), channels, n_groups)?,
            to_q,
            to_k,
            to_v,
            to_out,
        })
    }

    pub(super) fn forward(&self, map: FeatureMap) -> Result<FeatureMap> {
        let (channels, height, width) = (map.channels, map.height, map.width);
        let tokens = self.normalised(&map)?.transpose(1, 2)?.contiguous()?; // (1, T, C)
        let (q, k) = (self.to_q.forward(&tokens)?, self.to_k.forward(&tokens)?);
        let v = self.to_v.forward(&tokens)?;
        let out = ops::attend(&q, &k, &v, 1, AttentionMask::Full)?.output; // (1, T, C)
        let out = self.to_out.forward(&out)?.transpose(1, 2)?; // (1, C, T)
        let values = match map.values {
            Values::Cpu(mut values) => {
                for (value, out) in values.iter_mut().zip(out.flatten_all()?.to_vec1::<f32>()?) {
                    *value += out;
                }
                Values::Cpu(values)
            }
            Values::Device(map) => Values::Device((&map + out.reshape(map.dims())?)?),
        };
        Ok(FeatureMap {
            channels,
            height,
            width,
            values,
        })
    }

    /// (1, C, T), normalised without an activation.
    fn normalised(&self, map: &FeatureMap) -> Result<Tensor> {
        let dims = (1, map.channels, map.n_pixels());
        let activation = self.norm.of(map)?;
        let values = match &map.values {
            Values::Cpu(values) => values,
            Values::Device(map) => return feature_map::normalised(map, &activation)?.reshape(dims),
        };
        let Activation { scale, shift } = activation;
        let channels = values.chunks_exact(map.n_pixels()).zip(scale).zip(shift);
        let normalised = channels
            .flat_map(|((values, scale), shift)| values.iter().map(move |x| x * scale + shift));
        Tensor::from_vec(normalised.collect::<Vec<_>>(), dims, &Device::Cpu)
    }
}

/// A square projection, stored as (C, C) or as (C, C, 1, 1).
fn projection(
    weights: &mut Weights,
    name: &str,
    channels: usize,
) -> std::result::Result<Linear, WeightsError> {
    let weight = format!("{name}.weight");
    let is_conv = weights.shape(&weight).is_some_and(|shape| shape.len() == 4);
    let shape = [channels, channels, 1, 1];
    let shape = if is_conv { &shape[..] } else { &shape[..2] };
    let matrix = weights.mapped(&weight, shape)?;
    let bias = weights.tensor(&format!("{name}.bias"), &[channels])?;
    Ok(Linear::from_matrix(matrix, Some(bias)))
}
