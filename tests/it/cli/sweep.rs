//! `dfa sweep`: a plan and a row per threshold, judged on images that calibration did not see.

use dfa_core::search::Threshold;
use dfa_core::wire::CheckedPlan;

use super::{Desk, assert_refused, done, json_of};

const SWEEP: &str = "sweep --model models/avatars-dit --guidance 3 --steps 4 -n 2 --seed 7 \
                     --compare-images 2 -o @out";

#[test]
fn every_threshold_gets_a_plan_and_a_row() {
    let desk = Desk::empty();
    let finished = done(desk.run(&format!("{SWEEP} --thresholds D2,0.3 --json")));
    let rows = json_of(&finished);
    assert_eq!(rows, desk.json("out/sweep.json"));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, (name, threshold)) in rows.iter().zip([("D2", 0.05), ("0.3", 0.3)]) {
        let plan = CheckedPlan::parse(&desk.read(&format!("out/plan-{name}.json"))).unwrap();
        let search = plan.search.as_ref().unwrap();
        assert_eq!(
            Ok(search.record.settings().threshold),
            Threshold::new(threshold)
        );
        assert_eq!(plan.provenance.unwrap().seed, 7);
        assert_eq!(row["threshold"], threshold);
        assert_eq!(row["report"]["settings"]["seed"], 8, "new images");
        assert_eq!(row["report"]["images"].as_array().unwrap().len(), 2);
        let line = format!("| {name} ({threshold}) | ");
        assert!(desk.read("out/sweep.md").contains(&line), "{line}");
    }
    let kept = |row: usize| rows[row]["report"]["cost"]["attention_kept_share"].as_f64();
    assert!(kept(1) < kept(0), "{:?} {:?}", kept(1), kept(0));
}

#[test]
fn a_sweep_refuses_what_is_no_threshold() {
    let desk = Desk::empty();
    let finished = desk.run(&format!("{SWEEP} --thresholds D2,D7"));
    assert_refused(&finished, 2, &["D7", "--thresholds"]);
}
