//! A view under every gesture.

use super::*;

const PANE: [f64; 2] = [400.0, 200.0];

fn near(a: [f64; 2], b: [f64; 2]) {
    let apart = (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
    assert!(apart < 1e-9, "{a:?} {b:?}");
}

fn under(view: &View, point: [f64; 2]) -> [f64; 2] {
    let (corner, scale) = (view.corner(PANE), view.scale(PANE));
    axes(|axis| corner[axis] + point[axis] / scale)
}

#[test]
fn a_new_view_shows_the_whole_picture_in_the_middle() {
    let view = View::of([100, 100], Mode::Wipe);
    assert_eq!(view.scale(PANE), 2.0);
    near(view.corner(PANE), [-50.0, 0.0]);
    let view = View::of([4096, 64], Mode::Wipe);
    near(view.corner(PANE), [0.0, (64.0 - 2048.0) / 2.0]);
}

#[test]
fn zoom_keeps_what_is_under_the_pointer() {
    let mut view = View::of([200, 100], Mode::SideBySide);
    let point = [130.0, 60.0];
    let before = under(&view, point);
    for factor in [2.0, 1.7, 0.8] {
        view.zoom_about(factor, point, PANE);
        near(under(&view, point), before);
    }
    assert!((view.zoom() - 2.0 * 1.7 * 0.8).abs() < 1e-12);
}

#[test]
fn zoom_ends_at_both_ends() {
    let mut view = View::of([200, 100], Mode::Difference);
    view.zoom_about(1e9, [0.0, 0.0], PANE);
    assert_eq!(view.scale(PANE), MAX_SCALE);
    near(view.corner(PANE), [0.0, 0.0]);
    view.zoom_about(1e-9, [399.0, 3.0], PANE);
    assert_eq!(view.zoom(), 1.0);
    near(view.corner(PANE), [0.0, 0.0]);
    for broken in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        let before = view;
        view.zoom_about(broken, [0.0, 0.0], PANE);
        assert_eq!(view, before);
    }
}

#[test]
fn tiny_pictures_are_not_enlarged_beyond_the_limit() {
    let mut view = View::of([2, 1], Mode::Difference);
    assert_eq!(view.scale(PANE), MAX_SCALE);
    view.obey(Command::ZoomIn, PANE);
    assert_eq!(view.scale(PANE), MAX_SCALE);
}

#[test]
fn a_drag_moves_the_picture_until_its_edge() {
    let mut view = View::of([200, 100], Mode::SideBySide);
    view.pan_by([50.0, 50.0], PANE);
    near(view.corner(PANE), [0.0, 0.0]);
    view.zoom_about(4.0, [200.0, 100.0], PANE);
    let before = under(&view, [10.0, 10.0]);
    view.pan_by([30.0, -20.0], PANE);
    near(under(&view, [40.0, -10.0]), before);
    view.pan_by([-1e6, -1e6], PANE);
    near(under(&view, PANE), [200.0, 100.0]);
}

#[test]
fn two_fingers_zoom_and_move_at_once() {
    let mut view = View::of([2000, 1000], Mode::Ssim);
    view.zoom_about(4.0, [200.0, 100.0], PANE);
    let before = under(&view, [150.0, 100.0]);
    let fingers = [[100.0, 100.0], [200.0, 100.0]];
    view.pinch(fingers, [[120.0, 110.0], [320.0, 110.0]], PANE);
    near(under(&view, [220.0, 110.0]), before);
    assert!((view.zoom() - 8.0).abs() < 1e-9);
    view.pinch([[1.0, 1.0]; 2], [[1.0, 1.0]; 2], PANE);
    assert!((view.zoom() - 8.0).abs() < 1e-9);
}

#[test]
fn keys_do_what_they_say() {
    let mut view = View::of([2000, 1000], Mode::Wipe);
    let mut press = |key: &str| {
        view.obey(Command::of_key(key).expect("a key of the view"), PANE);
        view
    };
    assert_eq!(press("+").zoom(), ZOOM_STEP);
    assert_eq!(press("-").zoom(), 1.0);
    assert!((press("1").scale(PANE) - 1.0).abs() < 1e-12);
    let middle = view_corner(press("1"));
    assert!(view_corner(press("ArrowLeft"))[0] < middle[0]);
    near(view_corner(press("ArrowRight")), middle);
    assert!(view_corner(press("ArrowDown"))[1] > middle[1]);
    near(view_corner(press("ArrowUp")), middle);
    assert_eq!(press("0").zoom(), 1.0);
    assert!(press(",").wipe() < 0.5);
    assert_eq!(press(".").wipe(), 0.5);
    assert_eq!(Command::of_key("q"), None);
}

fn view_corner(view: View) -> [f64; 2] {
    view.corner(PANE)
}

#[test]
fn the_wipe_stays_in_the_pane() {
    let mut view = View::of([10, 10], Mode::Wipe);
    view.wipe_to(7.0);
    assert_eq!(view.wipe(), 1.0);
    view.wipe_to(f64::NAN);
    assert_eq!(view.wipe(), 1.0);
    view.wipe_to(-1.0);
    assert_eq!(view.wipe(), 0.0);
}

#[test]
fn another_pair_keeps_the_place_if_it_has_the_size() {
    let mut view = View::of([200, 100], Mode::Wipe);
    view.zoom_about(3.0, [10.0, 10.0], PANE);
    view.wipe_to(0.25);
    view.gain = Gain::Sixteen;
    assert_eq!(view.onto([200, 100]), view);
    let other = view.onto([64, 64]);
    assert_eq!(
        (other.zoom(), other.wipe(), other.gain),
        (1.0, 0.25, Gain::Sixteen)
    );
    assert_eq!(other.mode, Mode::Wipe);
}

#[test]
fn a_smaller_pane_keeps_the_rules() {
    let mut view = View::of([100, 100], Mode::Wipe);
    view.zoom_about(8.0, [0.0, 0.0], PANE);
    for pane in [[10.0, 10.0], [3000.0, 20.0], [0.0, 0.0]] {
        view.keep_inside(pane);
        assert!(view.scale(pane) <= MAX_SCALE && view.zoom() >= 1.0);
        assert!(view.corner(pane).iter().all(|place| place.is_finite()));
    }
}

#[test]
fn modes_have_words_and_panes() {
    for mode in Mode::ALL {
        assert_eq!(Mode::of(mode.as_str()), Some(mode));
        assert!(!mode.panes(false).is_empty());
    }
    assert_eq!(Mode::Blink.panes(true), [Content::Compressed]);
    assert_eq!(Mode::of("nothing"), None);
}
