//! The page "Jobs".

use leptos::prelude::*;

/// The page.
#[component]
pub fn JobsPage() -> impl IntoView {
    view! { <h1>"Jobs"</h1> }
}
