//! Many plans in one plot: what they cost against how well they keep the picture, from the
//! worker's comparisons or, without any, from the sample's. A point opens its plan.

use std::sync::Arc;

use dfa_core::wire::job::JobState;
use dfa_core::wire::{ContentHash, JobKind, Report};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use super::plot::PlotView;
use crate::api;
use crate::api::jobs::JobFilter;
use crate::plan::opened::OpenPlan;
use crate::plan::pareto::{Measured, Plot, Price, Quality, plot};
use crate::plan::sweep::{reports_of, telling};
use crate::state::Worker;
use crate::words::{number, percent};

/// Comparisons that are asked for at once.
const MOST_JOBS: u32 = 100;

/// A measured plan and where it can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The comparison.
    pub report: Report,
    /// The name of the plan in addresses.
    pub id: Option<String>,
}

/// The comparisons that are known. Made once by the frame.
#[derive(Clone, Copy)]
pub struct Reports {
    /// The list; the worker's comparisons, or the sample's where there is none.
    pub list: RwSignal<Arc<Vec<Entry>>>,
}

impl Reports {
    /// Made once, by the frame.
    pub fn new() -> Self {
        Self {
            list: RwSignal::new(Arc::new(Vec::new())),
        }
    }

    /// The comparisons, in a component.
    ///
    /// # Panics
    /// Outside the frame.
    pub fn get() -> Self {
        expect_context()
    }

    /// A comparison of the model that a plan was made for.
    pub fn of_model(self, opened: &OpenPlan) -> Option<Report> {
        self.list.with_untracked(|list| {
            let reports: Vec<Report> = list.iter().map(|entry| entry.report.clone()).collect();
            telling(&reports, opened).cloned()
        })
    }

    /// Asks for them again.
    pub fn refresh(self, has_worker: bool) {
        spawn_local(async move {
            let mut entries = if has_worker {
                of_worker().await
            } else {
                Vec::new()
            };
            if entries.is_empty() {
                entries = of_sample().await;
            }
            self.list.set(Arc::new(entries));
        });
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self::new()
    }
}

async fn of_worker() -> Vec<Entry> {
    let filter = JobFilter {
        state: Some(JobState::Succeeded),
        kind: Some(JobKind::Compare),
        cursor: None,
        limit: MOST_JOBS,
    };
    // What cannot be asked is not shown; the badge of the frame says why.
    let jobs = api::jobs::list(filter)
        .await
        .map_or(Vec::new(), |list| list.jobs);
    let results = jobs.into_iter().filter_map(|job| job.result);
    let entries = results.filter_map(|result| {
        Some(Entry {
            report: result.report?,
            id: result.plan.map(|id: ContentHash| id.to_string()),
        })
    });
    entries.collect()
}

async fn of_sample() -> Vec<Entry> {
    let text = api::sample::text("sweep.json").await.unwrap_or_default();
    let reports = reports_of(&text).into_iter();
    let entries = reports.map(|report| {
        let file = report.plan.file.as_deref().unwrap_or_default();
        let stem = file
            .strip_prefix("plan")
            .and_then(|rest| rest.strip_suffix(".json"));
        let id = stem.map(|variant| format!("sample{variant}"));
        Entry { id, report }
    });
    entries.collect()
}

/// The card.
#[component]
pub fn ParetoCard() -> impl IntoView {
    let desk = Desk::get();
    let reports = Reports::get();
    // A worker that stays away is asked again and again; the list only changes with it.
    let has_worker = Memo::new(move |_| match desk.shared.worker.get() {
        Worker::Asked => None,
        worker => Some(matches!(worker, Worker::Ready(_))),
    });
    Effect::new(move |_| {
        if let Some(has_worker) = has_worker.get() {
            reports.refresh(has_worker);
        }
    });
    let quality = RwSignal::new(Quality::default());
    let price = RwSignal::new(Price::default());
    let measured = Memo::new(move |_| {
        let list = reports.list.get();
        list.iter()
            .map(|entry| Measured::from(&entry.report))
            .collect::<Vec<_>>()
    });
    let plotted =
        Memo::new(move |_| measured.with(|measured| plot(measured, quality.get(), price.get())));
    let here = Memo::new(move |_| desk.of_file(OpenPlan::hash));
    let is_table = RwSignal::new(false);
    let open = Callback::new(move |idx: usize| open(desk, reports, idx));
    view! {
        <section class="card pareto" aria-labelledby="pareto-title">
            <div class="card-head">
                <h2 id="pareto-title">"Plans that were measured"</h2>
                <button
                    class="quiet"
                    aria-pressed=move || is_table.get().to_string()
                    on:click=move |_| is_table.update(|is| *is = !*is)
                >"Table"</button>
            </div>
            <Axes quality price/>
            {move || {
                let (plot, measured) = (plotted.get(), measured.get());
                if plot.points.is_empty() {
                    return view! { <p class="hint">
                        "No comparison was made yet. Compare a plan with raw pictures on the page \
                         Generate, and it appears here."
                    </p> }.into_any();
                }
                if is_table.get() {
                    return table(&plot, &measured, open).into_any();
                }
                view! { <PlotView plot measured here=here.get() open/> }.into_any()
            }}
        </section>
    }
}

#[component]
fn Axes(quality: RwSignal<Quality>, price: RwSignal<Price>) -> impl IntoView {
    let qualities = Quality::ALL.map(|it| view! { <option>{it.title()}</option> });
    let prices = Price::ALL.map(|it| view! { <option>{it.title()}</option> });
    let choose = move |event: leptos::ev::Event| {
        let title = event_target_value(&event);
        if let Some(found) = Quality::ALL.into_iter().find(|it| it.title() == title) {
            quality.set(found);
        }
        if let Some(found) = Price::ALL.into_iter().find(|it| it.title() == title) {
            price.set(found);
        }
    };
    view! {
        <div class="row axes">
            <select aria-label="Quality, upwards" on:change=choose>{qualities.collect_view()}</select>
            <span aria-hidden="true">"against"</span>
            <select aria-label="Price, to the right" on:change=choose>{prices.collect_view()}</select>
        </div>
    }
}

fn open(desk: Desk, reports: Reports, idx: usize) {
    let id = reports
        .list
        .with_untracked(|list| list.get(idx)?.id.clone());
    match id {
        Some(id) => desk.go_to(&id),
        None => desk.refuse("This plan was measured from a file that is not here."),
    }
}

fn table(plot: &Plot, measured: &[Measured], open: Callback<usize>) -> impl IntoView + use<> {
    let rows = plot.points.iter().map(|point| {
        let plan = &measured[point.idx];
        let idx = point.idx;
        let of = |value: Option<f64>| value.map_or("–".to_owned(), number);
        view! {
            <tr>
                <th scope="row">
                    <button class="link" on:click=move |_| open.run(idx)>{plan.name.clone()}</button>
                </th>
                <td class="number">{percent(plan.attention_kept_share)}</td>
                <td class="number">{of(plan.secs_per_image)}</td>
                <td class="number">{of(plan.ssim.map(|ssim| ssim.mean))}</td>
                <td class="number">{of(plan.psnr_db.map(|psnr| psnr.mean))}</td>
                <td>{if point.is_on_front { "yes" } else { "" }}</td>
            </tr>
        }
    });
    view! {
        <div class="scroll">
            <table>
                <thead><tr>
                    <th scope="col">"Plan"</th>
                    <th scope="col" class="number">"MACs kept"</th>
                    <th scope="col" class="number">"s/image"</th>
                    <th scope="col" class="number">"SSIM"</th>
                    <th scope="col" class="number">"PSNR"</th>
                    <th scope="col">"Front"</th>
                </tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}
