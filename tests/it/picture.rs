//! Pictures: from latents, as PNG files with words in them, as a grid.

use candle_core::{Device, Tensor};
use dfa_native_worker::picture::{
    DIFFERENCE_GAIN, GridRow, Picture, PictureError, PictureGrid, read_png, write_png,
};

fn chequered(width: usize, height: usize) -> Picture {
    let pixel = |idx: usize| [(idx * 7) as u8, (idx * 13) as u8, 255 - (idx * 5) as u8];
    let rgb = (0..width * height).flat_map(pixel).collect();
    Picture::new(width, height, rgb).unwrap()
}

#[test]
fn latents_become_pixels() {
    let check = |value: f32, expected: u8| {
        let image = Tensor::full(value, (3, 1, 1), &Device::Cpu).unwrap();
        let picture = Picture::from_latent(&image).unwrap();
        assert_eq!(picture.rgb(), [expected; 3], "{value}");
    };
    check(-1.0, 0);
    check(1.0, 255);
    check(0.0, 128);
    check(-7.5, 0);
    check(f32::INFINITY, 255);
    check(f32::NEG_INFINITY, 0);
    check(f32::NAN, 0);
    check(0.5, 191);
}

#[test]
fn channels_come_last_and_rows_stay_rows() {
    // (3, 2, 2): channel c at row y and column x is -1, except for one pixel each.
    let mut values = vec![-1f32; 12];
    values[1] = 1.0; // red at row 0, column 1
    values[4 + 2] = 1.0; // green at row 1, column 0
    values[8 + 3] = 1.0; // blue at row 1, column 1
    let image = Tensor::from_vec(values, (3, 2, 2), &Device::Cpu).unwrap();
    let picture = Picture::from_latent(&image).unwrap();
    assert_eq!(picture.pixel(0, 0), [0, 0, 0]);
    assert_eq!(picture.pixel(1, 0), [255, 0, 0]);
    assert_eq!(picture.pixel(0, 1), [0, 255, 0]);
    assert_eq!(picture.pixel(1, 1), [0, 0, 255]);
}

#[test]
fn what_is_no_picture_is_refused() {
    let latent = Tensor::zeros((4, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(
        Picture::from_latent(&latent),
        Err(PictureError::NotPixels { .. })
    ));
    assert!(matches!(
        Picture::new(2, 2, vec![0; 11]),
        Err(PictureError::WrongLength { .. })
    ));
    for (width, height) in [
        (0, 1),
        (usize::MAX, 2),
        (usize::MAX, usize::MAX),
        (1 << 20, 1 << 20),
    ] {
        let refused = Picture::plain(width, height, [0; 3]);
        assert!(
            matches!(refused, Err(PictureError::BadSize { .. })),
            "{width}x{height}"
        );
    }
    for factor in [0, usize::MAX] {
        let refused = chequered(3, 2).enlarged(factor);
        assert!(
            matches!(refused, Err(PictureError::BadSize { .. })),
            "{factor}"
        );
    }
}

#[test]
fn differences_are_enlarged_and_end_at_white() {
    let check = |a: u8, b: u8, expected: u8| {
        let one = |value| Picture::plain(1, 1, [value; 3]).unwrap();
        let difference = one(a).difference(&one(b)).unwrap();
        assert_eq!(difference.rgb(), [expected; 3], "{a} {b}");
    };
    check(10, 10, 0);
    check(10, 13, 3 * DIFFERENCE_GAIN);
    check(13, 10, 3 * DIFFERENCE_GAIN);
    check(0, 255, 255);
    assert!(matches!(
        chequered(2, 3).difference(&chequered(3, 2)),
        Err(PictureError::DifferentSizes { .. })
    ));
}

#[test]
fn enlarging_repeats_pixels() {
    let picture = chequered(3, 2);
    let large = picture.enlarged(4).unwrap();
    assert_eq!((large.width(), large.height()), (12, 8));
    for row in 0..8 {
        for column in 0..12 {
            assert_eq!(large.pixel(column, row), picture.pixel(column / 4, row / 4));
        }
    }
}

#[test]
fn png_files_keep_pixels_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let picture = chequered(5, 3);
    let text = [
        ("seed", "42".to_owned()),
        ("plan hash", "3354ffdffeee".to_owned()),
        ("threshold", "δ = 0.1 · 世界".to_owned()),
        ("latin", "café".to_owned()),
    ];
    write_png(&path, &picture, &text).unwrap();
    let (found, mut words) = read_png(&path).unwrap();
    assert_eq!(found, picture);
    words.sort();
    let mut expected = text
        .map(|(keyword, text)| (keyword.to_owned(), text))
        .to_vec();
    expected.sort();
    assert_eq!(words, expected);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "no temporary file is left");
}

#[test]
fn bad_files_and_keywords_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not.png");
    std::fs::write(&path, b"not a PNG").unwrap();
    assert!(matches!(read_png(&path), Err(PictureError::Decoding(_))));
    let missing = read_png(&folder.path().join("missing.png"));
    assert!(matches!(
        missing,
        Err(PictureError::File { verb: "read", .. })
    ));
    let nowhere = folder.path().join("no-folder").join("picture.png");
    let refused = write_png(&nowhere, &chequered(1, 1), &[]);
    assert!(matches!(
        refused,
        Err(PictureError::File { verb: "write", .. })
    ));
    let long = "k".repeat(80);
    let refused = chequered(1, 1).to_png_bytes(&[(&long, String::new())]);
    assert!(matches!(refused, Err(PictureError::Encoding(_))));
}

fn row(label: &str, raw: Picture, compressed: Picture) -> GridRow {
    GridRow {
        label: label.into(),
        raw,
        compressed,
    }
}

#[test]
fn grids_show_small_pictures_at_128() {
    let (a, b) = (
        chequered(64, 64),
        Picture::plain(64, 64, [200, 10, 10]).unwrap(),
    );
    let size_of = |n_rows: usize| {
        let rows = (0..n_rows)
            .map(|_| row("fox", a.clone(), b.clone()))
            .collect();
        let grid = PictureGrid { rows }.draw().unwrap();
        (grid.width(), grid.height())
    };
    let (width, height) = size_of(1);
    assert!(width > 3 * 128 && height > 128, "{width}x{height}");
    assert_eq!(size_of(3), (width, height + 2 * (128 + 8)));
    // Every enlarged pixel of the compressed picture is there.
    let grid = PictureGrid {
        rows: vec![row("fox", a.clone(), b.clone())],
    };
    let grid = grid.draw().unwrap();
    let red = grid
        .rgb()
        .chunks_exact(3)
        .filter(|pixel| *pixel == [200, 10, 10])
        .count();
    assert_eq!(red, 128 * 128);
}

#[test]
fn grids_take_any_label_and_size() {
    let wide = chequered(300, 2);
    let check = |label: &str, picture: &Picture| {
        let rows = vec![row(label, picture.clone(), picture.clone())];
        let grid = PictureGrid { rows }.draw().unwrap();
        assert!(grid.width() > 3 * picture.width(), "{label}");
    };
    check("", &wide);
    check("犬 and a very long label indeed", &chequered(1, 1));
    check("1", &chequered(1, 200));
    let empty = PictureGrid::default().draw();
    assert!(matches!(empty, Err(PictureError::BadSize { .. })));
    let rows = vec![row("x", chequered(2, 3), chequered(3, 2))];
    let unequal = PictureGrid { rows }.draw();
    assert!(matches!(unequal, Err(PictureError::DifferentSizes { .. })));
}
