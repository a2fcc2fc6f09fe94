//! A real calibration, decided again: the losses that the shipped model gave, at twenty
//! thresholds from nothing to everything. What the page's slider shows is this, in
//! WebAssembly; what the program decides is this, natively.
//!
//! `recorded/avatars-dit.json` was written by
//! `dfa calibrate --model models/avatars-dit --n-images 8 --threshold D4 --search record-all
//! --threads 1`.

use dfa_core::cost::{LayerShape, PlanCost};
use dfa_core::search::{Threshold, redecide};
use dfa_core::wire::{CheckedPlan, plan_hash};

use crate::bits::Bits;
use crate::scenario::Digest;

const FILE: &str = include_str!("../recorded/avatars-dit.json");
/// Thresholds at which the record is decided again.
const N_THRESHOLDS: u32 = 20;
/// From one to the next, in thousandths: up to 0.304, past most of the losses.
const STEP: u32 = 16;

/// One line for the file, one for each threshold.
pub(crate) fn recorded_calibration(digest: &mut Digest) {
    let checked = CheckedPlan::parse(FILE).expect("the recorded plan is a plan");
    let json = checked.to_json().expect("the parts agree");
    let mut bits = Bits::default();
    bits.text(&json);
    digest.line("recorded", &format!("{} bytes of JSON", json.len()), &bits);
    let search = checked.search.as_ref().expect("the plan was searched");
    let own = search.record.settings().threshold;
    let decided = redecide(&search.record, own, checked.plan.window());
    let decided = decided.expect("the record is finished");
    assert!(decided.plan == checked.plan, "the engine decided otherwise");
    for idx in 0..N_THRESHOLDS {
        decided_again(digest, &checked, f64::from(idx * STEP) / 1000.0);
    }
}

fn decided_again(digest: &mut Digest, checked: &CheckedPlan, value: f64) {
    let search = checked.search.as_ref().expect("the plan was searched");
    let made_for = checked.fingerprint.as_ref().expect("the model is known");
    let provenance = checked.provenance.as_ref().expect("the origin is known");
    let threshold = Threshold::new(value).expect("the thresholds are finite");
    let window = checked.plan.window();
    let decided = redecide(&search.record, threshold, window).expect("the record is finished");
    let layer = LayerShape {
        n_tokens: made_for.n_tokens,
        width: provenance.width.expect("the width is known"),
    };
    let cost = PlanCost::of(&decided.plan, layer, made_for.is_guided());
    let hash = plan_hash(&decided.plan);
    let mut bits = Bits::default();
    bits.text(&hash.to_string());
    bits.u64(decided.changed.len() as u64);
    bits.u64(decided.unmeasured.len() as u64);
    bits.f64(cost.attention_kept_share());
    bits.f64(cost.layer_kept_share());
    let summary = format!(
        "changed {}, attention kept {:.6}, plan {}",
        decided.changed.len(),
        cost.attention_kept_share(),
        hash.short()
    );
    digest.line(&format!("recorded {threshold}"), &summary, &bits);
}
