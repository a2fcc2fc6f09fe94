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
use crate::link::{Link, Page};
use crate::state::{Shared, Worker};
use crate::words;

/// More classes than these are typed, not pressed.
const MOST_CHIPS: usize = 24;

/// What the form's parts share. A copy is the same.
#[derive(Clone, Copy)]
struct Filling {
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

#[component]
fn WishChoice(filling: Filling) -> impl IntoView {
    let choice = move |wish: Wish, title: &'static str| {
        view! {
            <label class="inline">
                <input type="radio" name="wish"
                    prop:checked=move || filling.form.with(|form| form.wish == wish)
                    on:change=move |_| filling.form.update(|form| form.wish = wish)
                />
                {title}
            </label>
        }
    };
    view! {
        <fieldset class="row plain">
            <legend class="visually-hidden">"What is made"</legend>
            {choice(Wish::Compare, "Raw and compressed, compared")}
            {choice(Wish::Generate, "Pictures only")}
        </fieldset>
    }
}

#[component]
fn ModelChoice(filling: Filling, models: Vec<ModelView>) -> impl IntoView {
    let options = models.iter().map(|model| {
        let id = model.id.clone();
        let is_chosen = move || filling.form.with(|form| form.model == id);
        let words = format!("{} ({}, {})", model.id, model.family, model.size);
        view! { <option value=model.id.clone() selected=is_chosen>{words}</option> }
    });
    let options = options.collect_view();
    view! {
        <label>
            "Model"
            <select on:change=move |event| choose_model(filling, &event_target_value(&event), &models)>
                {options}
            </select>
        </label>
    }
}

#[component]
fn PlanChoice(filling: Filling) -> impl IntoView {
    let option = move |value: String, words: String| {
        let id = value.clone();
        let is_chosen = move || filling.form.with(|form| form.plan == id);
        view! { <option value=value selected=is_chosen>{words}</option> }
    };
    let options = move || {
        let plans = filling.plans.get();
        let chosen = filling.form.with(|form| form.plan.clone());
        let is_known = chosen.is_empty() || plans.iter().any(|plan| plan.id.to_string() == chosen);
        let unknown =
            (!is_known).then(|| option(chosen.clone(), format!("plan {}", short(&chosen))));
        let model = filling.form.with(|form| form.model.clone());
        let (own, others): (Vec<_>, Vec<_>) = plans
            .into_iter()
            .partition(|plan| plan.model.as_ref().is_none_or(|of| *of == model));
        let all = |plans: Vec<PlanView>| {
            let options = plans.into_iter();
            let options = options.map(|plan| option(plan.id.to_string(), plan_words(&plan)));
            options.collect_view()
        };
        let has_others = !others.is_empty();
        let others = all(others);
        let others =
            has_others.then(|| view! { <optgroup label="Of other models">{others}</optgroup> });
        let wish = filling.form.with(|form| form.wish);
        let none = match wish {
            Wish::Generate => Some("no plan: without compression"),
            Wish::Compare if chosen.is_empty() => Some("choose a plan"),
            Wish::Compare => None,
        };
        let none = none.map(|words| option(String::new(), words.into()));
        (none, unknown, all(own), others)
    };
    let is_empty =
        move || filling.plans.with(Vec::is_empty) && filling.form.with(|form| form.plan.is_empty());
    view! {
        <label>
            "Plan"
            <select
                on:change=move |event| filling.form.update(|form| form.plan = event_target_value(&event))
            >{options}</select>
        </label>
        <Show when=is_empty>
            <p class="hint">
                "The worker's library has no plan yet: "
                <a href=Link::to(Page::Calibrate).to_string()>"calibrate one"</a>
                ", or open and save one on the page "
                <a href=Link::to(Page::Plan).to_string()>"Plan"</a>"."
            </p>
        </Show>
        <ProblemOf filling field=Field::Plan/>
    }
}

/// A plan of the library in a few words.
fn plan_words(plan: &PlanView) -> String {
    let model = plan.model.as_deref().unwrap_or("unknown model");
    let threshold = plan.threshold.map_or("by hand".into(), |delta| {
        format!("δ {}", words::number(delta))
    });
    format!(
        "{model} · {} × {} · {threshold} · {}",
        plan.n_steps,
        plan.n_blocks,
        short(&plan.id.to_string())
    )
}

fn short(hash: &str) -> String {
    hash.chars().take(8).collect()
}

#[component]
fn LabelsField(filling: Filling, model: Signal<Option<ModelView>>) -> impl IntoView {
    let hint = move || match model.get() {
        None => String::new(),
        Some(model) => format!(
            "{} classes, by name or number, with commas; empty: drawn from the seed",
            model.n_classes
        ),
    };
    let add = move |name: String| {
        filling.form.update(|form| {
            let before = form.labels.trim().trim_end_matches(',').to_owned();
            form.labels = if before.is_empty() {
                name
            } else {
                format!("{before}, {name}")
            };
        });
    };
    let names = move || {
        let classes = model.get().map(|model| model.classes).unwrap_or_default();
        let few = if classes.len() <= MOST_CHIPS {
            classes
        } else {
            Vec::new()
        };
        let chips = few.into_iter().map(move |class| {
            let name = class.name.split(',').next().unwrap_or_default().trim().to_owned();
            let words = name.clone();
            view! { <button type="button" class="quiet chip" on:click=move |_| add(name.clone())>{words}</button> }
        });
        chips.collect_view()
    };
    view! {
        <label>
            "Classes"
            <input type="text" autocomplete="off"
                prop:value=move || filling.form.with(|form| form.labels.clone())
                on:input=move |event| filling.form.update(|form| form.labels = event_target_value(&event))
            />
            <span class="hint">{hint}</span>
        </label>
        <div class="row tight" role="group" aria-label="Add a class">{names}</div>
        <ProblemOf filling field=Field::Labels/>
    }
}

/// What is drawn by a model that takes text.
#[component]
fn TextsFields(filling: Filling) -> impl IntoView {
    let hint = move || match filling.form.with(|form| form.wish) {
        Wish::Compare => "one a line; empty: captions of the worker's own",
        Wish::Generate => "one a line",
    };
    view! {
        <label>
            "Prompts"
            <textarea rows="4"
                placeholder="A brown dog runs along a sandy beach."
                prop:value=move || filling.form.with(|form| form.prompts.clone())
                aria-invalid=move || problem_of(filling, Field::Prompts).is_some().to_string()
                on:input=move |event| filling.form.update(|form| form.prompts = event_target_value(&event))
            ></textarea>
            <span class="hint">{hint}</span>
        </label>
        <ProblemOf filling field=Field::Prompts/>
        <label>
            "Negative prompt"
            <textarea rows="2"
                prop:value=move || filling.form.with(|form| form.negative_prompt.clone())
                aria-invalid=move || problem_of(filling, Field::Negative).is_some().to_string()
                on:input=move |event| filling.form.update(|form| form.negative_prompt = event_target_value(&event))
            ></textarea>
            <span class="hint">"what guidance leads away from; may be empty"</span>
        </label>
        <ProblemOf filling field=Field::Negative/>
    }
}

#[component]
fn TextField(
    filling: Filling,
    field: Field,
    #[prop(into)] title: Signal<&'static str>,
    #[prop(into)] hint: Signal<String>,
    get: fn(&GenerateForm) -> String,
    set: fn(&mut GenerateForm, String),
) -> impl IntoView {
    view! {
        <div class="short-field">
            <label>
                {move || title.get()}
                <input type="text" inputmode="decimal" autocomplete="off"
                    prop:value=move || filling.form.with(get)
                    aria-invalid=move || problem_of(filling, field).is_some().to_string()
                    on:input=move |event| filling.form.update(|form| set(form, event_target_value(&event)))
                />
                <span class="hint">{move || hint.get()}</span>
            </label>
            <ProblemOf filling field/>
        </div>
    }
}

fn problem_of(filling: Filling, field: Field) -> Option<String> {
    filling.problems.with(|all| {
        let found = all.iter().find(|problem| problem.field == field);
        found.map(|problem| problem.words.clone())
    })
}

#[component]
fn ProblemOf(filling: Filling, field: Field) -> impl IntoView {
    view! { <p class="problem" role="alert">{move || problem_of(filling, field)}</p> }
}
