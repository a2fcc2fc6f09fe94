//! Start noise from a file and final latents to one.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use dfa_native_worker::diffusion::noise::start_noise;
use dfa_native_worker::model::LatentSize;
use dfa_native_worker::picture::read_png;
use dfa_tests::fixtures::values;

use super::{Desk, assert_refused, done, json_of};

const RUN: &str = "generate --model models/avatars-dit --steps 2 --guidance 3";

fn noise(seed: u64, n_images: u64, (width, height): (usize, usize)) -> Tensor {
    start_noise(seed, 0..n_images, 3, LatentSize::image(height, width)).unwrap()
}

impl Desk {
    fn save(&self, name: &str, tensors: &[(&str, Tensor)]) {
        let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
        candle_core::safetensors::save(&tensors, self.path(name)).unwrap();
    }

    fn latents(&self, name: &str) -> Tensor {
        let mut tensors = candle_core::safetensors::load(self.path(name), &Device::Cpu).unwrap();
        tensors.remove("latents").unwrap()
    }
}

#[test]
fn saved_noise_gives_the_pictures_of_its_seed() {
    let desk = Desk::empty();
    let noise = noise(7, 2, (64, 64));
    let other = noise.affine(0.5, 0.0).unwrap();
    desk.save("noise.st", &[("seven", noise), ("other", other)]);
    let by = |from: &str, to: &str| {
        let line = format!("{RUN} --labels 3,8 {from} --save-latents @{to}.st -o @{to} --json");
        let made = json_of(&done(desk.run(&line)));
        let picture = made["pictures"][1].as_str().unwrap().to_owned();
        (
            values(&desk.latents(&format!("{to}.st"))),
            read_png(picture.as_ref()).unwrap().0,
        )
    };
    let noise_file = desk.path("noise.st");
    let seed = by("--seed 7", "seed");
    let file = by(
        &format!("--seed 1 --latents {}:seven", noise_file.display()),
        "file",
    );
    assert_eq!(seed, file);
    let other = by(
        &format!("--latents {}:other", noise_file.display()),
        "other",
    );
    assert_ne!(seed.0, other.0);
    // The images do not depend on how they are batched.
    let apart = by(
        &format!("--latents {}:seven --batch-size 1", noise_file.display()),
        "apart",
    );
    assert_eq!(seed, apart);
}

#[test]
fn the_shape_of_the_noise_sets_batch_and_size() {
    let desk = Desk::empty();
    desk.save("noise.st", &[("only", noise(1, 3, (48, 32)))]);
    let line = format!("{RUN} --labels 3,8 --latents @noise.st --save-latents @out.st -o @out");
    let made = done(desk.run(&line));
    assert_eq!(made.stdout.lines().count(), 3, "{made:?}");
    assert_eq!(desk.latents("out.st").dims(), [3, 3, 32, 48]);
    for name in ["000-croodles.png", "001-micah.png", "002-croodles.png"] {
        let (picture, _) = read_png(&desk.path("out").join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (48, 32), "{name}");
    }
    // What was saved is start noise as good as any.
    done(desk.run(&format!("{RUN} --latents @out.st -o @again")));
}

#[test]
fn half_precision_noise_is_widened() {
    let desk = Desk::empty();
    let half = noise(1, 1, (64, 64))
        .to_dtype(candle_core::DType::F16)
        .unwrap();
    let widened = half.to_dtype(candle_core::DType::F32).unwrap();
    desk.save("half.st", &[("x", half)]);
    desk.save("full.st", &[("x", widened)]);
    for name in ["half", "full"] {
        let line =
            format!("{RUN} --labels 3 --latents @{name}.st --save-latents @{name}-out.st -o @out");
        done(desk.run(&line));
    }
    assert_eq!(
        values(&desk.latents("half-out.st")),
        values(&desk.latents("full-out.st"))
    );
}

#[test]
fn noise_that_does_not_fit_is_refused() {
    let desk = Desk::empty();
    let good = noise(1, 1, (64, 64));
    let check = |tensor: &str, tensors: &[(&str, Tensor)], code: i32, expected: &[&str]| {
        desk.save("noise.st", tensors);
        let file = desk.path("noise.st");
        let line = format!("{RUN} --latents {}{tensor}", file.display());
        assert_refused(&desk.run(&line), code, expected);
    };
    let two = [("a", good.clone()), ("b", good.clone())];
    check(
        "",
        &two,
        1,
        &["noise.st", "name the tensor as FILE:TENSOR", "\"a\", \"b\""],
    );
    check(":c", &two, 1, &["there is no tensor \"c\"", "\"a\", \"b\""]);
    let shape =
        |dims: &[usize]| Tensor::zeros(dims, candle_core::DType::F32, &Device::Cpu).unwrap();
    let one = |tensor: Tensor| [("a", tensor)];
    let layout = "expected [images, 3, height, width]";
    check(
        "",
        &one(shape(&[1, 4, 64, 64])),
        1,
        &["[1, 4, 64, 64]", layout],
    );
    check("", &one(shape(&[3, 64, 64])), 1, &["[3, 64, 64]", layout]);
    check(
        "",
        &one(shape(&[1, 3, 62, 64])),
        2,
        &["62", "multiple of the patch, 4"],
    );
    let broken = good.affine(f64::INFINITY, 0.0).unwrap();
    check("", &one(broken), 1, &["noise.st", "NaN or infinity"]);
    desk.write("noise.st", "no tensors");
    assert_refused(
        &desk.run(&format!("{RUN} --latents @noise.st")),
        1,
        &["noise.st"],
    );
}
