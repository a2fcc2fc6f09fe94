//! A view of an image's pixels, checked once.

/// How the channels of a pixel lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All of channel 0, then all of channel 1, …: `[channels, height, width]`.
    Planar,
    /// All channels of a pixel together: `[height, width, channels]`.
    Interleaved,
}

/// What the pixels of an image mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values per pixel: 3 for RGB, 1 for grey.
    pub channels: usize,
    /// How they lie in memory.
    pub layout: Layout,
}

/// Borrowed pixels whose number fits their shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Image<'a> {
    shape: ImageShape,
    data: &'a [f32],
}

/// Why images cannot be viewed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The data is not width × height × channels long.
    #[error(
        "an image of {width} × {height} pixels with {channels} channels has {expected} values, found {found}"
    )]
    WrongLength {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values per pixel.
        channels: usize,
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// An image without pixels.
    #[error("an image has at least one pixel and one channel")]
    Empty,
    /// Two images of different sizes.
    #[error("images of different sizes cannot be compared: {first:?} and {second:?}")]
    DifferentSizes {
        /// Width, height, channels of the first.
        first: [usize; 3],
        /// Width, height, channels of the second.
        second: [usize; 3],
    },
    /// An image smaller than SSIM's window.
    #[error("SSIM needs images of at least {side} × {side} pixels, found {width} × {height}")]
    TooSmall {
        /// Pixels on each side of the window.
        side: usize,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A range of pixel values that is not a positive number.
    #[error("the range of pixel values is a positive number, for example 1 or 255")]
    BadRange,
}

impl<'a> Image<'a> {
    /// A view of `data`.
    ///
    /// # Errors
    /// [`ImageError::WrongLength`] or [`ImageError::Empty`].
    pub fn new(shape: ImageShape, data: &'a [f32]) -> Result<Self, ImageError> {
        let ImageShape {
            width,
            height,
            channels,
            ..
        } = shape;
        let expected = width.saturating_mul(height).saturating_mul(channels);
        if expected != data.len() {
            return Err(ImageError::WrongLength {
                width,
                height,
                channels,
                expected,
                found: data.len(),
            });
        }
        if data.is_empty() {
            return Err(ImageError::Empty);
        }
        Ok(Self { shape, data })
    }

    /// The image's shape.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// One value.
    ///
    /// # Panics
    /// If the position is outside the image.
    pub fn value(&self, channel: usize, row: usize, column: usize) -> f32 {
        let ImageShape {
            width,
            height,
            channels,
            layout,
        } = self.shape;
        let idx = match layout {
            Layout::Planar => (channel * height + row) * width + column,
            Layout::Interleaved => (row * width + column) * channels + channel,
        };
        self.data[idx]
    }

    /// All values of one channel, row by row.
    pub(crate) fn channel(&self, channel: usize) -> impl Iterator<Item = f32> + '_ {
        let ImageShape { width, height, .. } = self.shape;
        let positions =
            (0..height).flat_map(move |row| (0..width).map(move |column| (row, column)));
        positions.map(move |(row, column)| self.value(channel, row, column))
    }

    /// Width, height, channels.
    fn size(&self) -> [usize; 3] {
        [self.shape.width, self.shape.height, self.shape.channels]
    }
}

/// Refuses images that cannot be compared pixel by pixel.
pub(crate) fn check_pair(a: &Image<'_>, b: &Image<'_>) -> Result<(), ImageError> {
    if a.size() == b.size() {
        return Ok(());
    }
    Err(ImageError::DifferentSizes {
        first: a.size(),
        second: b.size(),
    })
}

/// Refuses a range of pixel values that no image has.
pub(crate) fn check_range(range: f64) -> Result<(), ImageError> {
    if range.is_finite() && range > 0.0 {
        Ok(())
    } else {
        Err(ImageError::BadRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_give_the_same_values() {
        let shape = |layout| ImageShape {
            width: 2,
            height: 1,
            channels: 3,
            layout,
        };
        let planar = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0];
        let interleaved = [0.0, 10.0, 20.0, 1.0, 11.0, 21.0];
        let planar = Image::new(shape(Layout::Planar), &planar).unwrap();
        let interleaved = Image::new(shape(Layout::Interleaved), &interleaved).unwrap();
        for channel in 0..3 {
            assert!(planar.channel(channel).eq(interleaved.channel(channel)));
        }
        assert_eq!(planar.value(2, 0, 1), 21.0);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let check = |width, height, len, fits: bool| {
            let shape = ImageShape {
                width,
                height,
                channels: 1,
                layout: Layout::Planar,
            };
            assert_eq!(Image::new(shape, &[0.0; 6][..len]).is_ok(), fits);
        };
        check(2, 3, 6, true);
        check(2, 3, 5, false);
        check(0, 3, 0, false);
        check(usize::MAX, 2, 6, false);
    }
}
