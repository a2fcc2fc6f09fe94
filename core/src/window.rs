//! Which keys a query sees in window attention: a 1-D band over the flattened,
//! row-major token sequence. Not causal, clipped at the ends, no wrap-around.
//!
//! The meaning is flash-attention's: query `i` sees keys `i - left ..= i + right`.
//! Both sides are always finite here; a one-sided setting cannot be written down, so it
//! can never turn into "unlimited on the other side" (a bug of the reference's early releases).

use core::fmt;
use core::ops::Range;
use core::str::FromStr;

/// Keys visible around a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Keys visible before the query, the query itself not counted.
    pub left: usize,
    /// Keys visible after the query, the query itself not counted.
    pub right: usize,
}

impl Window {
    /// The same number of keys on each side.
    pub const fn symmetric(side: usize) -> Self {
        Self {
            left: side,
            right: side,
        }
    }

    /// The default: N/8 keys on *each* side, as the reference's scripts set it
    /// (the paper says "window size is 1/8 of the tokens").
    pub const fn eighth_of(n_tokens: usize) -> Self {
        Self::symmetric(n_tokens / 8)
    }

    /// Keys that query `query` sees in a sequence of `n_tokens`, half-open.
    pub fn keys_of(self, query: usize, n_tokens: usize) -> Range<usize> {
        let first = query.saturating_sub(self.left);
        let end = query
            .saturating_add(self.right)
            .saturating_add(1)
            .min(n_tokens);
        first..end
    }

    /// Whether every query sees every key, so that window attention is full attention.
    pub const fn covers(self, n_tokens: usize) -> bool {
        self.left.saturating_add(1) >= n_tokens && self.right.saturating_add(1) >= n_tokens
    }

    /// Number of (query, key) pairs inside the band.
    ///
    /// For `left == right == W < N` this is `N(2W+1) - W(W+1)` (method, section 2).
    pub fn n_pairs(self, n_tokens: usize) -> u64 {
        let n = n_tokens as u64;
        n + pairs_on_side(self.left, n) + pairs_on_side(self.right, n)
    }

    /// Share of all N² pairs inside the band, in (0, 1].
    pub fn kept_share(self, n_tokens: usize) -> f64 {
        let n = n_tokens as f64;
        self.n_pairs(n_tokens) as f64 / (n * n)
    }
}

/// A window as people write it; its size may depend on the number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowChoice {
    /// So many keys on each side, whatever the number of tokens.
    Keys(Window),
    /// A share of the tokens, the same on each side.
    ShareOfTokens {
        /// Above the line.
        numerator: usize,
        /// Below the line, not 0.
        denominator: usize,
    },
}

impl WindowChoice {
    /// The window for a sequence of `n_tokens`.
    pub const fn for_tokens(self, n_tokens: usize) -> Window {
        match self {
            Self::Keys(window) => window,
            Self::ShareOfTokens {
                numerator,
                denominator,
            } => Window::symmetric(n_tokens.saturating_mul(numerator) / denominator),
        }
    }
}

impl Default for WindowChoice {
    /// An eighth of the tokens on each side, see [`Window::eighth_of`].
    fn default() -> Self {
        Self::ShareOfTokens {
            numerator: 1,
            denominator: 8,
        }
    }
}

/// Text that is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window is N, a share like 1/8, or LEFT,RIGHT (keys on each side)")]
pub struct BadWindow;

impl FromStr for WindowChoice {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| BadWindow);
        if let Some((left, right)) = text.split_once(',') {
            let (left, right) = (number(left)?, number(right)?);
            return Ok(Self::Keys(Window { left, right }));
        }
        let Some((numerator, denominator)) = text.split_once('/') else {
            return Ok(Self::Keys(Window::symmetric(number(text)?)));
        };
        match (number(numerator)?, number(denominator)?) {
            (_, 0) => Err(BadWindow),
            (numerator, denominator) => Ok(Self::ShareOfTokens {
                numerator,
                denominator,
            }),
        }
    }
}

impl fmt::Display for WindowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(Window { left, right }) if left == right => left.fmt(f),
            Self::Keys(Window { left, right }) => write!(f, "{left},{right}"),
            Self::ShareOfTokens {
                numerator,
                denominator,
            } => write!(f, "{numerator}/{denominator}"),
        }
    }
}

/// Pairs on one side of the diagonal: sum over queries of `min(position, side)`.
fn pairs_on_side(side: usize, n: u64) -> u64 {
    let side = (side as u64).min(n.saturating_sub(1));
    n * side - side * (side + 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_clipped_at_the_edges() {
        let check = |query, expected| {
            let window = Window { left: 2, right: 1 };
            assert_eq!(window.keys_of(query, 6), expected, "query {query}");
        };
        check(0, 0..2);
        check(3, 1..5);
        check(5, 3..6);
    }

    #[test]
    fn pairs_are_those_that_the_queries_see() {
        for n in [1usize, 2, 7, 16] {
            for left in 0..n + 2 {
                for right in 0..n + 2 {
                    let window = Window { left, right };
                    let counted: usize = (0..n).map(|query| window.keys_of(query, n).len()).sum();
                    assert_eq!(window.n_pairs(n), counted as u64, "{window:?} n {n}");
                    assert_eq!(window.covers(n), counted == n * n, "{window:?} n {n}");
                }
            }
        }
    }

    #[test]
    fn kept_shares_are_those_of_the_method() {
        let check = |n: usize, expected: f64| {
            let share = Window::eighth_of(n).kept_share(n);
            assert!((share - expected).abs() < 5e-5, "n {n}: {share}");
        };
        check(1024, 0.2352);
        check(4096, 0.2346);
        check(16384, 0.2344);
    }

    #[test]
    fn windows_are_keys_shares_or_two_sides() {
        let check = |text: &str, expected: Option<(usize, usize)>| {
            let window = text
                .parse::<WindowChoice>()
                .ok()
                .map(|choice| choice.for_tokens(256));
            assert_eq!(
                window.map(|window| (window.left, window.right)),
                expected,
                "{text:?}"
            );
        };
        check("1/8", Some((32, 32)));
        check("3/16", Some((48, 48)));
        check("10", Some((10, 10)));
        check("3,9", Some((3, 9)));
        check("0", Some((0, 0)));
        check("-1", None);
        check("1/0", None);
        check("3,", None);
        check("eighth", None);
    }
}
