//! Pictures as the page has them: bytes of red, green, blue and alpha, as decoded.
//!
//! Always true of a pair that exists: both pictures have the same size, and it is one
//! that can be compared. Alpha is kept for drawing and never compared.

use std::sync::Arc;

use dfa_core::metric::{ImageShape, Layout};

/// Most pixels of a picture that is compared: those of 2048 × 2048.
pub const MAX_PIXELS: usize = 1 << 22;

/// One picture. Copies share their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// Four bytes for each pixel, row by row from the top left.
    rgba: Arc<[u8]>,
}

/// Two pictures of the same thing: without compression and with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PicturePair {
    raw: Picture,
    compressed: Picture,
}

/// Why pictures cannot be shown or compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// The bytes are not four for each pixel.
    #[error("a picture of {width} × {height} pixels has four bytes for each, found {found} bytes")]
    WrongLength {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes found.
        found: usize,
    },
    /// Too many pixels, or none.
    #[error(
        "a picture of {width} × {height} pixels is not compared here; it has at least one pixel and at most as many as 2048 × 2048"
    )]
    BadSize {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Two different sizes.
    #[error(
        "the raw picture has {} × {} pixels and the compressed one {} × {}; choose two pictures of one size",
        raw[0], raw[1], compressed[0], compressed[1]
    )]
    DifferentSizes {
        /// Columns and rows of the raw picture.
        raw: [usize; 2],
        /// Columns and rows of the compressed picture.
        compressed: [usize; 2],
    },
}

impl Picture {
    /// A picture of `rgba`.
    ///
    /// # Errors
    /// [`PairError::BadSize`] or [`PairError::WrongLength`].
    pub fn new(width: usize, height: usize, rgba: impl Into<Arc<[u8]>>) -> Result<Self, PairError> {
        let n_pixels = width.saturating_mul(height);
        if n_pixels == 0 || n_pixels > MAX_PIXELS {
            return Err(PairError::BadSize { width, height });
        }
        let rgba = rgba.into();
        if rgba.len() != n_pixels * 4 {
            let found = rgba.len();
            return Err(PairError::WrongLength {
                width,
                height,
                found,
            });
        }
        Ok(Self {
            width,
            height,
            rgba,
        })
    }

    /// Columns and rows.
    pub fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// Red, green, blue and alpha of each pixel.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }

    /// What metrics take: red, green and blue as a worker computes with them, in [0, 1].
    pub fn values(&self) -> Vec<f32> {
        let pixels = self.rgba.chunks_exact(4);
        let bytes = pixels.flat_map(|pixel| &pixel[..3]);
        bytes.map(|&byte| f32::from(byte) / 255.0).collect()
    }

    /// The shape of [`Self::values`].
    pub fn shape(&self) -> ImageShape {
        ImageShape {
            width: self.width,
            height: self.height,
            channels: 3,
            layout: Layout::Interleaved,
        }
    }
}

impl PicturePair {
    /// A pair.
    ///
    /// # Errors
    /// [`PairError::DifferentSizes`].
    pub fn new(raw: Picture, compressed: Picture) -> Result<Self, PairError> {
        if raw.size() != compressed.size() {
            return Err(PairError::DifferentSizes {
                raw: raw.size(),
                compressed: compressed.size(),
            });
        }
        Ok(Self { raw, compressed })
    }

    /// The picture without compression.
    pub fn raw(&self) -> &Picture {
        &self.raw
    }

    /// The picture with it.
    pub fn compressed(&self) -> &Picture {
        &self.compressed
    }

    /// Columns and rows of both.
    pub fn size(&self) -> [usize; 2] {
        self.raw.size()
    }

    /// The same two pictures the other way round: of two files that were dropped, nobody
    /// knows which is which.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            raw: self.compressed,
            compressed: self.raw,
        }
    }

    /// A pair with every kind of neighbourhood (flat, smooth, edges, noise, one channel
    /// alone), the same in every browser: the shaders are tried on it. At least 16 pixels
    /// on each side.
    ///
    /// # Errors
    /// [`PairError::BadSize`].
    pub fn sample(width: usize, height: usize) -> Result<Self, PairError> {
        let mut noise = Noise(1);
        let mut raw = Vec::with_capacity(width * height * 4);
        let mut compressed = Vec::with_capacity(width * height * 4);
        for row in 0..height {
            for column in 0..width {
                let (a, b) = sample_pixel([column, row], [width, height], &mut noise);
                raw.extend(a);
                compressed.extend(b);
            }
        }
        Self::new(
            Picture::new(width, height, raw)?,
            Picture::new(width, height, compressed)?,
        )
    }
}

/// One pixel of [`PicturePair::sample`]: a quarter flat, one smooth, one of edges, one
/// of noise.
fn sample_pixel(at: [usize; 2], size: [usize; 2], noise: &mut Noise) -> ([u8; 4], [u8; 4]) {
    let [x, y] = at;
    let [right, lower] = [x * 2 >= size[0], y * 2 >= size[1]];
    let spread = i32::from(noise.byte());
    let (raw, change) = match (right, lower) {
        (false, false) => ([200, 120, 40], [0, i32::from(x % 16 < 8), 0]),
        (true, false) => {
            let slope = (255 * x / size[0]) as i32;
            ([slope, 255 - slope, (255 * y / size[1]) as i32], [2, -1, 1])
        }
        (false, true) => {
            let light = if (x / 3 + y / 5) % 2 == 0 { 250 } else { 5 };
            ([light, light, 255 - light], [0, 0, spread % 9 - 4])
        }
        (true, true) => {
            let other = i32::from(noise.byte());
            (
                [spread, other, 255 - spread],
                [spread % 64 - 32, 0, other % 16],
            )
        }
    };
    let byte = |value: i32| value.clamp(0, 255) as u8;
    let pixel = |[r, g, b]: [i32; 3]| [byte(r), byte(g), byte(b), 255];
    let changed = [0, 1, 2].map(|channel| raw[channel] + change[channel]);
    (pixel(raw), pixel(changed))
}

/// Bytes in no order that anybody sees, the same ones everywhere.
struct Noise(u32);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 24) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pictures_of_one_size_are_a_pair() {
        let picture = |width, height| Picture::new(width, height, vec![7; width * height * 4]);
        let pair = |a: [usize; 2], b: [usize; 2]| {
            PicturePair::new(picture(a[0], a[1]).unwrap(), picture(b[0], b[1]).unwrap())
        };
        assert!(pair([3, 2], [3, 2]).is_ok());
        let error = pair([3, 2], [2, 3]).unwrap_err().to_string();
        assert!(
            error.contains("3 × 2") && error.contains("2 × 3"),
            "{error}"
        );
        assert!(Picture::new(0, 5, vec![]).is_err());
        assert!(Picture::new(2, 2, vec![0; 12]).is_err());
        assert!(Picture::new(usize::MAX, 2, vec![]).is_err());
    }

    #[test]
    fn values_are_bytes_over_255_without_alpha() {
        let picture = Picture::new(1, 2, vec![0, 51, 255, 9, 255, 0, 0, 9]).unwrap();
        assert_eq!(picture.values(), [0.0, 0.2, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(picture.shape().channels, 3);
    }

    #[test]
    fn the_sample_is_the_same_every_time_and_differs() {
        let pair = PicturePair::sample(40, 24).unwrap();
        assert_eq!(pair, PicturePair::sample(40, 24).unwrap());
        assert_ne!(pair.raw(), pair.compressed());
        assert_eq!(pair.clone().swapped().raw(), pair.compressed());
    }
}
