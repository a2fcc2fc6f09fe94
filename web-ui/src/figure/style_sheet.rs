//! The palette as the style sheet has it: the block of `style/plan.css` between two marks
//! is what [`block`] writes, and a test compares them, so that figures and page never
//! show different colours.

use dfa_core::Strategy;

use super::palette::{Rgb, Theme, balance_ends, scale_ends, strategy_tone};

/// Shades of the one-colour scale: classes `n0` to `n15`.
pub const N_SHADES: usize = 16;
/// Shades of the two-colour scale: classes `b0` to `b16`; `b8` is 0.
pub const N_BALANCE: usize = 17;

/// Where the block begins and ends.
pub const MARKS: [&str; 2] = ["/* palette: begin */\n", "/* palette: end */\n"];

/// The colours of every class, for both themes.
pub fn block() -> String {
    let light = rules(Theme::Light, "");
    let system = rules(Theme::Dark, ":root:not([data-theme=\"light\"]) ");
    let dark = rules(Theme::Dark, ":root[data-theme=\"dark\"] ");
    let [begin, end] = MARKS;
    format!(
        "{begin}{light}@media (prefers-color-scheme: dark) {{\n{system}}}\n{dark}{end}"
    )
}

fn rules(theme: Theme, scope: &str) -> String {
    let strategies = Strategy::ALL.into_iter().enumerate();
    let mut text = String::new();
    for (idx, strategy) in strategies {
        let tone = strategy_tone(strategy, theme);
        text += &rule(scope, &format!("s{idx}"), tone.fill, tone.ink);
    }
    for idx in 0..N_SHADES {
        let fill = scale_fill(theme, idx);
        text += &rule(scope, &format!("n{idx}"), fill, ink_on(fill));
    }
    for idx in 0..N_BALANCE {
        let fill = balance_fill(theme, idx);
        text += &rule(scope, &format!("b{idx}"), fill, ink_on(fill));
    }
    text
}

fn rule(scope: &str, class: &str, fill: Rgb, ink: Rgb) -> String {
    format!(
        "{scope}.{class} {{ background-color: {}; color: {}; }}\n",
        fill.hex(),
        ink.hex()
    )
}

/// A shade of the one-colour scale.
pub fn scale_fill(theme: Theme, idx: usize) -> Rgb {
    let [low, high] = scale_ends(theme);
    low.towards(high, idx as f32 / (N_SHADES - 1) as f32)
}

/// A shade of the two-colour scale.
pub fn balance_fill(theme: Theme, idx: usize) -> Rgb {
    let [low, middle, high] = balance_ends(theme);
    let half = (N_BALANCE / 2) as f32;
    let place = idx as f32 - half;
    let end = if place < 0.0 { low } else { high };
    middle.towards(end, place.abs() / half)
}

/// Black or white, whichever stands out more.
fn ink_on(fill: Rgb) -> Rgb {
    let (dark, light) = (Rgb(0x10, 0x16, 0x1c), Rgb(0xff, 0xff, 0xff));
    if contrast(fill, dark) >= contrast(fill, light) {
        dark
    } else {
        light
    }
}

/// How much two colours stand out from each other, from 1 to 21 (WCAG 2.2).
pub fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(Rgb(red, green, blue): Rgb) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_holds_the_palette() {
        let sheet = include_str!("../../style/plan.css");
        let expected = block();
        assert!(
            sheet.contains(&expected),
            "put this into style/plan.css:\n{expected}"
        );
    }

    #[test]
    fn letters_stand_out_from_every_colour() {
        for theme in [Theme::Light, Theme::Dark] {
            for strategy in Strategy::ALL {
                let tone = strategy_tone(strategy, theme);
                assert!(contrast(tone.fill, tone.ink) >= 4.5, "{strategy}");
            }
            let scale = (0..N_SHADES).map(|idx| scale_fill(theme, idx));
            let balance = (0..N_BALANCE).map(|idx| balance_fill(theme, idx));
            for fill in scale.chain(balance) {
                assert!(contrast(fill, ink_on(fill)) >= 4.5, "{}", fill.hex());
            }
        }
    }
}
