//! The families from the command line: another program's run again from its files, and
//! whole small models from prompt to picture or video.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use dfa_native_worker::picture::mp4::ffmpeg_version;
use dfa_tests::closeness::relative_l2;
use dfa_tests::fixtures::{fixture, json, tensors, values};

use super::{Desk, assert_refused, done, json_of};

const PIXART: &str = "tests/fixtures/families/pixart-tiny";
const OPEN_SORA: &str = "tests/fixtures/families/open-sora-tiny";

impl Desk {
    fn assert_latents(&self, name: &str, expected: &Tensor) {
        let made = candle_core::safetensors::load(self.path(name), &Device::Cpu).unwrap();
        let error = relative_l2(&values(expected), &values(&made["latents"]));
        assert!(error < 1e-3, "{name}: {error}");
    }
}

/// Steps and guidance of a fixture's run, as flags.
fn run_flags(cases: &str) -> String {
    let facts = &json(cases)["run"];
    let (steps, guidance) = (&facts["n_steps"], &facts["guidance_scale"]);
    format!("--steps {steps} --guidance {guidance} --save-latents @made.st -o @out")
}

#[test]
fn a_run_of_diffusers_pixart_pipeline_is_made_again_from_its_files() {
    let desk = Desk::empty();
    let run = "tests/fixtures/pixart/run.safetensors";
    let flags = run_flags("pixart/cases.json");
    let line = format!(
        "generate --model tests/fixtures/pixart/tiny --prompt-embeds {run} --latents {run}:latents {flags}"
    );
    done(desk.run(&line));
    let expected = &tensors("pixart/run.safetensors")["final"];
    desk.assert_latents("made.st", expected);
}

/// The texts of the fixture as another program would hand them over: padded, with a mask.
fn padded_texts(arrays: &HashMap<String, Tensor>) -> HashMap<&'static str, Tensor> {
    let texts: Vec<&Tensor> = (0..2)
        .map(|idx| &arrays[&format!("prompt.{idx}")])
        .collect();
    let longest = texts.iter().map(|text| text.dim(0).unwrap()).max().unwrap();
    let (mut embeds, mut masks) = (Vec::new(), Vec::new());
    for text in texts {
        let n = text.dim(0).unwrap();
        embeds.push(text.pad_with_zeros(0, 0, longest - n).unwrap());
        let seen = Tensor::ones(n, DType::F32, &Device::Cpu).unwrap();
        masks.push(seen.pad_with_zeros(0, 0, longest - n).unwrap());
    }
    HashMap::from([
        ("prompt_embeds", Tensor::stack(&embeds, 0).unwrap()),
        ("prompt_attention_mask", Tensor::stack(&masks, 0).unwrap()),
    ])
}

#[test]
fn a_run_of_open_sora_is_made_again_with_its_noise() {
    let desk = Desk::empty();
    let arrays = tensors("open_sora/run.safetensors");
    candle_core::safetensors::save(&padded_texts(&arrays), desk.path("texts.st")).unwrap();
    let facts = &json("open_sora/cases.json")["run"];
    let (height, width, fps) = (&facts["pixels"][0], &facts["pixels"][1], &facts["fps"]);
    let run = "tests/fixtures/open_sora/run.safetensors";
    let flags = run_flags("open_sora/cases.json");
    let line = format!(
        "generate --model tests/fixtures/open_sora/tiny --prompt-embeds @texts.st --latents {run}:latents \
         --step-noise {run}:step_noise --size {width}x{height} --fps {fps} {flags}"
    );
    done(desk.run(&line));
    desk.assert_latents("made.st", &arrays["final"]);
}

#[test]
fn a_small_pixart_goes_from_prompt_to_pictures_by_a_plan() {
    let desk = Desk::empty();
    let run = format!("--model {PIXART} --steps 4 --prompt cat --negative-prompt dog");
    done(desk.run(&format!("calibrate {run} --threshold 0.3 -o @plan.json")));
    let made = desk.run(&format!(
        "generate {run} -n 2 --plan @plan.json -o @out --json"
    ));
    let made = json_of(&done(made));
    assert_eq!(made["pictures"].as_array().unwrap().len(), 2, "{made}");
    assert_ne!(made["peak_cache_bytes"], 0);
    assert_eq!(made["predicted_peak_cache_bytes"], made["peak_cache_bytes"]);
    done(desk.run(&format!("compare {run} --plan @plan.json -o @compare")));
    assert!(
        desk.read("compare/report.html")
            .contains("--negative-prompt dog")
    );
}

#[test]
fn a_small_open_sora_makes_a_video_and_its_strip() {
    let desk = Desk::empty();
    let run = format!("--model {OPEN_SORA} --steps 3 --prompt waves --num-frames 5 --size 40x32");
    done(desk.run(&format!("calibrate {run} --threshold 0.3 -o @plan.json")));
    let made = desk.run(&format!("generate {run} --plan @plan.json -o @out --json"));
    let made = json_of(&done(made));
    let names: Vec<&str> = made["pictures"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|path| path.as_str()?.rsplit('/').next())
        .collect();
    let mut expected = vec!["000-waves.apng", "000-waves-strip.png"];
    if ffmpeg_version().is_some() {
        expected.push("000-waves.mp4");
    }
    assert_eq!(names, expected);
    let video = std::fs::read(desk.path("out/000-waves.apng")).unwrap();
    assert_eq!(numbers_of(&video, b"IHDR", 2), [40, 32], "width and height");
    assert_eq!(numbers_of(&video, b"acTL", 2), [5, 0], "frames, for ever");
    done(desk.run(&format!("compare {run} --plan @plan.json -o @compare")));
    assert!(
        desk.path("compare/images/compressed-000-waves.apng")
            .is_file()
    );
}

/// The first numbers of a chunk of a PNG.
fn numbers_of(png: &[u8], chunk: &[u8; 4], n: usize) -> Vec<u32> {
    let at = png.windows(4).position(|word| word == chunk).unwrap() + 4;
    let words = png[at..].chunks(4).take(n);
    words
        .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        .collect()
}

#[test]
fn what_a_family_does_not_take_is_refused() {
    let desk = Desk::empty();
    let check = |model: &str, flags: &str, expected: &[&str]| {
        let line = format!("generate --model {model} --steps 1 {flags} -o @out");
        assert_refused(&desk.run(&line), 2, expected);
    };
    check(PIXART, "", &["there is nothing to draw", "--prompt"]);
    check(
        PIXART,
        "--labels 3",
        &["--labels is not for PixArt-Sigma", "use --prompt"],
    );
    check(
        PIXART,
        "--prompt cat --num-frames 3",
        &["--num-frames", "it makes images"],
    );
    check(
        PIXART,
        "--prompt cat --size 2x2",
        &["--size", "multiple of"],
    );
    check(
        "models/avatars-dit",
        "--prompt cat",
        &["--prompt is not for DiT", "use --labels"],
    );
    check(
        "models/avatars-dit",
        "--sampler iddpm",
        &["--sampler", "learned variance"],
    );
    let run = "tests/fixtures/pixart/run.safetensors";
    check(
        "tests/fixtures/pixart/tiny",
        &format!("--prompt-embeds {run} --latents {run}:latents --size 16x16 --save-latents @s"),
        &["--size is 16x16", "the start latents are 14x8"],
    );
    let long = "x".repeat(100_000);
    std::fs::write(desk.path("long"), &long).unwrap();
    let mut command = desk.command(&format!(
        "generate --model {PIXART} --steps 1 -o @out --prompt"
    ));
    command.arg(&long);
    let refused = dfa_tests::dfa_command::finish(&mut command);
    assert_refused(
        &refused,
        2,
        &["the length of a prompt", "100000 characters"],
    );
}

#[test]
fn doctor_says_what_every_stage_needs() {
    let desk = Desk::empty();
    let check = |model: &std::path::Path, expected: &[&str]| {
        let found = desk.run(&format!("doctor --model {}", model.display()));
        assert_eq!(found.code, Some(0), "{}", found.stdout);
        for words in expected {
            assert!(found.stdout.contains(words), "{words}: {}", found.stdout);
        }
    };
    let stages = [
        "memory: text",
        "memory: denoising",
        "memory: decoding",
        "T5 of",
    ];
    check(&fixture("families/pixart-tiny"), &stages);
    check(&fixture("families/open-sora-tiny"), &stages);
    let without = ["text_encoder/config.json is missing", "--prompt-embeds"];
    check(&fixture("pixart/tiny"), &without);
    check(&fixture("dit/tiny"), &["memory: denoising"]);
}
