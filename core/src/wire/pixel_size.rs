//! Image sizes as people write them.

use core::fmt;

/// Image size in pixels, written `WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl fmt::Display for PixelSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Text that is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size is written WIDTHxHEIGHT, for example 256x256")]
pub struct BadSize;

impl core::str::FromStr for PixelSize {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let (width, height) = text.split_once(['x', 'X', '×']).ok_or(BadSize)?;
        let side = |text: &str| text.trim().parse::<u32>().map_err(|_| BadSize);
        Ok(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }
}
