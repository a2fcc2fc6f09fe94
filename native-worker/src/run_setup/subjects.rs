//! What the images of a run show: classes, or prompts.

use dfa_core::wire::job_request::MAX_PROMPT_CHARS;

use super::text_condition::read_embeds;
use super::{MAX_IMAGES, RunSpec, SetupError, within};
use crate::diffusion::noise;
use crate::model_folder::{Family, ModelFolder};

/// What a run is for, which decides what is drawn where nobody says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Making a plan.
    Calibrate,
    /// Making images.
    Generate,
    /// Making images twice.
    Compare,
}

impl Purpose {
    /// Images where neither subjects nor a number are given.
    pub const fn n_images(self, family: Family) -> usize {
        match self {
            Self::Calibrate => family.defaults().n_calibration_inputs,
            Self::Generate => 4,
            Self::Compare => 8,
        }
    }
}

/// What each image shows, by what people wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// A class each.
    Classes(Vec<u32>),
    /// A text each, and the one text that guidance leads away from.
    Prompts {
        /// One per image.
        prompts: Vec<String>,
        /// Shared by all.
        negative: String,
    },
    /// Texts that somebody else encoded.
    Embeds {
        /// One per image.
        n_images: usize,
    },
}

/// Captions for a calibration or a comparison where nobody gives any: as plain as those of
/// a photo collection, and of different subjects.
pub const DEFAULT_PROMPTS: [&str; 8] = [
    "A brown dog runs along a sandy beach with a stick in its mouth.",
    "Two children fly a red kite on a green hill.",
    "A bowl of noodle soup with an egg on a wooden table.",
    "A tram passes an old stone church on a rainy evening.",
    "A woman in a yellow coat reads a book on a park bench.",
    "Snow-covered mountains mirrored in a calm lake at sunrise.",
    "A cat sleeps on a windowsill next to a potted plant.",
    "A bicycle leans against a blue wall with open shutters.",
];

impl Subjects {
    /// The classes; empty where texts are drawn.
    pub fn classes(&self) -> &[u32] {
        match self {
            Self::Classes(classes) => classes,
            _ => &[],
        }
    }

    /// The text that guidance leads away from, if there is one.
    pub fn negative_prompt(&self) -> Option<&str> {
        match self {
            Self::Prompts { negative, .. } if !negative.is_empty() => Some(negative),
            _ => None,
        }
    }

    /// B.
    pub fn n_images(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Prompts { prompts, .. } => prompts.len(),
            Self::Embeds { n_images } => *n_images,
        }
    }

    /// Checks and completes what `spec` asks for; `n_latents` is the number of images of a
    /// given start noise.
    pub(super) fn resolve(
        spec: &RunSpec,
        folder: &ModelFolder,
        n_latents: Option<usize>,
    ) -> Result<Self, SetupError> {
        let family = folder.transformer.family();
        let n_given = match folder.transformer.text_facts() {
            Some(facts) if spec.prompt_embeds.is_some() => read_embeds(spec, facts)?.prompts.len(),
            _ => spec.labels.len().max(spec.prompts.len()),
        };
        let n_images = n_latents.or(spec.n_images).unwrap_or(match n_given {
            0 => spec.purpose.n_images(family),
            n => n,
        });
        within("the number of images", n_images, 1, MAX_IMAGES)?;
        match folder.transformer.n_classes() {
            Some(n_classes) => {
                refuse_text(spec, family)?;
                Ok(Self::Classes(classes(spec, folder, n_classes, n_images)?))
            }
            None if spec.prompt_embeds.is_some() => {
                let texts = vec![(); n_given];
                repeated("the number of encoded prompts", &texts, n_images)?;
                Ok(Self::Embeds { n_images })
            }
            None => prompts(spec, family, n_images),
        }
    }
}

fn refuse_text(spec: &RunSpec, family: Family) -> Result<(), SetupError> {
    let given = [
        ("--prompt", !spec.prompts.is_empty()),
        ("--negative-prompt", spec.negative_prompt.is_some()),
        ("--prompt-embeds", spec.prompt_embeds.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => Err(SetupError::NotForThisFamily {
            what: flag,
            family: family.name(),
            remedy: "it draws classes: use --labels",
        }),
    }
}

fn classes(
    spec: &RunSpec,
    folder: &ModelFolder,
    n_classes: u32,
    n_images: usize,
) -> Result<Vec<u32>, SetupError> {
    if spec.labels.is_empty() {
        return Ok(noise::random_labels(spec.seed, n_images, n_classes));
    }
    let names = spec.labels.iter();
    let labels = names.map(|label| folder.class_names.resolve(label, n_classes));
    let labels: Vec<u32> = labels.collect::<Result<_, _>>()?;
    repeated("the number of labels", &labels, n_images)
}

fn prompts(spec: &RunSpec, family: Family, n_images: usize) -> Result<Subjects, SetupError> {
    if !spec.labels.is_empty() {
        return Err(SetupError::NotForThisFamily {
            what: "--labels",
            family: family.name(),
            remedy: "it draws what a text says: use --prompt",
        });
    }
    let negative = spec.negative_prompt.clone().unwrap_or_default();
    for prompt in spec.prompts.iter().chain([&negative]) {
        check_length(prompt)?;
    }
    let prompts = match spec.prompts.as_slice() {
        [] if spec.purpose == Purpose::Generate => return Err(SetupError::NoPrompt),
        [] => DEFAULT_PROMPTS
            .map(str::to_owned)
            .into_iter()
            .cycle()
            .take(n_images)
            .collect(),
        given => repeated("the number of prompts", given, n_images)?,
    };
    Ok(Subjects::Prompts { prompts, negative })
}

/// What is far longer than any model sees is a mistake.
fn check_length(prompt: &str) -> Result<(), SetupError> {
    let n_chars = prompt.chars().count();
    if n_chars <= MAX_PROMPT_CHARS as usize {
        return Ok(());
    }
    let start: String = prompt.chars().take(40).collect();
    Err(SetupError::OutOfRange {
        what: "the length of a prompt",
        found: format!("{n_chars} characters ({start:?}…)"),
        expected: format!(
            "at most {MAX_PROMPT_CHARS}; a model sees a few hundred words at most, shorten it"
        ),
    })
}

/// The given things, repeated in order until there is one per image.
fn repeated<T: Clone>(
    what: &'static str,
    given: &[T],
    n_images: usize,
) -> Result<Vec<T>, SetupError> {
    if given.len() > n_images {
        return Err(SetupError::OutOfRange {
            what,
            found: given.len().to_string(),
            expected: format!("at most the number of images, {n_images}"),
        });
    }
    Ok(given.iter().cloned().cycle().take(n_images).collect())
}
