//! Bytes as letters that an address may hold (RFC 4648, section 5, without padding).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The letters of some bytes.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = 0u32;
        for idx in 0..3 {
            group = group << 8 | u32::from(chunk.get(idx).copied().unwrap_or(0));
        }
        for idx in 0..=chunk.len() {
            let digit = group >> (18 - 6 * idx) & 63;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
    text
}

/// The bytes of some letters; `None` unless [`encoded`] could have written them.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0u32;
        for idx in 0..4 {
            let digit = chunk.get(idx).map_or(Some(0), |&letter| digit_of(letter))?;
            group = group << 6 | digit;
        }
        let n_bytes = chunk.len().checked_sub(1).filter(|&n_bytes| n_bytes > 0)?;
        let all = group.to_be_bytes();
        // Bits that belong to no byte must be 0, or two texts would mean the same.
        if all[n_bytes + 1..].iter().any(|&rest| rest != 0) {
            return None;
        }
        bytes.extend(&all[1..=n_bytes]);
    }
    Some(bytes)
}

fn digit_of(letter: u8) -> Option<u32> {
    let digit = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(digit.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_the_standard() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encoded(&[0xfb, 0xff]), "-_8");
        for text in ["Z", "Zh", "Zm9", "Zm9v=", "Zg=="] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
