//! The colours and letters of strategies and scales: the single source for the figures
//! and for the style sheet's custom properties.
//!
//! The hues are Okabe and Ito's, which colour-blind people can tell apart; every letter
//! stands out from its colour by at least 4.5 to 1 (WCAG AA), in both themes. The letters
//! are the report's: F full, W window, A across steps (AST), C across the CFG halves,
//! B both (WA-RS + ASC), o window only.

use dfa_core::Strategy;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// A colour between this one (0) and `other` (1).
    #[must_use]
    pub fn towards(self, other: Self, share: f32) -> Self {
        let share = share.clamp(0.0, 1.0);
        let mix =
            |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * share).round() as u8;
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }

    /// The three parts as amounts of light, in [0, 1] (IEC 61966-2-1).
    pub fn linear(self) -> [f64; 3] {
        [self.0, self.1, self.2].map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    /// Relative luminance (WCAG 2.2).
    pub fn luminance(self) -> f64 {
        let [r, g, b] = self.linear();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light; figures always are.
    Light,
    /// Light on dark.
    Dark,
}

/// A surface and what is written on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// The surface.
    pub fill: Rgb,
    /// The letter on it.
    pub ink: Rgb,
}

const fn tone(fill: Rgb, ink: Rgb) -> Tone {
    Tone { fill, ink }
}

/// The letter of a strategy, in cells and legends; readable without any colour.
pub const fn letter(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Full => "F",
        Strategy::WindowResidual => "W",
        Strategy::ShareSteps => "A",
        Strategy::ShareCfg => "C",
        Strategy::WindowResidualShareCfg => "B",
        Strategy::WindowOnly => "o",
    }
}

/// The colours of a strategy. Only `full`, the absence of compression, follows the theme:
/// it lies near the page's own colour.
pub const fn strategy_tone(strategy: Strategy, theme: Theme) -> Tone {
    match (strategy, theme) {
        (Strategy::Full, Theme::Light) => tone(Rgb(0xe4, 0xe6, 0xea), Rgb(0x3b, 0x42, 0x4b)),
        (Strategy::Full, Theme::Dark) => tone(Rgb(0x34, 0x3a, 0x43), Rgb(0xcc, 0xd2, 0xda)),
        (Strategy::WindowResidual, _) => tone(Rgb(0x56, 0xb4, 0xe9), Rgb(0x10, 0x16, 0x1c)),
        (Strategy::ShareSteps, _) => tone(Rgb(0xe6, 0x9f, 0x00), Rgb(0x1c, 0x14, 0x00)),
        (Strategy::ShareCfg, _) => tone(Rgb(0x2f, 0xae, 0x85), Rgb(0x04, 0x17, 0x0f)),
        (Strategy::WindowResidualShareCfg, _) => tone(Rgb(0x00, 0x67, 0xa6), Rgb(0xff, 0xff, 0xff)),
        (Strategy::WindowOnly, _) => tone(Rgb(0xd5, 0x8f, 0xb5), Rgb(0x22, 0x10, 0x1a)),
    }
}

/// The ends of the one-colour scale, from 0 to 1.
pub const fn scale_ends(theme: Theme) -> [Rgb; 2] {
    match theme {
        Theme::Light => [Rgb(0xf4, 0xf1, 0xf8), Rgb(0x4b, 0x1d, 0x7d)],
        Theme::Dark => [Rgb(0x22, 0x1f, 0x2b), Rgb(0xd6, 0xbc, 0xf7)],
    }
}

/// The two-colour scale at -1, 0 and 1.
pub const fn balance_ends(theme: Theme) -> [Rgb; 3] {
    match theme {
        Theme::Light => [
            Rgb(0x9c, 0x3d, 0x00),
            Rgb(0xf5, 0xf3, 0xef),
            Rgb(0x00, 0x4f, 0x87),
        ],
        Theme::Dark => [
            Rgb(0xf5, 0xa6, 0x67),
            Rgb(0x23, 0x26, 0x2b),
            Rgb(0x86, 0xc4, 0xf4),
        ],
    }
}

/// The name of a strategy in custom properties and classes: `wa_rs-asc`.
pub fn css_name(strategy: Strategy) -> String {
    strategy.as_str().replace('+', "-")
}

/// The contrast of two colours, 1 to 21 (WCAG 2.2); 4.5 is enough for text.
pub fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (a.luminance(), b.luminance());
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Black or white, whichever stands out more; on any colour by at least 4.5 to 1.
pub fn readable_ink(fill: Rgb) -> Rgb {
    let (black, white) = (Rgb(0, 0, 0), Rgb(255, 255, 255));
    if contrast(fill, black) >= contrast(fill, white) {
        black
    } else {
        white
    }
}

/// The custom properties of one theme, one a line: `--<strategy>-fill`, `--<strategy>-ink`,
/// `--scale-low`, `--scale-high`, `--balance-below`, `--balance-middle`, `--balance-above`.
pub fn custom_properties(theme: Theme) -> Vec<String> {
    let mut lines = Vec::new();
    for strategy in Strategy::ALL {
        let (name, tone) = (css_name(strategy), strategy_tone(strategy, theme));
        lines.push(format!("--{name}-fill: {};", tone.fill.hex()));
        lines.push(format!("--{name}-ink: {};", tone.ink.hex()));
    }
    let [low, high] = scale_ends(theme);
    let [below, middle, above] = balance_ends(theme);
    for (name, colour) in [
        ("scale-low", low),
        ("scale-high", high),
        ("balance-below", below),
        ("balance-middle", middle),
        ("balance-above", above),
    ] {
        lines.push(format!("--{name}: {};", colour.hex()));
    }
    lines
}

/// The style sheet `web-ui/style/palette.css`; a test compares the two.
pub fn style_sheet() -> String {
    let block = |selector: &str, indent: &str, theme: Theme| {
        let lines = custom_properties(theme).into_iter();
        let lines: String = lines.map(|line| format!("{indent}  {line}\n")).collect();
        format!("{indent}{selector} {{\n{lines}{indent}}}\n")
    };
    format!(
        "/* Written by figure/palette.rs, which has the reasons; change that instead. */\n\n{}\n\
         @media (prefers-color-scheme: dark) {{\n{}}}\n\n{}",
        block(":root", "", Theme::Light),
        block(":root:not([data-theme=\"light\"])", "  ", Theme::Dark),
        block(":root[data-theme=\"dark\"]", "", Theme::Dark)
    )
}

#[cfg(test)]
mod tests;
