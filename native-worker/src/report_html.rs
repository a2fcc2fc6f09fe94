//! A comparison as one HTML file that stands alone: numbers, the plan's heat map, the
//! pictures and how to make them again. No script, nothing from outside; the page's own
//! content security policy forbids both. All text goes through maud, which escapes it.
//!
//! - [`numbers`]: the tables.
//! - [`heat_map`]: the plan as an SVG, lettered as well as coloured.
//! - [`pictures`]: raw, compressed and difference of each image.
//! - [`provenance`]: model, settings, hashes, commands.

use dfa_core::Strategy;
use dfa_core::wire::{CheckedPlan, Report};
use maud::{DOCTYPE, Markup, PreEscaped, html};

mod heat_map;
mod numbers;
pub(crate) use numbers::bytes;
mod pictures;
mod provenance;

const STYLE: &str = include_str!("report_html/style.css");
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Everything that the page shows.
#[derive(Clone, Copy, Debug)]
pub struct ReportPage<'a> {
    /// The numbers; `images` in the order of [`images`](Self::images).
    pub report: &'a Report,
    /// The plan that was compared, with its losses if it has any.
    pub plan: &'a CheckedPlan,
    /// The pictures, one entry per entry of the report's `images`.
    pub images: &'a [ReportImage<'a>],
    /// Commands that make all this again, in order, as typed in a shell.
    pub commands: &'a [String],
}

/// The pictures of one image, as PNG files.
#[derive(Clone, Copy, Debug)]
pub struct ReportImage<'a> {
    /// The name of the class, or the prompt.
    pub label: &'a str,
    /// Without compression.
    pub raw_png: &'a [u8],
    /// With the plan.
    pub compressed_png: &'a [u8],
    /// Their difference, enlarged [`DIFFERENCE_GAIN`](crate::picture::DIFFERENCE_GAIN) times.
    pub difference_png: &'a [u8],
}

/// The page as the text of an HTML file.
pub fn report_html(page: &ReportPage<'_>) -> String {
    let title = format!(
        "DiTFastAttn: {} raw and compressed",
        page.report.model.model_id
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (opening(page)) }
                main {
                    (pictures::section(page))
                    (heat_map::section(page))
                    (numbers::section(page.report))
                    (how_to_read())
                    (provenance::section(page))
                }
            }
        }
    };
    markup.into_string()
}

/// The claim of the page, and what to know before believing it.
fn opening(page: &ReportPage<'_>) -> Markup {
    let report = page.report;
    html! {
        h1 { (report.model.model_id) ", raw and compressed" }
        p.lead {
            "The same " (counted(report.images.len(), "image")) ", made twice from the same noise: "
            "with full attention everywhere, and with a DiTFastAttn compression plan."
        }
        (numbers::headline(report))
        @if page.plan.edited_from.is_some() {
            p.note {
                "This plan was edited or decided again after its calibration: "
                "its losses were measured under other choices and are only a guide."
            }
        }
        @if numbers::full_share(report) >= 0.95 {
            p.note { "Nearly every cell of this plan is full attention, so it saves next to nothing. Try a larger threshold." }
        }
    }
}

fn how_to_read() -> Markup {
    html! {
        section aria-labelledby="reading" {
            h2 id="reading" { "How to read this" }
            p {
                "A diffusion transformer draws an image in steps, and every step runs every transformer block. "
                "The plan says for each step and block how its self-attention layer is computed: in full, "
                "or by one of the cheaper strategies of the legend, each of which reuses something that nearby tokens, "
                "an earlier step or the other guidance branch has computed already."
            }
            p {
                "Calibration tried the strategies from the strongest saving to the weakest and took the first whose loss "
                "(how much the transformer's output of that step changes) stayed under the block's budget. "
                "The margin is what was left of the budget."
            }
            p {
                "PSNR and SSIM say how close a compressed image is to its raw counterpart, not how good it is: "
                "above about 30 dB and 0.95 the two are hard to tell apart. "
                "Multiply-accumulates (MACs) are counted, seconds are measured on the machine that made this page."
            }
        }
    }
}

/// The letter of a strategy, in cells and legends.
pub(crate) const fn letter(strategy: Strategy) -> char {
    match strategy {
        Strategy::Full => 'F',
        Strategy::WindowResidual => 'W',
        Strategy::ShareSteps => 'A',
        Strategy::ShareCfg => 'C',
        Strategy::WindowResidualShareCfg => 'B',
        Strategy::WindowOnly => 'o',
    }
}

/// What a strategy does, in a few words.
pub(crate) const fn in_words(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Full => "full attention",
        Strategy::WindowResidual => "window attention plus kept residual (WA-RS)",
        Strategy::ShareSteps => "output of an earlier step (AST)",
        Strategy::ShareCfg => "one guidance branch for both (ASC)",
        Strategy::WindowResidualShareCfg => {
            "window and residual, one branch for both (WA-RS + ASC)"
        }
        Strategy::WindowOnly => "window attention without residual",
    }
}

/// The strategy's class in the style sheet.
const fn css_class(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::WindowResidualShareCfg => "wa_rs-asc",
        other => other.as_str(),
    }
}

/// `1 image`, `2 images`.
fn counted(n: usize, noun: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{ending}")
}

/// A share as a percentage with one digit.
fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1} %", share * 100.0)
    } else {
        "not known".into()
    }
}
