//! The searches that a calibration with a goal makes and the numbers that it measures, kept
//! together: what an earlier process finished before it was stopped is not made again, and
//! what it left unfinished is gone on with.
//!
//! Which searches these are follows from what the ones before them gave, so a process that
//! goes on asks for the same ones in the same order.

use std::collections::VecDeque;

use dfa_core::search::SearchRecord;

use super::Target;
use crate::calibrate::search_run::go_on;
use crate::calibrate::{
    Begun, CalibrateError, CalibrateRequest, Calibration, CheckpointError, Measured, Saving,
    Snapshot, StepState,
};
use crate::observer::Observer;

/// What was searched and measured so far.
pub(super) struct Searches<'a> {
    target: Target<'a>,
    saving: Option<&'a Saving<'a>>,
    /// Searches of an earlier process that were not asked for again yet.
    saved: VecDeque<Begun>,
    /// First to last.
    finished: Vec<Begun>,
    measured: Measured,
}

impl<'a> Searches<'a> {
    /// None, or those of the saved state if that is to be gone on with.
    pub(super) fn open(
        target: Target<'a>,
        saving: Option<&'a Saving<'a>>,
    ) -> Result<Self, CheckpointError> {
        let mut searches = Self {
            target,
            saving,
            saved: VecDeque::new(),
            finished: Vec::new(),
            measured: Measured::new(),
        };
        if let Some(saved) = saving.map_or(Ok(None), Saving::saved)? {
            searches.saved = saved.earlier.into();
            searches.saved.push_back(saved.latest);
            searches.measured = saved.measured;
        }
        Ok(searches)
    }

    /// The next search.
    pub(super) fn search(
        &mut self,
        request: &CalibrateRequest,
        observer: &mut dyn Observer,
    ) -> Result<Calibration, CalibrateError> {
        let setup = self.target.setup;
        let denoiser = setup.whole_denoiser();
        let saved = next_of(&mut self.saved, |saved| {
            *saved.record.settings() == request.search
        });
        let begun = saved.unwrap_or_else(|| Begun::at_start(&denoiser, request, &setup.latent));
        let mut keep =
            |record: &SearchRecord, state: &StepState| self.save((record, state), &self.finished);
        let found = go_on(begun, (&denoiser, request), &mut keep, observer)?;
        let n_blocks = found.record.shape().n_blocks;
        self.finished.push(Begun {
            record: found.record.clone(),
            state: StepState::at_end(found.latent.clone(), n_blocks),
        });
        Ok(found)
    }

    /// A number that is measured once in a calibration: `measure` may be slow, or give another
    /// number when it is asked again.
    pub(super) fn measured(
        &mut self,
        name: &str,
        measure: impl FnOnce() -> Result<f64, CalibrateError>,
    ) -> Result<f64, CalibrateError> {
        if let Some(&value) = self.measured.get(name) {
            return Ok(value);
        }
        let value = measure()?;
        self.measured.insert(name.to_owned(), value);
        // What is measured before the first search is saved with its first step.
        if let Some((last, earlier)) = self.finished.split_last() {
            self.save((&last.record, &last.state), earlier)?;
        }
        Ok(value)
    }

    fn save(
        &self,
        latest: (&SearchRecord, &StepState),
        earlier: &[Begun],
    ) -> Result<(), CheckpointError> {
        let snapshot = Snapshot {
            request: self.target.request,
            earlier,
            measured: &self.measured,
            latest,
        };
        self.saving.map_or(Ok(()), |saving| saving.save(&snapshot))
    }
}

/// The next one, if it is what is asked for. If not, it was saved by a program that chose
/// otherwise, and what followed it is of no use either.
fn next_of<T>(saved: &mut VecDeque<T>, is_asked_for: impl FnOnce(&T) -> bool) -> Option<T> {
    let next = saved.pop_front().filter(is_asked_for);
    if next.is_none() {
        saved.clear();
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_searches_are_used_as_long_as_they_are_those_asked_for() {
        let check = |saved: &[u32], asked: &[u32], expected: &[Option<u32>]| {
            let mut saved = saved.to_vec().into();
            let found: Vec<Option<u32>> = asked
                .iter()
                .map(|&asked| next_of(&mut saved, |&saved| saved == asked))
                .collect();
            assert_eq!(found, expected, "{asked:?}");
        };
        check(&[], &[1, 2], &[None, None]);
        check(&[1, 2], &[1, 2, 3], &[Some(1), Some(2), None]);
        check(&[1, 2, 3], &[1, 4, 3], &[Some(1), None, None]);
    }
}
