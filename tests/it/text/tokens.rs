//! Token ids of both kinds of tokenizer file against transformers.

use std::path::Path;

use dfa_native_worker::text::{PromptTokenizer, TextError};
use serde::Deserialize;
use tempfile::TempDir;

use super::{read_json, text_fixture};

#[derive(Deserialize)]
struct Golden {
    max_tokens: usize,
    prompts: Vec<Row>,
}

/// A prompt is `text`, `repeat` times; `ids` were cut to `max_tokens`.
#[derive(Deserialize)]
struct Row {
    text: String,
    repeat: usize,
    n_tokens: usize,
    ids: Vec<u32>,
}

const FILES: [&str; 2] = ["tokenizer.json", "spiece.model"];

fn tokenizer_file(name: &str) -> std::path::PathBuf {
    text_fixture("model/tokenizer").join(name)
}

#[test]
fn ids_are_those_of_transformers() {
    let golden: Golden = read_json("tokens.json");
    assert!(golden.prompts.len() >= 200);
    for name in FILES {
        let tokenizer = PromptTokenizer::read(&tokenizer_file(name)).unwrap();
        for row in &golden.prompts {
            let prompt = row.text.repeat(row.repeat);
            let tokens = tokenizer.encode(&prompt, golden.max_tokens).unwrap();
            assert_eq!(
                tokens.ids, row.ids,
                "{name}: {:?} × {}",
                row.text, row.repeat
            );
            let n_tokens = tokens.ids.len() + tokens.n_cut;
            assert_eq!(
                n_tokens, row.n_tokens,
                "{name}: {:?} × {}",
                row.text, row.repeat
            );
        }
    }
}

#[test]
fn the_end_token_survives_every_limit() {
    let tokenizer = PromptTokenizer::open(&text_fixture("model")).unwrap();
    assert_eq!(tokenizer.path.file_name().unwrap(), "tokenizer.json");
    let whole = tokenizer.encode("a small cat", 100).unwrap();
    assert_eq!(whole.n_cut, 0);
    for limit in 1..=whole.ids.len() {
        let tokens = tokenizer.encode("a small cat", limit).unwrap();
        assert_eq!(tokens.ids.len(), limit);
        assert_eq!(tokens.ids[..limit - 1], whole.ids[..limit - 1]);
        assert_eq!(tokens.ids.last(), Some(&1));
        assert_eq!(tokens.n_cut, whole.ids.len() - limit);
    }
    assert!(matches!(tokenizer.encode("a", 0), Err(TextError::NoRoom)));
}

#[test]
fn a_prompt_beyond_all_reason_is_refused() {
    let tokenizer = PromptTokenizer::read(&tokenizer_file("spiece.model")).unwrap();
    let error = tokenizer
        .encode(&"x".repeat(1_000_001), 300)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1000001 characters") && error.contains("at most 1000000"),
        "{error}"
    );
}

/// Strings of every kind of character, from a seed.
#[test]
fn no_prompt_trips_the_tokenizer() {
    let tokenizer = PromptTokenizer::read(&tokenizer_file("spiece.model")).unwrap();
    let mut state = 7u64;
    let mut random = |n: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % n
    };
    let odd = [
        '\0',
        '\u{7}',
        '\u{ad}',
        '\u{200b}',
        '\u{200d}',
        '\u{301}',
        '\u{feff}',
        '\u{fffd}',
        ' ',
        '▁',
        '\u{1f3fd}',
    ];
    for _ in 0..3000 {
        let n = random(12);
        let chars = (0..n).map(|_| match random(4) {
            0 => odd[random(odd.len() as u32) as usize],
            1 => char::from_u32(random(0x250)).unwrap_or(' '),
            2 => char::from_u32(0x300 + random(0x3000)).unwrap_or(' '),
            _ => char::from_u32(random(0x11_0000)).unwrap_or(' '),
        });
        let prompt: String = chars.collect();
        let tokens = tokenizer.encode(&prompt, 1000).unwrap();
        assert_eq!(tokens.ids.last(), Some(&1), "{prompt:?}");
    }
}

/// Fails unless a folder with these files is refused with all of `expected`.
#[track_caller]
fn check_refused(files: &[(&str, &[u8])], expected: &[&str]) {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        write(&folder.path().join(name), bytes);
    }
    let error = PromptTokenizer::open(folder.path())
        .unwrap_err()
        .to_string();
    for part in expected {
        assert!(error.contains(part), "{part:?}: {error}");
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_wrong_with_a_tokenizer_is_said() {
    let looked = [
        "tokenizer/tokenizer.json",
        "text_encoder/spiece.model",
        "download",
    ];
    check_refused(&[], &looked);
    check_refused(&[("tokenizer/vocab.json", b"{}")], &looked);

    let json = |text: &str, expected: &[&str]| {
        check_refused(&[("tokenizer/tokenizer.json", text.as_bytes())], expected);
    };
    json("{", &["tokenizer.json", "broken JSON", "fetch it again"]);
    json("{}", &["no list model.vocab"]);
    json(
        r#"{"model":{"type":"BPE","vocab":{}}}"#,
        &["its model is BPE, expected Unigram"],
    );
    json(
        r#"{"model":{"type":"Unigram","vocab":[]}}"#,
        &["vocabulary is empty"],
    );
    json(
        r#"{"model":{"type":"Unigram","vocab":[["a",0]]}}"#,
        &["no unknown token"],
    );
    json(
        r#"{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":1}}"#,
        &["unk_id is 1", "1 pieces"],
    );
    json(
        r#"{"model":{"type":"Unigram","vocab":[["a",0]],"unk_id":0}}"#,
        &["no token </s>"],
    );
    let lying_map = r#"{"model":{"type":"Unigram","vocab":[["</s>",0]],"unk_id":0},"normalizer":
        {"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"BAAAAAAEAAA="}]}}"#;
    json(lying_map, &["character map points outside of itself"]);

    let pieces = std::fs::read(tokenizer_file("spiece.model")).unwrap();
    let check = |bytes: &[u8], expected: &[&str]| {
        check_refused(&[("text_encoder/spiece.model", bytes)], expected);
    };
    check(b"", &["spiece.model", "no pieces", "fetch it again"]);
    check(&pieces[..pieces.len() - 1], &["truncated or lies"]);
    check(&pieces[..1000], &["spiece.model"]);
}

#[test]
fn a_folder_downloaded_whole_into_text_encoder_is_found() {
    let folder = TempDir::new().unwrap();
    let pieces = std::fs::read(tokenizer_file("spiece.model")).unwrap();
    write(&folder.path().join("text_encoder/spiece.model"), &pieces);
    let found = PromptTokenizer::open(folder.path()).unwrap();
    assert!(found.path.ends_with("text_encoder/spiece.model"));
    assert_eq!(found.n_tokens(), 1100);
}
