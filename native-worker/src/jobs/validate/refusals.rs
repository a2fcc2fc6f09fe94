//! Refusals: the field, what is wrong with it, and what to do.

use super::run_fields::RunFields;
use crate::jobs::answers::Invalid;
use crate::jobs::model_catalog::ServedModel;
use crate::run_setup::SetupError;

/// A refusal; a long value is cut.
pub(super) fn invalid(
    field: &'static str,
    value: impl std::fmt::Display,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) -> Invalid {
    Invalid {
        field,
        value: value.to_string().chars().take(80).collect(),
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

/// The model that a request names is not served.
pub fn unknown_model(id: &str, served: &[ServedModel]) -> Invalid {
    let names: Vec<&str> = served.iter().map(ServedModel::id).collect();
    let problem = "no such model is served here";
    let remedy = format!("choose one of {}", names.join(", "));
    invalid("model", id, problem, remedy)
}

/// The plan that a request names is not in the library.
pub fn unknown_plan(id: impl std::fmt::Display) -> Invalid {
    let remedy = "GET /v1/plans lists the plans; POST /v1/plans brings one in";
    invalid("plan", id, "no such plan is in the library", remedy)
}

/// The field of a request that a flag of the command line stands for.
fn field_of(flag: &str) -> &'static str {
    match flag {
        "--labels" | "the number of labels" => "labels",
        "--prompt" | "--prompt-embeds" | "the number of prompts" | "the length of a prompt" => {
            "prompts"
        }
        "--negative-prompt" => "negative_prompt",
        "--num-frames" => "num_frames",
        "--fps" => "fps",
        "--steps" => "steps",
        "the number of images" => "n_images",
        _ => "size",
    }
}

/// What a model takes instead of what it was given.
fn remedy_for(model: &ServedModel) -> &'static str {
    let family = model.folder.transformer.family();
    match (family.takes_text(), family.makes_videos()) {
        (false, _) => "the model makes images of classes: give labels and leave it out",
        (true, false) => "the model makes images of a text: give prompts and leave it out",
        (true, true) => "the model makes videos of a text: give prompts and leave it out",
    }
}

/// A run that cannot be set up, in the words of a request.
pub(super) fn invalid_setup(
    error: &SetupError,
    fields: &RunFields<'_>,
    model: &ServedModel,
) -> Invalid {
    let spec = &fields.spec;
    let labels = || spec.labels.join(",");
    let size = || {
        fields
            .size
            .map_or_else(|| "the model's".into(), |size| size.to_string())
    };
    let problem = error.to_string();
    let or_default = |value: Option<String>| value.unwrap_or_else(|| "the model's".into());
    let n_steps = || or_default(spec.n_steps.map(|n| n.to_string()));
    let say = |field, value: String, remedy: &str| invalid(field, value, &*problem, remedy);
    match error {
        SetupError::Label(_) => say("labels", labels(), "GET /v1/models lists the classes"),
        SetupError::Guidance(_) => {
            let value = or_default(spec.guidance_scale.map(|scale| scale.to_string()));
            say("guidance_scale", value, "choose a finite number")
        }
        SetupError::Sampler(_) => {
            // These errors end with what to do.
            let own = problem.split_once("; ");
            let (problem, remedy) = own.unwrap_or((&problem, "choose another sampler"));
            invalid("steps", n_steps(), problem, remedy)
        }
        SetupError::NoPrompt => {
            let problem = "there is nothing to draw";
            invalid("prompts", "", problem, "give a text per image")
        }
        SetupError::NotForThisFamily { what, family, .. } => {
            let remedy = remedy_for(model);
            let problem = format!("it is not for {family} models");
            invalid(field_of(what), "", problem, remedy)
        }
        SetupError::OutOfRange {
            what,
            found,
            expected,
        } => match field_of(what) {
            "size" => say("size", size(), "leave it out for the model's own size"),
            "labels" | "prompts" | "n_images" => {
                let remedy = "give at most one label or prompt per image";
                say("n_images", found.clone(), remedy)
            }
            field => {
                let problem = format!("{found} is out of range");
                invalid(field, found, problem, format!("choose {expected}"))
            }
        },
        _ => say("model", String::new(), "look at the worker's log"),
    }
}
