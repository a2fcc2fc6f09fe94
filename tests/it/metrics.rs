//! Losses and image metrics against torch, scikit-image and torchmetrics.

use std::collections::HashMap;

use candle_core::Tensor;
use dfa_core::metric::{
    Border, Image, ImageShape, Layout, LossKind, loss, mse, psnr, relative_error, ssim,
};
use dfa_tests::fixtures::{json, tensors, values};
use serde_json::Value;

/// The agreement that is promised with other tools' metrics, per unit of the value.
const TOLERANCE: f64 = 1e-5;

/// Of f32 means: torch adds in f32, we in f64, and both round the result to f32.
const LOSS_TOLERANCE: f64 = 1e-6;

fn assert_near(what: &str, expected: &Value, found: f64, tolerance: f64) {
    let expected = match expected.as_str() {
        Some("inf") => f64::INFINITY,
        _ => expected.as_f64().expect("a number"),
    };
    let scale = expected.abs().max(1.0);
    assert!(
        found == expected || (found - expected).abs() <= tolerance * scale,
        "{what}: {found} should be {expected}"
    );
}

fn name_of(case: &Value) -> &str {
    case["name"].as_str().expect("a name")
}

fn cases(file: &str) -> Vec<Value> {
    json(file).as_array().expect("a list of cases").clone()
}

#[test]
fn losses_equal_those_of_torch() {
    let pairs = tensors("losses/pairs.safetensors");
    for case in cases("losses/expected.json") {
        let name = name_of(&case);
        let full = values(&pairs[&format!("{name}.full")]);
        let trial = values(&pairs[&format!("{name}.trial")]);
        for kind in LossKind::ALL {
            let expected = &case[kind.as_str()];
            let found = f64::from(loss(kind, &full, &trial).expect("equal lengths"));
            let what = format!("{name} {kind}");
            assert_near(
                &what,
                &expected["mean_of_f32_terms_in_f64"],
                found,
                LOSS_TOLERANCE,
            );
            assert_near(&what, &expected["mean"], found, LOSS_TOLERANCE);
            let terms = full.iter().zip(&trial);
            let clipped = terms.filter(|&(&a, &b)| kind.term(a, b) == 10.0).count();
            assert_eq!(Some(clipped as u64), expected["clipped"].as_u64(), "{what}");
        }
    }
}

/// The pixels of one fixture image: (H, W) or (H, W, 3).
struct Pixels {
    shape: ImageShape,
    data: Vec<f32>,
}

impl Pixels {
    fn of(images: &HashMap<String, Tensor>, name: &str) -> Self {
        let tensor = &images[name];
        let dims = tensor.dims();
        Self {
            shape: ImageShape {
                width: dims[1],
                height: dims[0],
                channels: dims.get(2).copied().unwrap_or(1),
                layout: Layout::Interleaved,
            },
            data: values(tensor),
        }
    }

    fn view(&self) -> Image<'_> {
        Image::new(self.shape, &self.data).expect("a whole image")
    }

    /// The same image, channel by channel.
    fn to_planar(&self) -> Self {
        let view = self.view();
        let ImageShape {
            width,
            height,
            channels,
            ..
        } = self.shape;
        let mut data = Vec::new();
        for channel in 0..channels {
            for row in 0..height {
                data.extend((0..width).map(|column| view.value(channel, row, column)));
            }
        }
        let layout = Layout::Planar;
        Self {
            shape: ImageShape {
                layout,
                ..self.shape
            },
            data,
        }
    }
}

#[test]
fn image_metrics_equal_those_of_scikit_image_and_torchmetrics() {
    let images = tensors("metrics/images.safetensors");
    for case in cases("metrics/expected.json") {
        let name = name_of(&case);
        let range = case["data_range"].as_f64().expect("a number");
        let a = Pixels::of(&images, &format!("{name}.a"));
        let b = Pixels::of(&images, &format!("{name}.b"));
        let check = |what: &str, tool: &str, field: &str, found: f64| {
            let what = format!("{name}: {what} of {tool}");
            assert_near(&what, &case[tool][field], found, TOLERANCE);
        };
        for (a, b) in [
            (a.view(), b.view()),
            (a.to_planar().view(), b.to_planar().view()),
        ] {
            let inside = ssim(&a, &b, range, Border::Inside).expect("large enough");
            check("ssim", "skimage", "ssim", inside);
            check("ssim inside", "torchmetrics", "ssim_interior", inside);
            let mirrored = ssim(&a, &b, range, Border::Mirrored).expect("large enough");
            check("ssim", "torchmetrics", "ssim", mirrored);
            for tool in ["skimage", "torchmetrics"] {
                check("mse", tool, "mse", mse(&a, &b).expect("equal sizes"));
                check(
                    "psnr",
                    tool,
                    "psnr",
                    psnr(&a, &b, range).expect("equal sizes"),
                );
            }
        }
    }
}

#[test]
fn the_relative_error_is_the_ratio_of_norms() {
    let pairs = tensors("losses/pairs.safetensors");
    let full = values(&pairs["sign-changes.full"]);
    let trial = values(&pairs["sign-changes.trial"]);
    let found = relative_error(&full, &trial).expect("equal lengths");
    assert!((found - 1.5).abs() < 1e-7, "{found}");
}
