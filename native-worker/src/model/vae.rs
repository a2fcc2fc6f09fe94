//! The image autoencoder (`AutoencoderKL`, Rombach et al. 2022) as diffusers computes it:
//! from latents to pictures and back, one image at a time.
//!
//! - [`feature_map`]: the map (C, h, w) that goes through it.
//! - [`layers`]: convolution, group norm, residual layer, attention.
//! - [`coder`]: decoder and encoder, made of those.

use std::path::Path;

use candle_core::{Device, Result, Tensor, bail};

use crate::device::Placement;
use crate::model_folder::weights::{WeightStem, Weights, find_files};
use crate::model_folder::{FolderError, VaeConfig};

mod coder;
mod feature_map;
mod layers;

use coder::{Decoder, Encoder};
use feature_map::{FeatureMap, Values};
use layers::{Conv, ConvSpec};

use crate::kernels::conv::ConvKind;

/// A loaded autoencoder. Its weights stay in their files until they are used.
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    quant_conv: Option<Conv>,
    post_quant_conv: Option<Conv>,
    decoder: Decoder,
    /// Where the weights are.
    device: Device,
}

/// What the encoder says of a latent: a normal distribution for each of its values.
pub struct LatentDistribution {
    /// (B, C, h, w), scaled as the transformer expects it.
    pub mean: Tensor,
    /// Logarithm of the variance before scaling, within [-30, 20]; (B, C, h, w).
    pub log_variance: Tensor,
}

impl Vae {
    /// Loads the autoencoder in `folder` (the `vae/` of a model folder) onto a device. It
    /// computes in f32 everywhere.
    ///
    /// # Errors
    /// [`FolderError`] if there are no weights, or lists every tensor that is missing or
    /// misshapen.
    pub fn load(
        folder: &Path,
        config: &VaeConfig,
        placement: &Placement,
    ) -> std::result::Result<Self, FolderError> {
        let files = find_files(folder, WeightStem::Diffusers)?;
        let mut weights = Weights::open(folder, &files)?.on(&placement.in_f32());
        let point = |channels| ConvSpec {
            inputs: channels,
            outputs: channels,
            kind: ConvKind::Point,
        };
        let latent = config.latent_channels;
        let quant_conv = match config.use_quant_conv {
            true => Some(Conv::load(&mut weights, "quant_conv", point(2 * latent))?),
            false => None,
        };
        let post_quant_conv = match config.use_post_quant_conv {
            true => Some(Conv::load(&mut weights, "post_quant_conv", point(latent))?),
            false => None,
        };
        let vae = Self {
            config: config.clone(),
            encoder: Encoder::load(&mut weights, config)?,
            quant_conv,
            post_quant_conv,
            decoder: Decoder::load(&mut weights, config)?,
            device: placement.device().clone(),
        };
        weights.finish()?;
        Ok(vae)
    }

    /// Its configuration.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Latents (B, C, h, w), scaled as the transformer makes them, to images
    /// (B, 3, 8h, 8w) in about [-1, 1].
    ///
    /// # Errors
    /// If the latents have not the channels of the configuration.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let (n, _, height, width) = latents.dims4()?;
        let mut images = Vec::with_capacity(n);
        for image in 0..n {
            images.push(self.decode_one(&latents.narrow(0, image, 1)?)?);
        }
        let factor = self.config.factor();
        let empty = (0, self.config.out_channels, factor * height, factor * width);
        joined(&images, empty.into())
    }

    /// Latents of videos (B, C, F, h, w), frame by frame in order: `keep(video, frame,
    /// image)` gets each image (1, 3, 8h, 8w) as soon as it is there, so that memory holds
    /// one frame.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and what `keep` returns.
    pub fn decode_frames(
        &self,
        latents: &Tensor,
        mut keep: impl FnMut(usize, usize, Tensor) -> Result<()>,
    ) -> Result<()> {
        let (n, _, n_frames, _, _) = latents.dims5()?;
        for video in 0..n {
            for frame in 0..n_frames {
                let latent = latents
                    .narrow(0, video, 1)?
                    .narrow(2, frame, 1)?
                    .squeeze(2)?;
                keep(video, frame, self.decode_one(&latent)?)?;
            }
        }
        Ok(())
    }

    /// (1, C, h, w) → (1, 3, 8h, 8w).
    fn decode_one(&self, latent: &Tensor) -> Result<Tensor> {
        let mut map = FeatureMap::from_tensor(latent)?;
        if map.channels != self.config.latent_channels {
            let expected = self.config.latent_channels;
            bail!(
                "the VAE decodes latents of {expected} channels, got {}",
                map.channels
            );
        }
        let VaeConfig {
            scaling_factor,
            shift_factor,
            ..
        } = self.config;
        if let Values::Cpu(values) = &mut map.values {
            for value in values {
                *value = (f64::from(*value) / scaling_factor + shift_factor) as f32;
            }
        }
        map = map.placed(&self.device)?;
        if let Some(conv) = &self.post_quant_conv {
            map = conv.forward(&map)?;
        }
        self.decoder.forward(&map)?.into_tensor()
    }

    /// Images (B, 3, H, W) in [-1, 1] to the distributions of their latents.
    ///
    /// # Errors
    /// If the images have not the channels of the configuration, or a side that cannot be
    /// halved for every level.
    pub fn encode(&self, images: &Tensor) -> Result<LatentDistribution> {
        let (n, _, height, width) = images.dims4()?;
        let mut means = Vec::with_capacity(n);
        let mut log_variances = Vec::with_capacity(n);
        for image in 0..n {
            let moments = self.encode_one(&images.narrow(0, image, 1)?)?;
            let latent = self.config.latent_channels;
            means.push(moments.narrow(1, 0, latent)?);
            log_variances.push(moments.narrow(1, latent, latent)?);
        }
        let factor = self.config.factor();
        let empty = (
            0,
            self.config.latent_channels,
            height / factor,
            width / factor,
        );
        let mean = joined(&means, empty.into())?;
        let log_variance = joined(&log_variances, empty.into())?;
        Ok(LatentDistribution {
            mean: ((mean - self.config.shift_factor)? * self.config.scaling_factor)?,
            log_variance: log_variance.clamp(-30.0, 20.0)?,
        })
    }

    /// The mean of [`encode`](Self::encode): (B, 3, H, W) → (B, C, h, w).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_mean(&self, images: &Tensor) -> Result<Tensor> {
        Ok(self.encode(images)?.mean)
    }

    /// (1, 3, H, W) → (1, 2C, h, w), unscaled.
    fn encode_one(&self, image: &Tensor) -> Result<Tensor> {
        let map = FeatureMap::from_tensor(image)?;
        let expected = self.config.in_channels;
        if map.channels != expected {
            bail!(
                "the VAE encodes images of {expected} channels, got {}",
                map.channels
            );
        }
        let least = self.config.factor();
        if map.height < least || map.width < least {
            let (height, width) = (map.height, map.width);
            bail!("the VAE encodes images of at least {least} x {least}, got {height} x {width}");
        }
        let mut moments = self.encoder.forward(&map.placed(&self.device)?)?;
        if let Some(conv) = &self.quant_conv {
            moments = conv.forward(&moments)?;
        }
        moments.into_tensor()
    }
}

/// Batches of one as one batch; without any, an empty tensor of this shape.
fn joined(parts: &[Tensor], empty: candle_core::Shape) -> Result<Tensor> {
    if parts.is_empty() {
        return Tensor::zeros(empty, candle_core::DType::F32, &Device::Cpu);
    }
    Tensor::cat(parts, 0)
}
