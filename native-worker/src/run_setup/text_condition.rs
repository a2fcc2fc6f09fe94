//! From prompts to what a text model is conditioned on. The text encoder is opened, used and
//! dropped here, before the transformer takes its memory.

use std::path::Path;

use candle_core::Tensor;
use dfa_core::wire::ContentHash;

use super::{RunSpec, SetupError, Subjects};
use crate::device::Placement;
use crate::model::{Condition, TextCondition};
use crate::model_folder::{ModelFolder, TextFacts};
use crate::text::{PromptEmbeds, PromptEmbedsFile, TextEncoder};

/// What a run's images show, as the model takes it.
pub(super) struct Encoded {
    pub(super) condition: Condition,
    /// Hash of embeddings that came from a file.
    pub(super) embeds_sha256: Option<ContentHash>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

/// Encodes what `subjects` say; `stop` is asked now and then.
pub(super) fn encode(
    folder: &ModelFolder,
    spec: &RunSpec,
    (subjects, guided): (&Subjects, bool),
    stop: &dyn Fn() -> bool,
) -> Result<Encoded, SetupError> {
    let facts = folder.transformer.text_facts();
    match (subjects, facts) {
        (Subjects::Prompts { prompts, negative }, Some(facts)) => {
            let needs_negative = guided && !facts.has_learned_null;
            let negative = needs_negative.then_some(negative.as_str());
            encode_prompts(
                &folder.path,
                (facts, &spec.placement),
                (prompts, negative),
                stop,
            )
        }
        (Subjects::Embeds { n_images }, Some(facts)) => {
            let embeds = read_embeds(spec, facts)?;
            let hash = embeds.hash;
            let condition = repeated(embeds, *n_images, guided && !facts.has_learned_null)?;
            Ok(Encoded {
                condition: Condition::Text(condition),
                embeds_sha256: Some(hash),
                warnings: Vec::new(),
            })
        }
        (subjects, _) => Ok(Encoded {
            condition: Condition::Classes(subjects.classes().to_vec()),
            embeds_sha256: None,
            warnings: Vec::new(),
        }),
    }
}

fn encode_prompts(
    folder: &Path,
    (facts, placement): (TextFacts, &Placement),
    (prompts, negative): (&[String], Option<&str>),
    stop: &dyn Fn() -> bool,
) -> Result<Encoded, SetupError> {
    let encoder = TextEncoder::open(folder)?.on(placement);
    if encoder.config.width != facts.channels {
        return Err(SetupError::OtherTextEncoder {
            found: encoder.config.width,
            expected: facts.channels,
        });
    }
    let mut texts = prompts.to_vec();
    texts.extend(negative.map(str::to_owned));
    let texts = facts.style.prepare(&texts)?;
    let encoded = encoder.encode(&texts, facts.max_tokens, stop)?;
    let cut = encoded
        .iter()
        .enumerate()
        .filter(|(_, text)| text.n_tokens_cut > 0);
    let warnings = cut.map(|(idx, text)| {
        format!(
            "prompt {} is too long: its last {} tokens are not seen (at most {} are)",
            idx + 1,
            text.n_tokens_cut,
            facts.max_tokens
        )
    });
    let warnings = warnings.collect();
    let mut embeds: Vec<Tensor> = encoded.into_iter().map(|text| text.embeds).collect();
    let negatives = match negative.and_then(|_| embeds.pop()) {
        Some(negative) => vec![negative; prompts.len()],
        None => Vec::new(),
    };
    Ok(Encoded {
        condition: Condition::Text(TextCondition {
            prompts: embeds,
            negatives,
        }),
        embeds_sha256: None,
        warnings,
    })
}

/// Embeddings from the file that `spec` names.
pub(super) fn read_embeds(spec: &RunSpec, facts: TextFacts) -> Result<PromptEmbeds, SetupError> {
    let Some(file) = &spec.prompt_embeds else {
        return Err(SetupError::NoPrompt);
    };
    let file = PromptEmbedsFile {
        path: file.path.clone(),
        tensor: file.tensor.clone(),
    };
    Ok(PromptEmbeds::read(&file, facts.channels)?)
}

/// One text per image, repeated in order.
fn repeated(
    embeds: PromptEmbeds,
    n_images: usize,
    needs_negatives: bool,
) -> Result<TextCondition, SetupError> {
    let repeat = |texts: Vec<Tensor>| texts.into_iter().cycle().take(n_images).collect();
    if needs_negatives && embeds.negatives.is_empty() {
        return Err(SetupError::NoNegativeEmbeds);
    }
    Ok(TextCondition {
        prompts: repeat(embeds.prompts),
        negatives: match needs_negatives {
            true => repeat(embeds.negatives),
            false => Vec::new(),
        },
    })
}
