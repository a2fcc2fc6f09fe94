//! How a family's authors prepare a prompt before it is tokenized.

use super::TextError;
use super::caption::CaptionCleaner;

/// How prompts are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptStyle {
    /// Lower case, without spaces around: PixArt-Sigma, as diffusers' pipeline does it.
    LowerCase,
    /// Cleaned like the training captions, twice: Open-Sora 1.1.
    Cleaned,
}

impl PromptStyle {
    /// Prompts as they are given to the tokenizer.
    ///
    /// # Errors
    /// [`TextError::Pattern`], which would be a mistake of this program.
    pub fn prepare(self, prompts: &[String]) -> Result<Vec<String>, TextError> {
        let prompts = prompts.iter();
        match self {
            Self::LowerCase => Ok(prompts
                .map(|text| strip(&text.to_lowercase()).to_owned())
                .collect()),
            Self::Cleaned => {
                let cleaner = CaptionCleaner::new()?;
                Ok(prompts
                    .map(|text| cleaner.clean(&cleaner.clean(text)))
                    .collect())
            }
        }
    }
}

/// Without what Python calls whitespace at both ends.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python counts the four separators of ASCII as whitespace, Rust does not.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_pythons() {
        assert_eq!(
            strip("\u{1c} \u{85}\u{3000}a b\n\u{200b}\u{1f}"),
            "a b\n\u{200b}"
        );
    }
}
