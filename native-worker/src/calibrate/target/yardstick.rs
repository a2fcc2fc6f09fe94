//! How what a goal is about is measured, of plans that were searched for and of those that
//! a first search's losses give.

use dfa_core::CompressionPlan;
use dfa_core::cost::PlanCost;
use dfa_core::search::{Quantity, SearchRecord, Threshold, redecide};
use dfa_core::wire::plan_hash;

use super::Target;
use super::searches::Searches;
use crate::calibrate::{CalibrateError, Calibration};
use crate::compare::mean_psnr_db;
use crate::decoding;
use crate::generate::{attention_share, generate};
use crate::made_files::why_no_pictures;
use crate::observer::Observer;
use crate::picture::Clip;
use crate::run_setup::RunSetup;

/// What plans reach at other thresholds than the recorded one, as far as can be told.
pub(super) struct Estimates<'a> {
    pub(super) record: &'a SearchRecord,
    pub(super) yardstick: &'a Yardstick,
    pub(super) target: Target<'a>,
}

impl Estimates<'_> {
    pub(super) fn at(
        &self,
        threshold: Threshold,
        (searches, observer): (&mut Searches<'_>, &mut dyn Observer),
    ) -> Result<f64, CalibrateError> {
        let target = self.target;
        let plan = redecide(self.record, threshold, target.request.window)?.plan;
        match self.yardstick {
            Yardstick::Psnr { raw } => {
                // Many thresholds give the same plan.
                let name = format!("psnr_db of plan {}", plan_hash(&plan));
                searches.measured(&name, || psnr_of_plan(target.setup, &plan, raw, observer))
            }
            Yardstick::Cost(of_cost) => Ok(of_cost.of(target.setup, &plan)),
        }
    }
}

fn psnr_of_plan(
    setup: &RunSetup,
    plan: &CompressionPlan,
    raw: &[Clip],
    observer: &mut dyn Observer,
) -> Result<f64, CalibrateError> {
    let made = generate(&setup.whole_denoiser(), Some(plan), &setup.latent, observer)?;
    let made = decoding::clips(setup, &made.latent)?;
    Ok(mean_psnr_db(raw, &made)?)
}

/// How a quantity is measured.
pub(super) enum Yardstick {
    /// From the plan's cost alone.
    Cost(OfCost),
    /// From its images, beside those without compression.
    Psnr { raw: Vec<Clip> },
}

/// A quantity that follows from a plan's cost.
pub(super) enum OfCost {
    KeptMacs,
    Speedup {
        /// Share of a raw step's seconds in self-attention layers, 0 to 1.
        attention_share: f64,
    },
}

impl OfCost {
    fn of(&self, setup: &RunSetup, plan: &CompressionPlan) -> f64 {
        let cost = PlanCost::of(plan, setup.layer_shape(), setup.run.guidance.is_on());
        match self {
            Self::KeptMacs => cost.attention_kept_share(),
            Self::Speedup { attention_share } => {
                1.0 / (1.0 - attention_share * (1.0 - cost.layer_kept_share()))
            }
        }
    }
}

impl Yardstick {
    pub(super) fn new(
        setup: &RunSetup,
        quantity: Quantity,
        (searches, observer): (&mut Searches<'_>, &mut dyn Observer),
    ) -> Result<Self, CalibrateError> {
        let denoiser = setup.whole_denoiser();
        Ok(match quantity {
            Quantity::KeptMacs => Self::Cost(OfCost::KeptMacs),
            Quantity::Speedup => Self::Cost(OfCost::Speedup {
                attention_share: searches.measured("attention_share", || {
                    Ok(attention_share(&denoiser, &setup.latent, observer)?)
                })?,
            }),
            Quantity::Psnr => {
                if let Some(reason) = why_no_pictures(&setup.loaded.folder) {
                    return Err(CalibrateError::NoPictures(reason));
                }
                let raw = generate(&denoiser, None, &setup.latent, observer)?;
                let raw = decoding::clips(setup, &raw.latent)?;
                Self::Psnr { raw }
            }
        })
    }

    /// A search has made the images of its plan.
    pub(super) fn of_calibration(
        &self,
        setup: &RunSetup,
        found: &Calibration,
    ) -> Result<f64, CalibrateError> {
        match self {
            Self::Psnr { raw } => {
                let made = decoding::clips(setup, &found.latent)?;
                Ok(mean_psnr_db(raw, &made)?)
            }
            Self::Cost(of_cost) => Ok(of_cost.of(setup, &found.plan)),
        }
    }
}
