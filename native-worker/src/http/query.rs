//! The parameters of a query, each taken once by name. Knows nothing but text.

/// Names and values, percent signs decoded.
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

/// A parameter that stands there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenTwice;

impl Parameters {
    /// Takes a parameter's value.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, GivenTwice> {
        let found = self.0.iter().position(|(key, _)| key == name);
        let value = found.map(|idx| self.0.remove(idx).1);
        if self.0.iter().any(|(key, _)| key == name) {
            return Err(GivenTwice);
        }
        Ok(value)
    }

    /// The name of one that nobody took.
    pub(super) fn left_over(&self) -> Option<&str> {
        self.0.first().map(|(name, _)| name.as_str())
    }
}

/// A window as queries write it: `N` keys on each side, or `LEFT,RIGHT`.
pub(super) fn window_sides(text: &str, most: usize) -> Option<(usize, usize)> {
    let side = |text: &str| {
        let side = text.trim().parse::<usize>().ok();
        side.filter(|&keys| keys <= most)
    };
    match text.split_once(',') {
        Some((left, right)) => side(left).zip(side(right)),
        None => side(text).zip(side(text)),
    }
}
