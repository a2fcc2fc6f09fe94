//! The colours of a map: from nothing (nearly black) over blue, green and orange to much
//! (nearly white).
//!
//! Lightness rises evenly to the eye from end to end (OKLab's L), so that the map reads
//! the same in grey and to colour-blind people; the hue only helps to tell heights apart.
//! The table is computed, not copied; the shaders get it from here.

/// Colours of the table.
pub const N_COLOURS: usize = 256;

/// OKLab lightness of the first and of the last colour.
const LIGHTNESS: [f32; 2] = [0.17, 0.98];
/// Hue of both, in degrees: blue, and through green to orange.
const HUE: [f32; 2] = [275.0, 75.0];
/// Chroma at the middle; none at the ends, where no colour has room for it.
const CHROMA: f32 = 0.125;

/// Red, green and blue of each colour, 0 to 255.
pub type Palette = [[u8; 3]; N_COLOURS];

/// The table.
pub fn palette() -> Palette {
    std::array::from_fn(|idx| colour(idx as f32 / (N_COLOURS - 1) as f32))
}

/// The place of a value in the table; what is not a number is nothing.
pub fn index_of(value: f32) -> usize {
    // A cast of NaN is 0.
    (value.clamp(0.0, 1.0) * (N_COLOURS - 1) as f32 + 0.5) as usize
}

/// The colour at a height in [0, 1].
fn colour(height: f32) -> [u8; 3] {
    let between = |[from, to]: [f32; 2]| from + (to - from) * height;
    let lightness = between(LIGHTNESS);
    let hue = between(HUE).to_radians();
    // Half a wave, flattened: colours stay strong over most of the way.
    let chroma = CHROMA * (height * std::f32::consts::PI).sin().max(0.0).sqrt();
    srgb_from_oklab([lightness, chroma * hue.cos(), chroma * hue.sin()])
}

/// sRGB bytes of an OKLab colour (Ottosson 2020), clipped to what a screen shows.
fn srgb_from_oklab([l, a, b]: [f32; 3]) -> [u8; 3] {
    let cube = |root: f32| root * root * root;
    let long = cube(l + 0.396_337_78 * a + 0.215_803_76 * b);
    let medium = cube(l - 0.105_561_346 * a - 0.063_854_17 * b);
    let short = cube(l - 0.089_484_18 * a - 1.291_485_5 * b);
    let linear = [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_4 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ];
    linear.map(|value| {
        let value = value.clamp(0.0, 1.0);
        let encoded = if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        (encoded * 255.0 + 0.5) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG, which knows nothing of OKLab.
    fn luminance(colour: [u8; 3]) -> f32 {
        let linear = colour.map(|byte| (f32::from(byte) / 255.0).powf(2.2));
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn colours_get_lighter_from_end_to_end() {
        let palette = palette();
        for pair in palette.chunks_exact(8).collect::<Vec<_>>().windows(2) {
            assert!(luminance(pair[0][0]) < luminance(pair[1][0]), "{pair:?}");
        }
        assert!(luminance(palette[0]) < 0.02, "{:?}", palette[0]);
        assert!(luminance(palette[255]) > 0.9, "{:?}", palette[255]);
    }

    #[test]
    fn the_ends_hold_whatever_lies_beyond_them() {
        let check = |value, idx| assert_eq!(index_of(value), idx, "{value}");
        check(0.0, 0);
        check(-3.0, 0);
        check(f32::NAN, 0);
        check(0.5, 128);
        check(1.0, 255);
        check(f32::INFINITY, 255);
    }
}
