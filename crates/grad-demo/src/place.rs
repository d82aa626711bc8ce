//! Where to compute and in what precision, as commands are asked for it.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};

/// Where to compute, and in what precision.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The library whose tensors are computed with
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,

    #[command(flatten)]
    pub(crate) numbers: Numbers,
}

/// What the numbers are and where they lie, whatever the backend.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The type of the numbers
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: DType,

    /// The device of candle's tensors: cpu, cuda:N or metal
    #[arg(long, default_value_t)]
    pub(crate) device: Device,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    #[default]
    Ndarray,
    Candle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DType {
    F32,
    #[default]
    F64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Device {
    #[default]
    Cpu,
    /// A device of CUDA by its number.
    Cuda(usize),
    Metal,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
            Device::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for Device {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Not all that parses as a number is one of a device: `+1`.
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok(),
            false => None,
        };
        match text {
            "cpu" => Ok(Device::Cpu),
            "metal" => Ok(Device::Metal),
            _ => {
                text.strip_prefix("cuda:").and_then(number).map(Device::Cuda).ok_or(
                    "expected cpu, metal, or cuda:N where N is the number of a device, from 0",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_reads_back_as_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(12), Device::Metal] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }

    #[test]
    fn what_only_resembles_a_device_is_refused() {
        for text in
            ["", "CPU", "cuda", "cuda:", "cuda:x", "cuda:+1", "cuda:-1", "cuda:1 ", "metal:0"]
        {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
        assert!(format!("cuda:{}0", usize::MAX).parse::<Device>().is_err());
    }
}
