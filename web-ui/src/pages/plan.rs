//! The page "Plan".

use leptos::prelude::*;

/// The page.
#[component]
pub fn PlanPage() -> impl IntoView {
    view! { <h1>"Plan"</h1> }
}
