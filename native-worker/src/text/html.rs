//! The text of a piece of HTML, as a lenient parser sees it: tags, comments and scripts
//! go, character references become characters. For captions from the web; not a parser.

use super::entities::ENTITIES;

/// Longest tag or comment; what is longer is text. A bound keeps awkward input quick.
const MAX_MARKUP: usize = 8192;
/// Elements whose content is no text.
const SILENT: [&str; 3] = ["script", "style", "template"];

/// The text between the tags.
pub(super) fn text_of(markup: &str) -> String {
    let mut text = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find('<') {
        push_text(&mut text, &rest[..at]);
        rest = &rest[at..];
        match markup_length(rest) {
            Some(n) => {
                let tag = &rest[..n];
                rest = skip_silent(tag, &rest[n..]);
            }
            None => {
                text.push('<');
                rest = &rest[1..];
            }
        }
    }
    push_text(&mut text, rest);
    text
}

/// Bytes of the tag, comment or declaration that begins here; `None` if it is only a
/// less-than sign, or never ends.
fn markup_length(rest: &str) -> Option<usize> {
    let bytes = &rest.as_bytes()[..rest.len().min(MAX_MARKUP)];
    match *bytes.get(1)? {
        b'!' if bytes.starts_with(b"<!--") => {
            let end = bytes[4..].windows(3).position(|three| three == b"-->");
            end.map(|n| n + 7)
        }
        b'!' | b'?' | b'/' => bytes.iter().position(|&byte| byte == b'>').map(|n| n + 1),
        letter if letter.is_ascii_alphabetic() => tag_length(bytes),
        _ => None,
    }
}

/// A quoted value may hold a greater-than sign.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut after_equals = false;
    for (idx, &byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(idx + 1),
            (None, b'"' | b'\'') if after_equals => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        after_equals = byte == b'=' || (after_equals && byte.is_ascii_whitespace());
    }
    None
}

/// What follows the end tag, if `tag` opens an element whose content is no text.
fn skip_silent<'a>(tag: &str, rest: &'a str) -> &'a str {
    let name = tag[1..]
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or("");
    if !SILENT.contains(&name) || tag.ends_with("/>") {
        return rest;
    }
    match rest.find(&format!("</{name}")) {
        Some(at) => rest[at..].find('>').map_or("", |n| &rest[at + n + 1..]),
        None => "",
    }
}

/// A reference must end in a semicolon or before a character that cannot belong to it;
/// an unknown name loses its semicolon only, as with BeautifulSoup.
fn push_text(text: &mut String, mut rest: &str) {
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let n = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '#')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(n);
        // At the very end it is left to the unescaping that follows.
        if after.is_empty() {
            text.push('&');
            break;
        }
        match reference(name) {
            Some(character) => text.push(character),
            None => {
                text.push('&');
                text.push_str(name);
            }
        }
        rest = if name.is_empty() {
            after
        } else {
            after.strip_prefix(';').unwrap_or(after)
        };
    }
    text.push_str(rest);
}

/// The character that `name`, what stands between `&` and `;`, means.
fn reference(name: &str) -> Option<char> {
    let number = match name.strip_prefix('#') {
        None => {
            let found = ENTITIES.binary_search_by_key(&name, |(name, _)| name);
            return found.ok().map(|idx| ENTITIES[idx].1);
        }
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        },
    };
    match number.ok()? {
        0 | 0xd800..=0xdfff | 0x11_0000.. => Some('\u{fffd}'),
        // What browsers make of the gap of Latin-1 is Windows' code page; the usual ones.
        0x91 => Some('‘'),
        0x92 => Some('’'),
        0x93 => Some('“'),
        0x94 => Some('”'),
        0x95 => Some('•'),
        0x96 => Some('–'),
        0x97 => Some('—'),
        0x85 => Some('…'),
        0x80 => Some('€'),
        code => char::from_u32(code),
    }
}

/// Character references in plain text become characters; the old ones of Latin-1 also
/// without a semicolon. Anything else stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match reference_at(rest) {
            Some((character, n)) => {
                out.push(character);
                rest = &rest[n..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// The character and how many bytes after the ampersand mean it.
fn reference_at(rest: &str) -> Option<(char, usize)> {
    let n = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '#')
        .unwrap_or(rest.len());
    let name = &rest[..n];
    if rest[n..].starts_with(';')
        && let Some(character) = reference(name)
    {
        return Some((character, n + 1));
    }
    if let Some(digits) = name.strip_prefix('#') {
        let n_digits = digits.bytes().take_while(u8::is_ascii_digit).count();
        return reference(&name[..=n_digits]).map(|character| (character, n_digits + 1));
    }
    let longest = (2..=name.len().min(6)).rev();
    longest.into_iter().find_map(|n| {
        let character = reference(&name[..n])?;
        let is_old = u32::from(character) < 0x100 && &name[..n] != "apos";
        is_old.then_some((character, n))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_text_stays() {
        let check =
            |markup: &str, expected: &str| assert_eq!(text_of(markup), expected, "{markup}");
        check("", "");
        check("a <b>c</b> d", "a c d");
        check("a < b > c <3", "a < b > c <3");
        check("<a href='x>y'>z", "z");
        check("<a b", "<a b");
        check("<", "<");
        check("<!-- x > y -->z<!-- open", "z<!-- open");
        check("a<script>if (a < b) {}</script>b<style>open", "ab");
        check(
            "&lt;b&gt; &amp;&nosuch; &#65;&#x42; & é&eacute;.",
            "<b> &&nosuch AB & éé.",
        );
    }

    #[test]
    fn references_become_characters() {
        let check = |text: &str, expected: &str| assert_eq!(unescape(text), expected, "{text}");
        check("&amp;&lt;&hellip;", "&<…");
        check(
            "&copy2020 &ampx &hellipx &nosuch; &",
            "©2020 &x &hellipx &nosuch; &",
        );
        check("&#65 &#x42; &#0; &#; &#zz", "A B \u{fffd} &#; &#zz");
        check("&#99999999999;é&é", "&#99999999999;é&é");
    }
}
