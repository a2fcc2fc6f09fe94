//! The flags that say where a run computes, shared by every command that runs a model.

use clap::Args;

use super::Failure;
use crate::device::{DeviceChoice, DeviceError, NumberType, Placement};

/// Where to compute, and with what.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct DeviceFlags {
    /// Where to compute: cpu, cuda, cuda:N, or auto (cuda if this program has it and a device
    /// is found) [default: auto].
    #[arg(long, env = "DFA_DEVICE", value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Number type of the network on a GPU: bf16, f16 or f32 [default: bf16; the CPU computes
    /// in f32].
    #[arg(long, env = "DFA_DTYPE", value_name = "TYPE")]
    dtype: Option<NumberType>,
}

impl DeviceFlags {
    /// Opens the device.
    pub(crate) fn open(self) -> Result<Placement, Failure> {
        Placement::open(self.device.unwrap_or_default(), self.dtype).map_err(
            |error: DeviceError| match error.is_usage() {
                true => Failure::usage(error),
                false => Failure::failed(error),
            },
        )
    }

    /// The flags as typed, for a command that makes the same run again.
    pub(crate) fn typed_again(self) -> [(&'static str, Option<String>); 2] {
        [
            ("--device", self.device.map(|device| device.to_string())),
            ("--dtype", self.dtype.map(|number| number.to_string())),
        ]
    }
}
