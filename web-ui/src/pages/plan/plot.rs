//! Draws a plot of plans: points, the front as a line, axes with round marks.

use dfa_core::wire::ContentHash;
use leptos::prelude::*;

use crate::plan::pareto::{Axis, Measured, Plot, Point};
use crate::words::number;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

fn x_of(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
}

fn y_of(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
}

/// The plot; `here` is the plan that is open, `open` opens the one of a point.
#[component]
pub fn PlotView(
    plot: Plot,
    measured: Vec<Measured>,
    here: Option<ContentHash>,
    open: Callback<usize>,
) -> impl IntoView {
    let mut last = None;
    let points = plot.points.iter().map(|point| {
        let plan = &measured[point.idx];
        let at = (x_of(&plot.x, point.x), y_of(&plot.y, point.y));
        // A name that would lie on the one before stands above its point.
        let collides = |(x, y): (f64, f64)| at.0 - x < 60.0 && (at.1 - y).abs() < 14.0;
        let is_above = last.is_some_and(collides);
        last = Some(at);
        dot(
            &plot,
            *point,
            (plan, here == Some(plan.plan_hash), is_above),
            open,
        )
    });
    let points = points.collect_view();
    let left_out = (plot.n_left_out > 0).then(|| {
        let words = format!("{} plans lack a number and are left out.", plot.n_left_out);
        view! { <p class="hint">{words}</p> }
    });
    view! {
        <svg
            class="plot"
            viewBox=format!("0 0 {WIDTH} {HEIGHT}")
            role="group"
            aria-label=format!("{} against {}", plot.y.title, plot.x.title)
        >
            {marks(&plot)}
            <polyline class="front" points=front(&plot)></polyline>
            {points}
        </svg>
        {left_out}
    }
}

/// The points of the front, joined.
fn front(plot: &Plot) -> String {
    let points = plot.points.iter().filter(|point| point.is_on_front);
    let points = points.map(|at| format!("{:.1},{:.1}", x_of(&plot.x, at.x), y_of(&plot.y, at.y)));
    points.collect::<Vec<_>>().join(" ")
}

fn marks(plot: &Plot) -> impl IntoView + use<> {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let across = plot.x.ticks.iter().map(|(value, words)| {
        let x = format!("{:.1}", x_of(&plot.x, *value));
        view! {
            <line class="tick" x1=x.clone() x2=x.clone() y1=TOP.to_string() y2=bottom.to_string()></line>
            <text x=x y=(bottom + 14.0).to_string() text-anchor="middle">{words.clone()}</text>
        }
    });
    let up = plot.y.ticks.iter().map(|(value, words)| {
        let y = y_of(&plot.y, *value);
        let line = format!("{y:.1}");
        view! {
            <line class="tick" x1=LEFT.to_string() x2=right.to_string() y1=line.clone() y2=line></line>
            <text x=(LEFT - 6.0).to_string() y=format!("{:.1}", y + 4.0) text-anchor="end">{words.clone()}</text>
        }
    });
    view! {
        <g class="axes" aria-hidden="true">
            {across.collect_view()}
            {up.collect_view()}
            <text x=((LEFT + right) / 2.0).to_string() y=(HEIGHT - 8.0).to_string() text-anchor="middle">
                {plot.x.title}
            </text>
        </g>
    }
}

fn dot(
    plot: &Plot,
    point: Point,
    (plan, is_here, is_above): (&Measured, bool, bool),
    open: Callback<usize>,
) -> impl IntoView + use<> {
    let (x, y) = (x_of(&plot.x, point.x), y_of(&plot.y, point.y));
    let words = format!(
        "{}: {} {}, {} {}{}",
        plan.name,
        plot.y.title,
        number(point.y),
        plot.x.title,
        number(point.x),
        if is_here { ", open now" } else { "" }
    );
    // Who speaks to the page says what stands beside the point.
    let label = format!("{words}, {}", short(plan));
    // Names at the right edge stand to the left of their point.
    let is_right = x > WIDTH - 80.0;
    let anchor = if is_right { "end" } else { "start" };
    let name_x = if is_right { x - 9.0 } else { x + 9.0 };
    let name_y = if is_above { y - 7.0 } else { y + 14.0 };
    // Name and point together can be clicked, and what lies between them.
    let hit = [if is_right { x - 72.0 } else { x - 12.0 }, name_y - 18.0];
    let hit = hit.map(|value| format!("{value:.1}"));
    let idx = point.idx;
    view! {
        <g
            class="dot"
            class:on-front=point.is_on_front
            class:here=is_here
            role="button"
            tabindex="0"
            aria-label=label
            on:click=move |_| open.run(idx)
            on:keydown=move |event| {
                if matches!(event.key().as_str(), "Enter" | " ") {
                    event.prevent_default();
                    open.run(idx);
                }
            }
        >
            <title>{words}</title>
            <rect class="hit" x=hit[0].clone() y=hit[1].clone() width="84" height="32"></rect>
            <circle class="reach" cx=format!("{x:.1}") cy=format!("{y:.1}") r="12"></circle>
            <circle class="mark" cx=format!("{x:.1}") cy=format!("{y:.1}") r="5"></circle>
            <text x=format!("{name_x:.1}") y=format!("{name_y:.1}") text-anchor=anchor>
                {short(plan)}
            </text>
        </g>
    }
}

/// The name as it fits beside a point.
fn short(plan: &Measured) -> String {
    plan.threshold.map_or_else(
        || plan.name.clone(),
        |threshold| format!("δ {}", number(threshold)),
    )
}
