//! Keeps the desk and the address in step, both ways: `id` or `plan` (what is open),
//! `delta`, `cell`, `compare`. The layer and the view are read from the address where they
//! are needed.
//!
//! A setting of the address counts when it changes; otherwise the desk is right. What
//! changes quickly is written down only when it rests, because browsers count.

use std::time::Duration;

use dfa_core::search::Threshold;
use leptos::prelude::*;

use super::desk::{Desk, Source};
use super::opening::{SAMPLE, compare_named, open_inline, open_named};
use crate::link::{Link, Page};
use crate::plan::cursor::{Cursor, named_cell};

/// How long something has to rest before it is written into the address.
const REST: Duration = Duration::from_millis(250);

/// Follows the address and writes it, while the page is there.
pub fn keep(desk: Desk) {
    Effect::new(move |before: Option<Link>| {
        let link = desk.shared.link.get();
        if link.page != Page::Plan {
            return before.unwrap_or(link);
        }
        follow_plan(desk, &link);
        let changed = |name: &str| before.as_ref().and_then(|it| it.get(name)) != link.get(name);
        if changed("compare") {
            follow_comparison(desk, &link);
        }
        if before.is_some() && changed("delta") {
            follow_threshold(desk, &link, true);
        }
        if before.is_some() && changed("cell") {
            follow_cell(desk, &link);
        }
        link
    });
    // A plan that has just been opened is shown as its address says.
    Effect::new(move |before: Option<Source>| {
        let source = desk.source.get();
        let is_open = desk.bench.with(Option::is_some);
        if is_open && desk.loading.get().is_none() && before.as_ref() != Some(&source) {
            // The address is still that of the plan before a file was opened.
            if source != Source::File {
                let link = desk.shared.link.get_untracked();
                follow_threshold(desk, &link, false);
                follow_cell(desk, &link);
            }
            return source;
        }
        before.unwrap_or_default()
    });
    write_down(desk);
}

fn follow_plan(desk: Desk, link: &Link) {
    let open = desk.source.get_untracked();
    let wanted = match (link.get("id"), link.get("plan")) {
        (Some(id), _) => Source::Named(id.to_owned()),
        (None, Some(text)) => Source::Inline(text.to_owned()),
        (None, None) if open == Source::Nothing => Source::Named(SAMPLE.to_owned()),
        (None, None) => return restore_address(desk, &open),
    };
    if wanted == open {
        return;
    }
    if !desk.may_lose_edits() {
        // The address goes back to what is open.
        restore_address(desk, &open);
        return;
    }
    match wanted {
        Source::Named(name) => open_named(desk, name),
        Source::Inline(text) => open_inline(desk, &text),
        Source::Nothing | Source::File => {}
    }
}

fn restore_address(desk: Desk, open: &Source) {
    let (id, plan) = match open {
        Source::Named(name) => (Some(name.as_str()), None),
        Source::Inline(text) => (None, Some(text.as_str())),
        Source::Nothing | Source::File => (None, None),
    };
    desk.shared.set("id", id);
    desk.shared.set("plan", plan);
}

fn follow_comparison(desk: Desk, link: &Link) {
    match link.get("compare") {
        Some(name) => compare_named(desk, name.to_owned()),
        None => desk.other.set(None),
    }
}

/// A δ that the address does not name is the one at the start, if it `can_reset`.
fn follow_threshold(desk: Desk, link: &Link, can_reset: bool) {
    let named = link
        .get("delta")
        .and_then(|text| text.parse::<Threshold>().ok());
    let wanted = named.or_else(|| if can_reset { desk.start() } else { None });
    let is_movable = desk.ask(|bench| bench.slider().is_some());
    if let (Some(threshold), Some(true)) = (wanted, is_movable) {
        desk.set_threshold(threshold);
        desk.settle();
    }
}

fn follow_cell(desk: Desk, link: &Link) {
    let shape = desk.ask(|bench| bench.shape());
    let cell = link.get("cell").zip(shape);
    if let Some(Ok(cell)) = cell.map(|(text, shape)| named_cell(text, shape))
        && desk.cursor.get_untracked().cell != cell
    {
        desk.cursor.set(Cursor::at(cell));
    }
}

/// Writes δ and the cell into the address when they rest.
fn write_down(desk: Desk) {
    let timer = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |is_again: Option<bool>| {
        desk.cursor.track();
        desk.shown.track();
        if is_again.is_none() {
            return false;
        }
        let later = set_timeout_with_handle(move || write_now(desk), REST);
        let old = timer.try_update_value(|timer| std::mem::replace(timer, later.ok()));
        if let Some(Some(old)) = old {
            old.clear();
        }
        true
    });
    on_cleanup(move || {
        if let Some(Some(timer)) = timer.try_update_value(Option::take) {
            timer.clear();
        }
    });
}

fn write_now(desk: Desk) {
    if desk.shared.link.with_untracked(|link| link.page) != Page::Plan
        || desk.loading.get_untracked().is_some()
    {
        return;
    }
    let Some(delta) = desk.ask(|bench| {
        let threshold = bench
            .threshold()
            .filter(|_| bench.threshold() != desk.start());
        threshold.map(|threshold| threshold.to_string())
    }) else {
        return;
    };
    let (step, block) = desk.cursor.get_untracked().cell;
    desk.shared.set("delta", delta.as_deref());
    desk.shared
        .set("cell", Some(&format!("{},{}", step.0, block.0)));
}
