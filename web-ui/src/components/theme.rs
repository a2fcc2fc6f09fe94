//! Light, dark, or what the system says. The style sheet reads `data-theme` of the root.

use leptos::prelude::*;

const KEY: &str = "dfa-theme";

/// Cycles through the themes and remembers the choice in this browser.
#[component]
pub fn ThemeButton() -> impl IntoView {
    let theme = RwSignal::new(stored());
    Effect::new(move |_| apply(theme.get()));
    view! {
        <button class="quiet" title="Change the colours" on:click=move |_| theme.update(|theme| *theme = theme.next())>
            {move || theme.get().words()}
        </button>
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    const fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::System => "Theme: system",
            Self::Light => "Theme: light",
            Self::Dark => "Theme: dark",
        }
    }
}

fn stored() -> Theme {
    let storage = window().local_storage().ok().flatten();
    let value = storage.and_then(|storage| storage.get_item(KEY).ok().flatten());
    match value.as_deref() {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

fn apply(theme: Theme) {
    if let Some(root) = document().document_element() {
        // A browser that refuses shows the system's colours.
        let _ = root.set_attribute("data-theme", theme.as_str());
    }
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(KEY, theme.as_str());
    }
}
