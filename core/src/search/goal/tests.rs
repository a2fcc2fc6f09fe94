//! Goals as texts, and thresholds that suit them by made-up curves.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::*;

fn goal(text: &str) -> Goal {
    text.parse().unwrap()
}

fn threshold(value: f64) -> Threshold {
    Threshold::new(value).unwrap()
}

#[test]
fn goals_are_read_and_written() {
    let check = |text: &str, quantity, value, written: &str| {
        let read = goal(text);
        assert_eq!((read.quantity(), read.value()), (quantity, value), "{text}");
        assert_eq!(read.to_string(), written);
        assert_eq!(goal(written), read, "what is written is read again");
    };
    check("macs=50%", Quantity::KeptMacs, 0.5, "macs=50%");
    check("macs<=0.5", Quantity::KeptMacs, 0.5, "macs=50%");
    check("macs=55%", Quantity::KeptMacs, 0.55, "macs=55%");
    check("macs = 12.5 %", Quantity::KeptMacs, 0.125, "macs=12.5%");
    check("speedup=1.5", Quantity::Speedup, 1.5, "speedup=1.5");
    check("speedup>=2", Quantity::Speedup, 2.0, "speedup=2");
    check("psnr>=30", Quantity::Psnr, 30.0, "psnr>=30");
    check("psnr=30", Quantity::Psnr, 30.0, "psnr>=30");
}

#[test]
fn bad_goals_are_refused_with_what_is_accepted() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<Goal>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    };
    check("", "write macs=50%");
    check("macs", "write macs=50%");
    check("fid=3", "write macs=50%");
    check("macs>=50%", "at most");
    check("psnr<=30", "at least");
    check("macs=50", "like 50% or 0.5");
    check("macs=0%", "above 0");
    check("macs=nan", "above 0");
    check("speedup=0.9", "from 1 to 1000");
    check("speedup=150%", "from 1 to 1000");
    check("psnr>=101", "at most 100");
    check("psnr>=high", "decibels");
}

/// Kept MACs fall from 1 at δ = 0 to 0.2 at δ = 0.8.
fn kept(at: Threshold) -> Result<f64, Infallible> {
    Ok((1.0 - at.value()).max(0.2))
}

/// PSNR falls from 100 dB by 50 dB for each 0.1 of δ.
fn psnr(at: Threshold) -> Result<f64, Infallible> {
    Ok(100.0 - 500.0 * at.value())
}

#[test]
fn the_best_threshold_is_the_smallest_that_saves_enough_or_the_largest_alike_enough() {
    let check = |text: &str, curve: fn(Threshold) -> Result<f64, Infallible>, delta, is_met| {
        let range = [threshold(0.0), threshold(1.0)];
        let Ok(suited) = goal(text).bisect(range, curve);
        assert_eq!(
            (suited.threshold.value(), suited.is_met),
            (delta, is_met),
            "{text}: {suited:?}"
        );
        assert_eq!(goal(text).is_met_by(suited.value), is_met, "{text}");
    };
    check("macs=100%", kept, 0.0, true);
    check("macs=70%", kept, 0.3, true);
    check("macs=25%", kept, 0.75, true);
    check("macs=10%", kept, 1.0, false);
    check("psnr>=30", psnr, 0.14, true);
    check("psnr>=100", psnr, 0.0, true);
}

#[test]
fn a_wrong_estimate_is_corrected_by_its_error() {
    // The truth keeps 0.1 more than the estimate.
    let goal = goal("macs=50%");
    let most = threshold(1.0);
    let tried = |delta: f64| {
        let Ok(estimate) = kept(threshold(delta));
        Suited {
            threshold: threshold(delta),
            value: estimate + 0.1,
            is_met: goal.is_met_by(estimate + 0.1),
        }
    };
    let Ok(next) = goal.next_after(&[tried(0.5)], most, kept);
    assert_eq!(next.map(Threshold::value), Some(0.61), "a little beyond");
    let Ok(far) = goal.next_after(&[0.3, 0.4, 0.5].map(tried), most, kept);
    assert_eq!(far.map(Threshold::value), Some(0.75), "half as much again");
    let Ok(closer) = goal.next_after(&[tried(0.5), tried(0.7)], most, kept);
    assert_eq!(
        closer.map(Threshold::value),
        Some(0.602),
        "0.7 saves 0.1 more"
    );
    let Ok(done) = goal.next_after(&[tried(0.5), tried(0.61)], most, kept);
    assert_eq!(done, None, "hardly more than asked for");
    let failed = Suited {
        is_met: false,
        ..tried(1.0)
    };
    let Ok(none) = goal.next_after(&[failed], threshold(0.9), kept);
    assert_eq!(none, None, "no larger threshold is left");
    assert_eq!(goal.best_of(&[tried(0.3), tried(0.5)]), Some(1));
    assert_eq!(goal.best_of(&[tried(0.5), tried(0.9), tried(0.7)]), Some(2));
    assert_eq!(goal.best_of(&[]), None);
}

/// Tries as a calibration does: where the estimate suits first, then where it is told to.
fn tried_for(text: &str, truth: fn(f64) -> f64, estimate: fn(f64) -> f64) -> Vec<Suited> {
    let (goal, most) = (goal(text), threshold(1.0));
    let guess = |at: Threshold| Ok::<_, Infallible>(estimate(at.value()));
    let Ok(suited) = goal.bisect([Threshold::ZERO, most], guess);
    let (mut next, mut tried) = (Some(suited.threshold), Vec::new());
    while let Some(threshold) = next {
        let value = truth(threshold.value());
        tried.push(Suited {
            threshold,
            value,
            is_met: goal.is_met_by(value),
        });
        assert!(tried.len() <= 20, "{text}: {tried:?}");
        let Ok(following) = goal.next_after(&tried, most, guess);
        next = following;
    }
    tried
}

#[test]
fn what_goes_beyond_the_goal_is_brought_back_to_it() {
    let check = |text: &str, truth: fn(f64) -> f64, estimate: fn(f64) -> f64, least, most| {
        let tried = tried_for(text, truth, estimate);
        let best = tried[goal(text).best_of(&tried).unwrap()];
        assert!(best.is_met && tried.len() <= 4, "{text}: {tried:?}");
        let value = best.value;
        assert!((least..=most).contains(&value), "{text}: {tried:?}");
    };
    let kept = |at: f64| 1.0 / (1.0 + 8.0 * at);
    // Estimates that see too little of what is saved, and too much.
    check("macs=50%", kept, |at| 1.0 / (1.0 + 5.0 * at), 0.48, 0.5);
    check("macs=50%", kept, |at| 1.0 / (1.0 + 14.0 * at), 0.48, 0.5);
    let speedup = |at: f64| 1.0 + at;
    check("speedup=1.3", speedup, |at| 1.0 + at * at, 1.3, 1.326);
    let psnr = |at: f64| 60.0 - 40.0 * at.sqrt();
    check("psnr>=30", psnr, |at| 60.0 - 70.0 * at.sqrt(), 30.0, 31.0);
    check("psnr>=30", psnr, |at| 60.0 - 32.0 * at.sqrt(), 30.0, 31.0);
}

#[test]
fn a_goal_between_two_plans_takes_the_one_that_reaches_it() {
    let truth = |at: f64| if at < 0.3 { 0.7 } else { 0.2 };
    let tried = tried_for("macs=50%", truth, |at| 1.0 - 0.7 * at);
    let best = tried[goal("macs=50%").best_of(&tried).unwrap()];
    assert_eq!(best.value, 0.2, "{tried:?}");
}
