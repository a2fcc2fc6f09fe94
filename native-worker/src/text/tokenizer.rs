//! The tokenizer of T5: `tokenizer.json`, or SentencePiece's `spiece.model`, of which the
//! same pipeline is built (normal form from the file, split at spaces, Unigram). Both give
//! the ids that transformers' `T5TokenizerFast` gives. DEVIATION(tokenizer-library)

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Precompiled;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{AddedToken, Tokenizer};

use super::sentence_piece::{PieceKind, SentencePieces};
use super::{TextError, charsmap};

/// Most characters that are cut into tokens at all. A prompt has far fewer, but a single
/// character of it may become eighteen when it is made ready.
pub const MAX_TEXT_CHARS: usize = 1_000_000;

/// Where a tokenizer may lie: people also download an encoder's folder whole.
const FOLDERS: [&str; 2] = ["tokenizer", "text_encoder"];
const JSON: &str = "tokenizer.json";
const PIECES: &str = "spiece.model";

/// Ends every prompt.
const END: &str = "</s>";
/// T5's sentinels; they follow the pieces of the file, the last one first.
const N_SENTINELS: usize = 100;

/// A checked tokenizer.
#[derive(Clone, Debug)]
pub struct PromptTokenizer {
    /// The file that it was read from.
    pub path: PathBuf,
    tokenizer: Tokenizer,
    end: u32,
}

/// A prompt as the encoder takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTokens {
    /// Token ids, the end token last.
    pub ids: Vec<u32>,
    /// Tokens that did not fit.
    pub n_cut: usize,
}

impl PromptTokenizer {
    /// Opens the tokenizer of a model folder: in `tokenizer/`, else in `text_encoder/`;
    /// `tokenizer.json`, else `spiece.model`.
    ///
    /// # Errors
    /// [`TextError::NoTokenizer`] or [`TextError::BadTokenizer`].
    pub fn open(model_folder: &Path) -> Result<Self, TextError> {
        let looked: Vec<PathBuf> = FOLDERS
            .iter()
            .flat_map(|folder| [JSON, PIECES].map(|name| model_folder.join(folder).join(name)))
            .collect();
        match looked.iter().find(|path| path.is_file()) {
            Some(path) => Self::read(path),
            None => Err(TextError::NoTokenizer { looked }),
        }
    }

    /// Reads one file, of either kind.
    ///
    /// # Errors
    /// [`TextError::BadTokenizer`].
    pub fn read(path: &Path) -> Result<Self, TextError> {
        let bad = |reason: String| TextError::BadTokenizer {
            path: path.to_path_buf(),
            reason,
        };
        let bytes =
            std::fs::read(path).map_err(|error| bad(format!("cannot be read ({error})")))?;
        let is_json = path.extension().is_some_and(|ending| ending == "json");
        let tokenizer = if is_json {
            from_json(&bytes)
        } else {
            from_pieces(&bytes)
        }
        .map_err(bad)?;
        let Some(end) = tokenizer.token_to_id(END) else {
            return Err(bad(format!("it has no token {END}")));
        };
        Ok(Self {
            path: path.to_path_buf(),
            tokenizer,
            end,
        })
    }

    /// Tokens in the vocabulary: every id is below this.
    pub fn n_tokens(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The tokens of a prompt, at most `max_tokens`, the end token included and always
    /// last: as transformers truncates.
    ///
    /// # Errors
    /// [`TextError::PromptTooLong`], [`TextError::NoRoom`].
    pub fn encode(&self, prompt: &str, max_tokens: usize) -> Result<PromptTokens, TextError> {
        let n_chars = prompt.chars().count();
        if n_chars > MAX_TEXT_CHARS {
            return Err(TextError::PromptTooLong {
                n_chars,
                limit: MAX_TEXT_CHARS,
            });
        }
        let room = max_tokens.checked_sub(1).ok_or(TextError::NoRoom)?;
        let encoding = self.tokenizer.encode_fast(prompt, false);
        let encoding = encoding.map_err(|error| TextError::Tokenizing {
            prompt: prompt.chars().take(80).collect(),
            reason: error.to_string(),
        })?;
        let found = encoding.get_ids();
        let mut ids = found[..found.len().min(room)].to_vec();
        ids.push(self.end);
        Ok(PromptTokens {
            ids,
            n_cut: found.len().saturating_sub(room),
        })
    }
}

/// The library trusts these files in places, so what it would trip over is checked before.
fn from_json(bytes: &[u8]) -> Result<Tokenizer, String> {
    let json: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("broken JSON ({error})"))?;
    let model = &json["model"];
    let vocabulary = model["vocab"].as_array();
    match (model["type"].as_str(), vocabulary) {
        (Some("Unigram") | None, Some(pieces)) => {
            check_unknown(pieces.len(), model["unk_id"].as_u64())?
        }
        (Some("Unigram") | None, None) => return Err("it has no list model.vocab".into()),
        (Some(other), _) => return Err(format!("its model is {other}, expected Unigram")),
    }
    check_charsmaps(&json["normalizer"])?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())?;
    // Limits of whoever saved the file are not ours.
    tokenizer
        .with_truncation(None)
        .map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

fn check_unknown(n_pieces: usize, unknown: Option<u64>) -> Result<(), String> {
    match unknown {
        _ if n_pieces == 0 => Err("its vocabulary is empty".into()),
        None => Err("it names no unknown token (model.unk_id)".into()),
        Some(id) if id >= n_pieces as u64 => {
            Err(format!("its unk_id is {id}, but it has {n_pieces} pieces"))
        }
        Some(_) => Ok(()),
    }
}

/// Checks the character map of every `Precompiled` step, wherever it is nested.
fn check_charsmaps(normalizer: &Value) -> Result<(), String> {
    if let Some(steps) = normalizer["normalizers"].as_array() {
        return steps.iter().try_for_each(check_charsmaps);
    }
    match normalizer["precompiled_charsmap"].as_str() {
        None => Ok(()),
        Some(text) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| format!("its character map: {error}"))?;
            charsmap::check(&bytes)
        }
    }
}

fn from_pieces(bytes: &[u8]) -> Result<Tokenizer, String> {
    let pieces = SentencePieces::read(bytes)?;
    let said = |error: tokenizers::Error| error.to_string();
    let sentinels: Vec<String> = (0..N_SENTINELS)
        .rev()
        .map(|idx| format!("<extra_id_{idx}>"))
        .collect();
    let found = pieces
        .pieces
        .iter()
        .map(|piece| (piece.text.clone(), f64::from(piece.score)));
    let vocabulary = found
        .chain(sentinels.iter().map(|text| (text.clone(), 0.0)))
        .collect();
    let model = Unigram::from(vocabulary, Some(pieces.unknown), false).map_err(said)?;
    let mut tokenizer = Tokenizer::new(model);
    if !pieces.charsmap.is_empty() {
        charsmap::check(&pieces.charsmap)?;
        let normalizer = Precompiled::from(&pieces.charsmap).map_err(|error| error.to_string())?;
        tokenizer.with_normalizer(Some(normalizer)).map_err(said)?;
    }
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::WhitespaceSplit(WhitespaceSplit),
        PreTokenizerWrapper::Metaspace(Metaspace::new('▁', PrependScheme::Always, true)),
    ])));
    tokenizer
        .add_tokens(added_tokens(&pieces, sentinels))
        .map_err(said)?;
    Ok(tokenizer)
}

/// Tokens that are found in a prompt before anything else: `</s>` in a prompt is the end
/// token, as with transformers.
fn added_tokens(pieces: &SentencePieces, sentinels: Vec<String>) -> Vec<AddedToken> {
    let of_the_file = pieces.pieces.iter().filter_map(|piece| match piece.kind {
        PieceKind::Control | PieceKind::Unknown => Some(AddedToken::from(piece.text.clone(), true)),
        PieceKind::UserDefined => {
            Some(AddedToken::from(piece.text.clone(), false).normalized(false))
        }
        PieceKind::Other => None,
    });
    let sentinels = sentinels
        .into_iter()
        .map(|text| AddedToken::from(text, true));
    of_the_file.chain(sentinels).collect()
}
