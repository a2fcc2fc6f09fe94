//! Cleaning of captions as the authors of PixArt-α and Open-Sora clean their training
//! captions (`clean_caption`, also in diffusers): web addresses, markup, Chinese
//! characters, article numbers, file names and the like go.
//!
//! DEVIATION(caption-cleaning): without the repair of wrongly decoded text, and with a few
//! rare differences of patterns and HTML.

use regex::Regex;
use tokenizers::normalizers::{NFC, NFKC};
use tokenizers::{NormalizedString, Normalizer};

use super::html;
use super::prompt_style::strip;

/// A letter, digit or underscore, as Python's patterns see it.
macro_rules! word {
    () => {
        r"[\p{L}\p{N}_]"
    };
}

/// Domains end in one of these.
macro_rules! domain {
    () => {
        concat!(
            r"[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)(?:",
            word!(),
            r"|[/-])*\b/?"
        )
    };
}

/// Web addresses; tried before anything else is changed.
const ADDRESSES: [&str; 2] = [
    concat!(r"\b(?:https?:(?:/{1,3}|[a-zA-Z0-9%])|", domain!(), ")"),
    concat!(r"\b(?:www:(?:/{1,3}|[a-zA-Z0-9%])|", domain!(), ")"),
];

/// After the markup: pattern and replacement, in order.
const BEFORE_REPAIR: [(&str, &str); 18] = [
    (concat!("@", word!(), r"+\b"), ""),
    // Strokes, Katakana extensions, enclosed and compatibility characters, ideographs.
    (r"[\u{31c0}-\u{4dbf}]+", ""),
    (r"[\u{4dc0}-\u{9fff}]+", ""),
    (
        r"[\u{2d}\u{58a}\u{5be}\u{1400}\u{1806}\u{2010}-\u{2015}\u{2e17}\u{2e1a}\u{2e3a}\u{2e3b}\u{2e40}\u{301c}\u{3030}\u{30a0}\u{fe31}\u{fe32}\u{fe58}\u{fe63}\u{ff0d}]+",
        "-",
    ),
    (r"[`´«»“”¨]", "\""),
    (r"[‘’]", "'"),
    (r"&quot;?", ""),
    (r"&amp", ""),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    (r"\S+\.(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)", ""),
    (r#"["']{2,}"#, "\""),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~)(\]\[}{|\\/*]+", " "),
];

/// After the repair of characters.
const AFTER_REPAIR: [(&str, &str); 18] = [
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
    (r"\b\d+[a-zA-Z]+\d+\b", ""),
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (concat!(r"\bclick\b\s(?:for|on)\s", word!(), "+"), ""),
    (
        r"\b(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)(?:\simages?)?",
        "",
    ),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", "${1} "),
    (r"\s+", " "),
    (r#"(?s)^["'](.+)["']$"#, "${1}"),
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
    // Python's `$` also matches before a last line end, which no longer occurs here.
    (r"^\s+$", ""),
];

type Replacement = (Regex, &'static str);

/// The patterns, ready.
pub(super) struct CaptionCleaner {
    addresses: Vec<Regex>,
    before_repair: Vec<Replacement>,
    lone_dots: Regex,
    after_repair: Vec<Replacement>,
}

impl CaptionCleaner {
    pub(super) fn new() -> Result<Self, regex::Error> {
        let addresses = ADDRESSES.iter().map(|pattern| Regex::new(pattern));
        Ok(Self {
            addresses: addresses.collect::<Result<_, _>>()?,
            before_repair: compile(&BEFORE_REPAIR)?,
            lone_dots: Regex::new(r"\s+\.\s+")?,
            after_repair: compile(&AFTER_REPAIR)?,
        })
    }

    /// One pass. The authors' code runs it twice.
    pub(super) fn clean(&self, caption: &str) -> String {
        let mut text = strip(&unquote(caption)).to_lowercase();
        text = text.replace("<person>", "person");
        for pattern in &self.addresses {
            text = without_addresses(pattern, &text);
        }
        text = replace_all(&self.before_repair, html::text_of(&text));
        text = self.lone_dots.replace_all(&text, " ").into_owned();
        if text.chars().filter(|&c| c == '-' || c == '_').count() > 3 {
            text = text.replace(['-', '_'], " ");
        }
        text = html::unescape(&html::unescape(&repaired(&text)));
        strip(&replace_all(&self.after_repair, text)).to_owned()
    }
}

fn compile(rows: &[(&str, &'static str)]) -> Result<Vec<Replacement>, regex::Error> {
    let rows = rows.iter();
    rows.map(|(pattern, with)| Ok((Regex::new(pattern)?, *with)))
        .collect()
}

fn replace_all(rows: &[Replacement], mut text: String) -> String {
    for (pattern, with) in rows {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text
}

/// A domain that an @ follows is the first half of something else and stays.
fn without_addresses(pattern: &Regex, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for found in pattern.find_iter(text) {
        let is_scheme = found.as_str().starts_with("http") || found.as_str().starts_with("www:");
        if is_scheme || !text[found.end()..].starts_with('@') {
            out.push_str(&text[end..found.start()]);
            end = found.end();
        }
    }
    out.push_str(&text[end..]);
    out
}

/// Plus signs are spaces, `%E2%82%AC` is bytes of UTF-8: a caption from an address.
fn unquote(caption: &str) -> String {
    let bytes = caption.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut idx = 0;
    while idx < bytes.len() {
        let pair = bytes.get(idx + 1..idx + 3).filter(|_| bytes[idx] == b'%');
        let hex = pair.filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let value = hex.and_then(|pair| std::str::from_utf8(pair).ok());
        match value.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                idx += 3;
            }
            None => {
                out.push(if bytes[idx] == b'+' { b' ' } else { bytes[idx] });
                idx += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What `ftfy` does to text that was decoded rightly: straight quotes, letters of one
/// width, no ligatures, no control characters, composed.
fn repaired(text: &str) -> String {
    let text = if text.contains('<') {
        text.to_owned()
    } else {
        html::unescape(text)
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}'..='\u{201b}' | '\u{2bc}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' => plain.push('"'),
            '\u{fb00}'..='\u{fb06}'
            | '\u{ff01}'..='\u{ffef}'
            | '\u{132}'
            | '\u{133}'
            | '\u{3000}' => {
                plain.push_str(&normal(&NFKC, &c.to_string()));
            }
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
            '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
            '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => plain.push('\n'),
            other => plain.push(other),
        }
    }
    normal(&NFC, &plain)
}

/// The text in a normal form; unchanged if the library refuses, which it never does.
fn normal(form: &impl Normalizer, text: &str) -> String {
    let mut normalized = NormalizedString::from(text);
    match form.normalize(&mut normalized) {
        Ok(()) => normalized.get().to_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_captions_of_awkward_kinds_are_cleaned() {
        let cleaner = CaptionCleaner::new().unwrap();
        for part in ["a-", "a.", "<a", "&", "x.com@", "%e2", "1x2", " . "] {
            let caption = part.repeat(50_000);
            assert!(cleaner.clean(&caption).len() <= 3 * caption.len(), "{part}");
        }
    }
}
