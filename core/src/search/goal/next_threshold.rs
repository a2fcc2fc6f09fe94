//! Which threshold is tried next, after what others gave. The first correction is by the
//! estimates that led to the first one; from two tries on, by what they gave: savings and
//! likeness go about evenly with the logarithm of δ.

use super::{Goal, Quantity, Suited, Threshold, grid_index, on_grid};

/// Failures after which the next step is a large one.
const MAX_SMALL_STEPS: usize = 3;
/// Largest factor between a threshold and the next, as far as tries are to be trusted.
const MAX_FACTOR: f64 = 2.0;
/// The factor where tries tell nothing.
const BLIND_FACTOR: f64 = 1.25;

/// Thresholds that may be tried, as indices of the grid, first and last included.
#[derive(Clone, Copy)]
struct Open {
    first: u64,
    last: u64,
}

impl Open {
    fn ends(self) -> [Threshold; 2] {
        [on_grid(self.first), on_grid(self.last)]
    }

    /// The nearest to δ in it.
    fn nearest(self, delta: f64) -> Threshold {
        let inside = delta.clamp(on_grid(self.first).value(), on_grid(self.last).value());
        Threshold::new(inside).map_or(on_grid(self.last), |at| {
            on_grid(grid_index(at).clamp(self.first, self.last))
        })
    }

    /// Its middle by factors.
    fn middle(self) -> Threshold {
        let [first, last] = self.ends().map(of_log);
        self.nearest(libm::exp(0.5 * (first + last)))
    }
}

/// ln δ; 0 counts as the first threshold of the grid.
fn of_log(threshold: Threshold) -> f64 {
    libm::log(threshold.value().max(on_grid(1).value()))
}

impl Goal {
    /// The next threshold to try after `tried` (thresholds and true values), up to `most`,
    /// given estimates of the quantity.
    ///
    /// As long as none reaches the goal: farther on, after three failures with a large step.
    /// Once one does: between it and those that do not, until one goes hardly beyond the
    /// goal. None if nothing is left.
    ///
    /// # Errors
    /// Whatever `estimate_at` fails with.
    pub fn next_after<E>(
        self,
        tried: &[Suited],
        most: Threshold,
        estimate_at: impl FnMut(Threshold) -> Result<f64, E>,
    ) -> Result<Option<Threshold>, E> {
        let Some(best) = self.best_of(tried).map(|idx| tried[idx]) else {
            return Ok(None);
        };
        if best.is_met && (best.value - self.value).abs() <= self.margin() {
            return Ok(None);
        }
        let failure = self.nearest_failure(best, tried);
        let Some(open) = self.open(best, failure, tried, most) else {
            return Ok(None);
        };
        let next = match tried.len() {
            1 => self.by_estimates(best, open, estimate_at)?,
            _ => Some(self.among(tried, (best, failure), open)),
        };
        let is_new = |next: &Threshold| tried.iter().all(|tried| tried.threshold != *next);
        let farther = || Some(open.nearest(self.blind_step(best))).filter(is_new);
        Ok(next.and_then(|next| Some(next).filter(is_new).or_else(farther)))
    }

    /// The next one after two or more.
    fn among(
        self,
        tried: &[Suited],
        (best, failure): (Suited, Option<Suited>),
        open: Open,
    ) -> Threshold {
        let is_between = best.is_met && failure.is_some();
        if is_between && is_one_sided(tried) {
            return open.middle();
        }
        let at = best.threshold;
        let others = tried.iter().filter(|tried| tried.threshold != at);
        let nearest = others.min_by(|a, b| {
            let factor = |tried: &Suited| (of_log(tried.threshold) - of_log(at)).abs();
            factor(a).total_cmp(&factor(b))
        });
        let other = failure.filter(|_| best.is_met).or(nearest.copied());
        let next = match other {
            Some(other) => open.nearest(self.by_tries(best, other)),
            None => open.nearest(self.blind_step(best)),
        };
        let is_slow = !best.is_met && tried.len() >= MAX_SMALL_STEPS;
        match (is_slow, self.quantity.is_saving()) {
            (false, _) => next,
            (true, true) => open.nearest(next.value().max(1.5 * at.value())),
            (true, false) => open.nearest(next.value().min(0.5 * at.value())),
        }
    }

    /// Of those that failed, the nearest to `best` on the side where less is done for the
    /// goal.
    fn nearest_failure(self, best: Suited, tried: &[Suited]) -> Option<Suited> {
        let failed = tried.iter().filter(|tried| !tried.is_met).copied();
        let at = best.threshold.value();
        let place = |tried: &Suited| tried.threshold.value();
        let order = |a: &Suited, b: &Suited| place(a).total_cmp(&place(b));
        match self.quantity.is_saving() {
            true => failed.filter(|tried| place(tried) < at).max_by(order),
            false => failed.filter(|tried| place(tried) > at).min_by(order),
        }
    }

    /// What is left to try: between the best and the failure, or beyond all of them if all
    /// failed.
    fn open(
        self,
        best: Suited,
        failure: Option<Suited>,
        tried: &[Suited],
        most: Threshold,
    ) -> Option<Open> {
        let place = |tried: &Suited| grid_index(tried.threshold);
        let (at, most) = (place(&best), grid_index(most));
        let (first, last) = match (best.is_met, self.quantity.is_saving()) {
            (true, true) => (failure.map_or(0, |it| place(&it) + 1), at.checked_sub(1)?),
            (true, false) => (at + 1, failure.map_or(most, |it| place(&it) - 1)),
            (false, true) => (tried.iter().map(place).max()? + 1, most),
            (false, false) => (0, tried.iter().map(place).min()?.checked_sub(1)?),
        };
        (first <= last).then_some(Open { first, last })
    }

    /// By the estimates, corrected by how far they were off at the only one tried. None if
    /// that one reaches the goal and no other is said to do.
    fn by_estimates<E>(
        self,
        only: Suited,
        open: Open,
        mut estimate_at: impl FnMut(Threshold) -> Result<f64, E>,
    ) -> Result<Option<Threshold>, E> {
        let error = only.value - estimate_at(only.threshold)?;
        let corrected = |at| Ok(estimate_at(at)? + error);
        let suited = self.aim().bisect(open.ends(), corrected)?;
        let at = only.threshold.value().max(on_grid(1).value());
        let within = suited
            .threshold
            .value()
            .clamp(at / MAX_FACTOR, at * MAX_FACTOR);
        Ok(match (suited.is_met, only.is_met) {
            (true, _) => Some(open.nearest(within)),
            (false, true) => None,
            // Nothing reaches it; the end comes nearest.
            (false, false) => Some(suited.threshold),
        })
    }

    /// δ where the line through two tries, in ln δ, reaches the goal.
    fn by_tries(self, best: Suited, other: Suited) -> f64 {
        let (from, to) = (of_log(best.threshold), of_log(other.threshold));
        let slope = (other.value - best.value) / (to - from);
        let is_falling = self.quantity != Quantity::Speedup;
        if !slope.is_finite() || slope == 0.0 || (slope < 0.0) != is_falling {
            return self.blind_step(best);
        }
        let step = (self.aim().value - best.value) / slope;
        let most = match best.is_met == other.is_met {
            true => libm::log(MAX_FACTOR),
            false => f64::INFINITY,
        };
        libm::exp(from + step.clamp(-most, most))
    }

    /// A δ where more is done for the goal, or less if `best` reaches it.
    fn blind_step(self, best: Suited) -> f64 {
        let factor = match self.quantity.is_saving() != best.is_met {
            true => BLIND_FACTOR,
            false => 1.0 / BLIND_FACTOR,
        };
        best.threshold.value().max(on_grid(1).value()) * factor
    }
}

/// Whether the last two came out on the same side of the goal: the other end of what lies
/// between them would stay where it is.
fn is_one_sided(tried: &[Suited]) -> bool {
    match tried {
        [_, .., before, last] => before.is_met == last.is_met,
        _ => false,
    }
}
