//! From an address, a file or a list to a plan on the desk. A plan that cannot be opened
//! leaves the one that is open where it is, with a list of what is wrong.

use std::sync::Arc;

use dfa_core::wire::ContentHash;
use js_sys::Uint8Array;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::desk::{Desk, Source};
use crate::api;
use crate::link::{Link, Page};
use crate::plan::open_file::{FileProblem, MAX_FILE_BYTES, RefusedFile, open_file};
use crate::plan::opened::{OpenPlan, Origin};
use crate::plan::share;
use crate::words::bytes as in_bytes;

/// The name of the sample in addresses; `sample-D2` and so on are others like it.
pub const SAMPLE: &str = "sample";

/// Reads the plan that `name` stands for: the sample, or the hash of a plan of the
/// worker's library.
///
/// # Errors
/// [`RefusedFile`] with what is wrong and what to do.
pub async fn read_named(name: &str) -> Result<OpenPlan, RefusedFile> {
    let refused = |what: String, remedy: &str| RefusedFile {
        name: name.to_owned(),
        kind: None,
        problems: vec![FileProblem {
            what,
            remedy: remedy.to_owned(),
        }],
        n_more: 0,
    };
    if let Some(variant) = name.strip_prefix(SAMPLE) {
        let file = format!("plan{variant}.json");
        let text = api::sample::text(&file).await;
        let text = text.map_err(|error| refused(error.to_string(), "Open a plan file instead."))?;
        let title = match variant {
            "" => "Sample plan".to_owned(),
            variant => format!("Sample plan {}", variant.trim_start_matches('-')),
        };
        return open_file(text.as_bytes(), &title, Origin::Sample);
    }
    let Ok(id) = name.parse::<ContentHash>() else {
        let what = "The address names no plan: an id is 64 hexadecimal digits.".to_owned();
        return Err(refused(what, "Choose a plan from the worker's library."));
    };
    let text = api::plans::text(id).await;
    let remedy = "See that the worker runs and has this plan, or open a plan file.";
    let text = text.map_err(|error| refused(error.to_string(), remedy))?;
    let opened = open_file(text.as_bytes(), &id.short(), Origin::Library(id))?;
    Ok(titled(opened))
}

/// A plan of the library is called by its model and δ, not by its hash.
fn titled(mut opened: OpenPlan) -> OpenPlan {
    let model = opened.checked.provenance.as_ref();
    let model = model.map_or("plan", |provenance| provenance.model_id.as_str());
    let edited = if opened.checked.edited_from.is_some() {
        ", edited"
    } else {
        ""
    };
    let title = match opened.recorded_threshold() {
        Some(threshold) => format!("{model}, δ {threshold}{edited}"),
        None => format!("{model}, {}{edited}", opened.hash().short()),
    };
    opened.name = title;
    opened
}

/// Opens what the address names. Nothing is asked; the caller has.
pub fn open_named(desk: Desk, name: String) {
    desk.loading.set(Some(match name.as_str() {
        SAMPLE => "Loading the sample plan…".to_owned(),
        _ => "Loading the plan…".to_owned(),
    }));
    desk.source.set(Source::Named(name.clone()));
    spawn_local(async move {
        let read = read_named(&name).await;
        let source = Source::Named(name);
        if desk.source.get_untracked() != source {
            // Something else was opened meanwhile.
            return;
        }
        desk.loading.set(None);
        match read {
            Ok(opened) => desk.put(opened, source),
            Err(refused) => desk.refused.set(Some(refused)),
        }
    });
}

/// Opens the plan that is written into the address.
pub fn open_inline(desk: Desk, text: &str) {
    desk.source.set(Source::Inline(text.to_owned()));
    match share::from_text(text) {
        Ok(opened) => desk.put(opened, Source::Inline(text.to_owned())),
        Err(error) => desk.refused.set(Some(RefusedFile {
            name: "the address".to_owned(),
            kind: None,
            problems: vec![FileProblem {
                what: error.to_string(),
                remedy: "Ask for the link again, or for the plan as a file.".to_owned(),
            }],
            n_more: 0,
        })),
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be worked on.
    Desk,
    /// To be compared with the plan on the desk.
    Comparison,
}

/// Opens a file of this computer.
pub fn open_local(desk: Desk, file: web_sys::File, purpose: Purpose) {
    if purpose == Purpose::Desk && !desk.may_lose_edits() {
        return;
    }
    let name = file.name();
    desk.loading.set(Some(format!("Reading {name}…")));
    spawn_local(async move {
        let read = read_local(&file, &name).await;
        desk.loading.set(None);
        match (read, purpose) {
            (Err(refused), _) => desk.refused.set(Some(refused)),
            (Ok(opened), Purpose::Comparison) => {
                desk.refused.set(None);
                desk.other.set(Some(Arc::new(opened)));
            }
            (Ok(opened), Purpose::Desk) => {
                desk.put(opened, Source::File);
                // No address can name a file of this computer.
                desk.shared.go(&Link::to(Page::Plan));
            }
        }
    });
}

async fn read_local(file: &web_sys::File, name: &str) -> Result<OpenPlan, RefusedFile> {
    let refused = |what: String, remedy: &str| RefusedFile {
        name: name.to_owned(),
        kind: None,
        problems: vec![FileProblem {
            what,
            remedy: remedy.to_owned(),
        }],
        n_more: 0,
    };
    let size = file.size();
    if size > MAX_FILE_BYTES as f64 {
        let most = in_bytes(MAX_FILE_BYTES as u64);
        let what = format!(
            "The file has {}, plans at most {most}.",
            in_bytes(size as u64)
        );
        return Err(refused(what, "Choose a plan file; this is something else."));
    }
    let buffer = JsFuture::from(file.array_buffer()).await;
    let buffer = buffer.map_err(|_| {
        let what = "The browser cannot read the file.".to_owned();
        refused(
            what,
            "See that it still exists and may be read, then try again.",
        )
    })?;
    open_file(&Uint8Array::new(&buffer).to_vec(), name, Origin::File)
}

/// Brings the plan of a name into the comparison.
pub fn compare_named(desk: Desk, name: String) {
    desk.loading.set(Some("Loading the other plan…".to_owned()));
    spawn_local(async move {
        let read = read_named(&name).await;
        desk.loading.set(None);
        match read {
            Ok(opened) => desk.other.set(Some(Arc::new(opened))),
            Err(refused) => desk.refused.set(Some(refused)),
        }
    });
}
