//! The frame: menu, theme, help, what the worker is doing, and one page at a time.

use leptos::either::EitherOf4;
use leptos::ev;
use leptos::prelude::*;

use crate::components::help::{Help, is_not_ours};
use crate::components::login::Login;
use crate::components::theme::ThemeButton;
use crate::components::worker_badge::WorkerBadge;
use crate::link::{Link, Page};
use crate::pages::plan::PlanPage;
use crate::pages::plan::desk::Desk;
use crate::pages::plan::pareto_card::Reports;
use crate::parts::{CALIBRATE, GENERATE, JOBS, PartOfPage};
use crate::presence::ask_worker;
use crate::state::Shared;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let shared = Shared::new(address());
    provide_context(shared);
    let desk = Desk::new(shared);
    provide_context(desk);
    desk.guard_edits();
    provide_context(Reports::new());
    let following = window_event_listener(ev::hashchange, move |_| shared.follow(address()));
    on_cleanup(move || following.remove());
    ask_worker(shared);
    let help_is_open = RwSignal::new(false);
    let keys = window_event_listener(ev::keydown, move |event| {
        if event.key() == "?" && !is_not_ours(&event) {
            event.prevent_default();
            help_is_open.update(|open| *open = !*open);
        }
    });
    on_cleanup(move || keys.remove());
    let page = Memo::new(move |_| shared.link.get().page);
    Effect::new(move |_| document().set_title(&format!("{} · DiTFastAttn", page.get().title())));
    view! {
        <a class="skip" href="#main" on:click=focus_main>"Skip to the content"</a>
        <header class="frame-header">
            <span class="brand">"DiTFastAttn"</span>
            <Menu page/>
            <WorkerBadge/>
            <button class="quiet" title="Keyboard and help (?)" on:click=move |_| help_is_open.set(true)>
                "Help"
            </button>
            <ThemeButton/>
        </header>
        <main id="main" tabindex="-1">
            // Of different types, so that one page is gone before the next one comes.
            {move || match page.get() {
                Page::Plan => EitherOf4::A(view! { <PlanPage/> }),
                Page::Calibrate => EitherOf4::B(view! { <PartOfPage part=CALIBRATE/> }),
                Page::Generate => EitherOf4::C(view! { <PartOfPage part=GENERATE/> }),
                Page::Jobs => EitherOf4::D(view! { <PartOfPage part=JOBS/> }),
            }}
        </main>
        <p class="visually-hidden" role="status" aria-live="polite">
            {move || shared.announcement.get()}
        </p>
        <Help is_open=help_is_open/>
        <Login/>
    }
}

/// What stands in the browser's address after `#`.
fn address() -> Link {
    Link::parse(&window().location().hash().unwrap_or_default())
}

/// `#main` would be an address of a page; the jump is made by hand.
fn focus_main(event: ev::MouseEvent) {
    event.prevent_default();
    if let Some(main) = document().get_element_by_id("main") {
        let main: web_sys::HtmlElement = wasm_bindgen::JsCast::unchecked_into(main);
        // Whoever cannot be given the focus keeps it where it is.
        let _ = main.focus();
    }
}

#[component]
fn Menu(page: Memo<Page>) -> impl IntoView {
    let entry = move |of: Page| {
        view! {
            <a
                href=Link::to(of).to_string()
                aria-current=move || (page.get() == of).then_some("page")
            >
                {of.title()}
            </a>
        }
    };
    view! { <nav aria-label="Pages">{Page::ALL.map(entry).collect_view()}</nav> }
}
