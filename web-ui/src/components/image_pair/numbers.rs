//! The numbers of the pair that is looked at: computed here, by the code that the worker
//! runs, beside those that the worker wrote into its report.

use dfa_core::wire::report::ImageMetrics;
use leptos::prelude::*;

use super::Looking;
use crate::generation::outcome::{decibels, similarity};
use crate::pixels::cpu::PairNumbers;
use crate::words;

/// The table.
#[component]
pub fn Numbers(looking: Looking, reported: Signal<Option<ImageMetrics>>) -> impl IntoView {
    let here = move |of: fn(&PairNumbers) -> String| {
        move || match looking.numbers.get() {
            Some(numbers) => of(&numbers),
            None => "computing…".into(),
        }
    };
    let there = move |of: fn(&ImageMetrics) -> String| {
        move || {
            reported
                .get()
                .map_or_else(|| "—".into(), |metrics| of(&metrics))
        }
    };
    let row = move |name: &'static str,
                    title: &'static str,
                    of: fn(&PairNumbers) -> String,
                    reported: fn(&ImageMetrics) -> String| {
        view! {
            <tr>
                <th scope="row" title=title>{name}</th>
                <td class="number">{here(of)}</td>
                <td class="number">{there(reported)}</td>
            </tr>
        }
    };
    let nothing = |_: &ImageMetrics| "—".to_owned();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Numbers of the pair">
        <table class="pair-numbers" aria-busy=move || looking.numbers.get().is_none().to_string()>
            <caption>"Compressed against raw"</caption>
            <thead>
                <tr>
                    <th scope="col">"Number"</th>
                    <th scope="col" class="number">"Computed here"</th>
                    <th scope="col" class="number">"In the report"</th>
                </tr>
            </thead>
            <tbody>
                {row("PSNR", "Peak signal-to-noise ratio; higher is closer",
                    |it| decibels(it.psnr_db), |it| decibels(it.psnr_db))}
                {row("SSIM", "Structural similarity where the window lies inside; 1 is identical",
                    |it| it.ssim.map_or("picture too small".into(), similarity),
                    |it| similarity(it.ssim))}
                {row("Relative error", "Norm of the difference over the norm of the raw picture",
                    |it| words::percent(it.relative_error), nothing)}
                {row("Mean difference", "Of the largest channel at each pixel, in steps of 255",
                    |it| words::number(it.mean_difference * 255.0), nothing)}
                {row("Largest difference", "Of any channel of any pixel, in steps of 255",
                    |it| words::number((it.largest_difference * 255.0).round()), nothing)}
            </tbody>
        </table>
        </div>
    }
}

/// The same as a sentence, for those who do not see the pictures.
pub fn in_words(numbers: &PairNumbers) -> String {
    let ssim = numbers
        .ssim
        .map_or(String::new(), |ssim| format!(", SSIM {}", similarity(ssim)));
    format!(
        "PSNR {}{ssim}, mean difference {} and largest difference {} of 255",
        decibels(numbers.psnr_db),
        words::number(numbers.mean_difference * 255.0),
        words::number((numbers.largest_difference * 255.0).round()),
    )
}
