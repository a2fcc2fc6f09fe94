//! The calibration that tells the truth about an estimate: the same model, inputs and
//! settings as the open plan's, at another δ, with every loss recorded.

use dfa_core::search::{SearchMode, Threshold};
use dfa_core::window::WindowChoice;
use dfa_core::wire::job_request::{CalibrateJob, Label, StrategyName};
use dfa_core::wire::service::ModelView;
use dfa_core::wire::{CalibrationInputs, JobRequest};

use super::opened::OpenPlan;
use super::workbench::Refusal;

/// The job that calibrates `opened` again at `threshold` on one of `models`.
///
/// # Errors
/// [`Refusal`] if the plan does not say how it was made, or no model fits.
pub fn request(
    opened: &OpenPlan,
    threshold: Threshold,
    models: &[ModelView],
) -> Result<JobRequest, Refusal> {
    let checked = &opened.checked;
    let known = (
        checked.search.as_ref(),
        checked.fingerprint.as_ref(),
        checked.provenance.as_ref(),
    );
    let (Some(search), Some(fingerprint), Some(provenance)) = known else {
        return Err(Refusal(
            "The file does not say how this plan was calibrated; use the page Calibrate.".into(),
        ));
    };
    let model = models
        .iter()
        .find(|model| model.weights_sha256 == fingerprint.weights_sha256)
        .ok_or_else(|| {
            Refusal(format!(
                "The worker does not serve the model of this plan ({}): start it with that \
                 model's folder.",
                provenance.model_id
            ))
        })?;
    let (labels, prompts) = match &provenance.inputs {
        CalibrationInputs::Labels(labels) => (labels.clone(), Vec::new()),
        CalibrationInputs::Prompts(prompts) => (Vec::new(), prompts.clone()),
    };
    if provenance.prompt_embeds_sha256.is_some() {
        return Err(Refusal(
            "This plan was calibrated with texts encoded elsewhere, which the worker does not \
             take: use the command line with --prompt-embeds."
                .into(),
        ));
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let settings = search.record.settings();
    let n_inputs = labels.len().max(prompts.len());
    Ok(JobRequest::Calibrate(CalibrateJob {
        model: model.id.clone(),
        labels: labels.into_iter().map(Label::Index).collect(),
        n_images: Some(count(n_inputs)),
        prompts,
        negative_prompt: provenance.negative_prompt.clone(),
        size: provenance.size,
        num_frames: provenance.num_frames,
        fps: provenance.fps,
        steps: Some(count(fingerprint.n_steps())),
        sampler: Some(fingerprint.sampler),
        guidance_scale: Some(fingerprint.guidance_scale),
        seed: provenance.seed,
        residual_half: Some(fingerprint.residual_half),
        threshold: Some(threshold),
        target: None,
        window: WindowChoice::Keys(opened.plan().window()),
        loss: search.loss,
        candidates: Some(
            settings
                .candidates
                .iter()
                .copied()
                .map(StrategyName)
                .collect(),
        ),
        search: SearchMode::RecordAll,
        reject_early: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::examples::capabilities;
    use crate::plan::examples;
    use dfa_core::wire::ContentHash;

    fn model(weights: &[u8]) -> ModelView {
        ModelView {
            id: "avatars".into(),
            weights_sha256: ContentHash::of(weights),
            ..capabilities().models.swap_remove(0)
        }
    }

    #[test]
    fn the_same_is_asked_at_another_threshold() {
        let opened = examples::searched(0.1, SearchMode::Exact);
        let at = Threshold::new(0.07).unwrap();
        let asked = request(&opened, at, &[model(b"other"), model(b"weights")]).unwrap();
        let JobRequest::Calibrate(job) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (job.threshold, job.search),
            (Some(at), SearchMode::RecordAll)
        );
        assert_eq!((job.steps, job.n_images, job.seed), (Some(8), Some(2), 7));
        assert_eq!(job.window, WindowChoice::Keys(examples::WINDOW));
    }

    #[test]
    fn prompts_are_asked_for_again() {
        let asked_with = |prompts: &[&str], embeds: Option<ContentHash>| {
            let mut opened = examples::searched(0.1, SearchMode::Exact);
            if let Some(provenance) = &mut opened.checked.provenance {
                let prompts = prompts.iter().map(|&text| text.to_owned());
                provenance.inputs = CalibrationInputs::Prompts(prompts.collect());
                provenance.prompt_embeds_sha256 = embeds;
                provenance.negative_prompt = Some("blurry".into());
                provenance.size = "426x240".parse().ok();
                provenance.num_frames = Some(16);
            }
            request(&opened, Threshold::new(0.07).unwrap(), &[model(b"weights")])
        };
        let asked = asked_with(&["a fox", "a tram"], None).unwrap();
        assert_eq!(asked.prompts(), ["a fox", "a tram"]);
        assert_eq!(asked.negative_prompt(), Some("blurry"));
        let JobRequest::Calibrate(job) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (job.size, job.num_frames),
            ("426x240".parse().ok(), Some(16))
        );
        let embeds = Some(ContentHash::of(b"embeds"));
        let refusal = asked_with(&["(text 0)"], embeds).unwrap_err();
        assert!(refusal.to_string().contains("--prompt-embeds"), "{refusal}");
    }

    #[test]
    fn what_cannot_be_calibrated_says_why() {
        let check = |opened: &OpenPlan, expected: &str| {
            let at = Threshold::new(0.07).unwrap();
            let refusal = request(opened, at, &[model(b"other")]).unwrap_err();
            assert!(refusal.to_string().contains(expected), "{refusal}");
        };
        check(&examples::foreign(), "does not say how");
        check(
            &examples::searched(0.1, SearchMode::Exact),
            "does not serve",
        );
    }
}
