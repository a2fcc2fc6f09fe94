//! Each image three times: raw, compressed, and their difference.

use dfa_core::wire::report::ImageMetrics;
use maud::{Markup, html};

use super::numbers::{decibels, similarity};
use super::{ReportImage, ReportPage};
use crate::base64::base64;
use crate::picture::DIFFERENCE_GAIN;

/// The pictures, in the order of the run.
pub(super) fn section(page: &ReportPage<'_>) -> Markup {
    html! {
        section aria-labelledby="pictures" {
            h2 id="pictures" { "Pictures" }
            p.faint {
                "The difference is the distance of the two pictures in each colour channel, "
                (DIFFERENCE_GAIN) " times as bright as it is: black means identical."
            }
            div.pictures {
                @for (idx, image) in page.images.iter().enumerate() {
                    (figure(image, page.report.images.get(idx)))
                }
            }
        }
    }
}

fn figure(image: &ReportImage<'_>, metrics: Option<&ImageMetrics>) -> Markup {
    let label = image.label;
    html! {
        figure {
            figcaption {
                b { (label) }
                @if let Some(metrics) = metrics {
                    "PSNR " (decibels(metrics.psnr_db)) " · SSIM " (similarity(metrics.ssim))
                }
            }
            div.trio {
                (picture(image.raw_png, "raw", &format!("{label}, raw")))
                (picture(image.compressed_png, "compressed", &format!("{label}, compressed")))
                (picture(image.difference_png, "difference", &format!("{label}, difference between raw and compressed")))
            }
        }
    }
}

fn picture(png: &[u8], caption: &str, alt: &str) -> Markup {
    let (width, height) = size_of_png(png).unzip();
    html! {
        div {
            img src=(format!("data:image/png;base64,{}", base64(png))) alt=(alt) width=[width] height=[height];
            span { (caption) }
        }
    }
}

/// Width and height from a PNG's header, so that the page does not jump while it loads.
fn size_of_png(png: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    Some((number(16)?, number(20)?))
}
