//! Where the page's numbers come from, and how to make them again.

use dfa_core::wire::report::{Report, ReportPlan};
use dfa_core::wire::{CalibrationInputs, CheckedPlan};
use maud::{Markup, html};

use super::ReportPage;

/// Commands, then facts.
pub(super) fn section(page: &ReportPage<'_>) -> Markup {
    html! {
        section aria-labelledby="provenance" {
            h2 id="provenance" { "Provenance" }
            @if !page.commands.is_empty() {
                p { "To make this again:" }
                pre { code { @for command in page.commands { (command) "\n" } } }
            }
            dl.facts {
                (model_facts(page.report))
                (plan_facts(&page.report.plan))
                (search_facts(page.plan))
                (run_facts(page.report))
            }
        }
    }
}

fn fact(name: &str, value: impl maud::Render) -> Markup {
    html! { dt { (name) } dd { (value) } }
}

fn hash(name: &str, value: impl std::fmt::Display) -> Markup {
    html! { dt { (name) } dd.hash { (value.to_string()) } }
}

fn model_facts(report: &Report) -> Markup {
    let model = &report.model;
    let size = format!(
        "{} blocks, {} tokens, width {}",
        model.n_blocks, model.n_tokens, model.width
    );
    html! {
        (fact("model", &model.model_id))
        (hash("weights, SHA-256", model.weights_sha256))
        (fact("size", size))
    }
}

fn plan_facts(plan: &ReportPlan) -> Markup {
    let window = format!(
        "{} keys before and {} after each query",
        plan.window.left, plan.window.right
    );
    html! {
        @if let Some(file) = &plan.file { (fact("plan file", file)) }
        (hash("plan hash", plan.plan_hash))
        (fact("window", window))
        @match plan.threshold {
            Some(threshold) => (fact("threshold δ", threshold)),
            None => (fact("threshold δ", "none: the plan was not searched")),
        }
        @if let Some(loss) = &plan.loss { (fact("loss", loss)) }
    }
}

/// How the plan was calibrated, as far as its file says.
fn search_facts(checked: &CheckedPlan) -> Markup {
    html! {
        @if let Some(search) = &checked.search {
            @let settings = search.record.settings();
            @let candidates: Vec<&str> = settings.candidates.iter().map(|candidate| candidate.as_str()).collect();
            (fact("candidates", candidates.join(", ")))
            (fact("search", settings.mode.as_str()))
            (fact("losses measured", search.record.n_measured()))
        }
        @if let Some(provenance) = &checked.provenance {
            (fact("calibrated on", inputs_in_words(&provenance.inputs)))
            (fact("calibration seed", provenance.seed))
            (fact("plan made by", &provenance.tool_version))
        }
        @if let Some(edited_from) = checked.edited_from { (hash("edited from plan", edited_from)) }
        @if let Some(notes) = &checked.notes { (fact("notes", notes)) }
    }
}

fn inputs_in_words(inputs: &CalibrationInputs) -> String {
    match inputs {
        CalibrationInputs::Labels(labels) => {
            let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
            format!("classes {}", labels.join(", "))
        }
        CalibrationInputs::Prompts(prompts) => format!("prompts: {}", prompts.join(" | ")),
    }
}

fn run_facts(report: &Report) -> Markup {
    let settings = &report.settings;
    html! {
        (fact("sampler", format!("{}, {} steps", settings.sampler, settings.n_steps)))
        (fact("guidance scale", settings.guidance_scale))
        (fact("seed", settings.seed))
        (fact("number type", &settings.dtype))
        (fact("threads", settings.n_threads))
        (fact("made by", &report.tool_version))
    }
}
