//! A feature map (C, h, w) of one image. On the CPU it is plain values, as the convolution
//! kernels take it, which a layer may change in place; elsewhere it is a tensor.

use candle_core::{Device, Result, Tensor, bail};

use crate::kernels::ops;

/// One image's map.
pub(super) struct FeatureMap {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Values,
}

/// Where a map is.
pub(super) enum Values {
    /// (channels, height, width), row-major.
    Cpu(Vec<f32>),
    /// (1, channels, height, width), f32.
    Device(Tensor),
}

impl FeatureMap {
    /// From (1, C, h, w), onto the CPU.
    pub(super) fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let (_, channels, height, width) = tensor.dims4()?;
        if channels * height * width == 0 {
            bail!("an image of {height} x {width} with {channels} channels has no pixels");
        }
        Ok(Self {
            channels,
            height,
            width,
            values: Values::Cpu(ops::on_cpu(tensor)?.flatten_all()?.to_vec1()?),
        })
    }

    /// From (1, C, h, w) where it is.
    pub(super) fn on_device(tensor: Tensor) -> Result<Self> {
        let (_, channels, height, width) = tensor.dims4()?;
        Ok(Self {
            channels,
            height,
            width,
            values: Values::Device(tensor),
        })
    }

    /// The map where the weights are.
    pub(super) fn placed(self, device: &Device) -> Result<Self> {
        match device.is_cpu() {
            true => Ok(self),
            false => Self::on_device(self.into_tensor()?.to_device(device)?),
        }
    }

    /// (1, C, h, w), on the CPU.
    pub(super) fn into_tensor(self) -> Result<Tensor> {
        let dims = (1, self.channels, self.height, self.width);
        match self.values {
            Values::Cpu(values) => Tensor::from_vec(values, dims, &Device::Cpu),
            Values::Device(tensor) => ops::on_cpu(&tensor),
        }
    }

    /// h·w.
    pub(super) fn n_pixels(&self) -> usize {
        self.height * self.width
    }
}
