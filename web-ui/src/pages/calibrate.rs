//! The page "Calibrate".

use leptos::prelude::*;

/// The page.
#[component]
pub fn CalibratePage() -> impl IntoView {
    view! { <h1>"Calibrate"</h1> }
}
