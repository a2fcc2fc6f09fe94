//! Pixels: from a latent to an 8-bit picture, how two pictures differ, and a grid of them.
//!
//! - [`png_file`]: pictures as PNG files, with words in their text chunks.
//! - [`clip`]: an image or a video, and animated PNGs.
//! - [`mp4`]: videos as MP4, by a program that the machine may have.
//! - [`grid`]: raw | compressed | difference, one row per image, as one picture.
//!
//! Always true of a picture that exists: it has at least one pixel, at most
//! [`MAX_PIXELS`], and three bytes for each.

use candle_core::{DType, Tensor};

pub mod clip;
mod font;
pub mod grid;
pub mod mp4;
pub mod png_file;

pub use clip::Clip;
pub use grid::{GridRow, PictureGrid};
pub use png_file::{read_png, write_png};

/// Most pixels of a picture: 64 Mi, three times as many bytes.
pub const MAX_PIXELS: usize = 1 << 26;

/// How many times a difference is enlarged so that people see it.
pub const DIFFERENCE_GAIN: u8 = 4;

/// An RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    width: usize,
    /// Rows.
    height: usize,
    /// Red, green, blue, 0 to 255, row-major from the top left.
    rgb: Vec<u8>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// No pixel, or too many.
    #[error("a picture has 1 to {MAX_PIXELS} pixels, not {width}x{height}")]
    BadSize {
        /// Columns asked for.
        width: usize,
        /// Rows asked for.
        height: usize,
    },
    /// The number of bytes is not three per pixel.
    #[error("a picture of {width}x{height} pixels has three bytes for each, found {found} bytes")]
    WrongLength {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes found.
        found: usize,
    },
    /// A latent that is no picture, because it is not in pixel space.
    #[error(
        "only a latent of shape (3, height, width) in pixel space is a picture, found {found:?}"
    )]
    NotPixels {
        /// The tensor's shape.
        found: Vec<usize>,
    },
    /// Two pictures that cannot be compared pixel by pixel.
    #[error("pictures of {}x{} and {}x{} pixels cannot be compared", first.0, first.1, second.0, second.1)]
    DifferentSizes {
        /// Width and height of the first.
        first: (usize, usize),
        /// Width and height of the second.
        second: (usize, usize),
    },
    /// A tensor could not be read.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A PNG could not be made.
    #[error("cannot encode a PNG: {0}")]
    Encoding(#[from] png::EncodingError),
    /// A PNG could not be read.
    #[error("not a readable PNG: {0}")]
    Decoding(#[from] png::DecodingError),
    /// A PNG of another kind.
    #[error("only PNGs with 8 bits of red, green and blue are read here, found {found}")]
    NotRgb {
        /// Colour type and depth.
        found: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Picture {
    /// A picture from its bytes.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] or [`PictureError::WrongLength`].
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, PictureError> {
        let expected = n_bytes(width, height)?;
        if rgb.len() != expected {
            return Err(PictureError::WrongLength {
                width,
                height,
                found: rgb.len(),
            });
        }
        Ok(Self { width, height, rgb })
    }

    /// A picture of one colour.
    ///
    /// # Errors
    /// [`PictureError::BadSize`].
    pub fn plain(width: usize, height: usize, colour: [u8; 3]) -> Result<Self, PictureError> {
        let n_pixels = n_bytes(width, height)? / 3;
        let rgb = colour.repeat(n_pixels);
        Ok(Self { width, height, rgb })
    }

    /// A latent in pixel space, (3, height, width) in [-1, 1]: `x/2 + 1/2`, clamped,
    /// rounded to 255 steps. NaN becomes black.
    ///
    /// # Errors
    /// [`PictureError::NotPixels`] for any other shape.
    pub fn from_latent(image: &Tensor) -> Result<Self, PictureError> {
        let &[3, height, width] = image.dims() else {
            let found = image.dims().to_vec();
            return Err(PictureError::NotPixels { found });
        };
        n_bytes(width, height)?;
        let image = image.to_dtype(DType::F32)?;
        let values: Vec<f32> = image.permute((1, 2, 0))?.flatten_all()?.to_vec1()?; // (height, width, 3)
        let rgb = values.into_iter().map(byte_from_value).collect();
        Self::new(width, height, rgb)
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green, blue, 0 to 255, row-major from the top left.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// One pixel.
    ///
    /// # Panics
    /// If it is outside the picture.
    pub fn pixel(&self, column: usize, row: usize) -> [u8; 3] {
        assert!(
            column < self.width && row < self.height,
            "the pixel is in the picture"
        );
        let at = (row * self.width + column) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Values from 0 to 1 for the metrics: (height, width, 3), row-major.
    pub fn values(&self) -> Vec<f32> {
        self.rgb
            .iter()
            .map(|&byte| f32::from(byte) / 255.0)
            .collect()
    }

    /// How far two pictures are apart: |a − b| × [`DIFFERENCE_GAIN`], at most 255.
    ///
    /// # Errors
    /// [`PictureError::DifferentSizes`].
    pub fn difference(&self, other: &Self) -> Result<Self, PictureError> {
        let first = (self.width, self.height);
        let second = (other.width, other.height);
        if first != second {
            return Err(PictureError::DifferentSizes { first, second });
        }
        let pairs = self.rgb.iter().zip(&other.rgb);
        let rgb = pairs.map(|(a, b)| a.abs_diff(*b).saturating_mul(DIFFERENCE_GAIN));
        Self::new(self.width, self.height, rgb.collect())
    }

    /// Every pixel as a square of `factor` × `factor`.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] if that is too large, or `factor` is 0.
    pub fn enlarged(&self, factor: usize) -> Result<Self, PictureError> {
        let width = self.width.saturating_mul(factor);
        let height = self.height.saturating_mul(factor);
        let mut rgb = Vec::with_capacity(n_bytes(width, height)?);
        for row in self.rgb.chunks_exact(self.width * 3) {
            let row: Vec<u8> = row
                .chunks_exact(3)
                .flat_map(|pixel| pixel.repeat(factor))
                .collect();
            for _ in 0..factor {
                rgb.extend_from_slice(&row);
            }
        }
        Self::new(width, height, rgb)
    }

    /// The picture, or one whose sides are a whole number of times shorter and at most
    /// `side` long: each pixel the mean of those that it stands for.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] if `side` is 0.
    pub fn reduced_to(&self, side: usize) -> Result<Self, PictureError> {
        let longest = self.width.max(self.height);
        let factor = longest.div_ceil(side.max(1));
        let (width, height) = (self.width / factor, self.height / factor);
        let mut rgb = Vec::with_capacity(n_bytes(width, height)?);
        for row in 0..height {
            for column in 0..width {
                let mut sums = [0usize; 3];
                for idx in 0..factor * factor {
                    let (right, down) = (idx % factor, idx / factor);
                    let pixel = self.pixel(column * factor + right, row * factor + down);
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += usize::from(value);
                    }
                }
                rgb.extend(sums.map(|sum| (sum / (factor * factor)) as u8));
            }
        }
        Self::new(width, height, rgb)
    }

    /// Draws `other` with its top left corner at (`column`, `row`); what does not fit is
    /// left out.
    pub(crate) fn paste(&mut self, other: &Self, column: usize, row: usize) {
        let n_columns = other.width.min(self.width.saturating_sub(column));
        let n_rows = other.height.min(self.height.saturating_sub(row));
        for idx in 0..n_rows {
            let from = idx * other.width * 3;
            let to = ((row + idx) * self.width + column) * 3;
            let pixels = &other.rgb[from..from + n_columns * 3];
            self.rgb[to..to + n_columns * 3].copy_from_slice(pixels);
        }
    }

    /// Sets one pixel, if it is in the picture.
    fn set(&mut self, column: usize, row: usize, colour: [u8; 3]) {
        if column < self.width && row < self.height {
            let at = (row * self.width + column) * 3;
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }
}

fn n_bytes(width: usize, height: usize) -> Result<usize, PictureError> {
    match width.checked_mul(height) {
        Some(n_pixels @ 1..=MAX_PIXELS) => Ok(n_pixels * 3),
        _ => Err(PictureError::BadSize { width, height }),
    }
}

fn byte_from_value(value: f32) -> u8 {
    // A cast saturates and turns NaN into 0.
    ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8
}
