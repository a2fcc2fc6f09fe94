//! What the plan shown keeps, costs and holds in memory, each against the run without it.
//! Worked out when δ rests: counting memory takes longer than drawing.

use std::time::Duration;

use leptos::prelude::*;

use super::desk::Desk;
use super::pareto_card::Reports;
use crate::plan::totals::{Question, Totals, advice, totals};
use crate::words::{bytes, large, percent, seconds};

/// How long δ has to rest.
const REST: Duration = Duration::from_millis(60);

/// What the card shows.
#[derive(Clone, Debug, PartialEq)]
struct Counted {
    totals: Totals,
    advice: Vec<String>,
}

/// The card.
#[component]
pub fn TotalsCard() -> impl IntoView {
    let desk = Desk::get();
    let reports = Reports::get();
    let counted = RwSignal::new(None::<Counted>);
    let timer = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |_| {
        desk.shown.track();
        reports.list.track();
        let later = set_timeout_with_handle(move || counted.set(count(desk, reports)), REST);
        let old = timer.try_update_value(|timer| std::mem::replace(timer, later.ok()));
        if let Some(Some(old)) = old {
            old.clear();
        }
    });
    on_cleanup(move || {
        if let Some(Some(timer)) = timer.try_update_value(Option::take) {
            timer.clear();
        }
    });
    view! {
        <section class="card totals" aria-labelledby="totals-title">
            <h2 id="totals-title">"Totals against raw"</h2>
            {move || counted.get().map(shown)}
        </section>
    }
}

fn count(desk: Desk, reports: Reports) -> Option<Counted> {
    let shown = desk.shown.get_untracked()?;
    desk.ask(|bench| {
        let report = reports.of_model(bench.opened());
        let question = Question {
            batch: 1,
            report: report.as_ref(),
        };
        Counted {
            totals: totals(bench.opened(), &shown.plan, question),
            advice: advice(bench, &shown),
        }
    })
}

fn shown(counted: Counted) -> impl IntoView {
    let advice = counted.advice.into_iter();
    let advice = advice.map(|words| view! { <p class="note warn">{words}</p> });
    let missing = counted.totals.missing.clone().into_iter();
    let missing = missing.map(|words| view! { <p class="hint">{words}</p> });
    view! {
        {advice.collect_view()}
        <dl class="bars">{rows(&counted.totals)}</dl>
        {missing.collect_view()}
    }
}

/// One entry per number that is known.
pub fn rows(totals: &Totals) -> impl IntoView + use<> {
    let kept = totals.kept.map(|kept| {
        let cost = kept.cost;
        let macs = totals.time.is_some().then(|| {
            let (now, raw) = (cost.compressed.attention_macs, cost.raw.attention_macs);
            format!("{} of {} MACs", large(now), large(raw))
        });
        bar("Attention MACs kept (QKᵀ, AV)", kept.attention_share, macs)
    });
    let layer = totals.kept.and_then(|kept| {
        let (now, raw) = (kept.cost.compressed, kept.cost.raw);
        let words = format!(
            "{} of {} MACs",
            large(now.layer_macs()),
            large(raw.layer_macs())
        );
        Some(bar("With projections", kept.layer_share?, Some(words)))
    });
    let time = totals.time.map(|time| match time.run {
        Some(run) => bar(
            "Time, predicted",
            run.share,
            Some(format!(
                "{} of {}",
                seconds(run.secs),
                seconds(run.raw_secs)
            )),
        ),
        None => bar(
            "Attention time, predicted from MACs",
            time.attention_share,
            None,
        ),
    });
    let cache = totals.cache.map(|cache| {
        let share = cache.peak.bytes as f64 / cache.all_bytes.max(1) as f64;
        let words = format!(
            "{} per image, raw 0 B; peak at step {}",
            bytes(cache.peak.bytes),
            cache.peak.step.0
        );
        bar(
            "Cache memory, of all that could be kept",
            share,
            Some(words),
        )
    });
    view! { {kept}{layer}{time}{cache} }
}

/// A share with a bar, and the numbers behind it.
fn bar(title: &'static str, share: f64, words: Option<String>) -> impl IntoView {
    let width = format!("{:.1}%", 100.0 * share.clamp(0.0, 1.0));
    view! {
        <div class="bar-row">
            <dt>{title}</dt>
            <dd>
                <b>{percent(share)}</b>
                <span class="bar" aria-hidden="true"><i style:width=width></i></span>
                {words.map(|words| view! { <span class="hint">{words}</span> })}
            </dd>
        </div>
    }
}
