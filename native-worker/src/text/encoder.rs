//! The text encoder of a model folder: tokenizer and T5, from prompts to embeddings.
//!
//! The weights stay in the file. Every block is mapped, used for all prompts and unmapped
//! before the next one, so that an encoder of 4.7 billion parameters runs in the memory
//! of one block.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;

use super::TextError;
use super::t5::{self, RelativePositions, T5Block};
use super::t5_config::T5Config;
use super::tokenizer::PromptTokenizer;
use crate::device::Placement;
use crate::kernels::ops;
use crate::kernels::ops::memory::taking_like;
use crate::model_folder::weights::{WeightStem, Weights, find_files};

/// Tokens that go through a layer together: enough for a fast multiply, few enough that
/// the inner states of T5-XXL take some hundred MB.
const TOKENS_PER_PASS: usize = 1024;

/// A checked text encoder; its weights are read when prompts are encoded.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// The tokenizer.
    pub tokenizer: PromptTokenizer,
    /// Shape of the encoder.
    pub config: T5Config,
    folder: PathBuf,
    files: Vec<PathBuf>,
    placement: Placement,
}

/// A prompt as the transformer takes it.
#[derive(Clone, Debug)]
pub struct EncodedPrompt {
    /// (L, E), the visible tokens only, on the CPU.
    pub embeds: Tensor,
    /// Tokens of the prompt that did not fit and were not seen.
    pub n_tokens_cut: usize,
}

/// What encoding takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderMemory {
    /// The weight files; they are mapped, and only one block's part is used at a time.
    pub weight_bytes: u64,
    /// One block, were it all widened to f32: more than a pass ever holds of it.
    pub block_bytes: u64,
    /// Hidden states and scores of one pass.
    pub pass_bytes: u64,
}

impl TextEncoder {
    /// Opens `text_encoder/` and the tokenizer of a model folder. Checks configuration,
    /// vocabulary, and name, shape and type of every tensor; reads no weights.
    ///
    /// # Errors
    /// [`TextError`]; of tensors, all that are missing or misshapen at once.
    pub fn open(model_folder: &Path) -> Result<Self, TextError> {
        let folder = model_folder.join("text_encoder");
        let config = T5Config::read(&folder.join("config.json"))?;
        let tokenizer = PromptTokenizer::open(model_folder)?;
        if tokenizer.n_tokens() > config.vocabulary {
            return Err(TextError::OtherVocabulary {
                n_tokens: tokenizer.n_tokens(),
                n_rows: config.vocabulary,
                tokenizer: tokenizer.path,
            });
        }
        let encoder = Self {
            files: find_files(&folder, WeightStem::Model)?,
            tokenizer,
            config,
            folder,
            placement: Placement::cpu(),
        };
        encoder.check_weights()?;
        Ok(encoder)
    }

    /// The same, computed elsewhere, in f32 like on the CPU: hidden states of T5 leave the
    /// range of f16.
    #[must_use]
    pub fn on(mut self, placement: &Placement) -> Self {
        self.placement = placement.in_f32();
        self
    }

    fn check_weights(&self) -> Result<(), TextError> {
        let mut weights = self.weights()?;
        t5::load_table(&mut weights, &self.config)?;
        RelativePositions::load(&mut weights, &self.config, 1)?;
        for idx in 0..self.config.n_blocks {
            T5Block::load(&mut weights, idx, &self.config)?;
        }
        t5::load_last_norm(&mut weights, &self.config)?;
        Ok(weights.finish()?)
    }

    /// The weight files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What encoding takes with prompts of up to `max_tokens`.
    pub fn memory(&self, max_tokens: usize) -> EncoderMemory {
        let config = &self.config;
        let sizes = self.files.iter().filter_map(|path| path.metadata().ok());
        let per_token = 4 * config.width + 4 * config.attention_width() + 3 * config.inner_width;
        let scores = 4 * config.n_heads * max_tokens * max_tokens;
        EncoderMemory {
            weight_bytes: sizes.map(|file| file.len()).sum(),
            block_bytes: 4 * config.block_parameters() as u64,
            pass_bytes: 4 * (per_token * TOKENS_PER_PASS.max(max_tokens) + scores) as u64,
        }
    }

    /// Encodes prompts that were prepared ([`super::PromptStyle`]), each cut to
    /// `max_tokens`; equal prompts are encoded once. `stop` is asked between blocks.
    ///
    /// # Errors
    /// [`TextError::Stopped`], [`TextError::PromptTooLong`], or that the files have changed.
    pub fn encode(
        &self,
        prompts: &[String],
        max_tokens: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<EncodedPrompt>, TextError> {
        let mut different: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let mut found = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let tokens = self.tokenizer.encode(prompt, max_tokens)?;
            let next = different.len();
            found.push((*different.entry(tokens.ids).or_insert(next), tokens.n_cut));
        }
        let mut sequences = vec![Vec::new(); different.len()];
        for (ids, idx) in different {
            sequences[idx] = ids;
        }
        let embeds = self.encode_tokens(&sequences, stop)?;
        let encoded = found.into_iter().map(|(idx, n_tokens_cut)| EncodedPrompt {
            embeds: embeds[idx].clone(),
            n_tokens_cut,
        });
        Ok(encoded.collect())
    }

    /// Hidden states (L, E) of sequences of token ids.
    fn encode_tokens(
        &self,
        sequences: &[Vec<u32>],
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<Tensor>, TextError> {
        let longest = sequences.iter().map(Vec::len).max().unwrap_or(1);
        let mut weights = self.weights()?;
        let positions = RelativePositions::load(&mut weights, &self.config, longest)?;
        let mut passes = self.embed(&mut weights, sequences)?;
        weights.finish()?;
        for idx in 0..self.config.n_blocks {
            // Mapped anew for every block: with the map goes the memory of the last one.
            let mut weights = self.weights()?.on(&self.placement);
            let block = T5Block::load(&mut weights, idx, &self.config)?;
            weights.finish()?;
            for pass in &mut passes {
                if stop() {
                    return Err(TextError::Stopped);
                }
                pass.hidden = taking_like(&pass.hidden, || {
                    block.forward(&pass.hidden, &pass.lengths, &positions)
                })?;
            }
        }
        let mut weights = self.weights()?.on(&self.placement);
        let norm = t5::load_last_norm(&mut weights, &self.config)?;
        weights.finish()?;
        let mut embeds = Vec::with_capacity(sequences.len());
        for pass in passes {
            embeds.extend(pass.finish(&norm, self.config.norm_eps)?);
        }
        Ok(embeds)
    }

    /// Reads the embeddings of the tokens that occur, and groups the sequences.
    fn embed(&self, weights: &mut Weights, sequences: &[Vec<u32>]) -> Result<Vec<Pass>, TextError> {
        let table = t5::load_table(weights, &self.config)?;
        let mut passes = Vec::new();
        for group in groups(sequences) {
            passes.push(Pass {
                hidden: self.placement.place(&table.gather(&group.concat())?)?,
                lengths: group.iter().map(Vec::len).collect(),
            });
        }
        Ok(passes)
    }

    fn weights(&self) -> Result<Weights, TextError> {
        Ok(Weights::open(&self.folder, &self.files)?)
    }
}

/// Sequences that go through the layers together.
struct Pass {
    /// (R, E).
    hidden: Tensor,
    lengths: Vec<usize>,
}

impl Pass {
    fn finish(self, norm: &Tensor, eps: f64) -> Result<Vec<Tensor>, TextError> {
        let hidden = ops::on_cpu(&t5::rms_norm(&self.hidden, norm, eps)?)?;
        let mut start = 0;
        let mut embeds = Vec::with_capacity(self.lengths.len());
        for length in self.lengths {
            // A copy of its own, so that one prompt does not keep the others in memory.
            embeds.push(hidden.narrow(0, start, length)?.force_contiguous()?);
            start += length;
        }
        Ok(embeds)
    }
}

/// Whole sequences, as many as fit into a pass, at least one.
fn groups(sequences: &[Vec<u32>]) -> Vec<&[Vec<u32>]> {
    let mut found = Vec::new();
    let (mut first, mut n_tokens) = (0, 0);
    for (idx, sequence) in sequences.iter().enumerate() {
        if idx > first && n_tokens + sequence.len() > TOKENS_PER_PASS {
            found.push(&sequences[first..idx]);
            (first, n_tokens) = (idx, 0);
        }
        n_tokens += sequence.len();
    }
    if first < sequences.len() {
        found.push(&sequences[first..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_every_sequence_once() {
        let check = |lengths: &[usize], expected: &[usize]| {
            let sequences: Vec<Vec<u32>> = lengths.iter().map(|&n| vec![0; n]).collect();
            let found: Vec<usize> = groups(&sequences).iter().map(|group| group.len()).collect();
            assert_eq!(found, expected, "{lengths:?}");
        };
        check(&[], &[]);
        check(&[1], &[1]);
        check(&[5000], &[1]);
        check(&[300, 300, 300, 124], &[4]);
        check(&[300, 300, 300, 125], &[3, 1]);
        check(&[5000, 1, 5000], &[1, 1, 1]);
    }
}
