//! `dfa compare`: the report's numbers are those of the plan file and of the pictures.

use std::sync::OnceLock;

use dfa_core::Strategy;
use dfa_core::cost::{LayerShape, PlanCost, strategy_shares};
use dfa_core::metric::image::{Image, ImageShape, Layout};
use dfa_core::metric::psnr::{mse, psnr};
use dfa_core::metric::ssim::{Border, ssim};
use dfa_core::wire::{CheckedPlan, Report, plan_hash};
use dfa_native_worker::picture::{Picture, read_png};
use serde_json::Value;

use super::{Desk, done, json_of};

/// What one comparison wrote.
struct Compared {
    plan: CheckedPlan,
    /// What it printed.
    value: Value,
    report: Report,
    /// `report.json`.
    saved: Value,
    /// `report.html`.
    page: String,
    /// Raw and compressed, in the order of the labels.
    pictures: Vec<[Picture; 2]>,
    grid: Picture,
}

const LABELS: [&str; 2] = ["croodles", "micah"];

/// One comparison for all tests, in two batches.
fn compared() -> &'static Compared {
    static COMPARED: OnceLock<Compared> = OnceLock::new();
    COMPARED.get_or_init(compare)
}

fn compare() -> Compared {
    let desk = Desk::calibrated();
    let finished = done(desk.run(
        "compare --model models/avatars-dit --plan @plan.json --labels 3,8 --seed 5 \
         --batch-size 1 -o @out --json",
    ));
    let picture = |name: &str| read_png(&desk.path("out").join(name)).unwrap().0;
    let pair = |(index, label): (usize, &&str)| {
        ["raw", "compressed"].map(|kind| picture(&format!("images/{kind}-{index:03}-{label}.png")))
    };
    Compared {
        plan: desk.plan(),
        value: json_of(&finished),
        report: serde_json::from_str(&finished.stdout).unwrap(),
        saved: desk.json("out/report.json"),
        page: desk.read("out/report.html"),
        pictures: LABELS.iter().enumerate().map(pair).collect(),
        grid: picture("grid.png"),
    }
}

#[test]
fn the_report_agrees_with_the_plan_file() {
    let Compared {
        plan,
        value,
        report,
        saved,
        ..
    } = compared();
    assert_eq!(saved, value);
    let layer = LayerShape {
        n_tokens: 256,
        width: 128,
    };
    let cost = PlanCost::of(&plan.plan, layer, true);
    assert!(
        cost.attention_kept_share() < 1.0,
        "a plan that saves something"
    );
    assert_eq!(
        report.cost.attention_kept_share,
        cost.attention_kept_share()
    );
    assert_eq!(report.cost.layer_kept_share, cost.layer_kept_share());
    assert_eq!(report.cost.raw_attention_macs, cost.raw.attention_macs);
    assert_eq!(
        report.cost.compressed_attention_macs,
        cost.compressed.attention_macs
    );
    let shares: Vec<(Strategy, f64)> = report
        .plan
        .strategies
        .iter()
        .map(|share| (share.strategy, share.share))
        .collect();
    assert_eq!(shares, strategy_shares(&plan.plan));
    assert_eq!(report.plan.plan_hash, plan_hash(&plan.plan));
    assert_eq!(report.plan.file.as_deref(), Some("plan.json"));
    assert_eq!(report.plan.threshold, Some(0.15));
    assert_eq!(report.settings.n_steps, plan.plan.shape().n_steps);
    let fingerprint = plan.fingerprint.as_ref().unwrap();
    assert_eq!(report.settings.guidance_scale, fingerprint.guidance_scale);
    assert_eq!(report.settings.sampler, fingerprint.sampler);
    assert_eq!(report.model.weights_sha256, fingerprint.weights_sha256);
    assert_eq!(report.model.n_tokens, fingerprint.n_tokens);
    assert_eq!(
        Some(report.cache.predicted_peak_bytes),
        report.cache.measured_peak_bytes
    );
}

#[test]
fn the_plan_file_alone_says_the_same() {
    let shown = Desk::calibrated().run("plan show @plan.json --width 128 --json");
    let shown = json_of(&done(shown));
    let cost = &compared().value["cost"];
    assert_eq!(shown["attention_kept_share"], cost["attention_kept_share"]);
    assert_eq!(shown["layer_kept_share"], cost["layer_kept_share"]);
}

#[test]
fn the_report_agrees_with_the_pictures() {
    let Compared {
        report,
        pictures,
        grid,
        ..
    } = compared();
    let labels: Vec<&str> = report
        .images
        .iter()
        .map(|image| image.label.as_str())
        .collect();
    assert_eq!(labels, LABELS);
    for (image, pair) in report.images.iter().zip(pictures) {
        let shape = ImageShape {
            width: 64,
            height: 64,
            channels: 3,
            layout: Layout::Interleaved,
        };
        let values = pair.each_ref().map(Picture::values);
        let [raw, compressed] = values
            .each_ref()
            .map(|values| Image::new(shape, values).unwrap());
        assert_eq!(image.mse, mse(&raw, &compressed).unwrap(), "{image:?}");
        assert_eq!(
            image.psnr_db,
            Some(psnr(&raw, &compressed, 1.0).unwrap()),
            "{image:?}"
        );
        assert_eq!(
            image.ssim,
            ssim(&raw, &compressed, 1.0, Border::Inside).unwrap(),
            "{image:?}"
        );
    }
    assert!(grid.width() > 3 * 128 && grid.height() > 2 * 128);
}

#[test]
fn the_page_holds_the_same_numbers() {
    let Compared { report, page, .. } = compared();
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut expected = vec![
        format!("<dd>{}</dd>", percent(report.cost.attention_kept_share)),
        format!("<td>{} kept</td>", percent(report.cost.layer_kept_share)),
        report.plan.plan_hash.to_string(),
        report.model.weights_sha256.to_string(),
        "0.15".to_owned(),
    ];
    for share in report
        .plan
        .strategies
        .iter()
        .filter(|share| share.share > 0.0)
    {
        expected.push(percent(share.share));
    }
    for image in &report.images {
        expected.push(format!("{:.2} dB", image.psnr_db.unwrap()));
        expected.push(format!("{:.4}", image.ssim));
    }
    for number in expected {
        assert!(page.contains(&number), "{number}");
    }
}

#[test]
fn the_page_stands_alone() {
    // The one address names a vocabulary; nothing is fetched from it.
    let page = compared()
        .page
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in [
        "http://", "https://", "<script", "<link", "<iframe", "url(", "@import", "srcset",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for attribute in ["src=\"", "href=\""] {
        for value in page.split(attribute).skip(1) {
            let is_inside = value.starts_with("data:image/png;base64,") || value.starts_with('#');
            assert!(is_inside, "{attribute}{}", &value[..value.len().min(40)]);
        }
    }
    // Two images, each raw, compressed and difference.
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 6);
    assert!(
        page.contains("default-src 'none'"),
        "its policy forbids loading"
    );
}

#[test]
fn the_table_says_the_same() {
    let desk = Desk::calibrated();
    let line = "compare --model models/avatars-dit --plan @plan.json --labels 3 -o @out";
    let table = done(desk.run(line)).stdout;
    let report = desk.json("out/report.json");
    let share = |name: &str| format!("{:.1} %", 100.0 * report["cost"][name].as_f64().unwrap());
    let ssim = format!("mean {:.4}", report["images"][0]["ssim"].as_f64().unwrap());
    for expected in [
        share("attention_kept_share"),
        share("layer_kept_share"),
        ssim,
    ] {
        assert!(table.contains(&expected), "{expected}: {table}");
    }
}
