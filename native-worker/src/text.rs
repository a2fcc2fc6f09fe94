//! What becomes of a prompt before the transformer sees it: prepared, cut into tokens,
//! encoded by T5. Or read from a file, where somebody has encoded it elsewhere.
//!
//! - [`prompt_style`]: prompts prepared as the authors of a family prepare them.
//! - [`tokenizer`]: text → token ids, from either kind of file.
//! - [`t5_config`], [`t5`]: the encoder; [`encoder`]: all of this for one model folder.
//! - [`prompt_embeds`]: embeddings that another program made.
//!
//! Only visible tokens are kept anywhere: a prompt is a tensor (L, E) of its own length,
//! because what T5 says of a token does not depend on padding that is masked out.

use std::path::PathBuf;

use crate::model_folder::FolderError;
use crate::model_folder::weights::WeightsError;

mod caption;
mod charsmap;
pub mod encoder;
mod entities;
mod html;
pub mod prompt_embeds;
pub mod prompt_style;
mod sentence_piece;
pub mod t5;
pub mod t5_config;
pub mod tokenizer;

pub use encoder::{EncodedPrompt, EncoderMemory, TextEncoder};
pub use prompt_embeds::{EmbedsError, PromptEmbeds, PromptEmbedsFile};
pub use prompt_style::PromptStyle;
pub use t5_config::T5Config;
pub use tokenizer::PromptTokenizer;

/// Why prompts cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The folder of the encoder lacks something, or says what is not supported.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The encoder's weights are not what its configuration promises.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Neither kind of tokenizer file is there.
    #[error(
        "no tokenizer: none of {} is there; download tokenizer/spiece.model or tokenizer/tokenizer.json of the model \
         (DeepFloyd/t5-v1_1-xxl has a spiece.model too)",
        list(looked)
    )]
    NoTokenizer {
        /// The files looked for.
        looked: Vec<PathBuf>,
    },
    /// A tokenizer file is there and cannot be used.
    #[error("{path} is not a tokenizer of T5: {reason}; fetch it again")]
    BadTokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The tokenizer gives tokens that the encoder does not have.
    #[error(
        "{tokenizer} has {n_tokens} tokens, but the encoder has {n_rows} (vocab_size); \
         take tokenizer and text_encoder from the same model"
    )]
    OtherVocabulary {
        /// The tokenizer's file.
        tokenizer: PathBuf,
        /// Its tokens.
        n_tokens: usize,
        /// Rows of the encoder's table.
        n_rows: usize,
    },
    /// A prompt so long that it must be a mistake.
    #[error(
        "a prompt of {n_chars} characters; at most {limit} are taken (and only the first few hundred tokens count)"
    )]
    PromptTooLong {
        /// Its characters.
        n_chars: usize,
        /// The limit.
        limit: usize,
    },
    /// No room for a single token.
    #[error("a limit of 0 tokens; a prompt has at least 1, the one that ends it")]
    NoRoom,
    /// The tokenizer fails on a prompt.
    #[error("the tokenizer fails on the prompt {prompt:?}: {reason}")]
    Tokenizing {
        /// The prompt's start.
        prompt: String,
        /// What the library says.
        reason: String,
    },
    /// A pattern of the caption cleaning is wrong, which is a mistake of this program.
    #[error("a pattern of the caption cleaning is wrong (please report this): {0}")]
    Pattern(#[from] regex::Error),
    /// Somebody asked to stop.
    #[error("stopped while the prompts were being encoded")]
    Stopped,
    /// A tensor operation failed.
    #[error("encoding the prompts: {0}")]
    Tensor(#[from] candle_core::Error),
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}
