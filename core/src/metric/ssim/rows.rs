//! The SSIM map, one row after the other: a few lines of both images are in work at any
//! moment, so that large pictures stay in the processor's cache and can be compared in
//! pieces.
//!
//! Every sum has one order of its terms, whatever the border; two programs of ours get
//! the same last digit.

use alloc::vec::Vec;
use core::ops::Range;

use super::{Border, RADIUS, WINDOW_SIDE};
use crate::metric::image::{Image, ImageError, check_pair, check_range};

const SIGMA: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// A scan over two images that gives their SSIM map one row at a time, so that a large
/// one can be made in pieces; and the means of what was scanned.
pub struct SsimRows<'a> {
    a: Image<'a>,
    b: Image<'a>,
    border: Border,
    weights: [f64; WINDOW_SIDE],
    /// The two constants that keep the quotients finite.
    constants: [f64; 2],
    channels: Vec<ChannelScan>,
    /// Columns and rows of the map.
    map_size: [usize; 2],
    /// Those of them where the window lies inside the images.
    inside: [Range<usize>; 2],
    next_row: usize,
    sums: Vec<f64>,
    row: Vec<f32>,
}

impl<'a> SsimRows<'a> {
    /// A scan that has not begun.
    ///
    /// # Errors
    /// As for [`ssim`](super::ssim()).
    pub fn new(
        a: &Image<'a>,
        b: &Image<'a>,
        range: f64,
        border: Border,
    ) -> Result<Self, ImageError> {
        check_range(range)?;
        check_pair(a, b)?;
        let shape = a.shape();
        let (width, height) = (shape.width, shape.height);
        if width.min(height) < WINDOW_SIDE {
            return Err(ImageError::TooSmall {
                side: WINDOW_SIDE,
                width,
                height,
            });
        }
        let sides = [width, height];
        let (map_size, inside) = match border {
            Border::Inside => {
                let map_size = sides.map(|side| side - 2 * RADIUS);
                (map_size, map_size.map(|side| 0..side))
            }
            Border::Mirrored => (sides, sides.map(|side| RADIUS..side - RADIUS)),
        };
        let channels = (0..shape.channels).map(|_| ChannelScan::new(map_size[0]));
        Ok(Self {
            a: *a,
            b: *b,
            border,
            weights: gaussian(),
            constants: [K1 * range, K2 * range].map(|root| root * root),
            channels: channels.collect(),
            map_size,
            inside,
            next_row: 0,
            sums: alloc::vec![0.0; map_size[0]],
            row: alloc::vec![0.0; map_size[0]],
        })
    }

    /// Columns and rows of the map.
    pub fn map_size(&self) -> [usize; 2] {
        self.map_size
    }

    /// The map's next row; `None` after the last one.
    pub fn next_row(&mut self) -> Option<&[f32]> {
        let row = self.next_row;
        if row == self.map_size[1] {
            return None;
        }
        // The window of row r covers the lines r … r+10; the first ten of them are known
        // from the rows before, but for the first row.
        let first_line = if row == 0 { 0 } else { row + WINDOW_SIDE - 1 };
        for line in first_line..row + WINDOW_SIDE {
            self.take_line(line);
        }
        let [columns, rows] = &self.inside;
        let inside = rows.contains(&row).then_some(columns);
        self.sums.fill(0.0);
        for channel in &mut self.channels {
            let similarities = channel.row(row, &self.weights, self.constants);
            for (sum, similarity) in self.sums.iter_mut().zip(similarities) {
                *sum += similarity;
            }
            channel.count(inside);
        }
        let n_channels = self.channels.len() as f64;
        for (mean, sum) in self.row.iter_mut().zip(&self.sums) {
            *mean = (sum / n_channels) as f32;
        }
        self.next_row += 1;
        Some(&self.row)
    }

    /// Mean over the positions and channels that were scanned.
    pub fn mean(&self) -> f64 {
        let n = self.map_size[0] * self.next_row;
        self.mean_of(n, |channel| channel.sum)
    }

    /// Mean over those positions where the window lies inside the images: what [`ssim`](super::ssim())
    /// gives with [`Border::Inside`], once the scan is through.
    pub fn mean_inside(&self) -> f64 {
        let n = self.channels.first().map_or(0, |channel| channel.n_inside);
        self.mean_of(n, |channel| channel.sum_inside)
    }

    fn mean_of(&self, n: usize, sum: impl Fn(&ChannelScan) -> f64) -> f64 {
        let means = self.channels.iter().map(|channel| sum(channel) / n as f64);
        means.sum::<f64>() / self.channels.len() as f64
    }

    /// Reads one line of the images, counted from the first that the window touches.
    fn take_line(&mut self, line: usize) {
        let shape = self.a.shape();
        let source_row = match self.border {
            Border::Inside => line,
            Border::Mirrored => mirrored(line, shape.height),
        };
        for (channel, scan) in self.channels.iter_mut().enumerate() {
            let lines = [&self.a, &self.b].map(|image| {
                let value = |column| f64::from(image.value(channel, source_row, column));
                let line: Vec<f64> = match self.border {
                    Border::Inside => (0..shape.width).map(value).collect(),
                    Border::Mirrored => (0..shape.width + 2 * RADIUS)
                        .map(|padded| value(mirrored(padded, shape.width)))
                        .collect(),
                };
                line
            });
            scan.take(line, &lines, &self.weights);
        }
    }
}

/// Σw·a, Σw·b, Σw·a², Σw·b², Σw·ab of each window.
const N_MOMENTS: usize = 5;

/// What a scan remembers of one channel.
struct ChannelScan {
    /// The means along the last eleven lines: line l at `l % 11`, moment after moment.
    lines: [[Vec<f64>; N_MOMENTS]; WINDOW_SIDE],
    /// The means over the windows of the row at work.
    means: [Vec<f64>; N_MOMENTS],
    similarities: Vec<f64>,
    sum: f64,
    sum_inside: f64,
    n_inside: usize,
}

impl ChannelScan {
    fn new(map_width: usize) -> Self {
        let line = || alloc::vec![0.0; map_width];
        Self {
            lines: core::array::from_fn(|_| core::array::from_fn(|_| line())),
            means: core::array::from_fn(|_| line()),
            similarities: line(),
            sum: 0.0,
            sum_inside: 0.0,
            n_inside: 0,
        }
    }

    /// Takes the means along one line of both images.
    fn take(&mut self, line: usize, [a, b]: &[Vec<f64>; 2], weights: &[f64; WINDOW_SIDE]) {
        let product =
            |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
        let squares = [product(a, a), product(b, b), product(a, b)];
        let values = [a, b].into_iter().chain(&squares);
        for (means, values) in self.lines[line % WINDOW_SIDE].iter_mut().zip(values) {
            let windows = values.array_windows::<WINDOW_SIDE>();
            for (mean, window) in means.iter_mut().zip(windows) {
                let weighted = window.iter().zip(weights).map(|(x, w)| x * w);
                *mean = weighted.sum();
            }
        }
    }

    /// The similarities of one row of the map (the paper's equation 13).
    fn row(&mut self, row: usize, weights: &[f64; WINDOW_SIDE], [c1, c2]: [f64; 2]) -> &[f64] {
        for (moment, means) in self.means.iter_mut().enumerate() {
            means.fill(0.0);
            for (offset, weight) in weights.iter().enumerate() {
                let line = &self.lines[(row + offset) % WINDOW_SIDE][moment];
                for (mean, x) in means.iter_mut().zip(line) {
                    *mean += weight * x;
                }
            }
        }
        let [mean_a, mean_b, square_a, square_b, product] = &self.means;
        for (idx, similarity) in self.similarities.iter_mut().enumerate() {
            let (ma, mb) = (mean_a[idx], mean_b[idx]);
            let variance_a = square_a[idx] - ma * ma;
            let variance_b = square_b[idx] - mb * mb;
            let covariance = product[idx] - ma * mb;
            let numerator = (2.0 * ma * mb + c1) * (2.0 * covariance + c2);
            let denominator = (ma * ma + mb * mb + c1) * (variance_a + variance_b + c2);
            *similarity = numerator / denominator;
        }
        &self.similarities
    }

    /// Adds the row at work to the sums; `inside` are its columns whose window lies
    /// inside the images, if there are any.
    fn count(&mut self, inside: Option<&Range<usize>>) {
        // One after the other: other programs of ours must get the same last digit.
        for similarity in &self.similarities {
            self.sum += similarity;
        }
        let Some(inside) = inside else { return };
        for similarity in &self.similarities[inside.clone()] {
            self.sum_inside += similarity;
        }
        self.n_inside += inside.len();
    }
}

/// The pixel that stands at a position of a side of n pixels, padded by five on each end
/// and mirrored into itself without repeating the edge.
fn mirrored(padded: usize, n: usize) -> usize {
    let distance = padded.abs_diff(RADIUS);
    if distance < n {
        distance
    } else {
        2 * (n - 1) - distance
    }
}

/// The window's weights along one side, which add up to 1.
pub fn gaussian() -> [f64; WINDOW_SIDE] {
    let mut weights = [0.0; WINDOW_SIDE];
    for (idx, weight) in weights.iter_mut().enumerate() {
        let distance = idx.abs_diff(RADIUS) as f64;
        *weight = libm::exp(-0.5 * distance * distance / (SIGMA * SIGMA));
    }
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_mirrored_without_repeating_the_edge() {
        let positions: Vec<usize> = (0..16).map(|padded| mirrored(padded, 6)).collect();
        assert_eq!(positions, [5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]);
    }
}
