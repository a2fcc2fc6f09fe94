//! The text side against transformers and diffusers: token ids, T5's hidden states,
//! cleaned captions, embeddings from files; and what is said of spoiled folders.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use dfa_tests::fixtures::fixture;

mod embeds;
mod encoder;
mod tokens;

fn text_fixture(name: &str) -> PathBuf {
    fixture("text").join(name)
}

fn read_json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(text_fixture(name)).unwrap()).unwrap()
}

/// A prompt's styles against diffusers' `_text_preprocessing`.
mod style {
    use dfa_native_worker::text::PromptStyle;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Row {
        caption: String,
        cleaned: String,
        lower: String,
    }

    /// DEVIATION(caption-cleaning): wrongly decoded text is not repaired, and Python's
    /// parser loses an ampersand before a last letter.
    const CLEANED_OTHERWISE: [&str; 2] = ["sÃ£o paulo mojibake", "at&t and b&b"];

    #[test]
    fn captions_are_prepared_as_diffusers_does() {
        let rows: Vec<Row> = super::read_json("captions.json");
        assert!(rows.len() > 100);
        let captions: Vec<String> = rows.iter().map(|row| row.caption.clone()).collect();
        let cleaned = PromptStyle::Cleaned.prepare(&captions).unwrap();
        let lower = PromptStyle::LowerCase.prepare(&captions).unwrap();
        let mut wrong = Vec::new();
        for ((row, cleaned), lower) in rows.iter().zip(cleaned).zip(lower) {
            assert_eq!(lower, row.lower);
            if cleaned != row.cleaned && !CLEANED_OTHERWISE.contains(&row.caption.as_str()) {
                wrong.push(format!(
                    "{:?}: {cleaned:?}, expected {:?}",
                    row.caption, row.cleaned
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
