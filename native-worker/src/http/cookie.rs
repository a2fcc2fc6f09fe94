//! The value of a `Cookie` header. Knows nothing but text.

/// The value of the first cookie of this name.
pub(super) fn value_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = header.split(';');
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let check = |header, expected| assert_eq!(value_of(header, "s"), expected, "{header}");
        check("s=1", Some("1"));
        check("a=0; s=1; s=2", Some("1"));
        check("s=a=b;", Some("a=b"));
        check("s=", Some(""));
        check("ss=1; as=2; S=3; s", None);
        check("", None);
    }
}
