//! The losses of Algorithm 1: how far a transformer output is from the output with
//! every block `full`.
//!
//! Both are means of element-wise relative errors, each clipped to [0, 10]. They differ
//! in the magnitude that an error is divided by, so their thresholds are not
//! interchangeable: the plan file records which one was used.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// ε in the denominator (paper, section 3.5).
pub const EPSILON: f32 = 1e-6;
/// Largest value of one element's term.
pub const MAX_TERM: f32 = 10.0;

/// Which loss L(O, O′) steers the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// The paper's: `|a − b| / (max(|a|, |b|) + ε)`.
    #[default]
    Relative,
    /// The reference code's: `|(a − b) / (max(a, b) + ε)|`. Larger where values are
    /// negative; the paper's published thresholds were run with it.
    RelativeSigned,
}

impl LossKind {
    /// Every loss.
    pub const ALL: [Self; 2] = [Self::Relative, Self::RelativeSigned];

    /// The string of plan files, flags and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::RelativeSigned => "relative_signed",
        }
    }

    /// The term of one element, in [0, 10], computed in f32; NaN if an input is NaN or
    /// infinite.
    ///
    /// DEVIATION(signed-zero-denominator): where both values are the same finite number
    /// the term is 0. The formula agrees, except for `relative_signed` at exactly −ε,
    /// where it gives 0/0 and would turn the whole loss into NaN.
    pub fn term(self, reference: f32, candidate: f32) -> f32 {
        let difference = (reference - candidate).abs();
        if difference == 0.0 {
            return 0.0;
        }
        let magnitude = match self {
            Self::Relative => reference.abs().max(candidate.abs()),
            Self::RelativeSigned => reference.max(candidate),
        };
        // `clamp`, unlike `min`, keeps a NaN.
        (difference / (magnitude + EPSILON).abs()).clamp(0.0, MAX_TERM)
    }

    /// The sum of all terms, added in f64 in the order of the elements. The mean is
    /// [`loss`]; a partial sum over the first elements is a lower bound of the whole,
    /// because no term is negative.
    ///
    /// # Errors
    /// [`LossError::LengthMismatch`].
    pub fn sum(self, reference: &[f32], candidate: &[f32]) -> Result<f64, LossError> {
        self.add_terms(0.0, reference, candidate)
    }

    /// `sum` and then the terms of these elements: the parts of an output one after the
    /// other give the very sum of the whole.
    ///
    /// # Errors
    /// [`LossError::LengthMismatch`].
    pub fn add_terms(
        self,
        sum: f64,
        reference: &[f32],
        candidate: &[f32],
    ) -> Result<f64, LossError> {
        if reference.len() != candidate.len() {
            return Err(LossError::LengthMismatch {
                reference: reference.len(),
                candidate: candidate.len(),
            });
        }
        let pairs = reference.iter().zip(candidate);
        Ok(pairs.fold(sum, |sum, (&a, &b)| sum + f64::from(self.term(a, b))))
    }
}

/// L(O, O′): the mean of [`LossKind::term`] over all elements (method, section 5).
///
/// `reference` is O, `candidate` is O′: raw transformer outputs of the whole guided
/// batch, all channels, in any order that is the same for both. Dimensionless, in
/// [0, 10]; NaN if any element is NaN or infinite.
///
/// # Errors
/// [`LossError`] if the lengths differ or there is nothing to compare.
pub fn loss(kind: LossKind, reference: &[f32], candidate: &[f32]) -> Result<f32, LossError> {
    let sum = kind.sum(reference, candidate)?;
    mean_of(sum, reference.len())
}

/// The loss from the sum of its terms. Rounding never turns the order around, so a partial
/// sum gives a lower bound of the loss.
///
/// # Errors
/// [`LossError::Empty`].
pub fn mean_of(sum: f64, n_elements: usize) -> Result<f32, LossError> {
    if n_elements == 0 {
        return Err(LossError::Empty);
    }
    Ok((sum / n_elements as f64) as f32)
}

/// Why a loss cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// The two outputs have different sizes.
    #[error(
        "the reference output has {reference} elements but the candidate output has {candidate}; compare outputs of the same batch"
    )]
    LengthMismatch {
        /// Elements of O.
        reference: usize,
        /// Elements of O′.
        candidate: usize,
    },
    /// The mean of nothing.
    #[error("the outputs are empty, there is nothing to compare")]
    Empty,
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A string that names no loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown loss {found:?}; expected relative or relative_signed")]
pub struct UnknownLoss {
    /// What was found, shortened to 40 characters.
    pub found: String,
}

impl FromStr for LossKind {
    type Err = UnknownLoss;

    fn from_str(text: &str) -> Result<Self, UnknownLoss> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownLoss {
                found: text.chars().take(40).collect(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LossKind::{Relative, RelativeSigned};

    #[test]
    fn terms_are_those_of_the_method() {
        let check = |kind: LossKind, a: f32, b: f32, expected: f32| {
            let found = kind.term(a, b);
            // ε is in the expectation only where it matters.
            assert!((found - expected).abs() < 3e-6, "{kind} {a} {b}: {found}");
        };
        check(Relative, 1.0, 0.5, 0.5);
        check(Relative, 0.5, 1.0, 0.5);
        check(Relative, -1.0, -0.5, 0.5);
        check(Relative, 1.0, -1.0, 2.0);
        check(Relative, 0.0, 0.0, 0.0);
        check(RelativeSigned, 1.0, 0.5, 0.5);
        // The larger signed value is −0.5: twice the paper's term.
        check(RelativeSigned, -1.0, -0.5, 1.0);
        check(RelativeSigned, -100.0, -0.001, 10.0);
        check(RelativeSigned, -EPSILON, -EPSILON, 0.0);
        check(RelativeSigned, -EPSILON, -1.0, 10.0);
    }

    #[test]
    fn the_loss_is_the_mean_of_its_terms() {
        let (a, b) = ([1.0, -1.0, 2.0, 0.0], [0.5, -1.0, 1.0, 0.0]);
        let mean = (Relative.term(1.0, 0.5) + Relative.term(2.0, 1.0)) / 4.0;
        assert_eq!(loss(Relative, &a, &b), Ok(mean));
    }

    #[test]
    fn broken_outputs_give_nan_and_bad_sizes_an_error() {
        for kind in LossKind::ALL {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for (a, b) in [(bad, 1.0), (1.0, bad), (bad, bad)] {
                    let found = loss(kind, &[a, 0.0], &[b, 0.0]);
                    assert!(
                        found.is_ok_and(|loss| loss.is_nan() || loss >= MAX_TERM / 2.0),
                        "{kind} {a} {b}: {found:?}"
                    );
                }
            }
            assert_eq!(loss(kind, &[], &[]), Err(LossError::Empty));
            let mismatch = LossError::LengthMismatch {
                reference: 1,
                candidate: 2,
            };
            assert_eq!(loss(kind, &[1.0], &[1.0, 2.0]), Err(mismatch));
        }
    }

    #[test]
    fn strings_round_trip() {
        for kind in LossKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("lpips".parse::<LossKind>().is_err());
    }
}
