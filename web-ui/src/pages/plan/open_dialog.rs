//! Where people choose what to open or to compare with: a file, the worker's library, the
//! sample. And what is wrong with a file that could not be opened.

use dfa_core::wire::job::{PlanOrigin, PlanView};
use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use super::opening::{Purpose, SAMPLE, open_local};
use crate::api;
use crate::state::Worker;
use crate::words::{bytes, number};

/// The worker's library, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
enum Library {
    Asked,
    Found(Vec<PlanView>),
    Failed(String),
}

/// A dialog of the browser: it keeps the focus and closes with Esc.
#[component]
pub fn OpenDialog(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    let library = RwSignal::new(Library::Asked);
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if choosing.get().is_some() {
            ask(library);
            // One that is open already refuses, which is as good.
            let _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let title = move || match choosing.get() {
        Some(Purpose::Comparison) => "Compare with another plan",
        _ => "Open a plan",
    };
    view! {
        <dialog
            class="card open-dialog"
            node_ref=dialog
            aria-labelledby="open-title"
            on:close=move |_| choosing.set(None)
        >
            <h2 id="open-title">{title}</h2>
            <div class="stack">
                <FileField choosing/>
                <SampleEntry choosing/>
                <LibraryList choosing library/>
            </div>
            <p><button on:click=move |_| choosing.set(None)>"Close"</button></p>
        </dialog>
    }
}

fn ask(library: RwSignal<Library>) {
    library.set(Library::Asked);
    spawn_local(async move {
        let mut plans = Vec::new();
        let mut cursor = None;
        loop {
            match api::plans::list(cursor.as_deref()).await {
                Ok(page) => {
                    plans.extend(page.plans);
                    cursor = page.next_cursor;
                }
                Err(error) => return library.set(Library::Failed(error.to_string())),
            }
            if cursor.is_none() || plans.len() > 500 {
                return library.set(Library::Found(plans));
            }
        }
    });
}

/// Opens or compares the plan of a name, whatever the dialog was opened for.
fn choose(desk: Desk, choosing: RwSignal<Option<Purpose>>, name: &str) {
    match choosing.get_untracked() {
        Some(Purpose::Comparison) => {
            let link = desk.shared.link.get_untracked();
            desk.shared.go(&link.with("compare", Some(name)));
        }
        _ => desk.go_to(name),
    }
    choosing.set(None);
}

#[component]
fn FileField(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    let chosen = move |event: leptos::ev::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let file = input.files().and_then(|files| files.get(0));
        let purpose = choosing.get_untracked().unwrap_or(Purpose::Desk);
        choosing.set(None);
        if let Some(file) = file {
            open_local(desk, file, purpose);
        }
        // The same file can be chosen again.
        input.set_value("");
    };
    view! {
        <label>
            "A file of this computer"
            <input type="file" accept=".json,.csv,.pt,.pkl,application/json,text/csv" on:change=chosen/>
            <span class="hint">
                "Our plan files, plans of the reference project, xDiT's JSON, CSV. Or drop one \
                 anywhere on the page. It stays on this computer."
            </span>
        </label>
    }
}

#[component]
fn SampleEntry(choosing: RwSignal<Option<Purpose>>) -> impl IntoView {
    let desk = Desk::get();
    view! {
        <div class="row">
            <span>"The sample: "</span>
            <button on:click=move |_| choose(desk, choosing, SAMPLE)>"with every loss"</button>
            <button on:click=move |_| choose(desk, choosing, "sample-D2")>"calibrated at D2"</button>
        </div>
    }
}

#[component]
fn LibraryList(choosing: RwSignal<Option<Purpose>>, library: RwSignal<Library>) -> impl IntoView {
    let desk = Desk::get();
    let list = move || {
        match (desk.shared.worker.get(), library.get()) {
        (Worker::None, _) => view! {
            <p class="hint">"There is no worker here, so there is no library."</p>
        }.into_any(),
        (_, Library::Asked) => view! { <p role="status">"Asking the worker for its plans…"</p> }.into_any(),
        (_, Library::Failed(why)) => view! {
            <p class="note bad" role="alert">{format!("The library cannot be read: {why}.")}</p>
            <button on:click=move |_| ask(library)>"Try again"</button>
        }.into_any(),
        (_, Library::Found(plans)) if plans.is_empty() => view! {
            <p class="hint">"The worker's library is empty. Calibrate a plan, or save one there."</p>
        }.into_any(),
        (_, Library::Found(plans)) => rows(desk, choosing, plans).into_any(),
    }
    };
    view! { <section aria-labelledby="library-title"><h3 id="library-title">"The worker's library"</h3>{list}</section> }
}

fn rows(desk: Desk, choosing: RwSignal<Option<Purpose>>, plans: Vec<PlanView>) -> impl IntoView {
    let rows = plans.into_iter().map(|plan| {
        let id = plan.id.to_string();
        let model = plan.model.clone().unwrap_or_else(|| plan.plan_hash.short());
        let how = match plan.origin {
            PlanOrigin::Calibrated => "calibrated",
            PlanOrigin::Imported => "brought",
        };
        view! {
            <tr>
                <th scope="row">
                    <button class="link" on:click=move |_| choose(desk, choosing, &id)>
                        {format!("{model} {}", plan.id.short())}
                    </button>
                </th>
                <td class="number">{plan.threshold.map_or("–".into(), number)}</td>
                <td>{format!("{} × {}", plan.n_steps, plan.n_blocks)}</td>
                <td>{how}</td>
                <td>{plan.created_at.to_string()}</td>
                <td class="number">{bytes(plan.size_bytes)}</td>
            </tr>
        }
    });
    view! {
        <div class="scroll library">
            <table>
                <thead><tr>
                    <th scope="col">"Plan"</th>
                    <th scope="col" class="number">"δ"</th>
                    <th scope="col">"Steps × blocks"</th>
                    <th scope="col">"How"</th>
                    <th scope="col">"Since"</th>
                    <th scope="col" class="number">"Size"</th>
                </tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

/// Everything that is wrong with a file that could not be opened.
#[component]
pub fn RefusedNote() -> impl IntoView {
    let desk = Desk::get();
    view! {
        {move || desk.refused.get().map(|refused| {
            let kind = refused.kind.map_or(String::new(), |kind| format!(" as a {}", kind.title()));
            let stays = if desk.bench.with_untracked(Option::is_some) {
                " The plan that was open stays open."
            } else {
                ""
            };
            let problems = refused.problems.into_iter().map(|problem| view! {
                <li>{problem.what}<br/><span class="remedy">{problem.remedy}</span></li>
            });
            let more = (refused.n_more > 0).then(|| format!("And {} more problems.", refused.n_more));
            view! {
                <div class="note bad refused" role="alert">
                    <p>{format!("{} cannot be opened{kind}.{stays}", refused.name)}</p>
                    <ul>{problems.collect_view()}</ul>
                    <p>{more}</p>
                    <button on:click=move |_| desk.refused.set(None)>"Close"</button>
                </div>
            }
        })}
    }
}
