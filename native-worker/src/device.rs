//! Where a run computes, and in which number type: the CPU in f32, or a CUDA device in
//! bf16, f16 or f32.
//!
//! A [`Placement`] goes to whoever loads weights; what is computed with them follows, because
//! the operations bring their inputs to the weights (`kernels::ops::placing`). Latents,
//! sampler and pictures stay on the CPU in f32 wherever the model is.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor};

#[cfg(feature = "cuda")]
mod cuda;

/// What a person asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA if it is built in and a device is found, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, counted from 0.
    Cuda(usize),
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no device; expected cpu, cuda, cuda:N (N counted from 0) or auto")]
pub struct BadDevice {
    found: String,
}

impl FromStr for DeviceChoice {
    type Err = BadDevice;

    fn from_str(text: &str) -> Result<Self, BadDevice> {
        let number = text.strip_prefix("cuda:").map(str::parse);
        match (text, number) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(Ok(number))) => Ok(Self::Cuda(number)),
            _ => Err(BadDevice { found: text.into() }),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// The type that a network computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
}

/// A text that names no number type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no number type; expected f32, f16 or bf16")]
pub struct BadNumberType {
    found: String,
}

impl NumberType {
    /// As a fingerprint names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// As candle names it.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl FromStr for NumberType {
    type Err = BadNumberType;

    fn from_str(text: &str) -> Result<Self, BadNumberType> {
        let all = [Self::F32, Self::F16, Self::Bf16];
        let found = all.into_iter().find(|number| number.as_str() == text);
        found.ok_or_else(|| BadNumberType { found: text.into() })
    }
}

impl fmt::Display for NumberType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program has no CUDA in it.
    #[error("this dfa was built without CUDA: cargo xtask cuda builds one with it")]
    NotBuilt,
    /// There is no such device, or it does not answer.
    #[error(
        "CUDA device {number} cannot be used: {reason}; `dfa doctor` says what is found, --device cpu needs none"
    )]
    Unusable {
        /// Its number.
        number: usize,
        /// What the driver says.
        reason: String,
    },
    /// The kernels are for another kind of card.
    #[error(
        "CUDA device {number} has compute capability {found}, but this dfa was built for {built}: cargo xtask cuda --arch {found}"
    )]
    OtherArch {
        /// Its number.
        number: usize,
        /// What it has.
        found: String,
        /// What is built in.
        built: &'static str,
    },
    /// The CPU kernels know one type.
    #[error("--dtype {found} needs --device cuda: the CPU computes in f32")]
    CpuIsF32 {
        /// What was asked for.
        found: NumberType,
    },
}

impl DeviceError {
    /// Whether the request is at fault, not the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::CpuIsF32 { .. })
    }
}

/// A device that was opened, and the type to compute with.
#[derive(Clone, Debug)]
pub struct Placement {
    device: Device,
    number: NumberType,
}

impl Default for Placement {
    fn default() -> Self {
        Self::cpu()
    }
}

impl Placement {
    /// The CPU, in f32.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            number: NumberType::F32,
        }
    }

    /// Opens what was asked for; without a number type f32 on the CPU and bf16 on a GPU.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open(choice: DeviceChoice, number: Option<NumberType>) -> Result<Self, DeviceError> {
        let device = match choice {
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Cuda(ordinal) => open_cuda(ordinal)?,
            DeviceChoice::Auto => open_cuda(0).unwrap_or(Device::Cpu),
        };
        let number = match (device.is_cpu(), number) {
            (true, None | Some(NumberType::F32)) => NumberType::F32,
            (true, Some(found)) => return Err(DeviceError::CpuIsF32 { found }),
            (false, number) => number.unwrap_or(NumberType::Bf16),
        };
        Ok(Self { device, number })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether it is the CPU, where weights are used as they lie in their files.
    pub fn is_cpu(&self) -> bool {
        self.device.is_cpu()
    }

    /// What the network computes with.
    pub fn number(&self) -> NumberType {
        self.number
    }

    /// The same device with f32: for the text encoder, whose values leave the range of f16,
    /// and for the autoencoder.
    #[must_use]
    pub fn in_f32(&self) -> Self {
        Self {
            device: self.device.clone(),
            number: NumberType::F32,
        }
    }

    /// A tensor on the device, in the number type.
    ///
    /// # Errors
    /// If the device has not enough memory.
    pub fn place(&self, tensor: &Tensor) -> candle_core::Result<Tensor> {
        tensor
            .to_device(&self.device)?
            .to_dtype(self.number.dtype())
    }

    /// What a client calls it: `cpu`, `cuda:0`.
    pub fn id(&self) -> String {
        match self.device.location() {
            candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            _ => "cpu".into(),
        }
    }

    /// What it is, for people.
    pub fn name(&self) -> String {
        match self.is_cpu() {
            true => format!("CPU, {} threads", rayon::current_num_threads()),
            false => format!("{}, {}", gpu_name(&self.device), self.number),
        }
    }
}

#[cfg(feature = "cuda")]
use cuda::{gpu_name, open as open_cuda};

#[cfg(not(feature = "cuda"))]
fn open_cuda(_ordinal: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}

#[cfg(not(feature = "cuda"))]
fn gpu_name(_device: &Device) -> String {
    "GPU".into()
}

/// A CUDA device that was found, or why none was.
///
/// # Errors
/// [`DeviceError::NotBuilt`], or what the driver says of the first device.
pub fn probe_cuda() -> Result<Vec<String>, DeviceError> {
    #[cfg(feature = "cuda")]
    return cuda::probe();
    #[cfg(not(feature = "cuda"))]
    Err(DeviceError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named() {
        let check = |text: &str, expected: Option<DeviceChoice>| {
            assert_eq!(text.parse::<DeviceChoice>().ok(), expected, "{text}");
        };
        check("cpu", Some(DeviceChoice::Cpu));
        check("auto", Some(DeviceChoice::Auto));
        check("cuda", Some(DeviceChoice::Cuda(0)));
        check("cuda:3", Some(DeviceChoice::Cuda(3)));
        check("cuda:", None);
        check("cuda:-1", None);
        check("gpu", None);
        check("CPU", None);
    }

    #[test]
    fn the_cpu_computes_in_f32() {
        let check = |number, expected: Result<&str, DeviceError>| {
            let opened = Placement::open(DeviceChoice::Cpu, number);
            let opened = opened.map(|placement| placement.number().as_str());
            assert_eq!(opened, expected, "{number:?}");
        };
        check(None, Ok("f32"));
        check(Some(NumberType::F32), Ok("f32"));
        let found = NumberType::Bf16;
        check(Some(found), Err(DeviceError::CpuIsF32 { found }));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_plain_program_says_how_to_get_cuda() {
        let error = Placement::open(DeviceChoice::Cuda(0), None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("built without CUDA: cargo xtask cuda")
        );
        assert!(Placement::open(DeviceChoice::Auto, None).unwrap().is_cpu());
    }
}
