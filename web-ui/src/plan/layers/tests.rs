//! Layers of made-up plans.

use super::*;
use crate::plan::examples;
use crate::plan::workbench::Region;
use dfa_core::search::{SearchMode, Threshold};

fn bench() -> Workbench {
    Workbench::open(examples::searched(0.1, SearchMode::RecordAll)).unwrap()
}

fn drawn(bench: &Workbench, layer: Layer) -> (GridPicture, Legend) {
    picture(bench, &bench.shown(), layer)
}

#[test]
fn every_layer_has_the_letters_and_marks_of_the_plan() {
    let mut bench = bench();
    let region = Region::Cell(Step(2), Block(3));
    bench.set(region, Strategy::WindowOnly).unwrap();
    bench.toggle_lock(Region::Step(Step(5))).unwrap();
    let plan = bench.plan();
    for layer in Layer::ALL {
        assert_eq!(Layer::named(layer.as_str()), Some(layer));
        let (picture, legend) = drawn(&bench, layer);
        assert_eq!(picture.cells.len(), examples::SHAPE.n_cells());
        for (step, block, strategy) in plan.cells() {
            let look = picture.look(step, block);
            assert_eq!(look.letter, letter(strategy));
            assert_eq!(look.is_locked, step.0 == 5);
            assert_eq!(look.is_edited, (step.0, block.0) == (2, 3));
        }
        assert_ne!(legend.key, LegendKey::Nothing);
    }
}

#[test]
fn the_legend_names_only_what_may_occur() {
    let unguided = Workbench::open(examples::unguided()).unwrap();
    let (_, legend) = drawn(&unguided, Layer::Strategy);
    assert_eq!(legend.key, LegendKey::Strategies(vec![0, 1, 2, 5]));
    let (_, legend) = drawn(&bench(), Layer::Strategy);
    assert_eq!(legend.key, LegendKey::Strategies(vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn margins_are_positive_where_a_candidate_passed() {
    let (picture, _) = drawn(&bench(), Layer::Margin);
    for (step, block, strategy) in bench().plan().cells().filter(|cell| cell.0.0 > 0) {
        let Paint::Balance(margin) = picture.look(step, block).paint else {
            panic!("{step}, {block} was measured");
        };
        assert_eq!(margin > 0.0, strategy != Strategy::Full, "{step}, {block}");
    }
    for block in examples::SHAPE.blocks() {
        assert_eq!(picture.look(Step(0), block).paint, Paint::Nothing);
    }
}

#[test]
fn losses_fill_their_scale_and_say_where_it_is_cut() {
    let mut bench = bench();
    let scale_of = |bench: &Workbench| {
        let (picture, legend) = drawn(bench, Layer::Loss);
        let places = picture.cells.iter().filter_map(|look| match look.paint {
            Paint::Scale(place) => Some(place),
            _ => None,
        });
        let places: Vec<f32> = places.collect();
        assert!(places.iter().all(|place| (0.0..=1.0).contains(place)));
        assert!(places.contains(&1.0), "{places:?}");
        match legend.key {
            LegendKey::Scale([_, high]) => high,
            key => panic!("{key:?}"),
        }
    };
    assert!(!scale_of(&bench).contains("at least"));
    bench.set_threshold(Threshold::new(0.01).unwrap()).unwrap();
    assert_eq!(scale_of(&bench), "at least 0.02");
    bench.set_threshold(Threshold::new(0.0).unwrap()).unwrap();
    scale_of(&bench);
}

#[test]
fn savings_are_those_of_the_strategies() {
    let (picture, legend) = drawn(&bench(), Layer::Saved);
    assert!(legend.note.contains("whole self-attention layer"));
    for (step, block, strategy) in bench().plan().cells() {
        let Paint::Scale(saved) = picture.look(step, block).paint else {
            panic!("the layer's size is known");
        };
        match strategy {
            Strategy::Full => assert_eq!(saved, 0.0),
            Strategy::ShareSteps => assert_eq!(saved, 1.0),
            _ => assert!(saved > 0.0 && saved < 1.0),
        }
    }
}

#[test]
fn what_is_not_known_is_said_instead_of_drawn() {
    let foreign = Workbench::open(examples::foreign()).unwrap();
    for (layer, expected) in [
        (Layer::Loss, "no losses"),
        (Layer::Margin, "no losses"),
        (Layer::Saved, "image tokens"),
    ] {
        let (picture, legend) = drawn(&foreign, layer);
        assert_eq!(legend.key, LegendKey::Nothing);
        assert!(legend.note.contains(expected), "{}", legend.note);
        assert!(
            picture
                .cells
                .iter()
                .all(|look| look.paint == Paint::Nothing)
        );
    }
    let layer = LayerShape {
        n_tokens: 64,
        width: 32,
    };
    let stated = Workbench::open(examples::foreign().with_layer(layer)).unwrap();
    assert_ne!(drawn(&stated, Layer::Saved).1.key, LegendKey::Nothing);
}
