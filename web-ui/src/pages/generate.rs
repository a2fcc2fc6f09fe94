//! The page "Generate".

use leptos::prelude::*;

/// The page.
#[component]
pub fn GeneratePage() -> impl IntoView {
    view! { <h1>"Generate"</h1> }
}
