//! The numbers: what the plan saves on paper and on the clock, and what it costs in
//! likeness.

use dfa_core::wire::Report;
use dfa_core::wire::report::{ImageMetrics, RunTiming};
use maud::{Markup, html};

use super::{counted, percent};

/// The four numbers that matter most.
pub(super) fn headline(report: &Report) -> Markup {
    let likeness = Likeness::of(&report.images);
    let timings = &report.timings;
    html! {
        dl.figures {
            div { dt { "of the attention MACs kept" } dd { (percent(report.cost.attention_kept_share)) } }
            div { dt { "attention speed" } dd { (speed_up(timings.raw.attention_secs, timings.compressed.attention_secs)) } }
            div { dt { "speed in total" } dd { (speed_up(timings.raw.total_secs, timings.compressed.total_secs)) } }
            div { dt { "worst SSIM to raw" } dd { (likeness.worst_ssim) } }
        }
    }
}

/// Share of the plan's cells that are `full`.
pub(super) fn full_share(report: &Report) -> f64 {
    let full = report
        .plan
        .strategies
        .iter()
        .filter(|share| share.strategy == dfa_core::Strategy::Full);
    full.map(|share| share.share).sum()
}

/// All numbers in one table.
pub(super) fn section(report: &Report) -> Markup {
    html! {
        section aria-labelledby="numbers" {
            h2 id="numbers" { "Numbers" }
            div.wide {
                table {
                    caption {
                        (counted(report.images.len(), "image")) ", " (counted(report.settings.n_steps, "step")) ", "
                        (counted(report.settings.n_threads, "thread")) ", " (report.settings.dtype)
                    }
                    thead { tr {
                        td {} th scope="col" { "raw" } th scope="col" { "compressed" } th scope="col" { "ratio" }
                    } }
                    tbody { (cost_rows(report)) }
                    tbody.group { (time_rows(report)) }
                    tbody.group { (likeness_rows(&Likeness::of(&report.images))) }
                    tbody.group { (cache_rows(report)) }
                }
            }
        }
    }
}

fn cost_rows(report: &Report) -> Markup {
    let cost = &report.cost;
    html! {
        tr {
            th scope="row" { "attention MACs" small { "QKᵀ and AV, per image" } }
            td { (macs(cost.raw_attention_macs)) }
            td { (macs(cost.compressed_attention_macs)) }
            td { (percent(cost.attention_kept_share)) " kept" }
        }
        tr {
            th scope="row" { "self-attention layer MACs" small { "with the four projections" } }
            td { "100 %" }
            td { (percent(cost.layer_kept_share)) }
            td { (percent(cost.layer_kept_share)) " kept" }
        }
    }
}

fn time_rows(report: &Report) -> Markup {
    let RunTiming {
        total_secs,
        attention_secs,
    } = report.timings.raw;
    let compressed = &report.timings.compressed;
    html! {
        (time_row("attention seconds", "self-attention layers, all images", attention_secs, compressed.attention_secs))
        (time_row("total seconds", "the whole denoising loop, all images", total_secs, compressed.total_secs))
        tr {
            th scope="row" { "attention's part of the time" }
            td { (percent(attention_secs / total_secs)) }
            td { (percent(compressed.attention_secs / compressed.total_secs)) }
            td {}
        }
    }
}

fn time_row(name: &str, note: &str, raw: f64, compressed: f64) -> Markup {
    html! {
        tr {
            th scope="row" { (name) small { (note) } }
            td { (secs(raw)) } td { (secs(compressed)) } td { (speed_up(raw, compressed)) }
        }
    }
}

fn likeness_rows(likeness: &Likeness) -> Markup {
    html! {
        tr {
            th scope="row" { "PSNR to raw" small { "decibels, higher is closer" } }
            td { "reference" } td { "mean " (likeness.mean_psnr) } td { "worst " (likeness.worst_psnr) }
        }
        tr {
            th scope="row" { "SSIM to raw" small { "1 is identical" } }
            td { "reference" } td { "mean " (likeness.mean_ssim) } td { "worst " (likeness.worst_ssim) }
        }
    }
}

fn cache_rows(report: &Report) -> Markup {
    let cache = &report.cache;
    html! {
        tr {
            th scope="row" { "layer caches at their peak" small { "kept outputs and window residuals" } }
            td { "0 B" }
            td { (bytes(cache.predicted_peak_bytes)) small.faint { " predicted" } }
            td {
                @match cache.measured_peak_bytes {
                    Some(measured) => { (bytes(measured)) small.faint { " measured" } }
                    None => "not measured",
                }
            }
        }
    }
}

/// PSNR and SSIM over all images, in words.
struct Likeness {
    mean_psnr: String,
    worst_psnr: String,
    mean_ssim: String,
    worst_ssim: String,
}

impl Likeness {
    /// The mean PSNR is over the images that differ at all; the others are counted.
    fn of(images: &[ImageMetrics]) -> Self {
        let finite: Vec<f64> = images.iter().filter_map(|image| image.psnr_db).collect();
        let ssim: Vec<f64> = images.iter().map(|image| image.ssim).collect();
        let n_identical = images.len() - finite.len();
        let mean_psnr = match n_identical {
            0 => decibels(mean(&finite)),
            _ if finite.is_empty() => decibels(None),
            n => format!("{} ({n} identical)", decibels(mean(&finite))),
        };
        Self {
            mean_psnr,
            worst_psnr: decibels(finite.iter().copied().reduce(f64::min)),
            mean_ssim: mean(&ssim).map_or("not known".into(), similarity),
            worst_ssim: ssim
                .iter()
                .copied()
                .reduce(f64::min)
                .map_or("not known".into(), similarity),
        }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A PSNR; none means that the images are identical.
pub(super) fn decibels(psnr_db: Option<f64>) -> String {
    psnr_db.map_or("identical".into(), |psnr| format!("{psnr:.2} dB"))
}

/// An SSIM; never rounded up to 1.
pub(super) fn similarity(ssim: f64) -> String {
    let rounded = format!("{ssim:.4}");
    if ssim < 1.0 && rounded == "1.0000" {
        "0.9999".into()
    } else {
        rounded
    }
}

fn secs(secs: f64) -> String {
    if secs < 10.0 {
        format!("{secs:.3}")
    } else {
        format!("{secs:.1}")
    }
}

fn speed_up(raw: f64, compressed: f64) -> String {
    let ratio = raw / compressed;
    if ratio.is_finite() {
        format!("{ratio:.2}×")
    } else {
        "not known".into()
    }
}

fn macs(macs: u64) -> String {
    let (value, unit) = scaled(macs as f64, 1000.0, ["", "k", "M", "G", "T"]);
    format!("{value} {unit}").trim_end().to_owned()
}

/// A number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    let (value, unit) = scaled(bytes as f64, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"]);
    format!("{value} {unit}")
}

fn scaled(value: f64, base: f64, units: [&'static str; 5]) -> (String, &'static str) {
    let mut scaled = value;
    let mut idx = 0;
    while scaled >= base && idx + 1 < units.len() {
        scaled /= base;
        idx += 1;
    }
    let digits = if idx == 0 { 0 } else { 2 };
    (format!("{scaled:.digits$}"), units[idx])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(u64::MAX), "16777216.00 TiB");
        assert_eq!(macs(2_500_000), "2.50 M");
        assert_eq!(decibels(None), "identical");
        assert_eq!(similarity(0.999_99), "0.9999");
        assert_eq!(similarity(1.0), "1.0000");
        assert_eq!(speed_up(1.0, 0.0), "not known");
    }
}
