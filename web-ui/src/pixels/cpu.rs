//! Maps and numbers of a pair without a GPU, all through [`dfa_core::metric`].
//!
//! The numbers shown to people always come from here, whatever draws: they are those that
//! a worker writes into a report. A large pair is scanned in pieces, so that the page
//! stays awake meanwhile.

use dfa_core::metric::{Border, Image, ImageError, SsimRows, difference_map, psnr, relative_error};

use super::palette::{Palette, index_of};
use super::picture::PicturePair;

/// How a pair compares, pixel by pixel and as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PairMaps {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Largest absolute difference of a channel, in [0, 1].
    pub difference: Vec<f32>,
    /// Structural similarity, mean of the channels, in [−1, 1]; all 1 where the pair is
    /// too small for the window.
    pub ssim: Vec<f32>,
    /// The numbers.
    pub numbers: PairNumbers,
}

/// How a pair compares as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairNumbers {
    /// Mean of the difference map.
    pub mean_difference: f64,
    /// Largest value of the difference map.
    pub largest_difference: f64,
    /// Peak signal-to-noise ratio in decibels; `None` if the pictures are identical.
    pub psnr_db: Option<f64>,
    /// Mean SSIM where the window lies inside; `None` if the pictures are smaller than it.
    pub ssim: Option<f64>,
    /// ‖raw − compressed‖₂ / ‖raw‖₂; infinite if the raw picture is black.
    pub relative_error: f64,
}

/// Both pictures of a pair as the metrics take them.
pub struct PairValues {
    pair: PicturePair,
    raw: Vec<f32>,
    compressed: Vec<f32>,
}

impl PairValues {
    /// The values of a pair.
    pub fn of(pair: PicturePair) -> Self {
        Self {
            raw: pair.raw().values(),
            compressed: pair.compressed().values(),
            pair,
        }
    }

    fn images(&self) -> Result<[Image<'_>; 2], ImageError> {
        let shape = self.pair.raw().shape();
        Ok([
            Image::new(shape, &self.raw)?,
            Image::new(shape, &self.compressed)?,
        ])
    }
}

/// A comparison at work: the slow part of it, row by row.
pub struct PairScan<'a> {
    values: &'a PairValues,
    /// None for pictures smaller than the window.
    rows: Option<SsimRows<'a>>,
    ssim: Vec<f32>,
}

impl<'a> PairScan<'a> {
    /// A comparison that has not begun.
    ///
    /// # Errors
    /// [`ImageError`] if the values are not those of two comparable pictures.
    pub fn new(values: &'a PairValues) -> Result<Self, ImageError> {
        let [raw, compressed] = values.images()?;
        let rows = match SsimRows::new(&raw, &compressed, 1.0, Border::Mirrored) {
            Ok(rows) => Some(rows),
            Err(ImageError::TooSmall { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            values,
            rows,
            ssim: Vec::with_capacity(values.raw.len() / 3),
        })
    }

    /// Works on the next row; `false` if there was none.
    pub fn advance(&mut self) -> bool {
        let row = self.rows.as_mut().and_then(SsimRows::next_row);
        let Some(row) = row else { return false };
        self.ssim.extend_from_slice(row);
        true
    }

    /// Does what is left, and all that is quick.
    ///
    /// # Errors
    /// [`ImageError`] if the values are not those of two comparable pictures.
    pub fn finish(mut self) -> Result<PairMaps, ImageError> {
        while self.advance() {}
        let [raw, compressed] = self.values.images()?;
        let difference = difference_map(&raw, &compressed)?;
        self.ssim.resize(difference.len(), 1.0);
        let psnr_db = psnr(&raw, &compressed, 1.0)?;
        // Pictures have pixels, so there is something to compare.
        let relative_error = relative_error(&self.values.raw, &self.values.compressed);
        let values = difference.iter().map(|&value| f64::from(value));
        let numbers = PairNumbers {
            mean_difference: values.clone().sum::<f64>() / difference.len() as f64,
            largest_difference: values.fold(0.0, f64::max),
            psnr_db: psnr_db.is_finite().then_some(psnr_db),
            ssim: self.rows.as_ref().map(SsimRows::mean_inside),
            relative_error: relative_error.unwrap_or(0.0),
        };
        Ok(PairMaps {
            size: self.values.pair.size(),
            difference,
            ssim: self.ssim,
            numbers,
        })
    }
}

/// Maps and numbers of a pair, at once; for small pictures.
///
/// # Errors
/// [`ImageError`] if the values are not those of two comparable pictures.
pub fn compare(pair: PicturePair) -> Result<PairMaps, ImageError> {
    PairScan::new(&PairValues::of(pair))?.finish()
}

/// A difference map as colours, four bytes for each pixel; `gain` times as strong.
pub fn difference_colours(map: &[f32], gain: f32, palette: &Palette) -> Vec<u8> {
    colours(map.iter().map(|&value| value * gain), palette)
}

/// An SSIM map as colours: dark where the pictures are alike, light where they are not.
pub fn ssim_colours(map: &[f32], palette: &Palette) -> Vec<u8> {
    colours(map.iter().map(|&value| 1.0 - value), palette)
}

fn colours(heights: impl Iterator<Item = f32>, palette: &Palette) -> Vec<u8> {
    let colours = heights.map(|height| palette[index_of(height)]);
    colours.flat_map(|[r, g, b]| [r, g, b, 255]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::palette::palette;
    use super::super::picture::Picture;
    use super::*;
    use dfa_core::metric::ssim;

    #[test]
    fn numbers_are_those_of_a_report() {
        let pair = PicturePair::sample(40, 24).unwrap();
        let values = PairValues::of(pair.clone());
        let [raw, compressed] = values.images().unwrap();
        let maps = compare(pair).unwrap();
        let numbers = maps.numbers;
        assert_eq!(
            numbers.ssim,
            ssim(&raw, &compressed, 1.0, Border::Inside).ok()
        );
        assert_eq!(numbers.psnr_db, psnr(&raw, &compressed, 1.0).ok());
        assert!(numbers.mean_difference > 0.0);
        assert!(numbers.mean_difference < numbers.largest_difference);
        assert_eq!((maps.difference.len(), maps.ssim.len()), (40 * 24, 40 * 24));
    }

    #[test]
    fn identical_pictures_have_no_distance() {
        let picture = PicturePair::sample(16, 16).unwrap().raw().clone();
        let maps = compare(PicturePair::new(picture.clone(), picture).unwrap()).unwrap();
        assert_eq!(maps.numbers.psnr_db, None);
        assert_eq!(maps.numbers.ssim, Some(1.0));
        assert_eq!(maps.numbers.relative_error, 0.0);
        assert!(maps.difference.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn small_pictures_have_numbers_without_ssim() {
        let picture = |byte| Picture::new(3, 2, vec![byte; 24]).unwrap();
        let maps = compare(PicturePair::new(picture(100), picture(151)).unwrap()).unwrap();
        assert_eq!(maps.numbers.ssim, None);
        assert_eq!(maps.ssim, [1.0; 6]);
        assert!((maps.numbers.largest_difference - 0.2).abs() < 1e-6);
        assert!((maps.numbers.relative_error - 0.51).abs() < 1e-6);
    }

    #[test]
    fn maps_are_dark_where_nothing_differs() {
        let palette = palette();
        let bytes = difference_colours(&[0.0, 0.25, 1.0], 4.0, &palette);
        let expected = [palette[0], palette[255], palette[255]];
        assert!(bytes.chunks(4).map(|pixel| &pixel[..3]).eq(expected.iter()));
        let bytes = ssim_colours(&[1.0, 0.0, -0.5], &palette);
        assert!(bytes.chunks(4).map(|pixel| &pixel[..3]).eq(expected.iter()));
    }
}
