//! A feature map (C, h, w) of one image, as the convolution kernels take it: plain values
//! that a layer may change in place, which a tensor's may not be.

use candle_core::{Device, Result, Tensor, bail};

/// Values (channels, height, width), row-major.
pub(super) struct FeatureMap {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

impl FeatureMap {
    /// From (1, C, h, w).
    pub(super) fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let (_, channels, height, width) = tensor.dims4()?;
        if channels * height * width == 0 {
            bail!("an image of {height} x {width} with {channels} channels has no pixels");
        }
        Ok(Self {
            channels,
            height,
            width,
            values: tensor
                .to_dtype(candle_core::DType::F32)?
                .flatten_all()?
                .to_vec1()?,
        })
    }

    /// (1, C, h, w).
    pub(super) fn into_tensor(self) -> Result<Tensor> {
        let dims = (1, self.channels, self.height, self.width);
        Tensor::from_vec(self.values, dims, &Device::Cpu)
    }

    /// h·w.
    pub(super) fn n_pixels(&self) -> usize {
        self.height * self.width
    }
}
