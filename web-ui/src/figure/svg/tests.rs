//! Drawings are well-formed, complete, and hold nothing that runs.

use super::*;
use crate::plan::examples;
use crate::plan::layers::{Layer, picture};
use crate::plan::workbench::Workbench;
use dfa_core::GridShape;
use dfa_core::search::SearchMode;

fn drawn(bench: &Workbench, layer: Layer, title: &str) -> String {
    let (picture, legend) = picture(bench, &bench.shown(), layer);
    svg(&Figure {
        title,
        subtitle: "δ = 0.1 & more",
        picture: &picture,
        legend: &legend,
    })
}

/// Whether every element that is opened is closed, in order, and no text holds a bare `<`.
fn is_well_formed(text: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else {
            return false;
        };
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/']).next();
        match tag {
            tag if tag.starts_with('?') || tag.ends_with('/') => {}
            tag if tag.starts_with('/') => {
                if open.pop() != name {
                    return false;
                }
            }
            _ => open.extend(name),
        }
    }
    open.is_empty()
}

#[test]
fn every_layer_is_drawn_whole() {
    let bench = Workbench::open(examples::searched(0.1, SearchMode::RecordAll)).unwrap();
    for layer in Layer::ALL {
        let text = drawn(&bench, layer, "A plan");
        assert!(is_well_formed(&text), "{text}");
        let n_letters = text.matches("font-size=\"12.32\"").count();
        assert_eq!(n_letters, examples::SHAPE.n_cells(), "{layer:?}");
        assert!(text.contains("δ = 0.1 &amp; more"));
    }
    let foreign = Workbench::open(examples::foreign()).unwrap();
    assert!(drawn(&foreign, Layer::Loss, "").contains("holds no losses"));
}

#[test]
fn names_cannot_break_out_of_their_element() {
    let bench = Workbench::open(examples::foreign()).unwrap();
    let evil = "</text><script>alert(1)</script>\"'&\u{0}\u{7}";
    let text = drawn(&bench, Layer::Strategy, evil);
    assert!(is_well_formed(&text));
    assert!(!text.contains("<script") && !text.contains('\u{0}'));
    assert!(text.contains("&lt;script&gt;"));
}

#[test]
fn large_plans_are_drawn_without_letters() {
    let shape = GridShape {
        n_steps: 250,
        n_blocks: 56,
    };
    let bench = Workbench::open(examples::searched_of(shape, 0.1, SearchMode::RecordAll)).unwrap();
    let text = drawn(&bench, Layer::Strategy, "large");
    assert!(is_well_formed(&text));
    assert!(text.len() < 2_000_000, "{}", text.len());
    assert_eq!(text.matches("width=\"6\"").count(), shape.n_cells());
}
