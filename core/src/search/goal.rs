//! A goal in place of a threshold: how much is to be saved, or how much kept.
//!
//! The larger δ, the more a plan saves and the less its images are like the raw ones. Of
//! the thresholds that reach a goal the best is therefore the smallest that saves enough,
//! or the largest that stays alike enough; [`Goal::bisect`] finds it on a grid.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::Threshold;

mod next_threshold;

/// Distance of the thresholds that are looked at.
const GRID: f64 = 1e-3;
/// A PSNR that stands for identical images, whose own is infinite, in dB.
pub const MAX_PSNR_DB: f64 = 100.0;

/// What a plan is wanted to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    quantity: Quantity,
    /// In the quantity's unit.
    value: f64,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Share of the attention MACs (QKᵀ and AV) that is kept, 0 to 1: at most the goal.
    KeptMacs,
    /// Seconds of a raw run / seconds of a compressed one: at least the goal.
    Speedup,
    /// Mean PSNR of the compressed calibration images to the raw ones, in dB: at least the
    /// goal.
    Psnr,
}

/// The threshold that suits a goal best, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suited {
    /// δ.
    pub threshold: Threshold,
    /// The quantity there, in its unit.
    pub value: f64,
    /// Whether that reaches the goal; otherwise no threshold does, and this comes nearest.
    pub is_met: bool,
}

/// A text that is no goal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGoal {
    /// No quantity of ours with a sign of ours.
    #[error(
        "{found:?} is no target; write macs=50% (attention MACs kept, at most), \
         speedup=1.5 (at least) or psnr>=30 (dB, at least)"
    )]
    Unknown {
        /// What was found, shortened to 40 characters.
        found: String,
    },
    /// The number is none, or makes no sense for the quantity.
    #[error("{found:?} is no value for the target {name}: give {expected}")]
    BadValue {
        /// The quantity's name.
        name: &'static str,
        /// What was found, shortened to 40 characters.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
}

impl Quantity {
    /// Every quantity.
    pub const ALL: [Self; 3] = [Self::KeptMacs, Self::Speedup, Self::Psnr];

    /// Its name in a goal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeptMacs => "macs",
            Self::Speedup => "speedup",
            Self::Psnr => "psnr",
        }
    }

    /// What values a goal may have.
    const fn expected(self) -> &'static str {
        match self {
            Self::KeptMacs => "a share above 0 and at most 1, like 50% or 0.5",
            Self::Speedup => "a number from 1 to 1000",
            Self::Psnr => "decibels above 0, at most 100",
        }
    }

    /// Whether a larger threshold comes nearer to such a goal.
    const fn is_saving(self) -> bool {
        !matches!(self, Self::Psnr)
    }

    /// A value for people: `49.3 %`, `1.52 ×`, `31.0 dB`.
    pub fn words(self, value: f64) -> String {
        match self {
            Self::KeptMacs => alloc::format!("{:.1} % of the attention MACs kept", 100.0 * value),
            Self::Speedup => alloc::format!("a predicted speedup of {value:.2}"),
            Self::Psnr => alloc::format!("a mean PSNR of {value:.1} dB"),
        }
    }
}

impl Goal {
    /// A goal from its quantity and value (a share for MACs).
    ///
    /// # Errors
    /// [`BadGoal::BadValue`].
    pub fn new(quantity: Quantity, value: f64) -> Result<Self, BadGoal> {
        let fits = match quantity {
            Quantity::KeptMacs => value > 0.0 && value <= 1.0,
            Quantity::Speedup => (1.0..=1000.0).contains(&value),
            Quantity::Psnr => value > 0.0 && value <= MAX_PSNR_DB,
        };
        match fits {
            true => Ok(Self { quantity, value }),
            false => Err(bad_value(quantity, &alloc::format!("{value}"))),
        }
    }

    /// What it is about.
    pub const fn quantity(self) -> Quantity {
        self.quantity
    }

    /// What is wanted, in the quantity's unit.
    pub const fn value(self) -> f64 {
        self.value
    }

    /// Whether a plan with this value reaches the goal.
    pub fn is_met_by(self, value: f64) -> bool {
        match self.quantity {
            Quantity::KeptMacs => value <= self.value,
            Quantity::Speedup | Quantity::Psnr => value >= self.value,
        }
    }

    /// How far beyond the goal a plan may go and still be what was asked for: two points of a
    /// share, 2 % of a speedup, 1 dB.
    fn margin(self) -> f64 {
        match self.quantity {
            Quantity::KeptMacs => 0.02,
            Quantity::Speedup => 0.02 * self.value,
            Quantity::Psnr => 1.0,
        }
    }

    /// A goal in the middle of the margin, so that a small error misses neither end.
    fn aim(self) -> Self {
        let half = 0.5 * self.margin();
        let value = match self.quantity {
            Quantity::KeptMacs => self.value - half.min(0.5 * self.value),
            Quantity::Speedup => self.value + half,
            Quantity::Psnr => (self.value + half).min(MAX_PSNR_DB),
        };
        Self { value, ..self }
    }

    /// The threshold between `least` and `most`, ends included, that suits the goal best,
    /// where `value_at` tells the quantity at a threshold. Asks about 10 times.
    ///
    /// # Errors
    /// Whatever `value_at` fails with.
    pub fn bisect<E>(
        self,
        [least, most]: [Threshold; 2],
        mut value_at: impl FnMut(Threshold) -> Result<f64, E>,
    ) -> Result<Suited, E> {
        let mut suited_at = |threshold| {
            let value = value_at(threshold)?;
            let is_met = self.is_met_by(value);
            Ok(Suited {
                threshold,
                value,
                is_met,
            })
        };
        // From the end that is sure to reach the goal, if any does, to the better one.
        let [sure, better] = match self.quantity.is_saving() {
            true => [most, least],
            false => [least, most],
        };
        let [mut met, mut unmet] = [grid_index(sure), grid_index(better)];
        let best = suited_at(on_grid(unmet))?;
        if best.is_met {
            return Ok(best);
        }
        let mut best = suited_at(on_grid(met))?;
        while best.is_met && met.abs_diff(unmet) > 1 {
            let middle = u64::midpoint(met, unmet);
            let found = suited_at(on_grid(middle))?;
            if found.is_met {
                (met, best) = (middle, found);
            } else {
                unmet = middle;
            }
        }
        Ok(best)
    }

    /// Of plans that were tried, the best that reaches the goal, or the nearest to it.
    pub fn best_of(self, tried: &[Suited]) -> Option<usize> {
        let distance = |tried: &Suited| (tried.value - self.value).abs();
        // Of equal ones, where more was not needed, or less not lost.
        let place = |tried: &Suited| match self.quantity.is_saving() {
            true => tried.threshold.value(),
            false => -tried.threshold.value(),
        };
        let order = |a: &Suited, b: &Suited| {
            let by_met = b.is_met.cmp(&a.is_met);
            let by_distance = distance(a).total_cmp(&distance(b));
            by_met.then(by_distance).then(place(a).total_cmp(&place(b)))
        };
        let tried = tried.iter().enumerate();
        tried.min_by(|a, b| order(a.1, b.1)).map(|(idx, _)| idx)
    }
}

fn grid_index(threshold: Threshold) -> u64 {
    // Upwards, so that the largest loss stays under the last threshold's budget.
    let steps = threshold.value() / GRID;
    let below = steps as u64;
    if (below as f64) < steps {
        below + 1
    } else {
        below
    }
}

fn on_grid(idx: u64) -> Threshold {
    // The nearest double to idx/1000: not the product, which is off in its last digits.
    Threshold(idx as f64 / (1.0 / GRID))
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quantity {
            Quantity::KeptMacs => {
                // A hundred times a share is off in its last digits.
                let percent = alloc::format!("{:.9}", 100.0 * self.value);
                let percent = percent.trim_end_matches('0').trim_end_matches('.');
                write!(f, "macs={percent}%")
            }
            Quantity::Speedup => write!(f, "speedup={}", self.value),
            Quantity::Psnr => write!(f, "psnr>={}", self.value),
        }
    }
}

impl FromStr for Goal {
    type Err = BadGoal;

    fn from_str(text: &str) -> Result<Self, BadGoal> {
        let unknown = || BadGoal::Unknown {
            found: text.chars().take(40).collect(),
        };
        let (name, number) = text.split_once('=').ok_or_else(unknown)?;
        let (name, sign) = match name.as_bytes().last() {
            Some(b'<' | b'>') => name.split_at(name.len() - 1),
            _ => (name, ""),
        };
        let quantity = Quantity::ALL
            .into_iter()
            .find(|quantity| quantity.as_str() == name.trim())
            .ok_or_else(unknown)?;
        let wrong_sign = if quantity == Quantity::KeptMacs {
            ">"
        } else {
            "<"
        };
        if sign == wrong_sign {
            return Err(unknown());
        }
        let value = value_of(quantity, number.trim());
        let value = value.ok_or_else(|| bad_value(quantity, number))?;
        Self::new(quantity, value).map_err(|_| bad_value(quantity, number))
    }
}

/// The number of a goal; a percentage only where it is a share.
fn value_of(quantity: Quantity, number: &str) -> Option<f64> {
    match number.strip_suffix('%') {
        Some(percent) if quantity == Quantity::KeptMacs => {
            Some(percent.trim_end().parse::<f64>().ok()? / 100.0)
        }
        _ => number.parse().ok(),
    }
}

fn bad_value(quantity: Quantity, found: &str) -> BadGoal {
    BadGoal::BadValue {
        name: quantity.as_str(),
        found: found.chars().take(40).collect(),
        expected: quantity.expected(),
    }
}

#[cfg(test)]
mod tests;
