//! The value of a `Range` header (RFC 9110, section 14). One range of bytes is understood;
//! anything else gives the whole file, as the RFC allows. Knows nothing but text.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything.
    Whole,
    /// These bytes, half-open, never empty, within the file.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Beyond,
}

impl Asked {
    /// Reads the header's value for a file of `size` bytes.
    pub(super) fn by(text: &str, size: u64) -> Self {
        let range = text.strip_prefix("bytes=");
        match range.and_then(|range| range.trim().split_once('-')) {
            Some((first, last)) => one_range(first.trim(), last.trim(), size),
            None => Self::Whole,
        }
    }
}

/// `first-last`, ends included; `first-` to the end; `-n` for the last n.
fn one_range(first: &str, last: &str, size: u64) -> Asked {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(n)) if first.is_empty() => (size.saturating_sub(n), size),
        _ => return Asked::Whole,
    };
    if start < end {
        Asked::Part(start..end)
    } else {
        Asked::Beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let check = |text: &str, expected| assert_eq!(Asked::by(text, 100), expected, "{text}");
        check("bytes=0-9", Asked::Part(0..10));
        check("bytes=90-", Asked::Part(90..100));
        check("bytes=-10", Asked::Part(90..100));
        check("bytes=-1000", Asked::Part(0..100));
        check("bytes=50-1000", Asked::Part(50..100));
        check("bytes=0-99999999999999999999999", Asked::Part(0..100));
        check("bytes=100-", Asked::Beyond);
        check("bytes=-0", Asked::Beyond);
        check("bytes=9-1", Asked::Whole);
        check("bytes=-", Asked::Whole);
        check("bytes=0-1,5-6", Asked::Whole);
        check("bytes=+1-2", Asked::Whole);
        check("lines=0-1", Asked::Whole);
    }
}
