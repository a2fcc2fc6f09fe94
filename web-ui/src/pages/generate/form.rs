//! The form: it draws itself from what the worker says it can do.

use dfa_core::wire::job::PlanView;
use dfa_core::wire::service::{Capabilities, ModelMakes, ModelTakes, ModelView};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::run::RunState;
use crate::api;
use crate::api::ApiError;
use crate::components::worker_needed::WorkerNeeded;
use crate::generation::form::{Field, FormProblem, GenerateForm, Wish};
use crate::state::{Shared, Worker};
use crate::words;

pub mod choices;
pub mod fields;

use choices::{ModelChoice, PlanChoice, WishChoice};
use fields::{LabelsField, TextField, TextsFields};

/// What the form's parts share. A copy is the same.
#[derive(Clone, Copy)]
pub struct Filling {
    form: RwSignal<GenerateForm>,
    problems: RwSignal<Vec<FormProblem>>,
    /// What the worker said about the whole.
    refusal: RwSignal<String>,
    plans: RwSignal<Vec<PlanView>>,
    /// The name of the wish at work: the same wish is never sent as two jobs.
    key: StoredValue<Option<String>>,
    is_sending: RwSignal<bool>,
}

/// The form, or why there is none.
#[component]
pub fn FormCard(run: RunState) -> impl IntoView {
    let shared = Shared::get();
    let filling = Filling {
        form: RwSignal::new(GenerateForm::default()),
        problems: RwSignal::new(Vec::new()),
        refusal: RwSignal::new(String::new()),
        plans: RwSignal::new(Vec::new()),
        key: StoredValue::new(None),
        is_sending: RwSignal::new(false),
    };
    Effect::new(move |_| fill(shared, filling));
    // A page that is loaded again shows what was asked for.
    let asked = Memo::new(move |_| {
        run.job
            .with(|job| job.as_ref().and_then(|job| GenerateForm::of(&job.request)))
    });
    Effect::new(move |_| {
        if let Some(asked) = asked.get() {
            filling.form.set(asked);
        }
    });
    // The worker is asked again and again; only another answer draws another form.
    let worker = Memo::new(move |_| shared.worker.get());
    move || match worker.get() {
        Worker::Ready(capabilities) => {
            view! { <Form filling capabilities=(*capabilities).clone()/> }.into_any()
        }
        _ => view! { <WorkerNeeded purpose="Making pictures"/> }.into_any(),
    }
}

/// Takes the worker's defaults, its plans, and the plan that the address names.
fn fill(shared: Shared, filling: Filling) {
    let Some(capabilities) = shared.capabilities() else {
        return;
    };
    let named = shared.link.get_untracked().get("plan").map(str::to_owned);
    filling.form.update(|form| {
        if form.model.is_empty() {
            form.choose_model(&capabilities.defaults.model, &capabilities.models);
        }
        if let Some(plan) = named {
            form.plan = plan;
        }
    });
    spawn_local(async move {
        match api::plans::list(None).await {
            Ok(list) => {
                filling.form.try_update(|form| {
                    let mut all = list.plans.iter();
                    let named = all.find(|plan| plan.id.to_string() == form.plan);
                    let model = named.and_then(|plan| served(plan, &capabilities.models));
                    match model {
                        Some(model) => form.choose_model(model, &capabilities.models),
                        None if form.plan.is_empty() => form.plan = newest_of(form, &list.plans),
                        None => {}
                    }
                });
                filling.plans.try_set(list.plans);
            }
            Err(error) => {
                filling.refusal.try_set(error.to_string());
            }
        }
    });
}

/// The model of a plan, if it is among those that are served.
fn served<'a>(plan: &'a PlanView, models: &[ModelView]) -> Option<&'a str> {
    let id = plan.model.as_deref()?;
    models.iter().any(|model| model.id == id).then_some(id)
}

/// The newest plan of the chosen model, or nothing.
fn newest_of(form: &GenerateForm, plans: &[PlanView]) -> String {
    let mut plans = plans.iter();
    let newest = plans.find(|plan| plan.model.as_ref() == Some(&form.model));
    newest.map_or_else(String::new, |plan| plan.id.to_string())
}

/// Chooses a model, and the newest plan of it unless the chosen plan is one.
fn choose_model(filling: Filling, id: &str, models: &[ModelView]) {
    let plans = filling.plans.get_untracked();
    filling.form.update(|form| {
        form.choose_model(id, models);
        let mut chosen = plans.iter();
        let chosen = chosen.find(|plan| plan.id.to_string() == form.plan);
        if chosen.is_none_or(|plan| plan.model.as_deref() != Some(id)) {
            form.plan = newest_of(form, &plans);
        }
    });
}

#[component]
fn Form(filling: Filling, capabilities: Capabilities) -> impl IntoView {
    let shared = Shared::get();
    let limits = capabilities.limits;
    let models = StoredValue::new(capabilities.models.clone());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        filling.refusal.set(String::new());
        let form = filling.form.get_untracked();
        let asked = models.with_value(|models| {
            let model = models.iter().find(|model| model.id == form.model);
            form.request(model, &limits)
        });
        match asked {
            Ok(request) => {
                filling.problems.set(Vec::new());
                spawn_local(send(request, filling, shared));
            }
            Err(problems) => filling.problems.set(problems),
        }
    };
    // Whatever is typed makes it another wish.
    Effect::new(move |_| {
        filling.form.track();
        filling.key.set_value(None);
    });
    let model = Memo::new(move |_| {
        let id = filling.form.with(|form| form.model.clone());
        models.with_value(|all| all.iter().find(|model| model.id == id).cloned())
    });
    let takes_text = Memo::new(move |_| {
        model.with(|it| it.as_ref().is_some_and(|it| it.takes == ModelTakes::Text))
    });
    let is_video = Memo::new(move |_| {
        model.with(|it| it.as_ref().is_some_and(|it| it.makes == ModelMakes::Videos))
    });
    let own = move |read: fn(&ModelView) -> String| {
        Signal::derive(move || model.with(|it| it.as_ref().map(read).unwrap_or_default()))
    };
    let compares = move || filling.form.with(|form| form.wish == Wish::Compare);
    let max_images = limits.max_images;
    let n_title = Signal::derive(move || if is_video.get() { "Videos" } else { "Pictures" });
    view! {
        <form class="card stack generate-form" aria-label="Make pictures" on:submit=submit novalidate>
            <WishChoice filling/>
            <ModelChoice filling models=capabilities.models/>
            <PlanChoice filling/>
            <Show
                when=move || takes_text.get()
                fallback=move || view! { <LabelsField filling model=model.into()/> }
            >
                <TextsFields filling/>
            </Show>
            <div class="row">
                <TextField filling field=Field::Seed title="Seed" hint="the same for both"
                    get=|form| form.seed.clone() set=|form, text| form.seed = text/>
                <TextField filling field=Field::Images title=n_title hint=format!("at most {max_images}")
                    get=|form| form.n_images.clone() set=|form, text| form.n_images = text/>
                <Show when=move || takes_text.get()>
                    <TextField filling field=Field::Size title="Size" hint=own(|it| format!("empty: {}", it.size))
                        get=|form| form.size.clone() set=|form, text| form.size = text/>
                </Show>
                <Show when=move || is_video.get()>
                    <TextField filling field=Field::Frames title="Frames" hint=own(frames_hint)
                        get=|form| form.num_frames.clone() set=|form, text| form.num_frames = text/>
                    <TextField filling field=Field::Fps title="Frames/s" hint=own(fps_hint)
                        get=|form| form.fps.clone() set=|form, text| form.fps = text/>
                </Show>
                <TextField filling field=Field::Steps title="Steps" hint="empty: the plan's"
                    get=|form| form.steps.clone() set=|form, text| form.steps = text/>
                <TextField filling field=Field::Guidance title="Guidance" hint="empty: the plan's"
                    get=|form| form.guidance_scale.clone() set=|form, text| form.guidance_scale = text/>
            </div>
            <p class="problem" role="alert">{move || filling.refusal.get()}</p>
            <button class="primary" type="submit" disabled=move || filling.is_sending.get()>
                {move || if compares() { "Make raw and compressed" } else { "Make pictures" }}
            </button>
        </form>
    }
}

fn frames_hint(model: &ModelView) -> String {
    let usual = model.defaults.num_frames.unwrap_or(1);
    format!("empty: {usual}")
}

fn fps_hint(model: &ModelView) -> String {
    let usual = model.defaults.fps.map(words::number);
    format!("empty: {}", usual.unwrap_or_default())
}

async fn send(request: dfa_core::wire::JobRequest, filling: Filling, shared: Shared) {
    filling.is_sending.set(true);
    let key = filling.key.get_value().unwrap_or_else(api::jobs::fresh_key);
    filling.key.set_value(Some(key.clone()));
    let answer = api::jobs::submit(&request, &key).await;
    filling.is_sending.try_set(false);
    match answer {
        Ok(job) => {
            // The next press is another wish, even if nothing was changed.
            filling.key.try_set_value(None);
            let link = shared.link.get_untracked();
            let link = link
                .with("image", None)
                .with("job", Some(&job.id.to_string()));
            shared.go(&link);
        }
        Err(error) => refuse(&error, filling),
    }
}

/// Puts the worker's refusal where it belongs.
fn refuse(error: &ApiError, filling: Filling) {
    let field = Field::ALL
        .into_iter()
        .find(|field| error.param() == Some(field.param()));
    let words = error.to_string();
    match field {
        Some(field) => {
            let problem = FormProblem { field, words };
            filling.problems.try_set(vec![problem]);
        }
        None => {
            filling.refusal.try_set(words);
        }
    }
}
