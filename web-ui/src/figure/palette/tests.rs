//! Contrast by WCAG, and colours as colour-blind people see them.

use super::*;

const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];

/// Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB: no red, no green
/// and no blue cones.
const COLOUR_BLIND: [(&str, [[f64; 3]; 3]); 3] = [
    (
        "protanopia",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deuteranopia",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritanopia",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

/// CIE L*a*b* of a linear sRGB colour, D65.
fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let [r, g, b] = [r, g, b].map(|value| value.clamp(0.0, 1.0));
    let x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047;
    let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883;
    let f = |t: f64| {
        if t > 0.008_856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    };
    let [x, y, z] = [x, y, z].map(f);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>().sqrt()
}

#[test]
fn letters_stand_out_from_their_colours() {
    for theme in THEMES {
        for strategy in Strategy::ALL {
            let Tone { fill, ink } = strategy_tone(strategy, theme);
            let found = contrast(fill, ink);
            assert!(found >= 4.5, "{strategy} {theme:?}: {found:.2}");
        }
    }
}

#[test]
fn letters_stand_out_everywhere_on_the_scales() {
    for theme in THEMES {
        let [low, high] = scale_ends(theme);
        let [below, middle, above] = balance_ends(theme);
        for (from, to) in [(low, high), (middle, below), (middle, above)] {
            for idx in 0..=100 {
                let fill = from.towards(to, idx as f32 / 100.0);
                let found = contrast(fill, readable_ink(fill));
                assert!(found >= 4.5, "{theme:?} {fill:?}: {found:.2}");
            }
        }
    }
}

#[test]
fn colour_blind_people_can_tell_the_strategies_apart() {
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let sights = std::iter::once(("full sight", identity)).chain(COLOUR_BLIND);
    for (name, matrix) in sights {
        let seen = |rgb: Rgb| {
            let linear = rgb.linear();
            lab(matrix.map(|row| row.iter().zip(linear).map(|(m, c)| m * c).sum()))
        };
        for theme in THEMES {
            for (idx, a) in Strategy::ALL.into_iter().enumerate() {
                for b in &Strategy::ALL[..idx] {
                    let colours = [a, *b].map(|strategy| seen(strategy_tone(strategy, theme).fill));
                    let found = distance(colours[0], colours[1]);
                    // 2.3 is just noticeable; ten is plain to see.
                    assert!(found >= 10.0, "{a} and {b}, {name}, {theme:?}: {found:.1}");
                }
            }
        }
    }
}

#[test]
fn scales_run_one_way_in_grey() {
    for theme in THEMES {
        let [low, high] = scale_ends(theme);
        let lightness = |idx: usize| low.towards(high, idx as f32 / 20.0).luminance();
        let is_falling = low.luminance() > high.luminance();
        for idx in 1..=20 {
            assert_eq!(
                lightness(idx) < lightness(idx - 1),
                is_falling,
                "{theme:?} {idx}"
            );
        }
    }
}

#[test]
fn letters_are_all_different() {
    let mut letters = Strategy::ALL.map(letter);
    letters.sort_unstable();
    assert!(letters.windows(2).all(|pair| pair[0] != pair[1]));
}

/// `web-ui/style/palette.css` is written by this test where `UPDATE_PALETTE` is set.
#[test]
fn the_style_sheet_has_these_colours() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/style/palette.css");
    if std::env::var_os("UPDATE_PALETTE").is_some() {
        std::fs::write(path, style_sheet()).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == style_sheet(),
        "style/palette.css is not what figure/palette.rs says; run \
         `UPDATE_PALETTE=1 cargo test -p dfa-web-ui palette`"
    );
}
