//! Many plans in one plot: quality against cost, and which of them no other plan beats.
//!
//! A point is on the front if no other point is at least as good in both and better in
//! one. Points that lack a number that the plot asks for are left out and counted.

use dfa_core::wire::report::ImageMetrics;
use dfa_core::wire::{ContentHash, Report};

use crate::words::number;

/// What is drawn upwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// Structural similarity, the mean over the images.
    #[default]
    SsimMean,
    /// Structural similarity of the worst image.
    SsimWorst,
    /// Peak signal-to-noise ratio, the mean over the images that differ at all.
    PsnrMean,
    /// Peak signal-to-noise ratio of the worst image.
    PsnrWorst,
}

/// What is drawn to the right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Price {
    /// Share of the attention MACs that is kept.
    #[default]
    AttentionMacs,
    /// Seconds of the whole run, per image.
    Seconds,
}

impl Quality {
    /// Every quality, in the order of the menu.
    pub const ALL: [Self; 4] = [
        Self::SsimMean,
        Self::SsimWorst,
        Self::PsnrMean,
        Self::PsnrWorst,
    ];

    /// The words of the axis and the menu, with the unit.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SsimMean => "SSIM, mean",
            Self::SsimWorst => "SSIM, worst image",
            Self::PsnrMean => "PSNR, mean (dB)",
            Self::PsnrWorst => "PSNR, worst image (dB)",
        }
    }
}

impl Price {
    /// Every price, in the order of the menu.
    pub const ALL: [Self; 2] = [Self::AttentionMacs, Self::Seconds];

    /// The words of the axis and the menu, with the unit.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AttentionMacs => "attention MACs kept (%)",
            Self::Seconds => "time per image (s)",
        }
    }
}

/// The mean over all images and the worst of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanAndWorst {
    /// Mean.
    pub mean: f64,
    /// Worst.
    pub worst: f64,
}

/// What was measured of one plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What people call the plan.
    pub name: String,
    /// Which plan.
    pub plan_hash: ContentHash,
    /// δ of its search.
    pub threshold: Option<f64>,
    /// Structural similarity; `None` without images.
    pub ssim: Option<MeanAndWorst>,
    /// Peak signal-to-noise ratio in dB; `None` if no image differs.
    pub psnr_db: Option<MeanAndWorst>,
    /// Share of the attention MACs that is kept.
    pub attention_kept_share: f64,
    /// Seconds of the compressed run, per image; `None` without images.
    pub secs_per_image: Option<f64>,
}

impl From<&Report> for Measured {
    fn from(report: &Report) -> Self {
        let images = &report.images;
        let n_images = images.len() as f64;
        let secs = report.timings.compressed.total_secs / n_images;
        Self {
            name: name_of(report),
            plan_hash: report.plan.plan_hash,
            threshold: report.plan.threshold,
            ssim: mean_and_worst(images, |image| Some(image.ssim)),
            psnr_db: mean_and_worst(images, |image| image.psnr_db),
            attention_kept_share: report.cost.attention_kept_share,
            secs_per_image: secs.is_finite().then_some(secs),
        }
    }
}

fn name_of(report: &Report) -> String {
    let plan = &report.plan;
    match (&plan.file, plan.threshold) {
        (Some(file), _) => file.clone(),
        (None, Some(threshold)) => format!("δ = {}", number(threshold)),
        (None, None) => plan.plan_hash.short(),
    }
}

fn mean_and_worst(
    images: &[ImageMetrics],
    value: impl Fn(&ImageMetrics) -> Option<f64>,
) -> Option<MeanAndWorst> {
    let values: Vec<f64> = images
        .iter()
        .filter_map(value)
        .filter(|v| v.is_finite())
        .collect();
    let worst = values.iter().copied().min_by(f64::total_cmp)?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(MeanAndWorst { mean, worst })
}

impl Measured {
    fn quality(&self, quality: Quality) -> Option<f64> {
        match quality {
            Quality::SsimMean => self.ssim.map(|ssim| ssim.mean),
            Quality::SsimWorst => self.ssim.map(|ssim| ssim.worst),
            Quality::PsnrMean => self.psnr_db.map(|psnr| psnr.mean),
            Quality::PsnrWorst => self.psnr_db.map(|psnr| psnr.worst),
        }
    }

    fn price(&self, price: Price) -> Option<f64> {
        match price {
            Price::AttentionMacs => Some(100.0 * self.attention_kept_share),
            Price::Seconds => self.secs_per_image,
        }
    }
}

/// One plan in the plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its place in the list that was given.
    pub idx: usize,
    /// Price.
    pub x: f64,
    /// Quality.
    pub y: f64,
    /// Whether no other plan beats it.
    pub is_on_front: bool,
}

/// A number line with round marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures, with the unit.
    pub title: &'static str,
    /// Where it begins.
    pub low: f64,
    /// Where it ends, above `low`.
    pub high: f64,
    /// Marks and their words.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// The place of a value: 0 at the beginning, 1 at the end.
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A plot, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The points, cheapest first.
    pub points: Vec<Point>,
    /// Price.
    pub x: Axis,
    /// Quality.
    pub y: Axis,
    /// Plans that lack a number that the plot asks for.
    pub n_left_out: usize,
}

/// Plots plans.
pub fn plot(plans: &[Measured], quality: Quality, price: Price) -> Plot {
    let points = plans.iter().enumerate().filter_map(|(idx, plan)| {
        let (x, y) = (plan.price(price)?, plan.quality(quality)?);
        (x.is_finite() && y.is_finite()).then_some(Point {
            idx,
            x,
            y,
            is_on_front: false,
        })
    });
    let mut points: Vec<Point> = points.collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(b.y.total_cmp(&a.y)));
    mark_front(&mut points);
    Plot {
        n_left_out: plans.len() - points.len(),
        x: axis(price.title(), points.iter().map(|point| point.x)),
        y: axis(quality.title(), points.iter().map(|point| point.y)),
        points,
    }
}

/// Marks the front of points that are sorted by price, and by falling quality where the
/// price is the same: whoever is better than everything cheaper.
fn mark_front(points: &mut [Point]) {
    let mut best: Option<Point> = None;
    for point in points {
        point.is_on_front = match best {
            None => true,
            // Two plans with the same numbers are both on the front.
            Some(best) => point.y > best.y || (point.y == best.y && point.x == best.x),
        };
        if point.is_on_front {
            best = Some(*point);
        }
    }
}

/// Marks that are aimed at on an axis.
const N_TICKS: f64 = 5.0;

fn axis(title: &'static str, values: impl Iterator<Item = f64> + Clone) -> Axis {
    let low = values.clone().min_by(f64::total_cmp).unwrap_or(0.0);
    let high = values.max_by(f64::total_cmp).unwrap_or(1.0);
    // A single value lies in the middle of a narrow axis.
    let span = (high - low).max(1e-3 * high.abs()).max(1e-6);
    let step = round_step(span / N_TICKS);
    // A value on a mark, give or take a rounding error, needs no further mark.
    let first = (low / step + 1e-9).floor();
    let last = (high / step - 1e-9).ceil().max(first + 1.0);
    let n_decimals = (-step.log10().floor()).max(0.0) as usize;
    let ticks = (0..=(last - first) as usize).map(|idx| {
        let value = (first + idx as f64) * step;
        (value, format!("{value:.n_decimals$}"))
    });
    Axis {
        title,
        low: first * step,
        high: last * step,
        ticks: ticks.collect(),
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let mut steps = factors.map(|factor| factor * power);
    steps
        .find(|&step| step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kept: f64, ssim: Option<[f64; 2]>) -> Measured {
        Measured {
            name: "plan".into(),
            plan_hash: ContentHash::of(b"plan"),
            threshold: None,
            ssim: ssim.map(|[mean, worst]| MeanAndWorst { mean, worst }),
            psnr_db: None,
            attention_kept_share: kept,
            secs_per_image: None,
        }
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let plans = [
            measured(0.5, Some([0.9, 0.7])),
            measured(0.6, Some([0.85, 0.8])),
            measured(0.3, Some([0.8, 0.6])),
            measured(0.3, Some([0.7, 0.6])),
            measured(0.7, None),
            measured(0.5, Some([0.9, 0.7])),
        ];
        let check = |quality, expected: &[usize]| {
            let plot = plot(&plans, quality, Price::AttentionMacs);
            let front = plot.points.iter().filter(|point| point.is_on_front);
            let mut front: Vec<usize> = front.map(|point| point.idx).collect();
            front.sort_unstable();
            assert_eq!(front, expected, "{quality:?}");
            assert_eq!(plot.n_left_out, 1);
        };
        check(Quality::SsimMean, &[0, 2, 5]);
        check(Quality::SsimWorst, &[0, 1, 2, 3, 5]);
        assert_eq!(
            plot(&plans, Quality::SsimMean, Price::Seconds).n_left_out,
            6
        );
    }

    #[test]
    fn axes_have_round_marks_around_all_points() {
        let check = |values: &[f64], expected: &[&str]| {
            let axis = axis("", values.iter().copied());
            let words: Vec<&str> = axis.ticks.iter().map(|(_, words)| words.as_str()).collect();
            assert_eq!(words, expected, "{values:?}");
            for &value in values {
                assert!(
                    (-1e-9..=1.0 + 1e-9).contains(&axis.place(value)),
                    "{values:?}"
                );
            }
        };
        check(&[31.0, 78.0], &["30", "40", "50", "60", "70", "80"]);
        check(&[0.81, 0.97], &["0.80", "0.85", "0.90", "0.95", "1.00"]);
        check(&[], &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        axis("", [5.0].into_iter());
        axis("", [0.0].into_iter());
    }
}
