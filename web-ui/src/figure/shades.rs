//! The classes that colour cells: `s0` to `s5` for strategies, `n0` to `n15` for the
//! one-colour scale, `b0` to `b16` for the two-colour scale. A class costs a browser far
//! less than a colour of its own for each of 14,000 cells.
//!
//! `style/plan.css` holds them between two marks, written from the palette by a test.

use dfa_core::Strategy;

use super::palette::{Rgb, Theme, balance_ends, css_name, readable_ink, scale_ends};

/// Shades of the one-colour scale.
pub const N_SHADES: usize = 16;
/// Shades of the two-colour scale; the one in the middle is 0.
pub const N_BALANCE: usize = 17;

/// Where the rules begin and end in the style sheet.
pub const MARKS: [&str; 2] = ["/* shades: begin */\n", "/* shades: end */\n"];

/// The rules, with their marks.
pub fn rules() -> String {
    let strategies = Strategy::ALL.into_iter().enumerate();
    let strategies = strategies.map(|(idx, strategy)| {
        let name = css_name(strategy);
        format!(".s{idx} {{ background-color: var(--{name}-fill); color: var(--{name}-ink); }}\n")
    });
    let strategies: String = strategies.collect();
    let light = scales(Theme::Light, "");
    let system = scales(Theme::Dark, "  :root:not([data-theme=\"light\"]) ");
    let dark = scales(Theme::Dark, ":root[data-theme=\"dark\"] ");
    let [begin, end] = MARKS;
    format!(
        "{begin}{strategies}{light}@media (prefers-color-scheme: dark) {{\n{system}}}\n{dark}{end}"
    )
}

fn scales(theme: Theme, scope: &str) -> String {
    let rule = |class: &str, idx: usize, fill: Rgb| {
        let (ink, fill) = (readable_ink(fill).hex(), fill.hex());
        format!("{scope}.{class}{idx} {{ background-color: {fill}; color: {ink}; }}\n")
    };
    let shades = (0..N_SHADES).map(|idx| rule("n", idx, shade(theme, idx)));
    let balance = (0..N_BALANCE).map(|idx| rule("b", idx, balance(theme, idx)));
    shades.chain(balance).collect()
}

fn shade(theme: Theme, idx: usize) -> Rgb {
    let [low, high] = scale_ends(theme);
    low.towards(high, idx as f32 / (N_SHADES - 1) as f32)
}

fn balance(theme: Theme, idx: usize) -> Rgb {
    let [below, middle, above] = balance_ends(theme);
    let half = (N_BALANCE / 2) as f32;
    let place = idx as f32 - half;
    middle.towards(if place < 0.0 { below } else { above }, place.abs() / half)
}

/// The class of a place in [0, 1] on the one-colour scale.
pub fn shade_class(share: f32) -> String {
    format!("n{}", nearest(share, N_SHADES))
}

/// The class of a place in [-1, 1] on the two-colour scale.
pub fn balance_class(place: f32) -> String {
    format!("b{}", nearest((place + 1.0) / 2.0, N_BALANCE))
}

fn nearest(share: f32, count: usize) -> usize {
    let last = count - 1;
    ((share.clamp(0.0, 1.0) * last as f32).round() as usize).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web-ui/style/plan.css` is brought up to date where `UPDATE_PALETTE` is set.
    #[test]
    fn the_style_sheet_has_these_classes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/style/plan.css");
        let text = std::fs::read_to_string(path).unwrap();
        let [begin, end] = MARKS;
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let expected = format!("{before}{}{after}", rules());
        if std::env::var_os("UPDATE_PALETTE").is_some() {
            std::fs::write(path, &expected).unwrap();
        } else {
            assert!(
                text == expected,
                "style/plan.css is not what figure/shades.rs says; run \
                 `UPDATE_PALETTE=1 cargo test -p dfa-web-ui shades`"
            );
        }
    }

    #[test]
    fn places_become_classes() {
        assert_eq!(shade_class(0.0), "n0");
        assert_eq!(shade_class(1.0), "n15");
        assert_eq!(shade_class(f32::NAN), "n0");
        assert_eq!(balance_class(-1.0), "b0");
        assert_eq!(balance_class(0.0), "b8");
        assert_eq!(balance_class(7.0), "b16");
    }
}
