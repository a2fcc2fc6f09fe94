//! A Rust file parted into code and comments, so that a rule about code is not misled by
//! a comment or a string, nor a rule about comments by code.
//!
//! Line numbers stay: each view has a line per line of the file, with everything that
//! does not belong to it left out. This is a scanner, not a parser; it knows strings (raw
//! and with escapes), character literals, lifetimes, and nested comments.

/// The two views.
pub(super) struct Source {
    /// Code with string contents and comments left out.
    pub(super) code: String,
    /// Comments only.
    pub(super) comments: String,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let mut scanner = Scanner {
            rest: text,
            previous: ' ',
            code: String::with_capacity(text.len()),
            comments: String::new(),
        };
        while scanner.step() {}
        Self {
            code: scanner.code,
            comments: scanner.comments,
        }
    }
}

struct Scanner<'a> {
    rest: &'a str,
    /// The last character of code.
    previous: char,
    code: String,
    comments: String,
}

impl Scanner<'_> {
    /// Takes the next piece; false at the end.
    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            let n_bytes = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(n_bytes);
        } else if self.rest.starts_with("/*") {
            self.comment(block_comment_len(self.rest));
        } else if let Some(n_bytes) = self.literal_len(next) {
            self.literal(n_bytes);
        } else {
            self.code.push(next);
            if next == '\n' {
                self.comments.push('\n');
            }
            self.advance(next.len_utf8(), next);
        }
        true
    }

    fn advance(&mut self, n_bytes: usize, previous: char) {
        self.rest = &self.rest[n_bytes..];
        self.previous = previous;
    }

    fn comment(&mut self, n_bytes: usize) {
        let text = &self.rest[..n_bytes];
        self.comments.push_str(text);
        self.code.extend(text.chars().filter(|&c| c == '\n'));
        self.advance(n_bytes, ' ');
    }

    fn literal(&mut self, n_bytes: usize) {
        let text = &self.rest[..n_bytes];
        let n_lines = text.matches('\n').count();
        self.code.push_str("\"\"");
        for view in [&mut self.code, &mut self.comments] {
            view.extend(std::iter::repeat_n('\n', n_lines));
        }
        self.advance(n_bytes, '"');
    }

    /// Bytes of the string or character literal that starts here, if one does.
    fn literal_len(&self, next: char) -> Option<usize> {
        match next {
            '"' => Some(quoted_len(self.rest)),
            '\'' => char_len(self.rest),
            'r' if !is_word(self.previous) || "bc".contains(self.previous) => {
                raw_string_len(self.rest)
            }
            _ => None,
        }
    }
}

/// Whether a character can be part of a name.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// `"…"` with escapes.
fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `'x'` or `'\…'`; `None` for a lifetime.
fn char_len(text: &str) -> Option<usize> {
    let mut inner = text.char_indices().skip(1);
    let (_, first) = inner.next()?;
    if first != '\\' {
        let (at, quote) = inner.next()?;
        return (quote == '\'').then_some(at + 1);
    }
    inner.next();
    inner.find(|&(_, c)| c == '\'').map(|(at, _)| at + 1)
}

/// `r"…"` or `r#"…"#`; `None` for a name that starts with r, or a raw name.
fn raw_string_len(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|&b| b == b'#').count();
    let body = 1 + hashes;
    if text.as_bytes().get(body) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let found = text[body + 1..].find(&end);
    Some(found.map_or(text.len(), |at| body + 1 + at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_comments_are_parted() {
        let check = |text: &str, code: &str, comments: &str| {
            let source = Source::new(text);
            assert_eq!(source.code, code, "code of {text:?}");
            assert_eq!(source.comments, comments, "comments of {text:?}");
        };
        check("a // b\nc", "a \nc", "// b\n");
        check("a /* b /* c */\n */ d", "a \n d", "/* b /* c */\n */");
        check(r#"f("// no", b)"#, r#"f("", b)"#, "");
        check(r#"f("\"x", '"', '\'')"#, r#"f("", "", "")"#, "");
        check("r#\"a \" b\"# c", "\"\" c", "");
        check("br\"\\\" c", "b\"\" c", "");
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)", "");
        check("\"two\nlines\" x", "\"\"\n x", "\n");
        check("for_r\"\"", "for_r\"\"", "");
    }
}
