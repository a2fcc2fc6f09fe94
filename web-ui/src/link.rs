//! What the address of the page says after its `#`: which page, and what of it is shown.
//! Never a secret, so an address can be sent to anybody.
//!
//! `#plan?id=4f…&delta=0.1&cell=3,5` is the page `plan` with three settings. Settings that
//! a page does not know are kept, so that pages need not know each other.

use std::fmt;

/// The pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Page {
    /// A plan, seen and changed.
    #[default]
    Plan,
    /// A new plan by calibration.
    Calibrate,
    /// Raw and compressed pictures, side by side.
    Generate,
    /// The worker's queue.
    Jobs,
}

impl Page {
    /// Every page, in the order of the menu.
    pub const ALL: [Self; 4] = [Self::Plan, Self::Calibrate, Self::Generate, Self::Jobs];

    /// The word of addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Calibrate => "calibrate",
            Self::Generate => "generate",
            Self::Jobs => "jobs",
        }
    }

    /// The word of the menu.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Calibrate => "Calibrate",
            Self::Generate => "Generate",
            Self::Jobs => "Jobs",
        }
    }
}

/// An address: a page and its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Which page.
    pub page: Page,
    /// Names and values, in the order in which they were set.
    settings: Vec<(String, String)>,
}

impl Link {
    /// A page with no settings.
    pub fn to(page: Page) -> Self {
        Self {
            page,
            settings: Vec::new(),
        }
    }

    /// Reads what stands after `#`. Nothing here can be wrong: an unknown page is the
    /// first one, and a setting without a value is empty.
    pub fn parse(fragment: &str) -> Self {
        let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
        let (name, query) = fragment.split_once('?').unwrap_or((fragment, ""));
        let page = Page::ALL.into_iter().find(|page| page.as_str() == name);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let settings = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self {
            page: page.unwrap_or_default(),
            settings: settings.collect(),
        }
    }

    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut settings = self.settings.iter();
        let found = settings.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The same address with a setting changed; `None` takes it away.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        let place = self.settings.iter().position(|(known, _)| known == name);
        match (place, value) {
            (Some(place), Some(value)) => self.settings[place].1 = value.to_owned(),
            (Some(place), None) => {
                self.settings.remove(place);
            }
            (None, Some(value)) => self.settings.push((name.to_owned(), value.to_owned())),
            (None, None) => {}
        }
        self
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.page.as_str())?;
        for (idx, (name, value)) in self.settings.iter().enumerate() {
            let mark = if idx == 0 { '?' } else { '&' };
            write!(f, "{mark}{}={}", encoded(name), encoded(value))?;
        }
        Ok(())
    }
}

/// Percent-encodes what would end a setting or does not belong into an address.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// Undoes [`encoded`]; what is not an escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut idx = 0;
    while idx < bytes.len() {
        let escape = text.get(idx + 1..idx + 3);
        let value = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[idx], value) {
            (b'%', Some(byte)) => {
                out.push(byte);
                idx += 3;
            }
            (byte, _) => {
                out.push(byte);
                idx += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_again() {
        let check = |text: &str| assert_eq!(Link::parse(text).to_string(), text);
        check("#plan");
        check("#calibrate?job=018f");
        check("#plan?id=4f&delta=0.1&cell=3,5&note=a%20b%26c");
    }

    #[test]
    fn settings_are_changed_in_place() {
        let link = Link::parse("#plan?a=1&b=2");
        assert_eq!(link.get("b"), Some("2"));
        let link = link.with("a", Some("7")).with("c", Some("ü"));
        assert_eq!(link.to_string(), "#plan?a=7&b=2&c=%C3%BC");
        assert_eq!(Link::parse(&link.to_string()), link);
        assert_eq!(link.with("a", None).to_string(), "#plan?b=2&c=%C3%BC");
    }

    #[test]
    fn nothing_that_is_typed_is_an_error() {
        for text in [
            "",
            "#",
            "#nowhere",
            "#plan?",
            "#plan?=",
            "#plan?%",
            "#plan?a=%ZZ&é=%F",
        ] {
            let link = Link::parse(text);
            assert_eq!(link.page, Page::Plan, "{text}");
            assert_eq!(Link::parse(&link.to_string()), link, "{text}");
        }
    }
}
